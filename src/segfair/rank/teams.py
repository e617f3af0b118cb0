"""Many submissions for one set of labels: which prediction is whose, and all of them scored case by case.

Each label is read once, for all teams. A label that cannot be used leaves the cohort of every team; a prediction that
cannot be used costs its team the worst score of that case and nobody else anything. Ranks nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segfair.cases import Case, Cohort, MaskRole
from segfair.errors import AuditError, ConfigError, InputError, PairingError, some
from segfair.files.finding.patterns import local_masks, with_pattern
from segfair.files.folders import has_masks, is_folder
from segfair.files.images.grey_levels import grey_levels
from segfair.files.images.headers import leads_out
from segfair.files.layouts import find_labels, find_predictions, pair_ids
from segfair.intake.case_rows import attach_metadata, choose_cases, read_metadata, table_input
from segfair.intake.mask_values import is_black_and_white
from segfair.protocol.rules import Protocol
from segfair.remote import local_copy, shown
from segfair.scoring.cohort import Outcome, score_predictions
from segfair.scoring.executors import outcomes_in_order
from segfair.scoring.score_cache import Rules, ScoreCache
from segfair.scoring.scores import TOLERANCE, CaseScore, ScoreTable, protocol_metrics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Team", "TeamScores", "load_teams", "require_complete", "score_teams"]

# Above this share of labels that no team predicted, the wrong labels are looked at.
_MOST_MISSING = 0.2
# What the worst prediction has; of any other metric, the worst value that any team has.
_WORST = {
    **dict.fromkeys(("dsc", "iou", "sensitivity", "precision", *TOLERANCE), 0.0),
    **dict.fromkeys(("normhd", "lesion_missed"), 1.0),
}


@dataclass(frozen=True, slots=True)
class Team:
    """One submission.

    Attributes:
        name: The name of its folder.
        predictions: Case id -> predicted mask.
        problem: Why no prediction of it can be used; empty where some can.
        folder: Its folder, which none of its files may leave, links followed; None: they may lie anywhere.
        grey_levels: Values of its PNG masks, rising.
    """

    name: str
    predictions: Mapping[str, Path]
    problem: str = ""
    folder: Path | None = None
    grey_levels: tuple[int, ...] = ()

    def case(self, case: Case, protocol: Protocol) -> Case:
        """A case with this team's prediction of it."""
        roles: tuple[MaskRole, ...] = ("prediction",) if is_black_and_white(self.grey_levels, protocol) else ()
        white = (*(role for role in case.white if role == "label"), *roles)
        return dataclasses.replace(case, prediction=self.predictions.get(case.id), within=self.folder, white=white)


@dataclass(frozen=True, slots=True)
class TeamScores:
    """Scores of all teams for the same cases in the same order.

    Attributes:
        cohort: The scored cases, with metadata and without predictions.
        tables: Team -> its scores.
        baseline: What a submission of empty masks gets.
        excluded: Case -> why no team is scored on it.
        problems: Team -> why none of its predictions could be used.
        notices: Sentences for the reader.
    """

    cohort: Cohort
    tables: Mapping[str, ScoreTable]
    baseline: ScoreTable
    excluded: Mapping[str, str]
    problems: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The teams in order."""
        return tuple(self.tables)


def load_teams(
    directory: str | PathLike[str],
    labels: str | PathLike[str],
    metadata: str | PathLike[str] | pd.DataFrame,
    *,
    pattern: str | None = None,
    id_column: str | None = None,
    sheet: str | None = None,
    cases: str | None = None,
    where: str | None = None,
    subject_column: str | None = None,
) -> tuple[Cohort, tuple[Team, ...]]:
    """Gathers the cases that count and every team's predictions of them.

    Args:
        directory: One sub-folder a team, in any layout of predictions that `segfair.files.layouts` knows.
        labels: Folder of reference masks, whose file names are the case ids, or a path with `{id}`.
        metadata: Table of patient attributes, one row a case.
        pattern: Where the masks lie in the folder of a team, with `{id}`; None: as a layout has it.
        id_column: Metadata column of case ids; None: the one that holds most of them.
        sheet: Sheet of an XLSX file; None: the one that holds most of the case ids.
        cases: Only these cases count: a file of ids, or `splits_final.json:FOLD`.
        where: Only cases whose metadata fulfil this count.
        subject_column: Metadata column that tells which cases are of one patient.

    Returns:
        The cohort in id order, without predictions; and the teams by name. A team without any usable file is among
        them, with its problem.

    Raises:
        InputError: A folder or file that is missing or unusable.
        PairingError: No team has a prediction of these labels, or more than a fifth of the labels have none at all.
        MetadataError: The table is unusable, or belongs to other cases.
        ConfigError: A condition that cannot be read, or that no case fulfils.
    """
    inputs = {"teams": Path(directory), "labels": Path(labels), **table_input("metadata", metadata)}
    team_folder, label_folder = local_copy(inputs["teams"]), local_masks(inputs["labels"])
    folders = team_entries(team_folder)
    label_masks = find_labels(label_folder)
    if label_masks.structures:
        raise InputError(f"labels {label_folder}: are one file a structure; a ranking takes one label map a case")
    case_ids = sorted(label_masks.files)
    rows = attach_metadata(
        read_metadata(metadata, sheet=sheet, case_ids=case_ids),
        case_ids,
        id_column=id_column,
        subject_column=subject_column,
    )
    chosen, choice = choose_cases(case_ids, rows, cases=cases, where=where, what="labels")
    teams, notices = [], []
    for folder in folders:
        team, n_extra = _read_team(folder, folders, case_ids, pattern)
        teams.append(team)
        if n_extra:
            notices.append(f"{team.name}: predictions without a label, passed over: {n_extra}")
    _check_coverage(teams, chosen, team_folder, label_folder)
    counted = set(chosen)
    excluded = {case: reason for case, reason in rows.absent.items() if case in counted}
    return Cohort(
        tuple(Case(case, label_masks.files[case], metadata=rows.of(case)) for case in chosen if case not in excluded),
        columns=rows.columns,
        id_column=rows.id_column,
        excluded=excluded,
        notices=tuple(
            map(
                shown,
                (
                    f"teams: {len(teams)} folders in {team_folder}",
                    f"labels: {len(case_ids)} masks in {label_folder}",
                    *label_masks.notices,
                    *notices,
                    *rows.notices,
                    *choice,
                ),
            )
        ),
        label_names=label_masks.label_names,
        ignore_label=label_masks.ignore_label,
        inputs=inputs,
        subject_column=rows.subject_column,
        joined=rows.joined,
        missing=rows.missing,
    ), tuple(teams)


def team_entries(directory: Path) -> list[Path]:
    """The sub-folders of a folder of submissions.

    Raises:
        InputError: The folder is missing, or has none.
    """
    if not directory.is_dir():
        raise InputError(
            f"teams {directory}: {'is a file' if directory.exists() else 'does not exist'}; "
            "expected a folder with one sub-folder a team"
        )
    folders = sorted(entry for entry in directory.iterdir() if entry.name[0] not in "._" and is_folder(entry))
    if not folders:
        hint = "; it holds masks itself: put each team's masks into a folder of its own" if has_masks(directory) else ""
        raise InputError(f"teams {directory}: no sub-folder in it; expected one a team{hint}")
    return folders


def score_teams(
    cohort: Cohort,
    teams: Sequence[Team],
    protocol: Protocol,
    *,
    threshold: float | None = None,
    spacing_mm: tuple[float, ...] | None = None,
    executor: Executor | None = None,
    cache: ScoreCache | None = None,
    on_done: Callable[[str], None] | None = None,
    strict: bool = False,
) -> TeamScores:
    """Scores every team on every case, and a submission of empty masks beside them.

    Args:
        cohort: The cases that count.
        teams: The submissions.
        protocol: The rules.
        threshold: See `segfair.scoring.cohort.score_case`.
        spacing_mm: See `segfair.scoring.cohort.score_case`.
        executor: Where cases are scored; None: one after the other, here. The result is the same.
        cache: See `segfair.scoring.cohort.score_cohort`.
        on_done: Called here with each case id, in cohort order, once all teams have been scored on it.
        strict: Whether the first unusable file is an error.

    Raises:
        InputError: `strict`, and a file is unusable.
        AuditError: No label can be used, or a worker process died.
    """
    metrics = protocol_metrics(protocol)
    rules = Rules(protocol, threshold, spacing_mm)
    found: dict[str, tuple[CaseScore, ...]] = {}
    excluded = dict(cohort.excluded)
    with outcomes_in_order(score_predictions, _jobs(cohort, teams, rules, cache), executor) as outcomes:
        for case, told in outcomes:
            outcome = told.with_urls()
            if outcome.reason:
                excluded[case] = outcome.reason
            else:
                found[case] = outcome.scores
            if cache is not None:
                cache.count(len(teams), n_found=outcome.n_found, problem=outcome.problem)
            if strict:
                _stop_at_unusable(case, outcome, teams)
            if on_done is not None:
                on_done(case)
    if not found:
        examples = "; ".join(f"{case}: {reason}" for case, reason in list(excluded.items())[:3])
        raise AuditError(f"no case can be scored: {examples or 'the cohort is empty'}")

    def table(index: int) -> ScoreTable:
        return ScoreTable(metrics, tuple(scores[index] for scores in found.values()))

    return TeamScores(
        dataclasses.replace(cohort, cases=tuple(case for case in cohort if case.id in found), excluded={}),
        {team.name: table(index) for index, team in enumerate(teams)},
        table(len(teams)),
        excluded,
        {team.name: shown(team.problem) for team in teams if team.problem},
        cohort.notices,
    )


def require_complete(scores: TeamScores, names: Sequence[str]) -> TeamScores:
    """Gives every case a value of some metrics: the worst one where a team has none.

    Args:
        scores: All scores.
        names: The metrics that teams are ranked by.

    Returns:
        The scores, with a notice for each metric that had gaps.

    Raises:
        ConfigError: A metric that not every team has.
    """
    notices = []
    worst: dict[str, float] = {}
    for name in names:
        lacking = [team for team, table in scores.tables.items() if name not in table.names]
        if lacking:
            common = [name for name in scores.baseline.names if all(name in t.names for t in scores.tables.values())]
            raise ConfigError(
                f"{name}: {some(lacking)} has no such score; all teams have {', '.join(common) or 'none in common'}"
            )
        columns = [table.column(name) for table in scores.tables.values()]
        known = [value for column in columns for value in column if value is not None]
        n_gaps = sum(value is None for column in columns for value in column)
        if not known:
            raise ConfigError(f"{name}: no team has a value of it; rank by another score")
        lower = _lower_is_better(scores, name)
        worst[name] = _WORST.get(name, max(known) if lower else min(known))
        if n_gaps:
            notices.append(f"{name}: {n_gaps} values that are not there count as the worst, {worst[name]:g}")

    def filled(table: ScoreTable) -> ScoreTable:
        return dataclasses.replace(table, scores=tuple(_filled(score, worst) for score in table.scores))

    return dataclasses.replace(
        scores,
        tables={team: filled(table) for team, table in scores.tables.items()},
        baseline=filled(scores.baseline),
        notices=(*scores.notices, *notices),
    )


def _filled(score: CaseScore, worst: Mapping[str, float]) -> CaseScore:
    gaps = {name: value for name, value in worst.items() if score.values[name] is None}
    if not gaps:
        return score
    reason = score.penalised or f"no {', '.join(gaps)}"
    return dataclasses.replace(score, values={**score.values, **gaps}, penalised=reason)


def _lower_is_better(scores: TeamScores, name: str) -> bool:
    table = next(iter(scores.tables.values()))
    return next(metric.better for metric in table.metrics if metric.name == name) == "lower"


def _read_team(folder: Path, folders: Sequence[Path], case_ids: Sequence[str], pattern: str | None) -> tuple[Team, int]:
    """A team, and how many of its files belong to no label."""
    problem = _elsewhere(folder, folders)
    if problem:
        return Team(folder.name, {}, problem, folder), 0
    try:
        masks = find_predictions(with_pattern(folder, pattern))
    except InputError as error:
        return Team(folder.name, {}, str(error), folder), 0
    if masks.structures:
        return Team(folder.name, {}, "holds one file a structure; hand in one label map a case", folder), 0
    pairs = pair_ids(case_ids, list(masks.files))
    if not pairs:
        problem = (
            f"none of its {len(masks.files)} masks bears the name of a label; they are {some(masks.files)}, "
            f"labels are {some(case_ids)}"
        )
    files = {case: masks.files[file] for case, file in pairs.items()}
    # A link that leads out is refused when its case is scored; what it holds is nobody's business before.
    own = [path for path in files.values() if not leads_out(path, folder)]
    return Team(folder.name, files, problem, folder, grey_levels(own)), len(masks.files) - len(pairs)


def _elsewhere(folder: Path, folders: Sequence[Path]) -> str:
    """Why a team's folder is not its own: a link that leads away, or to another team; empty where it is."""
    if leads_out(folder, folder.parent) or not leads_out(folder.parent, folder):
        return f"{folder}: is a link that leads out of {folder.parent}; hand in the files themselves"
    for other in folders:
        if other != folder and not other.is_symlink() and not leads_out(folder, other):
            return f"{folder}: is a link to the folder of {other.name}; hand in the files themselves"
    return ""


def _check_coverage(teams: Sequence[Team], chosen: Sequence[str], directory: Path, labels: Path) -> None:
    if all(team.problem for team in teams):
        raise PairingError(
            f"no team in {directory} has a usable prediction of the labels in {labels}; {teams[0].name}: "
            f"{teams[0].problem}"
        )
    predicted = {case for team in teams for case in team.predictions}
    nobody = [case for case in chosen if case not in predicted]
    if len(nobody) > _MOST_MISSING * len(chosen):
        raise PairingError(
            f"{len(nobody)} of {len(chosen)} labels in {labels} have no prediction of any team, such as "
            f"{some(nobody)}; name the cases that count with --cases FILE (ids, one a line, or "
            "splits_final.json:FOLD) or --where EXPRESSION"
        )


def _jobs(
    cohort: Cohort, teams: Sequence[Team], rules: Rules, cache: ScoreCache | None
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """A case a job, with every team's prediction of it and an empty mask; without the patient's metadata."""
    for case in cohort:
        bare = dataclasses.replace(case, metadata={})
        yield case.id, (bare, [team.case(bare, rules.protocol) for team in teams], rules, cache, True)


def _stop_at_unusable(case: str, outcome: Outcome, teams: Sequence[Team]) -> None:
    if outcome.reason:
        raise InputError(f"case {case}: {outcome.reason}; mend or remove it, or leave out --strict")
    for team, score in zip(teams, outcome.scores, strict=False):
        if score.penalised is not None:
            raise InputError(
                f"team {team.name}, case {case}: {score.penalised}; mend or remove it, or leave out --strict"
            )
