"""What gaps are made of: one bar a finding that adds up to its gap, in one sentence and in a table with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from segfair.audit.reasons.words import PART_NAMES
from segfair.audit.result import AuditResult
from segfair.audit.result.subgroups import BoundaryError, GapParts, Part, Reasons
from segfair.audit.words import clean, format_interval, format_number, metric_name, plural, subgroup_name
from segfair.report.audit.reasons.bar import stacked_bar
from segfair.report.parts import Data, cell, figure, items_of, number_column, table

__all__ = ["reason_section"]


def reason_section(result: AuditResult) -> Data | None:
    """The bars and tables; None where it was not asked what gaps are made of."""
    facts = result.subgroups.reasons
    if facts is None:
        return None
    limits = _limits(facts.gaps)
    return {
        "about": [*(_error(error, facts.unit) for error in facts.errors), *_about_raters(facts)],
        "unit": facts.unit,
        "gaps": [_gap(gap, index, limits) for index, gap in enumerate(facts.gaps)],
        "deficit": _table(f"What the mean deficit of {plural(facts.n_cases, 'case')} is made of", facts.deficit),
    }


def _error(error: BoundaryError, unit: str) -> str:
    where = f" in {clean(error.region, length=40)}" if error.region else ""
    if error.n_cases == 0:
        return f"No lesion was found{where}, so that there is no boundary error."
    cases = "cases" if error.n_cases is None else plural(error.n_cases, "case")
    return (
        f"The boundary error of this cohort{where} is {error.length:.2g} {unit}: the median over {cases} of the mean "
        "distance between the outlines of label and prediction (ASSD), where a lesion was found."
    )


def _about_raters(facts: Reasons) -> list[str]:
    if not facts.n_raters or facts.n_compared is None:
        return []
    rest = facts.n_cases - facts.n_compared
    told = f"Labels of {plural(facts.n_raters, 'further rater')} in {plural(facts.n_compared, 'case')}"
    return [f"{told}; in the other {rest:,} no labels disagree." if rest else f"{told}."]


def _limits(gaps: Sequence[GapParts]) -> tuple[float, float]:
    """How far the bars reach to either side, the same for all of them."""
    low = min((sum(min(part.value, 0.0) for part in gap.parts) for gap in gaps), default=0.0)
    high = max((sum(max(part.value, 0.0) for part in gap.parts) for gap in gaps), default=0.0)
    room = 0.06 * (high - low) or 0.01
    return low - room, high + room


def _gap(gap: GapParts, index: int, limits: tuple[float, float]) -> Data:
    values = "; ".join(f"{PART_NAMES[part.name]} {format_number(part.value, signed=True)}" for part in gap.parts)
    name = subgroup_name(gap.items.items, length=30)
    return {
        "items": items_of(gap.items),
        "n": f"{gap.n:,}",
        "value": format_number(gap.value, signed=True),
        "how": _compared(gap),
        "sentence": clean(gap.sentence, length=900),
        "figure": figure(
            stacked_bar(gap, limits, width=6.9),
            key=f"reasons{index}",
            label=f"Bar: the gap of {name}, {format_number(gap.value, signed=True)}, is the sum of: {values}.",
            caption="",
            narrow=stacked_bar(gap, limits, width=3.7),
        ),
        "table": _table(f"What the gap of {name} is made of", gap.parts, total=gap.value),
    }


def _compared(gap: GapParts) -> str:
    """Within what the group is compared, where that is not everybody else."""
    if gap.after is None:
        return ""
    if gap.after:
        return f"compared within {plural(gap.after, 'finding')} named before"
    return "compared within strata" if gap.kind == "difference within strata" else "compared with everybody else"


def _table(caption: str, parts: Sequence[Part], *, total: float | None = None) -> Data:
    """Each part with its interval; of a gap with signs, and the sum beneath."""
    signed = total is not None
    rows = [
        [
            cell(f"{letter}  {PART_NAMES[part.name]}" if signed else PART_NAMES[part.name]),
            cell(format_number(part.value, signed=signed)),
            cell(format_interval(part.ci, signed=signed)),
        ]
        for letter, part in zip(ascii_uppercase, parts, strict=False)
    ]
    whole = sum(part.value for part in parts) if total is None else total
    rows.append([cell("Together"), cell(format_number(whole, signed=signed)), cell("")])
    return table(caption, ["Part", number_column(metric_name("dsc")), number_column("95% interval")], rows)
