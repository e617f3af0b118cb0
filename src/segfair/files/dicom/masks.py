"""One DICOM object -> a mask or a map: which kind it is, and that it belongs to the series whose grid it is given."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from segfair.cases import DicomMask
from segfair.errors import InputError
from segfair.files.dicom.headers import dicom_file, open_dicom, text
from segfair.files.dicom.segmentations import read_segmentation, segment_names
from segfair.files.dicom.structure_sets import read_structure_set, roi_names
from segfair.files.images.grids import Mask

__all__ = ["RTSTRUCT", "SEGMENTATIONS", "read_dicom_mask", "structures_of"]

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of Segmentation Storage and Label Map Segmentation Storage."""
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def structures_of(dataset: Any) -> dict[int, str]:
    """Number -> name of the segments or regions of interest of an object; none of another kind."""
    kind = text(dataset, "SOPClassUID")
    return segment_names(dataset) if kind in SEGMENTATIONS else roi_names(dataset) if kind == RTSTRUCT else {}


def read_dicom_mask(path: Path, meant: DicomMask | None = None, *, as_map: bool = False) -> Mask:
    """The mask in a DICOM-SEG or RTSTRUCT file.

    Args:
        path: The file.
        meant: How it is meant; None: every structure by its own number, on the object's own grid.
        as_map: Whether a fractional segmentation is wanted as float32 from 0 to 1; any other mask is 0 and 1 then.

    Returns:
        Integers, or float32 `as_map`, axes (column, row, slice).

    Raises:
        InputError: It is another kind of object, damaged, or contradicts itself.
        ConfigError: pydicom is not installed.
    """
    meant = meant or DicomMask()
    if meant.problem:
        raise InputError(f"{path}: {meant.problem}")
    dataset = open_dicom(path, with_pixels=True)
    try:
        with dicom_file(path):
            mask = _read(dataset, path, meant, as_map=as_map)
    except InputError as error:
        # The readers do not know the file.
        raise error if str(error).startswith(str(path)) else InputError(f"{path}: {error}") from error
    return mask


def _read(dataset: Any, path: Path, meant: DicomMask, *, as_map: bool) -> Mask:
    kind = text(dataset, "SOPClassUID")
    if kind in SEGMENTATIONS:
        own = text(dataset, "FrameOfReferenceUID")
        if own and meant.frame_of_reference and own != meant.frame_of_reference:
            raise InputError(f"lies in another frame of reference ({own}) than the image series at hand")
        _check_numbers(dataset, meant)
        return read_segmentation(dataset, meant, as_map=as_map)
    if kind == RTSTRUCT:
        _check_numbers(dataset, meant)
        mask = read_structure_set(dataset, meant)
        return dataclasses.replace(mask, part=(mask.part != 0).astype(np.float32)) if as_map else mask
    what = text(dataset, "Modality") or kind or "no known kind"
    raise InputError(f"is no segmentation but an object of {what}; masks are DICOM-SEG or RTSTRUCT")


def _check_numbers(dataset: Any, meant: DicomMask) -> None:
    names = structures_of(dataset)
    if not names:
        raise InputError("describes no segment or region of interest; write it again")
    # Values are labels of a mask: 0 is its background.
    if min(names) < 0 or (min(names) < 1 and meant.values is None):
        raise InputError(f"numbers a structure {min(names)} ({names[min(names)]}); numbers begin at 1")
