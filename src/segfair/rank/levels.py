"""Levels of attributes: each against everybody else, for a team; the order of teams within each. Mines no subgroups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.design import build_design
from segfair.audit.result import AuditConfig, OutcomeFacts
from segfair.audit.significance import compare_with_rest, infer_subgroups
from segfair.cases import Cohort
from segfair.rank.certainty import kendall_tau, rank_teams, told_apart
from segfair.rank.result import WithinLevel
from segfair.scoring.scores import ScoreTable
from segfair.stats.intervals.bootstrap import exponential_weights
from segfair.subgroups.lattice import SubgroupTable, describe_divergences, level_membership

__all__ = ["compare_levels", "rank_within_levels"]


def compare_levels(
    cohort: Cohort, scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, *, metric: str
) -> SubgroupTable:
    """The levels of a team's cases, most harmful first; empty without an attribute.

    Args:
        cohort: The scored cases.
        scores: The team's scores of them.
        attributes: Their attributes.
        config: Settings.
        metric: What is compared; cases without a value of it are left out.
    """
    where, values = scores.defined(metric)
    better = scores.better(metric)
    mean = float(values.mean()) if len(values) else None
    names = [attribute.name for attribute in attributes.attributes]
    if not names or not len(values):
        return SubgroupTable(metric, better, len(values), mean, ())
    family = compare_with_rest(
        "ranking/levels",
        level_membership(attributes, names).select(where),
        values,
        metric=metric,
        config=config,
        design=build_design(cohort, scores, np.asarray(where), config=config),
    )
    table = describe_divergences(family.membership, family.outcome, name=metric, better=better)
    facts = OutcomeFacts(better=better, n_cases=len(values), mean=mean, primary=True)
    found, _ = infer_subgroups(table, family, config=config, facts=facts)
    return found


def rank_within_levels(
    values: NDArray[np.float64],
    teams: tuple[str, ...],
    attributes: AttributeTable,
    config: AuditConfig,
    *,
    sign: float = 1.0,
    subjects: NDArray[np.integer] | None = None,
) -> tuple[WithinLevel, ...]:
    """The order of teams within each level that has enough cases, by the mean of one metric.

    Who is better than whom there is told beyond chance over all of these levels together (Bonferroni over levels,
    `told_apart` within).

    Args:
        values: (n_teams, n_cases) of the metric, finite, higher is better.
        teams: Their names, in that order.
        attributes: Those of the cases.
        config: Smallest group, seed, numbers of resamples.
        sign: -1 where `values` are those of a metric of which lower ones are better, with the other sign.
        subjects: (n_cases,) codes of patients, who are resampled; None: cases are.

    Returns:
        Levels in the order of the attributes; those whose order differs most are not put first. Empty for one team.
    """
    members = [
        (attribute.name, level, np.flatnonzero(attribute.codes == code))
        for attribute in attributes.attributes
        for code, level in enumerate(attribute.levels)
    ]
    judged = [entry for entry in members if len(entry[2]) >= config.min_cases]
    if len(teams) < 2:
        return ()
    overall = rank_teams(values.mean(axis=1))
    leaders = np.flatnonzero(overall == 1)
    rng = config.resampling.stream("rank/levels")
    found = []
    for attribute, level, cases in judged:
        codes = None if subjects is None else subjects[cases]
        within = values[:, cases]
        means = within.mean(axis=1)
        ranks = rank_teams(means)
        weights = exponential_weights(len(cases), rng=rng, draws=config.bootstrap, subjects=codes)
        resampled = np.concatenate([drawn @ within.T / len(cases) for drawn in weights])
        n_units = len(cases) if codes is None else len(np.unique(codes))
        better = told_apart(means, resampled, n_units=n_units, confidence=1 - 0.05 / len(judged))
        leads = rank_teams(resampled) == 1
        first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
        (tau,) = kendall_tau(overall, ranks[None, :])
        found.append(
            WithinLevel(
                attribute,
                level,
                len(cases),
                {team: float(sign * means[index]) for index, team in enumerate(teams)},
                {team: int(ranks[index]) for index, team in enumerate(teams)},
                {team: float(first[index]) for index, team in enumerate(teams)},
                tuple(teams[index] for index in np.flatnonzero(better[:, leaders].any(axis=1))),
                float(tau) if np.isfinite(tau) else None,
            )
        )
    return tuple(found)
