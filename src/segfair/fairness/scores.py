"""Scores that compare the means of an attribute's levels: D_v, PS, FS, TS and others in use. Arrays only.

The one implementation: of a cohort, its resamples and permutations, and many teams alike, whatever stands before
the last axes of `LevelMeans`. Such a score takes a maximum and a minimum, or a spread, over levels, so noise alone
moves it: with no disparity at all FS is 0.93 at 120 cases. Hence `intervals`.

References:
    MAMA-MIA challenge 2025 (D_v, FS). Puyol-Anton et al., MICCAI 2021 (SD, SER). Tian et al., FairSeg, ICLR 2024
    (equity-scaled Dice).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.fairness.level_means import LevelMeans

__all__ = [
    "Statistic",
    "attribute_disparity",
    "equity_scaled",
    "error_ratio",
    "fairness_score",
    "gap",
    "highest",
    "level_sd",
    "lowest",
    "per_attribute",
    "performance_score",
    "total_score",
]

Statistic = Callable[[LevelMeans], NDArray[np.float64]]
"""(...,) for the whole cohort, or (..., n_attributes)."""


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
    """(..., n_attributes) smallest level mean."""
    return per_attribute(means.means[..., outcome, :], means, np.fmin)


def highest(means: LevelMeans, *, outcome: int = 0) -> NDArray[np.float64]:
    """(..., n_attributes) largest level mean."""
    return per_attribute(means.means[..., outcome, :], means, np.fmax)


def gap(means: LevelMeans, *, outcome: int = 0) -> NDArray[np.float64]:
    """(..., n_attributes) largest minus smallest level mean; 0 with one level."""
    return highest(means, outcome=outcome) - lowest(means, outcome=outcome)


def attribute_disparity(means: LevelMeans) -> NDArray[np.float64]:
    """D_v: the gap averaged over the outcomes (DSC and NormHD), (..., n_attributes).

    NaN for an attribute that does not count.

    References:
        MAMA-MIA challenge 2025: 0.5 * (gap in mean DSC + gap in mean NormHD).
    """
    n_outcomes = means.means.shape[-2]
    disparity = np.asarray(sum(gap(means, outcome=outcome) for outcome in range(n_outcomes)) / n_outcomes)
    if means.min_levels > 1:
        there = np.isfinite(means.means[..., 0, :]).astype(np.float64)
        disparity = np.where(per_attribute(there, means, np.add) >= means.min_levels, disparity, np.nan)
    return disparity


def fairness_score(means: LevelMeans) -> NDArray[np.float64]:
    """FS: 1 minus the mean of D_v over the attributes that count, (...,); NaN where none does."""
    disparity = attribute_disparity(means)
    counts = np.isfinite(disparity)
    n_counted = counts.sum(axis=-1)
    total = np.where(counts, disparity, 0.0).sum(axis=-1)
    return np.asarray(1.0 - np.divide(total, n_counted, out=np.full_like(total, np.nan), where=n_counted > 0))


def performance_score(means: LevelMeans) -> NDArray[np.float64]:
    """PS: (DSC + 1 - NormHD) / 2 of the overall means, the outcomes being DSC and NormHD, (...,)."""
    return np.asarray(0.5 * (means.overall[..., 0] + 1 - means.overall[..., 1]))


def total_score(means: LevelMeans, *, weight: float) -> NDArray[np.float64]:
    """TS: PS and FS, the latter with a `weight` in [0, 1], (...,)."""
    return np.asarray((1 - weight) * performance_score(means) + weight * fairness_score(means))


def level_sd(
    means: LevelMeans, *, outcome: int = 0, variant: Literal["population", "sample"] = "population"
) -> NDArray[np.float64]:
    """Standard deviation of level means, (..., n_attributes).

    NaN for fewer levels than the divisor needs (one, or two for "sample").
    """
    values = means.means[..., outcome, :]
    count = np.bincount(means.attribute, minlength=means.n_attributes).astype(np.float64)
    centre = per_attribute(values, means, np.add) / np.maximum(count, 1)
    squares = per_attribute((values - centre[:, means.attribute]) ** 2, means, np.add)
    divisor = count - (variant == "sample")
    return np.sqrt(np.divide(squares, divisor, out=np.full_like(squares, np.nan), where=divisor > 0))


def error_ratio(means: LevelMeans, *, outcome: int = 0) -> NDArray[np.float64]:
    """SER: largest over smallest level error, error being 1 - mean, (..., n_attributes).

    Infinite where only some level has no error, NaN where none has any.

    References:
        Puyol-Anton et al. 2021, section 3.
    """
    errors = np.maximum(1.0 - means.means[..., outcome, :], 0.0)
    largest = per_attribute(errors, means, np.fmax)
    smallest = per_attribute(errors, means, np.fmin)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(largest / smallest, dtype=np.float64)


def equity_scaled(
    means: LevelMeans,
    *,
    outcome: int = 0,
    variant: Literal["sd-population", "sd-sample", "sum"] = "sd-population",
) -> NDArray[np.float64]:
    """ES-Dice: overall mean over 1 + spread of the level means, (..., n_attributes).

    The spread is their standard deviation, or the sum of their distances from the overall mean (which grows with
    the number of levels).

    References:
        Tian et al. 2024, Eq. 3, and the variants in public code.
    """
    overall = means.overall[..., outcome][..., None]
    if variant == "sum":
        spread = per_attribute(np.abs(overall - means.means[..., outcome, :]), means, np.add)
    elif variant == "sd-sample":
        spread = level_sd(means, outcome=outcome, variant="sample")
    else:
        spread = level_sd(means, outcome=outcome, variant="population")
    return overall / (1.0 + spread)
