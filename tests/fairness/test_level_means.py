"""Scores that compare levels: worked by hand, and at chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segfair import fairness as d
from segfair.stats.bootstrap import interval

CODES = np.array([[0, 0, 1, 1, 2, -1], [0, 1, 1, 1, 0, 0]])
DSC = np.array([0.9, 0.7, 0.5, 0.7, 0.6, 0.2])
NORMHD = np.array([0.1, 0.1, 0.3, 0.5, 0.2, 0.6])


@pytest.fixture
def worked() -> d.LevelMeans:
    return d.observed_level_means(d.stack_levels(CODES), np.stack([DSC, NORMHD]))


def test_level_means_by_hand(worked: d.LevelMeans) -> None:
    np.testing.assert_allclose(worked.means[0, 0], [0.8, 0.6, 0.6, 1.7 / 3, 1.9 / 3])
    np.testing.assert_allclose(worked.means[0, 1], [0.1, 0.4, 0.2, 0.3, 0.3])
    np.testing.assert_allclose(worked.overall[0], [0.6, 0.3])
    assert worked.attribute.tolist() == [0, 0, 0, 1, 1]


def test_scores_by_hand(worked: d.LevelMeans) -> None:
    np.testing.assert_allclose(d.gap(worked)[0], [0.2, 0.2 / 3])
    np.testing.assert_allclose(d.gap(worked, outcome=1)[0], [0.3, 0.0], atol=1e-15)
    np.testing.assert_allclose(d.lowest(worked)[0], [0.6, 1.7 / 3])
    np.testing.assert_allclose(d.highest(worked)[0], [0.8, 1.9 / 3])
    np.testing.assert_allclose(d.attribute_disparity(worked)[0], [0.25, 0.1 / 3])
    assert d.fairness_score(worked)[0] == pytest.approx(1 - (0.25 + 0.1 / 3) / 2)
    np.testing.assert_allclose(d.level_sd(worked)[0], [np.std([0.8, 0.6, 0.6]), 0.1 / 3])
    np.testing.assert_allclose(
        d.level_sd(worked, variant="sample")[0], [np.std([0.8, 0.6, 0.6], ddof=1), np.std([1.7, 1.9], ddof=1) / 3]
    )
    np.testing.assert_allclose(d.error_ratio(worked)[0], [0.4 / 0.2, 1.3 / 1.1])
    np.testing.assert_allclose(d.equity_scaled(worked)[0], 0.6 / (1 + np.array([np.std([0.8, 0.6, 0.6]), 0.1 / 3])))
    np.testing.assert_allclose(
        d.equity_scaled(worked, variant="sum")[0], 0.6 / (1 + np.array([0.2, 0.1 / 3 + 0.1 / 3]))
    )
    np.testing.assert_allclose(
        d.equity_scaled(worked, variant="sd-sample")[0], 0.6 / (1 + d.level_sd(worked, variant="sample")[0])
    )


def test_small_levels_and_empty_attributes() -> None:
    levels = d.stack_levels(np.array([[0, 0, 1, 1, 2, 0], [-1, -1, -1, -1, -1, -1], [0, 0, 0, 0, 0, 0]]), min_cases=2)
    assert levels.level.tolist() == [0, 1, 0]
    assert levels.counts.tolist() == [3, 2, 6]
    means = d.observed_level_means(levels, np.stack([DSC, NORMHD]))
    gaps = d.gap(means)[0]
    assert np.isnan(gaps[1])
    assert gaps[2] == 0.0
    assert d.fairness_score(means)[0] == pytest.approx(1 - (d.attribute_disparity(means)[0, 0] + 0) / 2)
    assert np.isnan(d.level_sd(means, variant="sample")[0, 2])
    nothing = d.observed_level_means(d.stack_levels(np.full((1, 6), -1)), np.stack([DSC, NORMHD]))
    assert np.isnan(d.fairness_score(nothing)).all()


def test_an_error_ratio_without_errors() -> None:
    levels = d.stack_levels(np.array([[0, 0, 1, 1]]))
    some = d.observed_level_means(levels, np.array([[1.0, 1.0, 0.5, 0.5]]))
    none = d.observed_level_means(levels, np.ones((1, 4)))
    assert np.isinf(d.error_ratio(some)[0, 0])
    assert np.isnan(d.error_ratio(none)[0, 0])


def test_weighted_means_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in the order in which cases are handed over, whatever the order inside."""
    levels = d.stack_levels(CODES)
    drawn = d.bootstrap_level_means(
        levels, np.stack([np.arange(6.0), np.ones(6)]), rng=np.random.default_rng(0), draws=50
    )
    np.testing.assert_allclose(drawn.means[:, 1], 1.0)
    np.testing.assert_allclose(drawn.overall[:, 1], 1.0)
    assert np.all((drawn.means[:, 0, 0] > 0) & (drawn.means[:, 0, 0] < 1))
    np.testing.assert_allclose(drawn.means[:, 0, 2], 4.0)


def test_shuffled_rows_keep_attributes_and_outcomes_together() -> None:
    codes = np.array([[0, 0, 1, 1, 1], [0, 0, 1, 1, 1]])
    outcomes = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0]])
    drawn = d.permuted_level_means(d.stack_levels(codes), outcomes, rng=np.random.default_rng(0), permutations=200)
    np.testing.assert_allclose(drawn.means[:, 0, :2], drawn.means[:, 0, 2:])
    np.testing.assert_allclose(drawn.means[:, 1], 10 * drawn.means[:, 0])
    np.testing.assert_allclose(2 * drawn.means[:, 0, 0] + 3 * drawn.means[:, 0, 1], 15.0)
    assert len(np.unique(drawn.means[:, 0, 0].round(9))) == 7


def test_shuffling_within_strata_keeps_their_difference() -> None:
    strata = np.array([0, 0, 0, 1, 1, 1])
    codes = np.array([[0, 0, 1, 1, 1, 0]])
    outcomes = np.array([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]])
    drawn = d.permuted_level_means(
        d.stack_levels(codes), outcomes, rng=np.random.default_rng(0), permutations=20, strata=strata
    )
    np.testing.assert_allclose(drawn.means[:, 0], np.tile([1 / 3, 2 / 3], (20, 1)))


def test_shuffling_moves_whole_subjects() -> None:
    subjects = np.array([0, 0, 1, 1, 2, 2])
    codes = np.array([[0, 0, 1, 1, 1, 1]])
    outcomes = np.array([[0.0, 2.0, 10.0, 12.0, 20.0, 22.0]])
    drawn = d.permuted_level_means(
        d.stack_levels(codes), outcomes, rng=np.random.default_rng(0), permutations=60, subjects=subjects
    )
    assert set(drawn.means[:, 0, 0]) == {1.0, 11.0, 21.0}
    assert drawn.units.tolist() == [1, 2]


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
