"""The scores of a cohort and of its attributes: facts only. Computes none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segfair.fairness.challenge import Disparity

Interval = tuple[float, float]


__all__ = ["AttributeFacts", "Chance", "Definition", "FairnessScore", "LevelFacts", "MetricFacts", "Score"]


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """How one metric was defined, and how many cases had no value."""

    name: str
    unit: str
    better: str
    definition: str
    empty_rule: str
    n_undefined: int


@dataclass(frozen=True, slots=True)
class Chance:
    """What the score would be if the attributes told nothing about the outcome."""

    mean: float
    interval: Interval
    p_value: float


@dataclass(frozen=True, slots=True)
class Score:
    """One score of the cohort.

    Attributes:
        value: None where undefined; then `reason` says why.
        ci: 95 % interval.
        chance: Chance level, for scores that compare groups.
        without_penalised: The value over the cases that were not penalised.
        all_levels: FS over all levels, however small (FS only).
        reason: Why there is no value.
    """

    value: float | None
    ci: Interval | None = None
    chance: Chance | None = None
    without_penalised: float | None = None
    all_levels: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FairnessScore:
    """One further fairness score of one attribute, with the variant that was computed."""

    name: str
    variant: str
    attribute: str
    formula: str
    reference: str
    value: float | None
    ci: Interval | None = None
    chance: Chance | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """The scores under another definition of NormHD, and what changes in the order of levels."""

    name: str
    normhd: float | None
    ps: float | None
    fs: float | None
    ts: float | None
    changes: tuple[str, ...]
    used: bool


@dataclass(frozen=True, slots=True)
class LevelFacts:
    """One level of an attribute.

    Attributes:
        level: Its name.
        n: Cases.
        small: Whether it has fewer than `min_cases` cases.
        mean, median: Metric -> value over the cases with one; None without.
        ci: Metric -> 95 % interval of the mean.
        divergence: The level's test on the primary outcome, where it is a subgroup.
        failure_rate: Share of failed cases, with its interval.
    """

    level: str
    n: int
    small: bool
    mean: Mapping[str, float | None]
    median: Mapping[str, float | None]
    ci: Mapping[str, Interval] = field(default_factory=dict)
    failure_rate: float | None = None
    failure_ci: Interval | None = None


@dataclass(frozen=True, slots=True)
class AttributeFacts:
    """One attribute: its disparity D_v (None where DSC or NormHD was not scored) and its levels."""

    name: str
    disparity: Disparity | None
    levels: tuple[LevelFacts, ...]
    disparity_ci: Interval | None = None
    disparity_chance: Chance | None = None
    primary: bool = False
