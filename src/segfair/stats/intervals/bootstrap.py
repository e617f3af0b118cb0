"""How sure a mean, a divergence or a score is: intervals from randomly weighted cases.

Each replicate weights the cases (or subjects) by independent standard exponential numbers, so that no group ever
loses all its members. Knows nothing of what the numbers mean.

References:
    Rubin. The Bayesian Bootstrap. 1981.
    Hesterberg. What Teachers Should Know About the Bootstrap. The American Statistician 2015, section 5.2 (expanded
    percentile interval).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from segfair.stats.cells import Cells, Membership, collapse
from segfair.stats.contrast import prepare_contrast
from segfair.stats.intervals.studentised import reach, resample_means
from segfair.stats.limit import limit_of

__all__ = [
    "Interval",
    "SubgroupIntervals",
    "defined",
    "defined_interval",
    "expansion",
    "exponential_weights",
    "interval",
    "mean_interval",
    "rate_interval",
    "resampled_sums",
    "subgroup_intervals",
]

Interval = tuple[float, float]

_STEP_ELEMENTS = 1 << 20
"""Case weights per block of replicates."""
_QUANTILE_ELEMENTS = 1 << 21
"""Replicates per block of subgroups when quantiles are taken."""
_STUDENTISED = range(5, 20)
"""Numbers of units for which bootstrap-t is used; with fewer, too many resamples hold one unit only."""


@dataclass(frozen=True, slots=True, eq=False)
class SubgroupIntervals:
    """Intervals of every subgroup, one row each; NaN where there are none.

    Attributes:
        mean: (n_subgroups, 2) pointwise interval of the mean; NaN for fewer than two units.
        divergence: (n_subgroups, 2) pointwise interval of mean minus overall mean.
        simultaneous: (n_subgroups, 2) intervals of the divergences that hold together for the subgroups with enough
            members and others; NaN for the rest. `MaxT.simultaneous` covers as well, is narrower, and agrees with
            the test.
        critical: Half-width of the simultaneous ones in moderated standard errors; NaN without such subgroups.
    """

    mean: NDArray[np.float64]
    divergence: NDArray[np.float64]
    simultaneous: NDArray[np.float64]
    critical: float


def defined(value: float) -> float | None:
    """A number of an array as a record has it; None for what is undefined."""
    return float(value) if np.isfinite(value) else None


def defined_interval(pair: NDArray[np.float64] | Interval) -> Interval | None:
    """Two limits as a record has them; None unless both are defined."""
    return (float(pair[0]), float(pair[1])) if np.isfinite(pair).all() else None


def exponential_weights(
    n_cases: int,
    *,
    rng: np.random.Generator,
    draws: int,
    subjects: NDArray[np.integer] | None = None,
) -> Iterator[NDArray[np.float64]]:
    """Draws case weights.

    Args:
        n_cases: Number of cases.
        rng: Source of randomness.
        draws: Number of replicates.
        subjects: (n_cases,) codes; cases of one subject get one weight. None: every case its own.

    Yields:
        (at most a block of replicates, n_cases) weights with mean 1 in every row; all draws in turn.
    """
    unit = None if subjects is None else np.unique(subjects, return_inverse=True)[1]
    n_units = n_cases if unit is None else int(unit.max(initial=-1)) + 1
    step = max(1, _STEP_ELEMENTS // max(1, n_cases))
    for first in range(0, draws, step):
        weights = rng.standard_exponential((min(step, draws - first), n_units))
        if unit is not None:
            weights = weights[:, unit]
        weights /= weights.mean(axis=1, keepdims=True)
        yield weights


def resampled_sums(
    cells: Cells,
    outcomes: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int,
    subjects: NDArray[np.integer] | None = None,
) -> Iterator[tuple[NDArray[np.float64], list[NDArray[np.float64]], NDArray[np.float64]]]:
    """Sums over cells under `exponential_weights`; of a large cohort from their limit (see `limit_of`).

    Args:
        cells: The cells.
        outcomes: (n_outcomes, n_cases) finite, in `cells.order`.
        rng: Source of randomness.
        draws: Number of replicates.
        subjects: (n_cases,) codes in that order; weights are then drawn subject by subject, however many there are.

    Yields:
        (some replicates, n_cells) sums of the weights; those of each weighted outcome; and (as many, n_outcomes) the
        outcomes' weighted means.
    """
    n_cases = outcomes.shape[1]
    limit = limit_of(cells, cells.members, outcomes) if subjects is None else None
    if limit is not None:
        for mass, weighted in limit.resampled(outcomes, rng=rng, count=draws):
            yield mass, list(weighted.swapaxes(0, 1)), weighted.sum(axis=2) / n_cases
        return
    for weights in exponential_weights(n_cases, rng=rng, draws=draws, subjects=subjects):
        yield (
            cells.sums(weights),
            [cells.sums(weights * values) for values in outcomes],
            weights @ outcomes.T / n_cases,
        )


def expansion(n_units: NDArray[np.float64], *, confidence: float = 0.95) -> NDArray[np.float64]:
    """Factor by which replicates' deviations are stretched for small groups.

    Exponential weights spread a mean by the variance over n + 1 with divisor n; this factor makes it the unbiased
    one over n, and trades the normal quantile for Student's.

    Args:
        n_units: Number of cases (or subjects) behind each mean.
        confidence: Of the interval.

    Returns:
        As many factors; NaN below two units.

    References:
        Hesterberg 2015, section 5.2.
    """
    tail = 0.5 + confidence / 2
    enough = np.where(n_units >= 2, n_units, np.nan)
    factor: NDArray[np.float64] = np.sqrt((enough + 1) / (enough - 1)) * stdtrit(enough - 1, tail) / ndtri(tail)
    return factor


def interval(
    replicates: NDArray[np.float64],
    estimate: float,
    *,
    kind: Literal["percentile", "basic"] = "percentile",
    confidence: float = 0.95,
) -> Interval:
    """Percentile or basic interval of a statistic from its replicates.

    Args:
        replicates: (n_replicates,) finite.
        estimate: The statistic itself.
        kind: "percentile" takes the replicates' quantiles; "basic" mirrors them at the estimate, and reaches at least
            to it where all but a tail of the replicates lie on one side (a biased statistic).
        confidence: Of the interval.
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    if kind == "basic":
        low, high = min(2 * estimate - high, estimate), max(2 * estimate - low, estimate)
    return float(low), float(high)


def mean_interval(
    outcome: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    subjects: NDArray[np.integer] | None = None,
    confidence: float = 0.95,
    limits: Interval = (-np.inf, np.inf),
) -> Interval:
    """Interval of one group's mean, as in `subgroup_intervals`.

    Args:
        outcome: (n_cases,) finite.
        rng: Source of randomness.
        draws: Number of replicates.
        subjects: (n_cases,) codes; cases of one subject are resampled together.
        confidence: Of the interval.
        limits: Values that the mean cannot leave.

    Returns:
        The interval; NaN for fewer than two cases (or subjects).
    """
    everybody = np.ones((1, len(outcome)), dtype=bool)
    found = subgroup_intervals(
        everybody, outcome, rng=rng, draws=draws, subjects=subjects, confidence=confidence, limits=limits
    )
    return float(found.mean[0, 0]), float(found.mean[0, 1])


def subgroup_intervals(
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    subjects: NDArray[np.integer] | None = None,
    min_cases: int = 10,
    confidence: float = 0.95,
    limits: Interval = (-np.inf, np.inf),
) -> SubgroupIntervals:
    """Intervals of all subgroups' means and divergences from one set of replicates.

    Pointwise ones are expanded percentile intervals, and bootstrap-t from five to nineteen cases (or subjects) unless
    most of them tie (see `reach`).

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.
        rng: Source of randomness.
        draws: Number of replicates.
        subjects: (n_cases,) codes; cases of one subject are resampled together.
        min_cases: Smallest number of members, and of others, for the simultaneous intervals.
        confidence: Of the intervals.
        limits: Values that a mean cannot leave, such as (0, 1).

    Returns:
        The intervals; NaN for subgroups without two members (or subjects).
    """
    n_subgroups, n_cases = membership.shape
    empty = np.full((n_subgroups, 2), np.nan)
    if not n_subgroups or not n_cases:
        return SubgroupIntervals(empty, empty.copy(), empty.copy(), np.nan)
    # Before the replicates, so that not both are in memory.
    error = _moderated_errors(membership, outcome)
    cells = collapse(membership)
    overall = float(outcome.mean())
    centred = (outcome - overall)[cells.order]
    means = np.empty((n_subgroups, draws), dtype=np.float32)
    drift = np.empty(draws)
    first = 0
    grouped = None if subjects is None else np.asarray(subjects)[cells.order]
    for mass, (sums,), overall_means in resampled_sums(cells, centred[None], rng=rng, draws=draws, subjects=grouped):
        rows = slice(first, first + len(mass))
        drift[rows] = overall_means[:, 0]
        weighted, total = cells.multiply(sums, mass, single=True)
        means[:, rows] = np.divide(weighted, total, out=weighted, where=total > 0)
        first = rows.stop
    n = cells.members
    gap = cells.multiply(cells.sums(centred[None]))[0][:, 0] / np.maximum(n, 1)
    units = _count_units(membership, subjects)
    factor = expansion(units, confidence=confidence)
    # What is known of a divergence is limited by the smaller of the subgroup and the rest.
    rest = n_cases - units if subjects is None else _count_units(~membership.astype(bool, copy=False), subjects)
    divergence_factor = expansion(np.minimum(units, np.where(rest > 0, rest, units)), confidence=confidence)
    with np.errstate(invalid="ignore"):
        family = (np.minimum(n, n_cases - n) >= max(1, min_cases)) & (error > 0)
    tail = (1 - confidence) / 2
    mean, divergence, largest = np.empty((n_subgroups, 2)), np.empty((n_subgroups, 2)), np.zeros(draws)
    step = max(1, _QUANTILE_ELEMENTS // max(1, draws))
    for begin in range(0, n_subgroups, step):
        block = slice(begin, begin + step)
        deviation = means[block] - gap[block, None].astype(np.float32)
        mean[block] = np.quantile(deviation, [tail, 1 - tail], axis=1).T
        deviation -= drift.astype(np.float32)
        divergence[block] = np.quantile(deviation, [tail, 1 - tail], axis=1).T
        inside = family[block]
        if inside.any():
            np.maximum(largest, np.abs(deviation[inside] / error[block][inside, None]).max(axis=0), out=largest)
    mean *= factor[:, None]
    divergence *= divergence_factor[:, None]
    _studentise(mean, divergence, membership, outcome, subjects, rng=rng, draws=draws, confidence=confidence)
    mean = np.clip(overall + gap[:, None] + mean, *limits)
    bounds = (limits[0] - overall, limits[1] - overall)
    divergence = np.clip(gap[:, None] + divergence, *bounds)
    critical = float(np.quantile(largest, confidence)) if family.any() else np.nan
    reach = np.where(family, critical * error, np.nan)[:, None] * np.array([-1.0, 1.0])
    return SubgroupIntervals(mean, divergence, np.clip(gap[:, None] + reach, *bounds), critical)


def _moderated_errors(membership: Membership, outcome: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_subgroups,) moderated standard errors of the divergences, which measure the simultaneous intervals.

    The replicates' own is far too small where a small skewed group happens to hold no bad case, and all intervals
    together then cover 60 % rather than 95 %. NaN where there is nobody to compare with.
    """
    compared = prepare_contrast(membership)
    everyone = compared.identified
    some = compared.select(everyone)
    error = np.full(len(membership), np.nan)
    error[everyone] = some.compare(some.residual(outcome)[None])[1][:, 0] * some.n_rest / len(outcome)
    return error


def rate_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval | None:
    """Wilson's interval of a rate such as the share of failed cases; of use also where no or every case failed.

    None without trials.

    References:
        Wilson 1927.
    """
    if not trials:
        return None
    z = float(ndtri(0.5 + confidence / 2))
    centre = (successes + z**2 / 2) / (trials + z**2)
    half = z * (successes * (trials - successes) / trials + z**2 / 4) ** 0.5 / (trials + z**2)
    # Without rounding where the interval ends at 0 or 1.
    return (0.0 if not successes else centre - half), (1.0 if successes == trials else centre + half)


def _studentise(
    mean: NDArray[np.float64],
    divergence: NDArray[np.float64],
    membership: Membership,
    outcome: NDArray[np.float64],
    subjects: NDArray[np.integer] | None,
    *,
    rng: np.random.Generator,
    draws: int,
    confidence: float,
) -> None:
    """Replaces the reach of small subgroups' intervals, in place, by that of bootstrap-t."""
    n_cases = membership.shape[1]
    units = _count_units(membership, subjects)
    # The rest's mean is nearly normal; one set of deviates serves all subgroups, each read on its own.
    deviate = rng.standard_normal(draws)
    centred = outcome - outcome.mean()
    unit = np.arange(n_cases) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    total, total_sizes = (np.bincount(unit, weights, minlength=n_units) for weights in (centred, np.ones(n_cases)))
    step = max(1, _QUANTILE_ELEMENTS // max(1, draws))
    for size in _STUDENTISED:
        small = np.flatnonzero(units == size)
        if not len(small):
            continue
        counts = rng.multinomial(size, np.full(size, 1 / size), draws).astype(np.float64)
        for first in range(0, len(small), step):
            rows = small[first : first + step]
            sums, sizes, rest_variance = np.empty((size, len(rows))), np.empty((size, len(rows))), np.empty(len(rows))
            for column, row in enumerate(rows):
                members = np.flatnonzero(membership[row])
                who, of = np.unique(unit[members], return_inverse=True)
                sums[:, column] = np.bincount(of, centred[members], minlength=size)
                sizes[:, column] = np.bincount(of, minlength=size)
                others, other_sizes = total.copy(), total_sizes.copy()
                others[who] -= sums[:, column]
                other_sizes[who] -= sizes[:, column]
                n_rest = max(1.0, other_sizes.sum())
                others -= others.sum() / n_rest * other_sizes
                rest_variance[column] = others @ others / n_rest**2
            groups = resample_means(sums, sizes, counts)
            found = reach(groups, confidence=confidence)
            mean[rows] = np.where(np.isfinite(found), found, mean[rows])
            found = reach(groups, confidence=confidence, rest_variance=rest_variance, rest_deviate=deviate)
            found *= (1.0 - sizes.sum(axis=0) / n_cases)[:, None]
            divergence[rows] = np.where(np.isfinite(found), found, divergence[rows])


def _count_units(membership: Membership, subjects: NDArray[np.integer] | None) -> NDArray[np.float64]:
    """(n_subgroups,) members, or subjects with a case among them."""
    if subjects is None:
        return np.asarray(np.count_nonzero(membership, axis=1), dtype=np.float64)
    order = np.argsort(subjects, kind="stable")
    starts = np.flatnonzero(np.diff(np.asarray(subjects)[order], prepend=np.asarray(subjects)[order[:1]] - 1))
    members = membership.astype(bool, copy=False)[:, order]
    present = np.logical_or.reduceat(members, starts, axis=1)
    return np.asarray(present.sum(axis=1), dtype=np.float64)
