"""`compare` and `monitor`. Reads no masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command
from segfair.cli.options import Out, Saying, Title, split, spread
from segfair.cli.terminal.results import command, say_cohorts, say_comparison, say_runs, say_series
from segfair.cli.terminal.voice import Voice
from segfair.errors import ConfigError

if TYPE_CHECKING:
    from segfair.rank.saved import Audited


@app.command(cls=Command, epilog="Example: segfair compare old/ new/ --out comparison/")
@spread
def compare(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="Folder of the first audit, its audit.json, or ranking:TEAM.")
    ],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The second one.")],
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="MORE", help="Further ones, each compared with the first.")
    ] = None,
    out: Out = Path("segfair-comparison"),
    outcome: Annotated[
        str | None, typer.Option(help="Metric that decides who was harmed; the primary outcome of all by default.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="What to call them, comma-separated; their titles, folders or teams by default.")
    ] = None,
    unpaired: Annotated[
        bool,
        typer.Option("--unpaired", help="Of different patients; so it is where no case is in both."),
    ] = False,
    title: Title = "",
    *,
    saying: Saying,
) -> None:
    """Say who gained and who was harmed from one audit to another.

    Further audits are each compared with the first. Audits of different patients are compared as cohorts, unpaired.
    """
    from segfair.compare.comparability import share_cases
    from segfair.compare.procedure import run_comparison
    from segfair.files.manifest import hash_file
    from segfair.rank.saved import load_audited
    from segfair.report.comparison.files import COMPARISON, write_comparison
    from segfair.report.comparison.runs import RUNS, write_runs

    voice = Voice("compare", saying)
    sides = [load_audited(path) for path in (before, after, *(more or ()))]
    called = _called(names, sides)
    if unpaired and more:
        raise ConfigError("--unpaired: compares two audits; for more than two of different patients: segfair monitor")
    first, *others = sides
    if not more and (unpaired or not share_cases(first.result, others[0].result)):
        _compare_cohorts(first, others[0], called, out, outcome=outcome, title=title, voice=voice)
        return
    (RUNS if more else COMPARISON).refuse_place(out)
    comparisons = [
        run_comparison(first.result, side.result, names=(called[0], name), outcome=outcome)
        for side, name in zip(others, called[1:], strict=True)
    ]
    digests = [
        {f"{role}: {each.file}": hash_file(each.file) for role, each in (("before", first), ("after", side))}
        for side in others
    ]
    if not more:
        pages = (first.page, others[0].page)
        page = write_comparison(comparisons[0], out, command=command(), digests=digests[0], reports=pages, title=title)
        say_comparison(comparisons[0], page, voice)
        return
    pages_of = [side.page for side in sides]
    page = write_runs(comparisons, out, command=command(), digests=digests, reports=pages_of, title=title)
    say_runs(comparisons, page, voice)


def _called(names: str | None, sides: Sequence[Audited]) -> Sequence[str]:
    """What the audits are called: as is asked for, or each by its title or its folder."""
    from segfair.compare.procedure import told_names

    called = split(names) if names else told_names([side.title for side in sides], [side.name for side in sides])
    if len(called) != len(sides) or len(set(called)) != len(called):
        example = ",".join(("old", "new", "newer", "newest")[: len(sides)])
        raise ConfigError(f"--names {names}: expected {len(sides)} different names, for example --names {example}")
    return called


def _compare_cohorts(
    before: Audited, after: Audited, names: Sequence[str], out: Path, *, outcome: str | None, title: str, voice: Voice
) -> None:
    """Two audits of different patients."""
    from segfair.compare.cohorts.procedure import compare_cohorts
    from segfair.files.manifest import hash_file
    from segfair.report.comparison.cohorts import COHORTS, write_cohorts

    COHORTS.refuse_place(out)
    found = compare_cohorts(before.result, after.result, names=(names[0], names[1]), outcome=outcome)
    digests = {f"{role}: {side.file}": hash_file(side.file) for role, side in (("before", before), ("after", after))}
    page = write_cohorts(found, out, command=command(), digests=digests, title=title, reports=(before.page, after.page))
    say_cohorts(found, page, voice)


@app.command(cls=Command, epilog="Example: segfair monitor 2026-q1/ 2026-q2/ 2026-q3/ --out monitor/")
@spread
def monitor(
    audits: Annotated[
        list[Path], typer.Argument(metavar="AUDITS", help="Folders of audits of different patients, in their order.")
    ],
    out: Out = Path("segfair-monitor"),
    outcome: Annotated[
        str | None, typer.Option(help="Metric that is followed; the primary outcome of all by default.")
    ] = None,
    baseline: Annotated[int, typer.Option(help="How many of the first audits are the baseline.", min=1, max=1000)] = 1,
    names: Annotated[
        str | None, typer.Option(help="What to call them, comma-separated; their titles or folders by default.")
    ] = None,
    title: Title = "",
    *,
    saying: Saying,
) -> None:
    """Follow subgroups over audits of different patients.

    Says who drifts beyond chance, and since when.
    """
    from segfair.compare.cohorts.series import follow
    from segfair.files.manifest import hash_file
    from segfair.rank.saved import load_audited
    from segfair.report.comparison.series import SERIES, write_series

    voice = Voice("monitor", saying)
    if len(audits) < 2:
        raise ConfigError("segfair monitor: takes two audits or more, in their order")
    sides = [load_audited(path) for path in audits]
    called = _called(names, sides)
    SERIES.refuse_place(out)
    found = follow([side.result for side in sides], names=called, outcome=outcome, n_baseline=baseline)
    digests = {f"{name}: {side.file}": hash_file(side.file) for name, side in zip(called, sides, strict=True)}
    page = write_series(
        found, out, command=command(), digests=digests, title=title, reports=[side.page for side in sides]
    )
    say_series(found, page, voice)
