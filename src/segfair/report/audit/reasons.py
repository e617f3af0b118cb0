"""What gaps are made of: one bar a finding that adds up to its gap, in one sentence and in a table with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase

from segfair.audit.reasons.words import PART_NAMES
from segfair.audit.result import AuditResult
from segfair.audit.result.subgroups import BoundaryError, GapParts, Part, PartName, Reasons
from segfair.audit.words import clean, format_interval, format_number, metric_name, plural, subgroup_name
from segfair.report.drawing import INK, Box, Drawing, Hatch, Line, Mark, Scale, Text
from segfair.report.figures import MUTED, text_colour, value_axis
from segfair.report.parts import Data, cell, figure, items_of, number_column, table

__all__ = ["reason_section"]

_COLOURS: Mapping[PartName, tuple[str, Hatch]] = {
    "size_and_shape": ("#E69F00", ""),
    "boundary": ("#0072B2", ""),
    "disagreement": ("#CC79A7", "dots"),
    "missed": ("#D55E00", "lines"),
    "false_positives": ("#56B4E9", "lines"),
    "no_prediction": ("#4d5a66", ""),
    "empty_rule": ("#aab6c0", "dots"),
    "else": ("#009E73", ""),
}
_BAR, _ROW = 0.3, 0.2
_LETTER = 0.17
"""Inches: a narrower piece has no room for its letter."""


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


def stacked_bar(gap: GapParts, limits: tuple[float, float], *, width: float) -> Drawing:
    """One bar: what makes the gap worse to the left of zero, what makes it better to the right; their sum marked.

    Args:
        gap: What is drawn; each part bears a letter, told beneath with its number.
        limits: Ends of the scale.
        width: Inches.
    """
    shown = [(letter, part) for letter, part in zip(ascii_uppercase, gap.parts, strict=False) if part.value]
    drawing = Drawing(width, 0.12, 0.12, top=0.3, bottom=0.56 + _ROW * len(shown), plot=_BAR + 0.16)
    scale = Scale(*limits, 0.0, drawing.length)
    value_axis(drawing, scale, 3, f"Difference in {metric_name('dsc')}")
    zero, middle = scale(0.0), 0.08 + _BAR / 2
    ends = {True: 0.0, False: 0.0}
    for letter, part in shown:
        side = part.value < 0
        start, end = sorted((scale(ends[side]), scale(ends[side] + part.value)))
        ends[side] += part.value
        drawing.add(_piece(start, 0.08, max(end - start - 0.012, 0.006), _BAR, part.name))
        if end - start >= _LETTER:
            face = _COLOURS[part.name][0]
            drawing.add(Text((start + end) / 2, middle, letter, "center", colour=text_colour(face), bold=True))
    total = scale(gap.value)
    drawing.add(
        Line(((zero, -0.02), (zero, drawing.plot)), MUTED, 1.0),
        Line(((total, 0.02), (total, drawing.plot)), "#ffffff", 3.0, layer=3),
        Line(((total, 0.02), (total, drawing.plot)), INK, 1.4, (2.0, 1.5), layer=3),
        Mark(total, 0.01, "down", 7, INK),
        _total(gap.value, total, drawing.length),
    )
    for row, (letter, part) in enumerate(shown):
        y = drawing.plot + 0.6 + _ROW * row
        drawing.add(
            _piece(0.0, y - 0.065, 0.17, 0.13, part.name),
            Text(0.25, y, letter, bold=True),
            Text(0.41, y, PART_NAMES[part.name]),
            Text(2.75, y, format_number(part.value, signed=True), "right"),
        )
    return drawing


def _total(value: float, x: float, length: float) -> Text:
    text = f"gap {format_number(value, signed=True)}"
    # Never beyond the drawing, however near to its edge the sum lies.
    middle = min(max(x, 0.36), length - 0.36)
    return Text(middle, -0.07, text, "center", "above", bold=True)


def _piece(x: float, y: float, width: float, height: float, name: PartName) -> Box:
    colour, hatch = _COLOURS[name]
    return Box(x, y, width, height, colour, hatch, "white" if hatch else "", layer=2)
