"""Which subgroups are looked for: the whole lattice where it is small enough, else as much of it as a budget allows.

A wide table has more combinations of attributes than can be tested, and the more are tested the less any of them can
show. So they are counted before one is mined, and where there are too many the search gives way in a fixed order, which
no outcome decides:

1. a level with the same cases as an earlier one is left to it, and an attribute that hardly varies is not combined;
2. combinations become shorter, but not below pairs, nor below a length set by hand;
3. combinations of few cases stay out; single levels do not.

`Search` says what gave way. Tests nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segfair.attributes.fit import AttributeTable
from segfair.errors import ConfigError
from segfair.subgroups.itemsets import Items, count_itemsets, estimate_itemsets
from segfair.subgroups.lattice import (
    Item,
    Membership,
    combine_items,
    frequent_items,
    item_members,
    least_count,
    pack_items,
)

__all__ = ["LeftOut", "Search", "SearchBounds", "search_subgroups"]


@dataclass(frozen=True, slots=True)
class SearchBounds:
    """How far a search goes.

    Attributes:
        min_support: Smallest share of cases of a subgroup.
        min_cases: Smallest number of members, and of others, of a subgroup that will be judged.
        max_items: Most attributes of a combination, set by hand; None: as many as the budget allows.
        budget: Most levels and combinations that are mined; all single levels are, however many.
    """

    min_support: float
    min_cases: int
    max_items: int | None
    budget: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not searched, and why; both in plain words."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Search:
    """Which subgroups were looked for, and which were not.

    Attributes:
        max_items: Most attributes of a combination that was searched; None: no limit.
        min_support: Smallest share of cases of a combination that was searched; `min_count` is its number of cases.
            Single levels that were mined at a smaller one, or have `min_cases` cases, are there as well.
        n_tested: Subgroups in the family of the primary outcome's tests (`OutcomeFacts.n_tested`).
        left_out: What was not searched: longer or rarer combinations, attributes that hardly vary and levels that are
            the same cases as another, columns that made no attribute.
        n_searched: Mined levels and combinations.
        n_alone: Levels that were not combined: the same cases as another, or of an attribute that hardly varies.
        n_estimated: About how many there are within what was asked for (from a million million on, at least how many);
            None: they were all searched.
        budget: The most that are searched.
    """

    max_items: int | None
    min_support: float
    n_tested: int
    left_out: tuple[LeftOut, ...]
    min_count: int
    n_searched: int
    n_alone: int
    n_estimated: float | None
    budget: int

    @property
    def is_cut(self) -> bool:
        """Whether something that was asked for was not searched."""
        return self.n_estimated is not None


def search_subgroups(table: AttributeTable, bounds: SearchBounds) -> tuple[Membership, Search]:
    """Mines the subgroups of some cases, as many as a budget allows.

    Args:
        table: Categorical attributes of the cases.
        bounds: How far to go.

    Returns:
        The lattice, and what it covers (`n_tested` still 0). Within the budget it holds every combination of at least
        `min_support`, as DivExplorer's does.

    Raises:
        ConfigError: A length below 1.
    """
    min_cases, max_items, budget = bounds.min_cases, bounds.max_items, bounds.budget
    if max_items is not None and max_items < 1:
        raise ConfigError(f"--max-items {max_items}: a combination has at least one attribute; give 1 or more")
    least = least_count(bounds.min_support, len(table.case_ids))
    frequent = frequent_items(table, least)
    packed = pack_items(table, frequent)
    left_out = [LeftOut(_longer_than(max_items), "as asked for")] if max_items is not None else []
    combined, length, count = frequent, max_items, least
    if not count_itemsets(packed, min_count=least, max_items=max_items, limit=budget)[1]:
        combined, alone = _worth_combining(table, frequent, min_cases)
        length, count = _within(pack_items(table, combined), min_count=least, max_items=max_items, budget=budget)
        left_out += _gave_way(length if length != max_items else None, count if count > least else None, budget)
        left_out += alone
    is_cut = length != max_items or count > least
    lattice = combine_items(table, combined, min_count=count, max_items=length)
    return lattice, Search(
        max_items=length,
        min_support=count / len(table.case_ids) if count > least else bounds.min_support,
        n_tested=0,
        left_out=(*left_out, *(LeftOut(column, why) for column, why in table.left_out.items())),
        min_count=count,
        n_searched=len(lattice.rows),
        n_alone=len(frequent) - len(combined),
        n_estimated=_estimate(packed, least, max_items, budget) if is_cut else None,
        budget=budget,
    )


def _worth_combining(table: AttributeTable, items: Sequence[Item], min_cases: int) -> tuple[list[Item], list[LeftOut]]:
    """The items without those of attributes that hardly vary and those with the cases of an earlier one."""
    members, n_cases = item_members(table), len(table.case_ids)
    kept: dict[bytes, Item] = {}
    left_out = []
    hardly_vary = set()
    for attribute in table.attributes:
        sizes = np.bincount(attribute.codes[attribute.codes >= 0], minlength=1)
        n_others = n_cases - int(sizes.max())
        if n_others < max(1, min_cases):
            hardly_vary.add(attribute.name)
            why = f"not combined: all but {n_others:,} of {n_cases:,} cases are {attribute.levels[int(sizes.argmax())]}"
            left_out.append(LeftOut(attribute.name, why))
    for item in items:
        if item[0] not in hardly_vary:
            first = kept.setdefault(np.packbits(members[item]).tobytes(), item)
            if first != item:
                why = f"not combined: the same cases as {' = '.join(first)}, which stands for both"
                left_out.append(LeftOut(" = ".join(item), why))
    return list(kept.values()), left_out


def _within(items: Items, *, min_count: int, max_items: int | None, budget: int) -> tuple[int | None, int]:
    """The longest combination and the fewest cases of one with which the number of itemsets is within the budget."""
    if len(items) >= budget:
        return 1, min_count
    counts, complete = count_itemsets(items, min_count=min_count, max_items=max_items, limit=budget)
    if complete:
        return max_items, min_count
    if max_items is None and len(counts) >= 2:
        return len(counts), min_count
    length = 2 if max_items is None else max_items
    # Between one count that is too small and one that no combination reaches lies the smallest that fits.
    too_small, fits = min_count, int(np.bitwise_count(items.bits).sum(axis=1, dtype=np.intp).max()) + 1
    while fits - too_small > 1:
        middle = (too_small + fits) // 2
        if count_itemsets(items, min_count=middle, max_items=length, limit=budget)[1]:
            fits = middle
        else:
            too_small = middle
    return length, fits


def _estimate(items: Items, min_count: int, max_items: int | None, budget: int) -> float:
    """To two digits; never below what is known from counting."""
    return max(float(f"{estimate_itemsets(items, min_count=min_count, max_items=max_items):.2g}"), float(budget))


def _gave_way(length: int | None, count: int | None, budget: int) -> list[LeftOut]:
    """That longer combinations, and those of fewer cases, were not searched; None: nothing of the kind."""
    why = f"there are more than the {budget:,} subgroups that are searched"
    return [
        *([LeftOut(_longer_than(length), why)] if length is not None else []),
        *([LeftOut(f"combinations held by fewer than {count:,} cases", why)] if count is not None else []),
    ]


def _longer_than(length: int) -> str:
    return f"combinations of more than {length} attributes" if length > 1 else "combinations of attributes"
