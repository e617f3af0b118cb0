"""The verdict of an audit, its alerts and its gates. Facts only: judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Alert", "GateFacts", "Verdict", "distinct_alerts"]


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
class Verdict:
    """The answer in one word and one sentence.

    Attributes:
        kind, sentence: The answer.
        alerts: What the reader must know before believing a number.
        gates: Gates and how they went.
    """

    kind: str
    sentence: str
    alerts: tuple[Alert, ...] = ()
    gates: tuple[GateFacts, ...] = ()
