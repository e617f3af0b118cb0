"""The parts of a gap in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segfair.audit.result.subgroups import Part, PartName
from segfair.audit.words import format_number
from segfair.subgroups.lattice import Subgroup

__all__ = ["PART_NAMES", "gap_sentence"]

PART_NAMES: Mapping[PartName, str] = {
    "size_and_shape": "Size and shape alone",
    "boundary": "Boundary error beyond that",
    "disagreement": "Disagreement of labels",
    "missed": "Missed lesions",
    "false_positives": "False positives",
    "no_prediction": "No usable prediction",
    "empty_rule": "Rule for empty masks",
    "else": "All else",
}
_MADE_BY: Mapping[PartName, tuple[str, str]] = {
    "size_and_shape": ("the size and shape of lesions alone", "the size and shape of lesions alone"),
    "boundary": ("more error at the boundary", "less error at the boundary"),
    "disagreement": ("disagreement of labels", "disagreement of labels"),
    "missed": ("more missed lesions", "fewer missed lesions"),
    "false_positives": ("more false positives", "fewer false positives"),
    "no_prediction": ("more unusable predictions", "fewer unusable predictions"),
    "empty_rule": ("the rule for empty masks", "the rule for empty masks"),
    "else": ("all else", "all else"),
}
"""What costs the group DSC, and what spares it some."""
_SHOWN = 0.0005
"""What would be printed as 0.000 is not told."""


def gap_sentence(items: Subgroup, value: float, parts: Sequence[Part]) -> str:
    """What a gap is made of, the largest part first; what goes against it is told after it."""
    sign = -1 if value < 0 else 1
    told = sorted((part for part in parts if abs(part.value) >= _SHOWN), key=lambda part: -sign * part.value)
    makes = [_told(part) for part in told if sign * part.value > 0]
    against = [_told(part) for part in reversed(told) if sign * part.value < 0]
    head = f"Of the {format_number(value, signed=True)} of {items.name}"
    if not makes:
        return f"{head} no single part makes more than 0.000."
    sentence = f"{head}, {_joined(makes).replace(' by ', ' is made by ', 1)}"
    return (
        f"{sentence}; {_joined(against)} {'goes' if len(against) == 1 else 'go'} against it."
        if against
        else f"{sentence}."
    )


def _joined(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _told(part: Part) -> str:
    return f"{format_number(part.value, signed=True)} by {_MADE_BY[part.name][part.value > 0]}"
