"""The subgroup section: forest plot, the table that the script sorts and filters, and its first rows without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from segfair.audit.result import AuditResult, OutcomeFacts
from segfair.audit.words import (
    clean,
    format_share,
    metric_name,
    plural,
    standing,
)
from segfair.report.audit.summary import forest, judged, outcome_digits, uncorrected_note
from segfair.report.audit.summary import row_cells as divergence_cells
from segfair.report.parts import Data, table
from segfair.report.rows import PAGE_ROWS, CaseTable, Column, Row, RowTable, encode_tables, row_cells
from segfair.subgroups.lattice import Divergence, Subgroup, SubgroupTable

__all__ = ["PAGE_ROWS", "subgroup_section"]

_FOREST_WORST, _FOREST_BEST = 14, 3
_EXPLORATORY_ROWS = 8


@dataclass(frozen=True, slots=True)
class _Column(Column):
    """A numeric column and how a row's value is found."""

    value: Callable[[Divergence], Any]


_COLUMNS = (
    _Column("n", "count", lambda row: row.n),
    _Column("Mean", "number", lambda row: row.mean),
    _Column("Others", "number", lambda row: row.rest_mean),
    _Column("Difference", "signed", lambda row: row.estimate.value if row.estimate else None),
    _Column("95% interval", "interval", lambda row: row.estimate.ci if row.estimate else None),
    _Column("Adjusted p", "p", lambda row: row.p_adjusted),
    _Column("At equal covariates", "signed", lambda row: row.adjusted.difference if row.adjusted else None),
)


def subgroup_section(result: AuditResult, cases: CaseTable | None = None) -> Data:
    """Forest plot and table of the primary outcome, and the worst subgroups of the exploratory ones.

    Args:
        result: The audit.
        cases: Who the members are; None: nobody is told.
    """
    outcome = result.subgroups.primary_outcome
    rows, facts = result.subgroups[outcome], result.subgroups.outcomes[outcome]
    columns = [
        column
        for column in _COLUMNS
        if any(column.value(row) is not None for table_ in result.subgroups.values() for row in table_)
    ]
    explained = _explained(result)
    shown = [row for row in rows if not row.redundant][:PAGE_ROWS]
    digits = outcome_digits(rows)
    n_redundant = sum(row.redundant for row in rows)
    tables = (_table(result, name, columns) for name in result.subgroups)
    payload, n_omitted = encode_tables(tables, columns, cases)
    drawn = _forest_rows(rows, result)
    n_kept = len(rows) - n_redundant
    search = result.subgroups.search
    least = result.about.config.min_support if search is None else search.min_support
    of_length = "" if search is None or search.max_items is None else f"{_items(search.max_items)} and "
    return {
        "exploratory": bool(result.subgroups.primary_levels),
        "uncorrected": uncorrected_note(facts),
        "method": clean(facts.method, length=600),
        "notes": [clean(note, length=400) for note in facts.notes],
        "count": (
            f"{plural(len(rows), 'subgroup')} of {of_length}at least {format_share(least)} of the cases"
            + (
                f", or a single level of at least {plural(result.about.config.min_cases, 'case')}"
                if any(row.support < least for row in rows)
                else ""
            )
            + (
                f"; {n_redundant:,} of them differ little from one with an item less and are folded away"
                if n_redundant
                else ""
            )
        ),
        "forest": forest(drawn, rows, facts, result, key="forest") if drawn else None,
        "columns": [{"title": "Subgroup", "kind": "name"}]
        + [{"title": column.title, "kind": column.kind} for column in columns]
        + [{"title": "Standing", "kind": "standing"}],
        "rows": [row_cells(_row(row, rows, facts, columns, explained), columns, digits) for row in shown],
        "static_note": f"The first {len(shown)} of {plural(n_kept, 'subgroup')}; subgroups.csv holds all."
        if n_kept > len(shown)
        else "",
        "omitted": f"{plural(n_omitted, 'subgroup')} beyond the room of this page are in subgroups.csv only."
        if n_omitted
        else "",
        "payload": payload,
        "others": [_exploratory(result, name) for name in result.subgroups if name != outcome],
    }


def _items(length: int) -> str:
    return f"up to {length} attributes" if length > 1 else "a single level"


def _forest_rows(rows: SubgroupTable, result: AuditResult) -> list[Divergence]:
    """The most harmful subgroups that are large enough, and a few of the best served; all where they are few."""
    kept = [row for row in rows if not row.redundant]
    large = [row for row in kept if judged(row, result.about.config, rows.n_cases)] or kept
    if len(large) <= _FOREST_WORST + _FOREST_BEST:
        return large
    return [*large[:_FOREST_WORST], *large[-_FOREST_BEST:]]


def _table(result: AuditResult, name: str, columns: Sequence[_Column]) -> RowTable:
    """All rows of one outcome."""
    table_ = result.subgroups[name]
    explained = _explained(result) if name == result.subgroups.primary_outcome else {}
    return RowTable(
        metric_name(name) + ("" if result.subgroups.outcomes[name].primary else " (exploratory)"),
        outcome_digits(table_),
        [_row(row, table_, result.subgroups.outcomes[name], columns, explained) for row in table_],
    )


def _explained(result: AuditResult) -> dict[Subgroup, str]:
    """Each significant subgroup -> the finding that explains it, in words."""
    numbered = list(enumerate(result.subgroups.findings, start=1))
    words = {entry.items: f"explained by finding {k}" for k, finding in numbered for entry in finding.explains}
    return words | {finding.items: f"finding {k}" for k, finding in numbered}


def _row(
    row: Divergence,
    rows: SubgroupTable,
    facts: OutcomeFacts,
    columns: Sequence[_Column],
    explained: Mapping[Subgroup, str],
) -> Row:
    found = standing(row, rows.better, tested=not uncorrected_note(facts))
    if row.significant and row.subgroup in explained:
        found = replace(found, template="; ".join(filter(None, (explained[row.subgroup], found.template))))
    return Row(
        tuple(sorted(row.subgroup.items)),
        row.redundant,
        found,
        tuple(column.value(row) for column in columns),
        is_finding=bool(row.significant) or row.margin == "beyond margin",
    )


def _exploratory(result: AuditResult, name: str) -> Data:
    """The worst subgroups of an outcome that is not the primary one."""
    rows, facts = result.subgroups[name], result.subgroups.outcomes[name]
    large = [row for row in rows if not row.redundant and judged(row, result.about.config, rows.n_cases)]
    return table(
        f"{metric_name(name)} (exploratory): most harmful subgroups",
        [
            "Subgroup",
            *({"title": title, "number": True} for title in ("n", "Mean", "Others", "Difference")),
            "Standing",
        ],
        [divergence_cells(row, rows, facts, outcome_digits(rows)) for row in large[:_EXPLORATORY_ROWS]],
        note="; ".join(clean(note, length=400) for note in facts.notes),
    )
