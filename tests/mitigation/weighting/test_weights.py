"""The parts of a weight, each by hand, and the properties that every weight must have."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.mitigation.toy_training import SIX, SIX_DICE, SIX_TABLE, make_table
from tests.subgroups.whole_lattice import mine_subgroups

import segfair.mitigation.weighting.weights
from segfair.mitigation.weighting.reweighter import (
    DivergenceReweighter,
)
from segfair.mitigation.weighting.weights import (
    CaseWeights,
    Lattice,
    assign,
    bounded,
    cell_power,
    draw_cases,
    joint_codes,
    mean_one,
    mine_validation,
    necessity,
    reach_temperature,
    remember,
    spread_temperature,
    strengths,
    tilt,
)
from segfair.subgroups.lattice import Subgroup, divergences


def group(**items: str) -> Subgroup:
    return Subgroup(frozenset(items.items()))


def test_divergences_of_six_cases_by_hand() -> None:
    lattice = Lattice.over(mine_subgroups(SIX_TABLE, min_support=0.1), SIX_TABLE)
    gaps = dict(zip(lattice.itemsets, divergences(lattice.mined, SIX_DICE)[lattice.rows], strict=True))
    expected = {
        group(sex="f"): 0.15,
        group(sex="m"): -0.15,
        group(site="1"): 0.55 / 3,
        group(site="2"): -0.55 / 3,
        group(sex="f", site="1"): 0.2,
        group(sex="f", site="2"): 0.05,
        group(sex="m", site="1"): 0.15,
        group(sex="m", site="2"): -0.3,
    }
    assert gaps.keys() == expected.keys()
    assert all(gaps[name] == pytest.approx(value, abs=1e-12) for name, value in expected.items())


def test_strengths() -> None:
    gaps = np.array([-0.2, 0.0, 0.3])
    assert strengths(gaps, kind="absolute").tolist() == [0.2, 0.0, 0.3]
    assert strengths(gaps, kind="deficit").tolist() == [0.2, 0.0, 0.0]


def test_bounded_divergences_by_hand() -> None:
    # Noise variance .04 of a case: standard errors .2 sqrt(1/4 - 1/16) = .0866 and .2 sqrt(1/1 - 1/16) = .1936.
    gaps, sizes = np.array([-0.3, 0.3, -0.3, 0.0]), np.array([4, 4, 1, 16])
    left = bounded(gaps, sizes, 16, noise=0.04, deviations=2.0)
    assert left == pytest.approx([-0.3 + 2 * 0.0866025, 0.3 - 2 * 0.0866025, 0.0, 0.0], abs=1e-6)
    assert bounded(gaps, sizes, 16, noise=0.04, deviations=0.0).tolist() == gaps.tolist()
    assert bounded(np.zeros(1), np.zeros(1, dtype=np.intp), 0, noise=0.0, deviations=2.0).tolist() == [0.0]


def test_memory_by_hand() -> None:
    first, second = np.array([0.5, 0.0]), np.array([0.1, 0.4])
    assert remember(first, second, memory="none").tolist() == [0.1, 0.4]
    assert remember(None, first, memory="ema", rate=0.4).tolist() == [0.5, 0.0]
    assert remember(first, second, memory="ema", rate=0.4) == pytest.approx([0.34, 0.16])
    assert remember(None, first, memory="sum", rate=0.9).tolist() == [0.5, 0.0]
    assert remember(first, second, memory="sum", rate=0.9) == pytest.approx([0.55, 0.4])


def test_aggregations_by_hand() -> None:
    members = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0]], dtype=bool)
    strength = np.array([0.1, 0.4, 0.2])
    largest = assign(members, strength, how="max")
    assert largest.values.tolist() == [0.4, 0.2, 0.2, 0.0]
    assert largest.setter.tolist() == [1, 2, 2, -1]
    assert largest.outside.tolist() == [False, False, False, True]
    mean = assign(members, strength, how="mean")
    assert mean.values == pytest.approx([0.25, 0.15, 0.2, 0.0])
    assert mean.setter.tolist() == [1, 2, 2, -1]
    weighted = assign(members, strength, how="shapley", importance=np.array([1.0, 3.0, 0.0]))
    assert weighted.values == pytest.approx([(0.1 + 1.2) / 4, 0.1, 0.0, 0.0])
    # The third case's only subgroup has no part, yet no other subgroup may claim the case.
    assert weighted.setter.tolist() == [1, 0, 2, -1]
    with pytest.raises(ValueError, match="importance"):
        assign(members, strength, how="shapley")


def test_a_zero_strength_is_set_by_a_subgroup_of_the_case() -> None:
    members = np.array([[1, 0], [0, 1]], dtype=bool)
    assert assign(members, np.zeros(2)).setter.tolist() == [0, 1]


def test_necessity_tells_a_joint_effect_from_a_repeated_one() -> None:
    ids = tuple(map(str, range(8)))
    table = make_table(ids, {"a": list("11110000"), "b": list("11001100"), "c": list("10101010")})
    mined = mine_subgroups(table, min_support=0.1)
    # Only a = 1 with b = 1 fails; c has nothing to do with it.
    outcome = np.array([0.0, 0.0, 1, 1, 1, 1, 1, 1])
    gaps = divergences(mined, outcome)
    ab, ac, a = group(a="1", b="1"), group(a="1", c="1"), group(a="1")
    needed = necessity(mined, gaps, [a, ab, ac])
    assert needed[0] == 1.0
    # By symmetry both items carry half of the divergence.
    assert needed[1] == pytest.approx(1.0)
    assert needed[2] == pytest.approx(0.0, abs=1e-12)


def test_a_wide_validation_table_feeds_back_what_can_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    ids = tuple(map(str, range(40)))
    columns = {name: rng.choice(list("xyz"), 40).tolist() for name in "abcde"}
    table = make_table(ids, {**columns, "twin": columns["a"]})
    whole = mine_subgroups(table, min_support=0.001)
    found, search = mine_validation(table, min_support=0.001)
    assert not search.is_cut
    assert list(found.rows.items()) == list(whole.rows.items())
    np.testing.assert_array_equal(found.matrix, whole.matrix)
    monkeypatch.setattr(segfair.mitigation.weighting.weights, "_MOST_ITEMSETS", 150)
    found, search = mine_validation(table, min_support=0.001)
    assert search.is_cut
    assert search.n_searched <= 150
    levels = {items for items in whole.rows if len(items) == 1}
    assert len(levels) == 18
    assert levels <= found.rows.keys(), "training cases are told by their levels, those of the twin too"
    weights = DivergenceReweighter(table, table).update_array(rng.random(40))
    assert np.mean(weights.array) == pytest.approx(1.0)


def test_tilt_does_not_overflow() -> None:
    assert tilt(np.array([0.0, 1000.0]), 50.0).tolist() == [0.0, 1.0]
    assert tilt(np.zeros(0), 5.0).size == 0


def test_temperature_that_sets_itself_reaches_the_ratio() -> None:
    values = np.array([0.0, 0.05, 0.2])
    temperature = reach_temperature(values, ratio=8.0, largest=40.0)
    assert math.exp(temperature * 0.2) == pytest.approx(8.0)
    assert reach_temperature(np.array([0.0, 1e-4]), ratio=8.0, largest=40.0) == 40.0
    assert reach_temperature(np.zeros(3), ratio=8.0, largest=40.0) == 40.0


def test_mean_one_by_hand() -> None:
    # Two of four weights hit the cap of 1.5; the other two share what is left of 4 as 1 : 3.
    assert mean_one(np.array([1.0, 30, 20, 3]), cap=1.5) == pytest.approx([0.25, 1.5, 1.5, 0.75])
    assert mean_one(np.array([0.0, 0.0, 0.0, 9.0]), cap=2.0) == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])
    assert mean_one(np.array([1.0, 3.0])).tolist() == [0.5, 1.5]
    assert mean_one(np.zeros(3)).tolist() == [1.0, 1.0, 1.0]
    assert mean_one(np.zeros(0)).size == 0
    outside = np.array([False, True, False])
    assert mean_one(np.array([1.0, 7.0, 3.0]), outside=outside).tolist() == [0.5, 1.0, 1.5]
    with pytest.raises(ValueError, match="at least 1"):
        mean_one(np.ones(2), cap=0.5)


@given(
    arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1e6)),
    st.floats(1, 10),
)
def test_mean_one_has_mean_one_and_keeps_cap_and_order(weights: np.ndarray, cap: float) -> None:
    scaled = mean_one(weights, cap=cap)
    assert scaled.mean() == pytest.approx(1.0)
    assert scaled.max() <= cap * (1 + 1e-9)
    order = np.argsort(weights, kind="stable")
    if np.count_nonzero(weights) == len(weights) or np.count_nonzero(weights) * cap >= len(weights):
        assert (np.diff(scaled[order]) >= -1e-9).all()


def test_plain_drawing_is_a_permutation() -> None:
    drawn = draw_cases(None, 7, np.random.default_rng(0))
    assert sorted(drawn.tolist()) == list(range(7))
    equal = draw_cases(np.full(7, 3.0), 7, np.random.default_rng(0))
    assert sorted(equal.tolist()) == list(range(7))


@given(arrays(np.float64, st.integers(1, 25), elements=st.floats(0.01, 50)), st.integers(0, 1000))
def test_systematic_drawing_keeps_to_expected_counts(weights: np.ndarray, seed: int) -> None:
    n = len(weights)
    counts = np.bincount(draw_cases(weights, n, np.random.default_rng(seed)), minlength=n)
    expected = n * weights / weights.sum()
    assert counts.sum() == n
    assert (counts >= np.floor(expected - 1e-9)).all()
    assert (counts <= np.ceil(expected + 1e-9)).all()


def test_drawing_is_unbiased_over_epochs() -> None:
    weights = np.array([0.3, 0.7, 1.0, 2.0])
    rng = np.random.default_rng(1)
    counts = sum(np.bincount(draw_cases(weights, 4, rng), minlength=4) for _ in range(2000))
    # Standard error of a mean of 2000 draws of 0 or 1 is at most .011.
    assert counts / 2000 == pytest.approx(weights, abs=0.05)


def test_joint_cells() -> None:
    assert joint_codes(SIX_TABLE).tolist() == [0, 0, 1, 2, 3, 3]
    assert joint_codes(make_table(SIX, {})).tolist() == [0] * 6
    odd = make_table(["p", "q"], {"a": ["x", None]})
    assert len(set(joint_codes(odd).tolist())) == 2


def test_case_weights_are_a_mapping() -> None:
    weights = CaseWeights.of(("p", "q"), np.array([0.5, 1.5]))
    assert dict(weights) == {"p": 0.5, "q": 1.5}
    assert list(weights.values()) == [0.5, 1.5]
    with pytest.raises(KeyError):
        weights["r"]


def test_weights_need_no_torch() -> None:
    code = (
        "import sys, segfair.mitigation.weighting.weights, segfair.mitigation.weighting.reweighter; "
        "print(*sorted({'torch', 'monai', 'matplotlib', 'ignite'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_deficit_of_two_deviations_weighs_the_ratio() -> None:
    temperature = spread_temperature(0.04**2, ratio=8.0, largest=40.0)
    assert math.exp(temperature * 0.08) == pytest.approx(8.0)
    assert spread_temperature(1e-9, ratio=8.0, largest=40.0) == 40.0
    assert spread_temperature(0.0, ratio=8.0, largest=40.0) == 40.0


def test_power_of_a_cell_is_that_of_simulated_means() -> None:
    """How often the mean of 16 of 400 cases, .1 lower, is significantly off: by simulation of the test it describes."""
    rng = np.random.default_rng(0)
    cells = np.repeat([0, 1], [16, 384])
    deviation = 0.2
    error = deviation * math.sqrt(1 / 16 - 1 / 400)
    means = rng.normal(-0.1, error, size=200_000)
    simulated = float(np.mean(np.abs(means) > 1.959964 * error))
    power = cell_power(cells, noise=deviation**2, gap=0.1)
    assert power[0] == pytest.approx(simulated, abs=0.005)
    assert power[-1] > 0.999


def test_a_cell_of_all_cases_and_a_world_without_noise_need_no_test() -> None:
    assert cell_power(np.zeros(5, dtype=np.intp), noise=0.04, gap=0.1).tolist() == [1.0] * 5
    assert cell_power(np.array([0, 1]), noise=0.0, gap=0.1).tolist() == [1.0, 1.0]
    assert cell_power(np.zeros(0, dtype=np.intp), noise=0.04, gap=0.1).tolist() == []


def test_an_average_moves_by_two_fifths_unless_said_otherwise() -> None:
    previous, current = np.array([0.5, 0.0]), np.array([0.0, 1.0])
    np.testing.assert_allclose(remember(previous, current, memory="ema"), [0.3, 0.4])
