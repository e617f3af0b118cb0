"""The labels of another rater in place of those of a cohort. Reads headers of DICOM at most, and no mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segfair.cases import Case, Cohort, DicomMask, MaskRole
from segfair.errors import PairingError
from segfair.files.dicom.index import DicomIndex
from segfair.files.finding.patterns import local_masks
from segfair.files.layouts import find_labels, pair_ids
from segfair.intake.dicom.cases import with_dicom

__all__ = ["RaterLabels", "against_labels", "labels_in", "with_labels"]


@dataclass(frozen=True, slots=True)
class RaterLabels:
    """The labels of one rater.

    Attributes:
        files: Case -> label; a rater need not have labelled every case.
        index: What the tree of DICOM files holds that they lie in; None where they are no such tree.
    """

    files: Mapping[str, Path]
    index: DicomIndex | None = None


def labels_in(cohort: Cohort, folder: Path) -> RaterLabels:
    """The labels in a folder (or that a pattern names) by the cases of a cohort.

    Raises:
        InputError: The folder cannot be used.
        PairingError: It has a label of none of the cases.
    """
    masks = find_labels(local_masks(folder))
    pairs = pair_ids(cohort.ids, list(masks.files))
    if not pairs:
        raise PairingError(
            f"--labels2 {folder}: none of its {len(masks.files)} masks belongs to a case; name them as the first "
            "labels are named"
        )
    return RaterLabels({case: masks.files[name] for case, name in pairs.items()}, masks.index)


def with_labels(cohort: Cohort, rater: RaterLabels) -> Cohort:
    """The cases that a rater has labelled, with that label."""
    cases = tuple(_relabelled(case, rater.files[case.id]) for case in cohort if case.id in rater.files)
    return with_dicom(dataclasses.replace(cohort, cases=cases), (rater.index,))


def against_labels(first: Cohort, second: Cohort) -> Cohort:
    """The cases that two raters have labelled, with the labels of the second one in place of predictions."""
    other = {case.id: case for case in second}
    cases = tuple(_against(case, other[case.id]) for case in first if case.id in other and case.label is not None)
    return dataclasses.replace(first, cases=cases)


def _relabelled(case: Case, label: Path) -> Case:
    if label == case.label:
        return case
    dicom: dict[MaskRole, DicomMask] = {role: meant for role, meant in case.dicom.items() if role != "label"}
    return dataclasses.replace(case, label=label, dicom=dicom)


def _against(case: Case, other: Case) -> Case:
    sides: tuple[tuple[MaskRole, Case], ...] = (("label", case), ("prediction", other))
    dicom: dict[MaskRole, DicomMask] = {role: side.dicom["label"] for role, side in sides if "label" in side.dicom}
    return dataclasses.replace(case, prediction=other.label, within=None, dicom=dicom)
