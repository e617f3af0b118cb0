"""The pieces every section is made of: cells, tables, figures, name-value pairs.

Every piece has all its keys, so that a template with strict lookups can print it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from segfair.audit.words import clean
from segfair.report.drawing import Drawing
from segfair.report.svg import to_svg
from segfair.subgroups.lattice import Item, Subgroup

__all__ = [
    "NAME_LENGTH",
    "Cell",
    "Data",
    "as_read",
    "cell",
    "collected_drawings",
    "definition",
    "figure",
    "items_of",
    "number_column",
    "table",
    "titled",
]

Data = dict[str, Any]
Cell = dict[str, Any]

NAME_LENGTH = 80
"""Longest attribute or level on the page; audit.json has the whole."""

_drawings: ContextVar[dict[str, Drawing] | None] = ContextVar("drawings", default=None)


@contextmanager
def collected_drawings() -> Iterator[dict[str, Drawing]]:
    """Collects the drawings of the page data that is made within: key -> drawing."""
    found: dict[str, Drawing] = {}
    token = _drawings.set(found)
    try:
        yield found
    finally:
        _drawings.reset(token)


def as_read(moment: datetime) -> str:
    """A moment as every page tells it: `2026-05-04 13:07 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def cell(text: object = "", *, sub: str = "", tone: str = "", items: Sequence[Item] = (), case: str = "") -> Cell:
    """One cell of a table: a text (or a subgroup's items), a second small line, and a tone.

    Args:
        text: Main line; ignored where there are items.
        sub: Second line.
        tone: "worse", "better", "small" or "": how it is printed. Says nothing that the text does not say.
        items: Items of a subgroup.
        case: Id of the case that the text names, whose row and pictures it shall lead to; empty: it names none.
    """
    return {"text": str(text), "sub": sub, "tone": tone, "items": items_of(items), "case": case}


def items_of(items: Iterable[Item] | Subgroup) -> list[Data]:
    """Items as the page prints them, in a fixed order."""
    found = items.items if isinstance(items, Subgroup) else items
    return [
        {"attribute": clean(attribute, length=NAME_LENGTH), "level": clean(level, length=NAME_LENGTH)}
        for attribute, level in sorted(found)
    ]


def number_column(title: str) -> Data:
    """A column of numbers: right-aligned, tabular figures."""
    return {"title": title, "number": True}


def table(caption: str, columns: Sequence[str | Data], rows: Iterable[Sequence[Cell | str]], *, note: str = "") -> Data:
    """A table; the first column heads its rows. Texts become cells."""
    return {
        "caption": caption,
        "columns": [{"title": entry, "number": False} if isinstance(entry, str) else entry for entry in columns],
        "rows": [[cell(entry) if isinstance(entry, str) else entry for entry in row] for row in rows],
        "note": note,
    }


def definition(name: str, value: object, *, code: bool = False) -> Data:
    """A name and what it stands for."""
    return {"name": name, "value": str(value), "code": code}


def step(text: str, *, href: str = "", name: str = "", code: str = "") -> Data:
    """What to do next: a sentence, and the link or the command for it.

    Args:
        text: The sentence.
        href: Where it leads; empty: nowhere.
        name: What the link says; empty: its address.
        code: What to type; empty: nothing.
    """
    return {"text": text, "href": href, "name": name or href, "code": code}


def titled(name: str, what: str) -> str:
    """The heading of a page: what it is, behind what it is about where that has a name."""
    return f"{name}: {what[:1].lower()}{what[1:]}" if name else what


def figure(
    drawing: Drawing,
    *,
    key: str,
    label: str,
    caption: str,
    data: Data | None = None,
    narrow: Drawing | None = None,
) -> Data:
    """A figure with its text alternative and the table behind it.

    Args:
        drawing: The figure.
        key: Unique in the page.
        label: Text alternative.
        caption: Printed beneath.
        data: The same facts as a table, folded beneath; None where a table beside the figure holds them.
        narrow: The same figure for a narrow screen; None: the drawing itself is narrow enough.
    """
    drawings = _drawings.get()
    if drawings is not None:
        drawings[key] = drawing
    return {
        "svg": to_svg(drawing, prefix=key, label=label),
        "key": key,
        "label": label,
        "caption": caption,
        "data": data,
        "narrow": to_svg(narrow, prefix=f"{key}-narrow", label=label) if narrow is not None else "",
    }
