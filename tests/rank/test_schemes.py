"""Other ways to rank: by hand, against SciPy, and on what no way can tell apart."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from segfair.rank.schemes import Scheme, _midranks, rank_by_schemes, signed_rank_p, significance_points

TEAMS = ("a", "b", "c")


def schemes(values: dict[str, np.ndarray], *, draws: int = 100, **settings: object) -> dict[str, Scheme]:
    n_teams = len(next(iter(values.values())))
    declared = np.arange(1, n_teams + 1)
    found = rank_by_schemes(
        values,
        declared,
        TEAMS[:n_teams],
        rng=np.random.default_rng(0),
        draws=draws,
        **settings,  # type: ignore[arg-type]
    )
    return {entry.name: entry for entry in found}


@given(
    st.lists(
        st.one_of(st.integers(-4, 4), st.floats(-1, 1, allow_subnormal=False)).filter(
            lambda value: abs(value) > 1e-6 or value == 0
        ),
        min_size=1,
        max_size=30,
    )
)
def test_the_test_is_scipys(differences: list[float]) -> None:
    d = np.array(differences, dtype=float)
    if not d.any():
        assert signed_rank_p(d) == 1
        return
    expected = scipy.stats.wilcoxon(d, alternative="greater", method="approx", correction=True).pvalue
    n = np.count_nonzero(d)
    # SciPy corrects towards the mean of the statistic, R towards no difference: they differ where it lies below.
    if scipy.stats.rankdata(np.abs(d[d != 0]))[d[d != 0] > 0].sum() > n * (n + 1) / 4:
        assert signed_rank_p(d) == pytest.approx(expected, abs=1e-12)
    else:
        assert signed_rank_p(d) >= 0.5


def test_many_tests_at_once_are_each_by_itself() -> None:
    d = np.random.default_rng(1).normal(0.1, 1, (3, 4, 20))
    found = signed_rank_p(d)
    assert found.shape == (3, 4)
    assert found[2, 1] == signed_rank_p(d[2, 1])


def test_points_count_who_is_beaten() -> None:
    """Ten cases in one direction: p = 0.0029 (55 of 55, (27.5 - 0.5) / sqrt(385/4) = 2.75), below 0.05 / 6 in Holm."""
    base = np.linspace(0.5, 0.7, 10)
    steps = np.linspace(0.01, 0.02, 10)
    values = np.stack([base + 2 * steps, base + steps, base])[None]
    assert significance_points(values)[0].tolist() == [2, 1, 0]
    p = scipy.stats.norm.sf(27 / np.sqrt(385 / 4))
    assert signed_rank_p(steps) == pytest.approx(p)
    # Six cases are too few for Holm's first step (0.05 / 6): nobody beats anybody.
    assert significance_points(values[..., :6])[0].tolist() == [0, 0, 0]


def test_holm_stops_at_the_first_test_that_is_not_rejected() -> None:
    """Two teams, so two tests of one pair: the smaller p has to be below 0.025."""
    rng = np.random.default_rng(3)
    for _ in range(50):
        values = rng.normal(0, 1, (1, 2, 12)) + np.array([[[0.6], [0.0]]])
        p = float(signed_rank_p(values[0, 0] - values[0, 1]))
        assert significance_points(values)[0, 0] == (p <= 0.025)


def test_three_ways_on_three_cases() -> None:
    """dsc means .8, .7, .6 and hd means .2, .4, .3 (higher is better here): ranks 1 2 3 and 3 1 2."""
    dsc = np.array([[0.9, 0.9, 0.6], [0.7, 0.7, 0.7], [0.6, 0.6, 0.6]])
    hd = np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4], [0.3, 0.3, 0.3]])
    found = schemes({"dsc": dsc, "hd": hd})
    assert found["mean rank"].values == {"a": 2.0, "b": 1.5, "c": 2.5}
    assert found["mean rank"].ranks == {"a": 2, "b": 1, "c": 3}
    # Case 3: b is first with .7, a and c share .6 as 2.5 each.
    assert found["case ranks"].values == pytest.approx(
        {"a": (1 + 1 + 2.5 + 9) / 6, "b": (2 + 2 + 1 + 3) / 6, "c": (3 + 3 + 2.5 + 6) / 6}
    )
    assert found["significance points"].values == {"a": 0.0, "b": 0.0, "c": 0.0}
    assert found["significance points"].leaders == TEAMS
    # Declared 1 2 3 against 2 1 3: two pairs of three agree, so tau is 1/3.
    assert found["mean rank"].tau == pytest.approx(1 / 3)
    assert found["significance points"].tau is None


def test_a_team_that_is_always_better_is_always_first() -> None:
    base = np.random.default_rng(2).uniform(0.3, 0.7, 30)
    values = {"dsc": np.stack([base + 0.2, base + np.linspace(0, 0.1, 30), base])}
    for scheme in schemes(values, draws=200).values():
        assert scheme.ranks["a"] == 1
        assert scheme.rank_intervals["a"] == (1, 1)
        assert scheme.first == {"a": 1.0, "b": 0.0, "c": 0.0}


def test_equal_teams_share_the_first_place_in_every_cohort() -> None:
    base = np.random.default_rng(2).uniform(0.3, 0.7, 30)
    for scheme in schemes({"dsc": np.stack([base, base])}).values():
        assert scheme.ranks == {"a": 1, "b": 1}
        assert scheme.first == {"a": 0.5, "b": 0.5}


def test_patients_are_resampled_whole() -> None:
    """One patient has half of the cases, and all of a's wins: without her b is first, so a is not first for sure."""
    subjects = np.array([0] * 10 + list(range(1, 11)))
    a = np.array([0.9] * 10 + [0.5] * 10)
    values = {"dsc": np.stack([a, np.full(20, 0.65)])}
    by_case = schemes(values, draws=400)["mean rank"].first["a"]
    by_patient = schemes(values, draws=400, subjects=subjects)["mean rank"].first["a"]
    assert by_case > 0.7
    assert by_patient < by_case
    points = schemes(values, draws=400, subjects=subjects)["significance points"]
    assert sum(points.first.values()) == pytest.approx(1)


def test_a_single_team_is_not_ranked() -> None:
    assert schemes({"dsc": np.ones((1, 5))}) == {}


@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=6))
def test_midranks_are_scipys(rows: list[list[int]]) -> None:
    values = np.array(rows, dtype=float)
    for axis in (0, 1):
        assert np.array_equal(_midranks(values, axis=axis), scipy.stats.rankdata(values, axis=axis))
