"""What the numbers of a summary measure, in words: outcomes, lengths and scores. Computes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from segfair.audit.words import clean, metric_name
from segfair.report.signing.language import Language

__all__ = ["boundary_column", "length_unit", "outcome_name", "outcome_note", "score_note"]

_BOUNDARIES = ("hd95_mm", "hd95_px", "hd95_vox")


def outcome_name(language: Language, outcome: str) -> str:
    """The outcome as the subject of a sentence, at its beginning."""
    names = {
        "dsc": language.say("The overlap"),
        "iou": language.say("The overlap"),
        "normhd": language.say("The boundary error"),
        "hd95": language.say("The boundary error"),
        "assd": language.say("The mean boundary error"),
        "sensitivity": language.say("The share of the lesion that is found"),
        "precision": language.say("The share of the outline that is lesion"),
        "lesion": language.say("The share of missed lesions"),
    }
    name, region = _known(outcome)
    if name not in names:
        return metric_name(outcome)
    return f"{names[name]} ({region})" if region else names[name]


def outcome_note(language: Language, outcome: str, better: str) -> str:
    """What the outcome is, in a sentence of its own."""
    notes = {
        "dsc": language.say("Overlap (Dice coefficient, DSC): 0 is nothing in common, 1 the same outline."),
        "iou": language.say("Overlap (Jaccard index, IoU): 0 is nothing in common, 1 the same outline."),
        "normhd": language.say(
            "Boundary error (NormHD): the distance between the outlines as a share of a fixed length; 0 is the same "
            "outline."
        ),
        "hd95": language.say(
            "Boundary error (HD95): 95 of 100 points of one outline lie no further than this from the other."
        ),
        "assd": language.say("Mean boundary error (ASSD): how far the two outlines are apart on average."),
    }
    name, _ = _known(outcome)
    if name in notes:
        return notes[name]
    if better == "lower":
        return language.say("%(name)s: lower values are better.", name=metric_name(outcome))
    return language.say("%(name)s: higher values are better.", name=metric_name(outcome))


def _known(outcome: str) -> tuple[str, str]:
    """The first part of a metric's name, and the region that it is of."""
    name, _, rest = outcome.partition("_")
    if name in ("hd95", "assd", "lesion"):
        rest = rest.partition("_")[2]
    return name, clean(rest, length=40) if rest else ""


def boundary_column(names: Iterable[str]) -> str | None:
    """The column of boundary errors; None: there is none."""
    known = set(names)
    return next((name for name in _BOUNDARIES if name in known), None)


def length_unit(language: Language, name: str) -> str:
    """The unit of a length, from the end of a metric's name."""
    units = {"mm": "mm", "px": language.say("pixels"), "vox": language.say("voxels")}
    return units[name.rpartition("_")[2]]


def score_note(language: Language, score: str) -> str:
    """A score of the cohort by its name, with what it is."""
    return {
        "DSC": language.say("the mean overlap (DSC)"),
        "NormHD": language.say("the mean boundary error (NormHD)"),
        "PS": language.say("the performance score (PS, from 0 to 1: half overlap, half boundary)"),
        "FS": language.say("the fairness score (FS, 1 if the levels of each attribute fare alike)"),
        "TS": language.say("the total score (TS, of performance and fairness)"),
    }[score]
