"""Scores of training cases from their batches: by hand, and with cases that an epoch does not draw."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.mitigation.weighting.running import RunningScores


def test_an_average_moves_by_its_rate() -> None:
    running = RunningScores(["a", "b"], rate=0.4)
    running.observe(["a", "b"], np.array([0.5, 0.8]))
    assert running.end_epoch() == pytest.approx([0.5, 0.8])
    running.observe(["b", "a"], np.array([0.8, 1.0]))
    assert running.end_epoch() == pytest.approx([0.7, 0.8])


def test_patches_of_a_case_count_as_their_mean() -> None:
    running = RunningScores(["a", "b"])
    running.observe(["a", "a", "b", "a"], np.array([0.2, 0.4, 0.9, np.nan]))
    assert running.end_epoch() == pytest.approx([0.3, 0.9])


def test_a_case_that_is_not_drawn_moves_as_the_others() -> None:
    running = RunningScores(["a", "b", "c"], rate=0.5)
    running.observe(["a", "b", "c"], np.array([0.2, 0.4, 0.3]))
    running.end_epoch()
    # a moves by .2 and b by .1; c, not drawn, by their mean.
    running.observe(["a", "b"], np.array([0.6, 0.6]))
    assert running.end_epoch() == pytest.approx([0.4, 0.5, 0.45])


def test_a_case_that_is_not_drawn_does_not_move_beyond_the_others() -> None:
    running = RunningScores(["a", "b", "c"], rate=1.0)
    running.observe(["a", "b", "c"], np.array([0.1, 0.1, 0.95]))
    running.end_epoch()
    for score in (0.5, 0.9):
        running.observe(["a", "b"], np.array([score, score]))
        assert running.end_epoch() == pytest.approx([score, score, 0.95])


def test_a_case_never_drawn_has_the_mean_of_the_others() -> None:
    running = RunningScores(["a", "b", "c"])
    assert running.end_epoch() is None
    running.observe(["a", "c"], np.array([0.2, 0.6]))
    assert running.end_epoch() == pytest.approx([0.2, 0.4, 0.6])


def test_goes_on_from_its_state() -> None:
    first = RunningScores(["a", "b"])
    first.observe(["a"], np.array([0.5]))
    first.end_epoch()
    first.observe(["b"], np.array([0.7]))
    second = RunningScores(["a", "b"])
    second.load_state_dict(first.state_dict())
    for running in (first, second):
        running.observe(["a"], np.array([0.9]))
    assert second.end_epoch() == pytest.approx(first.end_epoch())
