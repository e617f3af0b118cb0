"""The attributes of an audit: how columns were read and binned, and how each level fares. Facts only: bins nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segfair.audit.result.scores import Chance, Interval
from segfair.fairness.challenge import Disparity

__all__ = ["AttributeFacts", "Attributes", "Bins", "ColumnFacts", "LevelFacts"]


@dataclass(frozen=True, slots=True)
class Bins:
    """How one attribute was made from a metadata column."""

    column: str
    binning: str
    edges: tuple[float, ...]
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """How one metadata column was read.

    Attributes:
        read_as: What it was taken for: levels, ranges of numbers, dates, patients, a fold ...
        why: What that was decided by.
        n_missing: Audited cases without a value.
        spellings: How missing values are spelt -> number of cases; "" for empty cells.
    """

    read_as: str
    why: str
    n_missing: int
    spellings: Mapping[str, int] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Attributes:
    """What became of the columns of the metadata.

    Attributes:
        facts: Per attribute and level.
        bins: Attribute -> how it was made.
        left_out: Metadata column -> why it became no attribute.
        columns: Metadata column -> how it was read, and what was missing.
        binning: The plan that made the attributes (`BinningPlan.to_dict`), to apply it to other cases.
    """

    facts: tuple[AttributeFacts, ...]
    bins: Mapping[str, Bins]
    left_out: Mapping[str, str]
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    binning: Mapping[str, Any] = field(default_factory=dict)
