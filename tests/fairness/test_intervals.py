"""Inverted intervals of disparity scores: how they cover, and where there is nothing to invert."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segfair import fairness as d
from segfair.fairness.intervals import change_interval, inverted_interval, score_interval
from segfair.stats.intervals.bootstrap import interval


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


@pytest.mark.parametrize("units", ["cases", "subjects", "strata"])
def test_no_disparity_is_inside_exactly_where_chance_explains_the_score(units: str) -> None:
    rng = np.random.default_rng(6)
    inside = []
    for effect in np.linspace(0.0, 0.25, 16):
        codes = np.stack([rng.integers(0, k, 150) for k in (4, 3)])
        # Whole subjects share their levels, so that the level of a subject is known.
        codes = np.repeat(codes[:, ::3], 3, axis=1)
        subjects = np.arange(150) // 3 if units == "subjects" else None
        strata = np.arange(150) // 75 if units == "strata" else None
        outcomes = np.stack([rng.beta(4, 1.3, 150) - effect * (codes[0] == 0), rng.beta(1.3, 4, 150)])
        levels = d.stack_levels(codes)
        means = {
            "observed": d.observed_level_means(levels, outcomes),
            "resampled": d.bootstrap_level_means(levels, outcomes, rng=rng, draws=150, subjects=subjects),
            "shuffled": d.permuted_level_means(
                levels, outcomes, rng=rng, permutations=199, subjects=subjects, strata=strata
            ),
        }
        for name in ("FS", "D_v", "gap", "SD", "SER"):
            compute, worse, best, worst = SCORES[name]
            bounds = score_interval(compute, **means, worse=worse, best=best, worst=worst)  # type: ignore[arg-type]
            values, null = (np.asarray(compute(means[of])) for of in ("observed", "shuffled"))
            columns = zip(bounds.reshape(-1, 2), values.ravel(), null.reshape(199, -1).T, strict=True)
            for (low, high), value, shuffles in columns:
                fair = d.chance_level(shuffles, value, worse=worse).p_value >= 0.025  # type: ignore[arg-type]
                assert low <= value <= high
                assert (low <= best <= high) == fair, (name, effect)
                inside.append(fair)
    assert 0.2 < np.mean(inside) < 0.8


def test_the_low_limit_of_fs_is_seldom_above_the_truth_where_noise_inflates_least() -> None:
    """Three attributes whose levels lie in even steps; limits in the shape of the estimate err in an eighth of these."""
    rng = np.random.default_rng(12)
    above = 0
    for n_cases, step, heavy in ((60, 0.12, False), (150, 0.08, False), (150, 0.06, True)) * 120:
        shares = ((0.2, 0.5, 0.3), (0.34, 0.33, 0.33), (0.15, 0.25, 0.6))
        codes = np.stack([rng.choice(3, n_cases, p=share) for share in shares])
        dice = 0.1 * rng.standard_t(2.5, n_cases) if heavy else rng.beta(4, 1.3, n_cases)
        levels = d.stack_levels(codes, min_cases=10)
        outcomes = (dice + step * codes.sum(axis=0))[None]
        low, _ = score_interval(
            d.fairness_score,
            observed=d.observed_level_means(levels, outcomes),
            resampled=d.bootstrap_level_means(levels, outcomes, rng=rng, draws=200),
            shuffled=d.permuted_level_means(levels, outcomes, rng=rng, permutations=200),
            worse="lower",
            best=1.0,
        )
        steps = [np.ptp(levels.level[levels.attribute == attribute]) for attribute in range(3)]
        above += low > 1 - step * np.mean(steps)
    assert above <= 360 * 0.04 + 2 * np.sqrt(360 * 0.04 * 0.96)


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


def test_chance_level_counts_as_bad_or_worse() -> None:
    null = np.array([0.90, 0.92, 0.94, 0.96])
    assert d.chance_level(null, 0.92, worse="lower").p_value == pytest.approx(3 / 5)
    assert d.chance_level(null, 0.92, worse="higher").p_value == pytest.approx(4 / 5)
    assert d.chance_level(null, 0.5, worse="lower").p_value == pytest.approx(1 / 5)
    assert d.chance_level(null, 0.5, worse="lower").mean == pytest.approx(0.93)


def test_fs_without_disparity_is_far_from_one_and_known_to_be() -> None:
    rng = np.random.default_rng(0)
    p_values, scores, levels = [], [], []
    for _ in range(80):
        codes = np.stack([rng.integers(0, k, 60) for k in (5, 3, 4)])
        dice = rng.beta(4, 1.3, 60)
        outcomes = np.stack([dice, 0.4 - 0.4 * dice])
        stacked = d.stack_levels(codes)
        fs = float(d.fairness_score(d.observed_level_means(stacked, outcomes))[0])
        null = d.fairness_score(d.permuted_level_means(stacked, outcomes, rng=rng, permutations=119))
        chance = d.chance_level(null, fs, worse="lower")
        p_values.append(chance.p_value)
        scores.append(fs)
        levels.append(chance.mean)
    assert np.mean(scores) < 0.95
    assert np.mean(levels) == pytest.approx(np.mean(scores), abs=0.01)
    low = np.count_nonzero(np.array(p_values) <= 0.05)
    assert low <= 80 * 0.05 + 3 * np.sqrt(80 * 0.05 * 0.95)
    assert abs(np.mean(p_values) - 0.5) < 4 * np.sqrt(1 / 12 / 80)


def test_basic_interval_with_a_limit() -> None:
    replicates = np.linspace(0.80, 0.92, 1001)
    low, high = d.disparity_interval(replicates, 0.93, chance_p=0.001, best=1.0, worst=0.0)
    # Mirrored at .93 the replicates end at .943: above the score itself, which the interval has to hold.
    assert (low, high) == pytest.approx((0.93, 1.0))
    low, high = d.disparity_interval(replicates, 0.88, chance_p=0.001, best=1.0, worst=0.0)
    assert (low, high) == pytest.approx((0.843, 0.957))
    assert d.disparity_interval(replicates, 0.88, chance_p=0.3, best=1.0, worst=0.0)[1] == 1.0
    low, high = d.disparity_interval(1 - replicates, 0.12, chance_p=0.3, best=0.0, worst=1.0)
    assert (low, high) == pytest.approx((0.0, 0.157))
    # A score outside of its supposed limits (DSC in percent) still lies in its own interval.
    assert d.disparity_interval(replicates + 7, 7.9, chance_p=0.3, best=0.0, worst=1.0) == pytest.approx((0.0, 7.9))


SCORES = {
    "FS": (d.fairness_score, "lower", 1.0, 0.0),
    "D_v": (d.attribute_disparity, "higher", 0.0, 1.0),
    "gap": (d.gap, "higher", 0.0, 1.0),
    "SD": (d.level_sd, "higher", 0.0, 0.5),
    "SER": (d.error_ratio, "higher", 1.0, None),
    "ES-Dice": (d.equity_scaled, "lower", None, 0.0),
    "worst": (d.lowest, "lower", None, 0.0),
}


@given(
    seed=st.integers(0, 2**32 - 1),
    n_cases=st.integers(2, 60),
    n_levels=st.integers(1, 6),
    decimals=st.sampled_from([0, 1, 6]),
    p_value=st.sampled_from([None, 0.0, 0.024, 0.025, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_every_interval_holds_its_score_also_as_shown(
    seed: int, n_cases: int, n_levels: int, decimals: int, p_value: float | None
) -> None:
    """Tiny cohorts, levels of one case, ties and constant outcomes among them."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(-1, n_levels, n_cases), rng.integers(0, 3, n_cases)])
    dice = rng.beta(4, 1.3, n_cases).round(decimals)
    outcomes = np.stack([dice, (1 - dice) / 2])
    levels = d.stack_levels(codes)
    observed = d.observed_level_means(levels, outcomes)
    resampled = d.bootstrap_level_means(levels, outcomes, rng=rng, draws=60)
    shuffled = d.permuted_level_means(levels, outcomes, rng=rng, permutations=60)
    _, mean_limit = interval(resampled.overall[:, 0], float(observed.overall[0, 0]))
    for name, (compute, worse, best, worst) in SCORES.items():
        values, drawn, null = (
            compute(means).reshape(len(means.means), -1) for means in (observed, resampled, shuffled)
        )
        for value, replicates, shuffles in zip(values[0], drawn.T, null.T, strict=True):
            if not (np.isfinite(value) and np.isfinite(replicates).all() and np.isfinite(shuffles).all()):
                continue
            chance_p = d.chance_level(shuffles, value, worse=worse).p_value if p_value is None else p_value
            limit = mean_limit if best is None else best
            low, high = d.disparity_interval(replicates, value, chance_p=chance_p, best=limit, worst=worst)
            assert low <= value <= high, name
            for digits in (2, 3, 4):
                shown = [float(f"{number:.{digits}f}") for number in (low, value, high)]
                assert shown == sorted(shown), name
            if chance_p >= 0.025:
                reached = high if worse == "lower" else low
                assert (reached >= limit) if worse == "lower" else (reached <= limit), name


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0, 80.0])
def test_scores_that_differ_by_rounding_are_as_bad(score: float) -> None:
    rounding = 5e-10 * (1 + score)
    null = np.array([score + rounding, score - rounding])
    assert d.chance_level(null, score, worse="lower").p_value == 1.0
    assert d.chance_level(null, score, worse="higher").p_value == 1.0
    assert d.chance_level(score + np.array([1e-6, 1e-6]) * (1 + score), score, worse="lower").p_value == 1 / 3
