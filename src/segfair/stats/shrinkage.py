"""Divergences pulled toward zero as far as chance explains them, so that no small group leads by luck.

References:
    Efron and Morris 1973; Morris 1983 (parametric empirical Bayes).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Membership, collapse

__all__ = ["Shrinkage", "shrink"]


@dataclass(frozen=True, slots=True, eq=False)
class Shrinkage:
    """Empirical-Bayes divergences.

    Attributes:
        divergence: (n_subgroups,) mean minus overall mean; 0 without members.
        shrunken: (n_subgroups,) its posterior mean, `sd` the posterior standard deviation.
        noise: Variance of one case (s2); `signal` that of the true divergences (tau2).
    """

    divergence: NDArray[np.float64]
    shrunken: NDArray[np.float64]
    sd: NDArray[np.float64]
    noise: float
    signal: float


def shrink(membership: Membership, outcome: NDArray[np.float64]) -> Shrinkage:
    """Shrinks every divergence by its own chance variance against the spread of all divergences.

    With s2 the variance within joint cells, v = s2 (1/n - 1/N) and tau2 = max(n-weighted mean of d^2 - v, s2 / 1000),
    the shrunken divergence is d tau2 / (tau2 + v). A cell of one case shows no variance of its own; it counts with the
    total one, for one degree of freedom, so that many attributes (few cases share a cell) do not leave s2 to a handful
    of cases.

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.

    Returns:
        The divergences; a constant outcome or an empty cohort gives zeros.
    """
    n_subgroups, n_cases = membership.shape
    zeros = np.zeros(n_subgroups)
    if not n_subgroups or not n_cases:
        return Shrinkage(zeros, zeros.copy(), zeros.copy(), 0.0, 0.0)
    cells = collapse(membership)
    centred = (outcome - outcome.mean())[cells.order]
    sums = np.add.reduceat(centred, cells.starts)
    n = cells.members
    gap = np.divide(cells.multiply(sums[None])[0][:, 0], n, out=zeros.copy(), where=n > 0)
    total = float(centred @ centred)
    if total <= (1e-12 * np.abs(outcome).max()) ** 2 * n_cases:
        return Shrinkage(zeros, zeros.copy(), zeros.copy(), 0.0, 0.0)
    within = total - float(np.sum(sums * sums / cells.sizes))
    n_single = np.count_nonzero(cells.sizes == 1)
    noise = (within + n_single * total / (n_cases - 1)) / (n_cases - len(cells.sizes) + n_single)
    # Cases that agree within their cells would leave no noise at all; keep a trace, so that nothing divides by
    # zero.
    noise = max(noise, 1e-9 * total / n_cases)
    variance = noise * np.maximum(1.0 / np.maximum(n, 1.0) - 1.0 / n_cases, 0.0)
    signal = max(float(np.average(gap**2 - variance, weights=n)) if n.any() else 0.0, 1e-3 * noise)
    kept = signal / (signal + variance)
    return Shrinkage(gap, gap * kept, np.sqrt(variance * kept), noise, signal)
