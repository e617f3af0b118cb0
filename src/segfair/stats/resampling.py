"""How often and from which seed anything is resampled, and rearrangements of cases: at random or all of them.

A `Resampling` travels as one value. Rearrangements keep within blocks, or move whole subjects; they are index arrays
only: what is rearranged, and what is computed from it, is the caller's.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import crossed

__all__ = [
    "EXACT_LIMIT",
    "Resampling",
    "count_rearrangements",
    "draw_signs",
    "every_rearrangement",
    "random_rearrangements",
    "subject_rearrangements",
]

EXACT_LIMIT = math.factorial(7)
"""So many rearrangements are enumerated rather than drawn, even where fewer draws were asked for."""

_SIGN_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Resampling:
    """Seed and sizes of all that is random in an analysis.

    Attributes:
        seed: Of everything.
        draws: Resamples behind an interval.
        permutations: Rearrangements behind a p value.
        min_cases: Fewest members, and others, of a subgroup that is judged.
    """

    seed: int
    draws: int
    permutations: int
    min_cases: int

    def stream(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose: adding one analysis never changes the numbers of another."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])


def count_rearrangements(blocks: NDArray[np.integer]) -> int:
    """Number of rearrangements of cases within blocks, the identity included.

    Args:
        blocks: (n_cases,) codes of at least 0.
    """
    return math.prod(math.factorial(int(size)) for size in np.bincount(blocks))


def random_rearrangements(
    blocks: NDArray[np.integer], *, count: int, step: int, rng: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Draws rearrangements within blocks.

    The draws do not depend on `step`.

    Args:
        blocks: (n_cases,) ascending codes.
        count: How many to draw.
        step: How many to hand over at once.
        rng: Source of randomness.

    Yields:
        (at most `step`, n_cases) positions: row b puts case `positions[b, i]` into place i.
    """
    base = blocks.astype(np.float64)
    for first in range(0, count, step):
        keys = rng.random((min(step, count - first), len(blocks)))
        keys += base
        yield np.argsort(keys, axis=1)


def every_rearrangement(blocks: NDArray[np.integer], *, step: int) -> Iterator[NDArray[np.intp]]:
    """Enumerates all rearrangements within blocks, the identity first.

    Args:
        blocks: (n_cases,) ascending codes.
        step: How many to hand over at once.

    Yields:
        (at most `step`, n_cases) positions.
    """
    edges = np.flatnonzero(np.diff(blocks, prepend=-1, append=-1))
    movable = [(start, stop) for start, stop in itertools.pairwise(edges) if stop - start > 1]
    within = [np.array(list(itertools.permutations(range(start, stop)))) for start, stop in movable]
    total = math.prod(map(len, within))
    for first in range(0, total, step):
        which = np.arange(first, min(first + step, total))
        positions = np.tile(np.arange(len(blocks)), (len(which), 1))
        for (start, stop), orders in zip(movable, within, strict=True):
            which, pick = np.divmod(which, len(orders))
            positions[:, start:stop] = orders[pick]
        yield positions


def subject_rearrangements(
    subjects: NDArray[np.integer],
    strata: NDArray[np.integer],
    *,
    count: int,
    step: int,
    rng: np.random.Generator,
) -> Iterator[NDArray[np.intp]]:
    """Draws rearrangements that move all cases of a subject together.

    Subjects change places with subjects of equally many cases in the same stratum; a subject without such a partner
    stays where it is.

    Args:
        subjects: (n_cases,) codes.
        strata: (n_cases,) codes; a subject counts as being in the stratum of its first case.
        count: How many to draw.
        step: How many to hand over at once.
        rng: Source of randomness.

    Yields:
        (at most `step`, n_cases) positions.
    """
    _, first, subject, n_cases = np.unique(subjects, return_index=True, return_inverse=True, return_counts=True)
    kind = crossed(strata[first], n_cases)
    by_kind = np.argsort(kind, kind="stable")
    place = np.empty_like(by_kind)
    place[by_kind] = np.arange(len(by_kind))
    # Cases listed subject by subject; a case is told by its subject and its rank among the subject's cases.
    listed = np.argsort(subject, kind="stable")
    start = np.cumsum(n_cases) - n_cases
    rank = np.empty_like(listed)
    rank[listed] = np.arange(len(listed)) - start[subject[listed]]
    for order in random_rearrangements(kind[by_kind], count=count, step=step, rng=rng):
        source = by_kind[order]
        yield listed[start[source[:, place[subject]]] + rank]


def draw_signs(n_units: int, *, count: int, width: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Draws a sign for each unit, again and again.

    Args:
        n_units: Units that change sign together.
        count: How many to draw.
        width: Numbers that the caller makes of each draw, which bounds how many are handed over at once.
        rng: Source of randomness.

    Yields:
        (n_draws, n_units) of -1 and 1.
    """
    step = max(1, _SIGN_ELEMENTS // max(width, n_units, 1))
    for first in range(0, count, step):
        yield rng.integers(0, 2, size=(min(step, count - first), n_units)).astype(np.float64) * 2 - 1
