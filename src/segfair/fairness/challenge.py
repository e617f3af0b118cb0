"""Performance, fairness and total score of the MAMA-MIA challenge, for any attributes.

Arrays and categorical attributes in, scores out; reads no file and draws nothing.

References:
    MAMA-MIA challenge (2025), scoring rules; FairMedSeg (Poeta et al. 2025), section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import Attribute, AttributeTable

__all__ = [
    "ChallengeScores",
    "Disparity",
    "Extreme",
    "JudgingRule",
    "challenge_scores",
    "disparity",
    "level_means",
]

Levels = Literal["all", "min-cases"]


@dataclass(frozen=True, slots=True)
class JudgingRule:
    """Which levels and which attributes count in FS: one rule for audits, comparisons and rankings.

    Attributes:
        min_cases: Fewest cases of a level that counts.
        min_levels: Fewest such levels of an attribute that counts: 1 as the challenge has it (one level has no gap),
            2 where one level says nothing.
    """

    min_cases: int
    min_levels: int

    @classmethod
    def of(cls, levels: Levels, *, min_cases: int) -> JudgingRule:
        """The rule of a protocol: all levels count, or those of at least `min_cases` cases."""
        return cls(1, 1) if levels == "all" else cls(max(1, min_cases), 2)

    def counted(self, counts: NDArray[np.intp]) -> NDArray[np.intp]:
        """Of (n_levels,) numbers of cases, the levels that count."""
        return np.flatnonzero(counts >= self.min_cases)

    def judges(self, attribute: Attribute) -> bool:
        """Whether enough levels of an attribute count for it to count itself."""
        counts = np.bincount(attribute.codes[attribute.codes >= 0], minlength=len(attribute.levels))
        return len(self.counted(counts)) >= self.min_levels


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
    levels: Levels = "all",
    min_cases: int = 1,
    weight: float = 0.5,
) -> ChallengeScores:
    """PS, FS and TS of a cohort.

    Args:
        dsc: (n_cases,) finite.
        normhd: (n_cases,) finite.
        attributes: The cases' attributes.
        levels: Whether every level counts, or those of at least `min_cases` cases.
        min_cases: Smallest number of cases of a level that counts.
        weight: Weight of FS in TS, in [0, 1].

    Returns:
        The scores; all None without cases.
    """
    if not len(dsc):
        return ChallengeScores(None, None, None, None, None, ())
    disparities = tuple(
        disparity(dsc, normhd, attribute, levels=levels, min_cases=min_cases) for attribute in attributes.attributes
    )
    mean_dsc, mean_normhd = float(dsc.mean()), float(normhd.mean())
    ps = 0.5 * (mean_dsc + 1 - mean_normhd)
    judged = [entry.value for entry in disparities if entry.value is not None]
    fs = float(np.mean([1 - value for value in judged])) if judged else None
    ts = (1 - weight) * ps + weight * fs if fs is not None else None
    return ChallengeScores(mean_dsc, mean_normhd, ps, fs, ts, disparities)


def disparity(
    dsc: NDArray[np.float64],
    normhd: NDArray[np.float64],
    attribute: Attribute,
    *,
    levels: Levels = "all",
    min_cases: int = 1,
) -> Disparity:
    """D_v of one attribute: half the sum of the gaps in mean DSC and mean NormHD between its levels."""
    counts, mean_dsc = level_means(dsc, attribute.codes, len(attribute.levels))
    _, mean_normhd = level_means(normhd, attribute.codes, len(attribute.levels))
    rule = JudgingRule.of(levels, min_cases=min_cases)
    counted = rule.counted(counts)
    n_small = int(np.count_nonzero(counts)) - len(counted)
    if not rule.judges(attribute):
        return Disparity(attribute.name, None, None, None, None, None, None, None, len(counted), n_small)
    dsc_low, dsc_high = _extremes(mean_dsc, counts, counted, attribute.levels)
    normhd_low, normhd_high = _extremes(mean_normhd, counts, counted, attribute.levels)
    gap_dsc, gap_normhd = dsc_high.mean - dsc_low.mean, normhd_high.mean - normhd_low.mean
    return Disparity(
        attribute.name,
        0.5 * (gap_dsc + gap_normhd),
        gap_dsc,
        gap_normhd,
        dsc_low,
        dsc_high,
        normhd_low,
        normhd_high,
        len(counted),
        n_small,
    )


def level_means(
    values: NDArray[np.float64], codes: NDArray[np.int16], n_levels: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Number of cases and mean value of each level.

    Args:
        values: (n_cases,) finite.
        codes: (n_cases,) level of each case, -1 for a case outside of the attribute.
        n_levels: Number of levels.

    Returns:
        Two (n_levels,) arrays; the mean of a level without cases is 0.
    """
    inside = codes >= 0
    counts = np.bincount(codes[inside], minlength=n_levels)
    sums = np.bincount(codes[inside], weights=values[inside], minlength=n_levels)
    return counts, np.divide(sums, counts, out=np.zeros(n_levels), where=counts > 0)


def _extremes(
    means: NDArray[np.float64], counts: NDArray[np.intp], counted: NDArray[np.intp], levels: Sequence[str]
) -> tuple[Extreme, Extreme]:
    low = counted[np.argmin(means[counted])]
    high = counted[np.argmax(means[counted])]
    return (
        Extreme(levels[low], int(counts[low]), float(means[low])),
        Extreme(levels[high], int(counts[high]), float(means[high])),
    )
