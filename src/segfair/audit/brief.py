"""An audit in six lines of text, for whoever types its name: what was audited, the answer, who is worst off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segfair.audit.words import clean, format_number, format_p, plural, shorten, subgroup_name

if TYPE_CHECKING:
    from segfair.audit.result import AuditResult
    from segfair.subgroups.lattice import Divergence

__all__ = ["WIDTH", "brief_lines"]

WIDTH = 240
"""Longest line, in characters."""
_WORST = 3


def brief_lines(result: AuditResult, *, name: str) -> list[str]:
    """At most six lines: the cases, the verdict, the scores, and the three subgroups that are worst off.

    Args:
        result: The audit.
        name: What it is called.
    """
    counts, outcome = result.cases.counts, result.subgroups.primary_outcome
    tally = (
        *(plural(counts.n_scored, "case"), f"protocol {clean(result.about.config.protocol.name, length=40)}"),
        *(f"{len(counts.penalised)} penalised", f"{len(counts.unusable)} excluded"),
        *(plural(len(result.subgroups.findings), "finding"), plural(len(result.verdict.alerts), "alert")),
    )
    scores = [
        f"{score} {format_number(entry.value)}" for score, entry in result.scores.items() if entry.value is not None
    ]
    table = result.subgroups[outcome]
    lines = [
        f"{name}: {', '.join(tally)}",
        clean(result.verdict.sentence),
        "  ".join(scores) or f"mean {outcome} {format_number(table.mean)}",
        *(_line(row, outcome) for row in table.worst(_WORST) or table.rows[:_WORST]),
    ]
    return [shorten(line, WIDTH) for line in lines]


def _line(row: Divergence, outcome: str) -> str:
    """One subgroup: its mean against that of everybody else."""
    p_value = "" if row.p_adjusted is None else f", adjusted p {format_p(row.p_adjusted)}"
    means = f"{outcome} {format_number(row.mean)} against {format_number(row.rest_mean)}"
    return f"  {subgroup_name(row.subgroup.items, length=30)}: n {row.n:,}, {means}{p_value}"
