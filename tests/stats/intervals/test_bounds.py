"""Simultaneous bounds cover together and are not those of the divergence; a margin is ruled out, shown, or neither."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.stats.intervals.bounds import margin_standing, simultaneous_means
from segfair.stats.permutation import max_t

WITHIN, BEYOND, OPEN = "within margin", "beyond margin", "open"


def test_the_bounds_hold_together() -> None:
    rng = np.random.default_rng(1)
    missed, truth = 0, 0.96 * 4 / 5.3
    for _ in range(120):
        site, sex = rng.integers(0, 4, 150), rng.integers(0, 2, 150)
        membership = np.array(
            [site == k for k in range(4)]
            + [sex == k for k in range(2)]
            + [(site == a) & (sex == b) for a in range(4) for b in range(2)]
        )
        dice = np.where(rng.random(150) < 0.04, 0.0, rng.beta(4, 1.3, 150))
        bounds = simultaneous_means(membership, dice, rng=rng, draws=300, limits=(0, 1))
        missed += bool(((bounds[:, 0] > truth) | (bounds[:, 1] < truth)).any())
    assert missed <= 120 * 0.05 + 3 * np.sqrt(120 * 0.05 * 0.95)


def test_nearly_everybody_is_as_uncertain_as_everybody() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.normal(0.7, 0.2, 100)
    membership = np.array([np.ones(100, bool), np.arange(100) >= 5])
    bounds = simultaneous_means(membership, outcome, rng=rng)
    width = bounds[:, 1] - bounds[:, 0]
    assert (width > 2 * 1.9 * 0.2 / 10 * 0.9).all() and abs(width[0] / width[1] - 1) < 0.15


def test_small_groups_have_none_and_constants_have_no_width() -> None:
    membership = np.array([np.arange(30) < 9, np.arange(30) >= 9])
    bounds = simultaneous_means(membership, np.full(30, 0.7), rng=np.random.default_rng(0))
    assert np.isnan(bounds[0]).all()
    np.testing.assert_allclose(bounds[1], [0.7, 0.7], atol=1e-12)
    patients = simultaneous_means(
        membership, np.full(30, 0.7), rng=np.random.default_rng(0), subjects=np.arange(30) // 3
    )
    assert np.isnan(patients).all(), "twenty-one cases of seven patients are seven"


def test_patients_widen_the_bounds() -> None:
    rng = np.random.default_rng(2)
    patients = np.repeat(np.arange(40), 5)
    outcome = np.repeat(rng.normal(0.7, 0.1, 40), 5)
    everybody = np.ones((1, 200), bool)
    alone = simultaneous_means(everybody, outcome, rng=rng)[0]
    together = simultaneous_means(everybody, outcome, rng=rng, subjects=patients)[0]
    assert np.ptp(together) > 1.8 * np.ptp(alone), "the square root of five would be right"


def test_bounds_decide() -> None:
    bounds = np.array([[-0.04, 0.02], [-0.20, -0.06], [-0.08, 0.10], [-0.05, 0.0], [np.nan, np.nan], [0.1, 0.3]])
    assert margin_standing(bounds, 0.05) == [WITHIN, BEYOND, OPEN, OPEN, OPEN, WITHIN]
    # Where lower is better, harm is a divergence above 0.
    assert margin_standing(bounds, 0.05, better="lower") == [WITHIN, WITHIN, OPEN, WITHIN, OPEN, BEYOND]


def test_no_subgroups() -> None:
    assert margin_standing(np.empty((0, 2)), 0.05) == []


@pytest.mark.parametrize(("n_cases", "gap", "aim"), [(2000, 0.0, WITHIN), (80, 0.0, OPEN), (2000, 0.12, BEYOND)])
def test_simulated_cohorts(n_cases: int, gap: float, aim: str) -> None:
    rng = np.random.default_rng(n_cases)
    reached = 0
    for _ in range(30):
        codes = rng.integers(0, 5, n_cases)
        members = codes == np.arange(5)[:, None]
        outcome = rng.beta(4, 1.3, n_cases) - gap * members[0]
        test = max_t(members, outcome, rng=rng, permutations=199)
        reached += margin_standing(test.simultaneous_difference(), 0.05)[0] == aim
    assert reached >= 30 * 0.9 - 3 * np.sqrt(30 * 0.9 * 0.1)
