"""What differs between audits of different patients: facts only, and their JSON. Computes nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from segfair.compare.result import Side
from segfair.files.placing import write_json
from segfair.subgroups.lattice import Better, Item

__all__ = [
    "COHORTS_FORMAT",
    "SERIES_FORMAT",
    "CohortChange",
    "CohortComparison",
    "CohortVerdict",
    "Difference",
    "Drift",
    "MixChange",
    "MixLevel",
    "Series",
    "SeriesPoint",
    "Standardised",
]

COHORTS_FORMAT = 1
SERIES_FORMAT = 1
Interval = tuple[float, float]
CohortKind = Literal["worse for some", "better for some", "worse and better", "no difference shown"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first, with its 95 % interval and p value; None where it cannot be had."""

    value: float
    ci: Interval | None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Standardised:
    """Both cohorts' means as they would be with one mix of patients, the average of the two.

    Attributes:
        attributes: Whose levels have the same shares in both then.
        before, after: The means.
        difference: Second minus first.
        n_before, n_after: Cases that count: those of levels that both cohorts have.
        effective_before, effective_after: As how many equally weighted cases they count.
        left_out: Levels that one cohort has alone, as "attribute = level".
    """

    attributes: tuple[str, ...]
    before: float
    after: float
    difference: Difference
    n_before: int
    n_after: int
    effective_before: float
    effective_after: float
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MixLevel:
    """How many of each cohort have a level, and the change of its share with a pointwise 95 % interval."""

    level: str
    n_before: int
    n_after: int
    share_before: float
    share_after: float
    ci: Interval


@dataclass(frozen=True, slots=True)
class MixChange:
    """Whether the patients of the second cohort are others, by one attribute.

    Attributes:
        attribute: Which.
        levels: Its levels.
        p_value: Chance of shares so far apart (chi-squared) if the cohorts were drawn from the same patients.
        p_adjusted: The same over all attributes (Holm).
    """

    attribute: str
    levels: tuple[MixLevel, ...]
    p_value: float
    p_adjusted: float


@dataclass(frozen=True, slots=True)
class CohortChange:
    """How one subgroup fares in the second cohort against the first.

    Attributes:
        items: Who.
        n_before, n_after: Cases.
        before, after: Means; None without a case.
        difference: Of the means; its interval holds for all subgroups together, its p value is adjusted over them.
            None where a cohort has too few.
        gap_before, gap_after: Mean minus that of everybody else in the same cohort.
        gap_difference: Of the gaps, likewise: whether the subgroup stands otherwise to everybody else.
    """

    items: Mapping[str, str]
    n_before: int
    n_after: int
    before: float | None
    after: float | None
    difference: Difference | None
    gap_before: float | None
    gap_after: float | None
    gap_difference: Difference | None

    @property
    def pairs(self) -> tuple[Item, ...]:
        """The items in a fixed order."""
        return tuple(sorted(self.items.items()))


@dataclass(frozen=True, slots=True)
class CohortVerdict:
    """The answer in a few words and a sentence."""

    kind: CohortKind
    sentence: str


@dataclass(frozen=True, slots=True)
class CohortComparison:
    """What differs between audits of different patients.

    Attributes:
        before, after: The two audits.
        outcome, better: What is compared, and its direction.
        verdict: The answer.
        mean_before, mean_after: Over all cases.
        crude: Their difference.
        standardised: The same with one mix of patients; None where nothing can be standardised.
        mix: What changed in the mix, the attributes that changed most first.
        subgroups: Those that became worse most first.
        level: Family-wise error level.
        n_tested: Subgroups that are tested.
        notices: For the reader.
        settings: Those that held, of the first audit.
        versions: Package -> version.
    """

    before: Side
    after: Side
    outcome: str
    better: Better
    verdict: CohortVerdict
    mean_before: float
    mean_after: float
    crude: Difference
    standardised: Standardised | None
    mix: tuple[MixChange, ...]
    subgroups: tuple[CohortChange, ...]
    level: float
    n_tested: int
    notices: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def changed(self, *, worse: bool) -> tuple[CohortChange, ...]:
        """Subgroups whose mean differs beyond chance to the worse, or to the better; the furthest first."""
        side = "worse" if worse else "better"
        found = [entry for entry in self.subgroups if self.beyond_chance(entry.difference) == side]
        return tuple(found if worse else reversed(found))

    def beyond_chance(self, difference: Difference | None) -> Literal["worse", "better", ""]:
        """Which way a difference lies beyond chance; empty where it does not, or was not tested."""
        if difference is None or difference.p_value is None or difference.p_value > self.level or not difference.value:
            return ""
        return "better" if (difference.value > 0) == (self.better == "higher") else "worse"

    def to_dict(self) -> dict[str, Any]:
        """The contents of `cohorts.json`: plain dicts, lists, texts, finite numbers and None."""
        tree: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))
        audits = {"before": tree.pop("before"), "after": tree.pop("after")}
        return {"format": COHORTS_FORMAT, "kind": "cohorts", "audits": audits, **tree}

    def save(self, path: str | PathLike[str]) -> None:
        """Writes `cohorts.json`."""
        write_json(Path(path), self.to_dict())


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A group at one audit.

    Attributes:
        n: Cases.
        mean: None without a case.
        limits: Between which the mean lies if nothing changed since the baseline; None at the baseline, or with too
            few cases.
        p_adjusted: Over all groups and all later audits; None without limits.
        beyond: Whether it lies beyond its limits.
    """

    n: int
    mean: float | None
    limits: Interval | None
    p_adjusted: float | None
    beyond: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """A group over all audits.

    Attributes:
        items: Who; empty: everybody.
        points: One an audit.
        first: Index of the first audit at which its drift is beyond chance; None: it is at none.
        to_worse: Whether that drift is to the worse.
    """

    items: Mapping[str, str]
    points: tuple[SeriesPoint, ...]
    first: int | None
    to_worse: bool

    @property
    def pairs(self) -> tuple[Item, ...]:
        """The items in a fixed order."""
        return tuple(sorted(self.items.items()))


@dataclass(frozen=True, slots=True)
class Series:
    """Audits over time.

    Attributes:
        audits: In their order.
        n_baseline: How many of them are the baseline, taken together.
        outcome, better: What is followed, and its direction.
        everybody: All cases.
        groups: Groups, those that drift first and to the worse before the others.
        level: Family-wise error level, over all groups and all later audits.
        sentence: The answer.
        notices: For the reader.
        settings: Those that held, of the first audit.
        versions: Package -> version.
    """

    audits: tuple[Side, ...]
    n_baseline: int
    outcome: str
    better: Better
    everybody: Drift
    groups: tuple[Drift, ...]
    level: float
    sentence: str
    notices: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def drifting(self) -> tuple[Drift, ...]:
        """Groups that drift beyond chance, everybody among them."""
        return tuple(entry for entry in (self.everybody, *self.groups) if entry.first is not None)

    def to_dict(self) -> dict[str, Any]:
        """The contents of `monitor.json`: plain dicts, lists, texts, finite numbers and None."""
        tree: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))
        return {"format": SERIES_FORMAT, "kind": "series", **tree}

    def save(self, path: str | PathLike[str]) -> None:
        """Writes `monitor.json`."""
        write_json(Path(path), self.to_dict())
