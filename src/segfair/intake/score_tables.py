"""Per-case scores that exist already and a table -> a cohort without masks and its scores."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from segfair.binning import as_number
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, MetadataError
from segfair.intake.case_ids import match_ids, some
from segfair.intake.case_rows import attach_metadata, choose_cases, read_metadata
from segfair.intake.where import close_names
from segfair.io.cells import cell_text, is_missing
from segfair.io.score_files import ScoreFile, read_scores
from segfair.io.tables import Table
from segfair.metrics import METRICS, Metric
from segfair.protocol import Protocol
from segfair.scores import CaseScore, ScoreTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_score_cohort"]

Column = list[float | None]


def load_score_cohort(
    scores: Path,
    metadata: Path | pd.DataFrame,
    *,
    id_column: str | None = None,
    sheet: str | None = None,
    cases: str | None = None,
    where: str | None = None,
    subject_column: str | None = None,
    lower_is_better: Sequence[str] = (),
    protocol: Protocol | None = None,
) -> tuple[Cohort, ScoreTable]:
    """Gathers the cases of an audit from a file of scores and their metadata.

    Args:
        scores: A table with one row a case, or nnU-Net's `summary.json`. Of a table the columns of numbers are
            scores, except those that the metadata hold, too (unless their name is that of a metric).
        metadata: Table of patient attributes; may be the same table.
        id_column: Metadata column of case ids; None: the one that shares most values with a column of the scores.
        sheet: Sheet of an XLSX file of metadata; None: the one that holds most of the case ids.
        cases: Only these cases count: a file of ids, or `splits_final.json:FOLD`.
        where: Only cases whose metadata fulfil this count; see `segfair.intake.where`.
        subject_column: Metadata column that tells which cases are of one patient.
        lower_is_better: Score columns of which lower values are better, beside the metrics known by name.
        protocol: Says what the DSC and IoU of a case are in which label and prediction are empty (a summary leaves
            them undefined); None: they stay undefined, with a notice.

    Returns:
        The cohort in id order, and the scores of its cases in the same order. Values that are no finite number are
        None.

    Raises:
        InputError: A file that is missing or unusable.
        MetadataError: The two tables share no ids, or there are no scores.
        PairingError: `cases` names none of them.
        ConfigError: A condition or a column that does not exist.
    """
    file = read_scores(Path(scores))
    table = read_metadata(metadata, sheet=sheet, case_ids=_possible_ids(file))
    ids_column = file.id_column or _find_case_column(file.table, table, id_column)
    rows_of = {text: row for row, value in enumerate(file.table.raw[ids_column].tolist()) if (text := cell_text(value))}
    case_ids = sorted(rows_of)
    rows = attach_metadata(table, case_ids, id_column=id_column, subject_column=subject_column)

    values, notices = _score_columns(file, ids_column, table.columns, lower_is_better)
    values, empty_notices = _fill_both_empty(file, values, ids_column, protocol)
    chosen, choice = choose_cases(case_ids, rows, cases=cases, where=where, what="scores")
    excluded = {case: reason for case, reason in rows.absent.items() if case in set(chosen)}
    if excluded:
        choice.append(f"cases without a row in {rows.name}, excluded: {len(excluded)} ({some(excluded)})")
    counted = [case for case in chosen if case not in excluded]
    columns = tuple(column for column in rows.columns if column not in values)
    cohort = Cohort(
        tuple(Case(case, metadata={column: rows.rows[case][column] for column in columns}) for case in counted),
        columns=columns,
        id_column=rows.id_column,
        excluded=excluded,
        notices=(
            f"scores: {len(case_ids)} cases in {file.table.name}, by its column {ids_column}",
            *file.table.notices,
            *notices,
            *empty_notices,
            *rows.notices,
            *choice,
        ),
        inputs={
            "scores": Path(scores),
            **({"metadata": Path(metadata)} if isinstance(metadata, str | Path) else {}),
        },
        subject_column=rows.subject_column,
        joined=rows.joined,
    )
    penalties = _penalties(file.table)
    facts = _facts(file)
    table_of_scores = ScoreTable(
        tuple(_metric(name, file.table.name, name in lower_is_better) for name in values),
        tuple(
            CaseScore(
                case,
                {name: column[rows_of[case]] for name, column in values.items()},
                facts[rows_of[case]],
                penalised=penalties[rows_of[case]],
            )
            for case in counted
        ),
    )
    return cohort, table_of_scores


def _possible_ids(file: ScoreFile) -> list[str]:
    """Every text that could be a case id, to find the sheet of the metadata."""
    columns = [file.id_column] if file.id_column else _unique_columns(file.table)
    return [text for column in columns for value in file.table.raw[column].tolist() if (text := cell_text(value))]


def _unique_columns(table: Table) -> list[str]:
    """The columns whose values are all different and no fractions: one of them may hold case ids."""
    found = []
    for column in table.columns:
        texts = [text for value in table.raw[column].tolist() if (text := cell_text(value))]
        fractions = any(isinstance(value, float) and not value.is_integer() for value in table.column(column))
        if texts and len(set(texts)) == len(texts) and not fractions:
            found.append(column)
    return found


def _find_case_column(scores: Table, metadata: Table, id_column: str | None) -> str:
    """The column of the scores that shares most values with a column of the metadata."""
    theirs = [column for column in metadata.columns if id_column in (None, column)]
    best, most = "", (0, 0)
    for column in _unique_columns(scores):
        ids = [text for value in scores.raw[column].tolist() if (text := cell_text(value))]
        for other in theirs:
            matches = match_ids(ids, metadata.raw[other].tolist())
            quality = (len(matches.rows), len(matches.rows) - len(matches.loose))
            if quality > most:
                best, most = column, quality
    if best:
        return best
    columns = ", ".join(
        f"{column} ({some(map(cell_text, scores.raw[column].tolist()))})" for column in scores.columns[:4]
    )
    raise MetadataError(
        f"{scores.name}: no column with one value a case that {metadata.name} has, too; its columns are {columns}."
        " Scores need one row a case and a column of case ids"
    )


def _score_columns(
    file: ScoreFile, ids_column: str, metadata_columns: Sequence[str], lower_is_better: Sequence[str]
) -> tuple[dict[str, Column], list[str]]:
    """The columns that hold scores, and what a reader has to know about them.

    Raises:
        MetadataError: There is none, or DSC is in percent.
        ConfigError: `lower_is_better` names another column.
    """
    table = file.table
    numbers: dict[str, Column] = {}
    for column in file.scores or [name for name in table.columns if name != ids_column]:
        values = table.column(column)
        if _known(column) is not None or column in lower_is_better:  # yes or no is a score only where that is said
            values = [int(value) if isinstance(value, bool) else value for value in values]
        parsed = [as_number(value) for value in values]
        if all((number is None) == (value is None) for number, value in zip(parsed, values, strict=True)):
            numbers[column] = parsed
    if not file.scores:
        # What both tables hold is an attribute, unless its name says otherwise.
        numbers = {
            column: found
            for column, found in numbers.items()
            if any(number is not None for number in found)
            and (column not in metadata_columns or _known(column) is not None or column in lower_is_better)
        }
    if not numbers:
        raise MetadataError(
            f"{table.name}: no column of numbers that are scores; its columns are {some(table.columns, 20)}"
        )
    for column in lower_is_better:
        if column not in numbers:
            raise ConfigError(
                f"--lower-is-better {column}: no column of scores{close_names(column, numbers)}; scores are"
                f" {some(numbers, 20)}"
            )
    notices = [f"scores: the columns {some(numbers, 20)} of {table.name}"]
    for column, found in numbers.items():
        known = _known(column)
        infinite = sum(number is not None and math.isinf(number) for number in found)
        if infinite:
            numbers[column] = [None if number is None or math.isinf(number) else number for number in found]
            notices.append(f"{column}: infinite values, left undefined: {infinite}")
        largest = max((number for number in numbers[column] if number is not None), default=0.0)
        if known is not None and known.name == "dsc" and largest > 1 + 1e-6:
            raise MetadataError(
                f"{table.name}: {column} goes up to {largest:g}, and a DSC lies between 0 and 1; is it in percent?"
            )
    assumed = [column for column in numbers if _known(column) is None and column not in lower_is_better]
    if assumed:
        notices.append(
            f"higher is taken as better for {some(assumed, 20)}; name those of which lower is better with"
            " --lower-is-better"
        )
    return numbers, notices


def _fill_both_empty(
    file: ScoreFile, values: Mapping[str, Column], ids_column: str, protocol: Protocol | None
) -> tuple[dict[str, Column], list[str]]:
    """What a protocol says of cases with an empty label and prediction; the means over labels are taken anew."""
    if not file.both_empty:
        return dict(values), []
    affected = sorted({case for cases in file.both_empty.values() for case in cases})
    if protocol is None:
        return dict(values), [
            f"cases with an empty label and prediction, left undefined: {len(affected)} ({some(affected)})"
        ]
    worth = protocol.empty.both_dsc
    row_of = {case: row for row, case in enumerate(map(cell_text, file.table.raw[ids_column].tolist()))}
    filled = {name: list(column) for name, column in values.items()}
    for name, cases in file.both_empty.items():
        for case in cases:
            filled[name][row_of[case]] = worth
    for name, parts in file.mean_of.items():
        for row in row_of.values():
            known = [number for part in parts if (number := filled[part][row]) is not None]
            filled[name][row] = sum(known) / len(known) if len(known) == len(parts) else None
    return filled, [
        f"cases with an empty label and prediction, under the protocol {protocol.name} a DSC of {worth:g}:"
        f" {len(affected)} ({some(affected)})"
    ]


def _known(column: str) -> Metric | None:
    """The metric that a column is called after: `dsc`, or `dsc_REGION`."""
    return METRICS.get(column) or next(
        (METRICS[name] for name in sorted(METRICS, key=len, reverse=True) if column.startswith(f"{name}_")), None
    )


def _metric(name: str, file_name: str, lower: bool) -> Metric:
    known = _known(name)
    as_given = Metric(name, "", "higher", f"{name}/as-given-in-{file_name}", "as given")
    metric = dataclasses.replace(as_given, unit=known.unit, better=known.better) if known else as_given
    return dataclasses.replace(metric, better="lower") if lower else metric


def _penalties(table: Table) -> list[str | None]:
    """The column `penalised` of an audit's cases.csv: why a case has the worst score."""
    if "penalised" not in table.columns:
        return [None] * len(table.raw)
    return [value if isinstance(value, str) and not is_missing(value) else None for value in table.column("penalised")]


def _facts(file: ScoreFile) -> list[dict[str, float]]:
    """Voxels of label and prediction, where a summary tells: with one label, or where all are empty."""
    facts: list[dict[str, float]] = [{} for _ in range(len(file.table.raw))]
    if not file.id_column:
        return facts
    for name, count in (("label_voxels", "n_ref"), ("prediction_voxels", "n_pred")):
        columns = [column for column in file.table.columns if column == count or column.startswith(f"{count}_")]
        for row, counts in enumerate(zip(*(file.table.column(column) for column in columns), strict=True)):
            # Nested regions share voxels: their counts do not add up, except to nothing.
            if None not in counts and (len(counts) == 1 or not any(counts)):
                facts[row][name] = float(sum(counts))
    return facts
