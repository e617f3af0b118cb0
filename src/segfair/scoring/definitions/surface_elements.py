"""Surface elements: the pieces of surface between the centres of 2 x 2 x 2 voxels, each with its area. Arrays only.

What surface-distance (and MONAI with `use_subvoxels`) calls a surfel: it lies at a corner that voxels share, and
counts by its area, where other tools count surface voxels. In 2-D an element is a piece of contour with a length.

References:
    Nikolov et al. Clinically Applicable Segmentation of Head and Neck Anatomy for Radiotherapy. JMIR 2021. The areas
    are those of the table of google-deepmind/surface-distance (Apache-2.0), which was made by marching cubes.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from segfair.scoring.surfaces import Surface

__all__ = ["element_areas", "surface_elements", "weighted_percentile"]

# Of each neighbourhood the normals of its pieces, as absolute values of eighths along the three axes; a neighbourhood
# and its complement have the same pieces, so that half of them say it all.
_NORMALS = """
- 111 111 220,220 111 202,202 111,111 111,222,400 111 111,111 202,202 111,222,400 220,220 111,222,400
111,222,400 400,400 111 022,022 111,111 040,111,222 111,111 004,111,222 111,111,111 111,111,222,222 111,111
022,022,111 111,202,202 022,111,202,333 111,220,220 022,111,220,333 111,111,222,400 111,222,400 111 111,111
022,022 040,111,222 111,111 111,202,202 022,022,111 022,111,202,333 111,111 111,111,111 004,111,222
111,111,222,222 111,220,220 111,111,222,400 022,111,220,333 111,222,400 220,220 040,111,222 040,111,222 040,040
111,220,220 111,202,220,333 040,111,111,222 040,111,222 111,220,220 040,111,111,222 111,202,220,333 040,111,222
220,220,220,220 111,220,220 111,220,220 220,220 111 111,111 111,111 111,220,220 022,022 004,111,222 022,022,111
022,111,220,333 111,111 111,111,111 111,202,202 111,111,222,400 040,111,222 111,111,222,222 022,111,202,333
111,222,400 202,202 004,111,222 111,202,202 111,202,220,333 004,111,222 004,004 004,111,111,222 004,111,222
111,202,202 004,111,111,222 202,202,202,202 111,202,202 111,202,220,333 004,111,222 111,202,202 202,202 111,111
111,111,111 022,022,111 040,111,111,222 022,022,111 004,111,111,222 022,022,022,022 022,022,111 111,111,111
111,111,111,111 004,111,111,222 111,111,111 040,111,111,222 111,111,111 022,022,111 111,111 111,222,400
111,111,222,222 022,111,202,333 040,111,222 022,111,220,333 004,111,222 022,022,111 022,022 111,111,222,400
111,111,111 111,202,202 111,111 111,220,220 111,111 111,111 111
"""


def surface_elements(mask: NDArray[np.bool_], *, compiled: bool = False) -> tuple[Surface, NDArray[np.uint8]]:
    """The corners between voxels at which a mask has a surface; the outside of the image is background.

    Args:
        mask: 2-D or 3-D.
        compiled: Whether distances to and from them are found by compiled loops, see `Surface`.

    Returns:
        The corners, one more along each axis than there are voxels, and the neighbourhood of each as a code: of each
        of its voxels one bit, that of the first corner the highest. An empty mask has none.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    codes = np.zeros([length + 1 for length in mask.shape], dtype=np.uint8)
    for bit, corner in enumerate(reversed(list(itertools.product((0, 1), repeat=mask.ndim)))):
        codes += padded[tuple(slice(1, None) if side else slice(None, -1) for side in corner)] << np.uint8(bit)
    return Surface((codes > 0) & (codes < 2 ** (2**mask.ndim) - 1), compiled), codes


@lru_cache(maxsize=64)
def element_areas(spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Area (in 2-D the length) of the element of each neighbourhood, by its code.

    Args:
        spacing: Length of a voxel along each of two or three axes.

    Returns:
        (16,) or (256,); 0 where the voxels are all alike.
    """
    if len(spacing) == 2:
        along_first, along_second = spacing
        slant = 0.5 * float(np.hypot(along_first, along_second))
        half = [0.0, slant, slant, along_second, slant, along_first, 2 * slant, slant]
    else:
        faces = np.array([spacing[1] * spacing[2], spacing[0] * spacing[2], spacing[0] * spacing[1]])
        half = [float(np.linalg.norm(normals * faces, axis=1).sum()) for normals in _normals()]
    return np.array([*half, *reversed(half)])


def _normals() -> list[NDArray[np.float64]]:
    """(n, 3) of each of the first 128 neighbourhoods."""
    pieces = (entry.strip("-").split(",") for entry in _NORMALS.split())
    return [
        np.array([[int(part) / 8 for part in piece] for piece in found if piece]).reshape(-1, 3) for found in pieces
    ]


def weighted_percentile(distances: NDArray[np.float64], areas: NDArray[np.float64], percentile: float) -> float:
    """The distance up to which elements have that share of the whole area.

    Args:
        distances: (n,) at least one.
        areas: (n,) positive.
        percentile: From 0 to 100.
    """
    order = np.lexsort((areas, distances))
    share = np.cumsum(areas[order]) / np.sum(areas[order])
    return float(distances[order][min(int(np.searchsorted(share, percentile / 100.0)), len(order) - 1)])
