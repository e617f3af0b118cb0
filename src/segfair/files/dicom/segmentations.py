"""DICOM-SEG -> a mask, frame by frame. Never resamples, and never decides which segments count.

Frames lie where they say they lie; on the grid of the image series where that is at hand and holds them, else on their
own, which ends with the first and the last frame that was written (`Mask.bounded`). Segments may overlap, a mask of
values may not: an overlap of two values is refused, unless one of them gives way (`DicomMask.beneath`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.cases import DicomMask
from segfair.errors import InputError
from segfair.files.dicom.headers import items, number, numbers, text, whole
from segfair.files.dicom.planes import Plane, Stack, frame_planes, stack_of
from segfair.files.images.grids import Mask, Place, displacement_mm
from segfair.files.images.nifti import LPS

__all__ = ["read_segmentation", "segment_names"]

# Share of a voxel edge by which frames may lie beside the slices of their series.
_BESIDE = 0.01


def segment_names(dataset: Any) -> dict[int, str]:
    """Number -> label of each segment; a label map may describe its background, which is none."""
    found = {
        whole(segment, "SegmentNumber"): text(segment, "SegmentLabel") for segment in items(dataset, "SegmentSequence")
    }
    return {number: name or f"segment {number}" for number, name in found.items() if number != 0}


def read_segmentation(dataset: Any, meant: DicomMask, *, as_map: bool) -> Mask:
    """The mask in a segmentation, or the map of its probabilities.

    Args:
        dataset: The whole object.
        meant: Which segments count, and on which grid they lie.
        as_map: Whether fractions are wanted as float32 from 0 to 1, the largest of the segments that count.

    Raises:
        InputError: It cannot be used.
    """
    frames = _frames(dataset)
    values = _values(dataset, meant)
    if all(plane is None for plane in frames.planes):
        return _flat(dataset, frames, values, meant, as_map=as_map)
    stack, placed, on_series = _on_grid(frames.planes, meant)
    chosen = [at for at, segment in enumerate(frames.segments) if segment is None or segment in values]
    slices = [placed[at] for at in chosen]
    first, last = (min(slices), max(slices)) if slices else (0, 0)
    part = np.zeros((*stack.shape[:2], last - first + 1), np.float32 if as_map else _type_for(values))
    paint = _painter(part, values, meant, segment_names(dataset))
    for at, pixels in _pixels(dataset, chosen, as_map=as_map):
        paint(pixels.T, frames.segments[at], (slice(None), slice(None), placed[at] - first))
    place = Place(stack.shape, (0, 0, first))
    return Mask(part, stack.affine, place=place, bounded=on_series, notes=meant.notes)


@dataclass(frozen=True, slots=True)
class _Frames:
    """Where each frame lies, and the number of its segment; None for a frame of label values."""

    planes: list[Plane | None]
    segments: list[int | None]


def _frames(dataset: Any) -> _Frames:
    kind = text(dataset, "SegmentationType")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise InputError(f"its Segmentation Type is {kind or 'missing'}; known are BINARY, FRACTIONAL and LABELMAP")
    if dataset.get("PixelData") is None:
        raise InputError("has no pixel data; write or copy it again")
    planes = frame_planes(dataset)
    if kind == "LABELMAP":
        return _Frames(planes, [None] * len(planes))
    shared: Any = next(iter(items(dataset, "SharedFunctionalGroupsSequence")), {})
    segments: list[int | None] = []
    for frame in items(dataset, "PerFrameFunctionalGroupsSequence"):
        named = items(frame, "SegmentIdentificationSequence") or items(shared, "SegmentIdentificationSequence")
        segments.append(whole(named[0], "ReferencedSegmentNumber") if named else 0)
    unknown = {segment for segment in segments if segment} - set(segment_names(dataset))
    if unknown or 0 in segments:
        which = f"segment {min(unknown)}, which it does not describe" if unknown else "no segment"
        raise InputError(f"has frames of {which}; write it again")
    return _Frames(planes, segments)


def _values(dataset: Any, meant: DicomMask) -> Mapping[int, int]:
    names = segment_names(dataset)
    return {segment: segment for segment in names} if meant.values is None else meant.values


def _type_for(values: Mapping[int, int]) -> np.dtype[Any]:
    return np.min_scalar_type(max(values.values(), default=1))


def _pixels(dataset: Any, chosen: Sequence[int], *, as_map: bool) -> Iterator[tuple[int, NDArray[Any]]]:
    """The frames chosen by their positions, (rows, columns) each; fractions only as a map, or where they are whole."""
    from pydicom.pixels import iter_pixels

    if not chosen:
        return
    fractional = text(dataset, "SegmentationType") == "FRACTIONAL"
    most = whole(dataset, "MaximumFractionalValue", 255)
    for at, pixels in zip(chosen, iter_pixels(dataset, indices=chosen), strict=True):
        if not fractional:
            yield at, pixels.astype(np.float32) if as_map else pixels
        elif as_map:
            yield at, pixels.astype(np.float32) / np.float32(most)
        else:
            between = (pixels != 0) & (pixels != most)
            if between.any():
                example = float(pixels[between][0]) / most
                raise InputError(
                    f"is fractional: a probability map, with values such as {example:.4g}; say from which on it is "
                    "lesion with --threshold (for example 0.5), or write a binary segmentation"
                )
            yield at, pixels != 0


Where = tuple[Any, ...]


def _painter(
    part: NDArray[Any], values: Mapping[int, int], meant: DicomMask, names: Mapping[int, str]
) -> Callable[[NDArray[Any], int | None, Where], None]:
    """Puts one frame after the other into `part`."""

    def paint(pixels: NDArray[Any], segment: int | None, where: Where) -> None:
        target = part[where]
        if segment is None:
            for own, value in values.items():
                target[pixels == own] = 1 if part.dtype.kind == "f" else value
        elif part.dtype.kind == "f":
            np.maximum(target, pixels, out=target)
        else:
            put_value(target, pixels != 0, segment, values, meant, names)

    return paint


def put_value(
    target: NDArray[Any],
    inside: NDArray[np.bool_],
    structure: int,
    values: Mapping[int, int],
    meant: DicomMask,
    names: Mapping[int, str],
) -> None:
    """Gives the voxels of a structure its value.

    Raises:
        InputError: They have another value already, and neither gives way.
    """
    value, low = values[structure], {values[entry] for entry in meant.beneath}
    others = inside & (target != 0) & (target != value)
    if others.any():
        if value in low:
            inside = inside & ~others
        elif not np.isin(target[others], list(low)).all():
            other = next(name for entry, name in names.items() if values.get(entry) in set(target[others].tolist()))
            raise InputError(
                f"{other} and {names.get(structure, structure)} overlap, here in {int(others.sum()):,} voxels of one "
                "slice; score one of them, or both as one, with --label"
            )
    target[inside] = value


def _on_grid(planes: Sequence[Plane | None], meant: DicomMask) -> tuple[Stack, list[int], bool]:
    """The grid of the frames, the slice of each, and whether it is the series': it is where they lie on it."""
    known = [plane for plane in planes if plane is not None]
    if len(known) < len(planes):
        raise InputError("some of its frames do not say where they lie; write it again")
    if meant.grid is not None:
        affine = np.array(meant.grid.affine)
        slices = _slices_of(known, affine, meant.grid.shape)
        if slices is not None:
            return Stack(affine, meant.grid.shape, tuple(slices), 0), slices, True
    own = stack_of(known, with_gaps=True)
    return own, list(own.index), False


def _slices_of(planes: Sequence[Plane], affine: NDArray[np.float64], shape: tuple[int, int, int]) -> list[int] | None:
    """The slice of a grid that each plane is; None where one is none."""
    inverse, edge = np.linalg.inv(affine), float(np.linalg.norm(affine[:3, :3], axis=0).min())
    found = []
    for plane in planes:
        own = affine.copy()
        own[:3, 0] = LPS[:3, :3] @ plane.orientation[:3] * plane.spacing[1]
        own[:3, 1] = LPS[:3, :3] @ plane.orientation[3:] * plane.spacing[0]
        own[:3, 3] = LPS[:3, :3] @ plane.position
        at = int(np.rint((inverse @ own[:, 3])[2]))
        lifted = affine.copy()
        lifted[:3, 3] += at * affine[:3, 2]
        apart = displacement_mm(own, lifted, (*plane.shape, 1), flat=True)
        if plane.shape != shape[:2] or not 0 <= at < shape[2] or apart > _BESIDE * edge:
            return None
        found.append(at)
    return found


def _flat(dataset: Any, frames: _Frames, values: Mapping[int, int], meant: DicomMask, *, as_map: bool) -> Mask:
    """The mask of a picture, whose frames have no place in the patient: one a segment."""
    known = [segment for segment in frames.segments if segment is not None]
    if len(set(known)) < len(known) or (None in frames.segments and len(frames.segments) > 1):
        raise InputError("its frames do not say where they lie, and several are of one segment; write one file each")
    shape = (whole(dataset, "Columns"), whole(dataset, "Rows"))
    part = np.zeros(shape, np.float32 if as_map else _type_for(values))
    paint = _painter(part, values, meant, segment_names(dataset))
    chosen = [at for at, segment in enumerate(frames.segments) if segment is None or segment in values]
    for at, pixels in _pixels(dataset, chosen, as_map=as_map):
        paint(pixels.T, frames.segments[at], (slice(None), slice(None)))
    shared: Any = next(iter(items(dataset, "SharedFunctionalGroupsSequence")), {})
    measures = next(iter(items(shared, "PixelMeasuresSequence")), dataset)
    spacing = numbers(measures, "PixelSpacing", 2)
    if spacing is None:
        return Mask(part, np.eye(4), other_affines={"no geometry": LPS}, has_size=False, notes=meant.notes)
    affine = np.diag([spacing[1], spacing[0], number(measures, "SliceThickness") or 1.0, 1.0])
    return dataclasses.replace(Mask(part, LPS @ affine), other_affines={"no geometry": affine}, notes=meant.notes)
