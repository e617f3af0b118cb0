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
