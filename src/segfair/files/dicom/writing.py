"""Masks as DICOM-SEG, by highdicom: what a model predicted from a series, in the patient and study of that series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.files.dicom.headers import dicom_file, require_dicom
from segfair.files.dicom.images import SeriesImage
from segfair.files.placing import placed_whole, told_unwritable

__all__ = ["write_segmentation"]

# What DICOM wants of a device that has none.
_NO_NUMBER = "none"
_SERIES_NUMBER = 1000


def write_segmentation(
    path: Path, masks: Mapping[str, NDArray[np.bool_]], source: SeriesImage, *, version: str, note: str = ""
) -> None:
    """Writes masks on the grid of a series as a binary segmentation, a segment each; they may overlap.

    The file appears under its name only once it is complete. Frames without a voxel are left out, unless all are.

    Args:
        path: Where to; folders in between are made.
        masks: Name -> mask, axes as those of the image of `source`.
        source: The images that the masks were predicted from.
        version: Of this software.
        note: What made the masks, for the description of the series; cut to 64 characters.

    Raises:
        InputError: Headers of the series lack what a segmentation needs, or the file cannot be written.
        ConfigError: highdicom is not installed.
    """
    require_dicom()
    order = np.argsort(source.frames) if source.frames else slice(None)
    stacked = np.stack([mask.transpose(2, 1, 0)[order] for mask in masks.values()], axis=-1)
    with dicom_file(path):
        segmentation = _segmentation(stacked, list(masks), source, version, note)
    with told_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with placed_whole(path) as unfinished:
            segmentation.save_as(unfinished)


def _segmentation(stacked: NDArray[np.bool_], names: list[str], source: SeriesImage, version: str, note: str) -> Any:
    from highdicom import UID, AlgorithmIdentificationSequence
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = AlgorithmIdentificationSequence(
        name="segfair", family=codes.DCM.ArtificialIntelligence, version=version
    )
    segments = [
        SegmentDescription(
            segment_number=at,
            segment_label=name,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for at, name in enumerate(names, start=1)
    ]
    return Segmentation(
        source_images=list(source.sources),
        pixel_array=stacked.astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=segments,
        series_instance_uid=UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer="segfair",
        manufacturer_model_name="segfair predict",
        software_versions=version,
        device_serial_number=_NO_NUMBER,
        series_description=(note or "segfair prediction")[:64],
    )
