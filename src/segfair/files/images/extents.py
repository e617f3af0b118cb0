"""Two masks on one lattice of voxels, of which one does not say where its image ends, on one grid. Never resamples."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from segfair.files.images.grids import Affine, Mask, Place, SharedGrid, displacement_mm, matching_axes, transfer_of

__all__ = ["together"]


def together(label: Mask, prediction: Mask, *, tolerance: float) -> tuple[Mask, Mask]:
    """Both masks on a grid that holds both, where one of them is not bounded and the other's voxels continue its own.

    What lies around a mask that is not bounded is background. One that is bounded keeps its grid, and so does what may
    lie beyond it on the other side: two such masks are on different grids still.

    Args:
        label: The label.
        prediction: The prediction.
        tolerance: See `grids.shared_grid`.

    Returns:
        Label and prediction, each with its own axes; unchanged where there is no such grid.
    """
    if (label.bounded and prediction.bounded) or label.ndim < 3 or prediction.ndim < 3:
        return label, prediction
    turned = _on_axes_of(label, prediction)
    if turned is None:
        return label, prediction
    shift = np.rint((np.linalg.inv(label.affine) @ turned.affine[:, 3])[:3]).astype(int)
    expected = _moved(label.affine, shift)
    if displacement_mm(turned.affine, expected, turned.shape) > tolerance * min(label.spacing_mm):
        return label, prediction
    own = np.array([[0, 0, 0], label.shape])
    other = np.array([shift, shift + turned.shape])
    low, high = own if label.bounded else other
    if not (label.bounded or prediction.bounded):
        low, high = np.minimum(own[0], other[0]), np.maximum(own[1], other[1])
    wide_label, wide = _widened(label, -low, high - low), _widened(turned, shift - low, high - low)
    return (label, prediction) if wide_label is None or wide is None else (wide_label, wide)


def _on_axes_of(fixed: Mask, moving: Mask) -> Mask | None:
    """A mask with its axes in the order and the directions of those of another one, which may be of another size."""
    axes = matching_axes(moving.affine, fixed.affine)
    if axes is None:
        return None
    affine = moving.affine @ transfer_of(SharedGrid(*axes), moving.shape)
    return dataclasses.replace(moving.turned(*axes), affine=affine, other_affines={})


def _moved(affine: Affine, by: NDArray[np.int64]) -> Affine:
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ by
    return moved


def _widened(mask: Mask, at: NDArray[np.int64], shape: NDArray[np.int64]) -> Mask | None:
    """A mask in a larger image, or cut where nothing is lost; None where something would be.

    Args:
        mask: The mask.
        at: Where its first voxel lies there.
        shape: Of the image.
    """
    corner = at + [side.start for side in mask.box]
    inner = tuple(
        slice(max(0, -start), max(0, min(length, end - start)))
        for start, length, end in zip(corner.tolist(), mask.part.shape, shape.tolist(), strict=True)
    )
    kept = mask.part[inner]
    if np.count_nonzero(kept) < np.count_nonzero(mask.part):
        return None
    affine, whole = _moved(mask.affine, -at), tuple(shape.tolist())
    found = dataclasses.replace(mask, affine=affine, bounded=True, place=Place(whole, (0, 0, 0)))
    if kept.size == 0:
        return found.emptied()
    place = Place(whole, tuple(np.maximum(corner, 0).tolist()))
    return dataclasses.replace(found, part=kept, place=place)
