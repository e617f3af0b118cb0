"""Score tables of many teams -> `TeamScores`: the same cases for all, the worst score where a team has none."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from segfair.cases import Case, Cohort
from segfair.errors import InputError, some
from segfair.files.images.headers import leads_out
from segfair.files.tables import TABLE_SUFFIXES
from segfair.intake.case_rows import table_input
from segfair.intake.score_tables import load_score_cohort
from segfair.protocol.rules import Protocol
from segfair.rank.teams import TeamScores
from segfair.scoring.scores import CaseScore, ScoreTable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["load_team_scores"]

NO_SCORES = "no scores"
# What segfair and nnU-Net call a table of per-case scores; a folder of one team may hold other tables beside it.
_USUAL_NAMES = ("cases.csv", "summary.json")


def load_team_scores(
    directory: str | PathLike[str],
    metadata: str | PathLike[str] | pd.DataFrame,
    *,
    protocol: Protocol,
    id_column: str | None = None,
    sheet: str | None = None,
    cases: str | None = None,
    where: str | None = None,
    subject_column: str | None = None,
    lower_is_better: Sequence[str] = (),
    higher_is_better: Sequence[str] = (),
) -> TeamScores:
    """Gathers per-case scores that exist already.

    Args:
        directory: One table a team (`TEAM.csv`, `TEAM.json`), or one sub-folder a team with `cases.csv`, nnU-Net's
            `summary.json` or a single table. See `segfair.intake.cohorts.load_score_cohort` for what a table may be.
        metadata: Table of patient attributes, one row a case.
        protocol: Says what a case with an empty label and an empty prediction is worth.
        id_column: Metadata column of case ids; None: the one that shares most values with the scores.
        sheet: Sheet of an XLSX file of metadata.
        cases: Only these cases count: a file of ids, or `splits_final.json:FOLD`.
        where: Only cases whose metadata fulfil this count.
        subject_column: Metadata column that tells which cases are of one patient.
        lower_is_better: Score columns of which lower values are better.
        higher_is_better: Score columns of which higher values are better.

    Returns:
        The cases that any team has, in id order. A team without a row for a case has no values there and is
        penalised; `segfair.rank.teams.require_complete` decides what that is worth. The baseline has the score of an
        empty mask; where the tables do not tell that a label is empty, it is taken to hold a lesion.

    Raises:
        InputError: A folder or table that is missing or unusable.
        PairingError: `cases` names none of a team's cases.
        ConfigError: A condition or a column that does not exist.
    """
    loaded: dict[str, tuple[Cohort, ScoreTable]] = {}
    for team, path in _team_files(Path(directory)).items():
        try:
            loaded[team] = load_score_cohort(
                path,
                metadata,
                id_column=id_column,
                sheet=sheet,
                cases=cases,
                where=where,
                subject_column=subject_column,
                lower_is_better=lower_is_better,
                higher_is_better=higher_is_better,
                protocol=protocol,
            )
        except InputError as error:
            raise type(error)(f"team {team}: {error}") from error
    by_id: dict[str, Case] = {}
    excluded: dict[str, str] = {}
    notices: dict[str, None] = {f"teams: {len(loaded)} tables in {directory}": None}
    for team, (cohort, _) in loaded.items():
        by_id.update({case.id: case for case in cohort if case.id not in by_id})
        excluded.update(cohort.excluded)
        notices.update({f"{team}: {text}": None for text in cohort.notices[:1]})
        notices.update(dict.fromkeys(cohort.notices[1:]))
    if not by_id:
        raise InputError(f"{directory}: no case with scores has a row in the metadata ({some(excluded)})")
    order = sorted(by_id)
    tables = {team: _aligned(table, order) for team, (_, table) in loaded.items()}
    first = next(cohort for cohort, _ in loaded.values())
    cohort = dataclasses.replace(
        first,
        cases=tuple(by_id[case] for case in order),
        columns=tuple(dict.fromkeys(column for cohort, _ in loaded.values() for column in cohort.columns)),
        excluded={},
        notices=(),
        alerts=tuple(dict.fromkeys(alert for cohort, _ in loaded.values() for alert in cohort.alerts)),
        inputs={"scores": Path(directory), **table_input("metadata", metadata)},
    )
    return TeamScores(cohort, tables, _baseline(tables, order, protocol), excluded, notices=tuple(notices))


def _team_files(directory: Path) -> dict[str, Path]:
    """Team -> its table, which lies where the team's things lie: a link to a table of others is none of its own."""
    if not directory.is_dir():
        raise InputError(
            f"scores {directory}: {'is a file' if directory.exists() else 'does not exist'}; expected a folder "
            "with one table or sub-folder a team"
        )
    files: dict[str, Path] = {}
    for entry in sorted(directory.iterdir()):
        if entry.name[0] in "._":
            continue
        if entry.is_symlink():
            raise InputError(f"scores {entry}: is a link; put the table itself there")
        if entry.is_dir():
            name, table = entry.name, _table_in(entry)
        elif entry.suffix.lower() in TABLE_SUFFIXES:
            name, table = entry.stem, entry
        else:
            continue
        if leads_out(table, entry):
            raise InputError(f"scores {table}: is a link that leads out of {entry}; put the table itself there")
        if name in files:
            raise InputError(f"scores {directory}: team {name} has two tables, {files[name].name} and {table.name}")
        files[name] = table
    if not files:
        raise InputError(
            f"scores {directory}: no table and no sub-folder in it; tables end in {', '.join(TABLE_SUFFIXES)}"
        )
    return files


def _table_in(folder: Path) -> Path:
    for name in _USUAL_NAMES:
        if (folder / name).is_file():
            return folder / name
    tables = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in TABLE_SUFFIXES and path.is_file()]
    if len(tables) != 1:
        raise InputError(
            f"scores {folder}: {len(tables)} tables in it ({some([path.name for path in tables])}); expected "
            f"{' or '.join(_USUAL_NAMES)}, or a single table"
        )
    return tables[0]


def _aligned(table: ScoreTable, order: Sequence[str]) -> ScoreTable:
    by_case = {score.case: score for score in table.scores}
    nothing: Mapping[str, float | None] = dict.fromkeys(table.names)
    return dataclasses.replace(
        table,
        scores=tuple(by_case.get(case) or CaseScore(case, nothing, penalised=NO_SCORES) for case in order),
    )


def _baseline(tables: Mapping[str, ScoreTable], order: Sequence[str], protocol: Protocol) -> ScoreTable:
    """The scores of empty masks; other metrics than DSC, NormHD and a missed lesion are left undefined."""
    first = next(iter(tables.values()))
    scores = []
    for index, case in enumerate(order):
        rows = [table.scores[index] for table in tables.values()]
        is_empty = any(row.values.get("volume") == 0 or row.facts.get("label_voxels") == 0 for row in rows)
        known = (
            {"dsc": protocol.empty.both_dsc, "normhd": 0.0}
            if is_empty
            else {"dsc": 0.0, "normhd": 1.0, "lesion_missed": 1.0}
        )
        scores.append(CaseScore(case, {name: known.get(name) for name in first.names}))
    return ScoreTable(first.metrics, tuple(scores))
