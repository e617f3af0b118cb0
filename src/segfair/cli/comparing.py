"""`compare`. Reads no masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command
from segfair.cli.options import Out, Saying, split, spread
from segfair.cli.terminal.results import command, say_comparison
from segfair.cli.terminal.voice import Voice
from segfair.errors import ConfigError


@app.command(cls=Command, epilog="Example: segfair compare old/ new/ --out comparison/")
@spread
def compare(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="Folder of the first audit, its audit.json, or ranking:TEAM.")
    ],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The second one.")],
    out: Out = Path("segfair-comparison"),
    outcome: Annotated[
        str | None, typer.Option(help="Metric that decides who was harmed; the primary outcome of both by default.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="What to call the two, comma-separated; their folders by default.")
    ] = None,
    *,
    saying: Saying,
) -> None:
    """Say who gained and who was harmed from one audit to another."""
    from segfair.compare.procedure import run_comparison, told_names
    from segfair.files.manifest import hash_file
    from segfair.rank.saved import load_audited
    from segfair.report.comparison.files import write_comparison

    voice = Voice("compare", saying)
    sides = [load_audited(path) for path in (before, after)]
    paths = [side.file for side in sides]
    called = split(names) if names else told_names([side.name for side in sides])
    if len(called) != 2:
        raise ConfigError(f"--names {names}: expected two names, for example --names old,new")
    comparison = run_comparison(*(side.result for side in sides), names=(called[0], called[1]), outcome=outcome)
    digests = {f"{role}: {path}": hash_file(path) for role, path in zip(("before", "after"), paths, strict=True)}
    pages = (sides[0].page, sides[1].page)
    page = write_comparison(comparison, out, command=command(), digests=digests, reports=pages)
    say_comparison(comparison, page, voice)
