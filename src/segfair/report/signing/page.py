"""AuditResult -> what the template of the summary prints: display-ready texts in one language."""

from __future__ import annotations

from segfair.audit.result import AuditResult
from segfair.audit.result.record import audited_name, text_of
from segfair.audit.words import clean
from segfair.protocol.rules import PROTOCOL_NAMES
from segfair.report.parts import Data, definition
from segfair.report.signing.answer import answer_section
from segfair.report.signing.language import Language
from segfair.report.signing.levels import level_section
from segfair.report.signing.limits import gate_section, limit_section
from segfair.report.signing.pictures import picture_section

__all__ = ["DIGEST_LENGTH", "summary_data"]

DIGEST_LENGTH = 12
"""Digits of a SHA-256 that are printed: enough to compare two files by eye."""


def summary_data(result: AuditResult, language: Language, *, audited: str, digest: str = "") -> Data:
    """Everything that the template prints.

    Args:
        result: The audit.
        language: Of every text that is ours; what the user or a table says stays as it is.
        audited: When the audit was made, as it shall stand there; empty: not known.
        digest: SHA-256 of audit.json; empty: the file is not written yet.
    """
    record = result.about.record
    name = audited_name(record)
    return {
        "language": language.code,
        "title": language.say("%(name)s: summary of the audit", name=name)
        if name
        else language.say("Summary of a segmentation audit"),
        "version": result.about.versions.get("segfair", ""),
        "digest": digest[:DIGEST_LENGTH],
        "head": _head(result, language, audited, digest),
        "answer": answer_section(result, language),
        "levels": level_section(result, language),
        "limits": limit_section(result, language),
        "gates": gate_section(result, language),
        "pictures": picture_section(result, language),
        "decision": {key: text_of(record, key) for key in ("recommendation", "approver", "role")},
    }


def _head(result: AuditResult, language: Language, audited: str, digest: str) -> list[Data]:
    """What was audited, when, and by which rules."""
    record = result.about.record
    unknown = language.say("not stated")
    model = " ".join(filter(None, (text_of(record, "model"), text_of(record, "version"))))
    entries = [
        definition(language.say("Model"), model or unknown),
        definition(language.say("Cohort"), text_of(record, "cohort") or unknown),
        definition(language.say("Cases"), _cases(result, language)),
        definition(language.say("Reference standard"), text_of(record, "reference_standard") or unknown),
        definition(language.say("Audited on"), audited or unknown),
        definition(language.say("SHA-256 of audit.json"), f"{digest[:DIGEST_LENGTH]} …" if digest else unknown),
        definition(language.say("Rules of scoring"), _rules(result, language)),
        *_plan(result, language),
    ]
    if intended := text_of(record, "intended_use"):
        entries.insert(1, definition(language.say("Intended use"), intended))
    return entries


def _plan(result: AuditResult, language: Language) -> list[Data]:
    """Whether the audit was what had been planned; nothing where nothing was."""
    plan = result.about.plan
    if plan is None:
        return []
    held = (
        language.say_n(
            "differs in %(count)s setting, see the report",
            "differs in %(count)s settings, see the report",
            len(plan.differences),
        )
        if plan.differences
        else language.say("the audit is as planned")
    )
    return [definition(language.say("Plan, by its SHA-256"), f"{plan.digest[:DIGEST_LENGTH]} …: {held}")]


def _cases(result: AuditResult, language: Language) -> str:
    """How many cases, of how many patients where these are not the same."""
    n_cases, subjects = result.cases.counts.n_scored, result.cases.scores.subjects
    n_subjects = len(set(subjects))
    if result.about.config.unit == "lesion":
        return language.say(
            "%(lesions)s lesions, of %(patients)s patients",
            lesions=language.count(n_cases),
            patients=language.count(n_subjects),
        )
    if not subjects or n_subjects == n_cases:
        return language.count(n_cases)
    return language.say(
        "%(cases)s, of %(patients)s patients", cases=language.count(n_cases), patients=language.count(n_subjects)
    )


def _rules(result: AuditResult, language: Language) -> str:
    """The protocol in words."""
    config = result.about.config
    name = clean(config.protocol.name, length=40)
    known = {
        "default": language.say("those of segfair (default)"),
        "mama-mia": language.say("those of the MAMA-MIA challenge (mama-mia)"),
    }
    rules = known[config.protocol.name] if config.protocol.name in PROTOCOL_NAMES else name
    if "predictions" not in result.about.inputs:
        return rules
    unusable = {
        "drop": language.say("an unusable prediction does not count"),
        "error": language.say("every prediction was usable"),
    }.get(config.missing_prediction or "worst", language.say("an unusable prediction counts with the worst score"))
    return f"{rules}; {unusable}"
