"""Cells: cases that belong to exactly the same subgroups, so that sums over subgroups go through few columns.

A cohort of 1,506 cases with three attributes has some sixty cells; summing per cell first and multiplying the
subgroup-by-cell matrix afterwards gives the same sums for a fraction of the work. Knows nothing of tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cells", "Membership", "Shares", "collapse", "crossed", "distinct_rows"]

Membership = NDArray[np.bool_] | NDArray[np.uint8]
"""(n_subgroups, n_cases), non-zero for members."""
Shares = NDArray[np.float64]
"""(n_subgroups, n_subjects), share of each subject's cases that are members, from 0 to 1."""

_ROW_BLOCK_BYTES = 1 << 26
"""Of the 0/1 matrix as floats, at most so much is in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cases grouped by block and membership.

    Attributes:
        order: (n_cases,) cases sorted by block, then by cell.
        starts: (n_cells,) first position of each cell in that order; `sizes` are their numbers of cases.
        blocks: (n_cells,) block of each cell, ascending.
        columns: (n_subgroups, n_cells) whether the cell belongs to the subgroup, or how much of it.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]
    blocks: NDArray[np.intp]
    columns: NDArray[np.bool_] | Shares

    @property
    def members(self) -> NDArray[np.float64]:
        """(n_subgroups,) cases of each subgroup, as floats for dividing by; subjects count by their share."""
        return self.multiply(self.sizes[None].astype(np.float64))[0][:, 0]

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums per cell.

        Args:
            values: (n_rows, n_cases) with the cases in `order`.

        Returns:
            (n_rows, n_cells).
        """
        if len(self.starts) == values.shape[1]:
            return values
        total: NDArray[np.float64] = np.add.reduceat(values, self.starts, axis=1)
        return total

    def spread(self, per_cell: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., n_cells) repeated to (..., n_cases), cases in `order`."""
        return np.repeat(per_cell, self.sizes, axis=-1)

    def multiply(self, *per_cell: NDArray[np.float64], single: bool = False) -> tuple[NDArray[np.float64], ...]:
        """Sums per subgroup from sums per cell, the 0/1 matrix turned into floats a block of rows at a time.

        Args:
            per_cell: Arrays of (n_rows, n_cells).
            single: Whether single precision will do: for replicates whose quantiles are taken, not for tests.

        Returns:
            As many arrays of (n_subgroups, n_rows), float64; float32 if `single` or if the sums are.
        """
        kind = np.float32 if single or all(values.dtype == np.float32 for values in per_cell) else np.float64
        factors = [np.asarray(values.T, dtype=kind) for values in per_cell]
        results = tuple(np.empty((len(self.columns), values.shape[1]), dtype=kind) for values in factors)
        for rows, block in self.float_rows(kind=kind):
            for values, result in zip(factors, results, strict=True):
                np.matmul(block, values, out=result[rows])
        return results

    def float_rows(
        self, *, width: int | None = None, kind: type[np.floating] = np.float64
    ) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Blocks of rows of `columns` as floats, small enough to be spread to `width` columns."""
        n_subgroups, n_cells = self.columns.shape
        step = max(1, _ROW_BLOCK_BYTES // (8 * max(1, n_cells, width or 0)))
        for first in range(0, n_subgroups, step):
            rows = slice(first, min(first + step, n_subgroups))
            yield rows, self.columns[rows].astype(kind)


def crossed(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.intp]:
    """(n,) codes of the pairs of two codings of the same things, in the order of the first, then of the second."""
    return np.asarray(np.unique(np.stack([one, other]), axis=1, return_inverse=True)[1].ravel(), dtype=np.intp)


def collapse(membership: Membership | Shares, *, blocks: NDArray[np.integer] | None = None) -> Cells:
    """Finds the cells of a membership matrix.

    Args:
        membership: (n_subgroups, n_cases); or shares, of subjects.
        blocks: (n_cases,) codes; cases of different blocks are never in one cell.

    Returns:
        The cells; without subgroups each block is one cell.
    """
    n_subgroups, n_cases = membership.shape
    kept: NDArray[np.bool_] | Shares
    packed: NDArray[np.uint8] | Shares
    if membership.dtype == np.float64:
        packed = np.ascontiguousarray(membership.T, dtype=np.float64)
        kept = np.asarray(membership, dtype=np.float64)
    else:
        members = membership.astype(bool, copy=False)
        packed = np.ascontiguousarray(np.packbits(members, axis=0).T)
        kept = members
    if n_subgroups and n_cases:
        width = packed.shape[1] * packed.itemsize
        _, column = np.unique(packed.view(f"V{width}").ravel(), return_inverse=True)
    else:
        column = np.zeros(n_cases, dtype=np.intp)
    block = np.zeros(n_cases, dtype=np.intp) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    order = np.lexsort((column, block))
    fresh = np.ones(n_cases, dtype=bool)
    fresh[1:] = (np.diff(column[order]) != 0) | (np.diff(block[order]) != 0)
    starts = np.flatnonzero(fresh)
    firsts = order[starts]
    return Cells(
        order=order,
        starts=starts,
        sizes=np.diff(np.append(starts, n_cases)),
        blocks=block[firsts],
        columns=kept[:, firsts],
    )


def distinct_rows(
    membership: Membership, *, complements: bool
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Finds subgroups with identical members.

    Args:
        membership: (n_subgroups, n_cases).
        complements: Whether a subgroup and everybody else count as one (they differ only in sign).

    Returns:
        Index of the first row of each distinct membership, in row order; for each row the position of its
        representative among them; and the row's sign relative to it (1, or -1 for a complement).
    """
    n_subgroups, n_cases = membership.shape
    if not n_subgroups or not n_cases:
        empty = np.zeros(n_subgroups, dtype=np.intp)
        return empty[: min(1, n_subgroups)], empty, np.ones(n_subgroups)
    packed = np.ascontiguousarray(np.packbits(membership.astype(bool, copy=False), axis=1))
    sign = np.ones(n_subgroups)
    if complements:
        flipped = (packed[:, 0] & 128).astype(bool)
        every = np.packbits(np.ones(n_cases, dtype=bool))
        packed[flipped] ^= every
        sign[flipped] = -1.0
    _, first, inverse = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_inverse=True)
    in_row_order = np.argsort(first)
    rank = np.empty_like(in_row_order)
    rank[in_row_order] = np.arange(len(in_row_order))
    first, inverse = first[in_row_order], rank[inverse]
    return first, inverse, sign * sign[first][inverse]
