"""What is seen while masks are scored, and the processes that score. Nothing is shown where nobody looks on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segfair.errors import ConfigError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from segfair.cli.options import Running
    from segfair.cli.terminal.voice import Voice

__all__ = ["n_cores", "progress", "scoring", "workers"]

Done = Callable[[str], None]


@contextmanager
def scoring(n_cases: int, running: Running, voice: Voice) -> Iterator[tuple[Executor | None, Done]]:
    """Where cases are scored, and what is called with each that is: a progress bar."""
    with workers(n_cases, running) as executor, progress(n_cases, voice) as on_done:
        yield executor, on_done


@contextmanager
def progress(n_cases: int, voice: Voice, *, what: str = "scoring", then: str = "testing") -> Iterator[Done]:
    """A bar with rate and time left, which goes when all is done; on stderr, if it is a terminal.

    Args:
        n_cases: How many there are.
        voice: A quiet one shows none.
        what: What is done with each case.
        then: What is done once all are through: the bar says so until then.
    """
    if voice.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=n_cases, rate="")

        def on_done(_: str) -> None:
            bar.advance(task)
            now = bar.tasks[0]
            bar.update(task, rate=f"{now.speed:.1f}/s" if now.speed else "", description=then if now.finished else what)

        yield on_done


@contextmanager
def workers(n_cases: int, running: Running) -> Iterator[Executor | None]:
    """The processes of this machine, or a cluster; None: this process.

    Raises:
        ConfigError: Both are asked for.
    """
    from segfair.scoring.executors import dask_cluster, own_processes

    if running.dask is not None:
        if running.workers is not None:
            raise ConfigError(
                f"--workers {running.workers}: with --dask the cluster decides how many; leave out one of them"
            )
        with dask_cluster(running.dask) as cluster:
            yield cluster
        return
    with own_processes(min(running.workers or n_cores(), max(1, n_cases // 4))) as executor:
        yield executor


def n_cores() -> int:
    """The cores that this process may use, of which a batch system gives it a share."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
