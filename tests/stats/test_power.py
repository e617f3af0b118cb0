"""Power: the formula turned round, and against simulated cohorts."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from segfair.stats.permutation import max_t
from segfair.stats.power import detectable_gap, n_needed, null_critical


def test_two_groups_of_64_detect_half_a_standard_deviation() -> None:
    """The textbook case: a single two-sided test at 5 %, power 80 %."""
    gap = detectable_gap(np.array(64), 128, sd=1.0, critical=float(scipy.stats.norm.ppf(0.975)))
    assert float(gap) == pytest.approx(0.495, abs=0.001)


def test_gap_and_number_are_inverse() -> None:
    n = np.array([10.0, 30.0, 150.0])
    gaps = detectable_gap(n, 300, sd=0.18, critical=3.1)
    for members, gap in zip(n, gaps, strict=True):
        assert n_needed(float(gap), np.array(members / 300), sd=0.18, critical=3.1) == members
    assert np.all(np.diff(gaps) < 0)


def test_groups_that_are_nobody_or_everybody() -> None:
    assert np.isnan(detectable_gap(np.array([0, 50]), 50, sd=0.2, critical=3.0)).all()
    assert np.isnan(n_needed(0.05, np.array([0.0, 1.0]), sd=0.2, critical=3.0)).all()


def test_the_detectable_gap_is_detected_four_times_in_five() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(120):
        codes = rng.integers(0, 4, (3, 160))
        members = np.concatenate([attribute == np.arange(4)[:, None] for attribute in codes])
        critical = null_critical(members, rng=rng, permutations=199)
        assert critical is not None
        gap = float(detectable_gap(members[0].sum(), 160, sd=0.2, critical=critical))
        outcome = rng.normal(0.7, 0.2, 160) - gap * members[0]
        found += bool(max_t(members, outcome, rng=rng, permutations=199).significant()[0])
    assert abs(found - 96) <= 3 * np.sqrt(120 * 0.8 * 0.2)


def test_no_critical_value_without_a_family() -> None:
    assert null_critical(np.ones((2, 15), dtype=bool), rng=np.random.default_rng(0)) is None


def test_numbers_that_could_be_taken_for_each_other_are_named() -> None:
    with pytest.raises(TypeError):
        n_needed(0.05, np.array([0.5]), 0.2, 3.0)  # type: ignore[misc]
    with pytest.raises(TypeError):
        detectable_gap(np.array([50]), 100, 0.2, 3.0)  # type: ignore[misc]
