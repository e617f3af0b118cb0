"""Cells and columns of a table: what counts as missing, as text, as a number, as a formula. Reads no file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["cell_text", "defuse", "fuse", "is_blank", "is_missing", "loose_id", "parse_number", "typed_column"]

# What stands for "no value" in the wild. Not "none", "unknown" or "-": these are answers.
_MISSING_TEXTS = frozenset(("", "na", "n/a", "n.a.", "nan", "nat", "null", "<na>"))
_EXCEL_ERRORS = frozenset(("#n/a", "#na", "#div/0!", "#name?", "#null!", "#num!", "#ref!", "#value!"))
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?[0-9]+")
_CODE = re.compile(r"[+-]?0[0-9]+")
_WHOLE_ID = re.compile(r"([0-9]+)(\.0+)?")
# Beyond this a float no longer tells neighbouring whole numbers apart: such "numbers" are identifiers.
_LARGEST_WHOLE = 2**53
# How spreadsheets recognise a formula (OWASP, CSV injection); an apostrophe makes it text.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def is_missing(value: object) -> bool:
    """Whether a cell holds no value: None, NaN, NaT, NA, white space, or a text that stands for it (n/a, null)."""
    if value is None:
        return True
    if isinstance(value, str):
        text = value.strip().casefold()
        return text in _MISSING_TEXTS or text in _EXCEL_ERRORS
    if type(value).__name__ == "NAType":  # pandas.NA compares as NA, which has no truth value
        return True
    if getattr(value, "shape", ()):  # an array in a cell
        return False
    return bool(value != value)


def cell_text(value: object) -> str:
    """A cell as text, stripped: how ids are compared. Empty for an empty cell."""
    if isinstance(value, str):
        return value.strip()
    return "" if is_missing(value) else str(value)


def loose_id(text: str) -> str:
    """What two spellings of one id share: `12`, `12.0` and `0012`; `DUKE_001` and `duke_001`."""
    text = text.strip().casefold()
    whole = _WHOLE_ID.fullmatch(text)
    return (whole[1].lstrip("0") or "0") if whole else text


def parse_number(text: str) -> float | None:
    """The number that a text spells (decimal point, exponent, inf); None if it spells none."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def is_blank(cells: Iterable[Any]) -> bool:
    """Whether cells hold nothing but white space."""
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def typed_column(cells: list[Any], *, decimal_comma: bool) -> tuple[pd.Series[Any], bool]:
    """One column as booleans, whole numbers, numbers, or as it is; and whether a decimal comma had to be read.

    A column in which any whole number has a leading zero holds codes and stays text.

    Args:
        cells: Cells as written.
        decimal_comma: Whether 12,5 may be a number.
    """
    import pandas as pd

    values = [None if is_missing(cell) else cell for cell in cells]
    present = [value for value in values if value is not None]
    as_written = pd.Series(values, dtype=object)
    if not present:
        return as_written, False
    has_missing = len(present) < len(values)
    booleans = [_boolean(value) for value in present]
    if None not in booleans:
        known = iter(booleans)
        flags = [None if value is None else next(known) for value in values]
        return pd.Series(flags, dtype="boolean" if has_missing else "bool"), False
    numbers = [_cell_number(value, comma=False) for value in present]
    comma = None in numbers and decimal_comma
    if comma:
        numbers = [_cell_number(value, comma=True) for value in present]
    if None in numbers:
        return as_written, False
    found = iter(numbers)
    column = [None if value is None else next(found) for value in values]
    if all(isinstance(number, int) for number in numbers):
        return pd.Series(column, dtype="Int64" if has_missing else "int64"), comma
    return pd.Series(column, dtype="float64"), comma


def _boolean(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().casefold())
    return value if isinstance(value, bool) else None


def _cell_number(value: object, *, comma: bool) -> int | float | None:
    """A cell as a number; None where it is none, a code such as 0012, or a whole number too long for a float."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if isinstance(value, float) or abs(value) < _LARGEST_WHOLE else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if _CODE.fullmatch(text):
        return None
    if _WHOLE.fullmatch(text):
        whole = int(text) if len(text) < 20 else _LARGEST_WHOLE
        return whole if abs(whole) < _LARGEST_WHOLE else None
    return parse_number(text.replace(",", ".", 1) if comma and "." not in text else text)


def defuse(text: str) -> str:
    """An apostrophe before text that a spreadsheet would run as a formula; numbers such as -1 stay as they are."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text) else text


def fuse(cell: str) -> str:
    """Takes back `defuse`."""
    return cell[1:] if cell.startswith("'") and defuse(cell[1:]) == cell else cell
