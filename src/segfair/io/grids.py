"""The voxel grid a mask lies on: re-expressing one mask on another's axes, grids in words. Reads no file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Mask", "align", "axis_codes", "describe_difference", "describe_grid"]

# Names of the two directions of each world axis (RAS+ millimetres): negative, positive.
AXIS_NAMES = (("L", "R"), ("P", "A"), ("I", "S"))


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """One stored mask and its geometry.

    Attributes:
        array: Integer label values, 2-D or 3-D, axes as stored (x, y, z); may be read-only.
        affine: (4, 4) float64, voxel index -> RAS+ millimetres; the identity for files without geometry.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance between neighbouring voxels in mm, one entry per array axis."""
        lengths = np.sqrt((self.affine[:3, : self.array.ndim] ** 2).sum(axis=0))
        return tuple(float(length) for length in lengths)


def align(moving: Mask, fixed: Mask, *, tolerance: float) -> Mask | None:
    """Re-expresses a mask on the axes of another one where both are the same grid.

    The same grid may be stored in any axis order with any axis flipped, and at any angle to the patient. Voxels are
    never interpolated: what comes back is a view.

    Args:
        moving: The mask to re-express.
        fixed: The mask whose axes count.
        tolerance: Largest difference of an affine entry (mm) that still is rounding, not another grid.

    Returns:
        `moving` itself where it already lies that way, a view of it where axes had to be exchanged or flipped,
        None where the two grids differ.
    """
    if moving.array.shape == fixed.array.shape and _close(moving.affine, fixed.affine, tolerance):
        return moving
    axes = _matching_axes(moving.affine, fixed.affine)
    if axes is None:
        return None
    order, flipped = axes
    # A 2-D mask is a 3-D one of one slice.
    volume = moving.array.reshape(moving.array.shape + (1,) * (3 - moving.array.ndim))
    wanted = fixed.array.shape + (1,) * (3 - fixed.array.ndim)
    if tuple(volume.shape[axis] for axis in order) != wanted:
        return None
    to_moving = np.zeros((4, 4))
    to_moving[3, 3] = 1
    for axis, (source, flip) in enumerate(zip(order, flipped, strict=True)):
        to_moving[source, axis] = -1 if flip else 1
        to_moving[source, 3] = volume.shape[source] - 1 if flip else 0
    affine = moving.affine @ to_moving
    if not _close(affine, fixed.affine, tolerance):
        return None
    volume = volume.transpose(order)[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    return Mask(volume.reshape(fixed.array.shape) if fixed.array.ndim < 3 else volume, affine)


def _close(first: NDArray[np.float64], second: NDArray[np.float64], tolerance: float) -> bool:
    return bool(np.abs(first - second).max() <= tolerance)


def _matching_axes(
    moving: NDArray[np.float64], fixed: NDArray[np.float64]
) -> tuple[tuple[int, ...], tuple[bool, ...]] | None:
    """For each axis of `fixed` the axis of `moving` nearest to it and whether it runs the other way.

    None where no one-to-one match exists, which for the same grid cannot happen.
    """
    try:
        transfer = np.linalg.solve(moving[:3, :3], fixed[:3, :3])
    except np.linalg.LinAlgError:
        return None
    order = tuple(int(axis) for axis in np.abs(transfer).argmax(axis=0))
    if sorted(order) != [0, 1, 2]:
        return None
    return order, tuple(bool(transfer[source, axis] < 0) for axis, source in enumerate(order))


def describe_grid(mask: Mask) -> str:
    """The grid in words: `256x256x158, 0.586x0.586x3.3 mm, PIR` (the direction each axis runs to)."""
    shape = "x".join(str(length) for length in mask.array.shape)
    spacing = "x".join(f"{length:.3g}" for length in mask.spacing_mm)
    return f"{shape}, {spacing} mm, {axis_codes(mask)}"


def describe_difference(label: Mask, prediction: Mask) -> str:
    """How two grids differ, for an error message.

    Returns:
        Both descriptions; where these read alike, how far apart the corners of the two volumes lie.
    """
    on_label, on_prediction = describe_grid(label), describe_grid(prediction)
    if on_label != on_prediction:
        return f"label is {on_label}; prediction is {on_prediction}"
    ends = [(0, length - 1) for length in label.array.shape]
    corners = np.array([corner + (0,) * (3 - len(corner)) + (1,) for corner in product(*ends)], dtype=float)
    apart = np.linalg.norm((corners @ (label.affine - prediction.affine).T)[:, :3], axis=1).max()
    return f"label and prediction are both {on_label}, but their corners lie up to {apart:.3g} mm apart"


def axis_codes(mask: Mask) -> str:
    """One letter per array axis; the most aligned axis chooses its world axis first, so each is named once."""
    direction = mask.affine[:3, : mask.array.ndim] / np.asarray(mask.spacing_mm)
    codes = [""] * mask.array.ndim
    free = np.abs(direction)
    for _ in codes:
        world, axis = np.unravel_index(free.argmax(), free.shape)
        codes[axis] = AXIS_NAMES[world][int(direction[world, axis] > 0)]
        free[world, :] = free[:, axis] = -1
    return "".join(codes)
