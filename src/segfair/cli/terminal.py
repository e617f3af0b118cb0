"""What commands found, as lines of text, and the bar while they score. Decides nothing but the exit code of gates."""

from __future__ import annotations

import dataclasses
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from segfair.errors import ConfigError

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from pathlib import Path

    from segfair.audit.judging.gates import Gate
    from segfair.audit.result import AuditResult, GateFacts, PowerFacts
    from segfair.cli.options import RankOptions, Running
    from segfair.compare.result import Comparison
    from segfair.files.manifest import Origin
    from segfair.handover.deliver import Delivery
    from segfair.rank.result import Ranking
    from segfair.scoring.score_cache import ScoreCache
    from segfair.subgroups.search import Search

# Alerts that can turn a verdict round; the page has them all.
_TOLD_AT_ONCE = ("direction", "size", "labels", "copied", "column")


@contextmanager
def scoring(n_cases: int, running: Running) -> Iterator[tuple[Executor | None, Callable[[str], None]]]:
    """Where cases are scored, and a progress bar (on stderr, none when it is not a terminal)."""
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
    with workers(n_cases, running) as executor, progress:
        task = progress.add_task("scoring", total=n_cases, rate="")

        def on_done(_: str) -> None:
            progress.advance(task)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:.1f} cases/s" if speed else "")

        yield executor, on_done


@contextmanager
def workers(n_cases: int, running: Running) -> Iterator[Executor | None]:
    """The processes of this machine, or a cluster; None: this process.

    Raises:
        ConfigError: Both are asked for.
    """
    from concurrent.futures import ProcessPoolExecutor

    if running.dask is not None:
        from segfair.scoring.executors import dask_cluster

        if running.workers is not None:
            raise ConfigError(
                f"--workers {running.workers}: with --dask the cluster decides how many; leave out one of them"
            )
        with dask_cluster(running.dask) as cluster:
            yield cluster
        return
    n_workers = min(running.workers or _n_cores(), max(1, n_cases // 4))
    if n_workers == 1:
        yield None
    else:
        with ProcessPoolExecutor(n_workers) as executor:
            yield executor


def finish(result: AuditResult, gates: Sequence[Gate], delivery: Delivery) -> None:
    """Decides the gates, writes and prints; leaves with their exit code."""
    from segfair.audit.judging.gates import check_gates, exit_code

    verdict = dataclasses.replace(result.verdict, gates=check_gates(result, gates))
    result = dataclasses.replace(result, verdict=verdict)
    write(result, delivery)
    if result.verdict.gates:
        raise typer.Exit(exit_code(result.verdict.gates))


def _n_cores() -> int:
    """The cores that this process may use, of which a batch system gives it a share."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def say_cache(cache: ScoreCache | None, what: str) -> None:
    """How much of the scoring an earlier run had done."""
    if cache is not None:
        typer.echo(cache.sentence(what))


def _say_each(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def say_nothing(_: str) -> None:
    """For the processes beside the first."""


def say_gates(gates: Sequence[GateFacts]) -> None:
    """State, gate and reason of each, a line each."""
    _say_each(f"{entry.state:<9}  {entry.gate}: {entry.reason}" for entry in gates)


def say_search(search: Search | None) -> None:
    """Which subgroups were left out, where some were."""
    from segfair.audit.words import search_sentence

    if search is not None and search.is_cut:
        typer.echo(search_sentence(search))


def say_power(levels: Sequence[PowerFacts], *, gap: float, min_cases: int) -> None:
    """A line a group: its size, the gap it could show, and how many cases the gap asked for takes."""
    names = [f"{entry.attribute} = {entry.level}" for entry in levels]
    width = max(map(len, names), default=5)
    typer.echo(f"{'group':<{width}}  {'n':>6}  detectable gap  n for a gap of {gap:g}")
    for name, entry in zip(names, levels, strict=True):
        detectable = "-" if entry.detectable_gap is None else f"{entry.detectable_gap:.3f}"
        needed = "-" if entry.n_needed is None else f"{entry.n_needed:,}"
        small = "  too few cases" if entry.n < min_cases else ""
        typer.echo(f"{name:<{width}}  {entry.n:>6}  {detectable:>14}  {needed:>10}{small}")


def say_comparison(comparison: Comparison, page: Path) -> None:
    """How each score moved, and the verdict."""
    _say_each(comparison.notices)
    for name, change in comparison.scores.items():
        if change.before is not None and change.after is not None:
            typer.echo(f"{name} {change.before:.4f} -> {change.after:.4f} ({change.after - change.before:+.4f})")
    typer.echo(comparison.verdict.sentence)
    typer.echo(f"comparison: {page}")


def say_models(models: Mapping[str, Any]) -> None:
    """A line a trained model: its scores on the test cases, or of all cases out of fold, and its worst subgroup."""
    for name, scores in models.items():
        test = scores.get("pooled") or scores["test"]
        worst = test["worst_subgroup"]
        line = "  ".join(
            f"{key} {test[key]:.3f}" for key in ("DSC", "NormHD", "PS", "FS", "TS") if test[key] is not None
        )
        typer.echo(
            f"{name:<22} {line}  worst subgroup {worst['dsc']:.3f} (n = {worst['n']})" if worst else f"{name}: {line}"
        )


def write(
    result: AuditResult,
    delivery: Delivery,
    *,
    inputs: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
) -> None:
    """Writes what an audit hands over, and says what it found and where that lies."""
    from segfair.audit.words import plural
    from segfair.handover.deliver import deliver

    result, page = deliver(result, delivery, command=command(), inputs=inputs, origin=origin)
    counts = result.cases.counts
    _say_each(result.about.notices)
    for alert in result.verdict.alerts:
        if alert.kind in _TOLD_AT_ONCE:
            typer.echo(f"note well: {alert.text}")
    say_search(result.subgroups.search)
    tally = f"{len(counts.penalised)} penalised; {len(counts.unusable)} excluded"
    tally += f"; {counts.n_taught} taught the bins" if counts.n_taught else ""
    typer.echo(f"{plural(counts.n_scored, 'case')} scored, {tally}")
    scores = "  ".join(f"{name} {score.value:.4f}" for name, score in result.scores.items() if score.value is not None)
    if scores:
        typer.echo(scores)
    typer.echo(result.verdict.sentence)
    say_gates(result.verdict.gates)
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
    _say_each(ranking.notices)
    _say_each(f"left out for every team: case {case}: {reason}" for case, reason in ranking.scores.excluded.items())
    _say_each(alert.text for alert in ranking.alerts)
    typer.echo(ranking.verdict.sentence)
    typer.echo(f"leaderboard: {page}")


def command() -> str:
    """The command line as it was typed, which reports keep."""
    return shlex.join(["segfair", *sys.argv[1:]])
