"""Inverted intervals of disparity scores: how they cover, and where there is nothing to invert."""

from __future__ import annotations

import numpy as np
import pytest

import segfair.stats.disparity as d
from segfair.stats.inversion import inverted_interval


def intervals_of_fs(rng: np.random.Generator, effect: float, n_cases: int) -> tuple[float, float, np.ndarray, float]:
    """True FS, observed FS, its inverted interval, and the chance p."""
    codes = np.stack([rng.integers(0, k, n_cases) for k in (4, 3)])
    shift = -effect * (codes[0] == 0)
    outcomes = (rng.beta(4, 1.3, n_cases) + shift)[None]
    levels = d.stack_levels(codes)
    observed = d.observed_level_means(levels, outcomes)
    resampled = d.bootstrap_level_means(levels, outcomes, rng=rng, draws=200)
    shuffled = d.permuted_level_means(levels, outcomes, rng=rng, permutations=200)
    found = inverted_interval(
        d.fairness_score, observed=observed, resampled=resampled, shuffled=shuffled, worse="lower"
    )
    truth = float(d.fairness_score(d.observed_level_means(levels, shift[None]))[0])
    fs = float(d.fairness_score(observed)[0])
    return truth, fs, found, d.chance_level(d.fairness_score(shuffled), fs, worse="lower").p_value


@pytest.mark.parametrize("effect", [0.0, 0.2])
def test_inverted_interval_covers_where_the_percentile_one_never_does(effect: float) -> None:
    rng = np.random.default_rng(1)
    inside = reaches_one = 0
    for _ in range(80):
        truth, fs, (low, high), _ = intervals_of_fs(rng, effect, 200)
        assert low <= fs <= high <= 1.0 + 1e-9
        inside += low - 1e-9 <= truth <= high + 1e-9
        reaches_one += high >= 1 - 1e-9
    assert inside >= 80 * 0.92 - 3 * np.sqrt(80 * 0.92 * 0.08)
    assert (reaches_one > 70) if effect == 0 else (reaches_one < 10)


def test_inverted_interval_of_each_attribute_reads_only_its_levels() -> None:
    rng = np.random.default_rng(2)
    codes = np.stack([rng.integers(0, 3, 200), rng.integers(0, 4, 200)])
    outcomes = (rng.beta(4, 1.3, 200) - 0.2 * (codes[0] == 0))[None]

    def of(chosen: np.ndarray) -> np.ndarray:
        levels = d.stack_levels(chosen)
        return inverted_interval(
            d.gap,
            observed=d.observed_level_means(levels, outcomes),
            resampled=d.bootstrap_level_means(levels, outcomes, rng=np.random.default_rng(3), draws=800),
            shuffled=d.permuted_level_means(levels, outcomes, rng=np.random.default_rng(4), permutations=800),
            worse="higher",
        )

    both, first = of(codes), of(codes[:1])
    assert both.shape == (2, 2)
    np.testing.assert_allclose(both[0], first[0], atol=0.03)
    assert both[0, 0] > 0.05
    assert both[1, 0] == 0.0


def test_a_level_of_one_case_is_not_certain() -> None:
    rng = np.random.default_rng(5)
    codes = np.zeros((1, 101), dtype=int)
    codes[0, 0] = 1
    outcomes = rng.beta(4, 1.3, 101)[None]
    levels = d.stack_levels(codes)
    found = inverted_interval(
        d.gap,
        observed=d.observed_level_means(levels, outcomes),
        resampled=d.bootstrap_level_means(levels, outcomes, rng=rng, draws=500),
        shuffled=d.permuted_level_means(levels, outcomes, rng=rng, permutations=500),
        worse="higher",
    )
    assert found[0, 1] - found[0, 0] > 0.15


def test_intervals_of_undefined_and_constant_scores() -> None:
    levels = d.stack_levels(np.array([[0, 0, 1, 1, 1], [-1] * 5]))
    outcomes = np.full((2, 5), 0.6)
    rng = np.random.default_rng(0)
    found = inverted_interval(
        d.gap,
        observed=d.observed_level_means(levels, outcomes),
        resampled=d.bootstrap_level_means(levels, outcomes, rng=rng, draws=50),
        shuffled=d.permuted_level_means(levels, outcomes, rng=rng, permutations=50),
        worse="higher",
    )
    np.testing.assert_allclose(found[0], 0.0, atol=1e-9)
    assert np.isnan(found[1]).all()
