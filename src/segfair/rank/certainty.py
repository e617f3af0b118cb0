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

from segfair.stats.intervals.bootstrap import expansion, exponential_weights

__all__ = [
    "CohortScorer",
    "RankStability",
    "kendall_tau",
    "leave_one_out_scores",
    "rank_stability",
    "rank_teams",
    "told_apart",
]

Floats = NDArray[np.float64]
CohortScorer = Callable[[Floats], Floats]
"""(n_cohorts, n_cases) case weights -> (n_cohorts, n_teams) scores, of which higher ones are better."""

TIE = 1e-10
"""Scores that differ by less share a rank: equal submissions must not be ordered by rounding."""
_STEP_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class RankStability:
    """What resampled cohorts say about the ranks.

    Attributes:
        low, high: (n_teams,) interval of the rank; it always holds the observed rank.
        first: (n_teams,) probability of being first; a shared first place is split evenly, so they sum to 1.
        beats: (n_teams, n_teams) share of cohorts in which the row's team scores higher than the column's; ties count
            half.
        better: (n_teams, n_teams) whether the row's team is better than the column's beyond chance; see `told_apart`.
        taus: (n_cohorts,) Kendall's tau-b of the declared order and each cohort's; see `kendall_tau`.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    first: Floats
    beats: Floats
    better: NDArray[np.bool_]
    taus: Floats


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
    declared = scorer(np.ones((1, n_cases)))[0]
    observed = rank_teams(declared)
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
        told_apart(declared, scores, n_units=n_cases if subjects is None else len(np.unique(subjects))),
        kendall_tau(observed, ranks),
    )


def told_apart(observed: Floats, resampled: Floats, *, n_units: int, confidence: float = 0.95) -> NDArray[np.bool_]:
    """Which teams are better than which beyond chance, all pairs together.

    Of every pair the difference is resampled. Its distance from the observed one, in standard deviations, has a largest
    value over the pairs of a cohort; what that exceeds in 1 - `confidence` of the cohorts is as far as chance goes.
    Pairs that are told apart leave the others, of which the same is asked again. A pair whose difference no cohort
    changes is told apart by it.

    Args:
        observed: (n_teams,) scores, higher is better.
        resampled: (n_cohorts, n_teams) the same of resampled cohorts.
        n_units: Cases, or patients, that were resampled; of fewer than two nothing follows.
        confidence: That no two equal teams are told apart, among all pairs.

    Returns:
        (n_teams, n_teams): whether the row's team is better than the column's.

    References:
        Romano, Wolf. Exact and Approximate Stepdown Methods for Multiple Hypothesis Testing. JASA 2005.
    """
    gaps = observed[:, None] - observed[None, :]
    if n_units < 2:
        return np.zeros(gaps.shape, dtype=np.bool_)
    spread = np.array([(resampled[:, team, None] - resampled).std(axis=0, ddof=1) for team in range(len(observed))])
    factor = float(expansion(np.array(n_units, dtype=np.float64)))
    moves = spread > TIE
    apart = ~moves & (np.abs(gaps) > TIE)
    waiting = np.triu(moves, 1)
    while waiting.any():
        largest = _largest_deviations(gaps, spread, resampled, waiting)
        reach = factor * np.quantile(largest, confidence, method="inverted_cdf")
        found = waiting & (np.abs(gaps) > reach * spread)
        if not found.any():
            break
        apart |= found | found.T
        waiting &= ~found
    return np.asarray(apart & (gaps > 0))


def _largest_deviations(gaps: Floats, spread: Floats, resampled: Floats, pairs: NDArray[np.bool_]) -> Floats:
    """(n_cohorts,) over some pairs, how far the resampled difference lies from the observed one, in its spread."""
    largest = np.zeros(len(resampled))
    for team in np.flatnonzero(pairs.any(axis=1)):
        others = np.flatnonzero(pairs[team])
        deviations = resampled[:, team, None] - resampled[:, others] - gaps[team, others]
        largest = np.maximum(largest, (np.abs(deviations) / spread[team, others]).max(axis=1))
    return largest


def kendall_tau(declared: NDArray[np.intp], ranks: NDArray[np.intp]) -> Floats:
    """Kendall's tau-b of one order of teams and many others: 1 the same order, 0 no relation, -1 the reverse.

    Args:
        declared: (n_teams,) ranks.
        ranks: (n_orders, n_teams) ranks.

    Returns:
        (n_orders,); NaN where all teams share a rank in either order, and for a single team.

    References:
        Kendall. The Treatment of Ties in Ranking Problems. Biometrika 1945.
    """
    agreeing = np.zeros(len(ranks))
    untied = np.zeros(len(ranks))
    n_untied = 0
    for team in range(len(declared) - 1):
        sign = np.sign(declared[team] - declared[team + 1 :])
        signs = np.sign(ranks[:, team, None] - ranks[:, team + 1 :])
        agreeing += signs @ sign
        untied += np.count_nonzero(signs, axis=1)
        n_untied += int(np.count_nonzero(sign))
    pairs = np.sqrt(n_untied * untied)
    found: Floats = np.divide(agreeing, pairs, out=np.full(len(ranks), np.nan), where=pairs > 0)
    return found


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
