"""Single cells of a table: what counts as missing, as text, as a number, as a formula. Reads no file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

__all__ = [
    "Answer",
    "cell_text",
    "compose",
    "defuse",
    "fuse",
    "is_blank",
    "is_missing",
    "of_each",
    "parse_number",
]

_Found = TypeVar("_Found")

# What stands for "no value" in the wild ("." is SAS's, "?" UCI's). Not "none", "unknown" or "-": these are answers.
_MISSING_TEXTS = frozenset(("", "na", "n/a", "n.a.", "nan", "nat", "null", "<na>", ".", "?"))
_EXCEL_ERRORS = frozenset(("#n/a", "#na", "#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!"))
_LONGEST_MISSING = max(map(len, _MISSING_TEXTS | _EXCEL_ERRORS))
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)
# Marks without a width that come along when text is copied from pages and documents.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
_FUSED = ("=", "'")
_EXCEL_TEXT = re.compile(r'="([^"]*)"')
# How spreadsheets recognise a formula (OWASP, CSV injection); an apostrophe makes it text.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class Answer(str):
    """A text that is an answer although it is spelt like a missing value, such as the level NA (North America)."""

    __slots__ = ()


def of_each(function: Callable[[Any], _Found], values: Iterable[object]) -> list[_Found]:
    """What a function says of each value, a text that comes again being asked about once.

    A column of a million cells has a handful of levels.
    """
    known: dict[str, _Found] = {}
    found = []
    for value in values:
        if type(value) is not str:  # True equals 1, and an Answer the text that it is not
            found.append(function(value))
            continue
        if value not in known:
            known[value] = function(value)
        found.append(known[value])
    return found


def is_missing(value: object) -> bool:
    """Whether a cell holds no value: None, NaN, NaT, NA, white space, or a text that stands for it (n/a, null)."""
    if value is None:
        return True
    if isinstance(value, Answer):
        return False
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST_MISSING:  # as nearly every cell of a long table
            return False
        text = text.casefold()
        return text in _MISSING_TEXTS or text in _EXCEL_ERRORS
    if type(value).__name__ == "NAType":  # pandas.NA compares as NA, which has no truth value
        return True
    if getattr(value, "shape", ()):  # an array in a cell
        return False
    return bool(value != value)


def compose(text: str) -> str:
    """A text in Unicode's composed form (NFC), so that an accent stored apart from its letter is the same accent."""
    return unicodedata.normalize("NFC", text)


def cell_text(value: object) -> str:
    """A cell as text, stripped and in Unicode's composed form: how ids are compared. Empty for an empty cell."""
    if isinstance(value, str):
        # ASCII has neither invisible marks nor accents.
        return value.strip() if value.isascii() else compose(value.translate(_INVISIBLE).strip())
    return "" if is_missing(value) else str(value)


def parse_number(text: str) -> float | None:
    """The number that a text spells (decimal point, exponent, inf); None if it spells none."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def is_blank(cells: Iterable[Any]) -> bool:
    """Whether cells hold nothing but white space."""
    return not any(map(_is_filled, cells))


def _is_filled(cell: object) -> bool:
    return cell is not None and not (isinstance(cell, str) and not cell.strip())


def defuse(text: str) -> str:
    """An apostrophe before text that a spreadsheet would run as a formula; numbers such as -1 stay as they are."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text


def fuse(cell: str) -> str:
    """Takes back `defuse`, and what keeps Excel from reading a text as a number: `="0012"`."""
    if not cell.startswith(_FUSED):
        return cell
    text = _EXCEL_TEXT.fullmatch(cell)
    if text:
        return text[1]
    return cell[1:] if cell.startswith("'") and defuse(cell[1:]) == cell else cell
