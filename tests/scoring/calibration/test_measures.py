"""Calibration by hand, by a loop over voxels, by scikit-learn, and by labels drawn from the probabilities."""

from __future__ import annotations

import math
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from packaging.version import Version
from sklearn.metrics import brier_score_loss

from segfair.scoring.calibration.measures import (
    N_BINS,
    bin_sums,
    brier_score,
    calibration_error,
    chance_error,
    expected_dice,
)

FOUR = np.array([0.9, 0.9, 0.1, 0.5])
LESION = np.array([True, False, False, True])

maps = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        npst.arrays(np.float64, n, elements=st.floats(0, 1) | st.sampled_from([k / N_BINS for k in range(N_BINS + 1)])),
        npst.arrays(np.bool_, n),
    )
)


def test_four_voxels_by_hand() -> None:
    # .9 and .9: one of two is lesion, off by |1.8 - 1| = .8; .1: off by .1; .5: off by .5.
    assert calibration_error(bin_sums(FOUR, LESION)) == pytest.approx((0.8 + 0.1 + 0.5) / 4)
    assert brier_score(FOUR, LESION) == pytest.approx((0.01 + 0.81 + 0.01 + 0.25) / 4)
    # The mask of the first two: 2 (.9 + .9) / (2 + 2.4).
    assert expected_dice(FOUR, np.array([True, True, False, False]), both_empty=1) == pytest.approx(3.6 / 4.4)


def test_an_edge_is_in_the_upper_bin_and_one_in_the_last() -> None:
    sums = bin_sums(np.array([0.0, 1 / N_BINS, 7 / N_BINS, 1.0]), np.zeros(4, bool))
    assert np.flatnonzero(sums.n).tolist() == [0, 1, 7, N_BINS - 1]


@settings(max_examples=60, deadline=None)
@given(maps)
def test_the_error_is_that_of_a_loop(found: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, lesion = found
    error = 0.0
    for k in range(N_BINS):
        low, high = k / N_BINS, (k + 1) / N_BINS
        inside = [i for i, p in enumerate(probabilities) if low <= p < high or (k == N_BINS - 1 and p == 1)]
        if inside:
            confidence = sum(probabilities[i] for i in inside) / len(inside)
            share = sum(bool(lesion[i]) for i in inside) / len(inside)
            error += len(inside) / len(probabilities) * abs(confidence - share)
    assert calibration_error(bin_sums(probabilities, lesion)) == pytest.approx(error, abs=1e-12)


@pytest.mark.skipif(Version(version("scikit-learn")) < Version("1.7"), reason="takes no labels of one kind alone")
@settings(max_examples=60, deadline=None)
@given(maps)
def test_the_brier_score_is_that_of_scikit_learn(found: tuple[np.ndarray, np.ndarray]) -> None:
    probabilities, lesion = found
    assert brier_score(probabilities, lesion) == pytest.approx(
        brier_score_loss(lesion, probabilities, pos_label=True, labels=[False, True]), abs=1e-12
    )


@pytest.mark.parametrize("n", [30, 3000])
def test_the_chance_level_is_the_error_of_labels_drawn_voxel_by_voxel(n: int) -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.beta(0.5, 0.5, n)
    errors = [calibration_error(bin_sums(probabilities, rng.random(n) < probabilities)) for _ in range(4000)]
    # 200 draws: their mean is known to sd / sqrt(200).
    assert chance_error(probabilities) == pytest.approx(np.mean(errors), abs=4 * np.std(errors) / math.sqrt(200))
    assert chance_error(probabilities) == chance_error(probabilities.copy())


def test_sure_probabilities_have_no_chance_level() -> None:
    assert chance_error(np.array([0.0, 1.0, 1.0])) == 0.0


def test_few_voxels_have_more_chance_than_many() -> None:
    rng = np.random.default_rng(1)
    assert chance_error(rng.random(100)) > 3 * chance_error(rng.random(10_000))


def test_the_expected_dice_is_the_mean_over_drawn_labels() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.beta(0.5, 0.5, 2000)
    mask = probabilities > 0.5
    labels = rng.random((2000, 2000)) < probabilities
    dice = 2 * (labels & mask).sum(axis=1) / (mask.sum() + labels.sum(axis=1))
    assert expected_dice(probabilities, mask, both_empty=1) == pytest.approx(dice.mean(), abs=5e-4)


@pytest.mark.parametrize(("both_empty", "expected"), [(1.0, 0.9 * 0.5), (0.0, 0.0)])
def test_an_empty_mask_expects_an_empty_label(both_empty: float, expected: float) -> None:
    nothing = np.zeros(2, bool)
    assert expected_dice(np.array([0.1, 0.5]), nothing, both_empty=both_empty) == pytest.approx(expected)
    assert expected_dice(np.array([0.1, 1.0]), nothing, both_empty=both_empty) == 0.0


def test_no_voxel_has_no_value() -> None:
    nothing = np.array([]), np.array([], bool)
    assert math.isnan(calibration_error(bin_sums(*nothing)))
    assert math.isnan(brier_score(*nothing))
    assert math.isnan(chance_error(nothing[0]))
