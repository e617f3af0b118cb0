"""Calibration of levels: each case counts alike, small groups have no interval."""

from __future__ import annotations

import pytest

from segfair.audit.calibration.levels import reliability
from segfair.scoring.calibration.measures import N_BINS


def case(**bins: tuple[float, float, float]) -> tuple[tuple[float, float, float], ...]:
    return tuple(bins.get(f"b{k}", (0.0, 0.0, 0.0)) for k in range(N_BINS))


def test_each_case_counts_alike_however_large() -> None:
    small = case(b0=(1, 0.01, 0), b14=(1, 0.99, 1))
    large = case(b0=(300, 3.0, 0), b14=(100, 96.0, 50))
    first, last = reliability([small, large])
    assert (first.low, first.high) == (0.0, pytest.approx(1 / 15))
    assert (last.low, last.high) == (pytest.approx(14 / 15), 1.0)
    # Shares .5 and .75 of the voxels in the first bin, .5 and .25 in the last.
    assert (first.share, last.share) == (pytest.approx(0.625), pytest.approx(0.375))
    assert last.probability == pytest.approx((0.99 / 2 + 96 / 400) / (0.5 + 0.25))
    assert last.lesion == pytest.approx((1 / 2 + 50 / 400) / (0.5 + 0.25))
    assert (first.probability, first.lesion) == (pytest.approx((0.01 / 2 + 3 / 400) / 1.25), 0.0)


def test_cases_without_a_lesion_are_in_no_bin() -> None:
    only = case(b3=(2, 0.5, 1))
    assert reliability([(), only, ()]) == reliability([only])
    assert reliability([()]) == ()
