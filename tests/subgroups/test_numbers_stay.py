"""What is found in a made-up table, its divergences, shares and their order stay what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.numbers_that_stay import assert_numbers_stay

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.subgroups import itemsets
from segfair.subgroups.lattice import describe_divergences, divergences, global_item_divergence, pack_items, redundant
from segfair.subgroups.search import SearchBounds, search_subgroups

GOLD = Path(__file__).with_name("gold")


def table(n_cases: int, n_levels: tuple[int, ...], seed: int) -> AttributeTable:
    rng = np.random.default_rng(seed)
    attributes = [
        Attribute(
            f"a{index}", tuple(f"l{level}" for level in range(n)), rng.integers(-1, n, n_cases).astype(np.int16),
            f"a{index}", "as given", (),
        )
        for index, n in enumerate(n_levels)
    ]  # fmt: skip
    return AttributeTable(tuple(f"c{index}" for index in range(n_cases)), tuple(attributes), {})


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_of_a_lattice(better: Any) -> None:
    made = table(70, (2, 3, 4), 1)
    membership, _ = search_subgroups(made, SearchBounds(0.02, 2, None, 10_000))
    outcome = np.random.default_rng(2).beta(4, 1.3, 70).round(3) - 0.2 * (made.attributes[0].codes == 1)
    gaps = divergences(membership, outcome)
    described = describe_divergences(membership, outcome, name="dsc", better=better)
    columns = ("n", "support", "mean", "rest_mean", "divergence", "t", "redundant")
    found = {
        "names": [row.subgroup.name for row in described],
        "rows": {name: [getattr(row, name) for row in described] for name in columns},
        "shapley": [list((row.shapley or {}).values()) for row in described if len(row.subgroup) == 2][:8],
        "global": {str(item): value for item, value in sorted(global_item_divergence(membership, gaps).items())},
        "redundant": redundant(membership, gaps, tolerance=0.03),
        "columns": list(described.records()[0]),
    }
    found["shapley"] = [value for values in found["shapley"] for value in values]
    assert_numbers_stay(GOLD / f"lattice_{better}.json", found)


@pytest.mark.parametrize("budget", [3, 30, 200, 10_000])
def test_of_a_search_within_a_budget(budget: int) -> None:
    made = table(60, (2, 3, 3, 2, 5), 3)
    membership, search = search_subgroups(made, SearchBounds(0.05, 3, None, budget))
    names = ("max_items", "min_support", "n_tested", "min_count", "n_searched", "n_alone", "n_estimated", "budget")
    found = {name: getattr(search, name) for name in names}
    left_out = [f"{one.what}: {one.why}" for one in search.left_out]
    sizes = membership.sizes
    assert_numbers_stay(GOLD / f"search_{budget}.json", {**found, "left out": left_out, "sizes": sizes})


def test_of_counts_and_estimates_of_itemsets() -> None:
    made = table(90, (2, 3, 4, 2, 2), 4)
    items = pack_items(made, [(entry.name, level) for entry in made.attributes for level in entry.levels])
    found: dict[str, Any] = {}
    for least in (1, 3, 12):
        for most in (None, 1, 2, 3):
            name = f"{least} {most}"
            counts, whole = itemsets.count_itemsets(items, min_count=least, max_items=most, limit=150)
            found[name] = {
                "counts": counts,
                "whole": whole,
                "estimate": itemsets.estimate_itemsets(items, min_count=least, max_items=most),
                "sizes": [
                    int(s)
                    for f in itemsets.frequent_itemsets(items, min_count=least, max_items=most)
                    for s in f.members(90).sum(axis=1)
                ]
                if least > 1
                else [],
            }
    assert_numbers_stay(GOLD / "itemsets.json", found)
