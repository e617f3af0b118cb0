"""Intervals of disparity scores, by asking which true disparities would give the observed score.

A largest difference over levels grows with noise, and resampling adds its own: percentile intervals of FS miss a
true FS of 1 always, and mirrored ones often. Inverting a test has no such bias to mend. One family of tests, "the
true disparity is D", gives the interval and the chance p: at no disparity the test is the permutation test itself, so
that the interval holds no disparity exactly where p is at least half the error (0.025).

References:
    Casella and Berger. Statistical Inference. Section 9.2.1 (inverting a test).
    Lehmann and Romano. Testing Statistical Hypotheses. Section 3.8 (least favourable distributions).
    Hesterberg. What Teachers Should Know About the Bootstrap. 2015 (which way replicates lie when outcomes are skewed).
    Smyth 2004, section 3 (degrees of freedom of a moderated variance).
    Zou and Donner. Construction of confidence limits about effect measures. Statistics in Medicine 2008 (limits of a
    difference from the limits of its parts).
    Cowan, Cranmer, Gross, Vitells. Power-Constrained Limits. 2011 (no limit beyond what chance lets expect).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from segfair.fairness.level_means import LevelMeans
from segfair.fairness.scores import Statistic, per_attribute
from segfair.stats.contrast import MEAN_PRIOR_DF
from segfair.stats.intervals.bootstrap import Interval, interval

__all__ = [
    "ChanceLevel",
    "chance_level",
    "change_interval",
    "disparity_interval",
    "inverted_interval",
    "reaching",
    "score_interval",
]

_LEAST_KEPT, _NOISE_COUNTS = 0.02, 2.0
"""An attribute's level offsets are shrunken by so many times the share that noise explains, to no less than this.
Attributes without a disparity inflate the score most: shrunken once, to .1, offsets left the limit of the weakest
disparity too strong in up to 9 % of cohorts with one disparity among nine attributes, where 2.5 % should be."""
_SHARE_OF_TAIL = 0.8
"""Of the nominal tail, for the limit of the largest disparity: what noise is assumed is itself estimated. Measured in
full, up to 5 % of these limits were too mild where 2.5 % should be."""
_SWEEPS = 3
_DOUBLINGS, _BISECTIONS = 12, 24


@dataclass(frozen=True, slots=True)
class ChanceLevel:
    """Where a score lies without any disparity.

    Attributes:
        mean: Mean under shuffled metadata, `interval` its 95 % range.
        p_value: Share of shuffled cohorts that score as badly as the observed one.
    """

    mean: float
    interval: Interval
    p_value: float


def score_interval(
    statistic: Statistic,
    *,
    observed: LevelMeans,
    resampled: LevelMeans,
    shuffled: LevelMeans,
    worse: Literal["lower", "higher"],
    best: float | Statistic,
    worst: float | None = None,
    confidence: float = 0.95,
) -> NDArray[np.float64]:
    """Interval of a disparity score as it is reported.

    Inverted where no disparity is a constant (FS, D_v, gap, SD, SER): such an interval holds no disparity exactly
    where the chance p is at least half the error (0.025). A score that also carries the cohort's mean (worst group,
    ES-Dice, TS) moves with that mean too: it gets the basic interval, reaching to no disparity where chance explains
    the score. So does the far limit of one whose inverted interval has no end.

    Args:
        statistic: Score of level means; for the cohort or for each attribute.
        observed: One replicate, the cohort itself.
        resampled: From `bootstrap_level_means`.
        shuffled: From `permuted_level_means`.
        worse: Which direction means more disparity.
        best: The score of no disparity, or what computes the score that this cohort would have without any.
        worst: The limit on the other side; None: unlimited.
        confidence: Of the interval.

    Returns:
        (2,) or (n_attributes, 2); low <= score <= high, NaN where score, replicates or chance level are not finite.
    """
    estimate = np.asarray(statistic(observed)[0])
    null, drawn = (statistic(means).reshape(len(means.means), -1) for means in (shuffled, resampled))
    bounds = np.full((estimate.size, 2), np.nan)
    ends = np.full((estimate.size, 2), np.nan)
    if callable(best):
        limits = np.broadcast_to(best(resampled).reshape(len(drawn), -1), drawn.shape)
    else:
        limits = np.full((1, estimate.size), best)
        ends = inverted_interval(
            statistic, observed=observed, resampled=resampled, shuffled=shuffled, worse=worse, confidence=confidence
        ).reshape(-1, 2)
    for index, value in enumerate(map(float, estimate.ravel())):
        if not (np.isfinite(value) and np.isfinite(null[:, index]).all()):
            continue
        chance_p = chance_level(null[:, index], value, worse=worse).p_value
        low, high = ends[index]
        if not np.isfinite(ends[index]).all():
            if not np.isfinite(drawn[:, index]).all():
                continue
            basic = interval(drawn[:, index], value, kind="basic", confidence=confidence)
            low, high = np.where(np.isfinite(ends[index]), ends[index], basic)
        bounds[index] = reaching(
            (low, high),
            value,
            chance_p=chance_p,
            best=interval(limits[:, index], value, confidence=confidence)[1],
            worst=worst,
            confidence=confidence,
        )
    return bounds.reshape(*estimate.shape, 2)


def change_interval(
    statistic: Statistic,
    *,
    observed: tuple[LevelMeans, LevelMeans],
    resampled: tuple[LevelMeans, LevelMeans],
    shuffled: tuple[LevelMeans, LevelMeans],
    worse: Literal["lower", "higher"],
    best: float,
    worst: float | None = None,
    confidence: float = 0.95,
) -> NDArray[np.float64]:
    """Interval of how much a disparity score changed between two models on the same cases, second minus first.

    Each score is biased by an amount that depends on its own true disparity, so the replicates of the difference are
    biased even where the cases are paired. The limits are recovered from those of the two scores, which know of it,
    and from the correlation of their replicates. They go no further than the disparity of the changes themselves may:
    a largest difference over levels cannot change by more than the changes differ over levels.

    Args:
        statistic: `best` plus or minus a seminorm of the level means (FS, D_v, gap, SD); for the cohort or for each
            attribute.
        observed: Of the first and the second model, as for `score_interval`.
        resampled: The same, both under the same case weights.
        shuffled: The same, both under the same shuffles.
        worse: Which direction means more disparity.
        best: The score of no disparity.
        worst: Its other limit; None: unlimited.
        confidence: Of the interval.

    Returns:
        (2,) or (n_attributes, 2), holding the difference; NaN where one of the two has no interval.

    References:
        Zou and Donner 2008.
    """

    def of(means: LevelMeans, drawn: LevelMeans, null: LevelMeans, limit: float | None) -> NDArray[np.float64]:
        return score_interval(
            statistic,
            observed=means,
            resampled=drawn,
            shuffled=null,
            worse=worse,
            best=best,
            worst=limit,
            confidence=confidence,
        )

    def change(means: tuple[LevelMeans, LevelMeans]) -> LevelMeans:
        first, second = means
        return dataclasses.replace(second, means=second.means - first.means, overall=second.overall - first.overall)

    first = of(observed[0], resampled[0], shuffled[0], worst)
    second = of(observed[1], resampled[1], shuffled[1], worst)
    between = of(change(observed), change(resampled), change(shuffled), None)
    before, after = (np.asarray(statistic(means)[0]) for means in observed)
    shared = _correlation(*(statistic(means) for means in resampled))

    def reach(own: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.sqrt(np.maximum(own**2 - 2 * shared * own * other + other**2, 0.0)))

    difference = after - before
    low = difference - reach(after - second[..., 0], first[..., 1] - before)
    high = difference + reach(second[..., 1] - after, before - first[..., 0])
    most = np.abs(between - best).max(axis=-1)
    low, high = np.maximum(low, -most), np.minimum(high, most)
    return np.stack([np.minimum(low, difference), np.maximum(high, difference)], axis=-1)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of replicates, along the first axis; 0 where one of the two does not vary."""
    with np.errstate(invalid="ignore"):
        a, b = first - first.mean(axis=0), second - second.mean(axis=0)
        scale = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
        return np.asarray(np.divide((a * b).sum(axis=0), scale, out=np.zeros_like(scale), where=scale > 1e-12))


def inverted_interval(
    statistic: Statistic,
    *,
    observed: LevelMeans,
    resampled: LevelMeans,
    shuffled: LevelMeans,
    worse: Literal["lower", "higher"],
    confidence: float = 0.95,
) -> NDArray[np.float64]:
    """Interval of a disparity score by asking which true disparities would give the observed score.

    A true disparity is a vector of level offsets from the overall mean; under each the score's distribution is known
    from replicates of the level means' noise. The interval holds the true scores under which the observed one lies
    in neither tail.

    The weakest disparity: multiples of the observed offsets, which are shrunken per attribute by twice the share that
    noise explains. At multiple 0 the noise is that of shuffled cases, so that the test is the permutation test and no
    disparity is possible exactly where its p is at least the tail; from multiple 1 on it is the levels' own.

    The strongest disparity: noise inflates a largest difference the less, the farther the other levels are from both
    ends, so which truth could have given so mild a score depends on what is not known. Offsets in the shape of the
    estimate flattered it (limits too mild in up to 21 % of real cohorts); the shape taken is the one that noise
    inflates least: in each attribute two levels apart by so much noise, all others in the middle. A score better than
    chance would give is luck and rules out no more than one at the chance level does.

    Args:
        statistic: Score of level means; for the cohort or for each attribute. Not of the overall mean.
        observed: One replicate, the cohort itself.
        resampled: From `bootstrap_level_means`.
        shuffled: From `permuted_level_means`.
        worse: Which direction means more disparity.
        confidence: Of the interval.

    Returns:
        (2,) or (n_attributes, 2) low and high; always holding the observed score, NaN where that is not finite and
        infinite where no end was found.
    """
    estimate = np.asarray(statistic(observed)[0])
    sign = 1.0 if worse == "higher" else -1.0
    tail = (1 - confidence) / 2
    centre = observed.overall[0][:, None]
    chance = shuffled.means - centre
    own = _own_noise(observed, resampled, shuffled, tail=tail)
    offsets = _shrunken_offsets(observed, own)
    shape = _least_inflated(observed, own, tail=tail, together=estimate.ndim == 0)

    def factor(multiple: NDArray[np.float64]) -> NDArray[np.float64]:
        return multiple[observed.attribute] if multiple.ndim else multiple

    def harm(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        return sign * statistic(dataclasses.replace(observed, means=centre + deviations))

    known = np.where(np.isfinite(estimate), estimate, np.nan)
    reached = sign * known - 1e-9 * (1.0 + np.abs(known))
    lenient = np.maximum(sign * estimate, np.median(harm(own), axis=0))

    def strong_enough(multiple: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether so strong a score as the observed one would not be rare."""
        times = factor(multiple)
        share = np.minimum(times, 1.0)
        drawn = harm(times * offsets + np.sqrt(1 - share) * chance + np.sqrt(share) * own)
        return np.asarray((np.count_nonzero(drawn >= reached, axis=0) + 1) / (len(drawn) + 1) >= tail - 1e-12)

    def too_strong(multiple: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether so weak a score as the observed one, or as chance alone gives, would be rare."""
        drawn = harm(factor(multiple) * shape + own)
        return np.asarray(np.mean(drawn <= lenient + 1e-12, axis=0) < _SHARE_OF_TAIL * tail)

    with np.errstate(invalid="ignore"):
        weakest, strongest = (
            sign * harm((factor(_first_true(condition, estimate.shape)) * direction)[None])[0]
            for condition, direction in ((strong_enough, offsets), (too_strong, shape))
        )
    ends = np.stack([weakest, strongest, estimate], axis=-1)
    bounds = np.stack([ends.min(axis=-1), ends.max(axis=-1)], axis=-1)
    bounds[~np.isfinite(estimate)] = np.nan
    return bounds


def _own_noise(
    observed: LevelMeans, resampled: LevelMeans, shuffled: LevelMeans, *, tail: float
) -> NDArray[np.float64]:
    """(n_shuffles, n_outcomes, n_levels) deviations of level means from the truth.

    A level's own (resampled) are mixed with the cohort's (shuffled), which count for 20 degrees of freedom, so that
    a level of one case has some; stretched to Student's quantile of both together. Mirrored: a sample of skewed
    outcomes that happens to lack the long tail has a good mean and small deviations, and replicates as they are would
    be short on the side where they are needed.
    """
    units = resampled.units
    own = resampled.means[np.arange(len(shuffled.means)) % len(resampled.means)] - observed.means
    # From the variance over n + 1 that exponential weights give to the unbiased one over n.
    own = own * np.sqrt((units + 1) / np.maximum(units - 1, 1))
    # Other shuffles than those of the same rows, with which this noise is mixed near no disparity.
    common = np.roll(shuffled.means - shuffled.means.mean(axis=0), len(shuffled.means) // 2, axis=0)
    df = MEAN_PRIOR_DF + units - 1
    share = MEAN_PRIOR_DF / df
    stretch = stdtrit(df, tail) / ndtri(tail)
    return np.asarray(-stretch * (np.sqrt(1 - share) * own + np.sqrt(share) * common))


def _least_inflated(
    observed: LevelMeans, noise: NDArray[np.float64], *, tail: float, together: bool
) -> NDArray[np.float64]:
    """(n_outcomes, n_levels) offsets of the truth whose largest differences noise inflates least.

    Two levels of each attribute lie apart by the median range of their noise, in every outcome, the others halfway:
    inflation falls ever more slowly with the distance, so that an even distribution over attributes has least. Which
    two: those whose distance may be largest, by observed distance plus standard errors of the whole score (`together`)
    or of the attribute's.
    """
    centred = noise - noise.mean(axis=0)
    reach = -float(ndtri(tail))
    sides = np.zeros(noise.shape[1:])
    blocks = [np.flatnonzero(observed.attribute == index) for index in range(observed.n_attributes)]
    blocks = [levels for levels in blocks if len(levels) > 1]
    for scope in [blocks] if together else [[levels] for levels in blocks]:
        places = [(outcome, levels) for levels in scope for outcome in range(len(sides))]
        total = np.zeros(len(noise))
        for _ in range(_SWEEPS + 1):
            before = sides.copy()
            for outcome, levels in places:
                own = centred[:, outcome, levels]
                total -= own @ sides[outcome, levels]
                high, low = _widest(observed.means[0, outcome, levels], own, total, reach)
                sides[outcome, levels] = 0.0
                sides[outcome, levels[[high, low]]] = 1.0, -1.0
                total += own[:, high] - own[:, low]
            if np.array_equal(before, sides):
                break
    ranges = per_attribute(noise, observed, np.fmax) - per_attribute(noise, observed, np.fmin)
    return np.asarray(0.5 * sides * np.median(ranges, axis=0)[:, observed.attribute])


def _widest(
    means: NDArray[np.float64], noise: NDArray[np.float64], rest: NDArray[np.float64], reach: float
) -> tuple[int, int]:
    """The two levels whose difference, plus `reach` standard errors of the whole sum, is largest."""
    covariance = noise.T @ noise / len(noise)
    own, shared = np.diag(covariance), rest @ noise / len(noise)
    variance = rest @ rest / len(rest) + 2 * (shared[:, None] - shared) + own[:, None] + own - 2 * covariance
    limit = means[:, None] - means + reach * np.sqrt(np.maximum(variance, 0.0))
    np.fill_diagonal(limit, -np.inf)
    high, low = np.unravel_index(int(np.argmax(limit)), limit.shape)
    return int(high), int(low)


def _shrunken_offsets(observed: LevelMeans, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_outcomes, n_levels) offsets from the overall mean, shrunken per attribute (positive-part James-Stein)."""
    offsets = observed.means[0] - observed.overall[0][:, None]
    weights = observed.units
    squares = per_attribute(weights * offsets**2, observed, np.add)
    expected = per_attribute(weights * noise.var(axis=0), observed, np.add)
    kept = 1.0 - _NOISE_COUNTS * np.divide(expected, squares, out=np.ones_like(squares), where=squares > 0)
    shrunken: NDArray[np.float64] = np.maximum(kept, _LEAST_KEPT)[:, observed.attribute] * offsets
    return shrunken


def _first_true(
    condition: Callable[[NDArray[np.float64]], NDArray[np.bool_]], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Smallest multiple of at least 0 from which a condition holds, for each entry; the search ends at 4,096."""
    low, high = np.zeros(shape), np.full(shape, 1.0)
    holds = condition(low)
    high = np.where(holds, 0.0, high)
    for _ in range(_DOUBLINGS):
        open_end = ~condition(high) & (high > 0)
        if not open_end.any():
            break
        low, high = np.where(open_end, high, low), np.where(open_end, 2 * high, high)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        holds = condition(middle)
        low, high = np.where(holds, low, middle), np.where(holds, middle, high)
        if np.all(high - low <= 1e-4 * np.maximum(high, 1e-3)):
            break
    return np.asarray(high)


def chance_level(
    null: NDArray[np.float64], observed: float, *, worse: Literal["lower", "higher"], confidence: float = 0.95
) -> ChanceLevel:
    """Where a score lies without any disparity, and how often it is as bad as the observed one by chance.

    Args:
        null: (n_permutations,) the score under shuffled metadata.
        observed: The score itself.
        worse: Which direction means more disparity.
        confidence: Of the chance interval.
    """
    slack = 1e-9 * (1.0 + abs(observed))
    as_bad = null <= observed + slack if worse == "lower" else null >= observed - slack
    return ChanceLevel(
        float(null.mean()),
        interval(null, observed, confidence=confidence),
        (int(np.count_nonzero(as_bad)) + 1) / (len(null) + 1),
    )


def disparity_interval(
    replicates: NDArray[np.float64],
    estimate: float,
    *,
    chance_p: float,
    best: float,
    worst: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Basic interval of a biased score, reaching to no disparity where chance explains the observed one.

    Resampling lowers a score of agreement once more, so its quantiles lie on the wrong side of the truth; mirrored at
    the score they lie on the right one, yet a mirrored interval may end before the score itself. What is reported
    always holds it.

    Args:
        replicates: (n_replicates,) finite.
        estimate: The score.
        chance_p: Its p value under shuffled metadata.
        best: The score of no disparity (1 for FS, 0 for a gap); where that is no constant but the cohort's mean, as for
            a worst group, the upper confidence limit of that mean.
        worst: Its other limit; None: unlimited.
        confidence: Of the interval.

    Returns:
        Low and high, with `low <= estimate <= high`.
    """
    low, high = interval(replicates, estimate, kind="basic", confidence=confidence)
    return reaching((low, high), estimate, chance_p=chance_p, best=best, worst=worst, confidence=confidence)


def reaching(
    bounds: Interval,
    estimate: float,
    *,
    chance_p: float,
    best: float,
    worst: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """An interval kept within what is possible, reaching to no disparity where chance explains the score.

    Args:
        bounds: The interval as computed.
        estimate: The score, which the result holds.
        chance_p: Its p value under shuffled metadata.
        best: The score of no disparity, and the limit on that side.
        worst: The limit on the other side; None: unlimited.
        confidence: Of the interval; chance explains the score from a p of half the remainder (0.025).
    """
    low, high = bounds
    fair = chance_p >= (1 - confidence) / 2 - 1e-12
    if worst is None:
        worst = -np.inf if best >= estimate else np.inf
    if best >= worst:
        low, high = max(low, worst), best if fair else min(high, best)
    else:
        low, high = best if fair else max(low, best), min(high, worst)
    return float(min(low, estimate)), float(max(high, estimate))
