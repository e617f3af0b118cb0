"""Scores that compare levels: worked by hand, and at chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.fairness.worked_cohort import CODES

from segfair import fairness as d
from segfair.fairness import level_means
from segfair.stats import resampling


def test_level_means_by_hand(worked: d.LevelMeans) -> None:
    np.testing.assert_allclose(worked.means[0, 0], [0.8, 0.6, 0.6, 1.7 / 3, 1.9 / 3])
    np.testing.assert_allclose(worked.means[0, 1], [0.1, 0.4, 0.2, 0.3, 0.3])
    np.testing.assert_allclose(worked.overall[0], [0.6, 0.3])
    assert worked.attribute.tolist() == [0, 0, 0, 1, 1]


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


def test_level_means_of_a_large_cohort_spread_as_drawing_without_replacement_says() -> None:
    """Cochran's variance of a mean drawn without replacement, and of one of weighted cases."""
    rng = np.random.default_rng(5)
    codes = np.array([rng.integers(0, 3, 40_000), rng.integers(0, 2, 40_000)])
    outcomes = np.stack([rng.beta(8, 2, 40_000), rng.gamma(1.5, 0.1, 40_000)])
    levels = d.stack_levels(codes)
    shuffled = d.permuted_level_means(levels, outcomes, rng=rng, permutations=4000)
    resampled = d.bootstrap_level_means(levels, outcomes, rng=rng, draws=4000)
    for row, n in enumerate(levels.counts):
        expected = np.sqrt(outcomes.var(axis=1, ddof=1) / n * (1 - n / 40_000))
        np.testing.assert_allclose(shuffled.means[:, :, row].std(axis=0), expected, rtol=0.06)
        np.testing.assert_allclose(shuffled.means[:, :, row].mean(axis=0), outcomes.mean(axis=1), rtol=1e-3)
        inside = outcomes[:, levels.indicator[row]]
        np.testing.assert_allclose(resampled.means[:, :, row].std(axis=0), inside.std(axis=1) / n**0.5, rtol=0.06)
    between = np.corrcoef(shuffled.means[:, :, 0].T)[0, 1]
    assert between == pytest.approx(np.corrcoef(outcomes)[0, 1], abs=0.06)
    np.testing.assert_allclose(resampled.overall.std(axis=0), outcomes.std(axis=1) / 200, rtol=0.06)


def test_models_change_places_some_replicates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "_SIGN_ELEMENTS", 100)
    rows = []

    def counting(*given: int, **options: Any) -> Iterator[np.ndarray]:
        for signs in resampling.draw_signs(*given, **options):
            rows.append(len(signs))
            yield signs

    monkeypatch.setattr(level_means, "draw_signs", counting)
    outcomes = np.linspace(0, 1, 80).reshape(2, 40)
    d.swapped_level_means(
        d.stack_levels(np.arange(40)[None] % 2), outcomes, outcomes[::-1], rng=np.random.default_rng(0), permutations=5,
        subjects=np.arange(40) // 8,
    )  # fmt: skip
    # Of each replicate 40 numbers are made, though only five patients change places: two within a hundred.
    assert rows == [2, 2, 1]
