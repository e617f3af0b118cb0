"""The order of teams under other ways to rank them: over several metrics, case by case, by tests. Arrays in and out.

Three schemes that challenges use. None of them is the declared order; how far they differ from it is part of how sure
that order is.

References:
    Antonelli et al. The Medical Segmentation Decathlon. Nature Communications 2022 (significance points).
    Wiesenfarth et al. Methods and open-source toolkit for analyzing and visualizing challenge results. Scientific
    Reports 2021 (aggregate then rank, rank then aggregate, test-based ranking, their bootstrap).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from segfair.rank.certainty import kendall_tau, rank_teams
from segfair.stats.intervals.bootstrap import exponential_weights

__all__ = ["Scheme", "rank_by_schemes", "signed_rank_p", "significance_points"]

Floats = NDArray[np.float64]
Ranks = NDArray[np.intp]
ALPHA = 0.05
_FEWEST_TESTED, _MOST_TESTED, _TESTED_ELEMENTS = 50, 500, 40_000_000
"""Resampled cohorts in which every pair of teams is tested, and differences that are ranked in all of them."""
_STEP_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Scheme:
    """The order of teams under one way to rank them.

    Attributes:
        name: "mean rank", "case ranks" or "significance points".
        metrics: Over which metrics.
        values: Team -> mean rank over metrics, mean rank over cases and metrics, or points; points are better the more
            they are, ranks the fewer.
        ranks: Team -> its rank.
        rank_intervals: Team -> 95 % interval of its rank over resampled cohorts.
        first: Team -> probability of being first; shared places are split.
        n_cohorts: Resampled cohorts.
        tau: Kendall's tau-b with the declared order; None where no two teams differ in one of them.
    """

    name: str
    metrics: tuple[str, ...]
    values: Mapping[str, float]
    ranks: Mapping[str, int]
    rank_intervals: Mapping[str, tuple[int, int]]
    first: Mapping[str, float]
    n_cohorts: int
    tau: float | None

    @property
    def leaders(self) -> tuple[str, ...]:
        """The teams in first place, by name."""
        return tuple(sorted(team for team, rank in self.ranks.items() if rank == 1))


def rank_by_schemes(
    values: Mapping[str, Floats],
    declared: Ranks,
    teams: tuple[str, ...],
    *,
    rng: np.random.Generator,
    draws: int,
    subjects: NDArray[np.integer] | None = None,
) -> tuple[Scheme, ...]:
    """Ranks teams in each of the three ways, with their stability.

    Args:
        values: Metric -> (n_teams, n_cases), finite, higher is better.
        declared: (n_teams,) the declared ranks.
        teams: Names, in that order.
        rng: Source of randomness.
        draws: Resampled cohorts.
        subjects: (n_cases,) codes of patients, who are resampled; None: cases are.

    Returns:
        Nothing for fewer than two teams.
    """
    if len(teams) < 2:
        return ()
    stacked = np.stack(list(values.values()))
    n_cases = stacked.shape[2]
    by_case = _midranks(-stacked, axis=1).mean(axis=0)
    everybody = np.ones((1, n_cases))
    means, cases = [_metric_ranks(stacked, everybody)], [everybody @ by_case.T / n_cases]
    for weights in exponential_weights(n_cases, rng=rng, draws=draws, subjects=subjects):
        means.append(_metric_ranks(stacked, weights))
        cases.append(weights @ by_case.T / n_cases)
    n_ranked = stacked.size * (len(teams) - 1) // 2
    tested = min(draws, max(_FEWEST_TESTED, min(_MOST_TESTED, _TESTED_ELEMENTS // n_ranked)))
    points = [significance_points(stacked[:, :, None, :]).sum(axis=0)]
    points += [
        significance_points(stacked[:, :, chosen]).sum(axis=0)
        for chosen in _resampled(n_cases, rng, tested, subjects, step=max(1, _STEP_ELEMENTS // stacked.size))
    ]

    def scheme(name: str, found: Floats, sign: float) -> Scheme:
        return _scheme(name, tuple(values), found, sign, declared, teams)

    return (
        scheme("mean rank", np.concatenate(means), -1),
        scheme("case ranks", np.concatenate(cases), -1),
        scheme("significance points", np.concatenate(points, axis=1).T.astype(float), 1),
    )


def _midranks(values: Floats, *, axis: int) -> Floats:
    """Ranks from the smallest on, equal values sharing the mean of theirs."""
    # SciPy's takes longer to load than many a ranking.
    moved = np.moveaxis(values, axis, -1)
    order = np.argsort(moved, axis=-1, kind="stable")
    rising = np.take_along_axis(moved, order, axis=-1)
    places = np.broadcast_to(np.arange(moved.shape[-1]), moved.shape)
    apart = np.diff(rising, axis=-1) != 0
    edge = np.ones((*moved.shape[:-1], 1), dtype=np.bool_)
    first = np.maximum.accumulate(np.where(np.concatenate([edge, apart], axis=-1), places, 0), axis=-1)
    ends = np.where(np.concatenate([apart, edge], axis=-1), places, moved.shape[-1])
    last = np.minimum.accumulate(ends[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(moved.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=-1)
    return np.asarray(np.moveaxis(ranks, -1, axis), dtype=np.float64)


def _scheme(
    name: str, metrics: tuple[str, ...], values: Floats, sign: float, declared: Ranks, teams: tuple[str, ...]
) -> Scheme:
    """From (1 + n_cohorts, n_teams) values, the observed ones first."""
    ranks = rank_teams(sign * values)
    observed, resampled = ranks[0], ranks[1:]
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0, method="inverted_cdf").astype(np.intp)
    leads = resampled == 1
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    (tau,) = kendall_tau(declared, observed[None, :])
    return Scheme(
        name,
        metrics,
        {team: float(values[0, index]) for index, team in enumerate(teams)},
        {team: int(observed[index]) for index, team in enumerate(teams)},
        {
            team: (min(int(low[index]), int(observed[index])), max(int(high[index]), int(observed[index])))
            for index, team in enumerate(teams)
        },
        {team: float(first[index]) for index, team in enumerate(teams)},
        len(resampled),
        float(tau) if np.isfinite(tau) else None,
    )


def _metric_ranks(values: Floats, weights: Floats) -> Floats:
    """(n_cohorts, n_teams) mean over metrics of the rank of the mean over cases; equal means share a rank."""
    means = np.einsum("mtc,wc->wmt", values, weights, optimize=True) / values.shape[2]
    return np.asarray(rank_teams(means).mean(axis=1), dtype=np.float64)


def _resampled(
    n_cases: int, rng: np.random.Generator, draws: int, subjects: NDArray[np.integer] | None, *, step: int
) -> Iterator[NDArray[np.intp]]:
    """(n_cohorts, n_cases) cases drawn with replacement; with patients of several cases, as many cases as there were.

    A test counts cases, so that every cohort has to hold as many.
    """
    codes = np.arange(n_cases) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(int(codes.max()) + 2))
    for first in range(0, draws, step):
        yield np.stack([_draw(order, starts, n_cases, rng) for _ in range(min(step, draws - first))])


def _draw(
    order: NDArray[np.intp], starts: NDArray[np.intp], n_cases: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    drawn = rng.integers(0, len(starts) - 1, n_cases)
    sizes = np.diff(starts)[drawn]
    enough = drawn[: int(np.searchsorted(np.cumsum(sizes), n_cases)) + 1]
    return np.concatenate([order[starts[patient] : starts[patient + 1]] for patient in enough])[:n_cases]


def significance_points(values: Floats) -> NDArray[np.intp]:
    """How many other teams each team is significantly better than, metric by metric.

    One-sided Wilcoxon signed-rank tests of every ordered pair at 0.05, adjusted after Holm within a metric.

    Args:
        values: (n_metrics, n_teams, ..., n_cases), higher is better.

    Returns:
        (n_metrics, n_teams, ...) points, from 0 to n_teams - 1.
    """
    pairs = list(itertools.combinations(range(values.shape[1]), 2))
    p_values = np.empty((len(pairs), 2, values.shape[0], *values.shape[2:-1]))
    for index, (one, other) in enumerate(pairs):
        p_values[index] = _both_ways(values[:, one] - values[:, other])
    rejected = _holm(p_values.reshape(-1, *p_values.shape[2:])).reshape(p_values.shape)
    points = np.zeros(values.shape[:-1], dtype=np.intp)
    for index, pair in enumerate(pairs):
        for way, team in enumerate(pair):
            points[:, team] += rejected[index, way]
    return points


def signed_rank_p(differences: Floats) -> Floats:
    """One-sided p value of Wilcoxon's signed-rank test that differences are greater than 0.

    Normal approximation with a correction for continuity and for ties; zeros are left out, as in R's `wilcox.test` and
    SciPy's `wilcoxon(zero_method="wilcox")`.

    Args:
        differences: (..., n_cases).

    Returns:
        (...) p values; 1 where every difference is 0.
    """
    return np.asarray(_both_ways(differences)[0], dtype=np.float64)


def _both_ways(differences: Floats) -> Floats:
    """(2, ...) p values that differences are greater than 0, and that they are smaller."""
    magnitudes = np.abs(differences)
    ranks = _midranks(magnitudes, axis=-1)
    n_zero = np.count_nonzero(magnitudes == 0, axis=-1, keepdims=True)
    ranks = np.where(magnitudes == 0, 0.0, ranks - n_zero)
    n = differences.shape[-1] - n_zero[..., 0]
    above = np.sum(ranks * (differences > 0), axis=-1) - n * (n + 1) / 4
    # The sum of squared mid-ranks holds the correction for ties.
    spread = np.sqrt(np.sum(ranks**2, axis=-1) / 4)
    away = np.stack([above, -above]) - 0.5
    spreads = np.broadcast_to(spread, away.shape)
    z = np.divide(away, spreads, out=np.full(away.shape, -np.inf), where=spreads > 0)
    return np.asarray(ndtr(-z), dtype=np.float64)


def _holm(p_values: Floats) -> NDArray[np.bool_]:
    """Which tests are rejected at `ALPHA`; (n_tests, ...), each column a family."""
    n_tests = len(p_values)
    order = np.argsort(p_values, axis=0, kind="stable")
    limits = ALPHA / (n_tests - np.arange(n_tests)).reshape(-1, *(1,) * (p_values.ndim - 1))
    passed = np.logical_and.accumulate(np.take_along_axis(p_values, order, axis=0) <= limits, axis=0)
    rejected = np.zeros(p_values.shape, dtype=np.bool_)
    np.put_along_axis(rejected, order, passed, axis=0)
    return rejected
