"""Tables of subgroups that the script sorts, filters and turns: their rows as JSON, and the first ones as cells.

What a row holds is the caller's: a divergence, or a change. Python and the script print every value alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from segfair.audit.words import Standing, clean, format_interval, format_number, format_p
from segfair.report.parts import NAME_LENGTH, Cell, cell
from segfair.subgroups.lattice import Item

__all__ = [
    "MOST_CASES",
    "PAGE_ROWS",
    "SHOWN_ITEMS",
    "CaseRow",
    "CaseTable",
    "Column",
    "Kind",
    "Row",
    "RowTable",
    "encode_tables",
    "row_cells",
    "script_json",
]

PAGE_ROWS = 50
"""Rows drawn at a time; without a script, the first ones."""
SHOWN_ITEMS = 10
"""Levels of a case that its row shows; all of them count."""
_BYTES = 900_000
"""Room for the embedded rows: the page stays under 2 MB, however large the lattice."""
_CASE_BYTES = 400_000
"""Room for the rows of cases, the worst first."""
MOST_CASES = _CASE_BYTES // 16
"""More rows never find room: with brackets, commas and quotes none is shorter."""

Kind = Literal["count", "number", "signed", "interval", "p"]


@dataclass(frozen=True, slots=True)
class Column:
    """A numeric column; the kind says how Python and the script print it."""

    title: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Row:
    """One subgroup.

    Attributes:
        items: Who.
        redundant: Whether the table folds it away at first.
        standing: What may be concluded.
        values: One for each column; None prints a dash.
        is_finding: Whether it is beyond chance or beyond the margin; such a row stays while there is any room.
    """

    items: tuple[Item, ...]
    redundant: bool
    standing: Standing
    values: tuple[Any, ...]
    is_finding: bool = False


@dataclass(frozen=True, slots=True)
class RowTable:
    """The rows of one outcome, in their rank order, with the decimals they are printed with."""

    title: str
    digits: int
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case.

    Attributes:
        case: Its id.
        items: Its level of every attribute.
        values: One for each column; None prints a dash.
        penalty: Why it has the worst score; empty: its prediction was scored.
        picture: Where in the page its pictures are; empty: nowhere.
    """

    case: str
    items: tuple[Item, ...]
    values: tuple[Any, ...]
    penalty: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class CaseTable:
    """The cases, worst first: what a subgroup's members are listed from.

    Attributes:
        n_cases: How many there are.
        columns: Title and decimals of each value.
        rows: The worst of them, as many as a page may find room for.
        unit: What each one is, a case or a lesion.
    """

    n_cases: int
    columns: tuple[tuple[str, int], ...]
    rows: Sequence[CaseRow]
    unit: str = "case"


class _Codes:
    """Items and their attributes, numbered as they come."""

    def __init__(self) -> None:
        self.attributes: dict[str, int] = {}
        self.items: dict[Item, int] = {}
        self.listed: list[list[Any]] = []

    def of(self, items: Iterable[Item]) -> list[int]:
        """The numbers of some items."""
        found = []
        for item in items:
            if item not in self.items:
                place = self.attributes.setdefault(item[0], len(self.attributes))
                self.items[item] = len(self.items)
                self.listed.append([place, clean(item[1], length=NAME_LENGTH)])
            found.append(self.items[item])
        return found


def row_cells(row: Row, columns: Sequence[Column], digits: int) -> list[Cell]:
    """A row as the script would draw it."""
    return [
        cell(items=sorted(row.items)),
        *(
            cell(_print(column.kind, _rounded(column.kind, value, digits), digits))
            for column, value in zip(columns, row.values, strict=True)
        ),
        cell(row.standing.main, sub=row.standing.qualification(digits)),
    ]


def encode_tables(
    tables: Iterable[RowTable], columns: Sequence[Column], cases: CaseTable | None = None
) -> tuple[str, int]:
    """All rows of all outcomes as JSON that is safe inside a script element, and how many found no room.

    Args:
        tables: The outcomes.
        columns: Their numeric columns.
        cases: The cases that the subgroups are made of; None: they are not told.
    """
    codes = _Codes()
    states: dict[tuple[str, str], int] = {}
    outcomes = []
    room, n_omitted = _BYTES, 0

    for table in tables:
        encoded: list[tuple[int, list[Any]]] = []
        for index in _most_telling(table.rows):
            row = table.rows[index]
            found = row.standing
            line = [
                codes.of(sorted(row.items)),
                int(row.redundant),
                states.setdefault((found.main, found.template), len(states)),
                None if found.gap is None else _decimals(found.gap, table.digits),
                *(
                    _rounded(column.kind, value, table.digits)
                    for column, value in zip(columns, row.values, strict=True)
                ),
            ]
            room -= len(json.dumps(line, separators=(",", ":"))) + 1
            if room < 0:
                n_omitted += len(table.rows) - len(encoded)
                break
            encoded.append((index, line))
        outcomes.append(
            {
                "title": table.title,
                "digits": table.digits,
                "rows": [line for _, line in sorted(encoded, key=lambda entry: entry[0])],
            }
        )
    told = None if cases is None else _encode_cases(cases, codes)
    return script_json(
        {
            "pageRows": PAGE_ROWS,
            "attributes": [clean(name, length=NAME_LENGTH) for name in codes.attributes],
            "items": codes.listed,
            "states": [list(state) for state in states],
            "columns": [{"title": column.title, "kind": column.kind} for column in columns],
            "outcomes": outcomes,
            "cases": told,
        }
    ), n_omitted


def _encode_cases(cases: CaseTable, codes: _Codes) -> dict[str, Any]:
    """The cases that find room, worst first."""
    rows: list[list[Any]] = []
    room = _CASE_BYTES
    for row in cases.rows:
        values = (
            _rounded("number", value, digits) for value, (_, digits) in zip(row.values, cases.columns, strict=True)
        )
        name = clean(row.case, length=NAME_LENGTH)
        line = [name, codes.of(sorted(row.items)), row.penalty, row.picture, *values]
        room -= len(json.dumps(line, separators=(",", ":"))) + 1
        if room < 0:
            break
        rows.append(line)
    rest = cases.n_cases - len(rows)
    return {
        "shown": SHOWN_ITEMS,
        "columns": [{"title": title, "kind": "number", "digits": digits} for title, digits in cases.columns],
        "rows": rows,
        "omitted": f"Of the {rest:,} best served {cases.unit}s only {cases.unit}s.csv knows." if rest else "",
    }


def _most_telling(rows: Sequence[Row]) -> list[int]:
    """The order in which rows find room: findings, then the ends of the table, those folded away last."""
    return sorted(
        range(len(rows)),
        # From the harmful end three rows for each from the other.
        key=lambda index: (
            not rows[index].is_finding,
            rows[index].redundant,
            min(index, 3 * (len(rows) - 1 - index)),
        ),
    )


def script_json(tree: Any) -> str:
    """JSON in which no character can end the script element or start a comment in it."""
    text = json.dumps(tree, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


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
