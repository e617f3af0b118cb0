"""The connected parts of a mask, and which voxels they share with those of another. Knows no rule and no metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Codes",
    "Mask",
    "Parts",
    "Table",
    "any_along",
    "components",
    "counts",
    "n_without",
    "parts_of",
    "shared_voxels",
]

Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]
Table = Any
"""A sparse array of SciPy."""
# Axes, connectivity -> the neighbours that are connected.
_NEIGHBOURS: dict[tuple[int, int], Literal[4, 8, 6, 18, 26]] = {
    **{(2, 6): 4, (2, 18): 8, (2, 26): 8},
    **{(3, 6): 6, (3, 18): 18, (3, 26): 26},
}


@dataclass(frozen=True, eq=False)
class Parts:
    """The voxels of a mask that are not background, in the order of the grid, and the part each one is of.

    Attributes:
        where: (n_voxels, n_axes) their indices.
        codes: (n_voxels,) from 0 on.
        n: How many parts there are.
    """

    where: Codes
    codes: Codes
    n: int

    @cached_property
    def sizes(self) -> Codes:
        """(n,) voxels of each part."""
        return np.bincount(self.codes, minlength=self.n)

    @cached_property
    def _by_part(self) -> tuple[Codes, Codes]:
        return np.argsort(self.codes, kind="stable"), np.concatenate([[0], np.cumsum(self.sizes)])

    def voxels(self, parts: Codes) -> Codes:
        """(n, n_axes) indices of the voxels of some parts."""
        order, ends = self._by_part
        found: Codes = self.where[np.concatenate([order[ends[part] : ends[part + 1]] for part in parts])]
        return found


def components(mask: Mask, connectivity: int) -> tuple[NDArray[np.integer[Any]], int]:
    """The connected parts of a mask, numbered from 1 on, and how many there are.

    By connected-components-3d where it is installed, else by SciPy: the parts are the same, their numbers need not be.

    Args:
        mask: Booleans, 2-D or 3-D.
        connectivity: 6, 18 or 26, see `LesionRule`.
    """
    if not mask.size:
        return np.zeros(mask.shape, dtype=np.int32), 0
    if _has_cc3d():
        import cc3d

        neighbours = _NEIGHBOURS[mask.ndim, connectivity]
        parts, n = cc3d.connected_components(mask, connectivity=neighbours, return_N=True)
        return parts, int(n)
    from scipy import ndimage

    structure = ndimage.generate_binary_structure(mask.ndim, {6: 1, 18: 2, 26: 3}[connectivity])
    labelled, n_parts = ndimage.label(mask, structure=structure)
    return np.asarray(labelled), int(n_parts)


@cache
def _has_cc3d() -> bool:
    return find_spec("cc3d") is not None


def parts_of(mask: Mask, regions: NDArray[np.integer[Any]], n: int) -> Parts:
    """The voxels of a mask by the region they lie in, regions numbered in the order of the first voxel they hold."""
    where = _places(mask)
    given = regions[tuple(where.T)].astype(np.intp) - 1
    first = np.full(n, len(given), dtype=np.intp)
    first[given[::-1]] = np.arange(len(given))[::-1]
    number = np.empty(n, dtype=np.intp)
    number[np.argsort(first, kind="stable")] = np.arange(n)
    return Parts(where, number[given], n)


def _places(mask: Mask) -> Codes:
    """(n, n_axes) indices of the true voxels, in the order of the grid; looked for as they lie in memory."""
    if mask.flags.f_contiguous and not mask.flags.c_contiguous:
        turned = np.unravel_index(np.flatnonzero(mask.T), mask.T.shape)[::-1]
        order = np.argsort(np.ravel_multi_index(turned, mask.shape), kind="stable")
        return np.stack([axis[order] for axis in turned], axis=1)
    return np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), axis=1)


def shared_voxels(label: Parts, prediction: Parts, shape: tuple[int, ...]) -> Table:
    """(n_label, n_prediction) voxels that two parts have in common."""
    places, others = (np.ravel_multi_index(tuple(part.where.T), shape) for part in (label, prediction))
    # Both rise, so that no image is needed to find what they share.
    _, first, second = np.intersect1d(places, others, assume_unique=True, return_indices=True)
    return counts(label.codes[first], prediction.codes[second], (label.n, prediction.n))


def counts(rows: NDArray[np.integer[Any]], columns: NDArray[np.integer[Any]], shape: tuple[int, ...]) -> Table:
    """How often each pair of a row and a column occurs; rows below 0 are none."""
    from scipy import sparse

    inside = rows >= 0
    ones = np.ones(int(inside.sum()), dtype=np.intp)
    return sparse.coo_array((ones, (rows[inside], columns[inside])), shape=shape).tocsr()


def any_along(table: Table, axis: int) -> Mask:
    """Whether a row (axis 1) or a column (axis 0) has an entry."""
    return np.asarray(table.sum(axis=axis)).ravel() > 0


def n_without(table: Table) -> int:
    """How many columns have no entry."""
    return int((~any_along(table, 0)).sum())
