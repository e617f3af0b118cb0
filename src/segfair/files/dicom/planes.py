"""Planes in the patient -> the evenly spaced grid on which they lie. Reads headers and no pixels.

Planes are those of an image series (a file each, or frames of one file) or the frames of a segmentation, which may
leave out those that are empty. Positions are compared as points: the stack may be oblique, and sheared (gantry tilt).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError
from segfair.files.dicom.headers import items, number, numbers, whole
from segfair.files.images.grids import Mask, Place
from segfair.files.images.nifti import LPS

__all__ = ["Plane", "Stack", "frame_planes", "plane_of", "stack_of"]

# Millimetres within which two planes are one, and share of a slice's distance by which an even one may be off: many
# scanners write positions with one digit behind the point.
_SAME_MM, _UNEVEN = 1e-3, 0.05
# Cosines of orientations: stored with six digits, by some with four.
_TURNED = 1e-3


@dataclass(frozen=True, slots=True)
class Plane:
    """One slice or frame.

    Attributes:
        position: Centre of its first pixel in mm, DICOM's axes (LPS).
        orientation: Directions along a row and along a column.
        spacing: Between rows and between columns, mm.
        shape: Columns and rows.
        distance: Distance to the next plane, as the header has it; None: it does not say.
    """

    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    shape: tuple[int, int]
    distance: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The grid of some planes.

    Attributes:
        affine: (4, 4) voxel index (column, row, slice) -> RAS+ mm.
        shape: Columns, rows and slices.
        index: The slice of each plane, in their order.
        n_absent: Slices between the first and the last that no plane lies on.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]
    index: tuple[int, ...]
    n_absent: int

    @property
    def grid(self) -> Mask:
        """An empty mask on it."""
        return Mask(np.zeros((1, 1, 1), np.uint8), self.affine, place=Place(self.shape, (0, 0, 0)))


def plane_of(dataset: Any) -> Plane | None:
    """The plane of a file that holds one image; None where it does not say where it lies."""
    return _plane(dataset, dataset, dataset, dataset)


def frame_planes(dataset: Any) -> list[Plane | None]:
    """The planes of the frames of a file that holds several, in their order; None for one without a place.

    Raises:
        InputError: It describes fewer or more frames than it says it has.
    """
    shared: Any = next(iter(items(dataset, "SharedFunctionalGroupsSequence")), {})
    frames = items(dataset, "PerFrameFunctionalGroupsSequence")
    n_frames = whole(dataset, "NumberOfFrames", 1)
    if len(frames) != n_frames:
        raise InputError(f"says it has {n_frames} frames and describes {len(frames)}; write or copy it again")

    def group(frame: Any, keyword: str) -> Any:
        return next(iter(items(frame, keyword) or items(shared, keyword)), {})

    return [
        _plane(
            dataset,
            group(frame, "PlanePositionSequence"),
            group(frame, "PlaneOrientationSequence"),
            group(frame, "PixelMeasuresSequence"),
        )
        for frame in frames
    ]


def _plane(dataset: Any, place: Any, turn: Any, measures: Any) -> Plane | None:
    position = numbers(place, "ImagePositionPatient", 3)
    orientation = numbers(turn, "ImageOrientationPatient", 6)
    spacing = numbers(measures, "PixelSpacing", 2)
    shape = (whole(dataset, "Columns"), whole(dataset, "Rows"))
    if position is None or orientation is None or spacing is None or min(*spacing, *shape) <= 0:
        return None
    distance = number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness")
    return Plane(position, orientation, spacing, shape, abs(distance) if distance else None)


def stack_of(planes: Sequence[Plane], *, with_gaps: bool = False) -> Stack:
    """The evenly spaced grid that planes lie on.

    Args:
        planes: At least one.
        with_gaps: Whether most planes may be absent, so that the distance which the header states comes before the one
            that most neighbours have.

    Raises:
        InputError: Planes of several sizes or directions, or that are not evenly spaced.
    """
    first = planes[0]
    along_row, along_column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(along_row, along_column)
    lengths = [float(np.linalg.norm(axis)) for axis in (along_row, along_column, normal)]
    if max(abs(length - 1) for length in lengths) > _TURNED:
        raise InputError("its Image Orientation (Patient) is not two directions at right angles")
    if any(plane.shape != first.shape for plane in planes):
        raise InputError("its slices differ in size; split them into one series each")
    turned = np.abs(np.array([plane.orientation for plane in planes]) - first.orientation).max()
    stretched = np.abs(np.array([plane.spacing for plane in planes]) - first.spacing).max()
    if turned > _TURNED or stretched > _TURNED * min(first.spacing):
        raise InputError("its slices differ in direction or pixel spacing (a localizer among them?); split them")
    positions = np.array([plane.position for plane in planes])
    step, origin, index = _even_steps(positions, normal, first.distance, with_gaps=with_gaps)
    affine = np.eye(4)
    affine[:3, 0] = along_row * first.spacing[1]
    affine[:3, 1] = along_column * first.spacing[0]
    affine[:3, 2], affine[:3, 3] = step, origin
    n_slices = int(index.max()) + 1
    return Stack(LPS @ affine, (*first.shape, n_slices), tuple(map(int, index)), n_slices - len(np.unique(index)))


def _even_steps(
    positions: NDArray[np.float64], normal: NDArray[np.float64], stated: float | None, *, with_gaps: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """The step from slice to slice, the place of the first, and the slice of each plane."""
    depth = positions @ normal
    order = np.argsort(depth, kind="stable")
    gaps = np.diff(depth[order])
    real = gaps[gaps > _SAME_MM]
    if real.size == 0:
        if np.linalg.norm(positions - positions[0], axis=1).max() > _SAME_MM * 10:
            raise InputError("its slices lie beside each other in one plane; they are no volume")
        if stated is None:
            raise InputError("its only slice has no thickness (Slice Thickness, Spacing Between Slices)")
        return normal * stated, positions[0], np.zeros(len(positions), np.int64)
    # Of a series a few slices may be absent, so that its own distance is the usual one; of frames most may be.
    candidates = [stated, float(real.min())] if with_gaps and stated else [float(np.median(real))]
    off = np.inf
    for distance in candidates:
        steps = np.where(gaps > _SAME_MM, np.rint(gaps / distance), 0)
        if (steps[gaps > _SAME_MM] < 1).any():
            continue
        index = np.empty(len(positions), np.int64)
        index[order] = np.concatenate([[0], np.cumsum(steps)])
        lowest, highest = order[0], order[-1]
        step = (positions[highest] - positions[lowest]) / index[highest]
        placed = positions[lowest] + index[:, None] * step
        off = float(np.linalg.norm(positions - placed, axis=1).max())
        if off <= _UNEVEN * float(step @ normal):
            return step, positions[lowest], index
    told = ", ".join(f"{gap:.4g}" for gap in sorted(set(np.round(real, 3)))[:4])
    raise InputError(f"its slices are not evenly spaced: {told} mm from one to the next; resample or split the series")
