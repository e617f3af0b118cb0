"""All that a command prints, and the bar while it scores. Decides nothing but the exit code of gates."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from segfair.audit.gates import Gate
    from segfair.audit.result import AuditResult, GateFacts
    from segfair.cli.options import RankOptions
    from segfair.files.manifest import Origin
    from segfair.handover.deliver import Delivery
    from segfair.rank.result import Ranking

# Alerts that can turn a verdict round; the page has them all.
_TOLD_AT_ONCE = ("direction", "size", "labels", "copied", "column")


@contextmanager
def scoring(n_cases: int, workers: int | None) -> Iterator[tuple[Executor | None, Callable[[str], None]]]:
    """A pool of processes and a progress bar (on stderr, none when it is not a terminal)."""
    from concurrent.futures import ProcessPoolExecutor

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    n_workers = min(workers or os.cpu_count() or 1, max(1, n_cases // 4))
    with progress:
        task = progress.add_task("scoring", total=n_cases, rate="")

        def on_done(_: str) -> None:
            progress.advance(task)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:.1f} cases/s" if speed else "")

        if n_workers == 1:
            yield None, on_done
        else:
            with ProcessPoolExecutor(n_workers) as executor:
                yield executor, on_done


def finish(result: AuditResult, gates: Sequence[Gate], delivery: Delivery) -> None:
    """Decides the gates, writes and prints; leaves with their exit code."""
    from segfair.audit.gates import check_gates, exit_code

    result = dataclasses.replace(result, gates=check_gates(result, gates))
    write(result, delivery)
    if result.gates:
        raise typer.Exit(exit_code(result.gates))


def say_gates(gates: Sequence[GateFacts]) -> None:
    """State, gate and reason of each, a line each."""
    for entry in gates:
        typer.echo(f"{entry.state:<9}  {entry.gate}: {entry.reason}")


def write(
    result: AuditResult,
    delivery: Delivery,
    *,
    inputs: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
) -> None:
    """Writes what an audit hands over, and says what it found and where that lies."""
    from segfair.audit.words import plural, search_sentence
    from segfair.handover.deliver import deliver

    result, page = deliver(result, delivery, command=command(), inputs=inputs, origin=origin)
    counts = result.cases
    for notice in result.notices:
        typer.echo(notice)
    for alert in result.alerts:
        if alert.kind in _TOLD_AT_ONCE:
            typer.echo(f"note well: {alert.text}")
    if result.search is not None and result.search.is_cut:
        typer.echo(search_sentence(result.search))
    tally = f"{len(counts.penalised)} penalised; {len(counts.unusable)} excluded"
    tally += f"; {counts.n_taught} taught the bins" if counts.n_taught else ""
    typer.echo(f"{plural(counts.n_scored, 'case')} scored, {tally}")
    scores = "  ".join(f"{name} {score.value:.4f}" for name, score in result.scores.items() if score.value is not None)
    if scores:
        typer.echo(scores)
    typer.echo(result.verdict.sentence)
    say_gates(result.gates)
    typer.echo(f"report: {page}")
    if delivery.share is not None:
        typer.echo(f"to hand on: {delivery.share}")


def write_ranking(ranking: Ranking, options: RankOptions) -> None:
    """Writes a ranking, and says who is first and where it lies."""
    from segfair.report.ranking.files import write_ranking

    page = write_ranking(
        ranking,
        options.out,
        private_labels=options.private_labels,
        export=options.export,
        command=command(),
    )
    for notice in ranking.notices:
        typer.echo(notice)
    for case, reason in ranking.scores.excluded.items():
        typer.echo(f"left out for every team: case {case}: {reason}")
    for alert in ranking.alerts:
        typer.echo(alert.text)
    typer.echo(ranking.verdict.sentence)
    typer.echo(f"leaderboard: {page}")


def command() -> str:
    """The command line as it was typed, which reports keep."""
    return shlex.join(["segfair", *sys.argv[1:]])
