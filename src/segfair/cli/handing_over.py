"""`card` and `verify`. Changes nothing in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.options import Debug
from segfair.errors import ConfigError


@app.command(epilog="Example: segfair card report/audit.json > model-card.md")
def card(
    audit_json: Annotated[Path, typer.Argument(metavar="AUDIT.json", help="What segfair audit wrote.")],
    debug: Debug = False,
) -> None:
    """Print a model card (Markdown) from the facts of an audit."""
    from segfair.audit.result import AuditResult
    from segfair.handover.model_card import model_card

    typer.echo(model_card(AuditResult.load(audit_json)), nl=False)


@app.command(epilog="Example: segfair verify report/ --inputs preds/ labels/ metadata.csv")
def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a report.")],
    inputs: Annotated[
        tuple[Path, Path, Path] | None,
        typer.Option(metavar="PREDS LABELS METADATA", help="Check what was audited, too: where it lies now."),
    ] = None,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="ROLE=PATH",
            help="Check one more input: images, labels2, or scores and teams of a ranking (repeatable).",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Say whether a report (or what it was made from) has changed: exit code 0 nothing, 1 something did."""
    from segfair.files import manifest as archive

    roles = dict(zip(("predictions", "labels", "metadata"), inputs, strict=True)) if inputs else {}
    roles |= dict(map(_parse_role, further or ()))
    changes = archive.verify(directory, roles)
    for change in changes:
        typer.echo(change)
    foreign = archive.not_covered(directory)
    if foreign:
        typer.echo(f"not covered by the manifest, and not written by segfair: {', '.join(foreign)}")
    if changes:
        raise typer.Exit(1)
    left = [role for role in archive.recorded_roles(directory) if role not in roles]
    if left:
        typer.echo(f"not checked: {', '.join(left)} (--inputs, --input ROLE=PATH)")
    digest = archive.hash_file(directory / archive.MANIFEST)
    typer.echo(f"nothing changed; SHA-256 of {archive.MANIFEST} itself: {digest}")


def _parse_role(text: str) -> tuple[str, Path]:
    role, _, path = text.partition("=")
    if not role.strip() or not path:
        raise ConfigError(f"--input {text}: expected ROLE=PATH, for example images=images/")
    return role.strip(), Path(path)
