"""The rows of a metadata table by case, and which cases count. Knows no masks and no scores."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from segfair.cases import Join
from segfair.errors import ConfigError, MetadataError, PairingError, close_names, some
from segfair.files.datalists import read_case_list
from segfair.files.finding.bids import PARTICIPANTS, with_sessions
from segfair.files.tables import Table, load_table, table_from_frame
from segfair.intake.case_ids import find_id_column, match_ids
from segfair.intake.where import fulfilled
from segfair.remote import local_copy

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "NO_SUBJECTS",
    "MetadataRows",
    "attach_metadata",
    "choose_cases",
    "read_metadata",
    "table_input",
    "with_folds",
]

FOLD = "fold"
"""The column of folds that nnU-Net's results bring along."""
NO_SUBJECTS = "none"
"""A subject column of this name says that every case is a patient of its own."""


@dataclass(frozen=True, slots=True)
class MetadataRows:
    """The rows of a table by case.

    Attributes:
        name: What the table is called in messages; empty without a table.
        id_column: The column of case ids.
        columns: The other columns, in order, without those that differ between the rows of one case; with the id
            column where that tells the patients.
        rows: Case id -> column -> typed value, None where missing; with the id column.
        absent: Case id -> why it has no row.
        notices: Sentences for the reader.
        subject_column: The id column where its rows serve several cases each; else empty.
        joined: How rows and cases were joined; None without a table.
        missing: Column -> case id -> how its missing value is spelt; "" for an empty cell.
    """

    name: str
    id_column: str
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, object]]
    absent: Mapping[str, str]
    notices: tuple[str, ...] = ()
    subject_column: str = ""
    joined: Join | None = None
    missing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of(self, case: str) -> dict[str, object]:
        """The metadata of one case; empty without a row."""
        row = self.rows.get(case, {})
        return {column: row[column] for column in self.columns} if row else {}


def read_metadata(metadata: str | PathLike[str] | pd.DataFrame, *, sheet: str | None, case_ids: Sequence[str]) -> Table:
    """A metadata table from a file or a data frame; `participants.tsv` of BIDS with the sessions of its data set.

    Raises:
        MetadataError: It is unusable.
    """
    if isinstance(metadata, str | PathLike):
        if Path(metadata).name == PARTICIPANTS and (joined := with_sessions(local_copy(Path(metadata)), case_ids)):
            return joined
        return load_table(Path(metadata), sheet=sheet, wanted_ids=case_ids)
    return table_from_frame(metadata)


def table_input(role: str, table: str | PathLike[str] | pd.DataFrame | None) -> dict[str, Path]:
    """A table among the inputs of a cohort; empty where it is no file."""
    return {role: Path(table)} if isinstance(table, str | PathLike) else {}


def attach_metadata(
    table: Table, case_ids: Sequence[str], *, id_column: str | None = None, subject_column: str | None = None
) -> MetadataRows:
    """Finds the row of each case.

    Raises:
        MetadataError: No such column, no row of any case, or rows of one case that contradict each other.
    """
    if subject_column == NO_SUBJECTS and NO_SUBJECTS not in table.columns:
        subject_column = None
    if subject_column is not None and subject_column not in table.columns:
        raise MetadataError(
            f"subject column {subject_column}: not in {table.name}{close_names(subject_column, table.columns)};"
            f" columns are {some(table.columns, 20)}"
        )
    try:
        match = find_id_column(table.raw, case_ids, wanted=id_column, name=table.name)
    except MetadataError as error:
        if len(table.sheets) < 2:
            raise
        raise MetadataError(
            f"{error}. This was sheet {table.sheet} of {', '.join(table.sheets)}; name another with --sheet"
        ) from error
    typed = {column: table.column(column) for column in table.columns}
    absent = {
        case: f"no row in {table.name}"
        + (f": {', '.join(match.ambiguous[case])} could be it or another" if case in match.ambiguous else "")
        for case in case_ids
        if case not in match.rows
    }
    patients = match.column if match.is_patient else ""
    return MetadataRows(
        table.name,
        match.column,
        tuple(
            column
            for column in table.columns
            if column not in match.several and (column != match.column or column in (subject_column, patients))
        ),
        _Rows(typed, match.rows),
        absent,
        (*table.notices, *match.notices),
        patients,
        Join(match.column, match.explanation, match.counts),
        _missing(table, typed, match.rows),
    )


class _Rows(Mapping[str, Mapping[str, object]]):
    """Case id -> column -> value, made of the columns when asked for: a million rows are not kept twice."""

    def __init__(self, typed: Mapping[str, Sequence[object]], row_of: Mapping[str, int]) -> None:
        self._typed, self._row_of = typed, row_of

    def __getitem__(self, case: str) -> Mapping[str, object]:
        row = self._row_of[case]
        return {column: values[row] for column, values in self._typed.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._row_of)

    def __len__(self) -> int:
        return len(self._row_of)


def _missing(table: Table, typed: Mapping[str, Sequence[object]], rows: Mapping[str, int]) -> dict[str, dict[str, str]]:
    """Column -> case -> how its missing value is spelt."""
    found = {}
    for column, values in typed.items():
        cells = table.raw[column]
        without = {case: row for case, row in rows.items() if values[row] is None}
        found[column] = {case: "" if cells[row] is None else str(cells[row]).strip() for case, row in without.items()}
    return {column: cases for column, cases in found.items() if cases}


def with_folds(rows: MetadataRows, case_ids: Sequence[str], fold_of: Mapping[str, str]) -> MetadataRows:
    """The fold that predicted a case, as a column `fold`; the table's own column of that name comes first.

    Args:
        rows: The metadata; without a table every case gets a row.
        case_ids: All cases.
        fold_of: Case id -> name of its fold; empty where there are no folds.
    """
    if not fold_of:
        return rows
    if FOLD in rows.columns:
        notice = f"the column {FOLD} of {rows.name} is used, not the folds of the results"
        return dataclasses.replace(rows, notices=(*rows.notices, notice))

    def fold(case: str) -> int | str | None:
        name = fold_of.get(case)
        return int(name) if name is not None and name.isdecimal() else name

    with_row: Mapping[str, Mapping[str, object]] = rows.rows if rows.name else {case: {} for case in case_ids}
    joined = {case: {**row, FOLD: fold(case)} for case, row in with_row.items()}
    return dataclasses.replace(rows, columns=(*rows.columns, FOLD), rows=joined)


def choose_cases(
    case_ids: Sequence[str], rows: MetadataRows, *, cases: str | None, where: str | None, what: str
) -> tuple[list[str], list[str]]:
    """The cases that count, in their order, and what a reader has to know.

    Args:
        case_ids: All cases.
        rows: Their metadata.
        cases: A file of ids, or `splits_final.json:FOLD`; None: all.
        where: A condition on the metadata; None: all.
        what: What has the ids: "labels", "scores".

    Raises:
        InputError: The file of ids cannot be used.
        PairingError: It names none of the cases.
        ConfigError: A condition that cannot be read, or that no case fulfils.
    """
    chosen, notices = list(case_ids), []
    if cases is not None:
        wanted = read_case_list(cases)
        matches = match_ids(case_ids, wanted)
        unknown = sorted(set(wanted) - {wanted[index] for found in matches.rows.values() for index in found})
        if not matches.rows:
            raise PairingError(
                f"--cases {cases}: none of its {len(wanted)} ids has {what}; it names {some(wanted)}, and there are"
                f" {what} of {some(case_ids)}"
            )
        chosen = [case for case in case_ids if case in matches.rows]
        notices.append(f"cases that count: {len(chosen)} of {len(case_ids)}, those in {cases}")
        if unknown:
            notices.append(f"ids in {cases} without {what}: {len(unknown)} ({some(unknown)})")
    if where is not None:
        columns = list(dict.fromkeys((rows.id_column, *rows.columns)))
        holds = fulfilled(where, [rows.rows.get(case, {}) for case in chosen], columns=columns)
        fulfilling = [case for case, fulfils in zip(chosen, holds, strict=True) if fulfils]
        if not fulfilling:
            values = [
                f"{column} holds {some(dict.fromkeys(row[column] for row in rows.rows.values()), 5)}"
                for column in columns
                if column and re.search(rf"(?<!\w){re.escape(column)}(?!\w)", where)
            ]
            raise ConfigError(f"--where {where!r}: no case fulfils it" + (f"; {'; '.join(values)}" if values else ""))
        notices.append(f"cases that count: {len(fulfilling)} of {len(case_ids)}, those where {where}")
        chosen = fulfilling
    return chosen, notices
