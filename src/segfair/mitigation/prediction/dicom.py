"""Image series in DICOM -> predicted masks in DICOM-SEG: a series becomes a volume, the rest is left to `volumes`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from segfair import __version__
from segfair.errors import InputError
from segfair.files.dicom.images import read_series
from segfair.files.dicom.index import ImageSeries, index_dicom
from segfair.files.dicom.writing import write_segmentation
from segfair.files.images.masks import read_mask, write_image
from segfair.mitigation.prediction.volumes import Model, PredictionReport, predict_images

__all__ = ["find_series", "predict_series"]

_LESION = "lesion"
"""What a segment is called whose region has no name."""


def find_series(folder: Path) -> tuple[dict[str, ImageSeries], tuple[str, ...]]:
    """The image series in a tree of DICOM files by the id of their case, and what was passed over.

    A case is called after its patient; where a patient has several, the number of the series in UID order follows.

    Raises:
        InputError: There is none.
        ConfigError: pydicom is not installed.
    """
    if not folder.is_dir():
        raise InputError(f"images {folder}: is no folder; name the one that holds the DICOM series")
    found = index_dicom([folder])
    if not found.series:
        raise InputError(f"images {folder}: holds no DICOM image series; leave out --dicom for files of other formats")
    by_patient: dict[str, list[ImageSeries]] = {}
    for series in sorted(found.series.values(), key=lambda series: series.uid):
        by_patient.setdefault(series.patient.replace("/", "_") or "unknown", []).append(series)
    named = {
        patient if len(each) == 1 else f"{patient}_{at}": series
        for patient, each in sorted(by_patient.items())
        for at, series in enumerate(each, start=1)
    }
    return named, found.notices


def predict_series(
    model: Model,
    series: Mapping[str, ImageSeries],
    out: Path,
    *,
    device: str = "cpu",
    on_done: Callable[[str], None] | None = None,
) -> PredictionReport:
    """Predicts image series and writes `out/ID.dcm`, each on its series' grid; files that exist are kept.

    Args:
        model: The network.
        series: Case id -> series.
        out: Folder of segmentations, made if need be.
        device: Where to predict.
        on_done: Called with each case id once its segmentation stands or has failed.

    Returns:
        What became of each. A series that cannot be used does not keep the others from being predicted.

    Raises:
        InputError: Not one segmentation could be made.
        ConfigError: Out of memory.
    """
    written: list[str] = []
    existing: list[str] = []
    notices: list[str] = []
    failed: dict[str, str] = {}
    for case, images in series.items():
        path = out / f"{case}.dcm"
        if path.is_file():
            existing.append(case)
        else:
            try:
                notices += _predict_one(model, case, images, path, device)
                written.append(case)
            except InputError as error:
                failed[case] = str(error)
        if on_done is not None:
            on_done(case)
    if failed and not (written or existing):
        case, reason = next(iter(failed.items()))
        raise InputError(f"none of {len(series)} series can be predicted; for example {case}: {reason}")
    return PredictionReport(tuple(written), tuple(existing), failed, tuple(notices))


def _predict_one(model: Model, case: str, series: ImageSeries, path: Path, device: str) -> tuple[str, ...]:
    """Predicts one series; what it has to say."""
    source = read_series(series)
    with tempfile.TemporaryDirectory(prefix="segfair-") as place:
        # A volume of float32 holds every stored value, so nothing is lost on the way.
        image = Path(place, "image", f"{case}.nii.gz")
        write_image(image, source.image.array, affine=source.image.affine)
        report = predict_images(model, {case: [image]}, Path(place, "mask"), device=device)
        labels = read_mask(Path(place, "mask", f"{case}.nii.gz")).array
    regions = model.preprocessing.regions
    masks = regions.encode(labels) == 1
    names = [region.name or _LESION for region in regions.each]
    write_segmentation(path, dict(zip(names, np.asarray(masks), strict=True)), source, version=__version__)
    return report.notices
