"""The box around what is not background, outside of which no score depends on anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.files.images.grids import Mask

__all__ = ["box_around", "joint_box"]

Extent = list[tuple[int, int]]


def joint_box(label: NDArray[Any], prediction: NDArray[Any]) -> tuple[slice, ...] | None:
    """The smallest box with all non-zero voxels of two arrays of one shape, one voxel wider on each side.

    Returns:
        One slice an axis, within the image; None where both arrays are zero everywhere.
    """
    return _widened([_extent(label), _extent(prediction)], label.shape)


def box_around(*masks: Mask) -> tuple[slice, ...] | None:
    """The same of masks from files, of one shape."""
    extents: list[Extent | None] = []
    for mask in masks:
        extent = _extent(mask.part)
        if extent is not None:
            extent = [(low + side.start, high + side.start) for (low, high), side in zip(extent, mask.box, strict=True)]
        extents.append(extent)
    return _widened(extents, masks[0].shape)


def _widened(extents: Sequence[Extent | None], shape: tuple[int, ...]) -> tuple[slice, ...] | None:
    some = [extent for extent in extents if extent is not None]
    if not some:
        return None
    return tuple(
        slice(max(0, min(low for low, _ in axis) - 1), min(length, max(high for _, high in axis) + 1))
        for length, *axis in zip(shape, *some, strict=True)
    )


def _extent(array: NDArray[Any]) -> Extent | None:
    """First and last-but-one index of the non-zero voxels along each axis; None where there are none."""
    # Slowest axis first: one pass over contiguous memory, then only what is left of it.
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    view = array.transpose(order)
    view = view.view(np.uint8) if view.dtype.kind == "b" else view
    extent = [(0, 0)] * array.ndim
    for position, axis in enumerate(order):
        planes = np.moveaxis(view, position, 0)
        found = _few_from_the_ends(planes) or _from_all(planes)
        if found is None:
            return None
        extent[axis] = found
        view = view[(slice(None),) * position + (slice(*found),)]
    return extent


def _few_from_the_ends(planes: NDArray[Any]) -> tuple[int, int] | None:
    """Where planes that hold something begin and end, if at both ends one of the first two does: cut out before."""
    low = next((index for index in range(min(2, len(planes))) if planes[index].any()), None)
    high = next((index for index in range(min(2, len(planes))) if planes[-1 - index].any()), None)
    return None if low is None or high is None else (low, len(planes) - high)


def _from_all(planes: NDArray[Any]) -> tuple[int, int] | None:
    others = tuple(range(1, planes.ndim))
    # For whole numbers "or" is several times faster than numpy's any, which converts to booleans first.
    hit = np.bitwise_or.reduce(planes, axis=others) if planes.dtype.kind in "iu" else planes.any(axis=others)
    found = np.flatnonzero(hit)
    return (int(found[0]), int(found[-1]) + 1) if found.size else None
