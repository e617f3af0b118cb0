"""The scores of a cohort, with interval and chance level. Facts only: computes none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Chance", "Definition", "FairnessScore", "Interval", "Score", "Scores"]

Interval = tuple[float, float]


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
class Scores(Mapping[str, Score]):
    """The scores of the cohort, by name: `scores["FS"]`.

    Attributes:
        by_name: "DSC", "NormHD", "PS", "FS", "TS" -> score.
        variants: Further fairness scores.
        definitions: The scores under other definitions of NormHD.
    """

    by_name: Mapping[str, Score]
    definitions: tuple[Definition, ...]
    variants: tuple[FairnessScore, ...] = ()

    def __getitem__(self, name: str) -> Score:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)
