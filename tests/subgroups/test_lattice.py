"""The lattice against DivExplorer itself, hand-made numbers, and what happens at the edges."""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.subgroups.whole_lattice import mine_subgroups

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.subgroups.lattice import (
    Estimate,
    Subgroup,
    describe_divergences,
    divergences,
    global_item_divergence,
    redundant,
    shapley_values,
    with_levels,
)

AWKWARD = ["sex = f", "a=b", "x & y", "größe µ", "", "1,2", "missing", "=", "a", "<b>"]


def make_table(codes: dict[str, list[int]], levels: dict[str, list[str]] | None = None) -> AttributeTable:
    attributes = []
    for name, values in codes.items():
        names = levels[name] if levels else [str(code) for code in range(max(values, default=-1) + 1)]
        attributes.append(Attribute(name, tuple(names), np.array(values, dtype=np.int16), name, "as given", ()))
    n_cases = len(next(iter(codes.values()))) if codes else 0
    return AttributeTable(tuple(f"case{index}" for index in range(n_cases)), tuple(attributes), {})


def random_table(rng: np.random.Generator, n_cases: int, most: int = 3) -> AttributeTable:
    names = rng.choice(AWKWARD, size=rng.integers(1, most + 1), replace=False)
    codes, levels = {}, {}
    for name in names:
        n_levels = int(rng.integers(2, 5))
        codes[str(name)] = rng.integers(-1, n_levels, size=n_cases).tolist()
        levels[str(name)] = [str(level) for level in rng.choice(AWKWARD, size=n_levels, replace=False)]
    return make_table(codes, levels)


def divexplorer_patterns(table: AttributeTable, outcome: np.ndarray, min_support: float) -> pd.DataFrame:
    """DivExplorer's own answer, on columns named so that nothing is ambiguous: `q0=z2`."""
    from divexplorer import DivergenceExplorer

    least = min_support * len(outcome)
    if not any(np.bincount(entry.codes[entry.codes >= 0], minlength=1).max() >= least for entry in table.attributes):
        return pd.DataFrame({"itemset": []})  # where nothing is frequent, DivExplorer 0.2.6 fails on pandas 3
    frame = pd.DataFrame(
        {
            f"q{index}": pd.Series([f"z{code}" if code >= 0 else None for code in attribute.codes], dtype=object)
            for index, attribute in enumerate(table.attributes)
        }
    )
    frame["y"] = outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DivergenceExplorer(frame).get_pattern_divergence(min_support=min_support, quantitative_outcomes=["y"])


def decode(table: AttributeTable, itemset: frozenset[str]) -> frozenset[tuple[str, str]]:
    items = set()
    for item in itemset:
        column, level = item.split("=")
        attribute = table.attributes[int(column[1:])]
        items.add((attribute.name, attribute.levels[int(level[1:])]))
    return frozenset(items)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_divergence_support_and_t_equal_divexplorers_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = random_table(rng, n_cases=int(rng.integers(12, 60)))
    outcome = rng.beta(4, 1.3, size=len(table.case_ids))
    # Not a whole number of cases, so that neither side can round the threshold its own way.
    min_support = (int(rng.integers(2, 6)) - 0.5) / len(outcome)
    patterns = divexplorer_patterns(table, outcome, min_support)
    membership = mine_subgroups(table, min_support=min_support)
    described = {
        row.subgroup.items: row for row in describe_divergences(membership, outcome, name="dsc", better="higher")
    }

    theirs = {
        decode(table, itemset): row
        for itemset, row in zip(patterns["itemset"], patterns.to_dict("records"), strict=True)
    }
    theirs.pop(frozenset(), None)
    assert set(membership.rows) == set(theirs)
    for items, row in theirs.items():
        ours = described[membership.subgroups[membership.rows[items]].items]
        assert ours.support == pytest.approx(row["support"], abs=1e-12)
        assert ours.mean == pytest.approx(row["y"], abs=1e-12)
        assert ours.divergence == pytest.approx(row["y_div"], abs=1e-12)
        assert ours.t == pytest.approx(row["y_t"], rel=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_the_lattice_is_divexplorers_row_by_row(seed: int) -> None:
    """The same itemsets and members, shorter ones first and then in the order of items; equal members share a row."""
    rng = np.random.default_rng(seed)
    table = random_table(rng, n_cases=int(rng.integers(12, 80)), most=6)
    if rng.random() < 0.5:  # an attribute of another name with the same cases, and one that everybody shares
        twin = dataclasses.replace(table.attributes[0], name="twin")
        whole = Attribute("whole", ("all",), np.zeros(len(table.case_ids), dtype=np.int16), "whole", "as given")
        table = dataclasses.replace(table, attributes=(whole, *table.attributes, twin))
    count = int(rng.integers(1, 8))
    patterns = divexplorer_patterns(
        table, np.arange(len(table.case_ids), dtype=float), (count - 0.5) / len(table.case_ids)
    )
    items = [(entry.name, level) for entry in table.attributes for level in entry.levels]
    who = {
        (entry.name, level): entry.codes == code
        for entry in table.attributes
        for code, level in enumerate(entry.levels)
    }
    theirs = sorted(
        (decode(table, itemset) for itemset in patterns["itemset"] if itemset),
        key=lambda itemset: (len(itemset), sorted(map(items.index, itemset))),
    )
    first_with: dict[bytes, frozenset[tuple[str, str]]] = {}
    named = {
        itemset: first_with.setdefault(np.logical_and.reduce([who[item] for item in itemset]).tobytes(), itemset)
        for itemset in theirs
    }

    found = mine_subgroups(table, min_support=count / len(table.case_ids))
    assert list(found.rows) == theirs
    assert [subgroup.items for subgroup in found.subgroups] == list(dict.fromkeys(named.values()))
    assert {itemset: found.subgroups[row].items for itemset, row in found.rows.items()} == named
    for subgroup, members in zip(found.subgroups, found.matrix, strict=True):
        np.testing.assert_array_equal(members, np.logical_and.reduce([who[item] for item in subgroup.items]))

    shorter = mine_subgroups(table, min_support=count / len(table.case_ids), max_items=2)
    assert list(shorter.rows) == [itemset for itemset in theirs if len(itemset) <= 2]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_shapley_pruning_and_global_divergence_equal_divexplorers_processor(seed: int) -> None:
    from divexplorer.pattern_processor import DivergencePatternProcessor

    rng = np.random.default_rng(seed)
    table = random_table(rng, n_cases=40)
    outcome = rng.normal(size=40)
    patterns = divexplorer_patterns(table, outcome, 1.5 / 40)
    processor = DivergencePatternProcessor(patterns, "y")
    membership = mine_subgroups(table, min_support=1.5 / 40)
    gaps = divergences(membership, outcome)

    for itemset in patterns["itemset"]:
        if itemset:
            theirs = {
                next(iter(decode(table, item))): value for item, value in processor.shapley_value(itemset).items()
            }
            assert shapley_values(membership, gaps, Subgroup(decode(table, itemset))) == pytest.approx(
                theirs, abs=1e-10
            )
    theirs = {next(iter(decode(table, item))): value for item, value in processor.global_shapley_value().items()}
    assert global_item_divergence(membership, gaps) == pytest.approx(theirs, abs=1e-10)

    kept = {decode(table, itemset) for itemset in processor.redundancy_pruning(0.2)["itemset"] if itemset}
    pruned = redundant(membership, gaps, tolerance=0.2)
    # Itemsets with the same members are one subgroup of ours; its other names are no rows.
    names = {subgroup.items for subgroup in membership.subgroups}
    assert {membership.subgroups[row].items for row in np.flatnonzero(~pruned)} == kept & names


def test_shares_in_long_combinations_are_shapleys() -> None:
    """Eight attributes that vary little: shares by the definition, as a mean over orders in which items join."""
    rng = np.random.default_rng(2)
    table = make_table({f"a{index}": (rng.random(90) < 0.2).astype(int).tolist() for index in range(8)})
    membership = mine_subgroups(table, min_support=0.02)
    gaps = divergences(membership, rng.random(90))
    longest = Subgroup(max(membership.rows, key=len))
    assert len(longest) == 8

    def gap(items: frozenset[tuple[str, str]]) -> float:
        return float(gaps[membership.rows[items]]) if items else 0.0

    expected = dict.fromkeys(longest.items, 0.0)
    for order in itertools.permutations(sorted(longest.items)):
        for place, item in enumerate(order):
            expected[item] += gap(frozenset(order[: place + 1])) - gap(frozenset(order[:place]))
    expected = {item: total / math.factorial(8) for item, total in expected.items()}
    shares = shapley_values(membership, gaps, longest)
    assert shares == pytest.approx(expected, abs=1e-12)
    assert sum(shares.values()) == pytest.approx(gap(longest.items), abs=1e-12)
    potentials: dict[frozenset[tuple[str, str]], float] = {}
    for items in membership.rows:
        shared = shapley_values(membership, gaps, Subgroup(items), potentials=potentials)
        assert shared == pytest.approx(shapley_values(membership, gaps, Subgroup(items)), abs=1e-12)


def test_divergence_by_hand() -> None:
    table = make_table({"sex": [0, 0, 0, 1, 1, 1], "site": [0, 0, 1, 1, 1, 1]})
    outcome = np.array([0.2, 0.4, 0.9, 0.8, 0.9, 1.0])
    membership = mine_subgroups(table, min_support=0.3)
    rows = {row.subgroup.items: row for row in describe_divergences(membership, outcome, name="dsc", better="higher")}
    worst = rows[frozenset({("site", "0")})]
    assert (worst.n, worst.support) == (2, pytest.approx(1 / 3))
    assert worst.mean == pytest.approx(0.3)
    assert worst.rest_mean == pytest.approx(0.9)
    assert worst.divergence == pytest.approx(0.3 - 0.7)
    # The two items together hold the same cases as site = 0 alone and bear its name.
    assert [alias.items for alias in worst.aliases] == [frozenset({("site", "0"), ("sex", "0")})]
    assert frozenset({("site", "0"), ("sex", "0")}) not in rows


def test_most_harmful_comes_first_in_either_direction() -> None:
    table = make_table({"sex": [0, 0, 1, 1]})
    membership = mine_subgroups(table, min_support=0.1)
    outcome = np.array([1.0, 1.0, 5.0, 5.0])
    lowest = describe_divergences(membership, outcome, name="dsc", better="higher").rows[0]
    highest = describe_divergences(membership, outcome, name="hd95_mm", better="lower").rows[0]
    assert lowest.subgroup.items == {("sex", "0")}
    assert highest.subgroup.items == {("sex", "1")}


def test_a_missing_code_belongs_to_no_level_of_its_attribute() -> None:
    table = make_table({"sex": [0, 0, -1, 1], "site": [0, 0, 0, 0]})
    membership = mine_subgroups(table, min_support=0.25)
    members = {group.items: membership.matrix[row].tolist() for row, group in enumerate(membership.subgroups)}
    assert members[frozenset({("sex", "0")})] == [True, True, False, False]
    assert members[frozenset({("site", "0")})] == [True] * 4
    assert not any(level == "-1" for group in members for _, level in group)


@pytest.mark.parametrize("n_cases", [20, 60, 100, 300])
def test_support_means_a_number_of_cases_not_a_rounding_error(n_cases: int) -> None:
    for percent in range(1, 30):
        count = percent * n_cases // 100
        if count and count * 100 == percent * n_cases:
            table = make_table({"a": [0] * count + [1] * (n_cases - count)})
            found = mine_subgroups(table, min_support=percent / 100)
            assert Subgroup(frozenset({("a", "0")})) in found.subgroups, (percent, n_cases)


def test_equal_scores_have_no_enormous_t() -> None:
    table = make_table({"a": [0, 0, 0, 1, 1, 1]})
    outcome = np.full(6, 0.1 + 0.2)
    rows = describe_divergences(mine_subgroups(table, min_support=0.1), outcome, name="dsc", better="higher").rows
    assert [row.t for row in rows] == [None, None]
    assert all(row.divergence == pytest.approx(0.0, abs=1e-15) for row in rows)


def test_other_cases_join_by_the_same_items() -> None:
    train = make_table({"sex": [0, 0, 1, 1]}, {"sex": ["f", "m"]})
    test = make_table({"sex": [0, 1, 1]}, {"sex": ["m", "unknown"]})
    applied = mine_subgroups(train, min_support=0.1).apply(test)
    members = {group.items: applied.matrix[row].tolist() for row, group in enumerate(applied.subgroups)}
    assert members == {
        frozenset({("sex", "f")}): [False, False, False],
        frozenset({("sex", "m")}): [True, False, False],
    }
    assert divergences(applied, np.array([0.0, 1.0, 2.0])).tolist() == [0.0, -1.0]


@pytest.mark.parametrize("table", [make_table({}), make_table({"a": []}), make_table({"a": [-1, -1]}, {"a": ["x"]})])
def test_nothing_to_mine_is_an_empty_lattice(table: AttributeTable) -> None:
    membership = mine_subgroups(table, min_support=0.05)
    assert len(membership) == 0
    assert membership.matrix.shape == (0, len(table.case_ids))
    assert len(describe_divergences(membership, np.zeros(len(table.case_ids)), name="dsc", better="higher")) == 0


def test_mining_does_not_depend_on_the_outcome_and_keeps_the_lattice_closed() -> None:
    table = random_table(np.random.default_rng(3), 80)
    membership = mine_subgroups(table, min_support=0.05)
    for items in membership.rows:
        assert all(items - {item} in membership.rows for item in items if len(items) > 1)


def test_frame_has_one_row_a_subgroup() -> None:
    table = make_table({"sex": [0, 0, 1, 1]})
    described = describe_divergences(
        mine_subgroups(table, min_support=0.1), np.array([0.1, 0.2, 0.8, 0.9]), name="dsc", better="higher"
    )
    frame = described.to_frame()
    assert frame["subgroup"].tolist() == ["sex = 0", "sex = 1"]
    assert frame["divergence"].tolist() == pytest.approx([-0.35, 0.35])
    estimate = Estimate("difference", -0.7, (-0.9, -0.5), 0.01, 0.02, n_cases=4, n_subjects=None, units="cases")
    first = dataclasses.replace(described.rows[0], ci=(0.1, 0.2), ci_simultaneous=(0.05, 0.25), estimate=estimate)
    second = dataclasses.replace(described.rows[1], estimate=dataclasses.replace(estimate, ci=None))
    known, unknown = dataclasses.replace(described, rows=(first, second)).records()
    names = ("ci_low", "ci_high", "ci_simultaneous_low", "ci_simultaneous_high", "difference")
    ends = ("difference_low", "difference_high")
    assert [known[name] for name in (*names, *ends)] == [0.1, 0.2, 0.05, 0.25, -0.7, -0.9, -0.5]
    assert [unknown[name] for name in (*names, *ends)] == [None, None, None, None, -0.7, None, None]


def test_levels_too_rare_to_be_mined_join_behind_the_lattice() -> None:
    site = np.repeat([0, 1, 2, 3], [56, 30, 10, 4])
    # The scanner of the third site is its own: two names for one group.
    scanner = np.where(site == 2, 1, 0)
    scanner[site == 3] = -1
    table = make_table(
        {"site": site.tolist(), "scanner": scanner.tolist()}, {"site": list("ABCD"), "scanner": list("xy")}
    )
    lattice = mine_subgroups(table, min_support=0.2)
    found = with_levels(lattice, table, min_cases=10)
    assert found.subgroups[: len(lattice)] == lattice.subgroups
    np.testing.assert_array_equal(found.matrix[: len(lattice)], lattice.matrix)
    added = found.subgroups[len(lattice) :]
    assert [subgroup.items for subgroup in added] == [{("site", "C")}], "D has too few cases"
    assert found.sizes[-1] == 10
    assert found.rows[frozenset({("scanner", "y")})] == len(found) - 1
    assert [alias.name for alias in found.aliases()[len(found) - 1]] == ["scanner = y"]
    outcome = np.random.default_rng(0).random(100)
    mined = {row.subgroup: row for row in describe_divergences(lattice, outcome, name="dsc", better="higher")}
    joined = {row.subgroup: row for row in describe_divergences(found, outcome, name="dsc", better="higher")}
    for subgroup, row in mined.items():
        assert joined[subgroup].divergence == pytest.approx(row.divergence, abs=1e-12)
        assert joined[subgroup].shapley == pytest.approx(row.shapley, abs=1e-12)
        assert joined[subgroup].redundant == row.redundant
    assert with_levels(found, table, min_cases=10).subgroups == found.subgroups


def test_the_worst_are_ten_unless_said_otherwise() -> None:
    rng = np.random.default_rng(3)
    table = make_table({"site": rng.integers(0, 15, 300).tolist()})
    described = describe_divergences(
        mine_subgroups(table, min_support=0.01), rng.normal(0.8, 0.1, 300), name="dsc", better="higher"
    )
    assert len(described) == 15
    assert described.worst() == described.rows[:10]
    assert described.worst(3) == described.rows[:3]
