"""Edges learned where the outcome changes, from cases that are not audited."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.attributes.tree_bins import MAX_BINS, learn_edges, split_halves
from segfair.errors import ConfigError


def test_the_edge_lies_where_the_outcome_steps() -> None:
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 90, 300)
    outcome = np.where(ages < 47, 0.5, 0.9) + rng.normal(0, 0.02, 300)
    edges = learn_edges(ages.tolist(), outcome, min_cases=20, name="age")
    assert edges[0] == -np.inf
    assert edges[-1] == np.inf
    assert min(abs(edge - 47) for edge in edges) < 1
    assert len(edges) <= MAX_BINS + 1


def test_bins_hold_enough_cases_and_missing_values_do_not_count() -> None:
    values = [None, *range(30)]
    edges = learn_edges(values, np.array([5.0, *[0.0] * 10, *[1.0] * 20]), min_cases=10, name="age")
    assert edges == (-np.inf, 9.5, np.inf)


def test_halves_are_disjoint_and_keep_patients_together() -> None:
    subjects = np.repeat(np.arange(20), 3)
    learning, audited = split_halves(60, rng=np.random.default_rng(1), subjects=subjects)
    assert sorted([*learning, *audited]) == list(range(60))
    assert not set(subjects[learning]) & set(subjects[audited])
    assert len(learning) == 30


def test_text_has_no_edges() -> None:
    with pytest.raises(ConfigError, match="fewer than two numbers"):
        learn_edges([None, None], np.zeros(2), min_cases=1, name="site")
