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
    """The cohort with each case told in which of its masks 255 means 1."""
    cohort = survey(cohort)
    white = tuple(role for role, levels in (cohort.grey_levels or {}).items() if is_black_and_white(levels, protocol))
    if all(case.white == white for case in cohort):
        return cohort
    return dataclasses.replace(cohort, cases=tuple(dataclasses.replace(case, white=white) for case in cohort))


def is_black_and_white(levels: Iterable[int], protocol: Protocol) -> bool:
    """Whether values are black and white only, and 255 itself is not among those that count."""
    found, counted = set(levels), counted_values(protocol)
    return _WHITE in found and found <= {0, _WHITE} and counted != "any" and _WHITE not in counted


def check_grey_levels(
    levels: Mapping[MaskRole, Sequence[int]], *, labels_are_named: bool, with_threshold: bool
) -> None:
    """Refuses pictures in grey where nothing says which of their values count.

    Args:
        levels: Role -> values of its PNG masks.
        labels_are_named: Whether an option, a protocol file or the data set names the values that count.
        with_threshold: Whether predictions are probability maps.

    Raises:
        InputError: More than `MOST_LEVELS` values.
    """
    for role, found in levels.items():
        if len(found) <= MOST_LEVELS or labels_are_named or (role == "prediction" and with_threshold):
            continue
        shown = ", ".join(map(str, found[:8]))
        remedy = ", or say from which value on it is lesion with --threshold" if role == "prediction" else ""
        raise InputError(
            f"the PNG {role}s hold {len(found)} and more different values ({shown}, ...): grey levels (smoothed edges,"
            f" or a picture), and no label map; save the label values, name those that count with --label{remedy}"
        )


def picture_notices(cohort: Cohort, protocol: Protocol) -> tuple[str, ...]:
    """Which masks are black and white, and what that was taken to mean."""
    return tuple(
        f"{role}s: PNG files of black and white only; 255 is read as 1"
        for role, levels in (cohort.grey_levels or {}).items()
        if is_black_and_white(levels, protocol)
    )
