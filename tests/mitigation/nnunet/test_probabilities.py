"""Probabilities in shared memory: what other processes see of a change, and what is drawn."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

import numpy as np
import pytest

from segfair.errors import InputError
from segfair.mitigation.nnunet.probabilities import SharedProbabilities, weights_of


def answer(probabilities: SharedProbabilities, asked: Connection) -> None:
    """Another process: tells the probabilities that it sees, each time that it is asked."""
    while asked.recv():
        asked.send(np.asarray(probabilities).tolist())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_sees_a_change(method: str) -> None:
    context = multiprocessing.get_context(method)
    probabilities = SharedProbabilities(np.array([1.0, 1.0]))
    here, there = context.Pipe()
    process = context.Process(target=answer, args=(probabilities, there))
    process.start()
    here.send(True)
    assert here.recv() == [0.5, 0.5]
    probabilities.change(np.array([3.0, 1.0]))
    here.send(True)
    assert here.recv() == [0.75, 0.25]
    here.send(False)
    process.join()


def test_drawn_frequencies_follow() -> None:
    probabilities = SharedProbabilities(np.array([1.0, 0.0, 3.0]))
    cases = ["a", "b", "c"]
    generator = np.random.RandomState(0)
    drawn = generator.choice(cases, 2000, p=probabilities)
    # Binomial with n 2000, p 0.75: six standard deviations are 0.058.
    assert np.mean(drawn == "c") == pytest.approx(0.75, abs=0.058)
    assert "b" not in drawn
    probabilities.change(np.array([0.0, 5.0, 0.0]))
    assert set(generator.choice(cases, 50, p=probabilities)) == {"b"}


def test_a_read_is_a_copy_that_sums_to_one() -> None:
    probabilities = SharedProbabilities(np.full(7, 0.3))
    read = np.asarray(probabilities)
    probabilities.change(np.arange(7.0))
    assert read == pytest.approx(np.full(7, 1 / 7))
    assert np.asarray(probabilities).sum() == pytest.approx(1, abs=1e-12)


def test_weights_are_found_by_case_and_those_of_other_cases_passed_over() -> None:
    assert weights_of(["b", "a"], {"a": 1.0, "b": 2.0, "x": 9.0}).tolist() == [2.0, 1.0]


def test_a_case_without_a_weight_is_named() -> None:
    with pytest.raises(InputError, match=r"1 of 3 training cases have none, for example b;"):
        weights_of(["a", "b", "c"], {"a": 1.0, "c": 1.0})


def test_weights_of_another_fold_only_are_refused() -> None:
    with pytest.raises(InputError, match="all 0"):
        weights_of(["a"], {"a": 0.0, "x": 1.0})
