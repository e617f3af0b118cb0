"""Whether subgroups, metrics or scores changed between two sets of scores of the same cases: sign-flipping max-T.

If nothing changed, the two scores of a case could as well have come in the other order, and its difference is as
likely to have one sign as the other. Flipping signs at random, all subgroups with the same signs, gives the
distribution of the largest statistic. Exact where the two scores are exchangeable; because the statistic is
studentised, also close to its level where means are equal and differences are skewed. Arrays only.

References:
    Westfall and Young 1993, algorithm 4.1 (step-down). Winkler et al. NeuroImage 2014 (flipping whole blocks).
    Smyth 2004, Eq. 3 (moderated variance).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from segfair.stats.cells import Membership, collapse
from segfair.stats.contrast import MEAN_PRIOR_DF
from segfair.stats.resampling import draw_signs

__all__ = ["PairedTest", "paired_max_t", "paired_outcomes"]

Floats = NDArray[np.float64]

_STEP_ELEMENTS = 1 << 22
_EXACT_LIMIT = 1 << 12
"""So many sign patterns are enumerated rather than drawn, even where fewer draws were asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class PairedTest:
    """Mean changes and their tests against no change; one row for each subgroup, or for each metric.

    Attributes:
        mean: (n_rows,) mean change over cases; NaN without members.
        t: Mean over its moderated standard error; 0 where nothing changed.
        p_value: Of this row alone; NaN where not tested.
        p_adjusted: Step-down max-T over the tested rows; NaN where not tested.
        tested: Whether the row has enough members.
        n_draws: Sign patterns behind the p values.
        exact: Whether these were all there are.
    """

    mean: Floats
    t: Floats
    p_value: Floats
    p_adjusted: Floats
    tested: NDArray[np.bool_]
    n_draws: int
    exact: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """What is tested: sums of changes over the units of each row.

    Attributes:
        sums: (n_draws, n_units) signs -> (n_rows, n_draws) sums of the changes so flipped.
        squares: (n_rows,) sum of the units' squared sums, which no sign changes.
        n_units: (n_rows,) units with a member.
        prior: (n_rows,) mean square of a unit's sum that the moderation pulls toward.
        total: Units of the cohort.
    """

    sums: Callable[[Floats], Floats]
    squares: Floats
    n_units: Floats
    prior: Floats
    total: int

    def t(self, signs: Floats, *, prior_df: float) -> Floats:
        """(n_rows, n_draws) moderated statistics."""
        sums = self.sums(signs)
        n = np.maximum(self.n_units, 1.0)[:, None]
        # Squares do not change when signs are flipped; only the squared mean does.
        spread = np.maximum(self.squares[:, None] - sums * sums / n, 0.0) + (prior_df * self.prior)[:, None]
        error = np.sqrt(spread / (n - 1 + prior_df) * n)
        t: Floats = np.divide(sums, error, out=np.zeros_like(sums), where=error > 0)
        return t


def paired_max_t(
    membership: Membership,
    change: Floats,
    *,
    rng: np.random.Generator,
    min_cases: int = 10,
    permutations: int = 2000,
    subjects: NDArray[np.integer] | None = None,
    prior_df: float = MEAN_PRIOR_DF,
) -> PairedTest:
    """Tests whether the mean change of each subgroup differs from 0.

    Args:
        membership: (n_subgroups, n_cases); a row of ones tests everybody.
        change: (n_cases,) finite, second score minus first.
        rng: Source of randomness.
        min_cases: Smallest number of members (or of their subjects) of a subgroup that is tested.
        permutations: Random sign patterns; all of them where there are no more, or at most 4,096.
        subjects: (n_cases,) codes of patients; all cases of one are flipped together.
        prior_df: Degrees of freedom that the mean square of all changes counts for in each subgroup's variance.

    Returns:
        The tests, two-sided. No change at all: every t is 0 and every p is 1.
    """
    n_cases = len(change)
    members = np.asarray(membership, dtype=bool)
    sizes = np.count_nonzero(members, axis=1).astype(np.float64)
    rows = (
        _rows_of_cases(members, change)
        if subjects is None
        else _rows_of_subjects(members, change, np.unique(subjects, return_inverse=True)[1])
    )
    total = rows.sums(np.ones((1, rows.total)))[:, 0] if n_cases else np.zeros(len(sizes))
    mean = np.divide(total, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
    return _flip(rows, mean, rng=rng, min_units=min_cases, permutations=permutations, prior_df=prior_df)


def paired_outcomes(
    changes: Floats,
    *,
    rng: np.random.Generator,
    min_cases: int = 2,
    permutations: int = 2000,
    subjects: NDArray[np.integer] | None = None,
    prior_df: float = MEAN_PRIOR_DF,
) -> PairedTest:
    """Tests whether the mean change of each of several metrics differs from 0, all with the same signs.

    Args:
        changes: (n_outcomes, n_cases), NaN where a metric has no value in one of the two.
        rng: Source of randomness.
        min_cases: Smallest number of cases (or subjects) with a value.
        permutations: Random sign patterns.
        subjects: (n_cases,) codes of patients.
        prior_df: See `paired_max_t`; here each metric is moderated toward its own mean square.
    """
    known = np.isfinite(changes)
    values = np.where(known, changes, 0.0)
    counts = known.sum(axis=1)
    if subjects is not None:
        unit = np.unique(subjects, return_inverse=True)[1]
        joint = _joint(unit)
        values, known = values @ joint, (known @ joint) > 0
    squares = (values * values).sum(axis=1)
    n_units = known.sum(axis=1).astype(np.float64)
    rows = _Rows(
        lambda signs: np.asarray(values @ signs.T),
        squares,
        n_units,
        squares / np.maximum(n_units, 1),
        values.shape[1],
    )
    sums = values.sum(axis=1)
    mean = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return _flip(rows, mean, rng=rng, min_units=min_cases, permutations=permutations, prior_df=prior_df)


def _rows_of_cases(members: NDArray[np.bool_], change: Floats) -> _Rows:
    cells = collapse(members)
    ordered = change[cells.order]
    sizes = cells.columns.astype(np.float64) @ cells.sizes
    (squares,) = cells.multiply(cells.sums((ordered * ordered)[None]))
    square = float(np.mean(ordered * ordered)) if len(ordered) else 0.0
    prior: Floats = np.full(len(sizes), square)

    def sums(signs: Floats) -> Floats:
        (found,) = cells.multiply(cells.sums(signs * ordered))
        return found

    return _Rows(sums, squares[:, 0], sizes, prior, len(change))


def _rows_of_subjects(members: NDArray[np.bool_], change: Floats, unit: NDArray[np.intp]) -> _Rows:
    joint = _joint(unit)
    inside: Any = scipy.sparse.csr_array(members.astype(np.float64))
    of_units = inside.multiply(change[None]).tocsr() @ joint
    present = (inside @ joint) > 0
    squares = np.asarray(of_units.multiply(of_units).sum(axis=1)).ravel()
    n_units = np.asarray(present.sum(axis=1)).ravel().astype(np.float64)
    # Mean square of a patient's sum, for the number of cases that a patient has in this subgroup.
    whole = change @ joint
    share = members.sum(axis=1) / np.maximum(n_units, 1) * (len(whole) / max(1, len(change)))
    prior = (float(np.mean(whole * whole)) if len(whole) else 0.0) * share
    return _Rows(lambda signs: np.asarray(of_units @ signs.T), squares, n_units, prior, joint.shape[1])


def _joint(unit: NDArray[np.intp]) -> Any:
    """Sparse (n_cases, n_units) 0/1 matrix; a product with it sums over the cases of each unit."""
    shape = (len(unit), int(unit.max(initial=-1)) + 1)
    return scipy.sparse.csr_array((np.ones(len(unit)), (np.arange(len(unit)), unit)), shape=shape)


def _every_sign(n_units: int) -> Iterator[Floats]:
    patterns = np.arange(1 << n_units)
    yield ((patterns[:, None] >> np.arange(n_units)) & 1).astype(np.float64) * 2 - 1


def _flip(
    rows: _Rows, mean: Floats, *, rng: np.random.Generator, min_units: int, permutations: int, prior_df: float
) -> PairedTest:
    n_rows = len(rows.squares)
    tested = rows.n_units >= max(1, min_units)
    t = rows.t(np.ones((1, rows.total)), prior_df=prior_df)[:, 0] if rows.total else np.zeros(n_rows)
    exact = 1 << min(rows.total, 62) <= max(permutations, _EXACT_LIMIT)
    n_draws = 1 << rows.total if exact else permutations
    p_value, p_adjusted = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    which = np.flatnonzero(tested)
    if len(which):
        ascending = which[np.argsort(np.abs(t[which]), kind="stable")]
        # Sums in another order differ in the last digits; a tie has to count as one.
        threshold = (np.abs(t[ascending]) * (1 - 1e-9) - 1e-12)[:, None]
        alone, down = np.zeros(len(which)), np.zeros(len(which))
        draws = (
            _every_sign(rows.total)
            if exact
            else draw_signs(rows.total, count=n_draws, width=max(n_rows, rows.total), rng=rng)
        )
        for signs in draws:
            drawn = np.abs(rows.t(signs, prior_df=prior_df))[ascending]
            alone += np.count_nonzero(drawn >= threshold, axis=1)
            # Step-down: a row competes with those of no larger statistic only.
            down += np.count_nonzero(np.maximum.accumulate(drawn, axis=0) >= threshold, axis=1)
        extra = 0 if exact else 1
        p_value[ascending] = (alone + extra) / (n_draws + extra)
        stepped = ((down + extra) / (n_draws + extra))[::-1]
        p_adjusted[ascending[::-1]] = np.maximum.accumulate(stepped)
    return PairedTest(mean, t, p_value, p_adjusted, tested, n_draws, exact)
