"""What other tools would make of the masks: a table a measure. Draws what was found, computes nothing."""

from __future__ import annotations

from itertools import groupby

from segfair.audit.definitions import tools_sentence
from segfair.audit.result import AuditResult, ToolFacts
from segfair.audit.words import clean, format_number, metric_digits, metric_name, plural
from segfair.report.parts import Data, cell, number_column, table

__all__ = ["tool_tables"]


def tool_tables(result: AuditResult) -> Data | None:
    """What other tools say, a table a measure; None: it was not asked."""
    found = result.scores.tools
    if not found:
        return None
    return {
        "sentence": tools_sentence(found),
        "count": plural(sum(bool(entry.tool) for entry in found), "definition"),
        "tables": [_tool_table(metric, list(rows)) for metric, rows in groupby(found, key=lambda entry: entry.metric)],
    }


def _tool_table(metric: str, rows: list[ToolFacts]) -> Data:
    digits = metric_digits(entry.mean for entry in rows)
    with_fs = any(entry.fs is not None for entry in rows)
    columns: list[str | Data] = ["As defined in", number_column("Mean"), "Worst level"]
    columns += [number_column("FS")] if with_fs else []
    return table(
        metric_name(metric),
        [*columns, "Verdict by it", "What else changes", "Definition"],
        [
            [
                cell(entry.tool or "segfair", sub=f"version {entry.version}" if entry.tool else "used in this report"),
                cell(
                    "infinite" if entry.n_infinite else format_number(entry.mean, digits),
                    sub=_tool_cases(entry, digits),
                ),
                cell(
                    "" if entry.worst else "–",
                    items=tuple(entry.worst.items) if entry.worst else (),
                    sub=f"{format_number(entry.worst_mean, digits)}, n = {entry.worst_n:,}" if entry.worst else "",
                ),
                *([format_number(entry.fs, 4)] if with_fs else []),
                cell(
                    entry.verdict,
                    sub="; ".join(clean(group.name, length=160) for group in entry.groups[:1]),
                    tone="worse" if entry.turns else "",
                ),
                "; ".join(clean(change, length=200) for change in entry.changes[:6])
                or ("nothing" if entry.tool else ""),
                cell(entry.rule, sub=entry.empty),
            ]
            for entry in rows
        ],
    )


def _tool_cases(entry: ToolFacts, digits: int) -> str:
    """Of how many cases a mean is, and what became of the others."""
    told = [plural(entry.n_cases, "case")]
    if entry.n_infinite:
        told = [f"{format_number(entry.mean, digits)} without {plural(entry.n_infinite, 'infinite case')}"]
    if entry.n_left_out:
        told.append(f"{entry.n_left_out:,} left out")
    return ", ".join(told)
