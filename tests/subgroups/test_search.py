"""What is searched in a wide table: numbers by hand, what gives way first, and what readers are told."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.audit.made_up_audits import changed
from tests.score_fixtures import audit_of
from tests.subgroups.whole_lattice import mine_subgroups

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.audit.result import AuditResult
from segfair.audit.words import search_sentence
from segfair.compare.procedure import run_comparison
from segfair.errors import ConfigError
from segfair.handover.disclosure import share
from segfair.handover.pseudonyms import pseudonymise
from segfair.report.audit import page_data
from segfair.report.comparison.page import comparison_data
from segfair.subgroups.search import LeftOut, Search, SearchBounds, search_subgroups


def table_of(**columns: list[int]) -> AttributeTable:
    """Attributes by their codes; levels are called by them."""
    attributes = tuple(
        Attribute(name, tuple(map(str, range(max(codes) + 1))), np.array(codes, dtype=np.int16), name, "as given")
        for name, codes in columns.items()
    )
    n_cases = len(next(iter(columns.values())))
    return AttributeTable(tuple(f"case{index}" for index in range(n_cases)), attributes, {"note": "free text"})


def three_halves() -> AttributeTable:
    """Three attributes of two levels: 6 levels, 12 pairs of 10 to 12 cases, 8 triples of 5 or 6, 44 cases in all."""
    joint = [combination for combination in itertools.product((0, 1), repeat=3) for _ in range(5)]
    joint += [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]
    return table_of(**{name: [combination[place] for combination in joint] for place, name in enumerate("abc")})


def searched(table: AttributeTable, **options: object) -> tuple[list[frozenset[tuple[str, str]]], Search]:
    lattice, search = search_subgroups(
        table, SearchBounds(**{"min_support": 0.1, "min_cases": 5, "max_items": None, "budget": 26, **options})
    )
    return list(lattice.rows), search


def test_within_the_budget_the_whole_lattice_is_searched() -> None:
    rows, search = searched(three_halves())
    assert len(rows) == 26
    assert search == Search(None, 0.1, 0, (LeftOut("note", "free text"),), 5, 26, 0, None, 26)
    assert not search.is_cut
    words = "All 26 levels and combinations of attributes held by at least 10% of the cases were searched."
    assert search_sentence(search) == words


def test_beyond_the_budget_combinations_become_shorter() -> None:
    rows, search = searched(three_halves(), budget=25)
    assert sorted(map(len, rows)) == [1] * 6 + [2] * 12
    assert (search.max_items, search.min_support, search.n_searched) == (2, 0.1, 18)
    assert search.n_estimated == 26
    why = "there are more than the 25 subgroups that are searched"
    assert search.left_out == (LeftOut("combinations of more than 2 attributes", why), LeftOut("note", "free text"))
    assert search_sentence(search) == (
        "Not everything was searched: single levels, and combinations of up to 2 attributes held by at least 5 cases "
        "(10%), 18 in all of an estimated 26. Longer or rarer combinations were not looked at; choose fewer "
        "attributes (--attributes) to look further."
    )


def test_pairs_stay_and_those_of_few_cases_go() -> None:
    """Six levels, and as many of the pairs as a budget of twelve has room for, the largest first."""
    codes = {"a": [0] * 20 + [1] * 20, "b": ([0] * 12 + [1] * 8) * 2, "c": ([0] * 7 + [1] * 13) + [0] * 20}
    rows, search = searched(table_of(**codes), budget=12)
    # Five pairs have nine cases or more; four have eight: ab = 01 and 11, bc = 10 and 11.
    pairs = {" ".join(sorted("".join(item) for item in itemset)) for itemset in rows if len(itemset) == 2}
    assert pairs == {"a0 b0", "a1 b0", "a1 c0", "b0 c0", "a0 c1"}
    assert (search.max_items, search.min_count, search.min_support) == (2, 9, 9 / 40)
    assert LeftOut("combinations held by fewer than 9 cases", search.left_out[0].why) == search.left_out[1]
    assert len([itemset for itemset in rows if len(itemset) == 1]) == 6, "single levels do not go"


def test_a_length_set_by_hand_is_kept() -> None:
    rows, search = searched(three_halves(), max_items=2)
    assert len(rows) == 18
    assert (search.max_items, search.is_cut) == (2, False)
    assert search.left_out[0] == LeftOut("combinations of more than 2 attributes", "as asked for")
    assert search_sentence(search) == (
        "All 18 levels and combinations of up to 2 attributes held by at least 10% of the cases were searched."
    )
    rows, search = searched(three_halves(), max_items=3, budget=25)
    assert (search.max_items, search.is_cut) == (3, True)
    assert search.min_count == 6, "the triples of five cases go"
    assert sorted(map(len, rows)) == [1] * 6 + [2] * 12 + [3] * 4
    with pytest.raises(ConfigError, match="--max-items 0"):
        searched(three_halves(), max_items=0)
    rows, search = searched(three_halves(), max_items=1, budget=2)
    assert sorted(map(len, rows)) == [1] * 6, "single levels are all there, however small the budget"


def test_levels_with_the_same_cases_and_attributes_that_hardly_vary_are_not_combined() -> None:
    table = three_halves()
    twin = dataclasses.replace(table.attributes[1], name="twin", levels=("no", "yes"))
    odd = Attribute("odd", ("usual", "rare"), np.array([1] * 4 + [0] * 40, dtype=np.int16), "odd", "as given")
    wide = dataclasses.replace(table, attributes=(*table.attributes, twin, odd))
    rows, search = searched(wide)
    assert len(rows) == 26, "the lattice of the three"
    assert (search.max_items, search.is_cut, search.n_alone) == (None, False, 3)
    assert search.left_out == (
        LeftOut("odd", "not combined: all but 4 of 44 cases are usual"),
        LeftOut("twin = no", "not combined: the same cases as b = 0, which stands for both"),
        LeftOut("twin = yes", "not combined: the same cases as b = 1, which stands for both"),
        LeftOut("note", "free text"),
    )
    assert search_sentence(search).endswith(
        "were searched; those that are the same cases as another, or of an attribute that hardly varies, were not combined."
    )
    whole, search = searched(wide, budget=1000)
    assert len(whole) > 80, "while there is room for it, everything is as it was"
    assert search.n_alone == 0


def test_an_attribute_that_nobody_has_is_no_obstacle() -> None:
    table = table_of(sex=[0, 1] * 10, site=[-1] * 20, age=[0, 0, 1, 1] * 5)
    for budget, is_cut in ((26, False), (4, True)):
        found, search = searched(table, budget=budget)
        assert {("sex", "0")} in found
        assert not any(name == "site" for items in found for name, _ in items)
        assert search.is_cut is is_cut


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (26, "an estimated 26."),
        (67_000, "an estimated 67,000."),
        (2.1e6, "an estimated 2.1 million."),
        (4e8, "an estimated 400 million."),
        (1.1e10, "an estimated 11,000 million."),
        (3.5e24, "more than a million million."),
    ],
)
def test_estimates_are_said_as_people_say_them(count: float, said: str) -> None:
    assert f"18 in all of {said}" in search_sentence(Search(2, 0.1, 0, (), 5, 18, 0, count, 20))


@given(seed=st.integers(0, 2**32 - 1), budget=st.integers(10, 400), max_items=st.sampled_from([None, None, 1, 2, 3]))
@settings(max_examples=40, deadline=None)
def test_no_search_exceeds_its_budget_and_each_is_part_of_the_whole(
    seed: int, budget: int, max_items: int | None
) -> None:
    rng = np.random.default_rng(seed)
    n_cases = int(rng.integers(20, 80))
    table = table_of(
        **{f"a{index}": rng.integers(0, rng.integers(1, 5), n_cases).tolist() for index in range(rng.integers(1, 7))}
    )
    whole = mine_subgroups(table, min_support=0.1, max_items=max_items)
    lattice, search = search_subgroups(table, SearchBounds(0.1, 5, max_items, budget))
    if len(whole.rows) <= budget:
        assert list(lattice.rows.items()) == list(whole.rows.items())
        np.testing.assert_array_equal(lattice.matrix, whole.matrix)
        assert not search.is_cut
        return
    n_levels = sum(len(itemset) == 1 for itemset in lattice.rows)
    assert search.n_searched == len(lattice.rows) <= max(budget, n_levels)
    for itemset, row in lattice.rows.items():
        np.testing.assert_array_equal(lattice.matrix[row], whole.matrix[whole.rows[itemset]])
        assert len(itemset) == 1 or lattice.matrix[row].sum() >= search.min_count
        assert all(itemset - {item} in lattice.rows for item in itemset if len(itemset) > 1), "closed: Shapley needs it"


def wide_columns(rng: np.random.Generator, n_cases: int, n_columns: int) -> dict[str, list[str]]:
    return {f"column_{index}": rng.choice(list("xyz"), n_cases).tolist() for index in range(n_columns)}


@pytest.fixture(scope="module")
def cut() -> AuditResult:
    """An audit of 60 columns, whose budget does not hold all their pairs; women are worse off."""
    rng = np.random.default_rng(1)
    n_cases = 240
    sex = rng.choice(["f", "m"], n_cases)
    dice = np.clip(rng.normal(0.8, 0.08, n_cases) - 0.06 * (sex == "f"), 0, 1)
    columns = {"sex": sex.tolist(), **wide_columns(rng, n_cases, 59)}
    return audit_of({"dsc": dice.tolist()}, columns, primary=("sex",), max_subgroups=1500, subject_column=None)


@pytest.fixture(scope="module")
def page_of_cut(cut: AuditResult) -> dict[str, Any]:
    return page_data(cut, written="")


def test_an_audit_says_what_it_searched(cut: AuditResult, tmp_path: Path) -> None:
    search = cut.subgroups.search
    assert search is not None
    assert search.max_items == 2
    assert search.min_support > cut.about.config.min_support
    assert search.n_searched <= 1500
    assert search.n_tested == cut.subgroups.outcomes["dsc"].n_tested
    cut.save(tmp_path / "audit.json")
    tree = json.loads((tmp_path / "audit.json").read_text("utf-8"))
    assert {"max_items", "min_support", "n_tested", "left_out"} <= tree["search"].keys()
    assert tree["search"]["left_out"][0]["what"] == "combinations of more than 2 attributes"
    assert AuditResult.load(tmp_path / "audit.json").subgroups.search == search
    del tree["search"]
    for name in ("max_items", "max_subgroups"):
        del tree["config"][name]
    older = AuditResult.from_dict(tree)
    assert older.subgroups.search is None
    assert older.subgroups == dataclasses.replace(cut.subgroups, search=None)
    assert (
        "All combinations of levels with enough cases" in page_data(older, written="")["sections"]["method"]["search"]
    )


def test_the_page_tells_the_cut_among_the_alerts_and_the_method(cut: AuditResult, page_of_cut: dict[str, Any]) -> None:
    sections = page_of_cut["sections"]
    words = search_sentence(cut.subgroups.search)  # type: ignore[arg-type]
    told = [group for group in sections["alerts"]["groups"] if group["title"] == "What was not searched"]
    assert [group["texts"] for group in told] == [[words]]
    assert sections["method"]["search"] == words
    assert words not in sections["inputs"]["notices"]
    assert sections["subgroups"]["count"].startswith(
        f"{len(cut.subgroups['dsc']):,} subgroups of up to 2 attributes and"
    )
    listed = sections["columns"]["not_searched"]["rows"]
    assert listed[0][0]["text"] == "combinations of more than 2 attributes"


def test_the_page_draws_the_attributes_that_say_most_and_counts_the_others(
    cut: AuditResult, page_of_cut: dict[str, Any]
) -> None:
    data = page_of_cut
    sections = data["sections"]
    names = [entry["name"] for entry in sections["attributes"]]
    assert len(names) == 30
    assert names[0] == "sex", "fixed beforehand"
    rows = {row.subgroup.items: row for row in cut.subgroups["dsc"] if len(row.subgroup) == 1}
    best = {
        entry.name: min(row.p_adjusted or 1.0 for items, row in rows.items() if next(iter(items))[0] == entry.name)
        for entry in cut.attributes.facts
    }
    assert max(best[name] for name in names) <= min(p for name, p in best.items() if name not in names)
    assert data["attributes_note"].endswith("audit.json has the other 30.")
    assert {row[0]["text"] for row in sections["power"]["table"]["rows"]} == set(names)


def test_what_may_be_handed_on_tells_no_equal_groups(cut: AuditResult) -> None:
    told = LeftOut("sex = f", "not combined: the same cases as column_1 = x, which stands for both")
    search = dataclasses.replace(cut.subgroups.search, left_out=(told, LeftOut("note", "text such as P0001")))  # type: ignore[type-var]
    full = changed(cut, subgroups={"search": search}, attributes={"left_out": {"note": "text such as P0001"}})
    shared = share(full).subgroups.search
    assert shared is not None
    assert shared.left_out == (LeftOut("note", "made no attribute; the full report says why"),)
    assert shared.max_items == 2
    hidden = pseudonymise(full, b"0" * 32).subgroups.search
    assert hidden is not None
    assert hidden.left_out == (told, LeftOut("note", "made no attribute; the full report says why"))


def test_columns_that_are_added_leave_the_p_values_of_the_primary_attributes(cut: AuditResult) -> None:
    """Attributes fixed beforehand are a family of their own: how wide the table is does not matter to them."""
    columns = {name: cut.cases.scores.column(name) for name in ("sex", "column_0")}
    narrow = audit_of({"dsc": cut.cases.scores.column("dsc")}, columns, primary=("sex",))
    assert narrow.subgroups.search is not None
    assert not narrow.subgroups.search.is_cut
    assert narrow.subgroups.primary_levels == cut.subgroups.primary_levels
    (row, *_) = cut.subgroups.primary_levels.rows  # type: ignore[union-attr]
    assert row.p_adjusted is not None
    assert row.p_adjusted <= 0.05, "found in spite of 59 further columns"
    assert (narrow.verdict.kind, narrow.verdict.sentence) == (cut.verdict.kind, cut.verdict.sentence)


def test_a_comparison_says_what_it_searched(cut: AuditResult) -> None:
    comparison = run_comparison(cut, cut)
    assert comparison.search is not None
    assert (comparison.search.max_items, comparison.search.budget) == (2, 1500)
    assert comparison.search.n_tested == sum(row.significant is not None for row in comparison.subgroups["dsc"])
    words = search_sentence(comparison.search)
    sections = comparison_data(comparison, written="")["sections"]
    assert sections["alerts"].count(words) == 1
    assert sections["method"]["search"] == words
    assert len(sections["gaps"]) == 30


def test_the_terminal_tells_the_cut(call_cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    columns = wide_columns(rng, 120, 10)
    with (tmp_path / "sheet.csv").open("w") as file:
        print("id", *columns, sep=",", file=file)
        for index in range(120):
            print(f"p{index:03d}", *(values[index] for values in columns.values()), sep=",", file=file)
    with (tmp_path / "scores.csv").open("w") as file:
        print("id,dsc", *(f"p{index:03d},{rng.random():.4f}" for index in range(120)), sep="\n", file=file)
    given = (tmp_path / "scores.csv", tmp_path / "sheet.csv", "--permutations", "99", "--bootstrap", "100")
    # Ten columns of three levels: nearly every case has each of its 1,023 itemsets to itself.
    done = call_cli("audit-scores", *given, "--min-support", "0.001", "--out", tmp_path / "cut")
    assert done.returncode == 0, done.stderr
    tree = json.loads((tmp_path / "cut" / "audit.json").read_text("utf-8"))
    assert tree["search"]["n_estimated"] > 20_000 >= tree["search"]["n_searched"]
    (told,) = (line for line in done.stdout.splitlines() if line.startswith("Not everything was searched"))
    assert told in [alert["text"] for alert in tree["alerts"]]
    done = call_cli("audit-scores", *given, "--max-items", "1", "--out", tmp_path / "levels")
    assert done.returncode == 0, done.stderr
    assert "Not everything was searched" not in done.stdout
    tree = json.loads((tmp_path / "levels" / "audit.json").read_text("utf-8"))
    assert tree["config"]["max_items"] == tree["search"]["max_items"] == 1
    assert {len(row["items"]) for row in tree["subgroups"]["dsc"]} == {1}
    assert call_cli("audit-scores", *given, "--max-items", "0").returncode == 2
    done = call_cli("power", tmp_path / "sheet.csv", "--min-support", "0.001")
    assert done.returncode == 0, done.stderr
    assert "Not everything was searched" in done.stdout
