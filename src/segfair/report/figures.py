"""Facts -> drawings in one colour-blind-safe theme; no files.

Nothing is said by colour alone: marks differ in shape, bars and cells bear their numbers. `svg.py` turns a drawing
into an element of a page, `printing.py` into a file. Long, because all figures share one theme and one way of laying
out rows.

References:
    Okabe, Ito. Color Universal Design. 2008 (the palette).
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from segfair.audit.describe import CellMeans
from segfair.audit.result import AttributeFacts, Score
from segfair.audit.words import (
    clean,
    format_number,
    format_p,
    harmful,
    item_name,
    metric_name,
    subgroup_name,
)
from segfair.report.drawing import INK, Box, Drawing, Line, Mark, Scale, Text, nice_ticks
from segfair.subgroups.lattice import Better, Divergence, Item

__all__ = [
    "BETTER",
    "INK",
    "MUTED",
    "NEUTRAL",
    "RULE",
    "SHADE",
    "WORSE",
    "divergence_bars",
    "forest_plot",
    "heat_map",
    "level_dots",
    "score_strip",
    "text_width",
    "value_axis",
]

MUTED, RULE, SHADE = "#56636f", "#d3dae1", "#edf1f4"
WORSE, BETTER, NEUTRAL = "#D55E00", "#0072B2", "#4d5a66"
_DIVERGING = (WORSE, "#f0a878", "#f7f7f4", "#8fc0de", BETTER)


def text_width(texts: Sequence[str], *, points: float = 8.5) -> float:
    """Inches that the longest of some texts takes, on the safe side for whatever font a page has."""
    return 0.62 * points / 72 * max(map(len, texts), default=0)


def forest_plot(
    rows: Sequence[Divergence],
    *,
    outcome: str,
    better: Better,
    digits: int = 3,
    narrow: bool = False,
) -> Drawing:
    """Difference of some subgroups to everybody else: interval, n, and the numbers.

    Args:
        rows: Subgroups in the order they are drawn, from the top.
        outcome: Metric name.
        better: Direction of the outcome.
        digits: Decimals of the outcome.
        narrow: Names and numbers above each line, for a telephone, instead of beside it.
    """
    labels = [textwrap.wrap(subgroup_name(row.subgroup.items, length=30), 44)[:3] for row in rows]
    line, below = 0.155, 0.355 if narrow else 0.0
    heights = [line * len(label) + 0.115 + below for label in labels]
    width, left, right = (3.7, 0.06, 0.06) if narrow else (9.4, 3.25, 2.3)
    drawing = Drawing(width, left, right, top=0.32, bottom=0.5, plot=max(sum(heights), 0.3))
    scale = _difference_axis(drawing, rows, outcome=outcome, digits=digits)
    _forest_heads(drawing, better, narrow=narrow)
    top = 0.0
    for index, (row, label, height) in enumerate(zip(rows, labels, heights, strict=True)):
        if index % 2 == 0:
            drawing.add(Box(-left, top, width, height, "#f4f6f8", layer=0))
        first = top + 0.5 * (line + 0.115)
        drawing.add(*(Text(0.05 - left, first + line * number, text) for number, text in enumerate(label)))
        y = top + height - 0.14 if narrow else top + height / 2
        if narrow:
            _numbers_above(drawing, row, first + line * len(label), digits)
        else:
            _numbers_beside(drawing, row, y, digits)
        _interval_mark(drawing, row, scale, y, better)
        # Zero; in the narrow shape names stand above the marks, and no line runs through them.
        zero = scale(0.0)
        drawing.add(Line(((zero, top + height), (zero, y - 0.12 if narrow else top)), MUTED, 0.9, layer=1))
        top += height
    return drawing


def _forest_heads(drawing: Drawing, better: Better, *, narrow: bool) -> None:
    """Which side is which, and the heads of the columns."""
    end = drawing.length
    sides = ("worse", "better") if better == "higher" else ("better", "worse")
    drawing.add(
        Text(0.0, -0.17, f"← {sides[0]}", colour=MUTED), Text(end, -0.17, f"{sides[1]} →", "right", colour=MUTED)
    )
    if narrow:
        return
    drawing.add(Text(0.05 - drawing.left, -0.17, "Subgroup", colour=MUTED))
    for x, text in ((-0.1, "n"), (end + 0.82, "mean"), (end + 1.5, "differ."), (end + 2.2, "adj. p")):
        drawing.add(Text(x, -0.17, text, "right", colour=MUTED))


def _numbers_above(drawing: Drawing, row: Divergence, y: float, digits: int) -> None:
    mean, difference, p = _numbers(row, digits)
    text = f"n {row.n:,};  mean {mean};  difference {difference};  p {p}"
    drawing.add(Text(0.05 - drawing.left, y, text, colour=MUTED, bold=bool(row.significant)))


def _numbers_beside(drawing: Drawing, row: Divergence, y: float, digits: int) -> None:
    mean, difference, p = _numbers(row, digits)
    end, bold = drawing.length, bool(row.significant)
    drawing.add(
        Text(-0.1, y, f"{row.n:,}", "right"),
        Text(end + 0.82, y, mean, "right"),
        Text(end + 1.5, y, difference, "right", bold=bold),
        Text(end + 2.2, y, p, "right", bold=bold),
    )


def _numbers(row: Divergence, digits: int) -> tuple[str, str, str]:
    """Mean, difference and adjusted p as they are printed."""
    return (
        format_number(row.mean, digits),
        format_number(row.difference, digits, signed=True),
        format_p(row.p_adjusted),
    )


def _difference_axis(drawing: Drawing, rows: Sequence[Divergence], *, outcome: str, digits: int) -> Scale:
    """An axis that holds every interval, and zero."""
    limits = [0.0, *(value for row in rows for value in _extent(row))]
    room = 0.06 * (max(limits) - min(limits)) or 0.05
    scale = Scale(min(limits) - room, max(limits) + room, 0.0, drawing.length)
    value_axis(drawing, scale, digits, f"Difference in {metric_name(outcome)} to everybody else")
    return scale


def _extent(row: Divergence) -> list[float]:
    return [row.difference, *((row.estimate.ci or ()) if row.estimate else ())]


def _interval_mark(drawing: Drawing, row: Divergence, scale: Scale, y: float, better: Better) -> None:
    """Line: the simultaneous interval of the difference; dot: the difference, filled if significant."""
    colour = WORSE if harmful(row.difference, better) else BETTER
    if row.estimate and row.estimate.ci:
        low, high = map(scale, row.estimate.ci)
        drawing.add(Line(((low, y), (high, y)), colour, 1.8))
        drawing.add(*(Line(((end, y - 0.035), (end, y + 0.035)), colour, 1.2) for end in (low, high)))
    drawing.add(_dot(scale(row.difference), y, colour, filled=bool(row.significant), edge=1.4))


def _dot(x: float, y: float, colour: str, *, filled: bool, edge: float) -> Mark:
    """A point estimate: filled, or a ring where it is uncertain."""
    return Mark(x, y, "dot", 6, colour, face=colour if filled else "white", edge=edge)


def level_dots(
    attribute: AttributeFacts,
    *,
    metric: str,
    overall: float | None,
    limits: tuple[float, float],
    name_length: int = 20,
    digits: int = 3,
) -> Drawing:
    """Mean (dot), median (bar) and interval of one metric for each level of an attribute.

    Args:
        attribute: Levels in the order they are drawn; those with too few cases are drawn hollow.
        metric: Metric name.
        overall: Mean of all cases, a vertical line; None: no line.
        limits: Ends of the axis; the same for all attributes of a report, so that they compare. What lies beyond
            them is cut off.
        name_length: Room for the names of levels, in characters; longer ones are cut.
        digits: Decimals of the metric.
    """
    levels = attribute.levels
    step = 0.235
    left = 0.55 + text_width(["x" * name_length])
    drawing = Drawing(3.7, left, 0.14, top=0.22, bottom=0.46, plot=step * max(len(levels), 1))
    scale = Scale(*limits, 0.0, drawing.length)
    value_axis(drawing, scale, digits, metric_name(metric))
    if overall is not None:
        drawing.add(Line(((scale(overall), 0.0), (scale(overall), drawing.plot)), MUTED, 0.9, layer=1))
    drawing.add(Text(-0.1, -0.1, "n", "right", colour=MUTED))
    for index, level in enumerate(levels):
        y = step * (index + 0.5)
        colour = MUTED if level.small else INK
        drawing.add(
            Line(((0.0, y), (drawing.length, y)), SHADE, 0.9, layer=0),
            Text(-left, y, clean(level.level, length=name_length), colour=colour),
            Text(-0.1, y, f"{level.n:,}", "right", colour=colour),
        )
        mean, median, interval = level.mean.get(metric), level.median.get(metric), level.ci.get(metric)
        if interval:
            low, high = (scale(min(max(end, limits[0]), limits[1])) for end in interval)
            drawing.add(Line(((low, y), (high, y)), NEUTRAL, 1.4))
        if median is not None and limits[0] <= median <= limits[1]:
            drawing.add(Mark(scale(median), y, "bar", 8, MUTED, edge=1.3, layer=2))
        if mean is not None and limits[0] <= mean <= limits[1]:
            drawing.add(_dot(scale(mean), y, BETTER, filled=not level.small, edge=1.3))
    return drawing


_CELL_WIDTH, _CELL_HEIGHT = 0.66, 0.4


def heat_map(
    cells: CellMeans,
    *,
    better: Better,
    overall: float,
    span: float,
    min_cases: int,
    digits: int = 3,
) -> Drawing:
    """Two-attribute heat map with the mean and n in each cell.

    Cells of fewer than `min_cases` cases are hatched and grey: their colour would claim what nobody knows.

    Args:
        cells: What to draw.
        better: Direction of the outcome.
        overall: Mean of all cases, the middle of the colour scale.
        span: Distance from `overall` at which the colour scale ends; the same for all maps of a report.
        min_cases: Fewest cases of a cell that is judged.
        digits: Decimals of the outcome.
    """
    n_rows, n_columns = cells.means.shape
    heads = [textwrap.wrap(clean(level, length=20), 10)[:2] for level in cells.column_levels]
    # Two lines of attribute and one or two of its levels above the cells.
    top = 0.24 + 0.16 * max(map(len, heads), default=1)
    down = f"{clean(cells.row_attribute, length=18)} ↓"
    left = 0.1 + text_width([down, *(clean(level, length=18) for level in cells.row_levels)])
    across_cells = _CELL_WIDTH * n_columns
    width = max(left + across_cells + 0.05, 2.8)
    drawing = Drawing(width, left, width - left - across_cells, top=top, bottom=0.5, plot=_CELL_HEIGHT * n_rows)
    better_by = span if better == "higher" else -span
    for row, column in np.ndindex(n_rows, n_columns):
        count, mean = int(cells.counts[row, column]), float(cells.means[row, column])
        shade = 0.5 + 0.5 * (mean - overall) / better_by if better_by and count >= max(min_cases, 1) else None
        _map_cell(drawing, row, column, count=count, mean=format_number(mean, digits), shade=shade)
    for row, level in enumerate(cells.row_levels):
        drawing.add(Text(-0.05, (row + 0.5) * _CELL_HEIGHT, clean(level, length=18), "right"))
    for column, lines in enumerate(heads):
        x = (column + 0.5) * _CELL_WIDTH
        for number, line in enumerate(reversed(lines)):
            drawing.add(Text(x, -0.05 - 0.14 * number, line, "center", "above"))
    across = clean(cells.column_attribute, length=max(18, 8 * n_columns))
    drawing.add(
        Text(-0.05, -0.05, down, "right", "above", MUTED),
        Text(0.03, 0.02 - top, f"{across} →", "left", "below", MUTED),
    )
    _colour_key(drawing, overall, better_by, digits)
    return drawing


def _map_cell(drawing: Drawing, row: int, column: int, *, count: int, mean: str, shade: float | None) -> None:
    """One cell: coloured by `shade` (0 worst, 1 best); grey and hatched where there is none."""
    face = "#f8f9fa" if shade is None else diverging(shade)
    x, y = column * _CELL_WIDTH, row * _CELL_HEIGHT
    drawing.add(
        Box(
            x + 0.03 * _CELL_WIDTH,
            y + 0.04 * _CELL_HEIGHT,
            0.94 * _CELL_WIDTH,
            0.92 * _CELL_HEIGHT,
            face,
            hatch="lines" if shade is None and count else "",
            hatch_colour="#aab6c0",
        )
    )
    middle = x + 0.5 * _CELL_WIDTH
    if not count:
        drawing.add(Text(middle, y + 0.5 * _CELL_HEIGHT, "no case", "center", colour=MUTED, size=7))
        return
    for below, text, size in ((0.36, mean, 8.5), (0.7, f"n = {count:,}", 7.0)):
        colour = text_colour(face)
        drawing.add(
            Text(middle, y + below * _CELL_HEIGHT, text, "center", colour=colour, size=size, halo=shade is None)
        )


def _colour_key(drawing: Drawing, overall: float, better_by: float, digits: int) -> None:
    """The scale beneath a map: from worst to best, as differences to the mean of all cases."""
    start, length = 0.1 - drawing.left, drawing.width - 0.2
    top, steps = drawing.plot + drawing.bottom - 0.33, 24
    for index in range(steps):
        # A little wider than a step, so that no seam shows between two.
        part = length / steps * (1.05 if index < steps - 1 else 1.0)
        drawing.add(Box(start + index * length / steps, top, part, 0.09, diverging((index + 0.5) / steps)))
    worst, best = (format_number(by, digits, signed=True) for by in (-better_by, better_by))
    drawing.add(
        Text(start, top + 0.135, f"{worst} worse", "left", "below", MUTED, 7.5),
        Text(start + length / 2, top + 0.135, f"mean {format_number(overall, digits)}", "center", "below", MUTED, 7.5),
        Text(start + length, top + 0.135, f"{best} better", "right", "below", MUTED, 7.5),
    )


def diverging(shade: float) -> str:
    """The colour from worst (0) to best (1); beyond them that of the end."""
    place = min(max(shade, 0.0), 1.0) * (len(_DIVERGING) - 1)
    index = min(int(place), len(_DIVERGING) - 2)
    pairs = zip(_parts(_DIVERGING[index]), _parts(_DIVERGING[index + 1]), strict=True)
    mixed = [round(low + (high - low) * (place - index)) for low, high in pairs]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def text_colour(background: str) -> str:
    """Black or white, whichever is readable: at this luminance both have a contrast of 4.6 (WCAG 2.1)."""
    shares = [part / 255 for part in _parts(background)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in shares]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"


def _parts(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of #rrggbb, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def divergence_bars(
    shares: Sequence[tuple[Item, float]],
    *,
    better: Better,
    limits: tuple[float, float],
    digits: int = 3,
) -> Drawing:
    """Share of each item in a divergence as bars to the left or right of zero, each with its number.

    Args:
        shares: (item, share), in the order they are drawn.
        better: Direction of the outcome.
        limits: Longest bar to the left (at most 0) and to the right (at least 0) that must fit; the same for all
            figures that are to compare.
        digits: Decimals of the outcome.
    """
    step = 0.27
    names = [_two_part(item) for item, _ in shares]
    left = 0.1 + text_width(names)
    drawing = Drawing(3.7, left, 0.05, top=0.06, bottom=0.08, plot=step * max(len(shares), 1))
    # Room beyond the longest bar of each side, for its number.
    beyond = [0.62 if end else 0.06 for end in limits]
    scale = Scale(*limits, beyond[0], drawing.length - beyond[1])
    zero = scale(0.0)
    drawing.add(Line(((zero, 0.0), (zero, drawing.plot)), MUTED, 0.9))
    for index, (_, share) in enumerate(shares):
        y = step * (index + 0.5)
        drawing.add(Text(-left, y, names[index]))
        start, end = sorted((zero, scale(share)))
        place, size = (start, y - 0.3 * step), (end - start, 0.6 * step)
        bar = Box(*place, *size, WORSE) if harmful(share, better) else Box(*place, *size, BETTER, "lines", "white")
        number = format_number(share, digits, signed=True)
        beside = Text(end + 0.05, y, number, size=8) if share >= 0 else Text(start - 0.05, y, number, "right", size=8)
        drawing.add(bar, beside)
    return drawing


def _two_part(item: Item, *, length: int = 26) -> str:
    """The item in at most `length` characters, the level kept before the attribute."""
    level = clean(item[1], length=length - 8)
    return item_name((clean(item[0], length=max(5, length - 3 - len(level))), level))


def score_strip(scores: Mapping[str, Score]) -> Drawing:
    """Scores between 0 and 1 with their interval, and the chance level as a band."""
    shown = [(name, score, score.value) for name, score in scores.items() if score.value is not None]
    step = 0.34
    drawing = Drawing(4.5, 0.75, 0.2, top=0.06, bottom=0.34, plot=step * max(len(shown), 1))
    ends = [end for _, score, value in shown for end in (value, *(score.ci or ()))]
    scale = Scale(min([0.0, *ends]), max([1.0, *ends]) + 0.01, 0.0, drawing.length)
    _ticks(drawing, scale, (0, 0.2, 0.4, 0.6, 0.8, 1.0), 1)
    for index, (name, score, value) in enumerate(shown):
        y, half = step * (index + 0.5), 0.36 * step
        drawing.add(Text(-0.14, y, name, "right"))
        if score.chance:
            low, high, mean = map(scale, (*score.chance.interval, score.chance.mean))
            drawing.add(Box(low, y - half, high - low, 2 * half, "#dfe5ea", "dots", "#9aa7b2"))
            drawing.add(Line(((mean, y - half), (mean, y + half)), MUTED, 1.2))
        if score.ci:
            drawing.add(Line(((scale(score.ci[0]), y), (scale(score.ci[1]), y)), INK, 1.6, layer=3))
        drawing.add(Mark(scale(value), y, "dot", 6.5, BETTER, edge=1.0))
    return drawing


def value_axis(drawing: Drawing, scale: Scale, digits: int, title: str) -> None:
    """Few ticks beneath the plot, with true minus signs and no more decimals than they need, and what they count."""
    ticks = nice_ticks(scale.low, scale.high)
    needed = next((d for d in range(digits + 1) if all(abs(tick - round(tick, d)) < 1e-9 for tick in ticks)), digits)
    _ticks(drawing, scale, ticks, needed)
    drawing.add(Text(drawing.length / 2, drawing.plot + 0.27, title, "center", "below", MUTED))


def _ticks(drawing: Drawing, scale: Scale, ticks: Sequence[float], digits: int) -> None:
    bottom = drawing.plot
    drawing.add(Line(((0.0, bottom), (drawing.length, bottom)), RULE, layer=1))
    for tick in ticks:
        x = scale(tick)
        drawing.add(
            Line(((x, 0.0), (x, bottom)), SHADE, layer=0),
            Line(((x, bottom), (x, bottom + 0.042)), MUTED, layer=1),
            Text(x, bottom + 0.09, format_number(tick, digits), "center", "below", MUTED, 8),
        )
