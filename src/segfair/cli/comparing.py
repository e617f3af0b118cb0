"""`compare`. Reads no masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command
from segfair.cli.options import Out, Saying, Title, split, spread
from segfair.cli.terminal.results import command, say_comparison
from segfair.cli.terminal.voice import Voice
from segfair.errors import ConfigError


@app.command(cls=Command, epilog="Example: segfair compare old/ new/ --out comparison/")
@spread
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Folder of the first audit, or its audit.json.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Folder of the second, or its audit.json.")],
    out: Out = Path("segfair-comparison"),
    outcome: Annotated[
        str | None, typer.Option(help="Metric that decides who was harmed; the primary outcome of both by default.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="What to call the two, comma-separated; their folders by default.")
    ] = None,
    title: Title = "",
    *,
    saying: Saying,
) -> None:
    """Say who gained and who was harmed from one audit to another."""
    from segfair.audit.result import AuditResult, audit_file
    from segfair.compare.procedure import folder_names, run_comparison
    from segfair.files.manifest import hash_file
    from segfair.report.comparison.files import write_comparison

    voice = Voice("compare", saying)
    paths = [audit_file(path) for path in (before, after)]
    results = [AuditResult.load(path) for path in paths]
    called = split(names) if names else folder_names(*paths)
    if len(called) != 2:
        raise ConfigError(f"--names {names}: expected two names, for example --names old,new")
    comparison = run_comparison(*results, names=(called[0], called[1]), outcome=outcome)
    digests = {f"{role}: {path}": hash_file(path) for role, path in zip(("before", "after"), paths, strict=True)}
    page = write_comparison(comparison, out, command=command(), digests=digests, title=title)
    say_comparison(comparison, page, voice)
