"""Inverted intervals of disparity scores: how they cover, and where there is nothing to invert."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segfair import fairness as d
from segfair.fairness.intervals import change_interval, inverted_interval, score_interval
from segfair.stats.bootstrap import interval


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


def drawn_twice(
    rng: np.random.Generator, codes: np.ndarray, *outcomes: np.ndarray, draws: int = 200
) -> list[tuple[d.LevelMeans, d.LevelMeans, d.LevelMeans]]:
    """Observed, resampled and shuffled level means of models, all under the same weights and shuffles."""
    levels = d.stack_levels(codes)
    both = np.concatenate([values[None] for values in outcomes])
    resampled = d.bootstrap_level_means(levels, both, rng=rng, draws=draws)
    shuffled = d.permuted_level_means(levels, both, rng=rng, permutations=draws)
    return [
        (
            d.observed_level_means(levels, values[None]),
            *(
                dataclasses.replace(means, means=means.means[:, [index]], overall=means.overall[:, [index]])
                for means in (resampled, shuffled)
            ),
        )
        for index, values in enumerate(outcomes)
    ]


def test_a_reported_interval_reaches_to_no_disparity_just_where_chance_explains_the_score() -> None:
    rng = np.random.default_rng(6)
    reached = []
    for effect in (0.0, 0.05, 0.1, 0.3):
        codes = rng.integers(0, 4, (1, 150))
        ((observed, resampled, shuffled),) = drawn_twice(rng, codes, rng.beta(4, 1.3, 150) - effect * (codes[0] == 0))
        for compute, worse, best in ((d.fairness_score, "lower", 1.0), (d.gap, "higher", 0.0)):
            low, high = score_interval(
                compute,
                observed=observed,
                resampled=resampled,
                shuffled=shuffled,
                worse=worse,  # type: ignore[arg-type]
                best=best,
            ).ravel()
            score = float(compute(observed).ravel()[0])
            p = d.chance_level(compute(shuffled).ravel(), score, worse=worse).p_value  # type: ignore[arg-type]
            assert low <= score <= high
            reached.append((best in (low, high), p >= 0.025))
    assert all(reaches for reaches, fair in reached if fair)
    assert any(fair for _, fair in reached)
    assert (False, False) in reached


def test_a_score_with_the_mean_in_it_moves_with_the_mean() -> None:
    """Without a disparity the interval of the worst group is no narrower upward than that of the cohort's mean."""
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 3, (1, 60))
    ((observed, resampled, shuffled),) = drawn_twice(rng, codes, rng.beta(4, 1.3, 60))
    low, high = score_interval(
        d.lowest,
        observed=observed,
        resampled=resampled,
        shuffled=shuffled,
        worse="lower",
        best=lambda means: means.overall[:, :1],
        worst=0.0,
    )[0]
    assert high == pytest.approx(np.quantile(resampled.overall[:, 0], 0.975))
    assert low < d.lowest(observed)[0, 0] < high


def test_the_change_of_a_score_is_covered_and_none_where_nothing_changed() -> None:
    rng = np.random.default_rng(8)
    covered = basic = 0
    for _ in range(60):
        codes = np.stack([rng.integers(0, k, 120) for k in (5, 3, 4)])
        first = rng.beta(4, 1.3, 120)
        loss = -0.10 * (codes[0] == 0)
        second = first + 0.05 * rng.standard_normal(120) + loss
        before, after = drawn_twice(rng, codes, first, second)
        observed, resampled, shuffled = zip(before, after, strict=True)
        low, high = change_interval(
            d.fairness_score,
            observed=observed,
            resampled=resampled,
            shuffled=shuffled,
            worse="lower",
            best=1.0,
            worst=0.0,
        )
        difference = float(d.fairness_score(after[0])[0] - d.fairness_score(before[0])[0])
        assert low <= difference <= high
        truth = float(d.fairness_score(d.observed_level_means(d.stack_levels(codes), loss[None]))[0]) - 1
        covered += low <= truth <= high
        drawn = d.fairness_score(after[1]) - d.fairness_score(before[1])
        bounds = interval(drawn, difference, kind="basic")
        basic += bounds[0] <= truth <= bounds[1]
    assert covered >= 60 * 0.92 - 3 * np.sqrt(60 * 0.92 * 0.08)
    assert covered > basic
    same = change_interval(
        d.fairness_score,
        observed=(before[0], before[0]),
        resampled=(before[1], before[1]),
        shuffled=(before[2], before[2]),
        worse="lower",
        best=1.0,
        worst=0.0,
    )
    np.testing.assert_allclose(same, 0.0, atol=1e-12)
