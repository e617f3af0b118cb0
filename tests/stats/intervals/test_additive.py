"""Differences that add up: those of the test itself, and intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from segfair import stats


@pytest.mark.parametrize("with_strata", [False, True])
@pytest.mark.parametrize("with_subjects", [False, True])
def test_parts_add_up_to_the_difference_that_is_tested(with_strata: bool, with_subjects: bool) -> None:
    rng = np.random.default_rng(5)
    n = 120
    members = rng.random(n) < 0.4
    parts = rng.normal(size=(3, n)) + 0.3 * members
    strata = rng.integers(0, 3, n) if with_strata else None
    subjects = rng.integers(0, 70, n) if with_subjects else None
    of = {"strata": strata, "subjects": subjects}
    test = stats.max_t(members[None], parts.sum(axis=0), rng=rng, permutations=19, **of)
    values, bounds = stats.additive_differences(members, parts, rng=rng, draws=200, **of)
    assert values.sum() == pytest.approx(test.difference[0], abs=1e-12)
    assert (bounds[:, 0] < values).all()
    assert (values < bounds[:, 1]).all()


def test_a_plain_difference_is_one_of_means() -> None:
    members = np.array([True, True, False, False, False])
    outcome = np.array([[1.0, 3.0, 1.0, 2.0, 6.0]])
    values, _ = stats.additive_differences(members, outcome, rng=np.random.default_rng(0), draws=100)
    assert values.tolist() == pytest.approx([2.0 - 3.0])


def test_intervals_are_as_wide_as_those_of_the_t_test() -> None:
    rng = np.random.default_rng(1)
    members = np.arange(400) < 100
    outcome = rng.normal(size=(1, 400))
    values, bounds = stats.additive_differences(members, outcome, rng=rng, draws=4000)
    inside, outside = outcome[0, :100], outcome[0, 100:]
    reach = 1.98 * np.sqrt(inside.var(ddof=1) / 100 + outside.var(ddof=1) / 300)
    assert bounds[0] == pytest.approx([values[0] - reach, values[0] + reach], abs=0.03)


def test_where_strata_leave_nobody_there_is_no_difference() -> None:
    members = np.arange(20) < 10
    values, bounds = stats.additive_differences(
        members, np.ones((2, 20)), strata=members.astype(int), rng=np.random.default_rng(0), draws=100
    )
    assert np.isnan(values).all()
    assert np.isnan(bounds).all()
