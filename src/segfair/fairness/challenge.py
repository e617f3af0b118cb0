"""Performance, fairness and total score of the MAMA-MIA challenge, for any attributes.

Arrays and categorical attributes in, scores out; reads no file and draws nothing.

References:
    MAMA-MIA challenge (2025), scoring rules; FairMedSeg (Poeta et al. 2025), section 4.2.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.fairness.level_means import (
    EVERY_LEVEL,
    JudgingRule,
    LevelMeans,
    Levels,
    observed_level_means,
    stack_levels,
)
from segfair.fairness.scores import attribute_disparity, fairness_score, gap, performance_score, total_score

__all__ = ["ChallengeScores", "Disparity", "Extreme", "challenge_scores"]


@dataclass(frozen=True, slots=True)
class Extreme:
    """The level with the lowest or highest mean: which, of how many cases, and its mean."""

    level: str
    n: int
    mean: float


@dataclass(frozen=True, slots=True)
class Disparity:
    """D_v of one attribute.

    Attributes:
        attribute: Attribute name.
        value: 0.5 * (`gap_dsc` + `gap_normhd`); None where fewer than two levels have enough cases, so that
            nothing can be said. With "all" levels one level gives 0, as the challenge has it.
        gap_dsc, gap_normhd: Largest minus smallest level mean.
        dsc_low, dsc_high, normhd_low, normhd_high: The levels that set the gaps.
        n_levels: Levels that counted; `n_small` did not, having too few cases.
    """

    attribute: str
    value: float | None
    gap_dsc: float | None
    gap_normhd: float | None
    dsc_low: Extreme | None
    dsc_high: Extreme | None
    normhd_low: Extreme | None
    normhd_high: Extreme | None
    n_levels: int
    n_small: int


@dataclass(frozen=True, slots=True)
class ChallengeScores:
    """Scores of one cohort; None where undefined.

    Attributes:
        dsc, normhd: Means over cases.
        ps: Performance score, 0.5 * (DSC + 1 - NormHD).
        fs: Fairness score, mean over attributes of 1 - D_v; None without an attribute that can be judged.
        ts: Total score, (1 - weight) * PS + weight * FS.
        disparities: D_v of each attribute.
    """

    dsc: float | None
    normhd: float | None
    ps: float | None
    fs: float | None
    ts: float | None
    disparities: tuple[Disparity, ...]


def challenge_scores(
    dsc: NDArray[np.float64],
    normhd: NDArray[np.float64],
    attributes: AttributeTable,
    *,
    rule: JudgingRule = EVERY_LEVEL,
    weight: float = 0.5,
) -> ChallengeScores:
    """PS, FS and TS of a cohort.

    Args:
        dsc: (n_cases,) finite.
        normhd: (n_cases,) finite.
        attributes: The cases' attributes.
        rule: Which levels and attributes count; by default all.
        weight: Weight of FS in TS, in [0, 1].

    Returns:
        The scores; all None without cases.
    """
    if not len(dsc):
        return ChallengeScores(None, None, None, None, None, ())
    stacked = stack_levels(attributes.codes, min_cases=rule.min_cases)
    means = dataclasses.replace(observed_level_means(stacked, np.array([dsc, normhd])), min_levels=rule.min_levels)
    # Of all attributes at once: a wide table has hundreds of them.
    values = np.array([attribute_disparity(means)[0], gap(means, outcome=0)[0], gap(means, outcome=1)[0]]).T.tolist()
    disparities = tuple(
        _disparity(attribute, stacked, means, index, values[index])
        for index, attribute in enumerate(attributes.attributes)
    )
    ps, fs, ts = (
        float(score[0])
        for score in (performance_score(means), fairness_score(means), total_score(means, weight=weight))
    )
    mean_dsc, mean_normhd = map(float, means.overall[0])
    is_judged = not np.isnan(fs)
    return ChallengeScores(mean_dsc, mean_normhd, ps, fs if is_judged else None, ts if is_judged else None, disparities)


def _disparity(
    attribute: Attribute, levels: Levels, means: LevelMeans, index: int, values: Sequence[float]
) -> Disparity:
    """D_v of one attribute, its gaps in DSC and NormHD (`values`), and the levels that set them."""
    value, gap_dsc, gap_normhd = values
    rows = np.flatnonzero(levels.attribute == index)
    n_small = len(np.unique(attribute.codes[attribute.codes >= 0])) - len(rows)
    if len(rows) < means.min_levels:
        return Disparity(attribute.name, None, None, None, None, None, None, None, len(rows), n_small)
    dsc_low, dsc_high, normhd_low, normhd_high = (
        Extreme(attribute.levels[levels.level[row]], int(levels.counts[row]), float(means.means[0, outcome, row]))
        for outcome in (0, 1)
        for row in (rows[np.argmin(means.means[0, outcome, rows])], rows[np.argmax(means.means[0, outcome, rows])])
    )
    return Disparity(
        attribute.name,
        value,
        gap_dsc,
        gap_normhd,
        dsc_low,
        dsc_high,
        normhd_low,
        normhd_high,
        len(rows),
        n_small,
    )
