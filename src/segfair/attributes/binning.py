"""One metadata column -> levels: bins of numbers, spellings of text, words to look for. Knows no cohort, no table.

A `ColumnBins` is fitted once and encodes any values after that; it is plain data.
"""

from __future__ import annotations

import bisect
import dataclasses
import datetime
import itertools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError, cut_text
from segfair.files import column_names as names
from segfair.files.cells import is_missing, of_each, parse_number

__all__ = [
    "ColumnBins",
    "Encoded",
    "Inferred",
    "ReadAs",
    "UnusableColumnError",
    "as_number",
    "finite_numbers",
    "fold",
    "infer_bins",
    "is_date",
    "level_text",
    "natural_order",
    "number_bins",
    "quantile_bins",
    "readable_edges",
    "readings_of",
    "text_levels",
]

# Dates as people and DICOM write them: three parts with a year or month name among them, or a time of day.
_DATES = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?"
    r"|(19|20)\d{2}[-/](0[1-9]|1[0-2])"
    r"|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?"
    r"|\d{1,2}[-. ]*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-., ]*\d{2,4}"
    r"|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-. ]*\d{1,2},? +\d{4}"
    r"|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?",
    re.IGNORECASE,
)
_COMPACT_DATE = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_SIGNS = {"<": -1, "≤": -1, ">": 1, "≥": 1}
_MOST_DECIMALS = 12
# From so many different whole numbers on, close together and few times each: a running number, not a quantity.
_RUNNING_FROM = 30
_RUNNING_REPEATS = 5
# Whole numbers that are few, close together and repeated are names (a site, a grade): a quantity has more values.
_FEW_NUMBERS = 6
_FEW_NAMES = 12
_LARGEST_NAME = 30
_REPEATS_OF_A_NAME = 5
_MOSTLY_NUMBERS = 0.8

ReadAs = Literal["categorical", "ordered", "numeric"]
"""How a user says a column is meant."""


def readings_of(
    *, categorical: Iterable[str] = (), ordered: Iterable[str] = (), numeric: Iterable[str] = ()
) -> dict[str, ReadAs]:
    """Column -> how it is meant.

    Raises:
        ConfigError: A column that is meant in two ways.
    """
    found: dict[str, ReadAs] = {}
    told: tuple[tuple[ReadAs, Iterable[str]], ...] = (
        ("categorical", categorical),
        ("ordered", ordered),
        ("numeric", numeric),
    )
    for kind, columns in told:
        for column in columns:
            if found.get(column, kind) != kind:
                raise ConfigError(f"--{found[column]} {column} and --{kind} {column}: one of them can hold")
            found[column] = kind
    return found


class UnusableColumnError(ValueError):
    """Why a column cannot become an attribute; never leaves `segfair.attributes.fit`.

    Attributes:
        kind: What the column is instead, in a word or two.
        is_loud: Whether its levels are many but not single cases, so that a reader would expect it among the results.
    """

    def __init__(self, reason: str, *, kind: str, is_loud: bool = False) -> None:
        super().__init__(reason)
        self.kind, self.is_loud = kind, is_loud


_MISSING, _OUTSIDE, _UNSEEN = -1, -2, -3
"""Why a value has no level: nothing is there, it is a number beyond all, or what was not there before."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Values after binning.

    Attributes:
        codes: Index into the levels of each value; -1 where missing.
        unseen: Value -> how often it occurred although it belongs to no level; these count as missing.
        n_outside: Numbers outside of the edges, infinite ones included; these count as missing.
    """

    codes: list[int]
    unseen: Counter[str]
    n_outside: int


@dataclass(frozen=True, slots=True)
class ColumnBins:
    """How the values of one column become levels.

    Attributes:
        kind: "levels": a value is its level; "bins": numbers between edges; "contains": a word in it decides.
        levels: The levels in order, without one for missing values.
        binning: How the levels came about, in words.
        edges: Finite bin edges, rising; bins are open on the left and closed on the right.
        open_below, open_above: Whether one more bin lies below the first, or above the last edge.
        spellings: "levels" only: (folded spelling, level) pairs.
        contains: "contains" only: (lower-case text, level) pairs; the first that a value contains decides.
    """

    kind: Literal["levels", "bins", "contains"]
    levels: tuple[str, ...]
    binning: str
    edges: tuple[float, ...] = ()
    open_below: bool = False
    open_above: bool = False
    spellings: tuple[tuple[str, str], ...] = ()
    contains: tuple[tuple[str, str], ...] = ()

    def encode(self, values: Iterable[object]) -> Encoded:
        """The level of each value."""
        position = {level: index for index, level in enumerate(self.levels)}
        spellings = dict(self.spellings)
        limits = [-math.inf] * self.open_below + list(self.edges) + [math.inf] * self.open_above

        def place(value: object) -> int:
            """The code of a value; `_MISSING`, `_OUTSIDE` or `_UNSEEN` where it has no level."""
            if is_missing(value):
                return _MISSING
            if self.kind == "bins":
                number = as_number(value)
                if number is None:
                    return _UNSEEN
                # Open on the left: a number that equals an edge belongs below it.
                index = bisect.bisect_left(limits, number) - 1
                return index if math.isfinite(number) and 0 <= index < len(self.levels) else _OUTSIDE
            if self.kind == "contains":
                text = level_text(value).lower()
                level = next((level for word, level in self.contains if word in text), None)
                return _UNSEEN if level is None else position.get(level, _MISSING)
            if isinstance(value, float) and math.isinf(value):
                return _OUTSIDE
            return position.get(spellings.get(fold(value), ""), _UNSEEN)

        values = list(values)
        places = of_each(place, values)
        found = Counter(places)
        unseen = Counter(level_text(values[row]) for row, code in enumerate(places) if code == _UNSEEN)
        return Encoded([max(code, -1) for code in places], unseen, found[_OUTSIDE])


def as_number(value: object) -> float | None:
    """A cell as a number; None for text that spells none, and for booleans."""
    if isinstance(value, str):
        return parse_number(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return None
    return float(value)


def is_date(value: object) -> bool:
    """Whether a value is a date, a time or a duration, or text that looks like a date or time."""
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64):
        return True
    if isinstance(value, str):
        return _DATES.fullmatch(value.strip()) is not None
    number = as_number(value)
    return number is not None and number.is_integer() and _COMPACT_DATE.fullmatch(f"{number:.0f}") is not None


def level_text(value: object) -> str:
    """A value as the name of a level: white space joined, whole numbers without a decimal point."""
    if isinstance(value, float | np.floating):
        return f"{value:.12g}"
    return " ".join(unicodedata.normalize("NFC", str(value)).split())


def fold(value: object) -> str:
    """What spellings of one level share: case, white space and Unicode composition do not count."""
    return level_text(value).casefold()


def natural_order(text: str) -> tuple[object, ...]:
    """Sort key under which `Stage 2` comes before `Stage 10`, and `<40` before `40-50` before `>50`."""
    stripped = text.lstrip("<>≤≥= ")
    sign = _SIGNS.get(text[:1], 0) if stripped[:1].isdigit() else 0
    parts = re.split(r"(\d+)", stripped.casefold())
    words = [(1, (0, ""), part) if index % 2 == 0 else (0, _size(part), "") for index, part in enumerate(parts) if part]
    # The sign decides between ranges that begin with the same number.
    return (words[:1], sign, words[1:], text)


def _size(digits: str) -> tuple[int, str]:
    """Digits in the order of the number that they spell, however many they are."""
    significant = digits.lstrip("0")
    return len(significant), significant


@dataclass(frozen=True, slots=True)
class Inferred:
    """How the values of a column were read.

    Attributes:
        bins: Their levels or ranges.
        why: What was decided by, in words.
        spellings: The spellings of each level that has several.
    """

    bins: ColumnBins
    why: str
    spellings: tuple[tuple[str, ...], ...] = ()


def infer_bins(
    name: str,
    values: Sequence[object],
    *,
    n_cases: int,
    max_levels: int,
    chosen: bool,
    keep_constant: bool,
    read_as: ReadAs | None = None,
) -> Inferred:
    """Levels as they are, or quartiles, whichever suits the values of a column.

    Left out are identifiers, patient numbers, folds and splits, file names, dates, constants and free text. Whole
    numbers are levels where they are few, where their name says that they are codes (a site, a grade), or where they
    are small, close together and repeated; other numbers are cut at their quartiles.

    Args:
        name: The column.
        values: The values that are not missing, in case order.
        n_cases: Number of cases, those with a missing value included.
        max_levels: Most levels.
        chosen: Whether the user named this column.
        keep_constant: Whether one level is enough.
        read_as: How the user says it is meant.

    Raises:
        UnusableColumnError: Nothing suits; the message says why.
    """
    if not values:
        raise UnusableColumnError("no values", kind="empty")
    if read_as is not None:
        return _read_as(read_as, values, max_levels)
    if not chosen:
        _refuse_bookkeeping(name, values)
    _refuse_dates(values)
    if all(not isinstance(value, str) and as_number(value) is not None for value in values):
        return _infer_numbers(name, values, n_cases, max_levels, chosen, keep_constant)
    return _infer_texts(name, values, n_cases, max_levels, chosen, keep_constant)


def _refuse_dates(values: Sequence[object]) -> None:
    n_dates = sum(of_each(is_date, values))
    # Whole numbers that look like 20240131 are dates only if all of them do.
    if n_dates == len(values) or (n_dates > 0.8 * len(values) and any(isinstance(value, str) for value in values)):
        raise UnusableColumnError("dates; derive a number such as the age, or years", kind="dates")


def _infer_texts(
    name: str, values: Sequence[object], n_cases: int, max_levels: int, chosen: bool, keep_constant: bool
) -> Inferred:
    """Texts as levels, or the numbers among them as ranges where nearly all of them are numbers."""
    bins, several = text_levels(values)
    n_kinds = len(bins.levels)
    numbers = [value for value, number in zip(values, of_each(as_number, values), strict=True) if number is not None]
    if _MOSTLY_NUMBERS * len(values) <= len(numbers) and n_kinds <= max_levels:
        # A few texts among measured numbers (`unknown`, `n. d.`) do not make a level of each number.
        inferred = _infer_numbers(name, [as_number(value) for value in numbers], len(values), max_levels, True, True)
        if inferred.bins.kind == "bins":
            return dataclasses.replace(inferred, why=_with_texts(len(numbers), len(values)))
    if n_kinds == 1 and len(values) == n_cases and not keep_constant:
        raise UnusableColumnError(f"the same value for every case ({cut_text(bins.levels[0])})", kind="constant")
    if n_kinds == len(values) > 2:
        raise UnusableColumnError(
            "a different value for every case: an identifier or free text", kind="identifier or free text"
        )
    if n_kinds > max_levels:
        if len(numbers) >= _MOSTLY_NUMBERS * len(values):
            return Inferred(quantile_bins(finite_numbers(numbers)), _with_texts(len(numbers), len(values)))
        raise _too_many(n_kinds, len(values), "texts", max_levels, chosen)
    return Inferred(bins, "text", tuple(map(tuple, several)))


def _with_texts(n_numbers: int, n_values: int) -> str:
    return f"{n_numbers:,} numbers; {n_values - n_numbers:,} texts beside them count as missing"


def _refuse_bookkeeping(name: str, values: Sequence[object]) -> None:
    """Raises for what names patients, files or parts of a study design, by its name and values."""
    kinds = set(of_each(fold, values))
    if names.is_fold(name) or names.are_splits(kinds):
        raise UnusableColumnError("a fold or split: it says who was trained on what, not who a patient is", kind="fold")
    if names.are_files(values):
        raise UnusableColumnError("names of files", kind="file names")
    many = len(kinds) > max(_FEW_NAMES, 0.1 * len(values))
    digits = sum(any(letter.isdigit() for letter in kind) for kind in kinds) > 0.5 * len(kinds)
    if names.is_patient(name) and (many or digits):
        raise UnusableColumnError("it names patients or studies", kind="patients")
    numbers = of_each(as_number, values)
    if None not in numbers and many and names.is_date(name):
        raise UnusableColumnError("moments by its name; derive a number such as the age, or years", kind="dates")
    if None not in numbers and many and _is_running([number for number in numbers if number is not None]):
        raise UnusableColumnError("a running number", kind="running number")


def _is_running(numbers: Sequence[float]) -> bool:
    """Whether whole numbers count cases or patients: close together, few times each, and never falling."""
    distinct = np.unique(numbers)
    if len(distinct) < _RUNNING_FROM or _step(distinct) != 1 or len(numbers) > _RUNNING_REPEATS * len(distinct):
        return False
    close = distinct[-1] - distinct[0] < 1.2 * len(distinct)
    return bool(close and (len(numbers) == len(distinct) or (np.diff(numbers) >= 0).all()))


def _infer_numbers(
    name: str, values: Sequence[object], n_cases: int, max_levels: int, chosen: bool, keep_constant: bool
) -> Inferred:
    numbers = finite_numbers(values)
    if not len(numbers):
        raise UnusableColumnError("no finite values", kind="empty")
    distinct = np.unique(numbers)
    if len(distinct) == 1 and len(numbers) == n_cases and not keep_constant:
        raise UnusableColumnError(f"the same value for every case ({distinct[0]:.12g})", kind="constant")
    whole = _step(distinct) == 1
    levels = text_levels(numbers.tolist())[0]
    if len(distinct) == 1 or (len(distinct) <= _FEW_NUMBERS and (whole or len(numbers) >= 2 * len(distinct))):
        return Inferred(levels, f"{len(distinct)} different numbers")
    # The number of a site is a name, too, as long as there are few of them.
    repeated_names = names.is_class(name) and len(numbers) >= 2 * len(distinct)
    coded = whole and (names.is_code(name) or names.is_id(name) or repeated_names)
    if coded and len(distinct) <= max_levels:
        return Inferred(levels, "whole numbers that are codes, by the column's name")
    close = distinct[-1] - distinct[0] < 2 * len(distinct)
    repeated = len(numbers) >= _REPEATS_OF_A_NAME * len(distinct)
    small = distinct[0] >= 0 and distinct[-1] <= _LARGEST_NAME and len(distinct) <= _FEW_NAMES
    if whole and close and repeated and small:
        why = f"{len(distinct)} small whole numbers, {len(numbers) // len(distinct)} times each on average: names"
        return Inferred(levels, f"{why}; --numeric makes ranges of them")
    if whole and not chosen and names.is_id(name):
        raise UnusableColumnError("an identifier by its name", kind="identifier")
    if whole and not chosen and names.is_code(name):
        raise _too_many(len(distinct), len(numbers), "codes", max_levels, chosen)
    return Inferred(quantile_bins(numbers), "numbers")


def _read_as(read_as: ReadAs, values: Sequence[object], max_levels: int) -> Inferred:
    """What the user says a column is."""
    if read_as == "numeric":
        numbers = finite_numbers(values)
        if len(np.unique(numbers)) < 2 or len(numbers) < 0.5 * len(values):
            raise UnusableColumnError(
                f"--numeric: {len(numbers)} of {len(values)} values are numbers, such as"
                f" {level_text(next((value for value in values if as_number(value) is None), values[0]))!r}",
                kind="no numbers",
            )
        return Inferred(quantile_bins(numbers), "as asked for (--numeric)")
    bins, several = text_levels(values)
    if read_as == "ordered" and len(bins.levels) > max_levels:
        return Inferred(_grouped(bins, values), f"as asked for (--ordered), {len(bins.levels)} levels in groups")
    return Inferred(bins, f"as asked for (--{read_as})", tuple(map(tuple, several)))


def _grouped(bins: ColumnBins, values: Sequence[object]) -> ColumnBins:
    """Neighbouring levels of an ordered column as four groups of about equal size."""
    codes = np.array(bins.encode(values).codes)
    ends = np.unique(np.quantile(codes, [0.25, 0.5, 0.75, 1], method="inverted_cdf"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    names_of = [
        bins.levels[low] if low == high else f"{bins.levels[low]} to {bins.levels[high]}"
        for low, high in zip(starts, ends, strict=True)
    ]
    group_of = {level: names_of[int(np.searchsorted(ends, code))] for code, level in enumerate(bins.levels)}
    spellings = tuple((key, group_of[level]) for key, level in bins.spellings)
    return ColumnBins("levels", tuple(names_of), f"quarters of {len(bins.levels)} ordered levels", spellings=spellings)


def _too_many(n_kinds: int, n_values: int, what: str, max_levels: int, chosen: bool) -> UnusableColumnError:
    hint = "" if chosen else "; choose it (or --categorical) to use it all the same"
    loud = n_values >= _REPEATS_OF_A_NAME * n_kinds
    return UnusableColumnError(
        f"{n_kinds} different {what}, more than {max_levels}{hint}",
        kind="many levels" if loud else "free text",
        is_loud=loud,
    )


def finite_numbers(values: Iterable[object]) -> NDArray[np.float64]:
    """The finite numbers among some values."""
    numbers = [number for number in of_each(as_number, values) if number is not None and math.isfinite(number)]
    return np.array(numbers, dtype=np.float64)


def text_levels(values: Sequence[object], *, binning: str = "as given") -> tuple[ColumnBins, list[list[str]]]:
    """The distinct values as levels, those that differ in case and white space only as one.

    Args:
        values: Values, none of them missing.
        binning: How to describe the levels.

    Returns:
        The levels, numbers and text in natural order, each in its most frequent spelling; and the spellings of each
        level that has several, the chosen one first.
    """
    spellings: dict[str, Counter[str]] = {}
    written = [value if isinstance(value, str) else level_text(value) for value in values]
    for text, count in Counter(written).items():
        spellings.setdefault(fold(text), Counter())[text] += count
    chosen = {key: level_text(_by_frequency(counts)[0]) for key, counts in spellings.items()}
    numbers = {key: as_number(level) for key, level in chosen.items()}
    in_order = sorted(chosen, key=lambda key: natural_order(chosen[key]))
    if None not in numbers.values():
        in_order.sort(key=lambda key: numbers[key] or 0.0)
    several = [_by_frequency(counts) for counts in spellings.values() if len(counts) > 1]
    bins = ColumnBins("levels", tuple(chosen[key] for key in in_order), binning, spellings=tuple(chosen.items()))
    return bins, several


def _by_frequency(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda text: (-counts[text], text))


def number_bins(
    edges: Sequence[float], numbers: NDArray[np.float64], *, labels: Sequence[str] = (), binning: str = ""
) -> ColumnBins:
    """Bins with given edges.

    Args:
        edges: Rising; an infinite first or last edge leaves that end open.
        numbers: (n,) finite; whether they are whole decides how the bins are named.
        labels: Names of the bins; readable ranges where empty.
        binning: How to describe the bins.
    """
    finite = tuple(float(edge) for edge in edges if math.isfinite(edge))
    below, above = math.isinf(edges[0]), math.isinf(edges[-1])
    words = binning or f"edges {', '.join('open' if math.isinf(edge) else f'{edge:.12g}' for edge in edges)}"
    levels = tuple(labels) or _range_names(finite, below, above, numbers)
    return ColumnBins("bins", levels, words, finite, below, above)


def quantile_bins(numbers: NDArray[np.float64]) -> ColumnBins:
    """Quartiles, open at both ends; fewer bins where values are tied across a quartile.

    Edges are observed values, rounded where that moves hardly any case, so that they can be read.

    Args:
        numbers: (n,) finite, at least two different ones.
    """
    largest = numbers.max()
    quartiles = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75], method="inverted_cdf"))
    edges = quartiles[quartiles < largest]
    if not len(edges):  # more than three quarters tie at the maximum
        edges = np.array([numbers[numbers < largest].max()])
    tied = "" if len(edges) == 3 else ", ties kept together"
    words = f"quartiles of {len(numbers):,} values{tied}"
    return number_bins((-math.inf, *readable_edges(edges, numbers), math.inf), numbers, binning=words)


def readable_edges(edges: NDArray[np.float64], numbers: NDArray[np.float64]) -> tuple[float, ...]:
    """The shortest edges that keep their order and bin all but 2 % of the numbers as before."""
    exact = tuple(map(float, edges))
    if _step(numbers) is not None:
        return exact
    before = np.searchsorted(edges, numbers, side="left")
    magnitude = math.floor(math.log10(max(abs(edge) for edge in exact) or 1.0))
    for decimals in range(2 - magnitude, _MOST_DECIMALS):
        rounded = np.round(edges, decimals)
        after = np.searchsorted(rounded, numbers, side="left")
        if (np.diff(rounded) > 0).all() and (before != after).mean() <= 0.02 and len(np.unique(after)) > len(edges):
            return tuple(map(float, rounded))
    return exact


def _step(numbers: NDArray[np.float64]) -> float | None:
    """1, 0.1 or 0.01 where all numbers are multiples of it; None for finer ones."""
    for decimals in range(3):
        if np.array_equal(np.round(numbers, decimals), numbers):
            return float(10.0**-decimals)
    return None


def _range_names(
    edges: tuple[float, ...], open_below: bool, open_above: bool, numbers: NDArray[np.float64]
) -> tuple[str, ...]:
    """Names of the bins: `≤ 40`, `41-50` and `> 50` where numbers are whole, `12.5-18.0` where they are not.

    Where all numbers are multiples of 1, 0.1 or 0.01 the ranges do not overlap; finer ranges share their ends,
    which belong to the lower one.
    """
    step = _step(numbers) if len(numbers) else None
    ends = edges if step is None else tuple(math.floor(edge / step + 1e-9) * step for edge in edges)
    decimals = _decimals(ends) if step is None else round(-math.log10(step))
    text = [f"{end:.{decimals}f}" if decimals <= 6 else f"{end:.6g}" for end in ends]
    names = [f"≤ {text[0]}"] if open_below else []
    for index, (low, high) in enumerate(itertools.pairwise(ends)):
        first = text[index] if step is None else f"{low + step:.{decimals}f}"
        separator = " to " if low < 0 else "-"
        names.append(
            text[index + 1]
            if step is not None and math.isclose(high - low, step)
            else f"{first}{separator}{text[index + 1]}"
        )
    if open_above:
        names.append(f"> {text[-1]}")
    rising = all(low < high for low, high in itertools.pairwise(ends))
    if rising and len(set(names)) == len(names):
        return tuple(names)
    # Edges finer than the numbers, or than six digits: only exact edges tell the bins apart.
    exact = [f"≤ {edges[0]!r}"] if open_below else []
    exact += [f"{low!r} to {high!r}" for low, high in itertools.pairwise(edges)]
    return (*exact, f"> {edges[-1]!r}") if open_above else tuple(exact)


def _decimals(numbers: Iterable[float]) -> int:
    """Decimals that all numbers can be written with, at most 12."""
    return next(
        (
            decimals
            for decimals in range(_MOST_DECIMALS)
            if all(math.isclose(round(number, decimals), number, rel_tol=1e-12) for number in numbers)
        ),
        _MOST_DECIMALS,
    )
