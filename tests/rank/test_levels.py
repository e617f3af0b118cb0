"""The levels of a team's cases against everybody else: what an audit says of them, and a gap by hand."""

from __future__ import annotations

import numpy as np
import pytest
from tests.rank_fixtures import CONFIG, made_up, noise

from segfair.rank.levels import compare_levels
from segfair.rank.procedure import attribute_plan, rank_scored
from segfair.subgroups.lattice import Subgroup


def test_a_group_that_is_served_worse_is_found() -> None:
    """Class b is 0.2 worse in thirty of sixty cases, for one of two teams."""
    base = 0.7 + noise(3)
    harmed = base - np.where(np.arange(60) % 2 == 0, 0.2, 0.0)
    ranking = rank_scored(made_up({"even": base, "harmed": harmed}, groups="bc" * 30), CONFIG)
    rows = {row.subgroup: row for row in ranking.levels["harmed"]}
    row = rows[Subgroup(frozenset({("breast_density", "b")}))]
    assert row.n == 30 and row.significant
    assert row.difference == pytest.approx(harmed[::2].mean() - harmed[1::2].mean())
    assert not any(row.significant for row in ranking.levels["even"])
    assert next(iter(ranking.levels["harmed"])) == row, "the most harmful first"


def test_without_an_attribute_there_is_no_level() -> None:
    scores = made_up({"only": 0.7 + noise(0)}, groups="b" * 60)
    table = scores.tables["only"]
    plan = attribute_plan(scores.cohort, CONFIG)
    nothing = compare_levels(scores.cohort, table, plan.apply(scores.cohort), CONFIG, metric="dsc")
    assert all(row.significant is None for row in nothing), "one level has nobody to be compared with"


def test_another_team_leads_where_the_leader_is_worse() -> None:
    """Class b is 0.2 worse for the leader alone: over all cases it leads by 0.1 on average, in b it is 0.1 behind."""
    base = 0.6 + noise(3)
    harmed = base + np.where(np.arange(60) % 2 == 0, -0.1, 0.3)
    ranking = rank_scored(made_up({"even": base, "harmed": harmed}, groups="bc" * 30), CONFIG, by="dsc")
    assert ranking.leaders == ("harmed",)
    within = {entry.level: entry for entry in ranking.within}
    assert within["b"].ranks == {"even": 1, "harmed": 2} and within["c"].ranks == {"even": 2, "harmed": 1}
    assert within["b"].means["harmed"] == pytest.approx(harmed[::2].mean())
    assert within["b"].n == 30
    assert within["b"].better_than_leader == ("even",) and within["c"].better_than_leader == ()
    assert within["b"].tau == -1 and within["c"].tau == 1
    assert within["b"].first["even"] == pytest.approx(1, abs=0.01)


def test_small_levels_have_no_order() -> None:
    base = 0.6 + noise(3)
    ranking = rank_scored(made_up({"one": base, "other": base - 0.1}, groups="b" * 55 + "c" * 5), CONFIG, by="dsc")
    assert [entry.level for entry in ranking.within] == ["b"]
    assert rank_scored(made_up({"one": base}, groups="b" * 60), CONFIG, by="dsc").within == ()


def test_a_distance_is_better_the_smaller_it_is() -> None:
    near, far = np.full(60, 0.1), np.full(60, 0.2)
    base = 0.6 + noise(3)
    scores = made_up({"one": base, "other": base}, {"one": near, "other": far}, groups="bc" * 30)
    ranking = rank_scored(scores, CONFIG, by="normhd")
    lowest = {entry.level: entry for entry in ranking.within}["b"]
    assert lowest.ranks == {"one": 1, "other": 2}
    assert lowest.means == pytest.approx({"one": 0.1, "other": 0.2})
