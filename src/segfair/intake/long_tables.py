"""Score tables with several rows a case -> one row a case: a row a case and label, fold or metric.

Decides nothing in silence: rows that merely repeat are merged, a column that tells rows apart becomes columns, and rows
that contradict each other are an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from segfair.errors import MetadataError, some
from segfair.files.cells import cell_text
from segfair.files.column_names import is_fold
from segfair.files.score_files import ScoreFile
from segfair.files.tables import Table, records_table
from segfair.intake.case_ids import differing_columns, is_row_number, row_key
from segfair.intake.score_columns import read_number
from segfair.intake.score_names import read_score_name

__all__ = ["one_row_a_case"]

_REPEATED = re.compile(r"(cv[_ ]?)?folds?|seeds?|runs?|repeats?|repetition", re.IGNORECASE)
# Things of which a case has any number: what one case lacks is no gap.
_COUNTED = re.compile(
    r"(lesions?|instances?|components?|nodules?|objects?|findings?|slices?|frames?)([\W_]*(id|nr|no|num|number|index|idx))?",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    r"(models?|methods?|algorithms?|networks?|teams?|checkpoints?|epochs?)([\W_]*(id|name))?", re.IGNORECASE
)
_BACKGROUND = ("0", "background", "bg")


def one_row_a_case(file: ScoreFile, ids_column: str) -> tuple[ScoreFile, tuple[str, ...]]:
    """The same scores with one row a case, and what was done.

    Rows that differ in nothing but their number are merged. In a table of a row a case and label, each label has its
    own column `SCORE_LABEL`, and `SCORE` is their mean (None where a label is missing), the background left out. In a
    table of a row a case and fold (seed, lesion ...), `SCORE` is the mean over them. In a table of a row a case and
    metric, each metric is a column. A cell of a score that is no number makes its mean None.

    Args:
        file: The scores.
        ids_column: The column of case ids.

    Raises:
        MetadataError: Rows of one case that contradict each other, without a column that tells them apart, or of
            several models.
    """
    table = file.table
    rows_of: dict[str, list[int]] = {}
    for row, value in enumerate(table.raw[ids_column]):
        if text := cell_text(value):
            rows_of.setdefault(text, []).append(row)
    repeated = {case: rows for case, rows in rows_of.items() if len(rows) > 1}
    if not repeated:
        return file, ()
    counted = [column for column in table.columns if not is_row_number(column, table.raw[column])]
    cells = {column: table.raw[column] for column in counted}
    differing = differing_columns(cells, rows_of)
    if not differing:
        merged = table.rows([rows[0] for rows in rows_of.values()])
        notice = f"{table.name}: cases whose row repeats without a difference: {len(repeated):,} ({some(repeated)})"
        return ScoreFile(merged, ids_column, file.scores), (notice,)
    keys = {
        case: [column for column in columns if not _is_fraction(table, column)] for case, columns in differing.items()
    }
    key = row_key(cells, rows_of, keys)
    if not key:
        case, columns = next(iter(differing.items()))
        raise MetadataError(
            f"{table.name}: {len(differing):,} of {len(rows_of):,} cases of column {ids_column} have rows that"
            f" contradict each other ({some(differing)}); those of {case} differ in {some(columns)}. Scores need one"
            " row a case, or a column that tells the rows of every case apart (label, fold)"
        )
    return _spread(file, ids_column, key, rows_of)


def _is_fraction(table: Table, column: str) -> bool:
    """Whether a column holds numbers with decimals: a score, and no label."""
    return any(isinstance(value, float) and not value.is_integer() for value in table.column(column))


def _spread(
    file: ScoreFile, ids_column: str, key: str, rows_of: Mapping[str, Sequence[int]]
) -> tuple[ScoreFile, tuple[str, ...]]:
    table = file.table
    kinds = [cell_text(value) for value in table.raw[key]]
    if _COMPARED.fullmatch(key.strip()):
        raise MetadataError(
            f"{table.name}: holds the scores of several models, told apart by {key} ({some(dict.fromkeys(kinds))});"
            " hand over one table a model (rank-scores takes a folder of them)"
        )
    levels = [kind for kind in dict.fromkeys(kinds) if kind]
    values = {column: table.column(column) for column in table.columns if column not in (ids_column, key)}
    by_kind = {case: {kinds[row]: row for row in rows} for case, rows in rows_of.items()}
    if sum(read_score_name(level) is not None for level in levels) > len(levels) / 2:
        column = _value_column(table, list(values), values)
        records = [
            {ids_column: case} | {level: values[column][rows[level]] if level in rows else None for level in levels}
            for case, rows in by_kind.items()
        ]
        notice = f"{table.name}: {len(kinds):,} rows, one a case and {key}; each {key} is a column ({some(levels, 10)})"
        return ScoreFile(records_table(records, name=table.name), ids_column), (notice,)
    is_repeated = any(pattern.fullmatch(key.strip()) for pattern in (_REPEATED, _COUNTED))
    parts = levels if is_repeated else [level for level in levels if level.casefold() not in _BACKGROUND] or levels
    scores, records, told = _means(table.name, ids_column, values, by_kind, rows_of, parts, is_repeated=is_repeated)
    if is_repeated:
        notice = f"{table.name}: {len(kinds):,} rows, several a case; scores are means over {key} ({some(parts, 10)})"
        return ScoreFile(records_table(records, name=table.name), ids_column), (notice, *told)
    mean_of = {column: tuple(f"{column}_{level}" for level in parts) for column in scores}
    notice = f"{table.name}: {len(kinds):,} rows, one a case and {key}; scores are means over {key} {some(parts, 10)}"
    lacking = [case for case, rows in by_kind.items() if not all(part in rows for part in parts)]
    if lacking:
        told.append(f"{table.name}: cases without a row for each {key}, whose mean is undefined: {some(lacking)}")
    return ScoreFile(records_table(records, name=table.name), ids_column, mean_of=mean_of), (notice, *told)


def _means(
    name: str,
    ids_column: str,
    values: Mapping[str, Sequence[object]],
    by_kind: Mapping[str, Mapping[str, int]],
    rows_of: Mapping[str, Sequence[int]],
    parts: Sequence[str],
    *,
    is_repeated: bool,
) -> tuple[list[str], list[dict[str, object]], list[str]]:
    """The columns of scores; a record a case with their means over the parts, and the parts; and cells not read."""
    rated = {column: read_score_name(column) for column in values}
    rates = {column for column, known in rated.items() if known is not None and known.better != "neither"}
    scores = [
        column
        for column, cells in values.items()
        if _is_score(cells) and (column in rates or not _is_of_the_case(column, cells, rows_of))
    ]
    constant = [column for column in values if column not in scores and _is_constant(values[column], rows_of)]
    records = []
    illegible: list[str] = []
    for case, rows in by_kind.items():
        record: dict[str, object] = {ids_column: case}
        for column in scores:
            found = [values[column][rows[level]] if level in rows else None for level in parts]
            numbers = [read_number(value) for value in found]
            known = [number for number in numbers if number is not None]
            # A missing value of a fold or lesion is passed over; a cell that nobody can read spoils the mean.
            unreadable = [
                value for value, number in zip(found, numbers, strict=True) if value is not None and number is None
            ]
            illegible += [f"{case} ({cell_text(value)})" for value in unreadable]
            complete = known if len(known) == len(parts) or (is_repeated and not unreadable) else []
            record[column] = sum(known) / len(known) if complete else None
            if not is_repeated:
                record |= {f"{column}_{level}": value for level, value in zip(parts, found, strict=True)}
        record |= {column: values[column][rows_of[case][0]] for column in constant}
        records.append(record)
    told = f"{name}: cells that are no numbers, the mean left undefined: {len(illegible)} ({some(illegible)})"
    return scores, records, [told] if illegible else []


def _value_column(table: Table, others: Sequence[str], values: Mapping[str, Sequence[object]]) -> str:
    numeric = [column for column in others if _is_score(values[column])]
    numeric = [column for column in numeric if not is_row_number(column, table.raw[column])]
    if len(numeric) != 1:
        raise MetadataError(
            f"{table.name}: has a row a case and metric, and {len(numeric)} columns of numbers beside them"
            f" ({some(numeric, 10) or 'none'}); expected one, the value"
        )
    return numeric[0]


def _is_score(values: Sequence[object]) -> bool:
    present = [value for value in values if value is not None]
    numbers = [value for value in present if not isinstance(value, bool) and read_number(value) is not None]
    return bool(numbers) and len(numbers) >= 0.5 * len(present)


def _is_of_the_case(column: str, values: Sequence[object], rows_of: Mapping[str, Sequence[int]]) -> bool:
    """Whether a number says something of the case, and no score: the same in all of its rows, or a fold by its name."""
    return is_fold(column) or (_is_constant(values, rows_of) and any(len(rows) > 1 for rows in rows_of.values()))


def _is_constant(values: Sequence[object], rows_of: Mapping[str, Sequence[int]]) -> bool:
    return all(len({str(values[row]) for row in rows}) == 1 for rows in rows_of.values())
