"""What an audit found: outcomes, power, alerts, verdict, gates. Facts only: tests nothing and judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from segfair.subgroups.lattice import Better, Estimate, Subgroup

__all__ = [
    "Alert",
    "Cause",
    "Explained",
    "Finding",
    "GateFacts",
    "OutcomeFacts",
    "PowerFacts",
    "Stability",
    "Verdict",
    "WorstOff",
    "distinct_alerts",
]


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """What the subgroup table of one outcome rests on.

    Attributes:
        better: Direction.
        n_cases, mean: Cases with a value, and their mean.
        primary: Whether this is the outcome that was tested as declared; others are exploratory.
        n_tested: Subgroups in the family.
        critical: Smallest |t| that is significant at the family-wise level.
        method: How significance was judged, in words.
        global_divergence: (attribute, level, share) over the whole lattice, most harmful first.
        notes: Plain sentences where something could not be judged.
    """

    better: Better
    n_cases: int
    mean: float | None
    primary: bool
    n_tested: int = 0
    critical: float | None = None
    method: str = "not corrected for multiple testing"
    global_divergence: tuple[tuple[str, str, float], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """What this cohort could have shown about one level."""

    attribute: str
    level: str
    n: int
    detectable_gap: float | None
    n_needed: int | None


@dataclass(frozen=True, slots=True)
class Alert:
    """Something the reader must know before believing a number."""

    kind: str
    text: str


def distinct_alerts(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    """The alerts in their order, each text once: the first that says it stands."""
    found: dict[str, Alert] = {}
    for alert in alerts:
        found.setdefault(alert.text, alert)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Explained:
    """A significant subgroup that a finding explains."""

    items: Subgroup


@dataclass(frozen=True, slots=True)
class Stability:
    """How surely a subgroup is the one to be named.

    Attributes:
        share: Of resampled cohorts, those in which it would have been named.
        set_95: The fewest subgroups of which one is named in 95 % of them, the likeliest first.
    """

    share: float
    set_95: tuple[Explained, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A subgroup that stands apart beyond chance, and explains others that do.

    Attributes:
        items: Who.
        estimate: The difference to everybody else; of a second or later finding within what was found before, so that
            no other finding's gap counts in it.
        explains: The significant subgroups that are so for its sake, itself among them.
        inside: Whether a part of it is worse still.
        stability: How surely it is this subgroup.
        declared: Whether it is a level fixed beforehand, tested in a family of its own.
        nested_in: Levels that it does not name and all of its cases have, so that the gap may be theirs.
    """

    items: Subgroup
    estimate: Estimate
    explains: tuple[Explained, ...]
    inside: str
    stability: Stability
    declared: bool = False
    nested_in: Subgroup = Subgroup(frozenset())


@dataclass(frozen=True, slots=True)
class WorstOff:
    """The subgroup for which most speaks that it is worse, beyond chance or not."""

    items: Subgroup
    stability: Stability


@dataclass(frozen=True, slots=True)
class Cause:
    """What a verdict would be without the cases of one kind.

    Attributes:
        what: The kind, in the plural.
        n_cases: How many there are.
        kind, sentence: The verdict without them.
        turns: Whether it is another.
        fs, fs_without: FS with and without them; None where there is none.
    """

    what: str
    n_cases: int
    kind: str
    sentence: str
    turns: bool
    fs: float | None = None
    fs_without: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer.

    Attributes:
        kind: In a word.
        sentence: In a sentence; where it rests on cases of one kind, the first of two says so.
        groups: Those that the sentence names.
        causes: What it would be without cases of each kind that there are.
    """

    kind: str
    sentence: str
    groups: tuple[Subgroup, ...] = ()
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class GateFacts:
    """One gate and how it went."""

    gate: str
    state: Literal["pass", "fail", "undecided"]
    reason: str
