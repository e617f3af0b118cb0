"""What the words of a page mean, in a sentence or two that a reader outside of the field understands. Knows no facts.

A page names the entries it needs; the script shows an entry wherever one of its words stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segfair.report.parts import Data

__all__ = ["AUDIT_TERMS", "ENTRIES", "Entry", "glossary"]


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
    "subgroup": Entry(
        "Subgroup", "The cases that share one or more items, such as site = A and age = 41-50.", ("subgroup", "item")
    ),
}

AUDIT_TERMS = tuple(ENTRIES)


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
