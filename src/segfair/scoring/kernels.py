"""The loops over voxels that scoring spends its time in, compiled by numba; each has an equal in NumPy and SciPy.

Imported only where masks are large enough to repay loading the compiler (`segfair.scoring.surfaces` decides). Arrays
are contiguous, their last axis is the row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["NO_SURFACE", "count_components", "nearest_by_rows", "surface_rows", "surface_voxels"]

NO_SURFACE = 20_000
"""Distance along a row in which there is no surface."""


def _compiled(function: Callable[..., Any]) -> Any:
    """The function compiled, kept on disk where a place for it can be written to."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@_compiled
def surface_voxels(labels: NDArray[np.uint8], outside_is_background: bool) -> NDArray[np.uint8]:
    """1 where a voxel is not 0 and has a face neighbour of another value, else 0.

    Args:
        labels: (Z, Y, X); an axis of length 1 has no neighbours.
        outside_is_background: Whether the outside of the array is a neighbour of value 0.
    """
    n_z, n_y, n_x = labels.shape
    surface = np.zeros(labels.shape, np.uint8)
    for z in range(n_z):
        for y in range(n_y):
            row = labels[z, y]
            for x in range(n_x):
                value = row[x]
                if value == 0:
                    continue
                differs = (x > 0 and row[x - 1] != value) or (x < n_x - 1 and row[x + 1] != value)
                if not differs:
                    differs = (y > 0 and labels[z, y - 1, x] != value) or (y < n_y - 1 and labels[z, y + 1, x] != value)
                if not differs:
                    differs = (z > 0 and labels[z - 1, y, x] != value) or (z < n_z - 1 and labels[z + 1, y, x] != value)
                if not differs and outside_is_background:
                    differs = (
                        (n_x > 1 and (x == 0 or x == n_x - 1))
                        or (n_y > 1 and (y == 0 or y == n_y - 1))
                        or (n_z > 1 and (z == 0 or z == n_z - 1))
                    )
                if differs:
                    surface[z, y, x] = 1
    return surface


@_compiled
def surface_rows(surface: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """The voxels of a surface, and how far along its own row each voxel of the grid is from one.

    Args:
        surface: (Z, Y, X), not 0 on the surface.

    Returns:
        (n, 3) indices in the order of the grid, and (Z, Y, X) steps to the nearest surface voxel of the same row;
        `NO_SURFACE` where the row has none.
    """
    n_z, n_y, n_x = surface.shape
    count = 0
    for value in surface.ravel():
        count += value != 0
    points = np.empty((count, 3), np.int32)
    along = np.empty(surface.shape, np.int16)
    n = 0
    for z in range(n_z):
        for y in range(n_y):
            row, out = surface[z, y], along[z, y]
            last = -1
            for x in range(n_x):
                if row[x]:
                    points[n, 0], points[n, 1], points[n, 2] = z, y, x
                    n += 1
                    # Half way from the voxel before, all the way from the edge of the row.
                    for between in range(last + 1, x):
                        out[between] = x - between if last < 0 else min(between - last, x - between)
                    out[x] = 0
                    last = x
            if last < 0:
                out[:] = NO_SURFACE
            else:
                for behind in range(last + 1, n_x):
                    out[behind] = behind - last
    return points, along


@_compiled
def nearest_by_rows(
    points: NDArray[np.int32],
    along: NDArray[np.int16],
    rows: NDArray[np.int32],
    across: NDArray[np.float64],
    reach: float,
    step: float,
    enough: float,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Squared distance of each point to a surface, looked for in row after row, nearest rows first.

    Args:
        points: (n, 3) indices (z, y, x).
        along: Steps to the surface along each row, see `surface_rows`.
        rows: (m, 2) offsets (z, y) of the rows to look at, rising by their distance.
        across: (m,) squared distances of these rows.
        reach: Squared distance below which no row is left out of `rows`.
        step: Distance of two voxels of a row.
        enough: A point found to be this near (squared) is not looked at any further.

    Returns:
        (n,) squared distances, and for each whether it is settled: exact, or if at most `enough` an upper bound.
    """
    n_z, n_y, _ = along.shape
    found = np.empty(len(points), np.float64)
    settled = np.ones(len(points), np.bool_)
    for i in range(len(points)):
        z, y, x = points[i, 0], points[i, 1], points[i, 2]
        best = np.inf
        done = False
        for k in range(len(across)):
            if across[k] >= best:
                done = True
                break
            a, b = z + rows[k, 0], y + rows[k, 1]
            if 0 <= a < n_z and 0 <= b < n_y:
                steps = along[a, b, x]
                if steps < NO_SURFACE:
                    length = steps * step
                    best = min(best, across[k] + length * length)
                    if best <= enough:
                        done = True
                        break
        found[i] = best
        settled[i] = done or best <= reach
    return found, settled


@_compiled
def count_components(mask: NDArray[np.uint8]) -> int:
    """How many parts a mask has, voxels that share a face, an edge or a corner being of one part.

    Args:
        mask: (Z, Y, X), not 0 inside.

    References:
        He, Chao, Suzuki. A Run-Based Two-Scan Labeling Algorithm. IEEE Trans. Image Process. 2008.
    """
    n_z, n_y, _ = mask.shape
    begin, first, last = _runs(mask)
    parent = np.arange(len(first))
    n_parts = len(first)
    for z in range(n_z):
        for y in range(n_y):
            row = z * n_y + y
            # The rows before this one that touch it.
            for a, b in ((z, y - 1), (z - 1, y - 1), (z - 1, y), (z - 1, y + 1)):
                if a >= 0 and 0 <= b < n_y:
                    n_parts -= _join_rows(parent, begin, first, last, row, a * n_y + b)
    return n_parts


@_compiled
def _runs(mask: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """First and last column of each run of a mask; those of row i are number `begin[i]` to `begin[i + 1]`."""
    n_z, n_y, n_x = mask.shape
    rows = mask.reshape(n_z * n_y, n_x)
    begin = np.zeros(n_z * n_y + 1, np.int64)
    for row in range(len(rows)):
        begin[row + 1] = begin[row]
        before = np.uint8(0)
        for x in range(n_x):
            begin[row + 1] += rows[row, x] != 0 and before == 0
            before = rows[row, x]
    first, last = np.empty(begin[-1], np.int32), np.empty(begin[-1], np.int32)
    run = -1
    for row in range(len(rows)):
        if begin[row] == begin[row + 1]:
            continue
        before = np.uint8(0)
        for x in range(n_x):
            if rows[row, x]:
                if before == 0:
                    run += 1
                    first[run] = x
                last[run] = x
            before = rows[row, x]
    return begin, first, last


@_compiled
def _join_rows(
    parent: NDArray[np.int64],
    begin: NDArray[np.int64],
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    row: int,
    other_row: int,
) -> int:
    """Joins the runs of two neighbouring rows that touch; how many joins that took."""
    n_joined = 0
    run, other = begin[row], begin[other_row]
    while run < begin[row + 1] and other < begin[other_row + 1]:
        if first[run] <= last[other] + 1 and first[other] <= last[run] + 1:
            n_joined += _join(parent, run, other)
        if last[run] < last[other]:
            run += 1
        else:
            other += 1
    return n_joined


@_compiled
def _join(parent: NDArray[np.int64], one: int, other: int) -> int:
    """Joins the trees of two runs; 1 where they were two."""
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    while parent[other] != other:
        parent[other] = parent[parent[other]]
        other = parent[other]
    if one == other:
        return 0
    parent[max(one, other)] = min(one, other)
    return 1
