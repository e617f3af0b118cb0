"""Per-case scores that exist already and a table -> a cohort without masks and its scores. Computes no score."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from segfair.cases import Case, Cohort
from segfair.errors import MetadataError, some
from segfair.files import column_names
from segfair.files.cells import cell_text, is_missing
from segfair.files.score_files import ScoreFile, read_scores
from segfair.files.spellings import id_stem
from segfair.files.tables import Table
from segfair.intake.case_ids import ColumnMatch, is_row_number, match_column
from segfair.intake.case_rows import attach_metadata, choose_cases, read_metadata, table_input, with_folds
from segfair.intake.long_tables import one_row_a_case
from segfair.intake.score_columns import read_score_columns
from segfair.intake.score_names import read_score_name
from segfair.protocol.rules import Protocol
from segfair.scoring.scores import CaseScore, ScoreTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["default_outcome", "load_score_cohort"]

Column = list[float | None]


def load_score_cohort(
    scores: str | PathLike[str] | pd.DataFrame,
    metadata: str | PathLike[str] | pd.DataFrame,
    *,
    id_column: str | None = None,
    sheet: str | None = None,
    cases: str | None = None,
    where: str | None = None,
    subject_column: str | None = None,
    lower_is_better: Sequence[str] = (),
    higher_is_better: Sequence[str] = (),
    protocol: Protocol | None = None,
) -> tuple[Cohort, ScoreTable]:
    """Gathers the cases of an audit from a file of scores and their metadata.

    Args:
        scores: A table with one row a case (or several, told apart by label or fold), nnU-Net's `summary.json`, or its
            results folder; or a data frame. Of a table the columns of numbers are scores, except those that the
            metadata hold, too (unless their name is that of a metric).
        metadata: Table of patient attributes; may be the same table.
        id_column: Metadata column of case ids; None: the one that shares most values with a column of the scores.
        sheet: Sheet of an XLSX file of metadata; None: the one that holds most of the case ids.
        cases: Only these cases count: a file of ids, or `splits_final.json:FOLD`.
        where: Only cases whose metadata fulfil this count; see `segfair.intake.where`.
        subject_column: Metadata column that tells which cases are of one patient.
        lower_is_better: Score columns of which lower values are better, where their names do not tell.
        higher_is_better: Score columns of which higher values are better, where their names do not tell.
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
    file = _with_folders_as_ids(read_scores(scores))
    table = read_metadata(metadata, sheet=sheet, case_ids=_possible_ids(file))
    ids_column = file.id_column or _find_case_column(file.table, table, id_column)
    file, collapsed = one_row_a_case(_with_stems(file, ids_column), ids_column)
    rows_of = {text: row for row, value in enumerate(file.table.raw[ids_column]) if (text := cell_text(value))}
    case_ids = sorted(rows_of)
    rows = attach_metadata(table, case_ids, id_column=id_column, subject_column=subject_column)
    rows = with_folds(rows, case_ids, file.fold)

    found = read_score_columns(
        file,
        ids_column,
        metadata_columns=table.columns,
        lower_is_better=lower_is_better,
        higher_is_better=higher_is_better,
    )
    values, empty_notices = _fill_both_empty(file, found.values, ids_column, protocol)
    chosen, choice = choose_cases(case_ids, rows, cases=cases, where=where, what="scores")
    counts = set(chosen)
    excluded = {case: reason for case, reason in rows.absent.items() if case in counts}
    if excluded:
        choice.append(f"cases without a row in {rows.name}, excluded: {len(excluded)} ({some(excluded)})")
    counted = [case for case in chosen if case not in excluded]
    scored = set(found.column_of.values())
    columns = tuple(column for column in rows.columns if column not in scored)
    chosen_rows = ((case, rows.rows[case]) for case in counted)
    cohort = Cohort(
        tuple(Case(case, metadata={column: row[column] for column in columns}) for case, row in chosen_rows),
        columns=columns,
        id_column=rows.id_column,
        excluded=excluded,
        notices=(
            f"scores: {len(case_ids)} cases in {file.table.name}, by its column {ids_column}",
            *file.notices,
            *file.table.notices,
            *collapsed,
            *found.notices,
            *empty_notices,
            *rows.notices,
            *choice,
        ),
        alerts=tuple(("direction", text) for text in found.alerts),
        inputs={**table_input("scores", scores), **table_input("metadata", metadata)},
        subject_column=rows.subject_column,
        joined=rows.joined,
        missing=rows.missing,
    )
    penalties, facts = _penalties(file.table), _facts(file)
    case_scores = (
        CaseScore(case, {name: column[row] for name, column in values.items()}, facts[row], penalised=penalties[row])
        for case, row in ((case, rows_of[case]) for case in counted)
    )
    return cohort, ScoreTable(found.metrics, tuple(case_scores))


def _with_folders_as_ids(file: ScoreFile) -> ScoreFile:
    """Paths to files of one name (`P1/seg.nii.gz`, `P2/seg.nii.gz`) become the folders that tell them apart."""
    table = file.table
    for column in table.columns if not file.id_column else (file.id_column,):
        texts = [cell_text(value) for value in table.raw[column]]
        if not all("/" in text or "\\" in text for text in texts):
            continue
        paths = [re.split(r"[/\\]", text) for text in texts]
        if min(map(len, paths)) < 2 or len(set(texts)) < 2 or len({path[-1] for path in paths}) > 1:
            continue
        for place in range(2, min(map(len, paths)) + 1):
            folders = [path[-place] for path in paths]
            if len(set(folders)) == len(set(texts)):
                table = table.replaced(column, folders)
                notice = f"{table.name}: {column} holds paths to files called {paths[0][-1]}: the folders are the ids"
                file = dataclasses.replace(file, table=table, notices=(*file.notices, notice))
                break
    return file


def _with_stems(file: ScoreFile, ids_column: str) -> ScoreFile:
    """Ids that are file names or paths become what the files are called without their endings."""
    texts = [cell_text(value) for value in file.table.raw[ids_column]]
    if any(id_stem(text) == text for text in texts if text):
        return file
    stems = [id_stem(text) for text in texts]
    if len(set(stems)) == len(set(texts)):
        return dataclasses.replace(file, table=file.table.replaced(ids_column, stems))
    return file


def default_outcome(table: ScoreTable) -> str:
    """The score that is examined where none is asked for: DSC, else the first that rates a prediction.

    One whose name is that of a metric comes before one of which a direction was assumed.
    """
    rated = [metric.name for metric in table.metrics if metric.better in ("higher", "lower")]
    rated.sort(key=lambda name: read_score_name(name) is None)
    return "dsc" if "dsc" in table.names else (rated or list(table.names))[0]


def _possible_ids(file: ScoreFile) -> list[str]:
    """Every text that could be a case id, to find the sheet of the metadata."""
    columns = [file.id_column] if file.id_column else _id_columns(file.table)
    return [text for column in columns for value in file.table.raw[column] if (text := cell_text(value))]


def _id_columns(table: Table) -> list[str]:
    """The columns that may hold case ids: several values, no fractions, and not called after a metric."""
    found = []
    for column in table.columns:
        if read_score_name(column) is not None or column_names.is_no_id(column):
            continue
        texts = {text for value in table.raw[column] if (text := cell_text(value))}
        fractions = any(isinstance(value, float) and not value.is_integer() for value in table.column(column))
        if texts and not fractions and (len(texts) > 1 or len(table) == 1):
            found.append(column)
    return found


def _find_case_column(scores: Table, metadata: Table, id_column: str | None) -> str:
    """The column of the scores that holds the case ids: the one that best pairs with a column of the metadata.

    Raises:
        MetadataError: None does, or two pair the rows of the scores with different rows.
    """
    theirs = metadata.raw if id_column not in metadata.columns else {id_column: metadata.raw[id_column]}
    candidates = _id_columns(scores)
    numbering = [column for column in candidates if is_row_number(column, scores.raw[column])]
    found: dict[str, ColumnMatch] = {}
    for group in ([column for column in candidates if column not in numbering], numbering):
        for column in group:
            ids = list(dict.fromkeys(text for value in scores.raw[column] if (text := cell_text(value))))
            match = match_column(theirs, ids)
            if match is not None:
                found[column] = match
        if found:
            break
    if not found:
        columns = ", ".join(f"{column} ({some(map(cell_text, scores.raw[column]))})" for column in scores.columns[:4])
        raise MetadataError(
            f"{scores.name}: no column of case ids that {metadata.name} has, too; its columns are {columns}."
            " Scores need one row a case and a column of case ids"
        )

    def quality(column: str) -> tuple[object, ...]:
        # A column in which ids repeat may be a patient's; the study's own id comes first.
        n_rows = sum(cell_text(value) != "" for value in scores.raw[column])
        return (*found[column].quality[:3], len(found[column].matches.rows) == n_rows, *found[column].quality[3:])

    best = max(found, key=quality)
    _refuse_two(best, found, scores, metadata)
    return best


def _refuse_two(best: str, found: Mapping[str, ColumnMatch], scores: Table, metadata: Table) -> None:
    """Two columns of the scores that lead to different rows of the metadata."""

    def row_of(column: str) -> dict[int, int]:
        rows = found[column].matches.rows
        texts = map(cell_text, scores.raw[column])
        return {index: rows[text][0] for index, text in enumerate(texts) if text in rows}

    ours = row_of(best)
    for column, match in found.items():
        if column == best:
            continue
        theirs = row_of(column)
        differ = [index for index in ours if index in theirs and ours[index] != theirs[index]]
        equal = match.quality[:3] == found[best].quality[:3]
        if not differ or not equal or len(theirs) < 0.5 * len(ours):
            continue
        raise MetadataError(
            f"{scores.name}: its columns {best} and {column} lead to different rows of {metadata.name}, for"
            f" {len(differ)} of {len(ours)} rows, such as row {differ[0] + 1}; name the column of ids of"
            f" {metadata.name} with --id-column ({found[best].column} or {match.column}), or leave one of them out"
        )


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
    row_of = {case: row for row, case in enumerate(map(cell_text, file.table.raw[ids_column]))}
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


def _penalties(table: Table) -> list[str | None]:
    """The column `penalised` of an audit's cases.csv: why a case has the worst score."""
    if "penalised" not in table.columns:
        return [None] * len(table)
    return [value if isinstance(value, str) and not is_missing(value) else None for value in table.column("penalised")]


def _facts(file: ScoreFile) -> list[dict[str, float]]:
    """Voxels of label and prediction, where a summary tells: with one label, or where all are empty."""
    facts: list[dict[str, float]] = [{} for _ in range(len(file.table))]
    if not file.id_column:
        return facts
    for name, count in (("label_voxels", "n_ref"), ("prediction_voxels", "n_pred")):
        columns = [column for column in file.table.columns if column == count or column.startswith(f"{count}_")]
        for row, counts in enumerate(zip(*(file.table.column(column) for column in columns), strict=True)):
            # Nested regions share voxels: their counts do not add up, except to nothing.
            if None not in counts and (len(counts) == 1 or not any(counts)):
                facts[row][name] = float(sum(counts))
    return facts
