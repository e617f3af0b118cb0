"""Two independent cohorts: how far the means of their subgroups lie apart, all subgroups together; and a common mix.

The cohorts are resampled each by itself, since no case of one has a partner in the other. Nothing is permuted between
them: what differs in one subgroup would otherwise be taken for chance in the others.

References:
    Rubin. The Bayesian Bootstrap. 1981 (weights). Westfall and Young 1993, chapter 2 (simultaneous intervals).
    Smyth 2004, Eq. 3 (moderated variance). Deming and Stephan 1940 (raking). Kish 1965 (effective sample size).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.contrast import MEAN_PRIOR_DF
from segfair.stats.intervals.bootstrap import expansion, exponential_weights

__all__ = ["Sample", "TwoSampleTest", "effective_size", "rake", "standardised_means", "two_sample_test"]

Floats = NDArray[np.float64]
_RAKING_STEPS = 40
_STANDARDISED_ELEMENTS = 40_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One of the two cohorts.

    Attributes:
        members: (n_subgroups, n_cases) bool, subgroups in the same order as those of the other cohort.
        values: (n_cases,) finite.
        subjects: (n_cases,) codes; cases of one subject are resampled together. None: every case is a subject.
    """

    members: NDArray[np.bool_]
    values: Floats
    subjects: NDArray[np.integer] | None = None

    def n_units(self) -> Floats:
        """(n_subgroups,) cases, or subjects where these are resampled."""
        if self.subjects is None:
            return np.asarray(np.count_nonzero(self.members, axis=1), dtype=np.float64)
        return np.array([len(np.unique(self.subjects[row])) for row in self.members], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class TwoSampleTest:
    """Differences between the means of two cohorts, second minus first, one row a subgroup.

    Attributes:
        difference: (n_subgroups,); NaN where a cohort has no member (or, against the rest, nobody else).
        tested: (n_subgroups,) whether it has enough members, and others, in both.
        simultaneous: (n_subgroups, 2) intervals that hold together; NaN where not tested.
        p_value, p_adjusted: (n_subgroups,) alone, and over all rows; NaN where not tested.
    """

    difference: Floats
    tested: NDArray[np.bool_]
    simultaneous: Floats
    p_value: Floats
    p_adjusted: Floats


def two_sample_test(
    first: Sample,
    second: Sample,
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    min_cases: int = 10,
    confidence: float = 0.95,
    against_rest: bool = False,
) -> TwoSampleTest:
    """Whether the means of subgroups differ between two independent cohorts; one family.

    Args:
        first: One cohort.
        second: The other.
        rng: Source of randomness.
        draws: Replicates.
        min_cases: Smallest number of members (and, against the rest, of others) in each cohort of a row that is tested;
            subjects where there are some.
        confidence: Of all intervals together.
        against_rest: Whether of each cohort the difference between members and everybody else is compared, instead of
            the members' mean.

    Returns:
        One row a subgroup.
    """
    sides = [_Side.of(sample, min_cases, against_rest=against_rest) for sample in (first, second)]
    difference = sides[1].estimate - sides[0].estimate
    tested = sides[0].enough & sides[1].enough & np.isfinite(difference)
    n_rows = len(difference)
    simultaneous, alone, adjusted = np.full((n_rows, 2), np.nan), np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    if not tested.any():
        return TwoSampleTest(difference, tested, simultaneous, alone, adjusted)
    error = np.sqrt(sides[0].variance[tested] + sides[1].variance[tested])
    fewest = np.minimum(sides[0].n_units, sides[1].n_units)[tested]
    factor = expansion(fewest, confidence=confidence)
    one, other = (_replicates(sample, rng, draws, against_rest=against_rest)[:, tested] for sample in (first, second))
    deviations = other - one - difference[tested]
    ratios = np.divide(np.abs(deviations) * factor, error, out=np.zeros_like(deviations), where=error > 0)
    observed = np.divide(
        np.abs(difference[tested]), error, out=np.where(np.abs(difference[tested]) > 0, np.inf, 0.0), where=error > 0
    )
    largest = ratios.max(axis=1)
    reach = float(np.quantile(largest, confidence, method="inverted_cdf")) * error
    simultaneous[tested] = np.stack([difference[tested] - reach, difference[tested] + reach], axis=1)
    alone[tested] = (1 + np.count_nonzero(ratios >= observed, axis=0)) / (draws + 1)
    adjusted[tested] = (1 + np.count_nonzero(largest[:, None] >= observed, axis=0)) / (draws + 1)
    return TwoSampleTest(difference, tested, simultaneous, alone, adjusted)


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A cohort's own estimates: members' means, or their distance from everybody else's."""

    estimate: Floats
    variance: Floats
    n_units: Floats
    enough: NDArray[np.bool_]

    @classmethod
    def of(cls, sample: Sample, min_cases: int, *, against_rest: bool) -> _Side:
        least = max(2, min_cases)
        n_units = sample.n_units()
        mean, variance = _means(sample.members, sample.values, n_units)
        if not against_rest:
            return cls(mean, variance, n_units, n_units >= least)
        rest = Sample(~sample.members, sample.values, sample.subjects)
        n_rest = rest.n_units()
        rest_mean, rest_variance = _means(rest.members, rest.values, n_rest)
        enough = (n_units >= least) & (n_rest >= least)
        return cls(mean - rest_mean, variance + rest_variance, np.minimum(n_units, n_rest), enough)


def _means(members: NDArray[np.bool_], values: Floats, n_units: Floats) -> tuple[Floats, Floats]:
    """Mean of each row's members, and its moderated squared error by their number of units."""
    n = np.count_nonzero(members, axis=1).astype(np.float64)
    overall = values.mean() if len(values) else 0.0
    centred = values - overall
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = members @ centred / n
        spread = np.maximum(members @ centred**2 - n * gap**2, 0.0)
        prior = MEAN_PRIOR_DF * float(np.mean(centred**2)) if len(values) else 0.0
        variance = (spread + prior) / (n - 1 + MEAN_PRIOR_DF) / n_units
    return overall + gap, variance


def _replicates(sample: Sample, rng: np.random.Generator, draws: int, *, against_rest: bool) -> Floats:
    """(n_replicates, n_subgroups) estimates."""
    members = sample.members.T.astype(np.float64)
    weighted = members * sample.values[:, None]
    found = []
    for weights in exponential_weights(len(sample.values), rng=rng, draws=draws, subjects=sample.subjects):
        sums, mass = weights @ weighted, weights @ members
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums / mass
            if against_rest:
                total, everybody = (weights @ sample.values)[:, None], weights.sum(axis=1, keepdims=True)
                means = means - (total - sums) / (everybody - mass)
        found.append(means)
    return np.concatenate(found)


def rake(weights: Floats, codes: Sequence[NDArray[np.integer]], targets: Sequence[Floats]) -> Floats:
    """Weights under which each attribute has the wanted shares of its levels.

    Args:
        weights: (n_replicates, n_cases) to begin with, 0 or more.
        codes: Of each attribute (n_cases,) its level, 0 or more.
        targets: Of each attribute the wanted shares; they add up to 1, and are 0 only for levels without a case.

    Returns:
        (n_replicates, n_cases), each row adds up to 1.
    """
    found = weights / weights.sum(axis=1, keepdims=True)
    onehots = [np.eye(len(shares))[code] for code, shares in zip(codes, targets, strict=True)]
    for _ in range(_RAKING_STEPS if len(codes) > 1 else 1):
        for code, shares, onehot in zip(codes, targets, onehots, strict=True):
            sums = found @ onehot
            factors = np.divide(shares, sums, out=np.zeros_like(sums), where=sums > 0)
            found = found * factors[:, code]
    return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float64)


def effective_size(weights: Floats) -> float:
    """How many equally weighted cases tell as much: (sum w)^2 / sum w^2."""
    return float(weights.sum() ** 2 / np.sum(weights**2))


def standardised_means(
    values: Floats,
    codes: Sequence[NDArray[np.integer]],
    targets: Sequence[Floats],
    *,
    rng: np.random.Generator,
    draws: int,
    subjects: NDArray[np.integer] | None = None,
) -> tuple[float, Floats, float]:
    """A cohort's mean as it would be with other shares of its levels.

    Args:
        values: (n_cases,) finite.
        codes: See `rake`.
        targets: See `rake`.
        rng: Source of randomness.
        draws: Replicates; fewer are drawn of a very large cohort.
        subjects: (n_cases,) codes of patients, who are resampled.

    Returns:
        The mean, (n_replicates,) the same of resampled cohorts, and the effective number of cases.
    """
    one = rake(np.ones((1, len(values))), codes, targets)
    affordable = max(100, _STANDARDISED_ELEMENTS // (len(values) * max(1, len(codes)) * _RAKING_STEPS))
    weights = exponential_weights(len(values), rng=rng, draws=min(draws, affordable), subjects=subjects)
    resampled = np.concatenate([rake(drawn, codes, targets) @ values for drawn in weights])
    return float(one[0] @ values), resampled, effective_size(one[0])
