"""One column of a table as its author meant it: which cells are missing, which are numbers, and how they are written.

Decides for a column as a whole, never cell by cell, and says what it decided. Knows no table and no attribute.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from segfair.files.cells import Answer, cell_text, is_blank, is_missing, parse_number

__all__ = ["NumberStyle", "Reading", "cell_number", "has_missing_na", "number_style", "read_column", "special_number"]

NumberStyle = Literal["point", "comma", "thousands"]
"""How numbers are written: `1234.5`, `1234,5` (or `1.234,5`), `1,234.5`."""

# From here on a float no longer tells neighbouring whole numbers apart: such "numbers" are identifiers.
_LARGEST_WHOLE = 2**53
_WHOLE = re.compile(r"[+-]?[0-9]+")
_CODE = re.compile(r"[+-]?0[0-9]+")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+(\.[0-9]+)?")
_CONTINENTAL = re.compile(r"[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+(,[0-9]+)?")
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+")
# `>89` (ages above 89 are identifying in the USA), `<18`, `≥ 90`, `90+`, `90 or older`.
_BEYOND = re.compile(
    r"(?P<sign>[<>≤≥]=?)\s*(?P<edge>[0-9]+(?:\.[0-9]+)?)"
    r"|(?P<least>[0-9]+(?:\.[0-9]+)?)\s*(?:\+|or (?:older|more|above))",
    re.IGNORECASE,
)
_DICOM_AGE = re.compile(r"([0-9]{3})([DWMY])")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
# Spaces or apostrophes between thousands, as in France and Switzerland.
_SPACED = re.compile(r"[+-]?[1-9][0-9]{0,2}([ '\u2019\u00a0\u2009\u202f][0-9]{3})+([.,][0-9]+)?")
# `45 years`, `12.5 mm`: a number before a unit.
_WITH_UNIT = re.compile(
    r"(?P<number>.*[0-9+])\s*(?P<unit>y|yo|yrs?|years?( old)?|j|jahre?|ans|mo|months?|wks?|weeks?|d|days?"
    r"|[mcµu]?m[23²³]?|[mdcµu]?l|cc|[kmµun]?g|(ng|mg|ug|µg|g|u|iu|mmol|pmol|umol|µmol)/(ml|dl|l|kg|g)|kg/m[2²]"
    r"|hu|tesla|kvp?|mas?|m?gy|msv|bpm|mmhg|[mk]?hz|ms|s|sec|min|h)\.?",
    re.IGNORECASE,
)
# A name that ends in a digit: no number, no quantity (`45 m2`), no truth value, nothing missing.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*[0-9](?<![mM][23])")
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(?P<inexact>(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?)")
_MOSTLY = 0.8
_PER_CENT = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?\s*%")
# Numbers that stand for "no value" where all others lie on the far side of a gap.
_NEGATIVE_SENTINELS = (-1, -9, -99, -999, -9999, -99999, -88, -888, -8888, -77, -777, -7777, -998, -997)
_POSITIVE_SENTINELS = (99, 999, 9999, 99999, 888, 8888, 777, 7777, 998, 997, 9998, 9997)
# Among texts only these are no names.
_TEXT_SENTINELS = frozenset((*map(str, _NEGATIVE_SENTINELS[1:]), "999", "9999", "99999"))
_SENTINEL_GAP = 3
_FEW = 6
_NA = "NA"


@dataclass(frozen=True, slots=True)
class Reading:
    """One column after reading.

    Attributes:
        values: One entry a cell: None, a truth value, a whole number, a number, or the cell as written.
        kind: What all values are that are not missing.
        missing: Spelling -> how many cells were missing so spelt; "" for empty cells.
        notes: What was decided, in clauses that go behind the column's name.
    """

    values: tuple[Any, ...]
    kind: Literal["empty", "boolean", "whole", "number", "other"]
    missing: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_column(cells: Sequence[Any], *, style: NumberStyle = "point", na_is_missing: bool = False) -> Reading:
    """Reads a column as booleans, whole numbers, numbers, or as it is.

    A column in which any whole number has a leading zero holds codes and stays text. Numbers may be written `>89` or
    `90+` (the next number beyond), `045Y` (DICOM's age strings, in years) and `12 %`, in a column of numbers. `NA` is
    a level among codes of two letters (North America, Namibia), else a missing value. Numbers such as -999 and 999
    that lie across a gap from all others are missing values.

    Args:
        cells: Cells as written.
        style: How numbers are written here.
        na_is_missing: Whether NA means a missing value elsewhere in the table (see `has_missing_na`), and so here.
    """
    plain = _plain_texts(cells) or _plain_numbers(cells)
    if plain is not None:
        return plain
    could_be_level = _is_level_na(cells)
    na_is_level = could_be_level and not na_is_missing
    if na_is_level:
        cells = [Answer(_NA) if _is_na(cell) else cell for cell in cells]
    values = [None if is_missing(cell) else cell for cell in cells]
    missing = Counter(_missing_spelling(cell) for cell, value in zip(cells, values, strict=True) if value is None)
    notes = []
    if na_is_level:
        n_level = sum(map(_is_na, cells))
        notes.append(f"NA ({n_level}) is read as a level, beside other codes of two letters; leave cells empty if not")
    elif could_be_level:
        notes.append(
            f"NA ({sum(map(_is_na, cells))}) is read as a missing value, as among the numbers of this table, though it"
            " stands beside codes of two letters; write it out (North America, Namibia) if it is one of them"
        )
    present = [value for value in values if value is not None]
    if not present:
        return Reading(tuple(values), "empty", missing)
    booleans = [_boolean(value) for value in present]
    if None not in booleans:
        return Reading(_filled(values, booleans), "boolean", missing, tuple(notes))
    numbers, how = _numbers(present, style)
    if None in numbers:
        return _mixed(values, numbers, how, missing, notes)
    found = _filled(values, numbers)
    sentinels = _sentinels([number for number in numbers if number is not None])
    for sentinel, count in sentinels.items():
        missing[f"{sentinel:g}"] += count
        notes.append(f"{sentinel:g} ({count}) is read as a missing value, far from all others")
    found = tuple(None if value in sentinels else value for value in found)
    whole = all(isinstance(value, int) for value in found if value is not None)
    return Reading(found, "whole" if whole else "number", missing, (*how, *notes))


def _missing_spelling(cell: object) -> str:
    """How a missing cell is written; "" for an empty one."""
    return "" if is_blank((cell,)) else (cell_text(cell) or str(cell).strip())


def _plain_texts(cells: Sequence[Any]) -> Reading | None:
    """A column of texts none of which could be anything else, each kind of which is looked at once; None: another."""
    if not set(map(type, cells)) <= {str, type(None)}:
        return None
    counts = Counter(cells)
    missing = dict.fromkeys(filter(is_missing, counts))
    if (
        len(missing) == len(counts)
        or any(map(_is_na, missing))
        or not all(map(_is_plain, counts.keys() - missing.keys()))
    ):
        return None
    spelt: Counter[str] = Counter()
    for cell in missing:
        spelt[_missing_spelling(cell)] += counts[cell]
    return Reading(
        tuple(None if cell in missing else cell for cell in cells) if missing else tuple(cells), "other", spelt
    )


def _is_plain(text: str) -> bool:
    """Whether a text is no number, truth value, quantity or code of a missing one, however it is read."""
    if _NAME.fullmatch(text):
        return True
    stripped = text.strip()
    return not (
        any(letter.isdigit() for letter in stripped)
        or _boolean(text) is not None
        or parse_number(stripped) is not None
        or "," in text
    )


def _plain_numbers(cells: Sequence[Any]) -> Reading | None:
    """A column of numbers that can be read in one way only, without codes of missing values; None: another."""
    numbers: list[int | float] = []
    for cell in cells:
        found = _PLAIN_NUMBER.fullmatch(cell) if type(cell) is str else None
        if found is None:
            return None
        numbers.append(float(cell) if found["inexact"] else int(cell))
    if not numbers or _sentinels(numbers):
        return None
    whole = all(type(number) is int for number in numbers)
    return Reading(tuple(numbers), "whole" if whole else "number", Counter())


def _mixed(
    values: Sequence[Any],
    numbers: Sequence[int | float | None],
    how: Sequence[str],
    missing: Counter[str],
    notes: list[str],
) -> Reading:
    """A column with texts: numbers with a few texts among them keep their numbers, however these are written."""
    known = [number for number in numbers if number is not None]
    mostly = len(numbers) == sum(value is not None for value in values) and len(known) >= _MOSTLY * len(numbers)
    if mostly:
        sentinels, place = {f"{value:g}": count for value, count in _sentinels(known).items()}, "far from all others"
        # A number that anybody reads stays as it is written.
        values = _filled(
            values,
            [
                number if number is not None and isinstance(value, str) and parse_number(value) is None else value
                for value, number in zip((value for value in values if value is not None), numbers, strict=True)
            ],
        )
    else:
        found = Counter(text for value in values if (text := cell_text(value)) in _TEXT_SENTINELS)
        others = {cell_text(value) for value in values if value is not None} - found.keys()
        no_numbers = all(parse_number(text) is None for text in others)
        sentinels, place = (dict(found) if others and no_numbers else {}), "among texts"
    for text, count in sentinels.items():
        missing[text] += count
        notes.append(f"{text} ({count}) is read as a missing value, {place}")
    kept = tuple(None if _plain_text(value) in sentinels else value for value in values)
    return Reading(kept, "other", missing, (*(how if mostly else ()), *notes))


def _plain_text(value: object) -> str:
    """A cell as text, numbers in their shortest form."""
    number = parse_number(text) if (text := cell_text(value)) else None
    return text if number is None else f"{number:g}"


def has_missing_na(cells: Sequence[Any]) -> bool:
    """Whether NA stands among numbers, as R writes a missing value."""
    if not any(map(_is_na, cells)):
        return False
    others = [cell for cell in cells if not is_missing(cell)]
    return bool(others) and all(cell_number(cell, style="point") is not None for cell in others)


def number_style(columns: Sequence[Sequence[Any]], *, delimiter: str) -> tuple[NumberStyle, str]:
    """How numbers with a comma are written in a table, from all of its text cells.

    `12,5` and `0,123` are decimal commas, `1,234,567` and `1,234.5` are thousands. `1,234` alone may be either: the
    other cells decide, then the delimiter, for a table delimited by semicolons was written where the comma is decimal.

    Args:
        columns: Cells as written, column by column.
        delimiter: What separates the cells; empty where the format needs none.

    Returns:
        The style, and a sentence where `1,234` had to be decided without other evidence; empty otherwise.
    """
    decimal = thousands = 0
    unclear = ""
    for column in columns:
        if not any(isinstance(cell, str) and "," in cell for cell in column):
            continue
        cells, _ = _without_unit([cell for cell in column if not is_missing(cell)])
        texts = [cell.strip() for cell in cells if isinstance(cell, str) and "," in cell]
        if not texts or not all(map(_has_comma_number, texts)):
            continue  # a column with other text is no column of numbers, and says nothing about them
        for text in texts:
            is_thousands, is_decimal = bool(_THOUSANDS.fullmatch(text)), bool(_COMMA.fullmatch(text))
            decimal += (is_decimal and not is_thousands) or bool(_CONTINENTAL.fullmatch(text))
            thousands += is_thousands and not is_decimal
            unclear = unclear or (text if is_decimal and is_thousands else "")
    if decimal or thousands:
        return ("comma" if decimal >= thousands else "thousands"), ""
    if not unclear:
        return "point", ""
    style: NumberStyle = "comma" if delimiter == ";" else "thousands"
    read_as = unclear.replace(",", "." if style == "comma" else "")
    return style, f"{unclear} could be {unclear.replace(',', '.')} or {unclear.replace(',', '')}; read as {read_as}"


def special_number(text: str) -> tuple[float, str] | None:
    """The number behind `>89`, `90+`, `045Y` or `12 %`, and how it was written; None for anything else."""
    beyond = _BEYOND.fullmatch(text)
    if beyond:
        edge = float(beyond["edge"] or beyond["least"])
        if beyond["least"] or "=" in beyond["sign"] or beyond["sign"] in "≤≥":
            return edge, "an open range"
        step = 1.0 if edge.is_integer() else 0.1
        return (edge + step if beyond["sign"] == ">" else edge - step), "an open range"
    age = _DICOM_AGE.fullmatch(text)
    if age:
        return int(age[1]) * _YEARS[age[2]], "DICOM's age, in years"
    if _PER_CENT.fullmatch(text):
        return float(text.rstrip("% \t").replace(",", ".")), "per cent"
    if _SPACED.fullmatch(text):
        return float(re.sub(r"[^0-9.,+-]", "", text).replace(",", ".")), "numbers with spaces between thousands"
    return None


def _numbers(present: Sequence[Any], style: NumberStyle) -> tuple[list[int | float | None], list[str]]:
    """The present cells as numbers, None where one is none, and how they were written."""
    numbers: list[int | float | None] = []
    written: dict[str, Counter[str]] = {}
    present, unit = _without_unit(present)
    # Without a comma anywhere in the column a point is a decimal point, whatever other columns do.
    has_comma = style != "point" and any(isinstance(value, str) and "," in value for value in present)
    for value in present:
        number = cell_number(value, style=style) if has_comma else None
        if number is None:
            number = cell_number(value, style="point")
        if number is None and isinstance(value, str):
            special = special_number(value.strip())
            if special is not None:
                number = int(special[0]) if special[0].is_integer() else special[0]
                written.setdefault(special[1], Counter())[value.strip()] += 1
        numbers.append(number)
    plain = sum(number is not None for number in numbers) - sum(count.total() for count in written.values())
    if not plain and "an open range" in written:
        return [None], []  # levels such as <40 and >60, no numbers
    notes = []
    for how, texts in written.items():
        example, _ = texts.most_common(1)[0]
        meaning = special_number(example)
        value = f" ({example} = {meaning[0]:g})" if meaning else ""
        notes.append(f"{texts.total()} cells are {how}{value}")
    if unit:
        notes.append(f"read as numbers of {unit}")
    if has_comma and any(number is not None for number in numbers):
        notes.append("read as numbers with a decimal comma" if style == "comma" else "commas between thousands")
    return numbers, notes


def _without_unit(present: Sequence[Any]) -> tuple[Sequence[Any], str]:
    """Cells without the unit behind their numbers, where it is the same in most, as in `45 years`; and the unit.

    Few kinds, such as the field strengths 1.5T and 3T, are names.
    """
    found = [
        _WITH_UNIT.fullmatch(value.strip())
        if isinstance(value, str) and not _DICOM_AGE.fullmatch(value.strip())
        else None
        for value in present
    ]
    units = Counter(match["unit"].casefold() for match in found if match)
    if not units or len({cell_text(value) for value in present}) <= 2 * _FEW:
        return present, ""
    unit, count = units.most_common(1)[0]
    alike = {unit, unit.rstrip("s"), f"{unit}s"}
    if sum(units[other] for other in alike) < 0.5 * len(present) or count < 2:
        return present, ""
    return [
        match["number"].strip() if match and match["unit"].casefold() in alike else value
        for match, value in zip(found, present, strict=True)
    ], unit


def cell_number(value: object, *, style: NumberStyle) -> int | float | None:
    """A cell as a number; None where it is none, a code such as 0012, or a whole number too long for a float."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value if isinstance(value, float) or abs(value) < _LARGEST_WHOLE else None
    if not isinstance(value, str):
        return None
    text = value.strip().replace("\u2212", "-")  # the minus sign of typesetters
    if _CODE.fullmatch(text):
        return None
    if style == "comma":
        if "." in text and not _CONTINENTAL.fullmatch(text):
            return None
        text = text.replace(".", "").replace(",", ".", 1)
    elif style == "thousands" and _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    if _WHOLE.fullmatch(text):
        whole = int(text) if len(text) < 20 else _LARGEST_WHOLE
        return whole if abs(whole) < _LARGEST_WHOLE else None
    return parse_number(text)


def _has_comma_number(text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in (_THOUSANDS, _COMMA, _CONTINENTAL))


def _sentinels(numbers: Sequence[int | float]) -> dict[float, int]:
    """Which numbers stand for a missing value, and how often."""
    counts = Counter(number for number in numbers if math.isfinite(number))
    suspects = [value for value in counts if value in _NEGATIVE_SENTINELS or value in _POSITIVE_SENTINELS]
    others = [value for value in counts if value not in suspects]
    if not others:
        return {}
    low, high = min(others), max(others)
    found = {}
    for value in suspects:
        if value < 0:
            # A change may be -1; a code of missing values stands beside quantities.
            beyond_all = value <= -99 and -value > _SENTINEL_GAP * max(-low, high)
            is_sentinel = beyond_all or (low >= 0 and (value < -1 or len(others) > _FEW))
        else:
            is_sentinel = low >= 0 and value > _SENTINEL_GAP * high and (value > 99 or high < 10)
        if is_sentinel:
            found[float(value)] = counts[value]
    return found


def _is_level_na(cells: Sequence[Any]) -> bool:
    """Whether NA stands among codes of two capital letters, so that it is one of them."""
    if not any(map(_is_na, cells)):
        return False
    others = {cell.strip() for cell in cells if isinstance(cell, str) and not is_missing(cell)}
    texts_only = all(isinstance(cell, str) or is_missing(cell) for cell in cells)
    return texts_only and len(others) >= 2 and all(re.fullmatch(r"[A-Z]{2}", text) for text in others)


def _is_na(cell: object) -> bool:
    return isinstance(cell, str) and cell.strip() == _NA


def _boolean(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().casefold())
    return value if isinstance(value, bool) else None


def _filled(values: Sequence[Any], present: Sequence[Any]) -> tuple[Any, ...]:
    known = iter(present)
    return tuple(None if value is None else next(known) for value in values)
