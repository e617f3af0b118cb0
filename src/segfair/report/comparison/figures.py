"""Slope plots: how means moved from one model to another, or along several. Facts -> figure, in the report's theme.

A line that falls has lost, whichever direction of the metric is better. Standing is told by the mark at the end of a
line as well as by its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segfair.audit.words import clean, format_number, shorten
from segfair.compare.result import Standing
from segfair.report.figures import BETTER, INK, MUTED, RULE, SHADE, WORSE, canvas, text_width, themed
from segfair.subgroups.lattice import Better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SlopeLine", "slope_plot"]

_MARKS = {"harmed": "v", "gained": "^", "all cases": "s"}
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


@themed
def slope_plot(
    lines: Sequence[SlopeLine],
    *,
    columns: Sequence[str],
    better: Better,
    digits: int = 3,
    limits: tuple[float, float] | None = None,
    width: float = 7.6,
) -> Figure:
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
    plot = max(1.15, _ROW * 1.06 * len(lines))
    figure, axes = canvas(width=width, left=left, right=right, top=0.36, bottom=0.12, plot=plot)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    length = max(1, len(columns) - 1)
    axes.set_xlim(0, length)
    bottom, top = sorted((sign * low, sign * high))
    bottom, top = bottom - 0.06 * span, top + 0.06 * span
    axes.set_ylim(bottom, top)
    inch = (top - bottom) / plot
    # Titles at the two ends may lean outward, so they have a column's width between them.
    fits = max(6, int((width - left - right) / length / text_width(["n"]) * (0.48 if length == 1 else 0.62)))
    for place, title in enumerate(columns):
        axes.axvline(place, color=RULE, linewidth=1.0, zorder=0)
        align = "left" if place == 0 else "right" if place == len(columns) - 1 else "center"
        shown = shorten(clean(title), fits)
        axes.text(place, top + 0.1 * inch, shown, ha=align, va="bottom", color=MUTED, weight="bold")
    for step in range(1, 4):
        axes.axhline(bottom + step * (top - bottom) / 4, color=SHADE, linewidth=0.8, zorder=0)
    # The lines that say something lie above those that do not.
    for line in sorted(lines, key=lambda line: ("", "gained", "harmed", "all cases").index(_kind(line))):
        _draw_line(axes, line, sign)
    ends = [0, len(columns) - 1]
    for place, side in zip(ends, ("left", "right"), strict=True):
        known = [line for line in lines if line.values[place] is not None]
        heights = _spread([sign * float(line.values[place] or 0.0) for line in known], _ROW * inch, bottom, top)
        for line, y in zip(known, heights, strict=True):
            reach = 0.13 * length / (width - left - right) * (-1 if side == "left" else 1)
            text = format_number(line.values[place], digits)
            if side == "right":
                text = f"{text}  {_label(line, letters)}"
            _label_end(axes, text, (place, sign * float(line.values[place] or 0.0)), y, reach=reach, kind=_kind(line))
    return figure


def _kind(line: SlopeLine) -> str:
    return line.standing if line.standing in _MARKS else ""


def _label(line: SlopeLine, letters: int) -> str:
    count = f" (n {line.n:,})"
    return shorten(line.name, max(8, letters - len(count))) + count


def _draw_line(axes: Axes, line: SlopeLine, sign: float) -> None:
    kind = _kind(line)
    known = [(place, sign * value) for place, value in enumerate(line.values) if value is not None]
    if not known:
        return
    x, y = zip(*known, strict=True)
    colour = _COLOURS.get(kind, "#8793a0")
    axes.plot(
        x,
        y,
        color=colour,
        linewidth=2.2 if kind else 1.1,
        linestyle="-" if kind else (0, (4, 2)),
        solid_capstyle="round",
        marker="o",
        markersize=3.2,
        zorder=3 if kind else 2,
        clip_on=False,
    )
    axes.plot(
        x[-1],
        y[-1],
        marker=_MARKS.get(kind, "o"),
        markersize=7 if kind else 3.2,
        color=colour,
        linestyle="none",
        zorder=4,
        clip_on=False,
    )


def _label_end(axes: Axes, text: str, end: tuple[float, float], y: float, *, reach: float, kind: str) -> None:
    """A text beside the end of a line, with a thin leader where it had to move."""
    x, height = end
    axes.plot((x + 0.3 * reach, x + 0.9 * reach), (height, y), color=RULE, linewidth=0.7, zorder=1, clip_on=False)
    axes.text(
        x + reach,
        y,
        text,
        ha="right" if reach < 0 else "left",
        va="center",
        color=INK if kind else MUTED,
        weight="bold" if kind == "all cases" else "normal",
    )


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
