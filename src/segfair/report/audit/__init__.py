"""AuditResult -> page data: plain dicts of display-ready strings and numbers.

All choosing, ordering and formatting happens here; the templates only loop and print. No markup is written here but
the figures' SVG, and no file is touched.
"""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.result import AuditResult
from segfair.audit.result.record import audited_name
from segfair.audit.words import clean, metric_name, plural
from segfair.report.audit.cases import case_section, case_table
from segfair.report.audit.groups import attribute_section, power_section, why_section
from segfair.report.audit.lattice import subgroup_section
from segfair.report.audit.maps import heat_map_section
from segfair.report.audit.method import column_section, input_section, method_section
from segfair.report.audit.probabilities import probability_section
from segfair.report.audit.raters import rater_section
from segfair.report.audit.reasons import reason_section
from segfair.report.audit.room import attributes_note
from segfair.report.audit.scores import alert_section, gate_section, plan_section, record_section, score_section
from segfair.report.audit.second_labels import ruler_section
from segfair.report.audit.summary import headline_facts, primary_section, verdict_section, worst_section
from segfair.report.glossary import AUDIT_TERMS, LESION_TERMS, glossary
from segfair.report.parts import Data, titled

__all__ = ["page_data"]

_TITLES = {
    "verdict": "Verdict",
    "primary": "Primary attributes",
    "worst": "Findings",
    "alerts": "Alerts",
    "scores": "Scores",
    "attributes": "Attributes",
    "cases": "Worst cases",
    "subgroups": "Subgroups",
    "maps": "Heat maps",
    "reasons": "What gaps are made of",
    "why": "Why",
    "power": "Power",
    "rulers": "Two sets of labels",
    "raters": "Raters",
    "probabilities": "Probabilities",
    "method": "Method",
    "columns": "Columns",
    "inputs": "Inputs",
}


_FIGURES = "figures/"
_SHARED = (
    "Redacted copy, made to be shared: it tells no cases, no ids and no small groups. "
    "The full audit stays where it was made."
)


_OF_LESIONS = (
    "Audit of lesions: each row is a lesion of a label, and where this page says cases, lesions are counted. Patients "
    "remain the units that are compared, for lesions of one patient are alike."
)


def _banner(result: AuditResult) -> str:
    """What a reader has to know before anything else."""
    if result.about.config.unit == "lesion":
        return _OF_LESIONS
    return _SHARED if result.about.shared else ""


def _lesion_terms(result: AuditResult) -> tuple[str, ...]:
    return () if result.about.config.protocol.lesions.rule == "none" else LESION_TERMS


def page_data(
    result: AuditResult,
    *,
    written: str,
    command: str = "",
    digests: dict[str, str] | None = None,
    redrawn: tuple[str, str] | None = None,
    files: Sequence[str] = (),
) -> Data:
    """Everything the templates print.

    Args:
        result: The audit.
        written: When the audit was written, as it shall stand there.
        command: The command line that led to it; empty: none is shown.
        digests: What -> SHA-256, printed with the method.
        redrawn: When the page was drawn again, and by which command; None: the audit wrote it itself.
        files: What lies beside the page, by its path from there.
    """
    attributes, cases = attribute_section(result), case_table(result)
    sections: Data = {
        "verdict": verdict_section(result),
        "primary": primary_section(result),
        "worst": worst_section(result),
        "alerts": alert_section(result),
        "scores": score_section(result),
        "attributes": attributes,
        "cases": case_section(result, cases),
        "subgroups": subgroup_section(result, cases),
        "maps": heat_map_section(result),
        "reasons": reason_section(result),
        "why": why_section(result),
        "power": power_section(result),
        "rulers": ruler_section(result),
        "raters": rater_section(result),
        "probabilities": probability_section(result),
        "method": method_section(result, command=command, digests=digests or {}, redrawn=redrawn),
        "columns": column_section(result),
        "inputs": input_section(result),
    }
    return {
        "title": titled(audited_name(result.about.record), "Segmentation audit by subgroup"),
        "written": written,
        "version": result.about.versions.get("segfair", ""),
        "outcome": metric_name(result.subgroups.primary_outcome),
        "n_cases": plural(result.cases.counts.n_scored, result.about.config.unit),
        "protocol": clean(result.about.config.protocol.name, length=60),
        "failure_dsc": f"{result.about.config.failure_dsc:g}",
        "min_cases": result.about.config.min_cases,
        "facts": headline_facts(result),
        "attributes_note": attributes_note(result),
        "attributes_folded": _attributes_folded(attributes),
        "record": record_section(result),
        "plan": plan_section(result),
        "gates": gate_section(result),
        "sections": sections,
        "folded": _folded(result, sections),
        "banner": _banner(result),
        "files": [name for name in files if not name.startswith(_FIGURES)],
        "figure_files": [name for name in files if name.startswith(_FIGURES)],
        "titles": _TITLES,
        "glossary": glossary(*AUDIT_TERMS, *_lesion_terms(result)),
        "contents": [{"id": key, "title": _TITLES[key]} for key, section in sections.items() if section],
    }


def _attributes_folded(attributes: list[Data]) -> Data | None:
    """The title and the names of the attributes that are folded away."""
    names = [entry["name"] for entry in attributes if not entry["open"]]
    return {"title": plural(len(names), "further attribute"), "names": ", ".join(names)} if names else None


def _folded(result: AuditResult, sections: Data) -> dict[str, str]:
    """The sections that are folded away, each with what it holds: what backs the answer, not the answer itself."""
    found, left_out = result.subgroups, len(result.attributes.left_out)
    rows = found[found.primary_outcome]
    beyond = sum(bool(row.significant) for row in rows)
    calibration = result.scores.calibration
    maps, why, rulers = sections["maps"], sections["why"], found.second_labels
    counts = {
        "subgroups": f"{len(rows):,}, {beyond:,} beyond chance",
        "maps": plural(len(maps["figures"]), "pair") + " of attributes" if maps else "",
        "why": plural(len(why["reasons"]), "subgroup") + " taken apart" if why else "",
        "power": plural(len(found.power), "level"),
        "rulers": plural(len(rulers.groups), "group") if rulers else "",
        "raters": plural(len(found.raters.names), "rater") if found.raters else "",
        "probabilities": plural(len(calibration.groups), "level") if calibration else "",
        "method": f"{plural(len(result.cases.metrics), 'metric')}, {plural(len(found), 'outcome')}, settings, versions",
        "columns": f"{len(result.attributes.bins):,} used, {left_out:,} left out",
        "inputs": plural(len(result.about.inputs), "path"),
    }
    return {key: count for key, count in counts.items() if sections[key]}
