"""The verdict of an audit, its alerts and its gates. Facts only: judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from segfair.subgroups.lattice import Subgroup

__all__ = ["Alert", "Cause", "GateFacts", "Verdict", "distinct_alerts"]


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
class GateFacts:
    """One gate and how it went."""

    gate: str
    state: Literal["pass", "fail", "undecided"]
    reason: str


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
        alerts: What the reader must know before believing a number.
        gates: Gates and how they went.
    """

    kind: str
    sentence: str
    groups: tuple[Subgroup, ...] = ()
    causes: tuple[Cause, ...] = ()
    alerts: tuple[Alert, ...] = ()
    gates: tuple[GateFacts, ...] = ()
