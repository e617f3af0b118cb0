"""What a finished audit is handed over as: the report, its model card and figure files, a folder to share, pseudonyms.

Puts the pieces together in the one safe order (pseudonyms first, then everything else); decides and draws nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from segfair.audit.result import AuditResult
from segfair.audit.result.record import read_record, with_names
from segfair.errors import ConfigError, SegfairError
from segfair.files.manifest import Origin
from segfair.files.placing import to_bytes
from segfair.handover.disclosure import share
from segfair.handover.model_card import model_card
from segfair.handover.pseudonyms import pseudonymise, read_key
from segfair.report.files import PDF, refuse_place, write_report
from segfair.report.signing.language import LanguageCode
from segfair.report.signing.paper import require_paper

__all__ = ["MODEL_CARD", "Delivery", "FigureFormat", "deliver", "prepare"]

FigureFormat = Literal["svg", "png", "pdf"]
MODEL_CARD = "model-card.md"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where to, and what beside the report.

    Attributes:
        out: Folder of the report.
        share: Second folder, for what may be handed on; None: none.
        key: Key of the pseudonyms; None: ids stay.
        figures: File format of the figures; None: they stand in the page only.
        record: What the user says about the study; empty: what the audit has already.
        names: Keys of that record that were given one by one.
        language: Of the summary.
        pdf: Whether the summary is written as PDF, too.
    """

    out: Path
    share: Path | None = None
    key: bytes | None = field(default=None, repr=False)
    figures: FigureFormat | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str | None] = field(default_factory=dict)
    language: LanguageCode = "en"
    pdf: bool = False


def prepare(
    out: Path,
    *,
    share_out: Path | None = None,
    keyfile: Path | None = None,
    figures: FigureFormat | None = None,
    record: Path | None = None,
    title: str | None = None,
    model: str | None = None,
    cohort: str | None = None,
    language: LanguageCode = "en",
    pdf: bool = False,
) -> Delivery:
    """Checks everything that can be checked before an hour of scoring.

    Args:
        out: Folder of the report.
        share_out: Folder for what may be handed on.
        keyfile: Key of the pseudonyms; made where it does not exist.
        figures: File format of the figures.
        record: TOML file about the study.
        title: Heading of every page, before that of the record.
        model: What was audited, before what the record says.
        cohort: On whom, likewise.
        language: Of the summary.
        pdf: Whether the summary is written as PDF, too.

    Raises:
        ConfigError: A folder cannot be written, holds something else, or the two lie in each other, the key lies in
            one of them, a file cannot be used, or what a PDF takes is not installed.
    """
    beside = [PDF] if pdf else []
    refuse_place(out, *beside, *(["figures"] if figures else []), *([MODEL_CARD] if record else []))
    if pdf:
        require_paper()
    if share_out is not None:
        one, other = out.resolve(), share_out.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise ConfigError(
                f"--share {share_out}: lies in the folder of the report ({out}) or around it, and would be handed on "
                "with it; name a folder apart"
            )
        refuse_place(share_out, *beside)
    about = read_record(record) if record is not None else {}
    folders = [folder for folder in (out, share_out) if folder is not None]
    key = read_key(keyfile, outside=folders) if keyfile is not None else None
    names = {"title": title, "model": model, "cohort": cohort}
    return Delivery(out, share_out, key, figures, about, names, language, pdf)


def deliver(
    result: AuditResult,
    delivery: Delivery,
    *,
    command: str = "",
    inputs: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
) -> tuple[AuditResult, Path]:
    """Writes everything that was asked for.

    Args:
        result: The audit.
        delivery: See `prepare`.
        command: The command line, for the record; left out where ids and paths are.
        inputs: Hashes of the inputs from when they were audited; None: they are taken now.
        origin: Command and date of the audit, where it is only drawn again; None: this is the audit.

    Returns:
        The audit as written (with the record, and with pseudonyms where asked for), and the path of its page.

    Raises:
        ConfigError: A folder cannot be written, or the audit cannot be shared; the report is there then.
        AuditError: Two ids have the same pseudonym.
    """
    record = with_names(delivery.record or result.about.record, **delivery.names)
    result = dataclasses.replace(result, about=dataclasses.replace(result.about, record=record))
    if delivery.key is not None:
        result = pseudonymise(result, delivery.key)
    nameless = bool(result.about.pseudonym_key) or result.about.shared
    without_command = dataclasses.replace(origin, command="") if origin is not None else None
    page = write_report(
        result,
        delivery.out,
        command="" if nameless else command,
        extras=lambda: _extras(result, delivery.figures),
        inputs=inputs if result.about.inputs else None,
        origin=without_command if nameless else origin,
        language=delivery.language,
        pdf=delivery.pdf,
    )
    if delivery.share is not None:
        try:
            _hand_on(share(result), delivery.share, delivery, without_command)
        except SegfairError as error:
            raise ConfigError(f"{error}; the report itself is in {delivery.out}") from error
    return result, page


def _hand_on(result: AuditResult, folder: Path, delivery: Delivery, origin: Origin | None) -> None:
    """Writes the report of what may be handed on."""
    write_report(
        result,
        folder,
        extras=lambda: _extras(result, None),
        origin=origin,
        language=delivery.language,
        pdf=delivery.pdf,
    )


def _extras(result: AuditResult, figures: FigureFormat | None) -> dict[str, bytes]:
    extras = {}
    if result.about.record:
        extras[MODEL_CARD] = to_bytes(model_card(result))
    if figures is not None:
        from segfair.report.audit.figure_files import figure_files

        extras |= figure_files(result, figures)
    return extras
