"""`compare`. Reads no masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.options import Debug, Out, split
from segfair.cli.terminal import command, say_comparison
from segfair.errors import ConfigError


@app.command(epilog="Example: segfair compare old/audit.json new/audit.json --out comparison/")
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="audit.json of the first audit, or its folder.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="audit.json of the second, or its folder.")],
    out: Out = Path("segfair-comparison"),
    outcome: Annotated[
        str | None, typer.Option(help="Metric that decides who was harmed; the primary outcome of both by default.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="What to call the two, comma-separated; their folders by default.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Say what changed from one audit to another of the same cases: who gained, and who was harmed."""
    from segfair.audit.result import AuditResult
    from segfair.compare.procedure import run_comparison
    from segfair.files.manifest import hash_file
    from segfair.report.comparison.files import write_comparison

    paths = [path / "audit.json" if path.is_dir() else path for path in (before, after)]
    results = [AuditResult.load(path) for path in paths]
    called = split(names) if names else tuple(path.resolve().parent.name for path in paths)
    if len(called) != 2:
        raise ConfigError(f"--names {names}: expected two names, for example --names old,new")
    if called[0] == called[1]:
        called = ("before", "after") if names is None else called
    comparison = run_comparison(*results, names=(called[0], called[1]), outcome=outcome)
    digests = {f"{role}: {path}": hash_file(path) for role, path in zip(("before", "after"), paths, strict=True)}
    page = write_comparison(comparison, out, command=command(), digests=digests)
    say_comparison(comparison, page)
