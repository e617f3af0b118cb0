"""Dossier -> dossier.html, dossier.json and dossier.csv. Computes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from segfair.audit.result import AuditResult
from segfair.audit.words import clean, metric_name, plural
from segfair.documents import has_keys
from segfair.files.placing import placed_together, refuse_foreign, write_json, write_text
from segfair.files.tables import write_csv
from segfair.handover.dossier import DISCLAIMER, Answer, Dossier, Section
from segfair.report.files import render_page
from segfair.report.parts import Cell, Data, as_read, cell, number_column, table

__all__ = ["FILES", "write_dossier"]

FILES = ("dossier.json", "dossier.html", "dossier.csv")
_COLUMNS = ("Item", "What it asks for", "Standing", "What the audit says, and where", "Missing, and from whom")
_MARKS = {"answered": "● answered", "partly": "◐ partly", "missing": "○ missing"}
_SHARED = "This is of an audit that was made to be shared: what was left out there is missing here."


def write_dossier(found: Dossier, result: AuditResult, directory: Path, *, digest: str) -> Path:
    """Writes the three files; each appears only once all are complete.

    Args:
        found: What was found.
        result: The audit that it is of.
        directory: Where to; made if it does not exist. Other files in it stay as they are.
        digest: SHA-256 of the `audit.json`.

    Returns:
        The path of dossier.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
    """
    ours = has_keys(directory / FILES[0], "format", "checklists")
    refuse_foreign(directory, FILES, ours=ours, writer="segfair dossier")
    written = as_read(datetime.now(UTC))
    page = render_page(_page(found, result, written=written, digest=digest), template="dossier.html.j2")
    tree = {**found.to_dict(), "audit_sha256": digest, "written": written}
    rows = found.records()
    with placed_together(directory, first=FILES[0]) as unfinished:
        write_json(unfinished / "dossier.json", tree)
        write_text(unfinished / "dossier.html", page)
        write_csv(rows, unfinished / "dossier.csv", columns=tuple(rows[0]))
    return directory / "dossier.html"


def _page(found: Dossier, result: AuditResult, *, written: str, digest: str) -> Data:
    titles = {section.checklist.key: section.checklist.title for section in found.sections}
    model = result.about.record.get("model", "")
    named = model.get("name", "") if isinstance(model, dict) else model
    return {
        "title": "Dossier of an audit by subgroup",
        "written": written,
        "version": result.about.versions.get("segfair", ""),
        "model": clean(named, length=120) if named else "",
        "outcome": metric_name(result.subgroups.primary_outcome),
        "n_cases": plural(result.cases.counts.n_scored, "case"),
        "digest": digest[:12],
        "about": [DISCLAIMER, *([_SHARED] if found.shared else [])],
        "overview": table(
            "Items by standing",
            ("Guideline", "Version", *map(number_column, ("Items", "Answered", "Partly", "Missing"))),
            [_overview(section) for section in found.sections],
            note="Answered: the audit holds all that the item asks for. Partly: some of it. Missing: nothing; it has "
            "to come from elsewhere, and much of it can stand in the record of the study (--record).",
        ),
        "checklists": [_section(section) for section in found.sections],
        "titles": {"overview": "Overview", **titles},
        "contents": [{"id": "overview", "title": "Overview"}]
        + [{"id": key, "title": title} for key, title in titles.items()],
    }


def _overview(section: Section) -> list[Cell]:
    counts = section.counts
    numbers = (len(section.answers), counts["answered"], counts["partly"], counts["missing"])
    return [cell(section.checklist.title), cell(section.checklist.version), *map(cell, numbers)]


def _section(section: Section) -> Data:
    checklist = section.checklist
    return {
        "key": checklist.key,
        "source": checklist.source,
        "caption": f"{checklist.title}: {plural(len(section.answers), 'item')}",
        "columns": _COLUMNS,
        "rows": [_row(answer) for answer in section.answers],
        "note": f"Numbers: {checklist.numbering}.",
    }


def _row(answer: Answer) -> Data:
    return {
        "number": answer.item.number,
        "topic": answer.item.topic,
        "standing": _MARKS[answer.standing],
        "told": [{"place": place, "text": text} for place, text in answer.told],
        "missing": answer.missing,
        "who": answer.item.who,
    }
