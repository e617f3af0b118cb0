"""The score columns of a table: which they are, what they measure, their numbers as shares, their better direction.

Every assumption is told: names nobody knows, per cent, cells that are no numbers. Joins nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from segfair.errors import ConfigError, MetadataError, close_names, some
from segfair.files import column_names
from segfair.files.cells import cell_text
from segfair.files.columns import NumberStyle, cell_number, special_number
from segfair.files.score_files import ScoreFile
from segfair.intake.case_ids import is_row_number
from segfair.intake.score_names import ScoreName, read_score_name
from segfair.scoring.metrics import METRICS, Metric

__all__ = ["ScoreColumns", "read_number", "read_score_columns"]

Column = list[float | None]
_MOSTLY = 0.8
"""So large a share of numbers makes a column of scores of one whose name nobody knows."""
_MIXED = 0.1
"""So large a share of values up to 1 among per cent is no accident: two ways of writing in one column."""
_ROUNDING = 1e-6
_MOST = 1e15
"""No measure of a mask is larger in any unit; sums of squares of what is would leave the numbers of a computer."""


@dataclass(frozen=True, slots=True)
class ScoreColumns:
    """The scores of a file.

    Attributes:
        values: Name -> one number a row, None where there is none.
        metrics: What each means.
        column_of: Name -> the column of the file that it was read from.
        notices: Sentences for the reader.
        alerts: What a reader must know before believing a number: directions that were assumed.
    """

    values: Mapping[str, Column]
    metrics: tuple[Metric, ...]
    column_of: Mapping[str, str]
    notices: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    """What is collected while columns are read."""

    file: ScoreFile
    cases: Sequence[str]
    told: Mapping[str, str]
    values: dict[str, Column] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    column_of: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)

    def read(self, column: str, taken: set[str]) -> None:
        """Adds one column: its numbers, its name among the metrics (unless taken), its better direction."""
        known = read_score_name(column)
        table = self.file.table
        numbers = _numbers(column, table.column(column), self.cases, table.name, self.notices)
        if known is not None and known.is_share:
            numbers = _shares(column, numbers, self.cases, table.name, known.per_cent, self.notices)
        name = self.name_of(column, known, taken)
        self.values[name] = numbers
        self.column_of[name] = column
        self.metrics.append(_metric(name, table.name, self.direction_of(column, name, known, numbers)))

    def name_of(self, column: str, known: ScoreName | None, taken: set[str]) -> str:
        if known is None or not known.metric or self.file.scores or known.metric in taken or _our_metric(column):
            return column
        taken.add(known.metric)
        self.notices.append(f"{self.file.table.name}: column {column} is read as {known.metric}")
        return known.metric

    def direction_of(self, column: str, name: str, known: ScoreName | None, numbers: Column) -> str:
        if known is not None and known.better == "lower" and column not in self.told and _has_negative(numbers):
            self.notices.append(
                f"{self.file.table.name}: {column} has negative values: taken as signed, best at zero; it is described"
                " and not judged (--lower-is-better judges it all the same)"
            )
            return "signed"
        direction = self.told.get(column) or self.told.get(name) or (known.better if known else None)
        if direction is None:
            self.assumed.append(column)
        return direction or "higher"


def read_score_columns(
    file: ScoreFile,
    ids_column: str,
    *,
    metadata_columns: Collection[str] = (),
    lower_is_better: Sequence[str] = (),
    higher_is_better: Sequence[str] = (),
) -> ScoreColumns:
    """Reads the columns of a file that hold scores.

    A column of one of segfair's metrics (`Dice`, `DSC (%)`) gets its name (`dsc`), unless another column has it. A
    metric between 0 and 1 that is written in per cent is divided by 100. A cell that is no number is a missing value.

    Args:
        file: The scores, one row a case.
        ids_column: The column of case ids.
        metadata_columns: Columns of the metadata; what both tables hold is an attribute, unless its name is that of a
            metric.
        lower_is_better: Columns of which lower values are better, whatever their names say.
        higher_is_better: Columns of which higher values are better.

    Raises:
        MetadataError: No scores, or a share beyond what it can be.
        ConfigError: A column that is named does not exist, or is named for both directions.
    """
    both = set(lower_is_better) & set(higher_is_better)
    if both:
        raise ConfigError(f"--lower-is-better and --higher-is-better {min(both)}: one of them can hold")
    told = dict.fromkeys(lower_is_better, "lower") | dict.fromkeys(higher_is_better, "higher")
    table = file.table
    found = _Found(file, [cell_text(value) for value in table.raw[ids_column]], told)
    names = list(file.scores or (column for column in table.columns if column != ids_column))
    if not file.scores:
        _refuse_without_numbers(file, names)
        names = _without_bookkeeping(file, names, told, metadata_columns, found.notices)
    taken = {column for column in names if column in METRICS}
    for column in names:
        if file.scores or _is_score(column, table.column(column), told, metadata_columns):
            found.read(column, taken)
    if not found.values:
        raise MetadataError(
            f"{table.name}: no column of numbers that are scores; its columns are {some(table.columns, 20)}"
        )
    _refuse_unknown("--lower-is-better", lower_is_better, found)
    _refuse_unknown("--higher-is-better", higher_is_better, found)
    notices = (f"scores: the columns {some(found.column_of.values(), 20)} of {table.name}", *found.notices)
    alerts: tuple[str, ...] = ()
    if found.assumed:
        alerts = (
            f"Higher is taken as better for {some(found.assumed, 20)}, for nothing says otherwise; if lower is better,"
            " every verdict on it is the wrong way round: say so with --lower-is-better, else with --higher-is-better.",
        )
    return ScoreColumns(found.values, tuple(found.metrics), found.column_of, notices, alerts)


def _refuse_unknown(option: str, columns: Sequence[str], found: _Found) -> None:
    for column in columns:
        if column not in found.values and column not in found.column_of.values():
            close = close_names(column, (*found.values, *found.column_of.values()))
            raise ConfigError(f"{option} {column}: no column of scores{close}; scores are {some(found.values, 20)}")


def _refuse_without_numbers(file: ScoreFile, names: Sequence[str]) -> None:
    """A column of one of segfair's metrics without any number: another score would quietly take its place."""
    for column in names:
        known = read_score_name(column)
        values = file.table.column(column)
        if known is None or not known.metric or any(read_number(value) is not None for value in values):
            continue
        cells = [text for value in file.table.raw[column] if (text := cell_text(value))]
        raise MetadataError(
            f"{file.table.name}: column {column} is a score by its name and holds no number, but"
            f" {some(map(repr, dict.fromkeys(cells))) or 'empty cells'}; mend it, or leave that column out"
        )


def _without_bookkeeping(
    file: ScoreFile,
    names: Sequence[str],
    told: Collection[str],
    metadata_columns: Collection[str],
    notices: list[str],
) -> list[str]:
    """Without folds, patients, sites and ages, which are numbers beside the scores and rate nothing."""

    def is_bookkeeping(column: str) -> bool:
        by_name = column_names.is_fold(column) or column_names.is_patient(column) or column_names.is_id(column)
        by_name = by_name or column_names.is_code(column) or column_names.is_person(column)
        return by_name and column not in told and read_score_name(column) is None

    bookkeeping = [column for column in names if is_bookkeeping(column)]
    lost = [
        column
        for column in bookkeeping
        if column not in metadata_columns and any(read_number(value) is not None for value in file.table.column(column))
    ]
    if lost:
        notices.append(
            f"{file.table.name}: {some(lost, 10)}: no score by the name, and not used; an attribute belongs into the"
            " metadata, and --lower-is-better or --higher-is-better make a score of it"
        )
    return [column for column in names if column not in bookkeeping]


def _is_score(column: str, values: Sequence[object], told: Collection[str], metadata_columns: Collection[str]) -> bool:
    """Whether a column of a table of one's own holds scores."""
    known = read_score_name(column)
    present = [value for value in values if value is not None]
    if not any(read_number(value) is not None for value in present) or is_row_number(column, values):
        return False
    if column in told or (known is not None and not known.is_quantity):
        return True
    # The size of a tumour stands in tables of patients; segfair's own volume stays a measured one.
    if known is not None:
        return column not in metadata_columns or column in METRICS
    # Yes or no is a score only where that is said; what both tables hold is an attribute.
    if column in metadata_columns or any(isinstance(value, bool) for value in present):
        return False
    return sum(read_number(value) is not None for value in present) >= _MOSTLY * len(present)


def read_number(value: object) -> float | None:
    """A cell as a number, whatever the other cells of its column are."""
    if isinstance(value, bool | float):
        return float(value)
    styles: tuple[NumberStyle, ...] = ("point", "comma")
    for style in styles:
        number = cell_number(value, style=style)
        if number is not None:
            return float(number)
    special = special_number(value.strip()) if isinstance(value, str) else None
    return special[0] if special is not None else None


def _numbers(column: str, values: Sequence[object], cases: Sequence[str], table: str, notices: list[str]) -> Column:
    """The numbers of a column; what is none, or is infinite, is undefined and told, what is beyond all size refused."""
    numbers: Column = [None if value is None else read_number(value) for value in values]
    unreadable = [
        f"{case} ({cell_text(value)})"
        for case, value, number in zip(cases, values, numbers, strict=True)
        if value is not None and number is None
    ]
    if unreadable:
        notices.append(
            f"{table}: {column}: cells that are no numbers, left undefined: {len(unreadable)} ({some(unreadable)})"
        )
    infinite = sum(number is not None and math.isinf(number) for number in numbers)
    if infinite:
        notices.append(f"{column}: infinite values, left undefined: {infinite}")
    for case, number in zip(cases, numbers, strict=True):
        if number is not None and _MOST < abs(number) < math.inf:
            raise MetadataError(
                f"{table}: {column} is {number:g} for {case}, too large for a score; mend that cell, or leave it empty"
            )
    return [None if number is None or math.isinf(number) else number for number in numbers]


def _shares(
    column: str, numbers: Column, cases: Sequence[str], table: str, per_cent: bool, notices: list[str]
) -> Column:
    """Numbers of a metric between 0 and 1: per cent divided by 100, what can be no share undefined or refused."""
    negative = [
        f"{case} ({number:g})" for case, number in zip(cases, numbers, strict=True) if number is not None and number < 0
    ]
    if negative:
        notices.append(
            f"{table}: {column}: negative values, no shares, left undefined: {len(negative)} ({some(negative)})"
        )
        numbers = [None if number is None or number < 0 else number for number in numbers]
    known = [number for number in numbers if number is not None]
    largest = max(known, default=0.0)
    if largest > 100 + _ROUNDING or (largest > 1 + _ROUNDING and float(np.median(known)) <= 1 and not per_cent):
        case = cases[numbers.index(largest)]
        raise MetadataError(
            f"{table}: {column} is {largest:g} for {case}, and by its name lies between 0 and 1, or 0 and 100 per cent;"
            " mend that cell, or rename the column"
        )
    if largest > 1 + _ROUNDING:
        numbers_of = zip(cases, numbers, strict=True)
        small = [f"{case} ({number:g})" for case, number in numbers_of if number is not None and 0 < number <= 1]
        if len(small) >= max(2, _MIXED * len(known)) and not per_cent:
            raise MetadataError(
                f"{table}: {column} holds shares and per cent: {len(small)} of {len(known)} values lie between 0 and 1"
                f" ({some(small)}), the others are up to {largest:g}; write all of them in one way, or put % into the"
                " column's name"
            )
        if small:
            notices.append(f"{table}: {column}: values below 1 per cent: {len(small)} ({some(small)})")
        notices.append(f"{table}: {column} is in per cent, up to {largest:g}, and is divided by 100")
        return [None if number is None else number / 100 for number in numbers]
    if per_cent and known:
        notices.append(f"{table}: {column} is in per cent by its name, but no value is above 1: taken as shares")
    return numbers


def _has_negative(numbers: Column) -> bool:
    return any(number is not None and number < 0 for number in numbers)


def _our_metric(column: str) -> Metric | None:
    """The metric of segfair's that a column is called after: `dsc`, or `dsc_REGION`."""
    return METRICS.get(column) or next(
        (METRICS[name] for name in sorted(METRICS, key=len, reverse=True) if column.startswith(f"{name}_")), None
    )


def _metric(name: str, file_name: str, direction: str) -> Metric:
    known = _our_metric(name)
    as_given = Metric(name, known.unit if known else "", "higher", f"{name}/as-given-in-{file_name}", "as given")
    return dataclasses.replace(as_given, better=direction)  # type: ignore[arg-type]
