"""The sign-flipping test: nothing found in nothing, calibrated by chance, patients flipped together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from segfair.fairness import fairness_score, observed_level_means, stack_levels, swapped_level_means
from segfair.stats.paired import paired_max_t, paired_outcomes


def halves(n: int) -> np.ndarray:
    first = np.arange(n) < n // 2
    return np.array([np.ones(n, bool), first, ~first])


def test_no_change_is_no_finding() -> None:
    test = paired_max_t(halves(40), np.zeros(40), rng=np.random.default_rng(0), permutations=199)
    assert test.mean.tolist() == [0, 0, 0]
    assert test.p_adjusted.tolist() == [1, 1, 1]


def test_small_subgroups_are_not_tested() -> None:
    test = paired_max_t(halves(12), np.ones(12), rng=np.random.default_rng(0), min_cases=10, permutations=99)
    assert test.tested.tolist() == [True, False, False]
    assert np.isnan(test.p_value[1:]).all()


def test_p_agrees_with_all_sign_patterns() -> None:
    change = np.array([0.3, -0.1, 0.25, 0.4, 0.15, -0.05, 0.2, 0.1])
    everybody = np.ones((1, 8), bool)
    reached = [
        abs(np.dot(signs, change)) >= abs(change.sum()) - 1e-12 for signs in itertools.product((-1, 1), repeat=8)
    ]
    test = paired_max_t(everybody, change, rng=np.random.default_rng(1), min_cases=1, permutations=20_000)
    # With one subgroup and fixed squares, |t| rises with |sum|; eight cases have 256 patterns, and all are taken.
    assert test.exact and test.n_draws == 256
    assert test.p_value[0] == pytest.approx(np.mean(reached))
    assert test.p_adjusted[0] == test.p_value[0]
    drawn = paired_max_t(
        np.ones((1, 16), bool), np.tile(change, 2), rng=np.random.default_rng(1), min_cases=1, permutations=4000
    )
    assert not drawn.exact and 1 / 4001 <= drawn.p_value[0] < test.p_value[0]


def test_family_wise_error_and_power() -> None:
    rng = np.random.default_rng(7)
    false, found = 0, 0
    for _ in range(200):
        membership = rng.random((30, 60)) < 0.4
        null = rng.normal(0, 0.1, 60)
        false += (paired_max_t(membership, null, rng=rng, permutations=199).p_adjusted <= 0.05).any()
        harmed = null - 0.12 * membership[0]
        found += paired_max_t(membership, harmed, rng=rng, permutations=199).p_adjusted[0] <= 0.05
    assert false <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)
    assert found >= 150


def test_the_cases_of_one_patient_are_one_observation() -> None:
    change, patients = np.repeat([0.2, 0.1, 0.3], 10), np.repeat([0, 1, 2], 10)
    everybody, rng = np.ones((1, 30), bool), np.random.default_rng(0)
    alone = paired_max_t(everybody, change, rng=rng, permutations=999)
    together = paired_max_t(everybody, change, rng=rng, min_cases=3, subjects=patients)
    assert alone.p_value[0] < 0.01
    assert together.p_value[0] == 0.25, "three patients have eight sign patterns, two of them as extreme"
    few = paired_max_t(everybody, change, rng=rng, min_cases=10, subjects=patients)
    assert not few.tested[0], "thirty cases of three patients are three"


def test_a_subgroup_of_one_patient_has_the_mean_square_of_all_patients() -> None:
    members, change = np.array([[1, 1, 0, 0]], bool), np.array([0.1, 0.3, -0.2, 0.0])
    found = paired_max_t(
        members, change, rng=np.random.default_rng(0), min_cases=1, subjects=np.array([0, 0, 1, 1]), permutations=10
    )
    # Sums of .4 and -.2 have a mean square of .1, and two cases here are as many as a patient has.
    assert found.t[0] == pytest.approx(0.4 / 0.1**0.5)
    assert found.mean[0] == pytest.approx(0.2)


def test_a_patient_per_case_is_no_patient_at_all() -> None:
    rng = np.random.default_rng(3)
    membership, change = rng.random((12, 40)) < 0.5, rng.normal(0.03, 0.1, 40)
    plain = paired_max_t(membership, change, rng=np.random.default_rng(5), permutations=300)
    coded = paired_max_t(
        membership, change, rng=np.random.default_rng(5), permutations=300, subjects=rng.permutation(40)
    )
    np.testing.assert_allclose(plain.t, coded.t, rtol=1e-12)
    np.testing.assert_allclose(plain.mean, coded.mean, rtol=1e-12)
    np.testing.assert_allclose(plain.p_adjusted, coded.p_adjusted, atol=0.1)


def test_clustered_patients_raise_no_false_alarm() -> None:
    rng = np.random.default_rng(11)
    patients = np.repeat(np.arange(30), 4)
    found = {"cases": 0, "patients": 0}
    for _ in range(150):
        change = np.repeat(rng.normal(0, 0.1, 30), 4) + rng.normal(0, 0.02, 120)
        membership = np.repeat(rng.random((10, 30)) < 0.5, 4, axis=1)
        for name, subjects in (("cases", None), ("patients", patients)):
            test = paired_max_t(membership, change, rng=rng, permutations=199, subjects=subjects)
            found[name] += (test.p_adjusted <= 0.05).any()
    assert found["patients"] <= 150 * 0.05 + 3 * np.sqrt(150 * 0.05 * 0.95)
    assert found["cases"] > 50, "four looks at each patient are not four patients"


def test_metrics_are_tested_with_the_same_signs_and_without_undefined_values() -> None:
    rng = np.random.default_rng(2)
    first = rng.normal(0.05, 0.1, 60)
    second = np.where(np.arange(60) < 20, np.nan, first)
    test = paired_outcomes(np.array([first, -first, second, np.full(60, np.nan)]), rng=rng, permutations=499)
    assert test.t[0] == -test.t[1] and test.p_value[0] == test.p_value[1]
    assert test.mean[2] == pytest.approx(first[20:].mean())
    assert not test.tested[3] and np.isnan(test.mean[3])
    assert (test.p_adjusted[:3] >= test.p_value[:3]).all()


def test_metrics_of_one_patients_cases_are_one_observation() -> None:
    change, patients = np.repeat([0.2, 0.1, 0.3], 10), np.repeat([7, 3, 5], 10)
    without_a_patient = np.where(patients == 5, np.nan, change)
    changes = np.array([change, without_a_patient, np.where(np.arange(30) < 5, np.nan, change)])
    test = paired_outcomes(changes, rng=np.random.default_rng(0), subjects=patients)
    # Three patients have eight sign patterns, of which all plus and all minus are as extreme; two have four.
    assert test.p_value.tolist() == [0.25, 0.5, 0.25]
    np.testing.assert_allclose(test.mean, [0.2, 0.15, (5 * 0.2 + 10 * 0.1 + 10 * 0.3) / 25])
    few = paired_outcomes(changes, rng=np.random.default_rng(0), subjects=patients, min_cases=3)
    assert few.tested.tolist() == [True, False, True], "twenty cases of two patients are two"


def test_swapping_models_keeps_their_mean_and_mirrors_the_difference() -> None:
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 3, (2, 50))
    levels = stack_levels(codes)
    first, second = rng.random((2, 50)), rng.random((2, 50))
    one, other = swapped_level_means(levels, first, second, rng=rng, permutations=400)
    middle = observed_level_means(levels, (first + second) / 2)
    np.testing.assert_allclose((one.means + other.means) / 2, np.broadcast_to(middle.means, one.means.shape))
    difference = fairness_score(other) - fairness_score(one)
    assert abs(difference.mean()) < 4 * difference.std() / 20, "neither model is preferred"
    same, twin = swapped_level_means(levels, first, first, rng=rng, permutations=10)
    np.testing.assert_array_equal(same.means, twin.means)


def test_swapping_is_choosing_for_each_case() -> None:
    """Against a literal loop over cases: each replicate is the level means of some choice."""
    first, second = np.array([[0.1, 0.5]]), np.array([[0.3, 0.6]])
    levels = stack_levels(np.array([[0, 1]]))
    one, other = swapped_level_means(levels, first, second, rng=np.random.default_rng(0), permutations=50)
    choices = {(a, b) for a in (0.1, 0.3) for b in (0.5, 0.6)}
    drawn = {tuple(np.round(row[0], 12)) for row in one.means}
    assert drawn == choices
    np.testing.assert_allclose(one.means + other.means, [[[0.4, 1.1]]] * 50)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("subjects", [None, np.zeros(0, dtype=int)], ids=["cases", "subjects"])
def test_no_case_is_no_change(subjects: np.ndarray | None) -> None:
    found = paired_max_t(np.zeros((2, 0), bool), np.zeros(0), rng=np.random.default_rng(0), subjects=subjects)
    assert (found.t.tolist(), found.tested.tolist()) == ([0, 0], [False, False])
    assert np.isnan([found.mean, found.p_value, found.p_adjusted]).all()


def test_up_to_4096_sign_patterns_are_all_tried() -> None:
    change = np.random.default_rng(8).normal(0.1, 0.2, 13)
    for n, exact in ((12, True), (13, False)):
        found = paired_max_t(
            np.ones((1, n), bool), change[:n], rng=np.random.default_rng(0), min_cases=1, permutations=100
        )
        assert found.exact is exact
