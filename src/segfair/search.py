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

import numpy as np

from segfair.attributes import AttributeTable
from segfair.errors import ConfigError
from segfair.itemsets import Items, count_itemsets, estimate_itemsets
from segfair.results import AuditConfig, LeftOut, Search
from segfair.subgroups import Item, Membership, combine_items, frequent_items, item_members, least_count, pack_items

__all__ = ["mine_within", "search_subgroups"]


def search_subgroups(table: AttributeTable, config: AuditConfig) -> tuple[Membership, Search]:
    """`mine_within` the bounds that an audit's settings name."""
    return mine_within(
        table,
        min_support=config.min_support,
        min_cases=config.min_cases,
        max_items=config.max_items,
        budget=config.max_subgroups,
    )


def mine_within(
    table: AttributeTable, *, min_support: float, min_cases: int, max_items: int | None = None, budget: int
) -> tuple[Membership, Search]:
    """Mines the subgroups of some cases, as many as a budget allows.

    Args:
        table: Categorical attributes of the cases.
        min_support: Smallest share of cases of a subgroup.
        min_cases: Smallest number of members, and of others, of a subgroup that will be judged.
        max_items: Most attributes of a combination, set by hand; None: as many as the budget allows.
        budget: Most levels and combinations that are mined; all single levels are, however many.

    Returns:
        The lattice, and what it covers (`n_tested` still 0). Within the budget it is that of `mine_subgroups`, to the
        last row.

    Raises:
        ConfigError: A length below 1.
    """
    if max_items is not None and max_items < 1:
        raise ConfigError(f"--max-items {max_items}: a combination has at least one attribute; give 1 or more")
    least = least_count(min_support, len(table.case_ids))
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
        min_support=count / len(table.case_ids) if count > least else min_support,
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
