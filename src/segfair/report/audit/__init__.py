"""AuditResult -> page data: plain dicts of display-ready strings and numbers.

All choosing, ordering and formatting happens here; the templates only loop and print. No markup is written here but
the figures' SVG, and no file is touched.
"""

from __future__ import annotations

from segfair.audit.result import AuditResult
from segfair.audit.words import clean, metric_name
from segfair.report.audit.groups import attribute_section, power_section, why_section
from segfair.report.audit.lattice import subgroup_section
from segfair.report.audit.maps import heat_map_section
from segfair.report.audit.method import case_section, column_section, input_section, method_section
from segfair.report.audit.room import attributes_note
from segfair.report.audit.scores import alert_section, gate_section, record_section, score_section
from segfair.report.audit.second_labels import ruler_section
from segfair.report.audit.summary import headline_facts, primary_section, verdict_section, worst_section
from segfair.report.glossary import AUDIT_TERMS, glossary
from segfair.report.parts import Data

__all__ = ["page_data"]

_TITLES = {
    "verdict": "Verdict",
    "primary": "Primary attributes",
    "worst": "Findings",
    "alerts": "Alerts",
    "scores": "Scores",
    "attributes": "Attributes",
    "subgroups": "Subgroups",
    "maps": "Heat maps",
    "why": "Why",
    "cases": "Worst cases",
    "power": "Power",
    "rulers": "Two sets of labels",
    "method": "Method",
    "columns": "Columns",
    "inputs": "Inputs",
}


def page_data(
    result: AuditResult,
    *,
    written: str,
    command: str = "",
    digests: dict[str, str] | None = None,
    redrawn: tuple[str, str] | None = None,
) -> Data:
    """Everything the templates print.

    Args:
        result: The audit.
        written: When the audit was written, as it shall stand there.
        command: The command line that led to it; empty: none is shown.
        digests: What -> SHA-256, printed with the method.
        redrawn: When the page was drawn again, and by which command; None: the audit wrote it itself.
    """
    sections = {
        "verdict": verdict_section(result),
        "primary": primary_section(result),
        "worst": worst_section(result),
        "alerts": alert_section(result),
        "scores": score_section(result),
        "attributes": attribute_section(result),
        "subgroups": subgroup_section(result),
        "maps": heat_map_section(result),
        "why": why_section(result),
        "cases": case_section(result),
        "power": power_section(result),
        "rulers": ruler_section(result),
        "method": method_section(result, command=command, digests=digests or {}, redrawn=redrawn),
        "columns": column_section(result),
        "inputs": input_section(result),
    }
    return {
        "title": "Segmentation audit by subgroup",
        "written": written,
        "version": result.about.versions.get("segfair", ""),
        "outcome": metric_name(result.subgroups.primary_outcome),
        "n_cases": f"{result.cases.counts.n_scored:,}",
        "protocol": clean(result.about.config.protocol.name, length=60),
        "failure_dsc": f"{result.about.config.failure_dsc:g}",
        "min_cases": result.about.config.min_cases,
        "facts": headline_facts(result),
        "attributes_note": attributes_note(result),
        "record": record_section(result),
        "gates": gate_section(result),
        "sections": sections,
        "titles": _TITLES,
        "glossary": glossary(*AUDIT_TERMS),
        "contents": [{"id": key, "title": _TITLES[key]} for key, section in sections.items() if section],
    }
