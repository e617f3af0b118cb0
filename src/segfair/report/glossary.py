"""What the words of a page mean, in a sentence or two that a reader outside of the field understands. Knows no facts.

A page names the entries it needs; the script shows an entry wherever one of its words stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segfair.report.parts import Data

__all__ = ["AUDIT_TERMS", "ENTRIES", "LESION_TERMS", "Entry", "glossary"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A term, how pages spell it (the title among them), and what it means."""

    title: str
    text: str
    also: tuple[str, ...] = ()


ENTRIES: Mapping[str, Entry] = {
    "dsc": Entry(
        "DSC",
        "Dice similarity coefficient: how far prediction and label overlap, from 0 (not at all) to 1 (exactly).",
        ("Dice",),
    ),
    "hd95": Entry(
        "HD95",
        "95th-percentile Hausdorff distance: 95 % of either outline lie no farther than this from the other one.",
    ),
    "normhd": Entry(
        "NormHD",
        "HD95 divided by a fixed length, 150 unless the protocol sets another: 0 is exact, and lower is better.",
    ),
    "ps": Entry(
        "PS", "Performance score, (DSC + 1 − NormHD) / 2: how good the outlines are on average.", ("Performance score",)
    ),
    "fs": Entry(
        "FS",
        "Fairness score, the mean over attributes of 1 − D_v. Not a percentage: a model with no disparity at all "
        "scores below 1 as well, because small groups differ by chance. Read it against its chance level, never "
        "alone.",
        ("Fairness score",),
    ),
    "ts": Entry("TS", "Total score, the weighted mean of PS and FS.", ("Total score",)),
    "dv": Entry(
        "D_v",
        "Disparity of an attribute: half the sum of its gaps in mean DSC and in mean NormHD between the best and the "
        "worst served level.",
    ),
    "chance": Entry(
        "Chance level",
        "What a score would be if the attributes told nothing about the outcome: its mean and 95 % of its values over "
        "shuffled metadata.",
        ("chance level", "by chance"),
    ),
    "interval": Entry(
        "95% interval",
        "The values with which the cases agree. A simultaneous interval holds for all groups at once, so that one may "
        "look at the most extreme of them.",
        ("simultaneous", "95 % interval", "Simultaneous"),
    ),
    "adjusted-p": Entry(
        "Adjusted p",
        "How often chance alone would produce so large a difference in any of the groups that were tested.",
        ("adjusted p",),
    ),
    "difference": Entry("Difference", "Mean of a group minus the mean of everybody else (the others)."),
    "divergence": Entry(
        "Divergence", "Mean of a group minus the mean of all cases, the group's own among them.", ("divergence",)
    ),
    "finding": Entry(
        "Finding",
        "A group that stands apart beyond chance once every stronger one is set apart: the few behind the many.",
        ("finding", "findings"),
    ),
    "standing": Entry(
        "Standing",
        "What may be concluded of a group. No difference shown is no proof of equality: the largest gap that remains "
        "possible stands with it.",
        ("no difference shown",),
    ),
    "covariates": Entry(
        "At equal covariates",
        "The difference that remains between cases that are alike in the quantities named, such as the lesion's "
        "volume.",
        ("covariates", "covariate"),
    ),
    "shapley": Entry(
        "Shapley value", "The share of a group's divergence that belongs to one of its items.", ("Shapley values",)
    ),
    "power": Entry(
        "Power", "How probable it is that a cohort of this size shows a difference that is there.", ("power",)
    ),
    "ece": Entry(
        "ECE",
        "Expected calibration error: how far probabilities lie from the shares of voxels that are lesion. 0 is exact; "
        "a model whose probabilities are right has its chance level, for bins of few voxels are off by chance.",
        ("Expected calibration error", "calibration"),
    ),
    "brier": Entry("Brier score", "Mean squared difference of probability and label, a voxel each: 0 is exact."),
    "overconfidence": Entry(
        "Over-confidence",
        "The DSC that the probabilities expect of a mask minus the one it has. Above 0 the model is surer than it is "
        "right, below 0 less sure.",
        ("over-confidence", "over-confident", "under-confident"),
    ),
    "penalised": Entry(
        "Penalised",
        "A case whose prediction is missing or cannot be used: it counts with the worst score.",
        ("penalised",),
    ),
    "size-alone": Entry(
        "Size and shape alone",
        "The DSC that these lesions lose to the boundary error of the whole cohort: the label moved out and in by it, "
        "against itself. A small or thin lesion loses more than a large one, whoever segments it.",
        ("size and shape of lesions alone",),
    ),
    "lesion": Entry(
        "Lesion",
        "A connected part of a mask. By the rule brats it is found by whatever is predicted within a few voxels of it, "
        "by panoptica by the one predicted part that overlaps it by half, by voronoi by any voxel of it.",
        ("lesion", "lesions"),
    ),
    "lesion-sensitivity": Entry("Lesion sensitivity", "The share of the label's lesions that are found."),
    "false-lesions": Entry(
        "False lesions", "Predicted lesions of a case that belong to none of its label's.", ("false lesion",)
    ),
    "lesion-f1": Entry(
        "Lesion F1",
        "Twice the found lesions over those of the label, the found and the false ones together; panoptica's "
        "recognition quality (RQ).",
    ),
    "lesion-dsc": Entry(
        "Lesion DSC",
        "DSC of each lesion of a case with what was predicted of it, averaged over lesions: a small lesion counts as "
        "much as a large one.",
    ),
    "lesion-pq": Entry(
        "Lesion PQ",
        "Panoptic quality: the mean IoU of the matched lesions (segmentation quality, SQ) times lesion F1.",
        ("Lesion SQ", "Lesion PQ (DSC)"),
    ),
    "subgroup": Entry(
        "Subgroup", "The cases that share one or more items, such as site = A and age = 41-50.", ("subgroup", "item")
    ),
}

LESION_TERMS = tuple(key for key in ENTRIES if "lesion" in key)
AUDIT_TERMS = tuple(key for key in ENTRIES if key not in LESION_TERMS)


def glossary(*keys: str) -> list[Data]:
    """The entries of a page, by title.

    Raises:
        KeyError: There is no such entry.
    """
    chosen = sorted(((key, ENTRIES[key]) for key in keys), key=lambda pair: pair[1].title.lower())
    return [
        {"key": key, "title": entry.title, "words": "|".join((entry.title, *entry.also)), "text": entry.text}
        for key, entry in chosen
    ]
