"""What an audit cannot say, and its gates, in words. Decides nothing: every fact is the result's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from segfair.audit.judging.gates import Gate, parse_gate
from segfair.audit.result import AuditResult
from segfair.audit.significance import is_share
from segfair.audit.words import clean, metric_name
from segfair.report.parts import Data
from segfair.report.signing.language import Language
from segfair.report.signing.measures import boundary_column, length_unit, score_note

__all__ = ["gate_section", "limit_section"]

_MARKS = {"pass": ("●", "better"), "fail": ("▲", "worse"), "undecided": ("◆", "open")}
_REASONS = 2
"""Reasons that are quoted for cases left out; the report lists each case."""
_COUNTED = ("penalised", "excluded", "taught")


def limit_section(result: AuditResult, language: Language) -> list[str]:
    """What the audit cannot say, a sentence each."""
    texts = (
        _small_groups(result, language),
        _smallest_gap(result, language),
        *_left_out(result, language),
        _unknown_size(result, language),
        _not_searched(result, language),
        _columns(result, language),
        _alerts(result, language),
    )
    return list(filter(None, texts))


def _small_groups(result: AuditResult, language: Language) -> str:
    small = [
        f"{language.item((entry.name, level.level))} ({language.count(level.n)})"
        for entry in result.attributes.facts
        for level in entry.levels
        if level.small and level.n
    ]
    if not small:
        return ""
    return language.say(
        "Too few cases (under %(least)s) to be judged: %(groups)s.",
        least=language.count(result.about.config.min_cases),
        groups=language.listed(small),
    )


def _smallest_gap(result: AuditResult, language: Language) -> str:
    least = result.about.config.min_cases
    judged = [entry for entry in result.subgroups.power if entry.n >= least and entry.detectable_gap is not None]
    gaps = [entry.detectable_gap for entry in judged if entry.detectable_gap is not None]
    if not gaps:
        return ""
    low, high = (language.number(gap, 2) for gap in (min(gaps), max(gaps)))
    text = language.say(
        "Smallest difference that would have been found (in 8 of 10 such studies): %(low)s in the largest group, "
        "%(high)s in the smallest.",
        low=low,
        high=high,
    )
    if low == high:
        text = language.say(
            "Smallest difference that would have been found (in 8 of 10 such studies): %(gap)s.", gap=low
        )
    needed = [entry.n_needed for entry in judged if entry.n_needed is not None]
    # The gap of interest is meant for scores between 0 and 1.
    if not needed or not is_share(result.subgroups.primary_outcome):
        return text
    return f"{text} " + language.say(
        "To find one of %(gap)s such a group needs up to %(n)s cases.",
        gap=language.plain(result.about.config.power_gap),
        n=language.count(max(needed)),
    )


def _left_out(result: AuditResult, language: Language) -> Iterator[str]:
    """Cases that count with the worst score, or not at all, and why."""
    counts = result.cases.counts
    if result.about.config.unit == "lesion":
        yield language.say(
            "Lesions were audited one by one: where this summary says cases, lesions are counted. Lesions that were "
            "predicted and are none do not enter."
        )
    if result.about.shared:
        yield from (clean(alert.text, length=200) for alert in result.verdict.alerts if alert.kind in _COUNTED)
        yield language.say("This copy was made to be handed on: groups of under 5 cases are left out, and all cases.")
        return
    if counts.penalised:
        yield language.say_n(
            "%(count)s prediction could not be used and counts with the worst score (%(why)s).",
            "%(count)s predictions could not be used and count with the worst score (%(why)s).",
            len(counts.penalised),
            why=_reasons(counts.penalised.values()),
        )
    if counts.unusable:
        yield language.say_n(
            "%(count)s case could not be audited and is left out (%(why)s).",
            "%(count)s cases could not be audited and are left out (%(why)s).",
            len(counts.unusable),
            why=_reasons(counts.unusable.values()),
        )
    if counts.n_taught:
        yield language.say_n(
            "%(count)s case was used to choose the groups and is left out.",
            "%(count)s cases were used to choose the groups and are left out.",
            counts.n_taught,
        )


def _reasons(reasons: Iterable[str]) -> str:
    """The commonest reasons as the audit words them."""
    common = Counter(reasons).most_common()
    shown = "; ".join(clean(reason, length=70) for reason, _ in common[:_REASONS])
    return f"{shown}; …" if len(common) > _REASONS else shown


def _unknown_size(result: AuditResult, language: Language) -> str:
    column = boundary_column(metric.name for metric in result.cases.metrics)
    if column is None or column.endswith("_mm"):
        return ""
    return language.say(
        "Lengths are in %(unit)s, not in millimetres: what they mean depends on the image.",
        unit=length_unit(language, column),
    )


def _not_searched(result: AuditResult, language: Language) -> str:
    search = result.subgroups.search
    if search is None or not search.is_cut:
        return ""
    return language.say("Not every combination of attributes was looked at; the report says which were.")


def _columns(result: AuditResult, language: Language) -> str:
    """Who was not looked at: columns left out, and whatever is in no column."""
    rule = language.say("Groups that no column of the patient table names were not looked at.")
    left = [language.attribute(name) for name in result.attributes.left_out]
    if not left:
        return rule
    return f"{rule} " + language.say("Columns that were not used: %(names)s.", names=language.listed(left))


def _alerts(result: AuditResult, language: Language) -> str:
    if not result.verdict.alerts:
        return ""
    return language.say_n(
        "The report raises %(count)s alert; read it before you sign.",
        "The report raises %(count)s alerts; read them before you sign.",
        len(result.verdict.alerts),
    )


def gate_section(result: AuditResult, language: Language) -> list[Data]:
    """What the audit had to pass: the condition in words, the answer, and the number that decided where it is one."""
    states = {
        "pass": language.say("passed"),
        "fail": language.say("failed"),
        "undecided": language.say("not decided: too little is known"),
    }
    sections = []
    for entry in result.verdict.gates:
        gate = parse_gate(entry.gate)
        mark, tone = _MARKS[entry.state]
        sections.append(
            {
                "state": states[entry.state],
                "mark": mark,
                "tone": tone,
                "condition": _condition(gate, result, language),
                "found": _found(gate, result, language),
            }
        )
    return sections


def _condition(gate: Gate, result: AuditResult, language: Language) -> str:
    words = {
        ">=": language.say("at least"),
        ">": language.say("above"),
        "<=": language.say("at most"),
        "<": language.say("below"),
    }
    limit = f"{words[gate.sign]} {language.plain(gate.limit)}" if gate.sign else ""
    if gate.form == "score":
        return language.say("Required: %(score)s is %(limit)s.", score=score_note(language, gate.name), limit=limit)
    if gate.form == "worst":
        return language.say(
            "Required: in every group that can be judged the mean %(outcome)s is %(limit)s.",
            outcome=metric_name(gate.name),
            limit=limit,
        )
    if gate.form == "within_margin":
        margin = result.about.config.margin.get(result.subgroups.primary_outcome)
        return language.say(
            "Required: no group of %(attribute)s is more than %(margin)s behind all others.",
            attribute=language.attribute(gate.name),
            margin="–" if margin is None else language.plain(margin),
        )
    if gate.form == "significant":
        return language.say(
            "Required: no group differs in %(outcome)s, and one that does would be found.",
            outcome=metric_name(gate.name),
        )
    return language.say("Required: the share of cases with a usable prediction is %(limit)s.", limit=limit)


def _found(gate: Gate, result: AuditResult, language: Language) -> str:
    score = result.scores.get(gate.name) if gate.form == "score" else None
    if score is None or score.value is None:
        return ""
    value = language.number(score.value)
    if score.ci is None:
        return language.say("Found: %(value)s.", value=value)
    low, high = (language.number(end) for end in score.ci)
    text = language.say("Found: %(value)s, with 95 %% certainty %(low)s to %(high)s.", value=value, low=low, high=high)
    if score.chance is None:
        return text
    return f"{text} " + language.say(
        "If no group differed, it would be about %(chance)s here.", chance=language.number(score.chance.mean)
    )
