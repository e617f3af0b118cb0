"""The one figure of a summary: levels with their mean, interval and standing, in as many rows as a page has room for.

Those of the attributes fixed beforehand; without any, those of which most speaks that they differ.
"""

from __future__ import annotations

import math

from segfair.audit.result import AttributeFacts, AuditResult, LevelFacts
from segfair.audit.words import clean, harmful
from segfair.report.audit.room import rows_of_levels
from segfair.report.audit.summary import outcome_digits, uncorrected_note
from segfair.report.parts import NAME_LENGTH, Data
from segfair.report.signing.language import Language
from segfair.report.signing.measures import outcome_name
from segfair.subgroups.lattice import Divergence, Subgroup

__all__ = ["MOST_LEVELS", "level_section"]

MOST_LEVELS = 16
"""Rows of the figure: with them, the answer and three pictures, two pages are full."""
_STRIP = 100.0
"""Width of a row's drawing, in its own units."""


def level_section(result: AuditResult, language: Language) -> Data | None:
    """The levels; None where no attribute could be made.

    Returns:
        Whether they were `declared`, the heading `between` of the intervals, a `legend`, what `found_from` means, a
        `note` on levels left out, the place of the overall `mean` in the drawings, and `rows`: attribute (empty where
        it is that of the row above), level, n, mean, interval, place of the `dot` and of the `line`'s ends, `standing`
        and `detail`.
    """
    declared = [entry for entry in result.attributes.facts if entry.primary]
    shown = declared or list(result.attributes.facts)
    listed = [(entry, level) for entry in shown for level in entry.levels if level.n]
    if not listed:
        return None
    tests = rows_of_levels(result)

    def evidence(place: int) -> tuple[float, float]:
        test = _test_of(tests, *listed[place])
        values = (test.p_adjusted, test.p_value) if test is not None else (None, None)
        return values[0] if values[0] is not None else math.inf, values[1] if values[1] is not None else math.inf

    kept = sorted(sorted(range(len(listed)), key=evidence)[:MOST_LEVELS])
    levels = [listed[place] for place in kept]
    outcome = result.subgroups.primary_outcome
    scale = _scale([level for _, level in levels], result)
    overall = result.subgroups.outcomes[outcome].mean
    left = len(listed) - len(kept)
    rows, above = [], ""
    for entry, level in levels:
        rows.append(_row(entry, level, _test_of(tests, entry, level), scale, result, language))
        rows[-1]["attribute"], above = ("" if entry.name == above else rows[-1]["attribute"]), entry.name
    return {
        "declared": bool(declared),
        "between": language.say("with 95 %% certainty"),
        "legend": language.say(
            "%(outcome)s: the dot is the mean of the group, the line where it lies with 95 %% certainty, grey the mean "
            "of all cases (%(overall)s).",
            outcome=outcome_name(language, outcome),
            overall=language.number(overall, outcome_digits(result.subgroups[outcome])),
        ),
        "found_from": language.say("Found from a value on: a smaller difference would probably have been missed.")
        if any(row["detail"] for row in rows)
        else "",
        "note": language.say_n(
            "%(count)s further group, with less evidence of a difference, is in the report.",
            "%(count)s further groups, with less evidence of a difference, are in the report.",
            left,
        )
        if left
        else "",
        "mean": None if overall is None else _place(overall, scale),
        "rows": rows,
    }


def _test_of(tests: dict[Subgroup, Divergence], entry: AttributeFacts, level: LevelFacts) -> Divergence | None:
    return tests.get(Subgroup(frozenset({(entry.name, level.level)})))


def _scale(levels: list[LevelFacts], result: AuditResult) -> tuple[float, float]:
    """Ends of the common axis; the interval of a small level, which may be as wide as the scale, is cut at them."""
    outcome = result.subgroups.primary_outcome
    ends = [value for level in levels for value in (level.mean.get(outcome),) if value is not None]
    ends += [end for level in levels if not level.small for end in level.ci.get(outcome, ())]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.05
    return low - room, high + room


def _place(value: float, scale: tuple[float, float]) -> float:
    low, high = scale
    return round(_STRIP * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def _row(
    entry: AttributeFacts,
    level: LevelFacts,
    test: Divergence | None,
    scale: tuple[float, float],
    result: AuditResult,
    language: Language,
) -> Data:
    outcome = result.subgroups.primary_outcome
    digits = outcome_digits(result.subgroups[outcome])
    mean, interval = level.mean.get(outcome), level.ci.get(outcome)
    standing, detail, tone = _standing(entry, level, test, result, language)
    between = ""
    if interval is not None:
        low, high = (language.number(end, digits) for end in interval)
        between = language.say("%(low)s to %(high)s", low=low, high=high)
    return {
        "attribute": clean(entry.name, length=NAME_LENGTH).replace("_", " "),
        "level": clean(level.level, length=NAME_LENGTH),
        "n": language.count(level.n),
        "mean": language.number(mean, digits),
        "interval": between,
        "dot": None if mean is None else _place(mean, scale),
        "line": None if interval is None else [_place(end, scale) for end in interval],
        "standing": standing,
        "detail": detail,
        "tone": tone,
    }


def _standing(
    entry: AttributeFacts, level: LevelFacts, test: Divergence | None, result: AuditResult, language: Language
) -> tuple[str, str, str]:
    """A word, what it leaves open, and a tone."""
    facts = result.subgroups.outcomes[result.subgroups.primary_outcome]
    if level.small or (test is not None and test.significant is None and not uncorrected_note(facts)):
        return language.say("too few cases"), "", "few"
    if test is None or uncorrected_note(facts):
        return language.say("not compared"), "", "few"
    if test.margin == "beyond margin":
        return language.say("worse, beyond the margin"), "", "worse"
    if test.margin == "within margin":
        return language.say("within the margin"), "", ""
    if test.significant and harmful(test.difference, facts.better):
        return language.say("worse"), language.say("beyond the margin: open") if test.margin else "", "worse"
    if test.significant:
        return language.say("better"), "", "better"
    gap = _smallest_gap(entry, level, result)
    detail = language.say("found from %(gap)s on", gap=language.number(gap, 2)) if gap is not None else ""
    if test.margin == "open":
        return language.say("open at the margin"), detail, ""
    return language.say("no difference shown"), detail, ""


def _smallest_gap(entry: AttributeFacts, level: LevelFacts, result: AuditResult) -> float | None:
    found = (fact for fact in result.subgroups.power if (fact.attribute, fact.level) == (entry.name, level.level))
    return next((fact.detectable_gap for fact in found), None)
