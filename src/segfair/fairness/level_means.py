"""Mean outcomes of the levels of attributes: of a cohort, resampled, shuffled, swapped or of many teams. Arrays only.

What every score of fairness is made of (`scores`). A level that does not count in a replicate has no mean there (NaN);
which levels and attributes count is one rule, `JudgingRule`. Knows no score.

References:
    MAMA-MIA challenge 2025 (which levels count).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import Attribute
from segfair.stats.cells import Cells, collapse
from segfair.stats.intervals.bootstrap import resampled_sums
from segfair.stats.limit import information_of, limit_of
from segfair.stats.resampling import draw_signs, random_rearrangements, subject_rearrangements

__all__ = [
    "EVERY_LEVEL",
    "JudgingRule",
    "LevelMeans",
    "Levels",
    "bootstrap_level_means",
    "judged",
    "observed_level_means",
    "permuted_level_means",
    "stack_levels",
    "swapped_level_means",
    "weighted_level_means",
]

Floats = NDArray[np.float64]

_STEP_ELEMENTS = 1 << 20


@dataclass(frozen=True, slots=True)
class JudgingRule:
    """Which levels and which attributes count: one rule for audits, comparisons, rankings and trainings.

    Attributes:
        min_cases: Fewest cases of a level that counts.
        min_levels: Fewest such levels of an attribute that counts: 1 as the challenge has it (one level has no gap),
            2 where one level says nothing.
    """

    min_cases: int = 1
    min_levels: int = 1

    @classmethod
    def of(cls, levels: Literal["all", "min-cases"], *, min_cases: int) -> JudgingRule:
        """The rule of a protocol: all levels count, or those of at least `min_cases` cases."""
        return EVERY_LEVEL if levels == "all" else cls(max(1, min_cases), 2)


EVERY_LEVEL = JudgingRule()
"""As the challenge has it: every level that occurs counts."""


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
        means: (..., n_outcomes, n_levels), of (n_replicates,) or (n_replicates, n_teams); NaN where a level does not
            count.
        overall: (..., n_outcomes) means over all cases.
        attribute: (n_levels,) which attribute the level is of, ascending.
        units: (n_levels,) independent units behind each mean: cases, or subjects where they were resampled.
        n_attributes: Attributes, those without a level included.
        min_levels: Fewest levels that count of an attribute that does.
    """

    means: Floats
    overall: Floats
    attribute: NDArray[np.intp]
    units: Floats
    n_attributes: int
    min_levels: int = 1

    def of_outcomes(self, which: slice) -> LevelMeans:
        """The same of some outcomes only."""
        return dataclasses.replace(self, means=self.means[..., which, :], overall=self.overall[..., which])


def judged(attributes: Iterable[Attribute], rule: JudgingRule) -> tuple[Attribute, ...]:
    """The attributes that count: those with enough levels of enough cases."""
    return tuple(
        attribute
        for attribute in attributes
        if np.count_nonzero(np.bincount(attribute.codes[attribute.codes >= 0]) >= rule.min_cases) >= rule.min_levels
    )


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


def observed_level_means(levels: Levels, outcomes: Floats) -> LevelMeans:
    """Level means of the cohort itself, as one replicate.

    Args:
        levels: The levels.
        outcomes: (n_outcomes, n_cases) finite; at least one case.
    """
    rows, cases = levels.indicator.nonzero()
    sums = np.array([np.bincount(rows, values[cases], minlength=len(levels.counts)) for values in outcomes])
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
    means = np.empty((permutations, len(outcomes), len(levels.counts)))
    first = 0
    for by_outcome in _rearranged_sums(
        cells, outcomes[:, cells.order], stratum[cells.order], subjects, rng=rng, count=permutations
    ):
        rows = slice(first, first + len(by_outcome[0]))
        for index, sums in enumerate(by_outcome):
            means[rows, index] = _level_sums(cells, sums) / levels.counts
        first = rows.stop
    overall = np.broadcast_to(outcomes.mean(axis=1), (permutations, len(outcomes)))
    return _level_means(levels, means, overall, subjects)


def _rearranged_sums(
    cells: Cells,
    ordered: Floats,
    stratum: NDArray[np.intp],
    subjects: NDArray[np.integer] | None,
    *,
    rng: np.random.Generator,
    count: int,
) -> Iterator[list[Floats]]:
    """Sums over cells of each outcome, (some rearrangements, n_cells), cases or subjects having changed places."""
    step = max(1, _STEP_ELEMENTS // max(1, ordered.shape[1]))
    if subjects is None:
        limit = limit_of(cells, information_of(cells), ordered)
        if limit is not None:
            yield from map(list, (sums.swapaxes(0, 1) for sums in limit.rearranged(ordered, rng=rng, count=count)))
            return
        draws = random_rearrangements(stratum, count=count, step=step, rng=rng)
    else:
        draws = subject_rearrangements(np.asarray(subjects)[cells.order], stratum, count=count, step=step, rng=rng)
    for positions in draws:
        yield [cells.sums(values[positions]) for values in ordered]


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
    for of_weights, of_outcomes, overall_means in resampled_sums(
        cells, ordered, rng=rng, draws=draws, subjects=grouped
    ):
        rows = slice(first, first + len(of_weights))
        mass = _level_sums(cells, of_weights)
        for index, sums in enumerate(of_outcomes):
            means[rows, index] = _level_sums(cells, sums) / mass
        overall[rows] = overall_means
        first = rows.stop
    return _level_means(levels, means, overall, subjects)


def weighted_level_means(levels: Levels, outcomes: Floats, weights: Floats, *, rule: JudgingRule) -> LevelMeans:
    """Level means of many teams in cohorts that are rows of case weights.

    Args:
        levels: All levels of all attributes.
        outcomes: (n_teams, n_outcomes, n_cases) finite.
        weights: (n_cohorts, n_cases) not negative, none all 0. A case with weight 0 is not there, so that leaving out
            its only case removes a level.
        rule: Which levels and attributes count in each cohort.

    Returns:
        Of (n_cohorts, n_teams).
    """
    n_teams, n_outcomes, n_cases = outcomes.shape
    stacked = outcomes.reshape(-1, n_cases)
    present = weights > 0
    means = np.full((len(weights), len(stacked), len(levels.counts)), np.nan)
    for row, members in enumerate(map(np.flatnonzero, levels.indicator)):
        counts = np.count_nonzero(present[:, members], axis=1) >= rule.min_cases
        inside = weights[np.ix_(counts, members)]
        means[counts, :, row] = (inside @ stacked[:, members].T) / inside.sum(axis=1, keepdims=True)
    overall = (weights @ stacked.T) / weights.sum(axis=1, keepdims=True)
    shape = (len(weights), n_teams, n_outcomes)
    found = _level_means(levels, means.reshape(*shape, -1), overall.reshape(shape))
    return dataclasses.replace(found, min_levels=rule.min_levels)


def swapped_level_means(
    levels: Levels,
    first: Floats,
    second: Floats,
    *,
    rng: np.random.Generator,
    permutations: int = 2000,
    subjects: NDArray[np.integer] | None = None,
) -> tuple[LevelMeans, LevelMeans]:
    """Level means of two models when each case's two sets of scores come in random order.

    The null distribution of any score that is a function of level means, such as FS.

    Args:
        levels: The levels.
        first: (n_outcomes, n_cases) finite scores of one model; those of a case change places together.
        second: The other's.
        rng: Source of randomness.
        permutations: Number of replicates.
        subjects: (n_cases,) codes; all cases of a patient change places together.
    """
    middle, half = observed_level_means(levels, (first + second) / 2), (second - first) / 2
    unit = np.arange(first.shape[1]) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    shift = np.empty((permutations, *middle.means.shape[1:]))
    drift = np.empty((permutations, middle.overall.shape[1]))
    indicator = levels.indicator.T.astype(np.float64)
    start = 0
    for signs in draw_signs(int(unit.max(initial=-1)) + 1, count=permutations, width=first.shape[1], rng=rng):
        rows = slice(start, start + len(signs))
        flips = signs[:, unit]
        for index, values in enumerate(half):
            shift[rows, index] = (flips * values) @ indicator / levels.counts
            drift[rows, index] = flips @ values / len(values)
        start = rows.stop
    return tuple(
        dataclasses.replace(middle, means=middle.means + sign * shift, overall=middle.overall + sign * drift)
        for sign in (-1, 1)
    )  # type: ignore[return-value]


def _level_sums(cells: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
    (sums,) = cells.multiply(values)
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
