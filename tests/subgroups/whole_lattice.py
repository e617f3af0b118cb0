"""The whole lattice of a table, as DivExplorer has it: however many subgroups there are."""

from __future__ import annotations

from segfair.attributes.fit import AttributeTable
from segfair.subgroups.lattice import Membership, combine_items, frequent_items, least_count


def mine_subgroups(table: AttributeTable, *, min_support: float, max_items: int | None = None) -> Membership:
    """All combinations of at most `max_items` items that at least a share of the cases, and one case, have."""
    least = least_count(min_support, len(table.case_ids))
    return combine_items(table, frequent_items(table, least), min_count=least, max_items=max_items)
