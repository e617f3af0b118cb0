"""Which values the pictures (PNG, TIFF) in a folder of masks hold, all together. Never says what they mean."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from segfair.errors import InputError
from segfair.files.images.masks import read_mask
from segfair.files.images.pictures import is_picture

__all__ = ["MOST_LEVELS", "grey_levels"]

MOST_LEVELS = 16
"""A folder of more different values holds pictures in grey, not label maps (unless labels are named)."""


def grey_levels(paths: Iterable[Path]) -> tuple[int, ...]:
    """The values in the pictures among some masks, rising; other formats say themselves what they hold.

    The search ends early once there are more than `MOST_LEVELS`. A file that cannot be read has no values here; what is
    wrong with it is found when its case is scored.

    Args:
        paths: Mask files.
    """
    pictures = [path for path in paths if is_picture(path)]
    found: set[int] = set()
    # Decoding a picture leaves Python to others; a folder of thousands is read in a second or two.
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, len(pictures), 64):
            for values in pool.map(_values, pictures[start : start + 64]):
                found.update(values)
            if len(found) > MOST_LEVELS:
                break
    return tuple(sorted(found))


def _values(path: Path) -> tuple[int, ...]:
    try:
        array = read_mask(path).array
    except InputError:
        return ()
    if array.dtype == np.uint8:
        return tuple(int(value) for value in np.flatnonzero(np.bincount(array.ravel(), minlength=256)))
    return tuple(int(value) for value in np.unique(array)[: MOST_LEVELS + 1])
