"""Slope plots: how means moved from one model to another, or along several. Facts -> drawing, in the report's theme.

A line that falls has lost, whichever direction of the metric is better. Standing is told by the mark at the end of a
line as well as by its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segfair.audit.words import clean, format_number, shorten
from segfair.compare.result import Standing
from segfair.report.drawing import Drawing, Line, Mark, Scale, Text
from segfair.report.figures import BETTER, INK, MUTED, RULE, SHADE, WORSE, text_width
from segfair.subgroups.lattice import Better

__all__ = ["SlopeLine", "slope_plot"]

_MARKS: dict[str, Literal["down", "up", "square"]] = {"harmed": "down", "gained": "up", "all cases": "square"}
_COLOURS = {"harmed": WORSE, "gained": BETTER, "all cases": INK}
_ROW = 0.175
"""Inches that a line of text takes."""


@dataclass(frozen=True, slots=True)
class SlopeLine:
    """One group's mean in each column.

    Attributes:
        name: Who.
        n: Cases.
        values: One mean a column; None where there is none.
        standing: What is concluded of the change; "all cases" for everybody.
    """

    name: str
    n: int
    values: tuple[float | None, ...]
    standing: Standing | str


def slope_plot(
    lines: Sequence[SlopeLine],
    *,
    columns: Sequence[str],
    better: Better,
    digits: int = 3,
    limits: tuple[float, float] | None = None,
    width: float = 7.6,
) -> Drawing:
    """A line for each group from column to column, with its value at both ends and its name at the right one.

    Args:
        lines: Groups.
        columns: What the columns are, such as the names of two audits.
        better: Direction of the metric; better values are drawn higher up.
        digits: Decimals.
        limits: Lowest and highest value drawn; the same for figures that are to compare. None: those of the lines.
        width: Inches.
    """
    sign = 1.0 if better == "higher" else -1.0
    values = [value for line in lines for value in line.values if value is not None]
    low, high = limits or ((min(values), max(values)) if values else (0.0, 1.0))
    span = (high - low) or 0.1
    numbers = [format_number(value, digits) for value in values]
    left = text_width(numbers) + 0.16
    room = max(1.6, min(0.55 * width, width - left - 1.2 - 0.9 * max(0, len(columns) - 2)))
    letters = int(room / text_width(["n"])) - max(map(len, numbers), default=4) - 2
    labels = [_label(line, letters) for line in lines]
    right = text_width(labels) + text_width(numbers) + 0.2
    drawing = Drawing(width, left, right, top=0.36, bottom=0.12, plot=max(1.15, _ROW * 1.06 * len(lines)))
    across = Scale(0, max(1, len(columns) - 1), 0.0, drawing.length)
    bottom, top = sorted((sign * low, sign * high))
    up = Scale(bottom - 0.06 * span, top + 0.06 * span, drawing.plot, 0.0)
    _draw_columns(drawing, across, columns)
    # The lines that say something lie above those that do not.
    for line in sorted(lines, key=lambda line: ("", "gained", "harmed", "all cases").index(_kind(line))):
        known = [(across(place), up(sign * value)) for place, value in enumerate(line.values) if value is not None]
        _draw_line(drawing, known, _kind(line))
    for place, side in ((0, -1), (len(columns) - 1, 1)):
        ends = [(line, up(sign * value)) for line in lines if (value := line.values[place]) is not None]
        moved = _spread([height for _, height in ends], _ROW, 0.0, drawing.plot)
        for (line, height), y in zip(ends, moved, strict=True):
            text = format_number(line.values[place], digits)
            text = text if side < 0 else f"{text}  {_label(line, letters)}"
            _label_end(drawing, text, (across(place), height), y, side=side, kind=_kind(line))
    return drawing


def _draw_columns(drawing: Drawing, across: Scale, columns: Sequence[str]) -> None:
    """A line and a title for each column, and a few levels of height."""
    length = max(1, len(columns) - 1)
    # Titles at the two ends may lean outward, so they have a column's width between them.
    fits = max(6, int(drawing.length / length / text_width(["n"]) * (0.48 if length == 1 else 0.62)))
    for place, title in enumerate(columns):
        x = across(place)
        drawing.add(Line(((x, 0.0), (x, drawing.plot)), RULE, 1.0, layer=0))
        align: Literal["left", "right", "center"] = (
            "left" if place == 0 else "right" if place == len(columns) - 1 else "center"
        )
        drawing.add(Text(x, -0.1, shorten(clean(title), fits), align, "above", MUTED, bold=True))
    for step in range(1, 4):
        y = step * drawing.plot / 4
        drawing.add(Line(((0.0, y), (drawing.length, y)), SHADE, 0.8, layer=0))


def _kind(line: SlopeLine) -> str:
    return line.standing if line.standing in _MARKS else ""


def _label(line: SlopeLine, letters: int) -> str:
    count = f" (n {line.n:,})"
    return shorten(line.name, max(8, letters - len(count))) + count


def _draw_line(drawing: Drawing, known: Sequence[tuple[float, float]], kind: str) -> None:
    """A line through its points, and the mark of its standing at the end."""
    if not known:
        return
    colour, layer = _COLOURS.get(kind, "#8793a0"), 3 if kind else 2
    drawing.add(Line(tuple(known), colour, 2.2 if kind else 1.1, dash=() if kind else (4.4, 2.2), layer=layer))
    drawing.add(*(Mark(x, y, "dot", 3.2, colour, edge=1.0, layer=layer) for x, y in known))
    drawing.add(Mark(*known[-1], _MARKS.get(kind, "dot"), 7 if kind else 3.2, colour, edge=1.0))


def _label_end(drawing: Drawing, text: str, end: tuple[float, float], y: float, *, side: int, kind: str) -> None:
    """A text beside the end of a line, with a thin leader where it had to move."""
    x, height = end
    reach = 0.13 * side
    drawing.add(Line(((x + 0.3 * reach, height), (x + 0.9 * reach, y)), RULE, 0.7, layer=1))
    colour, bold = INK if kind else MUTED, kind == "all cases"
    drawing.add(Text(x + reach, y, text, "right" if side < 0 else "left", colour=colour, bold=bold))


def _spread(heights: Sequence[float], least: float, bottom: float, top: float) -> list[float]:
    """Moves heights apart until neighbours are at least `least` apart, each cluster about its mean, within the axis.

    Clusters of too close labels are merged until none overlap (pool-adjacent-violators).
    """
    if not heights:
        return []
    order = np.argsort(heights, kind="stable")
    least = min(least, (top - bottom) / max(1, len(heights) - 1)) if len(heights) > 1 else least
    clusters: list[list[float]] = []  # centre, members
    for index in order:
        clusters.append([float(np.clip(heights[index], bottom, top)), 1.0])
        while len(clusters) > 1 and _reach(clusters[-1], least, -1) - _reach(clusters[-2], least, 1) < least - 1e-12:
            second, first = clusters.pop(), clusters.pop()
            count = first[1] + second[1]
            centre = (first[0] * first[1] + second[0] * second[1]) / count
            half = (count - 1) / 2 * least
            clusters.append([float(np.clip(centre, bottom + half, top - half)), count])
    placed = np.empty(len(heights))
    done = 0
    for centre, count in clusters:
        for member in range(int(count)):
            placed[order[done]] = centre + (member - (count - 1) / 2) * least
            done += 1
    return [float(height) for height in placed]


def _reach(cluster: Sequence[float], least: float, side: int) -> float:
    return cluster[0] + side * (cluster[1] - 1) / 2 * least
