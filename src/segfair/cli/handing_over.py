"""`card`, `dossier` and `verify`. Changes nothing in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command
from segfair.cli.options import AuditFile, Debug, Out, Saying, spread
from segfair.cli.terminal.voice import Answer, Voice
from segfair.errors import ConfigError


@app.command(cls=Command, epilog="Example: segfair card report/ > model-card.md")
def card(
    audit_json: AuditFile,
    debug: Debug = False,
) -> None:
    """Print a model card (Markdown) from the facts of an audit."""
    from segfair.audit.result import AuditResult
    from segfair.handover.model_card import model_card

    typer.echo(model_card(AuditResult.load(audit_json)), nl=False)


@app.command(cls=Command, epilog="Example: segfair dossier report/ --out dossier/")
@spread
def dossier(
    audit_json: AuditFile,
    out: Out = Path("segfair-dossier"),
    *,
    saying: Saying,
) -> None:
    """Hold an audit against what regulators and journals ask for.

    Of each item of FDA's draft of 2025, STANDING Together, CLAIM 2024, TRIPOD+AI, EU AI Act 10 and 15 and NICE's
    framework: where the audit answers it, and what is missing. It never says that anything complies.
    """
    from segfair.audit.result import AuditResult, audit_file
    from segfair.files.manifest import hash_file
    from segfair.handover.dossier import dossier as hold_against
    from segfair.handover.dossier_files import FILES, write_dossier

    voice = Voice("dossier", saying)
    path = audit_file(audit_json)
    result = AuditResult.load(path)
    found = hold_against(result)
    page = write_dossier(found, result, out, digest=hash_file(path))
    counts = {section.checklist.title: section.counts for section in found.sections}
    lines = [
        f"{title}: {told['answered']} answered, {told['partly']} partly, {told['missing']} missing"
        for title, told in counts.items()
    ]
    facts = {
        "counts": {section.checklist.key: section.counts for section in found.sections},
        "files": {Path(name).suffix[1:]: str(out / name) for name in FILES},
    }
    voice.answer(Answer(facts, (*lines, f"dossier: {page}")))


@app.command(cls=Command, epilog="Example: segfair verify report/ --inputs preds/ labels/ metadata.csv")
@spread
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
    *,
    saying: Saying,
) -> None:
    """Say whether a report (or what it was made from) has changed.

    Exit code 0: nothing has, 1: something has.
    """
    from segfair.files import manifest as archive

    voice = Voice("verify", saying)
    directory = directory.parent if directory.name == "audit.json" else directory
    roles = dict(zip(("predictions", "labels", "metadata"), inputs, strict=True)) if inputs else {}
    roles |= dict(map(_parse_role, further or ()))
    changes = tuple(archive.verify(directory, roles))
    foreign = archive.not_covered(directory)
    others = (f"not covered by the manifest, and not written by segfair: {', '.join(foreign)}",) if foreign else ()
    facts = {"changes": changes, "not_covered": list(foreign)}
    if changes:
        voice.answer(Answer(facts, (*changes, *others)), exit_code=1)
        raise typer.Exit(1)
    left = [role for role in archive.recorded_roles(directory) if role not in roles]
    unchecked = (f"not checked: {', '.join(left)} (--inputs, --input ROLE=PATH)",) if left else ()
    digest = archive.hash_file(directory / archive.MANIFEST)
    told = f"nothing changed; SHA-256 of {archive.MANIFEST} itself: {digest}"
    voice.answer(Answer({**facts, "not_checked": left, "sha256": digest}, (*others, *unchecked, told)))


def _parse_role(text: str) -> tuple[str, Path]:
    role, _, path = text.partition("=")
    if not role.strip() or not path:
        raise ConfigError(f"--input {text}: expected ROLE=PATH, for example images=images/")
    return role.strip(), Path(path)
