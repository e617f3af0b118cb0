"""Difference of each subgroup to the rest over a moderated standard error, for many outcome vectors at once.

One formula serves three questions. Let Z hold the nuisance columns (a constant; or strata; or strata and a
covariate basis), e the outcome's and M the membership's residuals on Z. Then

    difference = sum(M * e) / sum(M ** 2)

is the plain difference of means, the within-stratum one, or the one at equal covariates. Its variance is

    (a * var_members + b * var_rest) / (a + b) ** 2,   a = sum of M ** 2 over members, b = over the rest,

which without strata and covariates is Welch's var_members / n + var_rest / n_rest. Both variances are moderated:
the pooled within-groups variance counts for `prior_df` degrees of freedom.

References:
    Welch 1947. Smyth 2004, Eq. 3 (moderated variance). Frisch and Waugh 1933, Lovell 1963 (residual on residual).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Cells, Membership, collapse

__all__ = ["PRIOR_DF", "Contrast", "prepare_contrast"]

PRIOR_DF = 10.0
"""Degrees of freedom that the pooled variance counts for. With 0 (Welch) a group of ten needs |t| above 5 and power is
lost; with more, the level is lost where one group spreads more. `benchmarks/calibration.py` compares several."""

_UNIDENTIFIED = 1e-6
"""Share of its members a subgroup must keep after residualising to differ from strata and covariates at all."""
_NO_SPREAD = 1e-10
"""Floor of a moderated variance relative to the outcome's, so that t is finite where both groups are constant."""


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Subgroups ready to be compared with the rest on any residual outcome of the cohort.

    Attributes:
        cells: The subgroups' cells; outcomes come in `cells.order`.
        stratum: (n_cases,) stratum of each case in that order.
        basis: (n_cases, k) orthonormal covariate columns, centred within strata, in that order.
        n, n_rest: (n_subgroups,) members and others.
        inside, outside: (n_subgroups,) a and b.
        df: Degrees of freedom of the pooled variance.
        prior_df: Prior degrees of freedom of each group's variance.
    """

    cells: Cells
    stratum: NDArray[np.intp]
    basis: NDArray[np.float64]
    n: NDArray[np.float64]
    n_rest: NDArray[np.float64]
    inside: NDArray[np.float64]
    outside: NDArray[np.float64]
    df: int
    prior_df: float

    @property
    def identified(self) -> NDArray[np.bool_]:
        """(n_subgroups,) whether strata and covariates leave something of the membership."""
        left: NDArray[np.bool_] = self.inside + self.outside > _UNIDENTIFIED * np.minimum(self.n, self.n_rest)
        return left & (self.df > 0)

    def select(self, rows: NDArray[np.bool_]) -> Contrast:
        """The same for some of the subgroups."""
        if rows.all():
            return self  # the matrix may be half a gigabyte
        return dataclasses.replace(
            self,
            cells=dataclasses.replace(self.cells, columns=self.cells.columns[rows]),
            n=self.n[rows],
            n_rest=self.n_rest[rows],
            inside=self.inside[rows],
            outside=self.outside[rows],
        )

    def residual(self, outcome: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_cases,) the outcome's residual on strata and covariates, in `cells.order`.

        A residual that is rounding error only is 0, so that a constant outcome has no differences.
        """
        values = outcome[self.cells.order]
        centred = _centre(values[:, None], self.stratum)[:, 0]
        left = centred - self.basis @ (self.basis.T @ centred)
        if np.max(np.abs(left), initial=0.0) <= 1e-12 * np.max(np.abs(values), initial=0.0):
            return np.zeros_like(left)
        return left

    def refit(self, rearranged: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_rows, n_cases) residuals of rearranged residuals; the strata's means are 0 already (Freedman-Lane)."""
        if self.basis.shape[1]:
            rearranged = rearranged - (rearranged @ self.basis) @ self.basis.T
        return rearranged

    def compare(self, residuals: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Differences and their moderated standard errors.

        Args:
            residuals: (n_rows, n_cases) in `cells.order`, residual on strata and covariates.

        Returns:
            Two arrays of (n_subgroups, n_rows).
        """
        squares = residuals * residuals
        total = squares.sum(axis=1)
        sums, squared = self.cells.multiply(self.cells.sums(residuals), self.cells.sums(squares))
        n, n_rest = self.n[:, None], self.n_rest[:, None]
        inside, outside = self.inside[:, None], self.outside[:, None]
        spread = np.maximum(squared - sums * sums / n, 0.0)
        spread_rest = np.maximum(total - squared - sums * sums / n_rest, 0.0)
        pooled = (spread + spread_rest) * (self.prior_df / max(1, residuals.shape[1] - 2))
        variance = (inside / (self.prior_df + n - 1)) * (spread + pooled)
        variance += (outside / (self.prior_df + n_rest - 1)) * (spread_rest + pooled)
        variance *= (residuals.shape[1] - 2) / max(1, self.df)
        floor = _NO_SPREAD * total / max(1, residuals.shape[1])
        np.maximum(variance, (inside + outside) * floor, out=variance)
        return sums / (inside + outside), np.sqrt(variance) / (inside + outside)

    def t(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_subgroups, n_rows) difference over standard error; 0 where both are 0."""
        difference, error = self.compare(residuals)
        return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)


def prepare_contrast(
    membership: Membership,
    *,
    strata: NDArray[np.intp] | None = None,
    covariates: NDArray[np.float64] | None = None,
    blocks: NDArray[np.intp] | None = None,
    prior_df: float = PRIOR_DF,
) -> Contrast:
    """Prepares subgroups for comparison.

    Args:
        membership: (n_subgroups, n_cases).
        strata: (n_cases,) codes of at least 0; None: one stratum.
        covariates: (n_cases, k) columns to adjust for, such as a spline basis.
        blocks: (n_cases,) codes of the blocks within which outcomes will be rearranged, each inside of one stratum;
            None: the strata.
        prior_df: Degrees of freedom that the pooled variance counts for; 0: Welch, infinity is not allowed.

    Returns:
        The contrast; for subgroups without members or others `identified` is False.
    """
    n_cases = membership.shape[1]
    stratum = np.zeros(n_cases, dtype=np.intp) if strata is None else strata
    cells = collapse(membership, blocks=stratum if blocks is None else blocks)
    stratum = np.unique(stratum[cells.order], return_inverse=True)[1]
    basis = (
        _orthonormal(_centre(covariates[cells.order], stratum)) if covariates is not None else np.empty((n_cases, 0))
    )
    n = cells.members
    n_strata = int(stratum.max(initial=-1)) + 1
    inside, outside = np.zeros(len(n)), np.zeros(len(n))
    for rows, members in cells.float_rows(width=n_cases if basis.shape[1] else None):
        if basis.shape[1]:
            members = cells.spread(members)
            weights = np.ones(n_cases)
            stratum_of = stratum
        else:
            weights = cells.sizes.astype(np.float64)
            stratum_of = stratum[cells.starts]
        left = members - _stratum_means(members, weights, stratum_of, n_strata)
        left -= (left @ basis) @ basis.T if basis.shape[1] else 0.0
        left *= left
        total = left @ weights
        left *= members
        inside[rows] = left @ weights
        outside[rows] = total - inside[rows]
    return Contrast(
        cells=cells,
        stratum=stratum,
        basis=basis,
        n=n,
        n_rest=n_cases - n,
        inside=inside,
        outside=outside,
        df=n_cases - n_strata - basis.shape[1] - 1,
        prior_df=prior_df,
    )


def _centre(values: NDArray[np.float64], stratum: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n_cases, k) minus each stratum's mean."""
    if not len(values):
        return values
    counts = np.bincount(stratum)
    centred = np.empty_like(values)
    for column in range(values.shape[1]):
        means = np.bincount(stratum, weights=values[:, column]) / counts
        centred[:, column] = values[:, column] - means[stratum]
    return centred


def _stratum_means(
    members: NDArray[np.float64], weights: NDArray[np.float64], stratum: NDArray[np.intp], n_strata: int
) -> NDArray[np.float64]:
    """Share of members in the stratum of each column, (n_subgroups, n_columns)."""
    if n_strata <= 1:
        return np.asarray((members @ weights)[:, None] / max(1.0, float(weights.sum())), dtype=np.float64)
    # Columns of one stratum need not be adjacent: blocks decide the order, not strata.
    order = np.argsort(stratum, kind="stable")
    edges = np.flatnonzero(np.diff(stratum[order], prepend=-1))
    sums = np.add.reduceat((members * weights)[:, order], edges, axis=1)
    sizes = np.add.reduceat(weights[order], edges)
    return np.asarray((sums / sizes)[:, stratum], dtype=np.float64)


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_cases, rank) orthonormal basis of the columns' span."""
    if not columns.shape[1] or not len(columns):
        return np.empty((len(columns), 0))
    scale = np.linalg.norm(columns, axis=0)
    columns = columns[:, scale > 0] / scale[scale > 0]
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, singular > 1e-8 * singular.max(initial=0.0)]
