"""An image series -> one volume, with the datasets of its slices in its order. Never resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError
from segfair.files.dicom.headers import dicom_file, items, number, open_dicom, text, whole
from segfair.files.dicom.index import ImageSeries
from segfair.files.dicom.planes import Plane, frame_planes, plane_of, stack_of
from segfair.files.images.grids import Mask

__all__ = ["SeriesImage", "read_series"]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesImage:
    """The images of a series.

    Attributes:
        image: Intensities as float32, rescaled as headers say; axes (column, row, slice).
        sources: The headers of its files: one a slice, in its order, or one file of all frames.
        frames: For one file of all frames, the frame of each slice; empty for a file a slice.
    """

    image: Mask
    sources: tuple[Any, ...]
    frames: tuple[int, ...] = ()


def read_series(series: ImageSeries) -> SeriesImage:
    """Reads the images of a series.

    Raises:
        InputError: Its slices make no volume, one is missing or there twice, colour, or pixels that cannot be read.
    """
    where = f"series {series.uid} in {series.files[0].parent}"
    slices: list[NDArray[np.float32]] = []
    planes: list[Plane] = []
    sources: list[Any] = []
    for path in series.files:
        dataset = open_dicom(path, with_pixels=True)
        with dicom_file(path):
            found, pixels = _slices(dataset)
        if len(series.files) > 1 and len(found) > 1:
            raise InputError(f"{where}: several files of several frames; convert them one by one")
        planes += found
        slices += pixels
        del dataset.PixelData
        sources.append(dataset)
    try:
        stack = stack_of(planes)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if stack.n_absent:
        raise InputError(f"{where}: {stack.n_absent} of its slices are missing; copy it again")
    if len(set(stack.index)) < len(stack.index):
        raise InputError(f"{where}: has several images of one slice (phases, echoes?); split it into a series each")
    order = np.argsort(stack.index)
    volume = np.stack([slices[at].T for at in order], axis=2)
    if len(sources) == 1 and len(order) > 1:
        return SeriesImage(Mask(volume, stack.affine), tuple(sources), tuple(map(int, order)))
    return SeriesImage(Mask(volume, stack.affine), tuple(sources[at] for at in order))


def _slices(dataset: Any) -> tuple[list[Plane], list[NDArray[np.float32]]]:
    """Where the images of a file lie, and their intensities, (rows, columns) each."""
    from pydicom.pixels import apply_modality_lut, pixel_array

    if dataset.get("PixelData") is None:
        raise InputError("has no pixel data; copy it again")
    if whole(dataset, "SamplesPerPixel", 1) != 1:
        raise InputError(f"is in colour ({text(dataset, 'PhotometricInterpretation')}); a volume has one value a voxel")
    per_frame = bool(items(dataset, "PerFrameFunctionalGroupsSequence"))
    planes = frame_planes(dataset) if per_frame else [plane_of(dataset)]
    known = [plane for plane in planes if plane is not None]
    if len(known) < len(planes):
        raise InputError("does not say where it lies in the patient")
    pixels = pixel_array(dataset).reshape(-1, whole(dataset, "Rows"), whole(dataset, "Columns"))
    if len(pixels) != len(known):
        raise InputError(f"holds {len(pixels)} frames and says where {len(known)} of them lie")
    if not per_frame:
        return known, [np.asarray(apply_modality_lut(pixels[0], dataset), np.float32)]
    return known, [_rescaled(frame, dataset, at) for at, frame in enumerate(pixels)]


def _rescaled(pixels: NDArray[Any], dataset: Any, at: int) -> NDArray[np.float32]:
    """One frame as the Pixel Value Transformation of its own, or of all frames, has it."""
    frame = items(dataset, "PerFrameFunctionalGroupsSequence")[at]
    shared: Any = next(iter(items(dataset, "SharedFunctionalGroupsSequence")), {})
    keyword = "PixelValueTransformationSequence"
    rule: Any = next(iter(items(frame, keyword) or items(shared, keyword)), {})
    slope, intercept = number(rule, "RescaleSlope"), number(rule, "RescaleIntercept")
    return np.asarray(pixels * (1.0 if slope is None else slope) + (intercept or 0.0), np.float32)
