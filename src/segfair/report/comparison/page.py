"""Comparison -> page data: what changed, who was harmed, who gained.

Every section is a function of one `Comparison`, so that a page of several models can call it for each of them; `key`
keeps the ids of their figures apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segfair.audit.words import (
    clean,
    evidence,
    format_interval,
    format_number,
    metric_name,
    plural,
    search_sentence,
    subgroup_name,
)
from segfair.compare.result import AttributeChange, Change, Comparison, SubgroupChange
from segfair.compare.verdict import largest_possible_loss, outcome_digits
from segfair.report.comparison.changes import (
    change_section,
    change_table,
    digits_of,
    gap_section,
    gaps_note,
    metric_section,
    names_of,
    table_section,
)
from segfair.report.comparison.changes import (
    title as column_title,
)
from segfair.report.comparison.figures import SlopeLine, slope_plot
from segfair.report.parts import Data, definition, figure, items_of, titled

__all__ = [
    "comparison_data",
    "gain_section",
    "harm_section",
    "headline_facts",
    "input_section",
    "method_section",
    "primary_section",
    "slope_figure",
    "verdict_section",
]

_TITLES = {
    "verdict": "Verdict",
    "harmed": "Who was harmed",
    "gained": "Who gained",
    "alerts": "Alerts",
    "primary": "Primary attributes",
    "slopes": "Before and after",
    "scores": "Scores",
    "gaps": "Attributes",
    "subgroups": "Subgroups",
    "metrics": "Metrics",
    "method": "Method",
    "inputs": "Inputs",
}
_VERDICTS = {
    "nothing changed": ("=", "open"),
    "harm found": ("▼", "worse"),
    "levelling down": ("▼", "worse"),
    "gains and harm found": ("▼", "worse"),
    "gain found": ("▲", "better"),
    "no change shown": ("◆", "open"),
}
_LISTED = 12
"""Subgroups that are listed by name as harmed, or as having gained; the table holds all."""
_SLOPES = {"harmed": 8, "gained": 6}


def comparison_data(
    comparison: Comparison,
    *,
    written: str,
    command: str = "",
    digests: Mapping[str, str] | None = None,
    title: str = "",
) -> Data:
    """Everything that the comparison page prints.

    Args:
        comparison: What was found.
        written: When the page is written, as it shall stand there.
        command: The command line that led to it; empty: none is shown.
        digests: What -> SHA-256, printed with the method.
        title: What the comparison is called; empty: it has no name.
    """
    sections = {
        "verdict": verdict_section(comparison),
        "harmed": harm_section(comparison),
        "gained": gain_section(comparison),
        "alerts": [clean(notice, length=600) for notice in comparison.notices],
        "primary": primary_section(comparison),
        "slopes": slope_figure(comparison),
        "scores": change_section(comparison),
        "gaps": gap_section(comparison),
        "subgroups": table_section(comparison),
        "metrics": metric_section(comparison),
        "method": method_section(comparison, command=command, digests=digests or {}),
        "inputs": input_section(comparison),
    }
    return {
        "title": titled(clean(title, length=120) if title else "", "Segmentation audits compared by subgroup"),
        "written": written,
        "version": comparison.versions.get("segfair", ""),
        "outcome": metric_name(comparison.outcome),
        "n_cases": f"{comparison.n_paired:,}",
        "protocol": clean(comparison.settings.get("protocol", ""), length=60),
        "names": [column_title(name) for name in names_of(comparison)],
        "facts": headline_facts(comparison),
        "gaps_note": gaps_note(comparison),
        "sections": sections,
        "titles": _TITLES,
        "contents": [{"id": key, "title": _TITLES[key]} for key, section in sections.items() if section],
    }


def verdict_section(comparison: Comparison) -> Data:
    """The answer in words."""
    mark, tone = _VERDICTS[comparison.verdict.kind]
    kind = comparison.verdict.kind
    sentence = clean(comparison.verdict.sentence, length=2000)
    return {"kind": kind[:1].upper() + kind[1:], "mark": mark, "tone": tone, "sentence": sentence}


def headline_facts(comparison: Comparison) -> list[Data]:
    """The handful of numbers that carry the answer."""
    lost = len(comparison.only_before) + len(comparison.only_after)
    facts = [
        _fact(
            "Cases compared",
            f"{comparison.n_paired:,}",
            f"{lost:,} in one audit only" if lost else "all of both audits",
        )
    ]
    change = comparison.metrics.get(comparison.outcome)
    if change is not None:
        digits = digits_of(change)
        facts.append(_fact(f"Mean {metric_name(comparison.outcome)}", *_before_after(change, digits)))
    if "FS" in comparison.scores:
        facts.append(_fact("Fairness score FS", *_before_after(comparison.scores["FS"], 3)))
    rows = comparison.subgroups[comparison.outcome]
    tested = sum(row.significant is not None for row in rows)
    for word, found in (("Harmed", comparison.harmed), ("Gained", comparison.gained)):
        facts.append(_fact(word, f"{len(found):,}", f"of {plural(tested, 'tested subgroup')}"))
    penalised = (comparison.before.n_penalised, comparison.after.n_penalised)
    if any(penalised):
        facts.append(
            _fact("Penalised cases", f"{penalised[0]:,} → {penalised[1]:,}", "unusable predictions, scored worst")
        )
    return facts


def _fact(name: str, value: str, note: str) -> Data:
    return {"name": name, "value": value, "note": note}


def _before_after(change: Change, digits: int) -> tuple[str, str]:
    value = f"{format_number(change.before, digits)} → {format_number(change.after, digits)}"
    note = format_number(change.difference, digits, signed=True)
    if change.ci:
        note += f", 95% interval {format_interval(change.ci, digits, signed=True)}"
    return value, note


def harm_section(comparison: Comparison) -> Data:
    """Who lost, or what can be excluded where nobody is shown to have lost; levelling down named as such."""
    digits = outcome_digits(comparison)
    harmed = comparison.harmed
    levelling = [
        {"attribute": clean(entry.name, length=60), "sentence": _levelling_sentence(entry, digits)}
        for entry in comparison.levelling_down
    ]
    return {
        "lead": _lead(harmed, comparison, digits),
        "none": "" if harmed else _nobody_harmed(comparison, digits),
        "levelling": levelling,
        "table": _listed(harmed, comparison, digits, "Subgroups that were harmed") if harmed else None,
    }


def _levelling_sentence(entry: AttributeChange, digits: int) -> str:
    change = f" (change {format_interval(entry.ci, digits, signed=True)}, 95% interval)" if entry.ci else ""
    lost = ", ".join(clean(level, length=60) for level in entry.lost)
    return (
        f"The gap between its levels narrowed from {format_number(entry.before, digits)} to "
        f"{format_number(entry.after, digits)}{change} because {lost} lost, while "
        f"{clean(entry.worst_before, length=60)}, served worst before, is not shown to have gained."
    )


def _nobody_harmed(comparison: Comparison, digits: int) -> str:
    if comparison.verdict.kind == "nothing changed":
        return "Nobody: nothing changed."
    tested = sum(row.significant is not None for row in comparison.subgroups[comparison.outcome])
    if not tested:
        return f"Insufficient evidence: no subgroup has {comparison.settings.get('min_cases')} cases."
    text = f"None of {plural(tested, 'tested subgroup')} is shown to have been harmed"
    bound = largest_possible_loss(comparison)
    if bound is None:
        return f"{text}."
    return f"{text}; losses of up to {format_number(bound, digits)} cannot be excluded (95%, all subgroups together)."


def gain_section(comparison: Comparison) -> Data:
    """Who gained."""
    digits = outcome_digits(comparison)
    gained = comparison.gained
    return {
        "lead": _lead(gained, comparison, digits),
        "none": "" if gained else "No subgroup is shown to have gained.",
        "table": _listed(gained, comparison, digits, "Subgroups that gained") if gained else None,
    }


def _lead(found: Sequence[SubgroupChange], comparison: Comparison, digits: int) -> Data | None:
    """The most changed subgroup as one sentence with its evidence."""
    if not found:
        return None
    change = next((entry for entry in found if not entry.redundant), found[0])
    parts = evidence(
        simultaneous=change.ci_simultaneous, pointwise=change.ci, p_adjusted=change.p_adjusted, digits=digits
    )
    return {
        "items": items_of(change.pairs),
        "sentence": (
            f"{plural(change.n, 'case')}: mean {metric_name(comparison.outcome)} "
            f"{format_number(change.before, digits)} before, {format_number(change.after, digits)} after; "
            f"{format_number(change.difference, digits, signed=True)} ({', '.join(parts)})."
        ),
    }


def _listed(found: Sequence[SubgroupChange], comparison: Comparison, digits: int, caption: str) -> Data:
    kept = [entry for entry in found if not entry.redundant] or list(found)
    rest = len(found) - min(len(kept), _LISTED)
    return change_table(
        caption,
        kept[:_LISTED],
        comparison,
        digits,
        note=f"and {plural(rest, 'more subgroup')}, in the table of all subgroups" if rest else "",
    )


def primary_section(comparison: Comparison) -> Data | None:
    """The attributes fixed beforehand, a family of tests of their own."""
    if not comparison.primary:
        return None
    names = dict.fromkeys(name for row in comparison.primary for name in row.items)
    return {
        "names": ", ".join(clean(name, length=40) for name in names),
        "table": change_table(
            "Levels of the attributes fixed beforehand", comparison.primary, comparison, outcome_digits(comparison)
        ),
    }


def slope_figure(comparison: Comparison, *, key: str = "slopes") -> Data | None:
    """The slope plot of everybody, of those who changed most, and of single levels where hardly anybody did."""
    change = comparison.metrics.get(comparison.outcome)
    rows = comparison.subgroups[comparison.outcome]
    if change is None or not rows:
        return None
    shown: list[SubgroupChange] = []
    for found, most in ((comparison.harmed, _SLOPES["harmed"]), (comparison.gained, _SLOPES["gained"])):
        shown += ([row for row in found if not row.redundant] or list(found))[:most]
    levels = [row for row in rows if len(row.items) == 1 and row.significant is not None and row not in shown]
    shown += levels[: max(0, 10 - len(shown))]
    if not shown:
        return None
    digits = outcome_digits(comparison)
    columns = [column_title(name) for name in names_of(comparison)]
    everybody = SlopeLine("all cases", change.n, (change.before, change.after), "all cases")
    lines = [everybody, *(_line(row, subgroup_name(row.pairs, length=24)) for row in shown)]
    # On a narrow screen there is room for the levels only; the table beneath names their attributes.
    short = [everybody, *(_line(row, ", ".join(clean(level) for _, level in row.pairs)) for row in shown)]

    def draw(chosen: Sequence[SlopeLine], width: float) -> Any:
        return slope_plot(chosen, columns=columns, better=comparison.better, digits=digits, width=width)

    words = "; ".join(
        f"{line.name} (n {line.n}) {format_number(line.values[0], digits)} to {format_number(line.values[1], digits)}"
        for line in lines[:6]
    )
    return figure(
        draw(lines, 7.6),
        narrow=draw(short, 4.3),
        key=key,
        label=f"Slope plot of mean {metric_name(comparison.outcome)}: {words}. The table below holds every value.",
        caption=(
            f"Mean {metric_name(comparison.outcome)} in both audits; up is better. Triangle down, solid: harmed. "
            "Triangle up, solid: gained. Dashed: no change shown. Square: all cases."
        ),
        data=change_table(
            f"Mean {metric_name(comparison.outcome)} in both audits (figure as a table)", shown, comparison, digits
        ),
    )


def _line(row: SubgroupChange, name: str) -> SlopeLine:
    return SlopeLine(name, row.n, (row.before, row.after), row.standing)


def method_section(comparison: Comparison, *, command: str, digests: Mapping[str, str]) -> Data:
    """How changes were tested, settings, versions, hashes."""
    return {
        "method": clean(comparison.method, length=600),
        "search": search_sentence(comparison.search) if comparison.search is not None else "",
        "settings": [
            definition(clean(name).replace("_", " "), clean(_setting(value), length=200), code=True)
            for name, value in comparison.settings.items()
            if value not in (None, [], ())
        ],
        "versions": [definition(clean(name), clean(version)) for name, version in comparison.versions.items()],
        "digests": [definition(clean(name, length=200), value, code=True) for name, value in digests.items()],
        "command": clean(command, length=2000) if command else "",
    }


def _setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def input_section(comparison: Comparison) -> Data:
    """What the two audits were made from."""
    return {
        "sides": [
            {
                "name": column_title(side.name),
                "counts": (
                    f"{plural(side.n_scored, 'case')} scored, {side.n_penalised:,} penalised; "
                    f"{side.n_excluded:,} excluded"
                ),
                "paths": [
                    definition(clean(role), clean(path, length=300), code=True) for role, path in side.inputs.items()
                ],
            }
            for side in (comparison.before, comparison.after)
        ],
    }
