"""Margins: a deficit ruled out, shown, or neither."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.stats.equivalence import margin_standing
from segfair.stats.permutation import max_t

WITHIN, BEYOND, OPEN = "within margin", "beyond margin", "insufficient evidence"


def test_bounds_decide() -> None:
    bounds = np.array([[-0.04, 0.02], [-0.20, -0.06], [-0.08, 0.10], [-0.05, 0.0], [np.nan, np.nan], [0.1, 0.3]])
    assert margin_standing(bounds, 0.05) == [WITHIN, BEYOND, OPEN, OPEN, OPEN, WITHIN]
    # Where lower is better, harm is a divergence above 0.
    assert margin_standing(bounds, 0.05, better="lower") == [WITHIN, WITHIN, OPEN, WITHIN, OPEN, BEYOND]


def test_no_subgroups() -> None:
    assert margin_standing(np.empty((0, 2)), 0.05) == []


@pytest.mark.parametrize(("n_cases", "gap", "aim"), [(2000, 0.0, WITHIN), (80, 0.0, OPEN), (2000, 0.12, BEYOND)])
def test_simulated_cohorts(n_cases: int, gap: float, aim: str) -> None:
    rng = np.random.default_rng(n_cases)
    reached = 0
    for _ in range(30):
        codes = rng.integers(0, 5, n_cases)
        members = codes == np.arange(5)[:, None]
        outcome = rng.beta(4, 1.3, n_cases) - gap * members[0]
        test = max_t(members, outcome, rng=rng, permutations=199)
        reached += margin_standing(test.simultaneous_difference(), 0.05)[0] == aim
    assert reached >= 30 * 0.9 - 3 * np.sqrt(30 * 0.9 * 0.1)
