"""Many submissions, one set of labels: who is first, how sure that is, and what decides it.

The one orchestration of a ranking; reads masks only through `teams`, draws nothing and writes no file.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes.fit import AttributeTable, BinningPlan, fit_attributes
from segfair.attributes.joins import join_levels
from segfair.audit.certainty import CohortScores, challenge_of
from segfair.audit.choices.cases import check_columns, settle_pictures
from segfair.audit.choices.labels import (
    check_label_occurs,
    check_many_values,
    check_regions_occur,
    label_notices,
    labels_are_named,
    resolve_protocol,
    value_alerts,
)
from segfair.audit.choices.units import resolve_units
from segfair.audit.describe import absent_attribute_alerts, empty_label_alerts, versions
from segfair.audit.design import Units, build_design, subject_notice, with_subjects
from segfair.audit.level_alerts import level_alerts
from segfair.audit.mask_facts import COPIED, check_threshold, copies_labels, size_alerts, threshold_alert
from segfair.audit.panel import Panel
from segfair.audit.result import Alert, AuditConfig, Score, distinct_alerts
from segfair.audit.significance import mean_limits
from segfair.audit.words import plural
from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.intake.mask_values import picture_notices
from segfair.rank.board import (
    CHALLENGE,
    COLUMNS,
    Board,
    check_by,
    choose_score,
    make_board,
    oriented,
    other_rules,
    span,
    without_each_attribute,
    without_each_patient,
)
from segfair.rank.certainty import CohortScorer, RankStability, leave_one_out_scores, rank_stability, rank_teams
from segfair.rank.levels import compare_levels, rank_within_levels
from segfair.rank.result import Agreement, Baseline, Pairs, Ranking, Standing
from segfair.rank.schemes import rank_by_schemes
from segfair.rank.team_tables import NO_SCORES
from segfair.rank.teams import Team, TeamScores, require_complete, score_teams
from segfair.rank.verdict import reach_verdict
from segfair.scoring.reading import NO_PREDICTION
from segfair.scoring.score_cache import ScoreCache
from segfair.scoring.scores import ScoreTable, protocol_metrics

__all__ = ["attribute_plan", "rank_scored", "run_ranking"]

Floats = NDArray[np.float64]

_SCORES = ("DSC", "NormHD", "PS", "FS", "TS")


def run_ranking(
    cohort: Cohort,
    teams: Sequence[Team],
    config: AuditConfig,
    *,
    by: str | None = None,
    over: Sequence[str] = (),
    executor: Executor | None = None,
    cache: ScoreCache | None = None,
    on_done: Callable[[str], None] | None = None,
) -> Ranking:
    """Scores all teams and ranks them.

    Args:
        cohort: The cases that count.
        teams: The submissions.
        config: Settings; of them the protocol, labels, attributes, bins, smallest group, patients, numbers of
            resamples, seed, threshold and `strict` matter here.
        by: See `rank_scored`.
        over: See `rank_scored`.
        executor: Where cases are scored; None: in this process.
        cache: Where scores of earlier runs lie, and those of this one are kept; None: nowhere.
        on_done: Called with each case id once all teams are scored on it.

    Returns:
        Everything that was found.

    Raises:
        AuditError: No case can be scored.
        ConfigError: A metric, attribute or column that is not there, a score in mm of labels without a voxel size,
            or a threshold outside of all probabilities.
        InputError: A file is unusable and the configuration says that this is an error, or some labels have a voxel
            size and others none.
    """
    check_columns(cohort, config)
    _refuse_learned(config)
    asked, named = config, labels_are_named(config, cohort)
    config = dataclasses.replace(config, protocol=resolve_protocol(config, cohort))
    config = resolve_units(config, cohort, asked=[] if by is None else [by.lower()])
    check_by(by, [metric.name for metric in protocol_metrics(config.protocol)])
    cohort = settle_pictures(cohort, config, labels_named=named)
    said = (*label_notices(asked, cohort, config.protocol), *picture_notices(cohort, config.protocol))
    cohort = dataclasses.replace(cohort, notices=(*cohort.notices, *said))
    scores = score_teams(
        cohort,
        teams,
        config.protocol,
        threshold=config.threshold,
        spacing_mm=config.spacing_mm,
        executor=executor,
        cache=cache,
        on_done=on_done,
        strict=config.strict,
    )
    check_label_occurs(scores.baseline)
    check_many_values(scores.baseline, labels_are_named=named)
    check_regions_occur(scores.baseline, config)
    check_threshold(scores.tables.values(), config.threshold)
    return _rank(scores, config, by=by, over=over)


def rank_scored(scores: TeamScores, config: AuditConfig, *, by: str | None = None, over: Sequence[str] = ()) -> Ranking:
    """Ranks teams whose cases are scored.

    Args:
        scores: Per-case scores of all teams.
        config: Settings.
        by: The score that decides: "TS", "PS", "FS" or a metric (its mean over cases). None: TS; PS where no
            attribute can be judged; the first outcome of the settings where there is no DSC or NormHD.
        over: The metrics of the other ways to rank (`segfair.rank.schemes`); empty: DSC and NormHD, or what decides.

    Raises:
        ConfigError: A metric, attribute or column that is not there, or learned bins.
        MetadataError: Texts to be joined that are not there.
    """
    check_columns(scores.cohort, config)
    _refuse_learned(config)
    return _rank(scores, config, by=by, over=over)


def _refuse_learned(config: AuditConfig) -> None:
    learned = [name for name, bins in config.bins.items() if bins == "tree"]
    if learned:
        raise ConfigError(f"--bins {learned[0]}=tree: learned bins differ from team to team; give edges")


def _rank(scores: TeamScores, config: AuditConfig, *, by: str | None, over: Sequence[str]) -> Ranking:
    scores = dataclasses.replace(scores, cohort=join_levels(scores.cohort, config.join))
    asked, config = config, with_subjects(config, scores.cohort)
    attributes = attribute_plan(scores.cohort, config).apply(scores.cohort)
    by = choose_score(by, scores, attributes, config)
    scores = require_complete(scores, COLUMNS if by in CHALLENGE else (by,))
    first_table = next(iter(scores.tables.values()))
    units = build_design(scores.cohort, first_table, np.arange(len(first_table)), config=config).units
    board = make_board(by, scores, attributes, config)
    n_cases = len(first_table)
    scorer = board.scorer()
    values = board.observed()
    ranks = rank_teams(values)
    stability = rank_stability(
        scorer,
        n_cases=n_cases,
        rng=config.resampling.stream("rank/bootstrap"),
        draws=config.bootstrap,
        subjects=units.subjects,
    )
    patients, without_one, n_undefined = _leave_out_each(scorer, n_cases=n_cases, subjects=units.subjects)
    variants, under = other_rules(board, scores, attributes, config, ranks)
    left_out = without_each_patient(patients, without_one, ranks, scores, attributes, config)
    baseline = _baseline(board, scores, attributes, config, values)
    order = sorted(range(len(values)), key=lambda team: (ranks[team], scores.names[team]))
    lead = "dsc" if by in CHALLENGE else by
    compared = tuple(dict.fromkeys(over)) or (COLUMNS if by in CHALLENGE else (by,))
    others = oriented(require_complete(scores, compared), compared)
    podium = _podium(scores, lead)
    standings = tuple(
        Standing(
            team=scores.names[team],
            value=float(board.sign * values[team]),
            rank=int(ranks[team]),
            rank_interval=(int(stability.low[team]), int(stability.high[team])),
            first=float(stability.first[team]),
            beats_next=float(stability.beats[team, order[place + 1]]) if place + 1 < len(order) else None,
            ranks={name: int(found[team]) for name, (found, _) in under.items()},
            values={name: float(found[team]) for name, (_, found) in under.items()},
            without_one=span(without_one[:, team], int(ranks[team])),
            quartiles=_quartiles(scores.tables[scores.names[team]], lead),
            podium=podium[scores.names[team]],
            **_facts_of(scores, scores.names[team], attributes, config, units, by),
        )
        for place, team in enumerate(order)
    )
    return Ranking(
        config=config,
        by=by,
        lower_is_better=board.sign < 0,
        standings=standings,
        baseline=baseline,
        variants=variants,
        left_out=left_out,
        n_patients=len(patients),
        verdict=reach_verdict(standings, baseline, variants, left_out, by=by, n_patients=len(patients)),
        alerts=distinct_alerts(
            [*_alerts(scores, standings, baseline, attributes, config), *_undefined_alert(n_undefined, by)]
        ),
        notices=(*scores.notices, *subject_notice(asked, config, scores.cohort), *attributes.notices),
        scores=scores,
        attributes=attributes,
        versions=versions(),
        pairs=_pairs(stability, order, scores.names),
        agreement=_agreement(stability.taus),
        schemes=rank_by_schemes(
            others,
            ranks,
            scores.names,
            rng=config.resampling.stream("rank/schemes"),
            draws=config.bootstrap,
            subjects=units.subjects,
        ),
        without_attribute=without_each_attribute(board, attributes, ranks, scores.names),
        within=rank_within_levels(
            oriented(scores, (lead,))[lead],
            scores.names,
            attributes,
            config,
            sign=board.sign,
            subjects=units.subjects,
        ),
        levels={
            team: compare_levels(scores.cohort, table, attributes, config, metric=lead)
            for team, table in scores.tables.items()
        },
    )


def attribute_plan(cohort: Cohort, config: AuditConfig) -> BinningPlan:
    """How attributes are made of the scored cases, alike for all teams."""
    return fit_attributes(
        cohort,
        protocol=config.protocol,
        chosen=config.attributes,
        edges=config.bins,
        subject_column=config.subject_column,
        read_as=config.read_as,
        joins=config.join,
    )


def _pairs(stability: RankStability, order: Sequence[int], names: Sequence[str]) -> Pairs:
    """Every team against every other, best first."""
    return Pairs(
        tuple(names[team] for team in order),
        tuple(tuple(map(float, row)) for row in stability.beats[np.ix_(order, order)]),
        tuple(tuple(map(bool, row)) for row in stability.better[np.ix_(order, order)]),
    )


def _agreement(taus: Floats) -> Agreement:
    """Mean and 95 % interval of Kendall's tau over the cohorts in which it is defined."""
    known = taus[np.isfinite(taus)]
    if not len(known):
        return Agreement()
    low, high = np.quantile(known, [0.025, 0.975])
    return Agreement(float(known.mean()), (float(low), float(high)))


def _quartiles(table: ScoreTable, lead: str) -> tuple[float, ...]:
    """Least, quartiles and greatest of a metric; empty without a value."""
    values = table.defined(lead)[1]
    return tuple(map(float, np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))) if len(values) else ()


def _podium(scores: TeamScores, lead: str) -> dict[str, tuple[int, int, int]]:
    """Team -> the cases in which it is first, second and third by a metric; those where a team has no value not."""
    tables = scores.tables.values()
    values = np.array([table.column(lead) for table in tables], dtype=np.float64)
    lower = next(entry.better == "lower" for entry in next(iter(tables)).metrics if entry.name == lead)
    known = np.isfinite(values).all(axis=0)
    ranks = rank_teams((-values if lower else values)[:, known].T)
    counts = [np.count_nonzero(ranks == place, axis=0) for place in (1, 2, 3)]
    return {team: tuple(int(count[index]) for count in counts) for index, team in enumerate(scores.names)}  # type: ignore[misc]


def _leave_out_each(
    scorer: CohortScorer, *, n_cases: int, subjects: NDArray[np.intp] | None
) -> tuple[list[NDArray[np.intp]], NDArray[np.intp], int]:
    """The patients who can be left out, the teams' ranks without each, and how many patients cannot be left out.

    Where the level that a patient leaves falls below the smallest that counts, nothing may be left to compare: that
    cohort has no score, for any team, and so no order. It is no order in which all are first.
    """
    patients, reduced = leave_one_out_scores(scorer, n_cases=n_cases, subjects=subjects)
    scored = np.flatnonzero(np.isfinite(reduced).all(axis=1))
    return [patients[index] for index in scored], rank_teams(reduced[scored]), len(patients) - len(scored)


def _undefined_alert(n_undefined: int, by: str) -> tuple[Alert, ...]:
    """That some patients could not be left out in turn; without their ids, which a private page must not hold."""
    if not n_undefined:
        return ()
    return (
        Alert(
            "undefined",
            f"{plural(n_undefined, 'patient')} could not be left out in turn: without one of them no attribute has the "
            f"levels that it takes to be compared, so there is no {by}.",
        ),
    )


def _baseline(
    board: Board, scores: TeamScores, attributes: AttributeTable, config: AuditConfig, values: Floats
) -> Baseline:
    columns = {name: np.array([scores.baseline.column(name)], dtype=np.float64) for name in board.values}
    value = float(dataclasses.replace(board, values=columns).observed()[0])
    challenge = challenge_of(Panel.of_scores(scores.baseline, attributes, Units(), config), attributes)
    return Baseline(
        board.sign * value,
        {name: getattr(challenge, name.lower()) for name in _SCORES} if challenge else {},
        n_better=int(rank_teams(np.append(values, value))[-1]) - 1,
        n_worse=int(rank_teams(np.append(-values, -value))[-1]) - 1,
    )


def _facts_of(
    scores: TeamScores, team: str, attributes: AttributeTable, config: AuditConfig, units: Units, by: str
) -> dict[str, Any]:
    """What a standing says of a team apart from its rank and the score that decides."""
    table = scores.tables[team]
    reasons = list(table.penalised.values())
    panel = Panel.of_scores(table, attributes, units, config)
    challenge = challenge_of(panel, attributes)
    found = {} if by in CHALLENGE else {by: _mean_score(table, config, units, by)}
    if challenge is not None:
        point = {name: Score(getattr(challenge, name.lower())) for name in _SCORES}
        found |= CohortScores.of(panel, attributes).scores(point)
    return {
        "scores": found,
        "disparities": challenge.disparities if challenge else (),
        "n_penalised": len(reasons),
        "n_missing": sum(reason in (NO_PREDICTION, NO_SCORES) for reason in reasons),
        "problem": scores.problems.get(team, ""),
        "copied": copies_labels(table),
        "alerts": {
            **({text: len(table) - len(reasons)} if (text := threshold_alert(table, config.threshold)) else {}),
            **dict(Counter(text for score in table.scores for text in score.alerts).most_common()),
        },
    }


def _mean_score(table: ScoreTable, config: AuditConfig, units: Units, by: str) -> Score:
    """A team's mean of a metric with its interval: what an audit of it says, number for number."""
    values = table.defined(by)[1]
    low, high = stats.mean_interval(
        values,
        rng=config.resampling.stream(f"scores/{by}"),
        draws=config.bootstrap,
        subjects=units.subjects,
        limits=mean_limits(by, values, config),
    )
    return Score(float(values.mean()), ci=(low, high) if len(values) > 1 else None)


def _alerts(
    scores: TeamScores,
    standings: Sequence[Standing],
    baseline: Baseline,
    attributes: AttributeTable,
    config: AuditConfig,
) -> tuple[Alert, ...]:
    """What a reader must know before believing an order."""
    small = [
        f"{attribute.name} = {attribute.levels[code]} (n = {n})"
        for attribute in attributes.attributes
        for code, n in enumerate(np.bincount(attribute.codes[attribute.codes >= 0]))
        if 0 < n < config.min_cases
    ]
    return (
        *(Alert("copied", f"{entry.team}: {COPIED}.") for entry in standings if entry.copied),
        *size_alerts(scores.baseline, config),
        *(Alert(kind, text) for kind, text in scores.cohort.alerts),
        *(Alert("column", text) for text in attributes.alerts),
        *level_alerts(attributes, scores.cohort, min_cases=config.min_cases),
        *(
            Alert("labels", text)
            for text in value_alerts(scores.baseline, config.protocol, scores.cohort, roles=["labels"])
        ),
        *(
            Alert("labels", f"{team}: {text}")
            for team, table in scores.tables.items()
            for text in value_alerts(table, config.protocol, scores.cohort, roles=["predictions"])
        ),
        *_unusable_alerts(scores, standings, baseline),
        *empty_label_alerts(scores.baseline, config),
        *(
            Alert("equal", f"{', '.join(names)} have the same scores in every case.")
            for names in _equal_submissions(scores)
        ),
        *([Alert("small", f"Fewer than {config.min_cases} cases: {', '.join(small)}.")] if small else []),
        *absent_attribute_alerts(attributes, config),
    )


def _unusable_alerts(scores: TeamScores, standings: Sequence[Standing], baseline: Baseline) -> list[Alert]:
    """Teams below empty masks, predictions that count with the worst score, and cases that count for nobody."""
    found = []
    if baseline.n_worse:
        text = f"{baseline.n_worse} of {len(standings)} teams score worse than a submission of empty masks."
        found.append(Alert("baseline", text))
    found += [
        Alert("problem", f"{entry.team}: no prediction could be used ({entry.problem}).")
        for entry in standings
        if entry.problem
    ]
    penalised = [entry for entry in standings if entry.n_penalised]
    if penalised:
        names = ", ".join(f"{entry.team} ({entry.n_penalised})" for entry in penalised)
        found.append(Alert("penalised", f"Predictions that could not be used count with the worst score: {names}."))
    if scores.excluded:
        text = f"{plural(len(scores.excluded), 'case')} left every team's cohort: no usable label or no metadata."
        found.append(Alert("excluded", text))
    return found


def _equal_submissions(scores: TeamScores) -> list[list[str]]:
    """Teams with equal scores throughout, unless nothing of theirs could be used."""
    groups: defaultdict[tuple[tuple[float | None, ...], ...], list[str]] = defaultdict(list)
    for team, table in scores.tables.items():
        if len(table.penalised) < len(table):
            groups[tuple(tuple(table.column(name)) for name in table.names)].append(team)
    return [names for names in groups.values() if len(names) > 1]
