"""Scores that compare the means of an attribute's levels, for many replicates of the cohort at once.

Such a score takes a maximum and a minimum, or a spread, over levels, so noise alone moves it: with no disparity at
all FS is 0.93 at 120 cases. Hence two things here beside the scores themselves: the level that shuffled metadata would
give, and replicates for an interval that is made for biased scores (`inversion`). Attributes are codes.

References:
    MAMA-MIA challenge 2025 (D_v, FS). Puyol-Anton et al., MICCAI 2021 (SD, SER). Tian et al., FairSeg, ICLR 2024
    (equity-scaled Dice).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.stats.bootstrap import Interval, exponential_weights, interval
from segfair.stats.cells import Cells, collapse
from segfair.stats.shuffle import random_rearrangements, subject_rearrangements

__all__ = [
    "ChanceLevel",
    "LevelMeans",
    "Levels",
    "Statistic",
    "attribute_disparity",
    "bootstrap_level_means",
    "chance_level",
    "disparity_interval",
    "equity_scaled",
    "error_ratio",
    "fairness_score",
    "gap",
    "highest",
    "level_sd",
    "lowest",
    "observed_level_means",
    "per_attribute",
    "performance_score",
    "permuted_level_means",
    "reaching",
    "stack_levels",
    "total_score",
]

_STEP_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The levels of all attributes, stacked.

    Attributes:
        indicator: (n_levels, n_cases) bool.
        attribute: (n_levels,) which attribute the level is of, ascending.
        level: (n_levels,) its code there.
        counts: (n_levels,) cases.
        n_attributes: Attributes, those without a level included.
    """

    indicator: NDArray[np.bool_]
    attribute: NDArray[np.intp]
    level: NDArray[np.intp]
    counts: NDArray[np.intp]
    n_attributes: int


@dataclass(frozen=True, slots=True, eq=False)
class LevelMeans:
    """Mean outcomes of levels in every replicate.

    Attributes:
        means: (n_replicates, n_outcomes, n_levels).
        overall: (n_replicates, n_outcomes) means over all cases.
        attribute: (n_levels,) which attribute the level is of, ascending.
        units: (n_levels,) independent units behind each mean: cases, or subjects where they were resampled.
        n_attributes: Attributes, those without a level included.
    """

    means: NDArray[np.float64]
    overall: NDArray[np.float64]
    attribute: NDArray[np.intp]
    units: NDArray[np.float64]
    n_attributes: int


Statistic = Callable[[LevelMeans], NDArray[np.float64]]
"""(n_replicates,) for the whole cohort, or (n_replicates, n_attributes)."""


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


def stack_levels(codes: NDArray[np.integer], *, min_cases: int = 1) -> Levels:
    """Stacks the levels of several attributes.

    Args:
        codes: (n_attributes, n_cases), -1 for a case outside of the attribute.
        min_cases: Smallest number of cases of a level that counts.
    """
    n_attributes, n_cases = codes.shape
    rows, attribute, level = [], [], []
    for index in range(n_attributes):
        for code in range(int(codes[index].max(initial=-1)) + 1):
            members = codes[index] == code
            if np.count_nonzero(members) >= max(1, min_cases):
                rows.append(members)
                attribute.append(index)
                level.append(code)
    indicator = np.array(rows, dtype=bool).reshape(len(rows), n_cases)
    return Levels(
        indicator,
        np.array(attribute, dtype=np.intp),
        np.array(level, dtype=np.intp),
        np.count_nonzero(indicator, axis=1),
        n_attributes,
    )


def observed_level_means(levels: Levels, outcomes: NDArray[np.float64]) -> LevelMeans:
    """Level means of the cohort itself, as one replicate.

    Args:
        levels: The levels.
        outcomes: (n_outcomes, n_cases) finite; at least one case.
    """
    sums = outcomes @ levels.indicator.T
    return _level_means(levels, (sums / levels.counts)[None], outcomes.mean(axis=1)[None])


def permuted_level_means(
    levels: Levels,
    outcomes: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    permutations: int = 2000,
    strata: NDArray[np.integer] | None = None,
    subjects: NDArray[np.integer] | None = None,
) -> LevelMeans:
    """Level means after shuffling whole metadata rows, so that attributes stay as correlated as they are.

    Args:
        levels: The levels.
        outcomes: (n_outcomes, n_cases) finite; the outcomes of a case stay together.
        rng: Source of randomness.
        permutations: Number of replicates.
        strata: (n_cases,) codes; rows are shuffled within strata and differences between strata stay: a model whose
            only disparity is the strata's.
        subjects: (n_cases,) codes; all cases of a subject move together, to a subject of equally many cases.
    """
    n_cases = outcomes.shape[1]
    stratum = np.zeros(n_cases, dtype=np.intp) if strata is None else np.unique(strata, return_inverse=True)[1]
    cells = collapse(levels.indicator, blocks=stratum)
    stratum = stratum[cells.order]
    step = max(1, _STEP_ELEMENTS // max(1, n_cases))
    if subjects is None:
        draws = random_rearrangements(stratum, count=permutations, step=step, rng=rng)
    else:
        draws = subject_rearrangements(
            np.asarray(subjects)[cells.order], stratum, count=permutations, step=step, rng=rng
        )
    ordered = outcomes[:, cells.order]
    means = np.empty((permutations, len(outcomes), len(levels.counts)))
    first = 0
    for positions in draws:
        rows = slice(first, first + len(positions))
        for index, values in enumerate(ordered):
            (sums,) = cells.multiply(cells.sums(values[positions]))
            means[rows, index] = sums.T / levels.counts
        first = rows.stop
    overall = np.broadcast_to(outcomes.mean(axis=1), (permutations, len(outcomes)))
    return _level_means(levels, means, overall, subjects)


def bootstrap_level_means(
    levels: Levels,
    outcomes: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    subjects: NDArray[np.integer] | None = None,
) -> LevelMeans:
    """Level means under exponential case weights.

    Args:
        levels: The levels.
        outcomes: (n_outcomes, n_cases) finite; the outcomes of a case share its weight.
        rng: Source of randomness.
        draws: Number of replicates.
        subjects: (n_cases,) codes; cases of one subject share one weight.
    """
    cells = collapse(levels.indicator)
    ordered = outcomes[:, cells.order]
    grouped = None if subjects is None else np.asarray(subjects)[cells.order]
    means = np.empty((draws, len(outcomes), len(levels.counts)))
    overall = np.empty((draws, len(outcomes)))
    first = 0
    for weights in exponential_weights(outcomes.shape[1], rng=rng, draws=draws, subjects=grouped):
        rows = slice(first, first + len(weights))
        mass = _level_sums(cells, weights)
        for index, values in enumerate(ordered):
            means[rows, index] = _level_sums(cells, weights * values) / mass
        overall[rows] = weights @ ordered.T / outcomes.shape[1]
        first = rows.stop
    return _level_means(levels, means, overall, subjects)


def _level_sums(cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
    (sums,) = cells.multiply(cells.sums(values))
    return sums.T


def _level_means(
    levels: Levels,
    means: NDArray[np.float64],
    overall: NDArray[np.float64],
    subjects: NDArray[np.integer] | None = None,
) -> LevelMeans:
    if subjects is None:
        units = levels.counts.astype(np.float64)
    else:
        units = np.array([len(np.unique(subjects[members])) for members in levels.indicator], dtype=np.float64)
    return LevelMeans(means, overall, levels.attribute, units, levels.n_attributes)


def per_attribute(values: NDArray[np.float64], means: LevelMeans, reduce: np.ufunc) -> NDArray[np.float64]:
    """(..., n_levels) reduced to (..., n_attributes); NaN for an attribute without levels."""
    result = np.full((*values.shape[:-1], means.n_attributes), np.nan)
    # Column by column: `reduceat` along a short last axis takes twice as long, and inversion asks hundreds of times.
    for index, attribute in enumerate(means.attribute):
        column = values[..., index]
        if index and means.attribute[index - 1] == attribute:
            column = reduce(result[..., attribute], column)
        result[..., attribute] = column
    return result


def lowest(means: LevelMeans, *, outcome: int = 0) -> NDArray[np.float64]:
    """(n_replicates, n_attributes) smallest level mean."""
    return per_attribute(means.means[:, outcome], means, np.minimum)


def highest(means: LevelMeans, *, outcome: int = 0) -> NDArray[np.float64]:
    """(n_replicates, n_attributes) largest level mean."""
    return per_attribute(means.means[:, outcome], means, np.maximum)


def gap(means: LevelMeans, *, outcome: int = 0) -> NDArray[np.float64]:
    """(n_replicates, n_attributes) largest minus smallest level mean; 0 with one level."""
    return highest(means, outcome=outcome) - lowest(means, outcome=outcome)


def attribute_disparity(means: LevelMeans) -> NDArray[np.float64]:
    """D_v: the gap averaged over the outcomes (DSC and NormHD), (n_replicates, n_attributes).

    References:
        MAMA-MIA challenge 2025: 0.5 * (gap in mean DSC + gap in mean NormHD).
    """
    gaps = [gap(means, outcome=outcome) for outcome in range(means.means.shape[1])]
    return np.asarray(sum(gaps) / len(gaps), dtype=np.float64)


def fairness_score(means: LevelMeans) -> NDArray[np.float64]:
    """FS: mean over attributes of 1 - D_v, (n_replicates,); attributes without a level do not count.

    NaN where no attribute has a level.
    """
    judged = np.unique(means.attribute)
    if not len(judged):
        return np.full(len(means.means), np.nan)
    return np.asarray(1.0 - attribute_disparity(means)[:, judged].mean(axis=1), dtype=np.float64)


def performance_score(means: LevelMeans) -> NDArray[np.float64]:
    """PS: (DSC + 1 - NormHD) / 2 of the overall means, the outcomes being DSC and NormHD, (n_replicates,)."""
    return np.asarray(0.5 * (means.overall[:, 0] + 1 - means.overall[:, 1]))


def total_score(means: LevelMeans, *, weight: float) -> NDArray[np.float64]:
    """TS: PS and FS, the latter with a `weight` in [0, 1], (n_replicates,)."""
    return np.asarray((1 - weight) * performance_score(means) + weight * fairness_score(means))


def level_sd(
    means: LevelMeans, *, outcome: int = 0, variant: Literal["population", "sample"] = "population"
) -> NDArray[np.float64]:
    """Standard deviation of level means, (n_replicates, n_attributes).

    NaN for fewer levels than the divisor needs (one, or two for "sample").
    """
    values = means.means[:, outcome]
    count = np.bincount(means.attribute, minlength=means.n_attributes).astype(np.float64)
    centre = per_attribute(values, means, np.add) / np.maximum(count, 1)
    squares = per_attribute((values - centre[:, means.attribute]) ** 2, means, np.add)
    divisor = count - (variant == "sample")
    return np.sqrt(np.divide(squares, divisor, out=np.full_like(squares, np.nan), where=divisor > 0))


def error_ratio(means: LevelMeans, *, outcome: int = 0) -> NDArray[np.float64]:
    """SER: largest over smallest level error, error being 1 - mean, (n_replicates, n_attributes).

    Infinite where only some level has no error, NaN where none has any.

    References:
        Puyol-Anton et al. 2021, section 3.
    """
    errors = np.maximum(1.0 - means.means[:, outcome], 0.0)
    largest = per_attribute(errors, means, np.maximum)
    smallest = per_attribute(errors, means, np.minimum)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(largest / smallest, dtype=np.float64)


def equity_scaled(
    means: LevelMeans,
    *,
    outcome: int = 0,
    variant: Literal["sd-population", "sd-sample", "sum"] = "sd-population",
) -> NDArray[np.float64]:
    """ES-Dice: overall mean over 1 + spread of the level means, (n_replicates, n_attributes).

    The spread is their standard deviation, or the sum of their distances from the overall mean (which grows with
    the number of levels).

    References:
        Tian et al. 2024, Eq. 3, and the variants in public code.
    """
    overall = means.overall[:, outcome][:, None]
    if variant == "sum":
        spread = per_attribute(np.abs(overall - means.means[:, outcome]), means, np.add)
    elif variant == "sd-sample":
        spread = level_sd(means, outcome=outcome, variant="sample")
    else:
        spread = level_sd(means, outcome=outcome, variant="population")
    return overall / (1.0 + spread)


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
