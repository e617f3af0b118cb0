"""Intervals of disparity scores, by asking which true disparities would give the observed score.

A largest difference over levels grows with noise, and resampling adds its own: percentile intervals of FS miss a
true FS of 1 always, and mirrored ones often. Inverting a test has no such bias to mend.

References:
    Casella and Berger. Statistical Inference. Section 9.2.1 (inverting a test).
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

from segfair.fairness.level_means import LevelMeans
from segfair.fairness.scores import Statistic, per_attribute
from segfair.stats.bootstrap import Interval, interval
from segfair.stats.contrast import MEAN_PRIOR_DF

__all__ = [
    "ChanceLevel",
    "chance_level",
    "change_interval",
    "disparity_interval",
    "inverted_interval",
    "reaching",
    "score_interval",
]

_LEAST_KEPT = 0.3
"""An attribute's level offsets are shrunken to no less than this share."""
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

    Inverted where no disparity is a constant (FS, D_v, gap, SD, SER). A score that also carries the cohort's mean
    (worst group, ES-Dice, TS) moves with that mean too: it gets the basic interval, and so does one whose inverted
    interval has no end. Both reach to no disparity where the chance p is at least half the error (0.025).

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
    turned = limits = None
    if callable(best):
        limits = np.broadcast_to(best(resampled).reshape(len(drawn), -1), drawn.shape)
    else:
        turned = inverted_interval(
            statistic, observed=observed, resampled=resampled, shuffled=shuffled, worse=worse, confidence=confidence
        ).reshape(-1, 2)
    for index, value in enumerate(estimate.ravel()):
        if not (np.isfinite(value) and np.isfinite(null[:, index]).all()):
            continue
        chance_p = chance_level(null[:, index], float(value), worse=worse).p_value
        if turned is not None and np.isfinite(turned[index]).all():
            bounds[index] = reaching(
                (turned[index, 0], turned[index, 1]),
                float(value),
                chance_p=chance_p,
                best=best,  # type: ignore[arg-type]
                worst=worst,
                confidence=confidence,
            )
        elif np.isfinite(drawn[:, index]).all():
            limit = best if limits is None else interval(limits[:, index], float(value), confidence=confidence)[1]
            bounds[index] = disparity_interval(
                drawn[:, index],
                float(value),
                chance_p=chance_p,
                best=limit,  # type: ignore[arg-type]
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

    True level means are taken to be the overall mean plus a multiple of the observed offsets, which are shrunken
    per attribute by the share that noise explains. For each multiple the score's distribution is known from the
    replicates; the interval holds the true scores under which the observed one is not in a tail. No disparity at
    all (multiple 0) is among them whenever chance explains the observed score. A score better than chance would give
    is luck and rules out no more than one at the chance level does. A level's noise mixes its own (resampled) with the
    cohort's (shuffled), which counts for 20 degrees of freedom, so that a level of one case has some.

    Args:
        statistic: Score of level means; for the cohort or for each attribute.
        observed: One replicate, the cohort itself.
        resampled: From `bootstrap_level_means`.
        shuffled: From `permuted_level_means`.
        worse: Which direction means more disparity.
        confidence: Of the interval.

    Returns:
        (2,) or (n_attributes, 2) low and high; always holding the observed score, NaN where that is not finite.
    """
    estimate = statistic(observed)[0]
    sign = 1.0 if worse == "higher" else -1.0
    tail = (1 - confidence) / 2
    noise, drift = _noise(observed, resampled, shuffled)
    offsets = _shrunken_offsets(observed, noise)

    def scaled(multiple: NDArray[np.float64], deviation: NDArray[np.float64], shift: NDArray[np.float64]) -> LevelMeans:
        factor = multiple[observed.attribute] if multiple.ndim else multiple
        overall = observed.overall[0]
        return dataclasses.replace(
            observed,
            means=overall[None, :, None] + factor * offsets[None] + deviation,
            overall=overall[None] + shift,
        )

    def truth(multiple: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(statistic(scaled(multiple, np.zeros((1, 1, 1)), np.zeros((1, 1))))[0])

    at_chance = np.median(sign * statistic(scaled(np.zeros(estimate.shape), noise, drift)), axis=0)
    lenient = np.maximum(sign * estimate, at_chance)

    def too_strong(multiple: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether so weak a score as the observed one, or as chance alone gives, would be rare."""
        drawn = sign * statistic(scaled(multiple, noise, drift))
        return np.asarray(np.mean(drawn <= lenient + 1e-12, axis=0) < tail)

    def strong_enough(multiple: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether so strong a score as the observed one would not be rare."""
        drawn = sign * statistic(scaled(multiple, noise, drift))
        return np.asarray(np.mean(drawn >= sign * estimate - 1e-12, axis=0) >= tail)

    with np.errstate(invalid="ignore"):
        weakest = truth(_first_true(strong_enough, estimate.shape))
        strongest = truth(_first_true(too_strong, estimate.shape))
    ends = np.stack([weakest, strongest, estimate], axis=-1)
    bounds = np.stack([ends.min(axis=-1), ends.max(axis=-1)], axis=-1)
    bounds[~np.isfinite(estimate)] = np.nan
    return bounds


def _noise(
    observed: LevelMeans, resampled: LevelMeans, shuffled: LevelMeans
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Deviations of level means and of overall means from the truth, replicate by replicate."""
    count = min(len(resampled.means), len(shuffled.means))
    units = resampled.units
    own = resampled.means[:count] - observed.means
    # From the variance over n + 1 that exponential weights give to the unbiased one over n.
    own = own * np.sqrt((units + 1) / np.maximum(units - 1, 1))
    common = shuffled.means[:count] - shuffled.means.mean(axis=0)
    share = MEAN_PRIOR_DF / (MEAN_PRIOR_DF + units - 1)
    return np.sqrt(1 - share) * own + np.sqrt(share) * common, resampled.overall[:count] - observed.overall


def _shrunken_offsets(observed: LevelMeans, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_outcomes, n_levels) offsets from the overall mean, shrunken per attribute (positive-part James-Stein)."""
    offsets = observed.means[0] - observed.overall[0][:, None]
    weights = observed.units
    squares = per_attribute(weights * offsets**2, observed, np.add)
    expected = per_attribute(weights * noise.var(axis=0), observed, np.add)
    kept = 1.0 - np.divide(expected, squares, out=np.ones_like(squares), where=squares > 0)
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
