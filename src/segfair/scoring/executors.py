"""Where cases are scored: jobs -> their outcomes in order, over any executor; a dask cluster as one. Scores nothing.

The only importer of dask, when a cluster is asked for.
"""

from __future__ import annotations

import platform
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from segfair.documents import read_json
from segfair.errors import AuditError, ConfigError, in_words
from segfair.scoring.score_cache import scorer_digest
from segfair.signals import as_worker

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from threading import Thread

__all__ = ["AHEAD", "DaskCluster", "dask_cluster", "outcomes_in_order", "own_processes"]

AHEAD = 512
"""Jobs that are handed over and not yet collected: enough to keep some hundred processes busy, and few to hold."""
# How long a scheduler is waited for.
_PATIENCE_S = 20

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
        AuditError: A worker process died, the cluster was lost, or has no segfair of this version.
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
    except ImportError as error:
        raise AuditError(
            f"case {name}: cannot be scored where it was sent to ({error}); install segfair there as it is here"
        ) from error
    except _deaths() as error:
        raise AuditError(
            f"case {name} or one beside it ended its worker process (out of memory?); use fewer workers"
        ) from error
    finally:
        for _, future in waiting:
            future.cancel()


def _deaths() -> tuple[type[BaseException], ...]:
    """What executors raise where a worker died or the cluster went; one of them exists only once dask is loaded."""
    distributed = sys.modules.get("distributed")
    usual = (BrokenExecutor, CancelledError)
    return usual if distributed is None else (*usual, distributed.KilledWorker)


@contextmanager
def own_processes(n_workers: int, *, afresh: bool = False) -> Iterator[Executor | None]:
    """So many processes of this machine, which end with this one however it ends.

    Args:
        n_workers: How many; None for 1, or fewer: this process.
        afresh: Whether they are begun anew instead of forked: those forked from one that has used torch can hang. One
            such process is one beside this.
    """
    if n_workers < (1 if afresh else 2):
        yield None
        return
    import multiprocessing
    import threading

    context = multiprocessing.get_context("spawn" if afresh else None)
    others, threads = multiprocessing.active_children(), set(threading.enumerate())
    with _minded(n_workers, context) as executor:
        try:
            yield executor
        except BaseException:
            # Nobody waits for what is being scored: a large volume takes its time.
            executor.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                if worker not in others:  # those of the program that called us
                    worker.terminate()
            for thread in set(threading.enumerate()) - threads:
                if _minds_processes(thread):
                    thread.join(_PATIENCE_S)
            raise


@contextmanager
def _minded(n_workers: int, context: BaseContext) -> Iterator[Executor]:
    """Processes whose jobs fail where the thread that minds them ends, instead of never ending.

    It ends where it gets no memory for a thread of its own, and where it finds jobs that were taken back. Python prints
    that as a fault, and waits for the jobs for ever.
    """
    import threading
    from concurrent.futures import process

    given: WeakSet[Future[Any]] = WeakSet()
    alone = threading.Event()

    class Processes(process.ProcessPoolExecutor):
        def submit(self, function: Callable[..., _Outcome], /, *arguments: Any, **named: Any) -> Future[_Outcome]:
            future = super().submit(function, *arguments, **named)
            given.add(future)
            if alone.is_set():
                give_up()
            return future

    def give_up() -> None:
        for future in list(given):
            with suppress(InvalidStateError):  # those that are done
                future.set_exception(process.BrokenProcessPool("nobody minds the processes any more"))

    def told(ended: threading.ExceptHookArgs) -> None:
        if _minds_processes(ended.thread):
            alone.set()
            give_up()
        else:
            hook(ended)

    hook = threading.excepthook
    threading.excepthook = told
    try:
        with Processes(n_workers, mp_context=context, initializer=as_worker) as executor:
            yield executor
    finally:
        threading.excepthook = hook


def _minds_processes(thread: Thread | None) -> bool:
    """Whether a thread is that of an executor of Python's own."""
    return type(thread).__module__ == "concurrent.futures.process"


@contextmanager
def dask_cluster(address: str) -> Iterator[DaskCluster]:
    """A dask cluster that runs already, as an executor.

    Its workers read the masks, so they have to see the files under the same paths. A task whose worker dies is done by
    another.

    Args:
        address: Of its scheduler, such as `tcp://head:8786`, or the path of a scheduler file.

    Raises:
        ConfigError: dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError("--dask: needs dask's scheduler; install it with: pip install 'segfair[dask]'") from error
    at = _address_in(Path(address)) if Path(address).is_file() else address
    try:
        client = Client(at, timeout=_PATIENCE_S, set_as_default=False, name="segfair")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--dask {address}: no scheduler answers there ({in_words(error)}); name its address as dask scheduler "
            "prints it, such as tcp://head:8786, or its scheduler file"
        ) from error
    with client:
        yield DaskCluster(client.get_executor(pure=False))


def _address_in(path: Path) -> str:
    """The address in a scheduler file."""
    tree = read_json(path, refusal=ConfigError, what=f"--dask {path}")
    address = tree.get("address") if isinstance(tree, dict) else None
    if not isinstance(address, str):
        raise ConfigError(f"--dask {path}: names no address; hand in the scheduler file that dask scheduler wrote")
    return address


class DaskCluster(Executor):
    """A cluster whose workers score with the same code as this process, or not at all."""

    def __init__(self, cluster: Executor) -> None:
        self._cluster = cluster

    def submit(self, function: Callable[..., _Outcome], /, *arguments: Any, **named: Any) -> Future[_Outcome]:
        """Sends a call there."""
        return self._cluster.submit(_with_same_code, scorer_digest(), function, arguments, named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leaves the cluster as it was."""
        self._cluster.shutdown(wait=wait)


def _with_same_code(
    scorer: str, function: Callable[..., _Outcome], arguments: tuple[Any, ...], named: dict[str, Any]
) -> _Outcome:
    if scorer != scorer_digest():
        raise AuditError(
            f"the worker on {platform.node()} has another version of segfair, or of a library that scores rest on; "
            "install there what is installed here"
        )
    return function(*arguments, **named)
