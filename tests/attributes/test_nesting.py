"""Levels inside levels of other attributes: which are told, and which say nothing."""

from __future__ import annotations

import numpy as np

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.attributes.nesting import Nested, levels_around, nested_levels


def table(**columns: list[str]) -> AttributeTable:
    made = []
    for name, values in columns.items():
        levels = tuple(sorted(set(values)))
        codes = np.array([levels.index(value) for value in values], dtype=np.int16)
        made.append(Attribute(name, levels, codes, name, "as given", missing="missing"))
    n_cases = len(next(iter(columns.values())))
    return AttributeTable(tuple(f"c{index}" for index in range(n_cases)), tuple(made), {})


# 40 cases of Duke, 20 of them pre; 60 of other sites, all post.
SITE = ["Duke"] * 40 + ["NACT"] * 30 + ["ISPY"] * 30
MENOPAUSE = ["pre"] * 20 + ["post"] * 80


def test_a_level_that_one_site_alone_has() -> None:
    (found,) = nested_levels(table(menopause=MENOPAUSE, site=SITE), min_cases=10)
    # All 60 of NACT and ISPY are post, as are 80 of 100: 25 pairs * .8 ** 30 = .03 is what chance may give.
    assert found == Nested(("menopause", "pre"), ("site", "Duke"), 20, 40, False)


def test_a_level_of_nearly_everybody_holds_nobody_by_surprise() -> None:
    rest = ["Duke"] * 60 + ["NACT"] * 540
    assert nested_levels(table(kind=["x"] * 60 + ["y"] * 540, site=rest), min_cases=10) == ()
    nearly = table(kind=["x"] * 58 + ["y"] * 542, site=rest)
    assert [entry.outer for entry in nested_levels(nearly, min_cases=10)] == [("site", "Duke")], "542 of 600 are y"


def test_few_cases_inside_a_large_level_are_chance() -> None:
    # Five levels are 25 pairs, half of the cases are of A: 25 * .5 ** 11 = .012 is above .01, 25 * .5 ** 12 is not.
    site = ["A"] * 50 + ["B"] * 50
    fewer, enough = (["x"] * count + [*"yz" * 50][count:] for count in (11, 12))
    assert not nested_levels(table(kind=fewer, site=site), min_cases=10)
    assert [entry.inner for entry in nested_levels(table(kind=enough, site=site), min_cases=10)] == [("kind", "x")]


def test_small_levels_missing_values_and_twins_are_passed_over() -> None:
    assert not [e for e in nested_levels(table(m=MENOPAUSE, s=SITE), min_cases=21) if e.inner == ("m", "pre")]
    missing = table(m=["missing"] * 20 + ["post"] * 80, s=SITE)
    assert ("m", "missing") not in [entry.inner for entry in nested_levels(missing, min_cases=10)]
    around = table(kind=["x"] * 20 + ["y"] * 80, site=["missing"] * 40 + ["A"] * 60)
    assert ("site", "missing") not in [entry.outer for entry in nested_levels(around, min_cases=10)]
    twins = table(site=SITE, city=[name.lower() for name in SITE])
    assert nested_levels(twins, min_cases=10) == ()
    once = nested_levels(table(menopause=MENOPAUSE, site=SITE, city=[name.lower() for name in SITE]), min_cases=10)
    assert {name for entry in once for name, _ in (entry.inner, entry.outer)} == {"menopause", "site"}


def test_an_attribute_that_is_finer_throughout_comes_last() -> None:
    group = ["young"] * 50 + ["old"] * 50
    finer = ["0-20"] * 25 + ["21-40"] * 25 + ["41-60"] * 25 + ["61-80"] * 25
    other = ["x"] * 15 + ["y", "z"] * 42 + ["y"]
    found = nested_levels(table(age=finer, group=group, kind=other), min_cases=10)
    assert (found[0].inner, found[0].outer, found[0].is_every) == (("kind", "x"), ("age", "0-20"), False)
    assert [entry.inner[0] for entry in found if entry.is_every] == ["age"] * 4
    assert [entry.is_every for entry in found] == sorted(entry.is_every for entry in found)


def test_what_a_group_does_not_name_and_all_its_cases_have() -> None:
    sites = table(menopause=MENOPAUSE, site=SITE, city=[f"{name} city" for name in SITE], sex=["f", "m"] * 50)
    pre = np.array(MENOPAUSE) == "pre"
    assert levels_around(pre, frozenset({("menopause", "pre")}), sites) == {("site", "Duke"), ("city", "Duke city")}
    both = pre & (np.array(SITE) == "Duke")
    named = frozenset({("menopause", "pre"), ("site", "Duke")})
    assert levels_around(both, named, sites) == frozenset(), "the city is another name of the site"
    women = np.arange(100) % 2 == 0
    assert levels_around(women, frozenset({("sex", "f")}), sites) == frozenset()


def test_nearly_everybody_says_nothing_of_a_group() -> None:
    rare = table(sex=["f", "m"] * 50, site=["A", "B"] + ["A"] * 98)
    assert levels_around(np.arange(100) % 2 == 0, frozenset({("sex", "f")}), rare) == frozenset(), "99 are of A"
