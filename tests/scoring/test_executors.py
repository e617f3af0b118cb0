"""Jobs over an executor: the order of outcomes, how many are in flight, what is taken back, workers that die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from segfair.errors import AuditError
from segfair.scoring.executors import AHEAD, outcomes_in_order, own_processes


class Slow(Executor):
    """Does nothing until it is told to, and counts what it was handed."""

    def __init__(self) -> None:
        self.futures: list[Future[int]] = []

    def submit(self, function, /, *arguments, **named) -> Future[int]:
        future: Future[int] = Future()
        self.futures.append(future)
        if len(self.in_flight) >= AHEAD:
            # The last that was handed over is the first to be done.
            for number in range(len(self.futures) - 1, -1, -1):
                if not self.futures[number].done():
                    self.futures[number].set_result(number)
        return future

    @property
    def in_flight(self) -> list[Future[int]]:
        return [future for future in self.futures if not future.done()]


def jobs(n: int) -> Iterator[tuple[str, tuple[int]]]:
    return ((f"P{number}", (number,)) for number in range(n))


def double(number: int) -> int:
    return 2 * number


def die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("n", [0, 1, AHEAD - 1, AHEAD, 3 * AHEAD + 7])
def test_outcomes_come_in_the_order_of_the_jobs(n: int) -> None:
    expected = [(f"P{number}", 2 * number) for number in range(n)]
    with outcomes_in_order(double, jobs(n)) as here:
        assert list(here) == expected
    with ThreadPoolExecutor(3) as threads, outcomes_in_order(double, jobs(n), threads) as elsewhere:
        assert list(elsewhere) == expected


def test_a_bounded_number_of_jobs_is_in_flight() -> None:
    drawn = 0

    def counted() -> Iterator[tuple[str, tuple[int]]]:
        nonlocal drawn
        for job in jobs(10 * AHEAD):
            drawn += 1
            yield job

    n_done = 0
    with outcomes_in_order(double, counted(), Slow()) as outcomes:
        for n_done, (name, number) in enumerate(outcomes):
            assert name == f"P{number}"
            assert number == n_done
            assert drawn <= n_done + AHEAD
            if n_done == 9 * AHEAD:
                break
    assert n_done == 9 * AHEAD


def test_who_leaves_early_takes_back_what_has_not_begun() -> None:
    slow = Slow()
    with outcomes_in_order(double, jobs(2 * AHEAD), slow) as outcomes:
        next(outcomes)
        next(outcomes)
    later = slow.futures[AHEAD:]
    assert later
    assert all(future.cancelled() for future in later)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_a_worker_that_is_killed_is_told() -> None:
    with (
        ProcessPoolExecutor(1) as processes,
        outcomes_in_order(die, jobs(6), processes) as outcomes,
        pytest.raises(AuditError, match=r"case P\d or one beside it ended its worker process"),
    ):
        list(outcomes)


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_jobs_fail_where_no_thread_can_be_begun_to_hand_them_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own executor prints a traceback there, and its jobs never end."""

    def fail(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("multiprocessing.queues.Queue._start_thread", fail)
    told: list[object] = []
    monkeypatch.setattr("threading.excepthook", told.append)
    with (
        pytest.raises(AuditError, match=r"case P0 or one beside it ended its worker process"),
        own_processes(2) as processes,
        outcomes_in_order(double, jobs(6), processes) as outcomes,
    ):
        list(outcomes)
    assert not told
    assert threading.excepthook == told.append
    for worker in multiprocessing.active_children():
        worker.join(20)
        assert not worker.is_alive()


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_threads_of_others_fail_as_they_do_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr("threading.excepthook", told.append)
    with own_processes(2):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert [type(ended.exc_value) for ended in told] == [ZeroDivisionError]


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_an_error_ends_the_workers_and_nobody_else() -> None:
    bystander = multiprocessing.Process(target=time.sleep, args=(60,))
    bystander.start()
    with pytest.raises(InterruptedError), own_processes(2) as processes:
        assert processes is not None
        processes.submit(time.sleep, 60)
        workers = [child for child in multiprocessing.active_children() if child is not bystander]
        assert workers
        raise InterruptedError
    for worker in workers:
        worker.join(20)
    assert not any(worker.is_alive() for worker in workers)
    assert bystander.is_alive()
    bystander.terminate()
    bystander.join()
