"""Which units a question about subgroups is asked of: cases, or subjects, or the cases within each subject.

Splits a membership matrix into the parts that need different units and prepares the contrast of each; tests
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Membership
from segfair.stats.contrast import PRIOR_DF, Contrast, prepare_contrast

__all__ = ["Family", "families", "quantile_blocks"]

_LEAST_PER_BLOCK = 10


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Subgroups that are compared over the same units.

    Attributes:
        rows: (n_rows,) which of the subgroups.
        membership: (n_rows, n_units).
        contrast: How they are compared.
        outcome: (n_units,) what is compared.
    """

    rows: NDArray[np.intp]
    membership: Membership
    contrast: Contrast
    outcome: NDArray[np.float64]


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
) -> list[Family]:
    """Prepares the comparison of every subgroup with the rest.

    A subgroup that holds all or none of every subject's cases is compared over subjects, on the mean of each
    subject's outcomes; one that divides subjects is compared within them.

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
    """
    stratum = np.zeros(len(outcome), dtype=np.intp) if strata is None else np.unique(strata, return_inverse=True)[1]
    if subjects is None:
        blocks = stratum if ordering is None else quantile_blocks(ordering, stratum, n_blocks=n_blocks)
        whole = prepare_contrast(membership, strata=stratum, covariates=covariates, blocks=blocks, prior_df=prior_df)
        return [Family(np.arange(len(membership)), membership, whole, outcome)]
    _, first, subject, counts = np.unique(subjects, return_index=True, return_inverse=True, return_counts=True)
    members = membership.astype(bool, copy=False)
    divides = (members != members[:, first[subject]]).any(axis=1)
    found = []
    if not divides.all():

        def average(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(np.bincount(subject, weights=values) / counts, dtype=np.float64)

        rows = np.flatnonzero(~divides)
        # Centred before averaging, so that a subject studied at two sites is judged against both.
        centred = outcome - (np.bincount(stratum, weights=outcome) / np.bincount(stratum))[stratum]
        of_subjects = None if covariates is None else np.column_stack([average(column) for column in covariates.T])
        blocks = stratum[first]
        if ordering is not None:
            blocks = quantile_blocks(average(ordering), blocks, n_blocks=n_blocks)
        between = members[rows][:, first]
        found.append(
            Family(
                rows,
                between,
                prepare_contrast(
                    between, strata=stratum[first], covariates=of_subjects, blocks=blocks, prior_df=prior_df
                ),
                average(centred),
            )
        )
    if divides.any():
        rows = np.flatnonzero(divides)
        within = np.unique(np.stack([stratum, subject]), axis=1, return_inverse=True)[1].ravel()
        parted = members[rows]
        found.append(
            Family(
                rows, parted, prepare_contrast(parted, strata=within, covariates=covariates, prior_df=prior_df), outcome
            )
        )
    return found


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
    tied = np.unique(np.stack([strata, np.unique(values, return_inverse=True)[1]]), axis=1, return_inverse=True)[
        1
    ].ravel()
    least = np.full(int(tied.max(initial=-1)) + 1, len(order), dtype=np.intp)
    np.minimum.at(least, tied, rank)
    rank = least[tied]
    parts = np.clip(sizes // _LEAST_PER_BLOCK, 1, max(1, n_blocks))
    block = rank * parts[strata] // np.maximum(sizes[strata], 1)
    return np.asarray(strata * max(1, n_blocks) + block, dtype=np.intp)
