"""Sums over the cells of a large cohort, rearranged or resampled without touching every case.

A rearrangement of a million outcomes takes a tenth of a second, two thousand of them minutes; yet all that a test asks
of one is a few sums per cell. Where a subgroup is large these are drawn from their joint limit: normal but for the
skewness that is left in so many cases, with the exact means and covariances, and the third cumulants, that drawing
without replacement from a finite cohort gives them. The cases of small subgroups are drawn one by one, as everywhere,
and the limit is that of what they leave. `limit_of` is the one place that decides.

References:
    Hajek. Limiting Distributions in Simple Random Sampling from a Finite Population. 1960 (the limit).
    Cochran. Sampling Techniques. 1977, theorems 2.2 and 2.3 (its variance and covariance).
    Hall. The Bootstrap and Edgeworth Expansion. 1992, section 2.6 (how skewness slows the limit of a studentised mean).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Cells

__all__ = ["LEAST_CASES", "LEAST_INFORMATION", "Limit", "information_of", "limit_of"]

Floats = NDArray[np.float64]

LEAST_CASES = 20_000
"""Of smaller cohorts every case is rearranged and resampled: that takes seconds."""
LEAST_INFORMATION = 1000.0
"""Cases that a subgroup must be worth (of two halves of a cohort: a quarter of all), times one plus the squared
skewness of the outcome, for the limit. Two-sided p then differ by less than .002 from those of permutations
(up to what chance leaves of 20,000: `tests/stats/test_limit.py`; of 100,000: `benchmarks/scale.py`); the cases of a
smaller one are drawn one by one."""
_LEAST_VALUES = 100
"""Distinct values of an outcome (in each block): sums of fewer, such as 0 and 1, have steps that the limit has not."""
_MOST_ALONE, _MOST_CELLS = 0.25, 0.75
"""Shares of the cohort above which cases drawn one by one, or cells, are too many for the limit to be worth it."""
_MOST_SKEWNESS = 8**0.5
"""Of a quadratic of a normal variate. A single case may have more: as one of many in a subgroup it has this."""
_STEP_ELEMENTS = 1 << 22
_KIND: type[Any] = np.float32
"""Of what is drawn: half the time and memory, for an error of a thousandth of a standard error at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """Draws sums over cells; of cells marked as `alone` case by case, of all others from their joint limit.

    Attributes:
        cells: The cells; values come in `cells.order`.
        alone: (n_cells,) whether the cell's cases are drawn one by one.
    """

    cells: Cells
    alone: NDArray[np.bool_]

    def rearranged(self, values: Floats, *, rng: np.random.Generator, count: int) -> Iterator[Floats]:
        """Sums over cells after cases have changed places at random within blocks.

        Args:
            values: (n_values, n_cases) that move together, in `cells.order`.
            rng: Source of randomness.
            count: How many rearrangements.

        Yields:
            (at most a block of rearrangements, n_values, n_cells); all in turn.
        """
        parts = [_Block.of(self, values, cells) for cells in self._blocks()]
        for size in self._steps(len(values), count):
            sums = np.empty((size, len(values), len(self.cells.sizes)), dtype=_KIND)
            for part in parts:
                part.fill(sums, rng)
            yield sums

    def resampled(self, values: Floats, *, rng: np.random.Generator, count: int) -> Iterator[tuple[Floats, Floats]]:
        """Sums over cells under exponential case weights of mean 1.

        Args:
            values: (n_values, n_cases) in `cells.order`; those of a case share its weight.
            rng: Source of randomness.
            count: How many sets of weights.

        Yields:
            (at most a block, n_cells) sums of the weights, and (as many, n_values, n_cells) of the weighted values.
        """
        n_cases = values.shape[1]
        of_case = np.concatenate([np.ones((1, n_cases)), values])
        totals = np.add.reduceat(of_case, self.cells.starts, axis=1).T
        # A standard exponential weight has mean and variance 1: sums of products are the covariance of a cell's sums,
        products = np.stack([np.add.reduceat(of_case * row, self.cells.starts, axis=1).T for row in of_case], axis=2)
        # and twice the sums of cubes their third cumulants.
        cubes = 2.0 * np.add.reduceat(of_case**3, self.cells.starts, axis=1).T
        large = _Noise.of(products[~self.alone], cubes[~self.alone])
        single = np.repeat(self.alone, self.cells.sizes)
        own, starts = of_case[:, single], _starts(self.cells.sizes[self.alone])
        for size in self._steps(len(of_case), count):
            sums = np.empty((size, len(of_case), len(totals)), dtype=_KIND)
            noise = large.draw(np.ones(len(large.skewness)), rng=rng, count=size)
            sums[:, :, ~self.alone] = totals[~self.alone].T + noise
            if len(starts):
                weights = rng.standard_exponential((size, own.shape[1]))
                for index, row in enumerate(own):
                    sums[:, index, self.alone] = np.add.reduceat(weights * row, starts, axis=1)
            sums *= n_cases / sums[:, :1].sum(axis=2, keepdims=True)
            yield sums[:, 0], sums[:, 1:]

    def _blocks(self) -> list[slice]:
        edges = np.flatnonzero(np.diff(self.cells.blocks, prepend=-1, append=-1))
        return [slice(int(first), int(stop)) for first, stop in itertools.pairwise(edges)]

    def _steps(self, n_values: int, count: int) -> Iterator[int]:
        width = n_values * (len(self.cells.sizes) + int(self.cells.sizes[self.alone].sum()))
        step = max(1, _STEP_ELEMENTS // max(1, width))
        for first in range(0, count, step):
            yield min(step, count - first)


def information_of(cells: Cells) -> Floats:
    """(n_subgroups,) n n_rest / (n + n_rest) of subgroups of whole cases, summed over blocks."""
    firsts = _first_cells(cells)
    in_block = np.add.reduceat(cells.sizes, firsts)
    members = np.add.reduceat(cells.columns * cells.sizes, firsts, axis=1)
    return np.asarray((members * (1.0 - members / in_block)).sum(axis=1), dtype=np.float64)


def limit_of(cells: Cells, information: Floats, outcomes: Floats) -> Limit | None:
    """Decides which cells may be drawn from the limit.

    From 20,000 units on. A subgroup counts as large if `information` is at least 1,000 (1 + skewness^2), skewness being
    the largest of the outcomes'; the cells of a small one (of its rest, where that is smaller, within each block) are
    drawn case by case.

    Args:
        cells: The cells of the subgroups, in blocks within which cases are exchangeable.
        information: (n_subgroups,) n n_rest / (n + n_rest), summed over blocks (see `information_of`): what a
            difference to the rest rests on; members, where a mean stands alone.
        outcomes: (n_outcomes, n_cases) finite.

    Returns:
        How to draw; None: every case of the cohort. So too where more than a quarter of the cases are of small
        subgroups, there are more than three quarters as many cells as cases, or an outcome has fewer than a hundred
        distinct values a block and is not constant.
    """
    n_cases = outcomes.shape[1]
    if n_cases < LEAST_CASES or len(cells.sizes) > _MOST_CELLS * n_cases:
        return None
    alone = np.zeros(len(cells.sizes), dtype=bool)
    firsts = _first_cells(cells)
    of_block = np.repeat(np.arange(len(firsts)), np.diff(np.append(firsts, len(cells.sizes))))
    in_block = np.add.reduceat(cells.sizes, firsts)
    if not all(_is_fine(values, _LEAST_VALUES * len(firsts)) for values in outcomes):
        return None
    for row in np.flatnonzero(information < LEAST_INFORMATION * (1.0 + _skewness(outcomes) ** 2)):
        share = cells.columns[row].astype(np.float64)
        members = np.add.reduceat(share * cells.sizes, firsts)
        alone |= np.where((members <= in_block / 2)[of_block], share > 0, share < 1)
        if cells.sizes[alone].sum() > _MOST_ALONE * n_cases:
            return None
    return Limit(cells, alone)


def _first_cells(cells: Cells) -> NDArray[np.intp]:
    """(n_blocks,) where the cells of each block begin."""
    return np.flatnonzero(np.diff(cells.blocks, prepend=-1))


def _is_fine(values: Floats, least: int) -> bool:
    """Whether so many values are distinct that sums of some have no steps to speak of, or none varies."""
    for some in (values[: 10 * least], values):  # a few of a million mostly suffice
        if len(np.unique(some)) >= least:
            return True
    return bool((values == values[0]).all())


def _skewness(outcomes: Floats) -> float:
    """The largest of the outcomes' in size; 0 of constants."""
    centred = outcomes - outcomes.mean(axis=1, keepdims=True)
    squares = np.mean(centred * centred, axis=1)
    cubes = np.mean(centred**3, axis=1)
    varies = squares > (1e-12 * np.abs(outcomes).max(axis=1)) ** 2
    return float(np.abs(np.divide(cubes, squares**1.5, out=np.zeros_like(cubes), where=varies)).max(initial=0.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """The cells and cases of one block.

    Attributes:
        values: (n_cases, n_values) of its cases.
        total, products: (n_values,) their sum and (n_values, n_values) the sums of their products.
        cubes: (n_values,) their third cumulants, unbiased for what sums of few of the cases have.
        drawn: Its cells that are drawn case by case, `starts` where each begins among these cases, `n_drawn`.
        limit: Its other cells, `sizes` their cases.
    """

    values: Floats
    total: Floats
    products: Floats
    cubes: Floats
    drawn: NDArray[np.intp]
    starts: NDArray[np.intp]
    n_drawn: int
    limit: NDArray[np.intp]
    sizes: Floats

    @classmethod
    def of(cls, limit: Limit, values: Floats, which: slice) -> _Block:
        sizes = limit.cells.sizes[which]
        first = int(limit.cells.starts[which][0])
        mine = np.ascontiguousarray(values[:, first : first + int(sizes.sum())].T)
        alone, numbers = limit.alone[which], np.arange(which.start, which.stop)
        return cls(
            mine,
            mine.sum(axis=0),
            mine.T @ mine,
            _third_cumulants(mine),
            numbers[alone],
            _starts(sizes[alone]),
            int(sizes[alone].sum()),
            numbers[~alone],
            sizes[~alone].astype(np.float64),
        )

    def fill(self, sums: Floats, rng: np.random.Generator) -> None:
        """Draws the sums of its cells into (n_draws, n_values, n_cells)."""
        total, products = self.total[None], self.products[None]
        if self.n_drawn:
            total, products = self._draw_cases(sums, rng)
        n = self.sizes.sum()
        if not len(self.sizes):
            return
        mean = total / n
        covariance = (products - n * mean[:, :, None] * mean[:, None, :]) / np.maximum(n - 1, 1)
        noise = _Noise.of(covariance[:, None], self.cubes).draw(self.sizes, rng=rng, count=len(sums))
        # Without replacement: the sums of all cells together are given.
        noise -= noise.sum(axis=2, keepdims=True) * (self.sizes / n)
        sums[:, :, self.limit] = mean[:, :, None] * self.sizes + noise

    def _draw_cases(self, sums: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Fills in what is drawn case by case; sum and products of what is left, for each draw."""
        total, products = np.empty((len(sums), len(self.total))), np.empty((len(sums), *self.products.shape))
        for index in range(len(sums)):
            found = self.values[rng.choice(len(self.values), self.n_drawn, replace=False)]
            sums[index][:, self.drawn] = np.add.reduceat(found, self.starts, axis=0).T
            total[index] = self.total - found.sum(axis=0)
            products[index] = self.products - found.T @ found
        return total, products


def _third_cumulants(values: Floats) -> Floats:
    """(n_values,) Fisher's k3 of (n_cases, n_values); 0 of fewer than three cases."""
    n = len(values)
    if n < 3:
        return np.zeros(values.shape[1])
    return np.asarray(((values - values.mean(axis=0)) ** 3).sum(axis=0) * n / ((n - 1) * (n - 2)), dtype=np.float64)


def _starts(sizes: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.asarray(np.cumsum(sizes) - sizes, dtype=np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class _Noise:
    """Sums of independent vectors with given covariance and third cumulants.

    Attributes:
        root: (..., k, k) lower triangular root of the covariance.
        skewness: (..., k) of the independent parts that the root mixes.
    """

    root: Floats
    skewness: Floats

    @classmethod
    def of(cls, covariance: Floats, cubes: Floats) -> _Noise:
        """From (..., k, k) covariances and (..., k) third cumulants of one vector; what is singular is left out."""
        root, k = np.zeros_like(covariance), covariance.shape[-1]
        skewness = np.zeros(covariance.shape[:-1])
        for row in range(k):
            least = 1e-12 * np.maximum(covariance[..., row, row], np.finfo(float).tiny)
            for column in range(row + 1):
                left = covariance[..., row, column] - (root[..., row, :column] * root[..., column, :column]).sum(-1)
                pivot = root[..., column, column]
                if column < row:
                    np.divide(left, pivot, out=root[..., row, column], where=pivot > 0)
                    continue
                root[..., row, row] = np.sqrt(np.where(left > least, left, 0.0))
                own = root[..., row, row] ** 3
                rest = cubes[..., row] - (root[..., row, :row] ** 3 * skewness[..., :row]).sum(-1)
                np.divide(rest, own, out=skewness[..., row], where=own > 0)
        return cls(root, skewness)

    def draw(self, sizes: Floats, *, rng: np.random.Generator, count: int) -> Floats:
        """(count, k, n_cells) sums of `sizes` such vectors each, from quadratics of normal variates."""
        k = self.root.shape[-1]
        sums = np.zeros((count, k, len(sizes)), dtype=_KIND)
        for column in range(k):
            # The quadratic a z + b (z^2 - 1) has variance 1 and this skewness where 6 b - 4 b^3 is it.
            skewness = np.clip(self.skewness[..., column] / np.sqrt(sizes), -_MOST_SKEWNESS, _MOST_SKEWNESS)
            bend = np.sqrt(2.0) * np.sin(np.arcsin(skewness / _MOST_SKEWNESS) / 3.0)
            straight = np.sqrt(1.0 - 2.0 * bend * bend)
            normal = rng.standard_normal((count, len(sizes)), dtype=_KIND)
            noise = normal * bend.astype(_KIND)
            noise += straight.astype(_KIND)
            noise *= normal
            noise -= bend.astype(_KIND)
            noise *= np.sqrt(sizes).astype(_KIND)
            for row in range(column, k):
                sums[:, row] += self.root[..., row, column].astype(_KIND) * noise
        return sums
