"""What the grey levels of PNG masks mean, decided for all masks of a role at once and never file by file.

Programs show a binary mask in black and white: where all files of a role hold 0 and 255 only, 255 means 1. A file that
happens to hold no other value among files that do is none of these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segfair.cases import Cohort, MaskRole
from segfair.errors import InputError
from segfair.files.images.grey_levels import MOST_LEVELS, grey_levels
from segfair.intake.dicom.structures import with_structures
from segfair.protocol.rules import Protocol
from segfair.scoring.scores import counted_values

__all__ = ["check_grey_levels", "is_black_and_white", "picture_notices", "survey", "with_pictures"]

_WHITE = 255


def survey(cohort: Cohort) -> Cohort:
    """The cohort with the values of its PNG masks, where they are not known yet."""
    if cohort.grey_levels is not None:
        return cohort
    files: dict[MaskRole, list[Path]] = {
        "label": [case.label for case in cohort if case.label is not None],
        "prediction": [case.prediction for case in cohort if case.prediction is not None],
    }
    levels = {role: grey_levels(paths) for role, paths in files.items()}
    return dataclasses.replace(cohort, grey_levels={role: found for role, found in levels.items() if found})


def with_pictures(cohort: Cohort, protocol: Protocol) -> Cohort:
    """The cohort with each case told in which of its masks 255 means 1, and which structures of DICOM are read."""
    cohort = with_structures(survey(cohort), protocol)
    white = tuple(role for role, levels in (cohort.grey_levels or {}).items() if is_black_and_white(levels, protocol))
    if all(case.white == white for case in cohort):
        return cohort
    return dataclasses.replace(cohort, cases=tuple(dataclasses.replace(case, white=white) for case in cohort))


def is_black_and_white(levels: Iterable[int], protocol: Protocol) -> bool:
    """Whether values are black and white only, and 255 itself is not among those that count."""
    found, counted = set(levels), counted_values(protocol)
    return _WHITE in found and found <= {0, _WHITE} and counted != "any" and _WHITE not in counted


def check_grey_levels(
    levels: Mapping[MaskRole, Sequence[int]],
    *,
    labels_are_named: bool,
    with_threshold: bool,
    ignore_label: int | None = None,
) -> None:
    """Refuses pictures in grey, or on two scales, where nothing says which of their values count.

    Args:
        levels: Role -> values of its PNG masks.
        labels_are_named: Whether an option, a protocol file or the data set names the values that count.
        with_threshold: Whether predictions are probability maps.
        ignore_label: A value that counts nowhere, whatever it looks like.

    Raises:
        InputError: See `_grey_problem`.
    """
    for role, found in levels.items():
        if labels_are_named or (role == "prediction" and with_threshold):
            continue
        problem = _grey_problem(found, ignore_label=ignore_label)
        if problem:
            remedy = ", or say from which value on it is lesion with --threshold" if role == "prediction" else ""
            raise InputError(f"the PNG {role}s {problem}, name those that count with --label{remedy}")


def _grey_problem(found: Sequence[int], *, ignore_label: int | None = None) -> str:
    """Why the values of the PNG masks of a folder are no labels by themselves; empty where they may be.

    More than `MOST_LEVELS` values are a picture. White beside others may be 1 on another scale, a smoothed edge or
    "unknown": to read it as a value of its own would make those files empty.
    """
    shown = ", ".join(map(str, found[:8]))
    if len(found) > MOST_LEVELS:
        return (
            f"hold {len(found)} and more different values ({shown}, ...): grey levels (smoothed edges, or a picture), "
            "and no label map; save the label values"
        )
    others = set(found) - {0, _WHITE, ignore_label}
    if _WHITE in found and ignore_label != _WHITE and others:
        return (
            f"hold the values {shown}, white ({_WHITE}) beside others: files of 0 and 1 among files of 0 and {_WHITE}, "
            "smoothed edges, or several labels; save all files on one scale"
        )
    return ""


def picture_notices(cohort: Cohort, protocol: Protocol) -> tuple[str, ...]:
    """Which masks are black and white, and what that was taken to mean."""
    return tuple(
        f"{role}s: PNG files of black and white only; 255 is read as 1"
        for role, levels in (cohort.grey_levels or {}).items()
        if is_black_and_white(levels, protocol)
    )
