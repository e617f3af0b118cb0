"""Closed contours in one slice -> the pixels that they enclose. Exact: all arithmetic is in whole numbers.

The rule at the border: a pixel counts where its centre lies inside, or on a contour's line. Inside is by parity: a line
from the centre to the left crosses the contours of the slice an odd number of times, all of them taken together. So a
contour within another one is a hole (DICOM's CLOSEDPLANAR_XOR), one within the hole an island, and the channel of a
keyhole, which runs there and back, encloses nothing. Corners are rounded to 1/1024 of a pixel first, which is less
than the digits that are stored, so that a line meant to run through centres does.

References:
    DICOM PS3.3, C.8.8.6.3 "Representing Inner and Outer Contours".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["FURTHEST", "enclosed"]

FURTHEST = 100_000
"""Pixels from the first one beyond which no corner may lie, for the products to fit."""
_UNITS = 1024


def enclosed(contours: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels that some contours of one slice enclose.

    Args:
        contours: (n, 2) corners each, in pixels, along the axes of the result; 0 is the centre of the first pixel. A
            contour of one or two corners encloses nothing, and centres on it count. No corner beyond `FURTHEST`.
        shape: Of the result; what lies outside is cut off.
    """
    inside = np.zeros((shape[0] + 1, shape[1]), np.int64)
    on_line = np.zeros(shape, bool)
    edges = [_edges(contour) for contour in contours if len(contour)]
    if not edges:
        return on_line
    starts, ends = (np.concatenate(corners) for corners in zip(*edges, strict=True))
    _mark_level_edges(on_line, starts, ends)
    # From the lower end, which belongs to an edge, to the upper, which does not: so no corner is crossed twice.
    upward = (starts[:, 1] <= ends[:, 1])[:, None]
    low, high = np.where(upward, starts, ends), np.where(upward, ends, starts)
    first = np.clip(-(-low[:, 1] // _UNITS), 0, shape[1])
    last = np.clip(-(-high[:, 1] // _UNITS), 0, shape[1])
    n_rows = np.maximum(last - first, 0)
    edge = np.repeat(np.arange(len(low)), n_rows)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows) + first[edge]
    (x, y), (run, rise) = low[edge].T, (high - low)[edge].T
    crossing, rest = np.divmod(x * rise + (row * _UNITS - y) * run, rise * _UNITS)
    np.add.at(inside, (np.clip(crossing + 1, 0, shape[0]), row), 1)
    met = (rest == 0) & (crossing >= 0) & (crossing < shape[0])
    on_line[crossing[met], row[met]] = True
    odd: NDArray[np.bool_] = np.cumsum(inside[:-1], axis=0) % 2 == 1
    return odd | on_line


def _edges(contour: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    corners = np.rint(contour * _UNITS).astype(np.int64)
    return corners, np.roll(corners, -1, axis=0)


def _mark_level_edges(on_line: NDArray[np.bool_], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
    """Marks the centres on edges along a row, and on corners, which the crossings leave out at upper ends."""
    level = (starts[:, 1] == ends[:, 1]) & (starts[:, 1] % _UNITS == 0)
    spans = [(min(x, other), max(x, other), y) for (x, y), (other, _) in zip(starts[level], ends[level], strict=True)]
    spans += [(x, x, y) for x, y in starts[(starts % _UNITS == 0).all(axis=1)]]
    for left, right, y in spans:
        row = int(y // _UNITS)
        if 0 <= row < on_line.shape[1]:
            on_line[max(0, -(-left // _UNITS)) : max(0, right // _UNITS + 1), row] = True
