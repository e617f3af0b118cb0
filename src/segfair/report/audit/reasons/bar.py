"""One bar that adds up to a gap: what each part makes of it, to the left of zero and to the right."""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_uppercase

from segfair.audit.reasons.words import PART_NAMES
from segfair.audit.result.subgroups import GapParts, PartName
from segfair.audit.words import format_number, metric_name
from segfair.report.drawing import INK, Box, Drawing, Hatch, Line, Mark, Scale, Text
from segfair.report.figures import MUTED, text_colour, value_axis

__all__ = ["stacked_bar"]

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
