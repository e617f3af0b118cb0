"""Which units a question is asked of, and blocks of cases alike."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.stats.family import families, quantile_blocks


def test_quantile_blocks_hold_at_least_ten_cases_of_one_stratum() -> None:
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1, 2], [100, 34, 6])
    values = rng.normal(size=140)
    blocks = quantile_blocks(values, strata, n_blocks=10)
    sizes = {stratum: sorted(np.unique(blocks[strata == stratum], return_counts=True)[1]) for stratum in range(3)}
    assert sizes == {0: [10] * 10, 1: [11, 11, 12], 2: [6]}
    assert len(np.unique(blocks)) == 14
    first = blocks == blocks[np.argmin(np.where(strata == 0, values, np.inf))]
    assert values[first].max() <= values[(strata == 0) & ~first].min()


def test_subjects_decide_the_units() -> None:
    # Subjects 0, 1, 2 with 2, 1 and 2 cases. The first subgroup holds whole subjects, the second divides subject 0.
    subjects = np.array([0, 0, 1, 2, 2])
    outcome = np.array([1.0, 3.0, 8.0, 4.0, 6.0])
    members = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=bool)
    between, within = families(members, outcome, subjects=subjects)
    assert between.rows.tolist() == [0]
    assert between.membership.tolist() == [[True, False, False]]
    # Subject means 2, 8, 5, around the mean 4.4 of all cases.
    np.testing.assert_allclose(between.outcome, [-2.4, 3.6, 0.6])
    assert within.rows.tolist() == [1]
    difference, _ = within.contrast.compare(within.contrast.residual(outcome)[None])
    assert difference[0, 0] == pytest.approx(-2.0)
