"""Surfaces of masks on a voxel grid, and the distances between them. Arrays only, exact; knows no metric.

Large images are looked at by the loops of `kernels`, small ones and those without numba by NumPy and SciPy; the
numbers are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Border",
    "Surface",
    "SurfaceDistances",
    "count_components",
    "distances_between",
    "surface_of",
    "surface_voxels",
    "worth_compiling",
]

Border = Literal["background", "none"]
Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]

# Voxels of an image from which on loading the compiler (half a second) is repaid within some dozens of cases.
_LARGE = 1 << 18
# Rows looked at for each point, and then for those that are not settled if they are few; what is further is left to a
# tree or a distance transform, which takes longer to build than such a search.
_ROWS, _FAR_ROWS = 1600, 6400
_FEW_FAR = 500
# How many voxels are transformed while a tree answers one far point, and how many fit into memory three times over.
_VOXELS_A_QUERY, _MOST_TRANSFORMED = 200, 1 << 24
# A surface of fewer voxels is measured whole: sampling it first would cost as much.
_FEW_POINTS = 2000
_SAMPLED = 600


def worth_compiling(shape: tuple[int, ...]) -> bool:
    """Whether images of this shape are looked at by compiled loops: large ones, where numba is installed.

    Depends on the image alone, so that a case has the same numbers whatever was scored before it.
    """
    return math.prod(shape) >= _LARGE and max(shape) < 1 << 15 and _has_numba()


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceDistances:
    """Distance of each surface voxel of one mask to the nearest surface voxel of the other.

    Attributes:
        label_to_prediction: One distance a surface voxel of the label; inf where the prediction has no surface.
        prediction_to_label: The other way round.
    """

    label_to_prediction: Distances
    prediction_to_label: Distances

    @property
    def empty(self) -> Literal["none", "one", "both"]:
        """How many of the two masks have no surface voxel."""
        n_empty = (self.label_to_prediction.size == 0) + (self.prediction_to_label.size == 0)
        choices: tuple[Literal["none", "one", "both"], ...] = ("none", "one", "both")
        return choices[n_empty]

    def scaled(self, factor: float) -> SurfaceDistances:
        """The distances in another unit."""
        return SurfaceDistances(self.label_to_prediction * factor, self.prediction_to_label * factor)


def surface_voxels(mask: NDArray[Any], *, image_border: Border = "background") -> Mask:
    """The non-zero voxels with a face neighbour of another value.

    In a label map the border between two labels is surface as well. Face neighbours are 6 in 3-D and 4 in 2-D; an
    axis of length 1 has none, so that a slice stored as a volume has the surface of the slice.

    Args:
        mask: Booleans or a label map of any number of axes.
        image_border: "background": the outside of the image counts as a neighbour of value 0; "none": it is no
            neighbour, and a mask that fills the image has no surface.

    Returns:
        Booleans of the same shape. An empty mask has no surface.
    """
    edge = np.zeros(mask.shape, dtype=np.bool_)
    for axis, length in enumerate(mask.shape):
        if length < 2:
            continue
        values, edges = np.moveaxis(mask, axis, 0), np.moveaxis(edge, axis, 0)
        differs = values[1:] != values[:-1]
        edges[1:] |= differs
        edges[:-1] |= differs
        if image_border == "background":
            edges[0] = edges[-1] = True
    edge &= mask.astype(np.bool_, copy=False)
    return edge


@dataclass(frozen=True, eq=False)
class Surface:
    """The surface voxels of a mask.

    Attributes:
        voxels: Booleans, 2-D or 3-D.
        compiled: Whether distances to and from it are found by compiled loops.
    """

    voxels: Mask
    compiled: bool = False

    @cached_property
    def rows(self) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """Their indices and the distances along the rows, see `kernels.surface_rows`; axes as they lie in memory."""
        from segfair.scoring.kernels import surface_rows

        found: tuple[NDArray[np.int32], NDArray[np.int16]] = surface_rows(_as_bytes(self.voxels))
        return found

    @property
    def backwards(self) -> bool:
        """Whether `rows` has the axes in reverse, because they lie in memory that way."""
        return self.voxels.flags.f_contiguous

    def laid_out_as(self, other: Surface) -> Surface:
        """The same surface with its axes in memory as those of another."""
        if self.backwards == other.backwards:
            return self
        return Surface(np.array(self.voxels, order="F" if other.backwards else "C"), self.compiled)


def surface_of(mask: NDArray[Any], *, image_border: Border = "background", compiled: bool = False) -> Surface:
    """The surface of a mask or label map, see `surface_voxels`.

    Args:
        mask: Booleans or a label map, 2-D or 3-D.
        image_border: See `surface_voxels`.
        compiled: Whether to look by compiled loops; where a label map has values that need more than a byte, it is
            looked at by NumPy.
    """
    if compiled and mask.dtype.itemsize > 1 and mask.size and mask.min() >= 0 and mask.max() <= np.iinfo(np.uint8).max:
        mask = mask.astype(np.uint8)
    if not compiled or mask.dtype.itemsize > 1:
        return Surface(surface_voxels(mask, image_border=image_border), compiled)
    from segfair.scoring import kernels

    voxels = kernels.surface_voxels(_as_bytes(mask), image_border == "background").view(np.bool_)
    if mask.flags.f_contiguous:
        return Surface(voxels.T.reshape(mask.shape, order="F"), compiled)
    return Surface(voxels.reshape(mask.shape), compiled)


def distances_between(
    label: Surface,
    prediction: Surface,
    *,
    spacing: Sequence[float],
    axes: Distances | None = None,
    percentile: float | None = None,
) -> SurfaceDistances:
    """Directed distances between two surfaces on one grid.

    Args:
        label: One surface.
        prediction: Another one, of the same shape.
        spacing: Length of a voxel along each axis, in the unit the distances shall have.
        axes: (n, n) in that unit, where the axes are not at right angles: column k is the step along axis k. None:
            they are, and `spacing` says it all.
        percentile: The only thing that will be asked of the distances is the larger of the two directed percentiles;
            smaller distances than it may then be too large (not larger than it), which spares looking for them. None:
            each is exact.

    Returns:
        The distances, in no order; inf where the other set is empty.
    """
    if not label.compiled or axes is not None:
        return SurfaceDistances(
            _nearest(label.voxels, prediction.voxels, spacing, axes),
            _nearest(prediction.voxels, label.voxels, spacing, axes),
        )
    prediction = prediction.laid_out_as(label)
    if label.backwards:
        spacing = spacing[::-1]
    there = _Search(label, prediction, spacing).distances(percentile)
    reached = float(np.percentile(there, percentile)) if percentile is not None and there.size else None
    return SurfaceDistances(there, _Search(prediction, label, spacing).distances(percentile, reached))


def count_components(mask: Mask, *, compiled: bool = False) -> int:
    """How many parts a mask has; voxels that share a face, an edge or a corner are of one part. Empty: 0."""
    if not compiled:
        from scipy import ndimage

        return int(ndimage.label(mask, structure=np.ones((3,) * mask.ndim))[1])
    from segfair.scoring import kernels

    return int(kernels.count_components(_as_bytes(mask)))


@dataclass(frozen=True, slots=True)
class _Search:
    """The distances from one surface to another, by rows."""

    start: Surface
    end: Surface
    spacing: Sequence[float]

    def distances(self, percentile: float | None, reached: float | None = None) -> Distances:
        """Of each voxel of the start, in the order of the grid.

        Args:
            percentile: See `distances_between`.
            reached: A percentile that the other direction has; smaller ones do not matter.
        """
        points, _ = self.start.rows
        if len(self.end.rows[0]) == 0:
            return np.full(len(points), np.inf)
        if percentile is None or len(points) < _FEW_POINTS:
            return self._within(0.0)
        enough = reached
        if enough is None:
            sample = self._squared(points[:: len(points) // _SAMPLED], 0.0)
            # Well below the percentile, so that it is missed hardly ever.
            enough = math.sqrt(float(np.percentile(sample, max(0.0, percentile - 5))))
        found = self._within(enough)
        n_near = len(found) - int(np.count_nonzero(found > enough))
        # The percentile lies between two ranks: both among the exact distances, or both below what is reached already.
        rank = int((len(points) - 1) * percentile / 100)
        if rank >= n_near or (reached is not None and rank + 1 < n_near):
            return found
        return self._within(0.0)

    def _within(self, enough: float) -> Distances:
        return np.sqrt(self._squared(self.start.rows[0], enough * enough))

    def _squared(self, points: NDArray[np.int32], enough: float) -> Distances:
        """Squared distances, each exact or at most `enough`."""
        from segfair.scoring.kernels import nearest_by_rows

        steps = (1.0,) * (3 - len(self.spacing)) + tuple(float(step) for step in self.spacing)
        along = self.end.rows[1]
        flat = along.shape[0] == 1
        found: Distances
        found, settled = nearest_by_rows(points, along, *_nearest_rows(steps, flat, _ROWS), steps[2], enough)
        far = np.flatnonzero(~settled)
        if 0 < far.size <= _FEW_FAR:
            rows = _nearest_rows(steps, flat, _FAR_ROWS)
            found[far], settled = nearest_by_rows(points[far], along, *rows, steps[2], enough)
            far = far[~settled]
        if far.size:
            apart = (self._nearest_of_far(points[far], np.array(steps)) - points[far]) * np.array(steps)
            found[far] = (apart[:, 0] ** 2 + apart[:, 1] ** 2) + apart[:, 2] ** 2
        return found

    def _nearest_of_far(self, points: NDArray[np.int32], steps: Distances) -> NDArray[np.int32]:
        """(n, 3) the nearest voxel to each of some points that are far from all."""
        others, along = self.end.rows
        if len(points) * _VOXELS_A_QUERY > along.size and along.size <= _MOST_TRANSFORMED:
            from scipy.ndimage import distance_transform_edt

            nearest = distance_transform_edt(along != 0, sampling=steps, return_distances=False, return_indices=True)
            return np.asarray(nearest[:, points[:, 0], points[:, 1], points[:, 2]].T)
        from scipy.spatial import cKDTree

        tree = cKDTree(others * steps, balanced_tree=False)
        return np.asarray(others[tree.query(points * steps)[1]])


@lru_cache(maxsize=32)
def _nearest_rows(steps: tuple[float, ...], flat: bool, n_rows: int) -> tuple[NDArray[np.int32], Distances, float]:
    """Offsets (z, y) of about that many rows by their distance, these squared, and below which none is left out."""
    radius = steps[1] * n_rows / 2 if flat else math.sqrt(n_rows * steps[0] * steps[1] / math.pi)
    n_z, n_y = (0 if flat else int(radius / steps[0]) + 1), int(radius / steps[1]) + 1
    z, y = (part.ravel() for part in np.mgrid[-n_z : n_z + 1, -n_y : n_y + 1])
    across = (z * steps[0]) ** 2 + (y * steps[1]) ** 2
    order = np.argsort(across, kind="stable")
    order = order[across[order] <= radius * radius]
    return np.stack([z, y], axis=1)[order].astype(np.int32), across[order], radius * radius


def _as_bytes(mask: NDArray[Any]) -> NDArray[np.uint8]:
    """A mask of one byte a voxel as contiguous (Z, Y, X) bytes, axes as they lie in memory; a 2-D one has one slice."""
    found: NDArray[np.uint8] = np.ascontiguousarray(mask.T if mask.flags.f_contiguous else mask).view(np.uint8)
    return found if found.ndim == 3 else found[None]


def _nearest(points: Mask, others: Mask, spacing: Sequence[float], axes: Distances | None) -> Distances:
    """Distance from each true voxel of `points` to the nearest of `others`; voxels in both have 0 for nothing."""
    from scipy import ndimage
    from scipy.spatial import cKDTree

    where = np.nonzero(points)
    n_others = int(np.count_nonzero(others))
    if n_others == 0:
        return np.full(where[0].size, np.inf)
    distances = np.zeros(where[0].size)
    apart = np.flatnonzero(~others[where])
    start = np.stack([axis[apart] for axis in where], axis=1)
    if apart.size == 0:
        return distances
    if axes is not None:
        # The distance transform knows right angles only.
        tree = cKDTree(np.argwhere(others) @ axes.T, balanced_tree=False)
        distances[apart] = tree.query(start @ axes.T)[0]
        return distances
    steps = np.asarray(spacing, dtype=np.float64)
    # Both ways are exact. Measured: a tree costs about as much as 1.5 voxels of the transform for each point in it
    # and 4 for each query, so that compact lesions take the tree and noise that fills the image the transform.
    if 1.5 * n_others + 4 * apart.size < points.size:
        tree = cKDTree(np.argwhere(others) * steps, balanced_tree=False)
        distances[apart] = tree.query(start * steps)[0]
    else:
        nearest = ndimage.distance_transform_edt(~others, sampling=steps, return_distances=False, return_indices=True)
        end = nearest[(slice(None), *start.T)].T
        distances[apart] = np.sqrt((((end - start) * steps) ** 2).sum(axis=1))
    return distances
