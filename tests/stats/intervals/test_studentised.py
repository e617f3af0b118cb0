"""Bootstrap-t of small groups, by hand and where it has no answer."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.stats.intervals import studentised
from segfair.stats.intervals.bootstrap import (
    mean_interval,
)
from segfair.stats.intervals.studentised import reach, resample_means


def test_studentised_mean_by_hand() -> None:
    # 1, 2, 6 drawn as 1, 1, 6: mean 8 / 3 is 1/3 below 3, squared error (2 * (5/3)^2 + (10/3)^2) / 3 / 2.
    sums, sizes = np.array([[1.0], [2.0], [6.0]]), np.ones((3, 1))
    group = resample_means(sums, sizes, np.array([[2.0, 0.0, 1.0], [3.0, 0.0, 0.0]]))
    assert group.variance[0] == pytest.approx(7.0 / 3)
    np.testing.assert_allclose(group.deviation[:, 0], [-1 / 3, -2.0])
    np.testing.assert_allclose(group.variances[:, 0], [(2 * 25 / 9 + 100 / 9) / 6, 0.0], atol=1e-15)
    # The second resample has no spread and no t; the first alone has t -0.245, mirrored. One of the second in forty of
    # the first is less than a tail holds; one of two leaves the tails unknown.
    error = np.sqrt((2 * 25 / 9 + 100 / 9) / 6)
    expected = np.sqrt(7.0 / 3) / 3 / error
    often = resample_means(sums, sizes, np.array([[2.0, 0.0, 1.0]] * 40 + [[3.0, 0.0, 0.0]]))
    np.testing.assert_allclose(reach(often, confidence=0.95), [[expected, expected]])
    assert np.isnan(reach(group, confidence=0.95)).all()


def test_studentised_interval_needs_resamples_with_spread() -> None:
    group = resample_means(np.full((6, 1), 0.5), np.ones((6, 1)), np.ones((10, 6)))
    assert np.isnan(reach(group, confidence=0.95)).all()


def test_falling_back_at_ties_costs_no_coverage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve Dice as they come, Beta(4, 1.3) and 4 % missed: as often right as bootstrap-t alone, and as wide."""
    truth, n_cohorts = 0.96 * 4 / 5.3, 300
    inside, width = np.zeros(2), np.zeros(2)
    for seed in range(n_cohorts):
        rng = np.random.default_rng([12, seed])
        outcome = np.where(rng.random(12) < 0.04, 0.0, rng.beta(4, 1.3, 12))
        for column, least in enumerate((0.0, studentised._LEAST_SPREAD)):
            with monkeypatch.context() as patch:
                patch.setattr(studentised, "_LEAST_SPREAD", least)
                low, high = mean_interval(outcome, rng=np.random.default_rng(seed), draws=300, limits=(0.0, 1.0))
            assert low < outcome.mean() < high
            inside[column] += low <= truth <= high
            width[column] += high - low
    assert inside[1] >= inside[0] - 0.01 * n_cohorts
    assert inside[1] >= n_cohorts * 0.93 - 3 * np.sqrt(n_cohorts * 0.93 * 0.07)
    assert width[1] <= 1.01 * width[0]
