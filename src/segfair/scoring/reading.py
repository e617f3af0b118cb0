"""The mask files of one case -> two masks in memory, the prediction on its label's grid. Scores nothing.

A file that cannot be used is an `InputError` that says why; who asked decides what that costs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segfair.cases import Case, MaskRole
from segfair.errors import ConfigError, InputError
from segfair.files.finding.structures import read_structures
from segfair.files.images.extents import together
from segfair.files.images.grids import give_spacing, shared_grid
from segfair.files.images.headers import leads_out
from segfair.files.images.masks import Mask, align, describe_difference, read_image, read_mask
from segfair.protocol.rules import Protocol
from segfair.scoring.metrics import MaskPair
from segfair.scoring.pairs import drop_ignored, lesion_of, with_sets
from segfair.scoring.scores import counted_values

__all__ = [
    "GIVEN_SIZE",
    "NO_PREDICTION",
    "OTHER_GRID",
    "OUTSIDE",
    "Prediction",
    "about_sizes",
    "check_threshold",
    "read_label",
    "read_pair",
    "read_prediction",
    "refuse_links",
    "size_is_known",
]

NO_PREDICTION = "no prediction"
OTHER_GRID = "another grid"
GIVEN_SIZE = "the label's file does not say how large a voxel is; it was taken to be, as --spacing says,"
OUTSIDE = "leads out of the folder it was handed in with"
# Share by which two lengths of a voxel may differ by rounding.
_SAME_SIZE = 1e-3


def read_label(case: Case, *, spacing_mm: tuple[float, ...] | None = None) -> Mask:
    """Reads the label of a case; `spacing_mm` is the voxel size of masks whose file does not say it.

    Raises:
        InputError: It cannot be used.
    """
    if case.label is None:
        raise InputError(f"no label for case {case.id}")
    label = _read(case, "label", case.label)
    return _sized(label, spacing_mm, case.label)


def read_pair(
    case: Case,
    protocol: Protocol,
    *,
    threshold: float | None = None,
    spacing_mm: tuple[float, ...] | None = None,
) -> tuple[Mask, MaskPair]:
    """The label of a case as it is stored, and both masks as they are scored, on the label's grid.

    Every voxel of a label value that counts is true; voxels to be ignored are background in both.

    Raises:
        InputError: The label or the prediction cannot be used.
        ConfigError: A threshold where several label values are told apart.
    """
    check_threshold(threshold, protocol)
    found = read_prediction(case, read_label(case, spacing_mm=spacing_mm), protocol, threshold, spacing_mm)
    label, prediction = found.label, found.mask
    labels, predictions = drop_ignored(label.array, prediction.array, protocol.ignore_label)
    values = counted_values(protocol)
    pair = MaskPair(
        label=lesion_of(labels, with_sets(values, label.sets)),
        prediction=lesion_of(predictions, with_sets(values, prediction.sets)),
        spacing_mm=label.spacing_mm,
        axes_mm=label.axes_mm,
    )
    return label, pair


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A prediction on the label's axes, and what a reader has to know about it.

    Attributes:
        mask: The prediction.
        label: The label; larger than it was read where neither file says where the image ends.
        stored: The prediction as its file stores it.
        alerts: Sentences.
        facts: Name -> number.
    """

    mask: Mask
    label: Mask
    stored: Mask
    alerts: tuple[str, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)


def read_prediction(
    case: Case, label: Mask, protocol: Protocol, threshold: float | None, spacing_mm: tuple[float, ...] | None
) -> Prediction:
    """The prediction on the label's axes.

    Raises:
        InputError: It cannot be used; the message says why.
    """
    path = case.prediction
    if path is None:
        raise InputError(NO_PREDICTION)
    refuse_links(case)
    facts: dict[str, float] = {}
    if threshold is None:
        prediction = _read(case, "prediction", path, case.within)
    else:
        prediction, facts = _read_thresholded(case, path, threshold, protocol)
    prediction = _sized(prediction, spacing_mm, path)
    tolerance = protocol.grid.tolerance
    label, prediction = together(label, prediction, tolerance=tolerance)
    aligned = align(prediction, label, tolerance=tolerance)
    if aligned is not None:
        return Prediction(aligned, label, prediction, _other_place(prediction, label, tolerance), facts)
    difference = describe_difference(label, prediction)
    if protocol.grid.match == "shape" and prediction.shape == label.shape:
        text = f"scored voxel by voxel although the grids differ: {difference}"
        return Prediction(prediction, label, prediction, (text,), facts)
    if label.has_size and not prediction.has_size:
        difference += '; save it with the affine of its label, or let equal shape be enough (grid.match = "shape")'
    raise InputError(f"{OTHER_GRID}: {difference}")


def refuse_links(case: Case) -> None:
    """Refuses a prediction that is somebody else's file, whatever is in it.

    Raises:
        InputError: It lies outside of the folder that it must not leave, or is the label's file itself.
    """
    path = case.prediction
    if path is None or case.within is None:
        return
    if leads_out(path, case.within):
        raise InputError(f"{path}: {OUTSIDE}, by a link; hand in a copy of the file itself")
    if case.label is not None and _same_file(path, case.label):
        raise InputError(f"{path}: is the file of the label itself, by a hard link; hand in the model's own mask")


def size_is_known(label: Mask, spacing_mm: tuple[float, ...] | None) -> bool:
    """Whether it is known how large a voxel is, by the label's file or because it was given for such files."""
    return label.has_size or spacing_mm is not None


def about_sizes(label: Mask, spacing_mm: tuple[float, ...] | None) -> tuple[str, ...]:
    """An alert where the voxel size does not come from the label's file, or where the file gives two."""
    if not label.has_size:
        return () if spacing_mm is None else (f"{GIVEN_SIZE} {' x '.join(f'{side:g}' for side in spacing_mm)} mm",)
    for name, other in label.other_affines.items():
        edges = np.linalg.norm(other[:3, : label.ndim], axis=0)
        if np.abs(edges / label.spacing_mm - 1).max() > _SAME_SIZE:
            return (
                f"the NIfTI header of the label gives other voxel sizes by its {name} than by its {label.affine_name}, "
                "which was taken",
            )
    return ()


def check_threshold(threshold: float | None, protocol: Protocol) -> None:
    """Refuses a threshold that cannot be meant.

    Raises:
        ConfigError: It is no number, or several label values are told apart.
    """
    if threshold is not None and not math.isfinite(threshold):
        raise ConfigError(f"--threshold {threshold}: is no number; give the value from which on it is lesion")
    if threshold is not None and protocol.regions:
        raise ConfigError(
            f"threshold {threshold}: a probability map has one region, the protocol {protocol.name} has "
            f"{len(protocol.regions)} ({', '.join(protocol.regions)}); hand in label maps"
        )


def _same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # what is wrong with either is told when it is read
        return False


def _other_place(prediction: Mask, label: Mask, tolerance: float) -> tuple[str, ...]:
    """An alert where the two share a grid only by an affine that is not the one taken."""
    grid = shared_grid(prediction, label, tolerance=tolerance)
    if grid is None or not (label.has_size and prediction.has_size):
        return ()
    sides = [
        (f"the {role}'s {other}", f"the {role} gives {mask.affine_name} and {other}, which disagree")
        for role, mask, other in (("label", label, grid.fixed_affine), ("prediction", prediction, grid.moving_affine))
        if other
    ]
    if not sides:
        return ()
    return (
        f"the NIfTI header of {' and that of '.join(disagreement for _, disagreement in sides)} where the image lies; "
        f"the two masks share a grid by {' and '.join(by for by, _ in sides)}, and were scored so, with the voxel "
        f"sizes of the label's {label.affine_name}",
    )


def _read(case: Case, role: MaskRole, path: Path, within: Path | None = None) -> Mask:
    try:
        if case.structures and path.is_dir():
            return read_structures(path, case.structures)
        return read_mask(path, within=within, white_is_one=role in case.white, dicom=case.dicom.get(role))
    except MemoryError as error:
        raise InputError(f"{path}: too large for the memory of this machine; crop it or store it smaller") from error


def _sized(mask: Mask, spacing_mm: tuple[float, ...] | None, path: Path) -> Mask:
    """A mask whose file does not say how large a voxel is, with the size that was given for such files."""
    if spacing_mm is None or mask.has_size:
        return mask
    if len(spacing_mm) != mask.ndim:
        raise ConfigError(
            f"--spacing {' '.join(f'{length:g}' for length in spacing_mm)}: {path} has {mask.ndim} axes; give "
            "one length for each"
        )
    return give_spacing(mask, spacing_mm)


def _read_thresholded(case: Case, path: Path, threshold: float, protocol: Protocol) -> tuple[Mask, dict[str, float]]:
    """A probability map as a mask of the first label value that counts, and which numbers it holds."""
    map_ = read_image(path, within=case.within, dicom=case.dicom.get("prediction"))
    probabilities = map_.array
    if not np.isfinite(probabilities).all():
        raise InputError(f"{path}: holds nan or infinity, which are no probabilities")
    counted = protocol.label.overlap
    value = 1 if counted == "any" else counted[0]
    facts = {
        "prediction_min": float(probabilities.min()),
        "prediction_max": float(probabilities.max()),
        "prediction_whole": float((probabilities == np.rint(probabilities)).all()),
    }
    lesion = np.where(probabilities >= threshold, np.min_scalar_type(value).type(value), 0)
    return dataclasses.replace(map_, part=lesion, place=None), facts
