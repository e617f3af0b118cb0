"""What an audit found: outcomes, power, alerts, verdict, gates. Facts only: tests nothing and judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from segfair.subgroups.lattice import Better

__all__ = ["Alert", "GateFacts", "OutcomeFacts", "PowerFacts", "Verdict", "distinct_alerts"]


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
class Verdict:
    """The answer in one word and one sentence."""

    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class GateFacts:
    """One gate and how it went."""

    gate: str
    state: Literal["pass", "fail", "undecided"]
    reason: str
