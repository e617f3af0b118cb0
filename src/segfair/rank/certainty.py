"""How sure an order of teams is: the same resampled cohort for all of them, again and again. Arrays only.

A cohort is a row of case weights: all ones is the cohort itself, exponential weights are a bootstrap replicate, a zero
leaves a case out. Every score is a function of such rows, so that observed, resampled and reduced cohorts are scored by
one and the same rule.

References:
    Wiesenfarth et al. Methods and open-source toolkit for analyzing and visualizing challenge results. Scientific
    Reports 2021 (bootstrapped ranks). MAMA-MIA challenge 2025 (PS, FS, TS).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.bootstrap import exponential_weights
from segfair.stats.disparity import Levels

__all__ = [
    "CohortScorer",
    "JudgedLevels",
    "RankStability",
    "fairness_scores",
    "leave_one_out_scores",
    "mean_scores",
    "performance_scores",
    "rank_stability",
    "rank_teams",
    "total_scores",
]

Floats = NDArray[np.float64]
CohortScorer = Callable[[Floats], Floats]
"""(n_cohorts, n_cases) case weights -> (n_cohorts, n_teams) scores, of which higher ones are better."""

TIE = 1e-10
"""Scores that differ by less share a rank: equal submissions must not be ordered by rounding."""
_STEP_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class JudgedLevels:
    """The levels whose means an FS compares.

    Attributes:
        levels: All levels of all attributes.
        min_cases: A level counts in a cohort that holds at least so many cases of it.
        min_levels: An attribute counts where so many of its levels do: 1 as the challenge has it (one level has no
            gap), 2 where one level says nothing.
    """

    levels: Levels
    min_cases: int = 1
    min_levels: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class RankStability:
    """What resampled cohorts say about the ranks.

    Attributes:
        low, high: (n_teams,) interval of the rank; it always holds the observed rank.
        first: (n_teams,) probability of being first; a shared first place is split evenly, so they sum to 1.
        beats: (n_teams, n_teams) share of cohorts in which the row's team scores higher than the column's; ties count
            half.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    first: Floats
    beats: Floats


def mean_scores(values: Floats, weights: Floats) -> Floats:
    """Weighted mean over cases.

    Args:
        values: (n_teams, n_cases) finite.
        weights: (n_cohorts, n_cases) not negative, none all 0.

    Returns:
        (n_cohorts, n_teams).
    """
    return np.asarray((weights @ values.T) / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def performance_scores(dsc: Floats, normhd: Floats, weights: Floats) -> Floats:
    """PS = 0.5 * (mean DSC + 1 - mean NormHD), (n_cohorts, n_teams)."""
    return mean_scores(0.5 * (dsc + 1.0 - normhd), weights)


def fairness_scores(dsc: Floats, normhd: Floats, judged: JudgedLevels, weights: Floats) -> Floats:
    """FS: mean over attributes of 1 - D_v, where D_v is half the sum of the gaps in mean DSC and mean NormHD.

    Args:
        dsc: (n_teams, n_cases) finite.
        normhd: (n_teams, n_cases) finite.
        judged: The levels that are compared. A case with weight 0 is not there, so that leaving out its only case
            removes a level.
        weights: (n_cohorts, n_cases) not negative.

    Returns:
        (n_cohorts, n_teams); NaN in cohorts without an attribute that counts.
    """
    n_cohorts, n_teams = len(weights), len(dsc)
    stacked = np.concatenate([dsc, normhd])
    present = weights > 0
    fairness = np.zeros((n_cohorts, n_teams))
    n_judged = np.zeros((n_cohorts, 1))
    levels = judged.levels
    for attribute in range(levels.n_attributes):
        lowest = np.full((n_cohorts, 2 * n_teams), np.inf)
        highest = np.full((n_cohorts, 2 * n_teams), -np.inf)
        n_levels = np.zeros(n_cohorts, dtype=np.intp)
        for row in np.flatnonzero(levels.attribute == attribute):
            members = np.flatnonzero(levels.indicator[row])
            counts = np.count_nonzero(present[:, members], axis=1) >= max(1, judged.min_cases)
            if not counts.any():
                continue
            inside = weights[np.ix_(counts, members)]
            means = (inside @ stacked[:, members].T) / inside.sum(axis=1, keepdims=True)
            lowest[counts] = np.minimum(lowest[counts], means)
            highest[counts] = np.maximum(highest[counts], means)
            n_levels += counts
        enough = n_levels >= max(1, judged.min_levels)
        gaps = highest[enough] - lowest[enough]
        fairness[enough] += 1.0 - 0.5 * (gaps[:, :n_teams] + gaps[:, n_teams:])
        n_judged[enough] += 1
    return np.divide(fairness, n_judged, out=np.full_like(fairness, np.nan), where=n_judged > 0)


def total_scores(dsc: Floats, normhd: Floats, judged: JudgedLevels, weights: Floats, *, fs_weight: float) -> Floats:
    """TS = (1 - fs_weight) * PS + fs_weight * FS, (n_cohorts, n_teams).

    In a cohort without an attribute that counts there is no FS, for any team; PS then decides.
    """
    ps = performance_scores(dsc, normhd, weights)
    fs = fairness_scores(dsc, normhd, judged, weights)
    return np.where(np.isnan(fs), ps, (1.0 - fs_weight) * ps + fs_weight * fs)


def rank_teams(scores: Floats) -> NDArray[np.intp]:
    """Rank of each team: 1 and the number of teams with a higher score; equal scores share a rank.

    Args:
        scores: (..., n_teams) finite, higher is better.

    Returns:
        As many ranks.
    """
    ranks = np.ones(scores.shape, dtype=np.intp)
    for team in range(scores.shape[-1]):
        ranks[..., team] += np.count_nonzero(scores > scores[..., team, None] + TIE, axis=-1)
    return ranks


def rank_stability(
    scorer: CohortScorer,
    *,
    n_cases: int,
    rng: np.random.Generator,
    draws: int = 2000,
    subjects: NDArray[np.integer] | None = None,
    confidence: float = 0.95,
) -> RankStability:
    """Ranks all teams on resampled cohorts; each cohort has the same case weights for all teams.

    Args:
        scorer: Scores of a cohort.
        n_cases: Number of cases; at least one.
        rng: Source of randomness.
        draws: Number of resampled cohorts.
        subjects: (n_cases,) codes; cases of one subject share one weight.
        confidence: Of the rank interval.
    """
    scores = np.concatenate(
        [scorer(weights) for weights in exponential_weights(n_cases, rng=rng, draws=draws, subjects=subjects)]
    )
    ranks = rank_teams(scores)
    observed = rank_teams(scorer(np.ones((1, n_cases))))[0]
    tail = (1 - confidence) / 2
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=0, method="inverted_cdf").astype(np.intp)
    leads = ranks == 1
    n_teams = scores.shape[1]
    beats = np.empty((n_teams, n_teams))
    for team in range(n_teams):
        ahead = scores[:, team, None] - scores
        beats[team] = np.mean((ahead > TIE) + 0.5 * (np.abs(ahead) <= TIE), axis=0)
    return RankStability(
        np.minimum(low, observed),
        np.maximum(high, observed),
        (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0),
        beats,
    )


def leave_one_out_scores(
    scorer: CohortScorer, *, n_cases: int, subjects: NDArray[np.integer] | None = None
) -> tuple[list[NDArray[np.intp]], Floats]:
    """Scores of every cohort that lacks one patient.

    Args:
        scorer: Scores of a cohort.
        n_cases: Number of cases.
        subjects: (n_cases,) codes of the patients; None: every case is one.

    Returns:
        The cases of each patient, and (n_patients, n_teams) scores without them; both empty for a single patient.
    """
    codes = np.arange(n_cases) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    n_patients = int(codes.max(initial=-1)) + 1
    if n_patients < 2:
        return [], np.empty((0, scorer(np.ones((1, max(1, n_cases)))).shape[1]))
    scores = np.concatenate([scorer(weights) for weights in _reduced_cohorts(codes, n_patients)])
    return [np.flatnonzero(codes == patient) for patient in range(n_patients)], scores


def _reduced_cohorts(codes: NDArray[np.integer], n_patients: int) -> Iterator[Floats]:
    step = max(1, _STEP_ELEMENTS // len(codes))
    for first in range(0, n_patients, step):
        patients = np.arange(first, min(first + step, n_patients))
        yield (codes[None, :] != patients[:, None]).astype(np.float64)
