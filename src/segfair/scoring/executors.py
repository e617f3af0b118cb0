"""Where cases are scored: jobs -> their outcomes in order, over any executor. Scores nothing itself."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from segfair.errors import AuditError

__all__ = ["AHEAD", "outcomes_in_order"]

AHEAD = 256
"""Jobs that are handed over and not yet collected: enough to keep a hundred processes busy, and few to hold."""

Job = tuple[Any, ...]
_Outcome = TypeVar("_Outcome")


@contextmanager
def outcomes_in_order(
    function: Callable[..., _Outcome], jobs: Iterable[tuple[str, Job]], executor: Executor | None = None
) -> Iterator[Iterator[tuple[str, _Outcome]]]:
    """The outcome of every job, in the order of the jobs, as soon as it and those before it are there.

    At most `AHEAD` jobs are in flight, so that memory does not grow with their number. Whoever leaves the block early
    takes back what has not begun.

    Args:
        function: What is done; its module can be imported where the executor works.
        jobs: Name and arguments of each; drawn one by one.
        executor: Processes, threads, a cluster; None: one after the other, here.

    Yields:
        Name and outcome of each job.

    Raises:
        AuditError: A worker process died, or the cluster was lost.
    """
    with closing(_here(function, jobs) if executor is None else _elsewhere(function, jobs, executor)) as outcomes:
        yield outcomes


def _here(
    function: Callable[..., _Outcome], jobs: Iterable[tuple[str, Job]]
) -> Generator[tuple[str, _Outcome], None, None]:
    for name, job in jobs:
        yield name, function(*job)


def _elsewhere(
    function: Callable[..., _Outcome], jobs: Iterable[tuple[str, Job]], executor: Executor
) -> Generator[tuple[str, _Outcome], None, None]:
    waiting: deque[tuple[str, Future[_Outcome]]] = deque()
    name = ""
    try:
        for name, job in jobs:
            waiting.append((name, executor.submit(function, *job)))
            if len(waiting) >= AHEAD:
                name, future = waiting[0]
                yield name, future.result()
                waiting.popleft()
        while waiting:
            name, future = waiting[0]
            yield name, future.result()
            waiting.popleft()
    except _deaths() as error:
        raise AuditError(
            f"case {name} or one scored beside it ended its worker process (out of memory?); use fewer workers"
        ) from error
    finally:
        for _, future in waiting:
            future.cancel()


def _deaths() -> tuple[type[BaseException], ...]:
    """What executors raise where a worker died or the cluster went; one of them exists only once dask is loaded."""
    distributed = sys.modules.get("distributed")
    usual = (BrokenExecutor, CancelledError)
    return usual if distributed is None else (*usual, distributed.KilledWorker)
