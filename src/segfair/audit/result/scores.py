"""The scores of a cohort, with interval and chance level. Facts only: computes none of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segfair.subgroups.lattice import Subgroup

__all__ = [
    "Calibration",
    "CalibrationGroup",
    "Chance",
    "Definition",
    "FairnessScore",
    "Interval",
    "ReliabilityBin",
    "Score",
    "Scores",
    "ToolFacts",
]

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
class ReliabilityBin:
    """The voxels of one range of probabilities, each case counting alike.

    Attributes:
        low, high: The range.
        share: Mean share of a case's voxels that lie in it.
        probability: Their mean probability.
        lesion: How many of them are lesion, as a share.
    """

    low: float
    high: float
    share: float
    probability: float
    lesion: float


@dataclass(frozen=True, slots=True)
class CalibrationGroup:
    """How far the probabilities of some cases can be believed: all cases, or one level of an attribute.

    Attributes:
        items: Who; no item for all cases.
        n: Cases with a probability map.
        ece: Mean expected calibration error; None where no case has a lesion.
        ece_chance: What it would be if the probabilities were right.
        brier: Mean Brier score.
        expected_dsc: Mean DSC that the probabilities expect.
        real_dsc: Mean DSC of the same cases.
        overconfidence: The first minus the second.
        ci: 95 % interval of the over-confidence; None for a group too small for one.
        bins: The reliability diagram, without empty bins.
    """

    items: Subgroup
    n: int
    ece: float | None
    ece_chance: float | None
    brier: float | None
    expected_dsc: float | None
    real_dsc: float | None
    overconfidence: float | None
    ci: Interval | None
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the probabilities behind the masks say, and how far they can be believed.

    Attributes:
        n_bins: Bins of equal width.
        margin_mm: How far beyond the box of the lesion voxels are looked at.
        margin_voxels: The same where the size of a voxel is not known.
        overall: All cases.
        groups: Every level of every attribute.
        left_out: Case -> why its map could not be used; such a case has no values.
    """

    n_bins: int
    margin_mm: float
    margin_voxels: int
    overall: CalibrationGroup
    groups: tuple[CalibrationGroup, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """One measure as one tool defines it, and what the audit would say by it.

    Attributes:
        tool: Name of the tool; empty: this audit, the first of each measure.
        version: Of which it is known that it says the same; empty for this audit.
        measure: "dsc", "hd95" or "nsd".
        metric: The column of this audit that it is held against.
        rule: The definition in words.
        empty: What it is where a mask is empty.
        n_cases: Cases with a finite value; all that follows is of these.
        n_left_out: Cases to which the tool gives no value.
        n_infinite: Cases of which it says infinity.
        mean: Over those cases; None where there is none.
        worst: The level with the worst mean, among those of at least `min_cases`; None where there is none.
        worst_mean, worst_n: Its mean, and of how many cases.
        fs: FS of DSC and HD95 both as the tool defines them, beside its HD95; None where it lacks one of them.
        verdict: The verdict by it, in a word.
        groups: Those that the verdict names.
        turns: Whether the verdict or the group that it names first is another than by this audit's measure.
        changes: What else is another: the worst level, the order of an attribute's levels.
    """

    tool: str
    version: str
    measure: str
    metric: str
    rule: str
    empty: str
    n_cases: int
    n_left_out: int
    n_infinite: int
    mean: float | None
    worst: Subgroup | None
    worst_mean: float | None
    worst_n: int
    fs: float | None
    verdict: str
    groups: tuple[Subgroup, ...] = ()
    turns: bool = False
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores(Mapping[str, Score]):
    """The scores of the cohort, by name: `scores["FS"]`.

    Attributes:
        by_name: "DSC", "NormHD", "PS", "FS", "TS" -> score.
        variants: Further fairness scores.
        definitions: The scores under other definitions of NormHD.
        calibration: What the probabilities behind the masks say; None: there were none.
        tools: The measures as other tools define them, where that was asked.
    """

    by_name: Mapping[str, Score]
    definitions: tuple[Definition, ...]
    variants: tuple[FairnessScore, ...] = ()
    calibration: Calibration | None = None
    tools: tuple[ToolFacts, ...] = ()

    def __getitem__(self, name: str) -> Score:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)
