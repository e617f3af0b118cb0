"""Which items occur together in enough cases: frequent itemsets over packed bits, level by level.

Arrays only: an item is a row of bits and the number of its attribute. Knows no names, outcomes or cohorts. Every step
works on a block of candidates, so that memory grows with the itemsets that are kept and never with those looked at.

References:
    Agrawal, Srikant. Fast Algorithms for Mining Association Rules. VLDB 1994 (level by level).
    Zaki. Scalable Algorithms for Association Mining. IEEE TKDE 2000 (intersecting the members of items: Eclat).
    Knuth. Estimating the Efficiency of Backtrack Programs. 1975 (the size of what is not enumerated, from a sample).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Items", "Itemsets", "count_itemsets", "estimate_itemsets", "frequent_itemsets"]

_BLOCK_WORDS = 1 << 20
"""Words of 64 cases that are intersected at a time: 8 MiB, and some four such arrays exist together."""
_SAMPLE = 500
"""Itemsets of each length that are drawn for an estimate."""
_COUNTLESS = 1e12
"""From so many itemsets on nobody asks how many more there are."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """Items that may be combined.

    Attributes:
        bits: (n_items, n_words) their members, 64 cases a word.
        attribute: (n_items,) number of the attribute of each, ascending; two items of one attribute never combine.
    """

    bits: NDArray[np.uint64]
    attribute: NDArray[np.intp]

    @classmethod
    def of(cls, members: NDArray[np.bool_], attribute: NDArray[np.intp]) -> Items:
        """Packs (n_items, n_cases) members."""
        packed = np.packbits(members, axis=1)
        padded = np.zeros((len(packed), -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
        padded[:, : packed.shape[1]] = packed
        return cls(padded.view(np.uint64), attribute)

    def __len__(self) -> int:
        return len(self.bits)


@dataclass(frozen=True, slots=True, eq=False)
class Itemsets:
    """Itemsets of one length, in the order of their items.

    Attributes:
        items: (n_itemsets, length) positions of the items, ascending within each row.
        bits: (n_itemsets, n_words) cases that have all of them.
    """

    items: NDArray[np.intp]
    bits: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.items)

    def members(self, n_cases: int) -> NDArray[np.bool_]:
        """(n_itemsets, n_cases) the cases of each."""
        return np.unpackbits(self.bits.view(np.uint8), axis=1, count=n_cases).astype(bool)


def frequent_itemsets(items: Items, *, min_count: int, max_items: int | None = None) -> Iterator[Itemsets]:
    """Enumerates the itemsets of at least `min_count` cases.

    Args:
        items: All of them are itemsets of length 1, whatever their number of cases.
        min_count: Fewest cases of a longer one, at least 1.
        max_items: Longest; None: whatever occurs.

    Yields:
        The itemsets of length 1, then 2, and so on; nothing without items.
    """
    found = _singles(items)
    while len(found):
        yield found
        if found.items.shape[1] == max_items:
            return
        found = _joined(list(_extend(found, items, min_count)), found)


def count_itemsets(items: Items, *, min_count: int, max_items: int | None = None, limit: int) -> tuple[list[int], bool]:
    """Numbers of itemsets that `frequent_itemsets` would yield.

    Never holds more than the itemsets of two lengths, `limit` of them at most, and one block.

    Args:
        items: As there.
        min_count: As there.
        max_items: As there.
        limit: Counting stops as soon as there are more.

    Returns:
        The number of each length that could be counted whole, the shortest first, and whether these are all.
    """
    found = _singles(items)
    counts: list[int] = []
    while len(found):
        if sum(counts) + len(found) > limit:
            return counts, False
        counts.append(len(found))
        if found.items.shape[1] == max_items:
            break
        pieces, n_found = [], sum(counts)
        for piece in _extend(found, items, min_count):
            n_found += len(piece)
            if n_found > limit:
                return counts, False
            pieces.append(piece)
        found = _joined(pieces, found)
    return counts, True


def estimate_itemsets(items: Items, *, min_count: int, max_items: int | None = None) -> float:
    """About how many itemsets `frequent_itemsets` would yield, without enumerating them.

    An itemset of k items has k parents, one without each of its items, and all of them are frequent. So the number of
    one length is the number of the length before, times the mean number of items that extend one of those, over k; and
    where some of one length are drawn evenly, so are their extensions. Exact as long as no more are met than are drawn;
    from a million million on a number that there are at least.
    """
    rng = np.random.default_rng(0)  # the same estimate each time
    found = _singles(items)
    n_of_length = float(len(found))
    total = n_of_length
    while len(found) and found.items.shape[1] != max_items and total < _COUNTLESS:
        parent, item = _extensions(found, items, min_count)
        n_of_length *= len(parent) / len(found) / (found.items.shape[1] + 1)
        total += n_of_length
        if len(parent) > _SAMPLE:
            drawn = rng.choice(len(parent), _SAMPLE, replace=False)
            parent, item = parent[drawn], item[drawn]
        found = Itemsets(
            np.column_stack([found.items[parent], item]),
            found.bits[parent] & items.bits[item],
        )
    return total


def _extensions(parents: Itemsets, items: Items, min_count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each parent with each item that is not in it and shares enough cases with it: positions of both."""
    step = max(1, _BLOCK_WORDS // max(1, items.bits.size))
    found = []
    for first in range(0, len(parents), step):
        block = slice(first, first + step)
        counts = np.bitwise_count(parents.bits[block, None] & items.bits).sum(axis=2, dtype=np.intp)
        np.put_along_axis(counts, parents.items[block], 0, axis=1)
        parent, item = np.nonzero(counts >= min_count)
        found.append((parent + first, item))
    return np.concatenate([parent for parent, _ in found]), np.concatenate([item for _, item in found])


def _singles(items: Items) -> Itemsets:
    return Itemsets(np.arange(len(items), dtype=np.intp)[:, None], items.bits)


def _joined(pieces: list[Itemsets], parents: Itemsets) -> Itemsets:
    """The pieces in a row; of the next length also where there are none."""
    nothing = Itemsets(np.empty((0, parents.items.shape[1] + 1), dtype=np.intp), parents.bits[:0])
    return Itemsets(
        np.concatenate([nothing.items, *(piece.items for piece in pieces)]),
        np.concatenate([nothing.bits, *(piece.bits for piece in pieces)]),
    )


def _extend(parents: Itemsets, items: Items, min_count: int) -> Iterator[Itemsets]:
    """Each parent with each item of a later attribute, as far as they share enough cases; a block at a time."""
    # Two levels of one attribute share no case: extension starts at the next attribute.
    first = np.searchsorted(items.attribute, items.attribute, side="right")[parents.items[:, -1]]
    ends = np.cumsum(len(items) - first)
    step = max(1, _BLOCK_WORDS // max(1, items.bits.shape[1]))
    begin = 0
    while begin < len(parents):
        done = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, done + step, side="right")))
        counts = len(items) - first[begin:end]
        parent = np.repeat(np.arange(begin, end), counts)
        item = np.arange(len(parent)) - np.repeat(ends[begin:end] - counts - done, counts) + first[parent]
        bits = parents.bits[parent] & items.bits[item]
        enough = np.bitwise_count(bits).sum(axis=1, dtype=np.intp) >= min_count
        if enough.any():
            yield Itemsets(np.column_stack([parents.items[parent[enough]], item[enough]]), bits[enough])
        begin = end
