"""Intervals: by hand where that is possible, by coverage elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from segfair.stats.intervals import bootstrap
from segfair.stats.intervals.bootstrap import (
    expansion,
    exponential_weights,
    interval,
    mean_interval,
    rate_interval,
    subgroup_intervals,
)


def test_percentile_and_basic_interval() -> None:
    replicates = np.linspace(0.0, 1.0, 1001)
    assert interval(replicates, 0.4) == pytest.approx((0.025, 0.975))
    assert interval(replicates, 0.4, kind="basic") == pytest.approx((-0.175, 0.775))
    assert interval(replicates, 0.4, confidence=0.5) == pytest.approx((0.25, 0.75))


def test_weights_average_one_and_follow_the_subjects() -> None:
    subjects = np.array([4, 4, 9, 1])
    drawn = np.concatenate(list(exponential_weights(4, rng=np.random.default_rng(0), draws=500, subjects=subjects)))
    assert drawn.shape == (500, 4)
    np.testing.assert_allclose(drawn.mean(axis=1), 1)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert np.abs(np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1] + 0.5) < 0.3


def test_expansion_gives_the_unbiased_spread() -> None:
    """A mean under exponential weights has variance s2 (n - 1) / n / (n + 1); stretched it is s2 / n."""
    rng = np.random.default_rng(1)
    outcome = rng.random(8)
    means = np.concatenate([weights @ outcome / 8 for weights in exponential_weights(8, rng=rng, draws=200_000)])
    factor = expansion(np.array([8.0])) * scipy.stats.norm.ppf(0.975) / scipy.stats.t.ppf(0.975, 7)
    assert factor[0] * means.std() == pytest.approx(outcome.std(ddof=1) / np.sqrt(8), rel=0.01)
    assert np.isnan(expansion(np.array([1.0, 0.0]))).all()
    assert expansion(np.array([1e6]))[0] == pytest.approx(1.0, abs=1e-5)


def test_a_mean_of_few_cases() -> None:
    rng = np.random.default_rng(0)
    assert np.isnan(mean_interval(np.array([0.5]), rng=rng)).all()
    assert np.isnan(mean_interval(np.array([]), rng=rng)).all()
    low, high = mean_interval(np.array([0.4, 0.6]), rng=rng, limits=(0.0, 1.0))
    assert 0.0 == low < 0.5 < high == 1.0
    assert mean_interval(np.full(30, 0.3), rng=rng) == pytest.approx((0.3, 0.3))
    assert mean_interval(np.full(8, 0.3), rng=rng) == pytest.approx((0.3, 0.3))


@pytest.mark.parametrize("n_cases", [6, 12, 30])
def test_coverage_of_a_mean(n_cases: int) -> None:
    rng = np.random.default_rng(n_cases)
    inside = 0
    for _ in range(200):
        low, high = mean_interval(rng.beta(4, 1.3, n_cases), rng=rng, draws=300)
        inside += low <= 4 / 5.3 <= high
    assert inside >= 200 * 0.93 - 3 * np.sqrt(200 * 0.93 * 0.07)
    assert inside < 200


@pytest.mark.parametrize(
    "scores",
    [
        [0.9 + 0.001 * place for place in range(12)] + [0.0],
        [0.97] * 11 + [0.0],
        [0.97] * 17 + [0.0] * 2,
        [0.97] * 5 + [0.0],
        [0.9, 0.91, 0.92, 0.93, 0.94, 0.0],
    ],
    ids=["nearly ties", "ties", "ties and two misses", "six", "nearly ties of six"],
)
def test_ties_and_one_miss_have_an_interval_around_their_mean(scores: list[float]) -> None:
    """Without the miss a resample has no spread: bootstrap-t gave -3.18 to 0.97, or a lower limit at the mean."""
    outcome = np.array(scores)
    error = outcome.std(ddof=1) / np.sqrt(len(outcome))
    for seed in range(3):
        low, high = mean_interval(outcome, rng=np.random.default_rng(seed), limits=(0.0, 1.0))
        assert 0.0 <= low < outcome.mean() - error
        assert outcome.mean() + 0.3 * error < high <= 1.0
        assert outcome.mean() - low < 4.5 * error, "no further than normal theory would ever reach"


def test_a_subgroup_alone_has_the_interval_of_its_mean() -> None:
    rng = np.random.default_rng(2)
    outcome = rng.random(60)
    members = np.array([np.arange(60) < 40, np.ones(60, bool), np.arange(60) < 1, np.zeros(60, bool)])
    found = subgroup_intervals(members, outcome, rng=rng, draws=4000)
    low, high = mean_interval(outcome[:40], rng=rng, draws=4000)
    np.testing.assert_allclose(found.mean[0], (low, high), atol=0.02)
    assert np.isnan(found.mean[2:]).all()
    # Of everybody the divergence is certain: there is none.
    np.testing.assert_allclose(found.divergence[1], 0.0, atol=1e-6)
    assert np.isnan(found.simultaneous[1:]).all()
    assert np.isfinite(found.simultaneous[0]).all()


def test_divergence_is_surer_than_the_mean_where_the_subgroup_is_nearly_everybody() -> None:
    # Ten equal runs of the same thirty scores: members and rest have the same spread, errors 1 / 270 and 1 / 30.
    outcome = np.tile(np.linspace(0, 1, 30), 10)
    found = subgroup_intervals((np.arange(300) < 270)[None], outcome, rng=np.random.default_rng(3), draws=4000)
    width = np.diff(found.divergence, axis=1) / np.diff(found.mean, axis=1)
    # Student's quantile of the thirty others widens the divergence a little further.
    assert width[0, 0] == pytest.approx(0.1 * np.sqrt(10) * 2.05 / 1.97 * np.sqrt(30 / 29), rel=0.1)


def test_intervals_widen_where_cases_share_a_subject() -> None:
    rng = np.random.default_rng(4)
    subjects = np.repeat(np.arange(25), 4)
    outcome = rng.normal(size=25)[subjects]
    members = np.array([subjects < 10, subjects < 24])
    alone = subgroup_intervals(members, outcome, rng=rng, draws=1000)
    aware = subgroup_intervals(members, outcome, rng=rng, draws=1000, subjects=subjects)
    ratio = np.diff(aware.mean, axis=1) / np.diff(alone.mean, axis=1)
    assert np.all(ratio > 1.6)
    assert np.all(ratio < 3.5)


def test_limits_bound_means_and_divergences() -> None:
    rng = np.random.default_rng(5)
    outcome = np.r_[np.ones(6), 0.2, rng.random(40)]
    members = (np.arange(47) < 7)[None]
    found = subgroup_intervals(members, outcome, rng=rng, limits=(0.0, 1.0))
    assert found.mean.max() <= 1.0
    assert found.divergence.max() <= 1.0 - outcome.mean() + 1e-12


def test_intervals_together_cover_together() -> None:
    rng = np.random.default_rng(6)
    all_inside = 0
    for _ in range(100):
        codes = rng.integers(0, 6, (2, 150))
        members = np.concatenate([codes[0] == np.arange(6)[:, None], codes[1] == np.arange(6)[:, None]])
        bounds = subgroup_intervals(members, rng.beta(4, 1.3, 150), rng=rng, draws=200).simultaneous
        known = np.isfinite(bounds[:, 0])
        all_inside += bool(np.all((bounds[known, 0] <= 0) & (bounds[known, 1] >= 0)))
    assert all_inside >= 95 - 3 * np.sqrt(100 * 0.95 * 0.05)


def test_no_subgroups_or_cases() -> None:
    rng = np.random.default_rng(0)
    assert subgroup_intervals(np.zeros((0, 4), bool), np.arange(4.0), rng=rng).mean.shape == (0, 2)
    assert np.isnan(subgroup_intervals(np.zeros((2, 0), bool), np.zeros(0), rng=rng).mean).all()


@pytest.mark.parametrize(
    ("successes", "bounds"), [(0, (0.0, 0.2775328)), (3, (0.1077913, 0.6032219)), (10, (0.7224672, 1.0))]
)
def test_rates_have_wilsons_interval(successes: int, bounds: tuple[float, float]) -> None:
    """By Wilson's formula on paper, z = 1.959964 and 10 cases."""
    assert rate_interval(successes, 10) == pytest.approx(bounds, abs=1e-6)
    assert rate_interval(0, 0) is None


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_rates_have_scipys_interval(confidence: float) -> None:
    for trials in range(1, 12):
        for successes in range(trials + 1):
            bounds = scipy.stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
            assert rate_interval(successes, trials, confidence=confidence) == pytest.approx(
                (bounds.low, bounds.high), abs=1e-14
            )


@pytest.mark.parametrize("subjects", [None, np.repeat(np.arange(5), 8)])
def test_weights_come_in_blocks_that_memory_bounds(
    monkeypatch: pytest.MonkeyPatch, subjects: np.ndarray | None
) -> None:
    monkeypatch.setattr(bootstrap, "_STEP_ELEMENTS", 100)
    blocks = list(exponential_weights(40, rng=np.random.default_rng(0), draws=5, subjects=subjects))
    # Two rows of 40 are within a hundred numbers; no block is empty where not even one row is.
    assert [block.shape for block in blocks] == [(2, 40), (2, 40), (1, 40)]
    monkeypatch.setattr(bootstrap, "_STEP_ELEMENTS", 10)
    blocks = list(exponential_weights(40, rng=np.random.default_rng(0), draws=3, subjects=subjects))
    assert [block.shape for block in blocks] == [(1, 40)] * 3
