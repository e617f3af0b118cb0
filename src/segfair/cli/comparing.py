"""`compare`. Reads no masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command
from segfair.cli.options import Out, Saying, Title, split, spread
from segfair.cli.terminal.results import command, say_comparison, say_runs
from segfair.cli.terminal.voice import Voice
from segfair.errors import ConfigError


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
    title: Title = "",
    *,
    saying: Saying,
) -> None:
    """Say who gained and who was harmed from one audit to another, or to each of several."""
    from segfair.compare.procedure import run_comparison, told_names
    from segfair.files.manifest import hash_file
    from segfair.files.placing import refuse_unwritable
    from segfair.rank.saved import load_audited
    from segfair.report.comparison.files import refuse_place, write_comparison

    voice = Voice("compare", saying)
    sides = [load_audited(path) for path in (before, after, *(more or ()))]
    called = split(names) if names else told_names([side.title for side in sides], [side.name for side in sides])
    if len(called) != len(sides) or len(set(called)) != len(called):
        example = ",".join(("old", "new", "newer", "newest")[: len(sides)])
        raise ConfigError(f"--names {names}: expected {len(sides)} different names, for example --names {example}")
    (refuse_unwritable if more else refuse_place)(out)
    first, *others = sides
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
    from segfair.report.comparison.runs import write_runs

    pages_of = [side.page for side in sides]
    page = write_runs(comparisons, out, command=command(), digests=digests, reports=pages_of, title=title)
    say_runs(comparisons, page, voice)
