"""What a lesion looks like under its label: how far it stands out from its surroundings, and how sharp its edge is.

Arrays in, numbers out: reads no file, and imports no torch. Both numbers are divided by the spread of the surroundings,
so that neither depends on the unit of the grey levels, and both are taken on a box around the lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["RING_MM", "Appearance", "appearance_of"]

RING_MM = 5.0
"""Width of the ring around a lesion that is its surroundings; a voxel where voxels are larger. A pixel of a picture
that states no size counts as 1 mm, as everywhere."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """One lesion as its image shows it, in the channel in which it stands out most.

    Attributes:
        contrast: (mean inside - mean of the ring) / standard deviation of the ring; below 0 where the lesion is darker.
        edge_sharpness: Mean absolute derivative of the grey level across the boundary (central differences), per mm,
            over the voxels beside it on either side, / standard deviation of the ring.
        channel: The one of the largest absolute contrast.
    """

    contrast: float
    edge_sharpness: float
    channel: int


def appearance_of(
    image: NDArray[np.floating],
    lesion: NDArray[np.bool_],
    spacing_mm: tuple[float, ...],
    *,
    ignored: NDArray[np.bool_] | None = None,
) -> Appearance | None:
    """Contrast and edge sharpness of a lesion.

    Args:
        image: (C, X, Y) or (C, X, Y, Z) grey levels, in any unit; an axis of one voxel has no extent.
        lesion: (X, Y) or (X, Y, Z).
        spacing_mm: Side of a voxel along each axis.
        ignored: Of the lesion's shape: voxels that count nowhere.

    Returns:
        The appearance; None without a lesion, without surroundings (the lesion fills the image), and where these are of
        one grey level in every channel, so that there is nothing to compare with.
    """
    if not lesion.any():
        return None
    box = _box(lesion, spacing_mm)
    grey = np.asarray(image[(slice(None), *box)], dtype=np.float64)
    inside, sides = lesion[box], np.asarray(spacing_mm)
    flat = tuple(axis for axis, side in enumerate(inside.shape) if side == 1)
    if flat and len(flat) < inside.ndim:
        grey, inside = np.squeeze(grey, tuple(axis + 1 for axis in flat)), np.squeeze(inside, flat)
        sides = np.delete(sides, flat)
    counted = np.ones_like(inside) if ignored is None else ~ignored[box].reshape(inside.shape)
    return _measured(grey, inside & counted, inside, counted, sides)


def _measured(
    grey: NDArray[np.float64],
    core: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    counted: NDArray[np.bool_],
    sides: NDArray[np.float64],
) -> Appearance | None:
    """The numbers on a box without axes of one voxel."""
    outwards, inwards = (ndimage.distance_transform_edt(part, sampling=sides) for part in (~inside, inside))
    ring = ~inside & counted & (outwards <= _reach(sides))
    if ring.sum() < 2 or not core.any():
        return None
    spread = grey[:, ring].std(axis=1)
    # A spread that is rounding alone is none.
    usable = spread > 1e-6 * np.abs(grey[:, ring | core]).max(axis=1)
    if not usable.any():
        return None
    raised = grey[:, core].mean(axis=1) - grey[:, ring].mean(axis=1)
    contrast = np.divide(raised, spread, out=np.zeros_like(raised), where=usable)
    channel = int(np.argmax(np.abs(contrast)))
    across = _derivative(grey[channel], outwards - inwards, sides)
    # Distances count from centres: a voxel beside the boundary is a whole side away from the nearest of the others.
    # Where sides differ these are the voxels beside it along the smallest, along which an edge is best seen.
    edge = counted & (outwards + inwards <= sides.min() * (1 + 1e-9))
    if not edge.any():
        return None
    sharpness = float(np.abs(across[edge]).mean() / spread[channel])
    return Appearance(float(contrast[channel]), sharpness, channel)


def _derivative(
    grey: NDArray[np.float64], signed: NDArray[np.float64], sides: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Derivative of the grey level along the direction in which the signed distance to the boundary grows, per mm."""
    steep = np.stack([np.gradient(grey, side, axis=axis) for axis, side in enumerate(sides)])
    away = np.stack([np.gradient(signed, side, axis=axis) for axis, side in enumerate(sides)])
    length = np.sqrt((away**2).sum(axis=0))
    return np.asarray((steep * away).sum(axis=0) / np.maximum(length, 1e-12), dtype=np.float64)


def _reach(sides: NDArray[np.float64]) -> float:
    """How far the ring goes; at least to the next voxel."""
    return max(RING_MM, float(sides.min()))


def _box(lesion: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> tuple[slice, ...]:
    """The lesion with its ring, and a voxel more for derivatives."""
    reach = _reach(np.asarray(spacing_mm, dtype=np.float64))
    found = []
    for axis, side in enumerate(spacing_mm):
        others = tuple(other for other in range(lesion.ndim) if other != axis)
        places = np.flatnonzero(lesion.any(axis=others))
        margin = int(np.ceil(reach / side)) + 1
        found.append(slice(max(0, int(places[0]) - margin), int(places[-1]) + 1 + margin))
    return tuple(found)
