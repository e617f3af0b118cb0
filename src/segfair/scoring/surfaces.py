"""Surfaces of masks on a voxel grid, and the distances between them. Arrays only, exact; knows no metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

__all__ = ["Border", "SurfaceDistances", "distances_between", "joint_box", "surface_voxels"]

Border = Literal["background", "none"]
Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]


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


def distances_between(
    label_surface: Mask,
    prediction_surface: Mask,
    *,
    spacing: Sequence[float],
    axes: Distances | None = None,
) -> SurfaceDistances:
    """Directed distances between two sets of voxels of one grid.

    Args:
        label_surface: Booleans.
        prediction_surface: Booleans of the same shape.
        spacing: Length of a voxel along each axis, in the unit the distances shall have.
        axes: (n, n) in that unit, where the axes are not at right angles: column k is the step along axis k. None:
            they are, and `spacing` says it all.

    Returns:
        The distances; inf where the other set is empty.
    """
    return SurfaceDistances(
        _nearest(label_surface, prediction_surface, spacing, axes),
        _nearest(prediction_surface, label_surface, spacing, axes),
    )


def joint_box(label: NDArray[Any], prediction: NDArray[Any]) -> tuple[slice, ...] | None:
    """The smallest box with all non-zero voxels of both arrays, one voxel wider on each side, within the image.

    Returns:
        One slice an axis, or None where both arrays are zero everywhere.
    """
    extents = [extent for extent in (_extent(label), _extent(prediction)) if extent is not None]
    if not extents:
        return None
    return tuple(
        slice(max(0, min(low for low, _ in axis) - 1), min(length, max(high for _, high in axis) + 1))
        for length, *axis in zip(label.shape, *extents, strict=True)
    )


def _nearest(points: Mask, others: Mask, spacing: Sequence[float], axes: Distances | None) -> Distances:
    """Distance from each true voxel of `points` to the nearest of `others`; voxels in both have 0 for nothing."""
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


def _extent(array: NDArray[Any]) -> list[tuple[int, int]] | None:
    """First and last-but-one index of the non-zero voxels along each axis; None where there are none."""
    # Slowest axis first: one pass over contiguous memory, then only what is left of it.
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    view = array.transpose(order)
    extent = [(0, 0)] * array.ndim
    for position, axis in enumerate(order):
        others = tuple(other for other in range(array.ndim) if other != position)
        # For whole numbers "or" is several times faster than numpy's any, which converts to booleans first.
        hit = np.bitwise_or.reduce(view, axis=others) if view.dtype.kind in "iu" else view.any(axis=others)
        found = np.flatnonzero(hit)
        if found.size == 0:
            return None
        extent[axis] = (int(found[0]), int(found[-1]) + 1)
        view = view[(slice(None),) * position + (slice(*extent[axis]),)]
    return extent
