"""Frequent itemsets against going through every combination, and counts and estimates against the enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import segfair.subgroups.itemsets
from segfair.subgroups import itemsets
from segfair.subgroups.itemsets import Items, count_itemsets, estimate_itemsets, frequent_itemsets


def random_members(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Items of one to six attributes, whose levels share no case; some cases have no level."""
    n_cases = int(rng.integers(0, 150))
    rows, attribute = [], []
    for index in range(int(rng.integers(1, 7))):
        n_levels = int(rng.integers(1, 4))
        codes = rng.integers(-1, n_levels, n_cases)
        rows += [codes == level for level in range(n_levels)]
        attribute += [index] * n_levels
    return np.array(rows, dtype=bool).reshape(len(rows), n_cases), np.array(attribute)


def every_itemset(
    members: np.ndarray, attribute: np.ndarray, min_count: int, max_items: int | None
) -> list[list[tuple[int, ...]]]:
    """By length, in the order of itertools: every combination of items of different attributes with enough cases."""
    found = [
        [
            items
            for items in itertools.combinations(range(len(members)), length)
            if length == 1
            or (
                len(set(attribute[list(items)])) == length
                and np.logical_and.reduce(members[list(items)]).sum() >= min_count
            )
        ]
        for length in range(1, (max_items or len(members)) + 1)
    ]
    return [itemsets for itemsets in found if itemsets]


@given(seed=st.integers(0, 2**32 - 1), min_count=st.integers(1, 30), max_items=st.sampled_from([None, 1, 2, 3]))
@settings(max_examples=60, deadline=None)
def test_itemsets_are_those_of_going_through_all_combinations(seed: int, min_count: int, max_items: int | None) -> None:
    members, attribute = random_members(np.random.default_rng(seed))
    items = Items.of(members, attribute)
    expected = every_itemset(members, attribute, min_count, max_items)
    found = list(frequent_itemsets(items, min_count=min_count, max_items=max_items))
    assert [[tuple(places) for places in entry.items.tolist()] for entry in found] == expected
    for entry in found:
        together = [np.logical_and.reduce(members[places]) for places in entry.items]
        np.testing.assert_array_equal(entry.members(members.shape[1]), together)
    total = sum(map(len, expected))
    lengths = [len(itemsets) for itemsets in expected]
    options = {"min_count": min_count, "max_items": max_items}
    assert count_itemsets(items, limit=total, **options) == (lengths, True)
    assert estimate_itemsets(items, **options) == pytest.approx(total, rel=0.1)
    fewer, complete = count_itemsets(items, limit=total - 1, **options)
    assert not complete
    assert fewer == lengths[: len(fewer)], "lengths that are counted are counted whole"
    assert sum(fewer) <= total - 1


def test_blocks_of_candidates_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    members, attribute = random_members(np.random.default_rng(5))
    whole = [entry.items.tolist() for entry in frequent_itemsets(Items.of(members, attribute), min_count=2)]
    assert len(whole) > 2
    monkeypatch.setattr(segfair.subgroups.itemsets, "_BLOCK_WORDS", 1)
    assert [entry.items.tolist() for entry in frequent_itemsets(Items.of(members, attribute), min_count=2)] == whole


def test_counting_stops_long_before_it_is_through() -> None:
    """Forty attributes that everybody has: a million million itemsets, of which no more than the limit is looked at."""
    members = np.ones((40, 70), dtype=bool)
    items = Items.of(members, np.arange(40))
    assert count_itemsets(items, min_count=1, limit=1000) == ([40, 780], False)
    assert count_itemsets(items, min_count=1, max_items=3, limit=10_700) == ([40, 780, 9880], True)


def test_an_estimate_comes_close_without_enumerating() -> None:
    everybody = Items.of(np.ones((40, 70), dtype=bool), np.arange(40))
    assert estimate_itemsets(everybody, min_count=1) == pytest.approx(2.0**40 - 1, rel=0.1)
    many = Items.of(np.ones((2000, 70), dtype=bool), np.arange(2000))
    assert estimate_itemsets(many, min_count=1) >= 1e12, "and no length is looked at beyond"
    # No pair of attributes is drawn from more than 500 itemsets here, so nothing is estimated at all.
    few = Items.of(np.ones((20, 70), dtype=bool), np.arange(20))
    assert estimate_itemsets(few, min_count=1, max_items=2) == 20 + 190
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (9, 400))
    rows = np.array([column == level for column in codes for level in range(3)])
    items = Items.of(rows, np.repeat(np.arange(9), 3))
    exact = sum(count_itemsets(items, min_count=4, limit=10**6)[0])
    assert exact > 10_000
    assert estimate_itemsets(items, min_count=4) == pytest.approx(exact, rel=0.1)


def test_combinations_are_made_and_counted_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # Four items of all ten cases: 3, 2, 1 and 0 later ones to go with.
    items = Items.of(np.ones((4, 10), dtype=bool), np.arange(4))
    singles = itemsets._singles(items)
    monkeypatch.setattr(itemsets, "_BLOCK_WORDS", 5)
    assert [len(block) for block in itemsets._extend(singles, items, 1)] == [5, 1]
    shapes = []

    def counting(bits: np.ndarray) -> np.ndarray:
        shapes.append(bits.shape)
        return np.array([int(word).bit_count() for word in bits.ravel()]).reshape(bits.shape)

    monkeypatch.setattr(itemsets, "_BLOCK_WORDS", 8)
    monkeypatch.setattr(np, "bitwise_count", counting)
    parent, item = itemsets._extensions(singles, items, 1)
    # Each of the four with the three others, two and two.
    assert sorted(zip(parent.tolist(), item.tolist(), strict=True)) == list(itertools.permutations(range(4), 2))
    assert [shape[0] for shape in shapes] == [2, 2]
