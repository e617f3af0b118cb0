"""The sign-flipping test: nothing found in nothing, calibrated by chance, patients flipped together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from segfair.stats.paired import paired_max_t


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
    reached = [abs(np.dot(signs, change)) >= abs(change.sum()) - 1e-12 for signs in itertools.product((-1, 1), repeat=8)]
    test = paired_max_t(everybody, change, rng=np.random.default_rng(1), min_cases=1, permutations=20_000)
    # With one subgroup and fixed squares, |t| rises with |sum|.
    assert test.p_value[0] == pytest.approx(np.mean(reached), abs=0.006)
    assert test.p_adjusted[0] == test.p_value[0]


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
    change = np.repeat([0.2, 0.1, 0.3], 10)
    everybody = np.ones((1, 30), bool)
    alone = paired_max_t(everybody, change, rng=np.random.default_rng(0), permutations=999)
    together = paired_max_t(everybody, change, rng=np.random.default_rng(0), permutations=999, subjects=np.repeat([0, 1, 2], 10))
    assert alone.p_value[0] < 0.01
    assert together.p_value[0] >= 0.2, "three patients cannot show anything"
