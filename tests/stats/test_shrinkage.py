"""Empirical-Bayes divergences: by hand, at the limits, and as a ranking."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.stats.shrinkage import shrink


def test_by_hand() -> None:
    # Two cells of sixteen cases, each half at mean - 1 and half at mean + 1: within-cell variance 32 / 30.
    outcome = np.concatenate([np.tile([3.0, 5.0], 8), np.tile([5.0, 7.0], 8)])
    members = np.array([np.arange(32) < 16, np.arange(32) >= 16])
    found = shrink(members, outcome)
    noise = 32 / 30
    variance = noise * (1 / 16 - 1 / 32)
    signal = 1.0 - variance
    assert found.noise == pytest.approx(noise)
    assert found.signal == pytest.approx(signal)
    np.testing.assert_allclose(found.divergence, [-1.0, 1.0])
    np.testing.assert_allclose(found.shrunken, [-signal, signal])
    np.testing.assert_allclose(found.sd, np.sqrt(signal * variance))


def test_singleton_cells_take_the_total_variance() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.random(12)
    members = np.array([(np.arange(12) >> bit) & 1 for bit in range(4)], dtype=bool)
    assert shrink(members, outcome).noise == pytest.approx(outcome.var(ddof=1))


def test_singletons_count_with_the_total_variance_beside_what_the_others_show() -> None:
    # Cells {0, 1}, {2, 3} and three of one case: 2 degrees of freedom within, three cases with the total variance.
    outcome = np.array([0.0, 2.0, 4.0, 8.0, 1.0, 5.0, 8.0])
    members = np.array([[1, 1, 0, 0, 1, 0, 0], [1, 1, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 1]], dtype=bool)
    assert shrink(members, outcome).noise == pytest.approx((2.0 + 8.0 + 3 * outcome.var(ddof=1)) / 5)


def test_two_cases_that_agree_do_not_make_everybody_certain() -> None:
    rng = np.random.default_rng(5)
    outcome = rng.normal(size=40)
    outcome[1] = outcome[0]
    # Every case but the first two has a cell of its own.
    members = np.array([(np.maximum(np.arange(40), 1) >> bit) & 1 for bit in range(6)], dtype=bool)
    found = shrink(members, outcome)
    assert found.noise > 0.9 * outcome.var(ddof=1)
    assert np.abs(found.shrunken).max() < 0.5 * np.abs(found.divergence).max()


def test_shrunken_never_passes_zero_or_the_divergence() -> None:
    rng = np.random.default_rng(1)
    members = rng.random((50, 200)) < rng.random((50, 1))
    found = shrink(members, rng.random(200))
    assert np.all(found.shrunken * found.divergence >= 0)
    assert np.all(np.abs(found.shrunken) <= np.abs(found.divergence))


def test_the_smaller_of_two_equal_divergences_shrinks_more() -> None:
    rng = np.random.default_rng(2)
    outcome = rng.normal(size=300)
    outcome[:5] += -1.0 - outcome[:5].mean()
    outcome[5:100] += -1.0 - outcome[5:100].mean()
    outcome[100:] += 0.5 - outcome[100:].mean()
    members = np.array([np.arange(300) < 5, (np.arange(300) >= 5) & (np.arange(300) < 100)])
    small, large = shrink(members, outcome).shrunken
    assert large < small < 0


def test_degenerate_cohorts() -> None:
    members = np.array([[1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)
    constant = shrink(members, np.full(4, 0.1 + 0.2))
    assert constant.shrunken.tolist() == [0, 0, 0]
    assert shrink(np.zeros((0, 4), bool), np.arange(4.0)).shrunken.shape == (0,)
    assert shrink(np.zeros((2, 0), bool), np.zeros(0)).shrunken.tolist() == [0, 0]
    assert shrink(np.ones((1, 1), bool), np.ones(1)).shrunken.tolist() == [0]
    found = shrink(members, np.arange(4.0))
    assert np.isfinite(found.shrunken).all()
    assert found.shrunken[1] == found.shrunken[2] == 0


def test_identical_scores_within_cells_are_believed() -> None:
    outcome = np.repeat([0.2, 0.8], 50)
    found = shrink((np.arange(100) < 50)[None], outcome)
    assert found.shrunken[0] == pytest.approx(-0.3, rel=1e-3)


def test_cases_that_agree_within_their_group_leave_a_trace_of_noise() -> None:
    members = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)
    found = shrink(members, np.array([0.2, 0.2, 0.6, 0.6]))
    # Squares around .4 have a mean of .04.
    assert found.noise == pytest.approx(1e-9 * 0.04)
    np.testing.assert_allclose(found.shrunken, [-0.2, 0.2], rtol=1e-6)
