"""Whether subgroups changed between two sets of scores of the same cases: sign-flipping max-T.

If nothing changed, the difference of a case is as likely to have one sign as the other; flipping signs at random gives
the distribution of the largest statistic over all subgroups. Arrays only.

References:
    Westfall and Young 1993, algorithm 4.1 (step-down). Winkler et al. NeuroImage 2014 (sign-flipping).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Membership, collapse

__all__ = ["PairedTest", "paired_max_t"]

_STEP_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class PairedTest:
    """Mean change of every subgroup and its test against no change.

    Attributes:
        mean: (n_subgroups,) mean change; NaN without members.
        t: Mean over its moderated standard error; 0 where nothing changed.
        p_value: Of this subgroup alone; NaN where not tested.
        p_adjusted: Step-down max-T over the tested subgroups; NaN where not tested.
        tested: Whether the subgroup has enough members.
    """

    mean: NDArray[np.float64]
    t: NDArray[np.float64]
    p_value: NDArray[np.float64]
    p_adjusted: NDArray[np.float64]
    tested: NDArray[np.bool_]


def paired_max_t(
    membership: Membership,
    change: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    min_cases: int = 10,
    permutations: int = 2000,
    subjects: NDArray[np.integer] | None = None,
    prior_df: float = 20.0,
) -> PairedTest:
    """Tests whether the mean change of each subgroup differs from 0.

    Args:
        membership: (n_subgroups, n_cases); a row of ones tests everybody.
        change: (n_cases,) finite, second score minus first.
        rng: Source of randomness.
        min_cases: Smallest number of members of a subgroup that is tested.
        permutations: Random sign patterns.
        subjects: (n_cases,) codes of patients; all cases of one are flipped together.
        prior_df: Degrees of freedom that the mean square of all changes counts for in each subgroup's variance.

    Returns:
        The tests, two-sided. No change at all: every t is 0 and every p is 1.
    """
    unit = np.arange(len(change)) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    cells = collapse(membership)
    ordered, unit = change[cells.order], unit[cells.order]
    sizes = cells.columns @ cells.sizes.astype(np.float64)
    tested = sizes >= max(1, min_cases)
    (squares,) = cells.multiply(cells.sums((ordered * ordered)[None]))
    prior = prior_df * float(np.mean(ordered * ordered)) if len(ordered) else 0.0

    def statistic(flipped: NDArray[np.float64]) -> NDArray[np.float64]:
        (sums,) = cells.multiply(cells.sums(flipped))
        n = np.maximum(sizes, 1.0)[:, None]
        # Squares do not change when signs are flipped; only the squared mean does.
        spread = np.maximum(squares - sums * sums / n, 0.0) + prior
        error = np.sqrt(spread / (n - 1 + prior_df) * n)
        t: NDArray[np.float64] = np.divide(sums, error, out=np.zeros_like(sums), where=error > 0)
        return t

    t = statistic(ordered[None])[:, 0]
    (sums,) = cells.multiply(cells.sums(ordered[None]))
    mean = np.divide(sums[:, 0], sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
    p_value, p_adjusted = np.full(len(t), np.nan), np.full(len(t), np.nan)
    rows = np.flatnonzero(tested)
    if len(rows):
        ascending = rows[np.argsort(np.abs(t[rows]), kind="stable")]
        # Sums in another order differ in the last digits; a tie has to count as one.
        threshold = (np.abs(t[ascending]) * (1 - 1e-9) - 1e-12)[:, None]
        alone, down = np.zeros(len(rows)), np.zeros(len(rows))
        step = max(1, _STEP_ELEMENTS // max(len(ordered), len(t), 1))
        for first in range(0, permutations, step):
            n_draws = min(step, permutations - first)
            signs = rng.integers(0, 2, size=(n_draws, int(unit.max()) + 1)) * 2 - 1
            drawn = np.abs(statistic(signs[:, unit] * ordered))[ascending]
            alone += (drawn >= threshold).sum(axis=1)
            down += (np.maximum.accumulate(drawn, axis=0) >= threshold).sum(axis=1)
        p_value[ascending] = (alone + 1) / (permutations + 1)
        stepped = ((down + 1) / (permutations + 1))[::-1]
        p_adjusted[ascending[::-1]] = np.maximum.accumulate(stepped)
    return PairedTest(mean, t, p_value, p_adjusted, tested)
