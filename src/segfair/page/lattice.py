"""The subgroup section: forest plot, the table that the script sorts and filters, and its first rows without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from segfair.page.parts import NAME_LENGTH, Cell, Data, cell, table
from segfair.page.summary import forest, judged, outcome_digits, row_cells, uncorrected_note
from segfair.results import AuditResult, OutcomeFacts
from segfair.subgroups import Divergence, Item, SubgroupTable
from segfair.wording import (
    clean,
    format_interval,
    format_number,
    format_p,
    metric_name,
    plural,
    standing,
)

__all__ = ["PAGE_ROWS", "subgroup_section"]

PAGE_ROWS = 100
"""Rows drawn at a time; without a script, the first ones."""
_BYTES = 900_000
"""Room for the embedded rows: the page stays under 2 MB, however large the lattice."""
_FOREST_WORST, _FOREST_BEST = 14, 3
_EXPLORATORY_ROWS = 8

Kind = Literal["count", "number", "signed", "interval", "p"]


@dataclass(frozen=True, slots=True)
class _Column:
    """A numeric column: how a row's value is found; the kind says how Python and the script print it."""

    title: str
    kind: Kind
    value: Callable[[Divergence], Any]


_COLUMNS = (
    _Column("n", "count", lambda row: row.n),
    _Column("Mean", "number", lambda row: row.mean),
    _Column("Rest", "number", lambda row: row.rest_mean),
    _Column("Divergence", "signed", lambda row: row.divergence),
    _Column("95% interval", "interval", lambda row: row.ci_simultaneous or row.ci),
    _Column("Shrunken", "signed", lambda row: row.divergence_shrunk),
    _Column("Adjusted p", "p", lambda row: row.p_adjusted),
    _Column("At equal covariates", "signed", lambda row: row.adjusted.difference if row.adjusted else None),
)


def subgroup_section(result: AuditResult) -> Data:
    """Forest plot and table of the primary outcome, and the worst subgroups of the exploratory ones."""
    outcome = result.primary_outcome
    rows, facts = result.subgroups[outcome], result.outcomes[outcome]
    columns = [
        column
        for column in _COLUMNS
        if any(column.value(row) is not None for table_ in result.subgroups.values() for row in table_)
    ]
    shown = [row for row in rows if not row.redundant][:PAGE_ROWS]
    digits = outcome_digits(rows)
    n_redundant = sum(row.redundant for row in rows)
    payload, n_omitted = _payload(result, columns)
    drawn = _forest_rows(rows, result)
    n_kept = len(rows) - n_redundant
    return {
        "exploratory": bool(result.primary_subgroups),
        "uncorrected": uncorrected_note(facts),
        "method": clean(facts.method, length=600),
        "notes": [clean(note, length=400) for note in facts.notes],
        "count": (
            f"{plural(len(rows), 'subgroup')} of at least {result.config.min_support:.0%} of the cases"
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
        "rows": [_cells(row, columns, rows, facts, digits) for row in shown],
        "static_note": f"The first {len(shown)} of {plural(n_kept, 'subgroup')}; subgroups.csv holds all."
        if n_kept > len(shown)
        else "",
        "omitted": f"{plural(n_omitted, 'subgroup')} beyond the room of this page are in subgroups.csv only."
        if n_omitted
        else "",
        "payload": payload,
        "others": [_exploratory(result, name) for name in result.subgroups if name != outcome],
    }


def _forest_rows(rows: SubgroupTable, result: AuditResult) -> list[Divergence]:
    """The most harmful subgroups that are large enough, and a few of the best served; all where they are few."""
    kept = [row for row in rows if not row.redundant]
    large = [row for row in kept if judged(row, result.config, rows.n_cases)] or kept
    if len(large) <= _FOREST_WORST + _FOREST_BEST:
        return large
    return [*large[:_FOREST_WORST], *large[-_FOREST_BEST:]]


def _cells(
    row: Divergence, columns: Sequence[_Column], rows: SubgroupTable, facts: OutcomeFacts, digits: int
) -> list[Cell]:
    """A row as the script would draw it."""
    found = standing(row, rows.better, tested=not uncorrected_note(facts))
    return [
        cell(items=sorted(row.subgroup.items)),
        *(
            cell(_print(column.kind, _rounded(column.kind, column.value(row), digits), digits))
            for column in columns
        ),
        cell(found.main, sub=found.qualification(digits)),
    ]


def _print(kind: Kind, value: Any, digits: int) -> str:
    if kind == "count":
        return f"{value:,}"
    if kind == "interval":
        return format_interval(value, digits, signed=True)
    if kind == "p":
        return format_p(value)
    return format_number(value, digits, signed=kind == "signed")


def _rounded(kind: Kind, value: Any, digits: int) -> Any:
    """The value with the decimals that are printed, so that Python and the script cannot round it differently."""
    if value is None or kind == "count":
        return value
    if kind == "interval":
        return [_decimals(limit, digits) for limit in value]
    if kind == "p":
        return 0.0005 if value < 0.001 else _decimals(value, 3)
    return _decimals(value, digits)


def _decimals(value: float, digits: int) -> float | int:
    rounded = round(value, digits) + 0.0
    return int(rounded) if rounded == int(rounded) else rounded


def _payload(result: AuditResult, columns: Sequence[_Column]) -> tuple[str, int]:
    """All rows of all outcomes as JSON that is safe inside a script element, and how many found no room."""
    attributes: dict[str, int] = {}
    items: dict[Item, int] = {}
    listed: list[list[Any]] = []
    states: dict[tuple[str, str], int] = {}
    outcomes = []
    room, n_omitted = _BYTES, 0

    def code_of(item: Item) -> int:
        if item not in items:
            place = attributes.setdefault(item[0], len(attributes))
            items[item] = len(items)
            listed.append([place, clean(item[1], length=NAME_LENGTH)])
        return items[item]

    for name, rows in result.subgroups.items():
        digits = outcome_digits(rows)
        tested = not uncorrected_note(result.outcomes[name])
        encoded: list[tuple[int, list[Any]]] = []
        # Where there is no room for all, redundant ones and then the best served stay out.
        for index, row in sorted(enumerate(rows), key=lambda entry: (entry[1].redundant, entry[0])):
            found = standing(row, rows.better, tested=tested)
            line = [
                [code_of(item) for item in sorted(row.subgroup.items)],
                int(row.redundant),
                states.setdefault((found.main, found.template), len(states)),
                None if found.gap is None else _decimals(found.gap, digits),
                *(_rounded(column.kind, column.value(row), digits) for column in columns),
            ]
            room -= len(json.dumps(line, separators=(",", ":"))) + 1
            if room < 0:
                n_omitted += len(rows) - len(encoded)
                break
            encoded.append((index, line))
        outcomes.append(
            {
                "title": metric_name(name) + ("" if result.outcomes[name].primary else " (exploratory)"),
                "digits": digits,
                "rows": [line for _, line in sorted(encoded, key=lambda entry: entry[0])],
            }
        )
    return script_json(
        {
            "pageRows": PAGE_ROWS,
            "attributes": [clean(name, length=NAME_LENGTH) for name in attributes],
            "items": listed,
            "states": [list(state) for state in states],
            "columns": [{"title": column.title, "kind": column.kind} for column in columns],
            "outcomes": outcomes,
        }
    ), n_omitted


def script_json(tree: Any) -> str:
    """JSON in which no character can end the script element or start a comment in it."""
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _exploratory(result: AuditResult, name: str) -> Data:
    """The worst subgroups of an outcome that is not the primary one."""
    rows, facts = result.subgroups[name], result.outcomes[name]
    large = [row for row in rows if not row.redundant and judged(row, result.config, rows.n_cases)]
    return table(
        f"{metric_name(name)} (exploratory): most harmful subgroups",
        [
            "Subgroup",
            *({"title": title, "number": True} for title in ("n", "Mean", "Rest", "Divergence")),
            "Standing",
        ],
        [row_cells(row, rows, facts, outcome_digits(rows)) for row in large[:_EXPLORATORY_ROWS]],
        note="; ".join(clean(note, length=400) for note in facts.notes),
    )
