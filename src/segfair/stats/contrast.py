"""Difference of each subgroup to the rest over a moderated standard error, for many outcomes at once; tests nothing.

`families` says which units are compared: cases, or subjects, or the cases within each subject. A subject of whose
cases some are members counts as a member by their share. One formula serves three questions. Let Z hold the nuisance
columns (a constant; or strata; or strata and a covariate basis), e the outcome's and M the membership's residuals on
Z. Then

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
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Cells, Membership, Shares, collapse, crossed
from segfair.stats.limit import Limit, limit_of

__all__ = [
    "MEAN_PRIOR_DF",
    "PRIOR_DF",
    "Contrast",
    "Family",
    "count_subjects",
    "families",
    "prepare_contrast",
    "quantile_blocks",
]

PRIOR_DF = 10.0
"""Degrees of freedom that the pooled variance counts for. With 0 (Welch) a group of ten needs |t| above 5 and power is
lost; with more, the level is lost where one group spreads more. `benchmarks/calibration.py` compares several."""
MEAN_PRIOR_DF = 20.0
"""The same where one mean stands alone: a group's own mean and its interval, the change of a group between two models.
No second group spreads differently there, so a stronger pull costs no level; other weights were not compared."""

_UNIDENTIFIED = 1e-6
"""Share of its members a subgroup must keep after residualising to differ from strata and covariates at all."""
_NO_SPREAD = 1e-10
"""Floor of a moderated variance relative to the outcome's, so that t is finite where both groups are constant."""
_LEAST_PER_BLOCK = 10
"""Cases that a quantile block must have, ties aside."""


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Subgroups ready to be compared with the rest on any residual outcome of the cohort.

    Attributes:
        cells: The subgroups' cells; outcomes come in `cells.order`.
        stratum: (n_cases,) stratum of each case in that order.
        basis: (n_cases, k) orthonormal covariate columns, centred within strata, in that order.
        n, n_rest: (n_subgroups,) members and others; subjects count by their share.
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
        return self.compare_sums(self.cells.sums(residuals), self.cells.sums(squares), squares.sum(axis=1))

    def compare_sums(
        self, of_residuals: NDArray[np.float64], of_squares: NDArray[np.float64], total: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The same from sums over cells.

        Args:
            of_residuals: (n_rows, n_cells) sums of the residuals.
            of_squares: (n_rows, n_cells) sums of their squares.
            total: (n_rows,) sums of all squares.
        """
        n_cases = len(self.stratum)
        sums, squared = self.cells.multiply(of_residuals, of_squares)
        n, n_rest = self.n[:, None], self.n_rest[:, None]
        inside, outside = self.inside[:, None], self.outside[:, None]
        spread = np.maximum(squared - sums * sums / n, 0.0)
        spread_rest = np.maximum(total - squared - sums * sums / n_rest, 0.0)
        pooled = (spread + spread_rest) * (self.prior_df / max(1, n_cases - 2))
        variance = (inside / (self.prior_df + n - 1)) * (spread + pooled)
        variance += (outside / (self.prior_df + n_rest - 1)) * (spread_rest + pooled)
        variance *= (n_cases - 2) / max(1, self.df)
        floor = _NO_SPREAD * total / max(1, n_cases)
        np.maximum(variance, (inside + outside) * floor, out=variance)
        return sums / (inside + outside), np.sqrt(variance) / (inside + outside)

    def influence(
        self, residual: NDArray[np.float64], of_residuals: NDArray[np.float64], of_weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """How the differences move when units are weighted, to first order.

        Args:
            residual: (n_cases,) in `cells.order`, residual on strata and covariates.
            of_residuals: (n_draws, n_cells) sums over cells of the residuals, times their weights minus 1.
            of_weights: (n_draws, n_cells) sums of the weights minus 1, which have mean 0 over all cases.

        Returns:
            (n_subgroups, n_draws) weighted differences minus the plain ones; NaN where nothing is identified.
        """
        difference = np.full(len(self.n), np.nan)
        known = self.identified
        difference[known] = self.select(known).compare(residual[None])[0][:, 0]
        total = self.inside + self.outside
        moved = np.zeros((len(self.n), len(of_weights)))
        sizes = self.cells.sizes.astype(np.float64)
        of_cell = self.stratum[self.cells.starts]
        n_strata = int(self.stratum.max(initial=-1)) + 1
        weighted, mass = of_residuals.T, of_weights.T
        for rows, members in self.cells.float_rows():
            left = members - _stratum_means(members, sizes, of_cell, n_strata)
            moved[rows] = left @ weighted - difference[rows, None] * (left * left @ mass)
        return np.divide(moved, total[:, None], out=moved, where=total[:, None] > 0)

    def t(self, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_subgroups, n_rows) difference over standard error; 0 where both are 0."""
        return _ratio(*self.compare(residuals))

    def rearranged_t(
        self, residual: NDArray[np.float64], limit: Limit, *, rng: np.random.Generator, count: int
    ) -> Iterator[NDArray[np.float64]]:
        """`t` of random rearrangements within blocks, drawn from their limit.

        Args:
            residual: (n_cases,) in `cells.order`; there are no covariates.
            limit: How sums over cells are drawn.
            rng: Source of randomness.
            count: How many rearrangements.

        Yields:
            (n_subgroups, some of the rearrangements).
        """
        total = np.array([residual @ residual])
        for sums in limit.rearranged(np.stack([residual, residual * residual]), rng=rng, count=count):
            yield _ratio(*self.compare_sums(sums[:, 0], np.maximum(sums[:, 1], 0.0), total))

    def limit(self, residual: NDArray[np.float64]) -> Limit | None:
        """How sums over cells may be drawn; None: case by case, as always with covariates, which are refitted."""
        if self.basis.shape[1]:
            return None
        return limit_of(self.cells, self.inside + self.outside, residual[None])


def _ratio(difference: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(difference, error, out=np.zeros_like(difference), where=error > 0)


def prepare_contrast(
    membership: Membership | Shares,
    *,
    strata: NDArray[np.intp] | None = None,
    covariates: NDArray[np.float64] | None = None,
    blocks: NDArray[np.intp] | None = None,
    prior_df: float = PRIOR_DF,
) -> Contrast:
    """Prepares subgroups for comparison.

    Args:
        membership: (n_subgroups, n_cases); or shares, of subjects.
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


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Subgroups that are compared over the same units.

    Attributes:
        rows: (n_rows,) which of the subgroups.
        contrast: How they are compared.
        outcome: (n_units,) what is compared.
        evidence: (n_rows,) cases, or subjects, on the smaller side; within subjects, the subjects that are divided.
        subject: (n_units,) the subject of each unit; None: each unit is its own.
    """

    rows: NDArray[np.intp]
    contrast: Contrast
    outcome: NDArray[np.float64]
    evidence: NDArray[np.float64]
    subject: NDArray[np.intp] | None = None


def families(
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    strata: NDArray[np.integer] | None = None,
    subjects: NDArray[np.integer] | None = None,
    covariates: NDArray[np.float64] | None = None,
    ordering: NDArray[np.float64] | None = None,
    n_blocks: int = 1,
    prior_df: float = PRIOR_DF,
    min_divided: int = 10,
) -> list[Family]:
    """Prepares the comparison of every subgroup with the rest.

    Subgroups are compared over subjects: the mean of a subject's outcomes against the share of its cases that are
    members. A subgroup that divides most of its subjects (left and right side, two scanners) is compared within
    them instead, where what tells subjects apart is nobody's fault. A few divided subjects do not decide about a
    subgroup of many: one discordant row of one patient would.

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.
        strata: (n_cases,) codes within which outcomes are centred and rearranged.
        subjects: (n_cases,) codes; None: every case is a subject. A subject counts as being in the stratum of its
            first case.
        covariates: (n_cases, k) columns to adjust for.
        ordering: (n_cases,) values by whose quantiles cases are rearranged only among their like.
        n_blocks: Number of such quantile blocks a stratum is split into, fewer where they would have few cases.
        prior_df: Degrees of freedom of the pooled variance in each group's.
        min_divided: Fewest divided subjects of a subgroup that is compared within them.
    """
    stratum = np.zeros(len(outcome), dtype=np.intp) if strata is None else np.unique(strata, return_inverse=True)[1]
    if subjects is None:
        blocks = stratum if ordering is None else quantile_blocks(ordering, stratum, n_blocks=n_blocks)
        whole = prepare_contrast(membership, strata=stratum, covariates=covariates, blocks=blocks, prior_df=prior_df)
        return [Family(np.arange(len(membership)), whole, outcome, np.minimum(whole.n, whole.n_rest))]
    _, first, subject, counts = np.unique(subjects, return_index=True, return_inverse=True, return_counts=True)
    members = membership.astype(bool, copy=False)
    held = _members_of_subjects(members, subject)
    touched = np.minimum(np.count_nonzero(held, axis=1), np.count_nonzero(held < counts, axis=1))
    divided = np.count_nonzero((held > 0) & (held < counts), axis=1)
    within = (divided >= max(1, min_divided)) & (2 * divided >= touched)
    found = []
    if not within.all():

        def average(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(np.bincount(subject, weights=values) / counts, dtype=np.float64)

        rows = np.flatnonzero(~within)
        # Centred before averaging, so that a subject studied at two sites is judged against both.
        centred = outcome - (np.bincount(stratum, weights=outcome) / np.bincount(stratum))[stratum]
        of_subjects = None
        if covariates is not None and covariates.shape[1]:  # constant covariates have no columns
            of_subjects = np.column_stack([average(column) for column in covariates.T])
        blocks = stratum[first]
        if ordering is not None:
            blocks = quantile_blocks(average(ordering), blocks, n_blocks=n_blocks)
        contrast = prepare_contrast(
            held[rows] / counts if divided[rows].any() else held[rows] > 0,
            strata=stratum[first],
            covariates=of_subjects,
            blocks=blocks,
            prior_df=prior_df,
        )
        found.append(Family(rows, contrast, average(centred), touched[rows].astype(np.float64)))
    if within.any():
        rows = np.flatnonzero(within)
        blocks = crossed(stratum, subject)
        contrast = prepare_contrast(members[rows], strata=blocks, covariates=covariates, prior_df=prior_df)
        found.append(Family(rows, contrast, outcome, divided[rows].astype(np.float64), subject))
    return found


def count_subjects(membership: Membership, subjects: NDArray[np.integer]) -> NDArray[np.intp]:
    """(n_subgroups,) subjects of whom at least one case is a member."""
    held = _members_of_subjects(membership.astype(bool, copy=False), np.unique(subjects, return_inverse=True)[1])
    return np.asarray(np.count_nonzero(held, axis=1), dtype=np.intp)


def _members_of_subjects(members: NDArray[np.bool_], subject: NDArray[np.intp]) -> NDArray[np.int32]:
    """(n_subgroups, n_subjects) how many of a subject's cases are members."""
    order = np.argsort(subject, kind="stable")
    starts = np.flatnonzero(np.diff(subject[order], prepend=-1))
    if not len(order):
        return np.zeros((len(members), 0), dtype=np.int32)
    return np.add.reduceat(members[:, order], starts, axis=1, dtype=np.int32)


def quantile_blocks(values: NDArray[np.float64], strata: NDArray[np.intp], *, n_blocks: int) -> NDArray[np.intp]:
    """Splits each stratum at the quantiles of some values; cases of equal value stay together.

    (Were ties split, the order of the cases in a table would decide who may change places with whom.)

    Args:
        values: (n_cases,) finite.
        strata: (n_cases,) codes of at least 0.
        n_blocks: Blocks a stratum, fewer where one would have fewer than ten cases (ties aside).

    Returns:
        (n_cases,) block of each case; blocks of different strata differ.
    """
    order = np.lexsort((values, strata))
    sizes = np.bincount(strata)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    rank -= starts[strata]
    tied = crossed(strata, np.unique(values, return_inverse=True)[1])
    least = np.full(int(tied.max(initial=-1)) + 1, len(order), dtype=np.intp)
    np.minimum.at(least, tied, rank)
    rank = least[tied]
    parts = np.clip(sizes // _LEAST_PER_BLOCK, 1, max(1, n_blocks))
    block = rank * parts[strata] // np.maximum(sizes[strata], 1)
    return np.asarray(strata * max(1, n_blocks) + block, dtype=np.intp)
