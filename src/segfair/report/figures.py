"""Facts -> matplotlib figures in one colour-blind-safe theme; no pyplot, no files.

Nothing is said by colour alone: marks differ in shape, bars and cells bear their numbers. Every function returns a
`Figure` that can be saved as SVG, PNG or PDF; `to_svg` gives the text that a page takes in. Long, because all
figures share one theme and one way of laying out rows.

References:
    Okabe, Ito. Color Universal Design. 2008 (the palette).
"""

from __future__ import annotations

import functools
import io
import textwrap
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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
from segfair.report.svg import for_page
from segfair.subgroups.lattice import Better, Divergence, Item

__all__ = [
    "BETTER",
    "INK",
    "MUTED",
    "NEUTRAL",
    "RULE",
    "SHADE",
    "WORSE",
    "canvas",
    "divergence_bars",
    "forest_plot",
    "heat_map",
    "level_dots",
    "score_strip",
    "text_width",
    "themed",
    "to_file",
    "to_svg",
]

P = ParamSpec("P")

INK, MUTED, RULE, SHADE = "#1c2733", "#56636f", "#d3dae1", "#edf1f4"
WORSE, BETTER, NEUTRAL = "#D55E00", "#0072B2", "#4d5a66"
_DIVERGING = LinearSegmentedColormap.from_list("worse-better", [WORSE, "#f0a878", "#f7f7f4", "#8fc0de", BETTER])

THEME: Mapping[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    # Names come from outside: a dollar sign in one is no formula.
    "text.parse_math": False,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.8,
    "axes.unicode_minus": True,
    "xtick.color": MUTED,
    "xtick.labelsize": 8,
    "xtick.major.size": 3,
    "xtick.major.width": 0.8,
    "hatch.linewidth": 0.5,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    # The ids inside an SVG are hashes; with a fixed salt equal facts give equal bytes.
    "svg.hashsalt": "segfair",
}


def themed(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draws in the one theme of all figures."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(dict(THEME)):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return drawn


def canvas(*, width: float, left: float, right: float, top: float, bottom: float, plot: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; all lengths in inches, `plot` is the height of the axes."""
    height = top + plot + bottom
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((left / width, bottom / height, (width - left - right) / width, plot / height))
    axes.spines[["top", "left", "right"]].set_visible(False)
    axes.set_yticks([])
    axes.patch.set_visible(False)
    return figure, axes


def text_width(texts: Sequence[str], *, points: float = 8.5) -> float:
    """Inches that the longest of some texts takes, on the safe side for whatever font a page has."""
    return 0.62 * points / 72 * max(map(len, texts), default=0)


@themed
def forest_plot(
    rows: Sequence[Divergence],
    *,
    outcome: str,
    better: Better,
    digits: int = 3,
    narrow: bool = False,
) -> Figure:
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
    figure, axes = canvas(width=width, left=left, right=right, top=0.32, bottom=0.5, plot=max(sum(heights), 0.3))
    axes.set_ylim(-max(sum(heights), 0.3), 0)
    _difference_axis(axes, rows, outcome=outcome, digits=digits)
    inch = width - left - right

    def write(x_inch: float, y: float, text: str, align: str = "left", **style: object) -> None:
        place = axes.get_yaxis_transform()
        axes.text(x_inch / inch, y, text, transform=place, ha=align, va="center", **style)  # type: ignore[arg-type]

    sides = ("worse", "better") if better == "higher" else ("better", "worse")
    write(0.0, 0.17, f"← {sides[0]}", color=MUTED)
    write(inch, 0.17, f"{sides[1]} →", "right", color=MUTED)
    if not narrow:
        write(0.05 - left, 0.17, "Subgroup", color=MUTED)
        for x_inch, text in ((-0.1, "n"), (inch + 0.82, "mean"), (inch + 1.5, "differ."), (inch + 2.2, "adj. p")):
            write(x_inch, 0.17, text, "right", color=MUTED)
    top = 0.0
    for index, (row, label, height) in enumerate(zip(rows, labels, heights, strict=True)):
        if index % 2 == 0:
            _shade(axes, top - height, height, start=-left / inch, length=width / inch)
        first = top - 0.5 * (line + 0.115)
        for number, text in enumerate(label):
            write(0.05 - left, first - line * number, text)
        numbers = (
            format_number(row.mean, digits),
            format_number(row.difference, digits, signed=True),
            format_p(row.p_adjusted),
        )
        weight = "bold" if row.significant else "normal"
        if narrow:
            text = f"n {row.n:,};  mean {numbers[0]};  difference {numbers[1]};  p {numbers[2]}"
            write(0.05 - left, first - line * len(label), text, color=MUTED, weight=weight)
            y = top - height + 0.14
        else:
            y = top - height / 2
            write(-0.1, y, f"{row.n:,}", "right")
            for x_inch, text, style in zip((0.82, 1.5, 2.2), numbers, ("normal", weight, weight), strict=True):
                write(inch + x_inch, y, text, "right", weight=style)
        _interval_mark(axes, row, y, better)
        # Zero; in the narrow shape names stand above the marks, and no line runs through them.
        axes.plot((0, 0), (top - height, y + 0.12 if narrow else top), color=MUTED, linewidth=0.9, zorder=1)
        top -= height
    return figure


def _difference_axis(axes: Axes, rows: Sequence[Divergence], *, outcome: str, digits: int) -> None:
    """An axis that holds every interval, and zero."""
    limits = [0.0, *(value for row in rows for value in _extent(row))]
    room = 0.06 * (max(limits) - min(limits)) or 0.05
    axes.set_xlim(min(limits) - room, max(limits) + room)
    _value_axis(axes, digits)
    axes.set_xlabel(f"Difference in {metric_name(outcome)} to everybody else")


def _shade(axes: Axes, bottom: float, height: float, *, start: float, length: float) -> None:
    """A pale band behind a row, from `start` over `length` in widths of the axes."""
    place = axes.get_yaxis_transform()
    band = Rectangle((start, bottom), length, height, transform=place, clip_on=False, zorder=0)
    band.set(facecolor="#f4f6f8", linewidth=0)
    axes.add_patch(band)


def _extent(row: Divergence) -> list[float]:
    return [row.difference, *((row.estimate.ci or ()) if row.estimate else ())]


def _interval_mark(axes: Axes, row: Divergence, y: float, better: Better) -> None:
    """Line: the simultaneous interval of the difference; dot: the difference, filled if significant."""
    colour = WORSE if harmful(row.difference, better) else BETTER
    if row.estimate and row.estimate.ci:
        axes.plot(row.estimate.ci, (y, y), color=colour, linewidth=1.8, solid_capstyle="butt", zorder=2)
        for limit in row.estimate.ci:
            axes.plot((limit, limit), (y - 0.035, y + 0.035), color=colour, linewidth=1.2, zorder=2)
    _dot(axes, row.difference, y, colour, filled=bool(row.significant), edge=1.4, above=4)


def _dot(axes: Axes, x: float, y: float, colour: str, *, filled: bool, edge: float, above: int) -> None:
    """A point estimate: filled, or a ring where it is uncertain; drawn above what has a smaller number."""
    face = colour if filled else "white"
    style: dict[str, Any] = {"marker": "o", "markersize": 6, "markerfacecolor": face, "markeredgewidth": edge}
    axes.plot(x, y, color=colour, linestyle="none", zorder=above, **style)


@themed
def level_dots(
    attribute: AttributeFacts,
    *,
    metric: str,
    overall: float | None,
    limits: tuple[float, float],
    name_length: int = 20,
    digits: int = 3,
) -> Figure:
    """Mean (dot), median (bar) and interval of one metric for each level of an attribute.

    Args:
        attribute: Levels in the order they are drawn; those with too few cases are drawn hollow.
        metric: Metric name.
        overall: Mean of all cases, a vertical line; None: no line.
        limits: Ends of the axis; the same for all attributes of a report, so that they compare.
        name_length: Room for the names of levels, in characters; longer ones are cut.
        digits: Decimals of the metric.
    """
    levels = attribute.levels
    step = 0.235
    plot = step * max(len(levels), 1)
    names = [clean(level.level, length=name_length) for level in levels]
    left = 0.55 + text_width(["x" * name_length])
    figure, axes = canvas(width=3.7, left=left, right=0.14, top=0.22, bottom=0.46, plot=plot)
    inch = 3.7 - 0.14 - left
    axes.set_ylim(-plot, 0)
    axes.set_xlim(*limits)
    _value_axis(axes, digits)
    axes.set_xlabel(metric_name(metric))
    if overall is not None:
        axes.axvline(overall, color=MUTED, linewidth=0.9, zorder=1)
    place = axes.get_yaxis_transform()
    axes.text(-0.1 / inch, 0.1, "n", transform=place, ha="right", va="center", color=MUTED)
    for index, level in enumerate(levels):
        y = -step * (index + 0.5)
        axes.axhline(y, color=SHADE, linewidth=0.9, zorder=0)
        colour = MUTED if level.small else INK
        axes.text(-left / inch, y, names[index], transform=place, ha="left", va="center", color=colour)
        axes.text(-0.1 / inch, y, f"{level.n:,}", transform=place, ha="right", va="center", color=colour)
        mean, median, interval = level.mean.get(metric), level.median.get(metric), level.ci.get(metric)
        if interval:
            axes.plot(interval, (y, y), color=NEUTRAL, linewidth=1.4, solid_capstyle="butt", zorder=2)
        if median is not None:
            axes.plot(median, y, marker="|", markersize=8, markeredgewidth=1.3, color=MUTED, linestyle="none", zorder=2)
        if mean is not None:
            _dot(axes, mean, y, BETTER, filled=not level.small, edge=1.3, above=3)
    return figure


@themed
def heat_map(
    cells: CellMeans,
    *,
    better: Better,
    overall: float,
    span: float,
    min_cases: int,
    digits: int = 3,
) -> Figure:
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
    cell_width, cell_height = 0.66, 0.4
    heads = [textwrap.wrap(clean(level, length=20), 10)[:2] for level in cells.column_levels]
    # Two lines of attribute and one or two of its levels above the cells.
    top = 0.24 + 0.16 * max(map(len, heads), default=1)
    plot = cell_height * n_rows
    down = f"{clean(cells.row_attribute, length=18)} ↓"
    left = 0.1 + text_width([down, *(clean(level, length=18) for level in cells.row_levels)])
    width = max(left + cell_width * n_columns + 0.05, 2.8)
    right = width - left - cell_width * n_columns
    figure, axes = canvas(width=width, left=left, right=right, top=top, bottom=0.5, plot=plot)
    axes.set_xlim(0, n_columns)
    axes.set_ylim(-n_rows, 0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    better_by = span if better == "higher" else -span
    for row, column in np.ndindex(n_rows, n_columns):
        count, mean = int(cells.counts[row, column]), float(cells.means[row, column])
        shade = 0.5 + 0.5 * (mean - overall) / better_by if better_by and count >= max(min_cases, 1) else None
        _map_cell(axes, row, column, count=count, mean=format_number(mean, digits), shade=shade)
    for row, level in enumerate(cells.row_levels):
        axes.text(-0.08, -row - 0.5, clean(level, length=18), ha="right", va="center")
    for column, lines in enumerate(heads):
        axes.text(column + 0.5, 0.12, "\n".join(lines), ha="center", va="bottom")
    above = (top - 0.02) / cell_height
    across = clean(cells.column_attribute, length=max(18, 8 * n_columns))
    axes.text(-0.08, 0.12, down, ha="right", va="bottom", color=MUTED)
    axes.text(0.04, above, f"{across} →", ha="left", va="top", color=MUTED)
    _colour_key(figure, overall, better_by, digits)
    return figure


def _map_cell(axes: Axes, row: int, column: int, *, count: int, mean: str, shade: float | None) -> None:
    """One cell: coloured by `shade` (0 worst, 1 best); grey and hatched where there is none."""
    face = "#f8f9fa" if shade is None else to_hex(_DIVERGING(float(np.clip(shade, 0, 1))))
    edge, hatch = ("#aab6c0", "////" if count else None) if shade is None else ("none", None)
    cell = Rectangle((column + 0.03, -row - 0.96), 0.94, 0.92, facecolor=face, edgecolor=edge, hatch=hatch, linewidth=0)
    axes.add_patch(cell)
    middle = column + 0.5
    if not count:
        axes.text(middle, -row - 0.5, "no case", ha="center", va="center", color=MUTED, fontsize=7)
        return
    # The plate keeps the hatching away from the digits.
    plate = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85} if shade is None else None
    for y, text, size in ((-row - 0.36, mean, 8.5), (-row - 0.7, f"n = {count:,}", 7.0)):
        axes.text(middle, y, text, ha="center", va="center", fontsize=size, color=_text_colour(face), bbox=plate)


def _colour_key(figure: Figure, overall: float, better_by: float, digits: int) -> None:
    """The scale beneath a map: from worst to best, as differences to the mean of all cases."""
    width, height = figure.get_size_inches()
    left, length = 0.1, width - 0.2
    axes = figure.add_axes((left / width, 0.24 / height, length / width, 0.09 / height))
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    steps = 24
    for index in range(steps):
        axes.add_patch(
            Rectangle((index / steps, 0), 1 / steps, 1, facecolor=_DIVERGING((index + 0.5) / steps), linewidth=0)
        )
    for x, align, text in (
        (0.0, "left", f"{format_number(-better_by, digits, signed=True)} worse"),
        (0.5, "center", f"mean {format_number(overall, digits)}"),
        (1.0, "right", f"{format_number(better_by, digits, signed=True)} better"),
    ):
        axes.text(x, -0.5, text, ha=align, va="top", fontsize=7.5, color=MUTED)


def _text_colour(background: str) -> str:
    """Black or white, whichever is readable: at this luminance both have a contrast of 4.6 (WCAG 2.1)."""
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(background)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if luminance > 0.179 else "white"


@themed
def divergence_bars(
    shares: Sequence[tuple[Item, float]],
    *,
    better: Better,
    limits: tuple[float, float],
    digits: int = 3,
) -> Figure:
    """Share of each item in a divergence as bars to the left or right of zero, each with its number.

    Args:
        shares: (item, share), in the order they are drawn.
        better: Direction of the outcome.
        limits: Longest bar to the left (at most 0) and to the right (at least 0) that must fit; the same for all
            figures that are to compare.
        digits: Decimals of the outcome.
    """
    step = 0.27
    plot = step * max(len(shares), 1)
    names = [_two_part(item) for item, _ in shares]
    width, left, right = 3.7, 0.1 + text_width(names), 0.05
    figure, axes = canvas(width=width, left=left, right=right, top=0.06, bottom=0.08, plot=plot)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    axes.set_ylim(-plot, 0)
    # Room beyond the longest bar of each side, for its number.
    low, high = limits
    beyond = [0.62 if low < 0 else 0.06, 0.62 if high > 0 else 0.06]
    per_inch = (high - low) / (width - left - right - sum(beyond)) or 1.0
    axes.set_xlim(low - beyond[0] * per_inch, high + beyond[1] * per_inch)
    axes.axvline(0, color=MUTED, linewidth=0.9)
    edge, place = -left / (width - left - right), axes.get_yaxis_transform()
    for index, (_, share) in enumerate(shares):
        y = -step * (index + 0.5)
        axes.text(edge, y, names[index], transform=place, ha="left", va="center")
        colour, hatch = (WORSE, None) if harmful(share, better) else (BETTER, "////")
        axes.barh(y, share, 0.6 * step, color=colour, alpha=0.9, hatch=hatch, edgecolor="white", linewidth=0)
        side, gap = ("left", 0.05 * per_inch) if share >= 0 else ("right", -0.05 * per_inch)
        number = format_number(share, digits, signed=True)
        axes.text(share + gap, y, number, ha=side, va="center", fontsize=8)
    return figure


def _two_part(item: Item, *, length: int = 26) -> str:
    """The item in at most `length` characters, the level kept before the attribute."""
    level = clean(item[1], length=length - 8)
    return item_name((clean(item[0], length=max(5, length - 3 - len(level))), level))


@themed
def score_strip(scores: Mapping[str, Score]) -> Figure:
    """Scores between 0 and 1 with their interval, and the chance level as a band."""
    shown = [(name, score) for name, score in scores.items() if score.value is not None]
    step = 0.34
    plot = step * max(len(shown), 1)
    figure, axes = canvas(width=4.5, left=0.75, right=0.2, top=0.06, bottom=0.34, plot=plot)
    axes.set_ylim(-plot, 0)
    ends = [end for _, score in shown for end in (score.value or 0.0, *(score.ci or ()))]
    axes.set_xlim(min([0.0, *ends]), max([1.0, *ends]) + 0.01)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1.0):
        axes.axvline(tick, color=SHADE, linewidth=0.8, zorder=0)
    for index, (name, score) in enumerate(shown):
        y = -step * (index + 0.5)
        axes.text(-0.04, y, name, transform=axes.get_yaxis_transform(), ha="right", va="center")
        if score.chance:
            low, high = score.chance.interval
            band = Rectangle((low, y - 0.36 * step), high - low, 0.72 * step, hatch="....", linewidth=0, zorder=1)
            band.set(facecolor="#dfe5ea", edgecolor="#9aa7b2")
            axes.add_patch(band)
            mean = score.chance.mean
            axes.plot((mean, mean), (y - 0.36 * step, y + 0.36 * step), color=MUTED, linewidth=1.2, zorder=2)
        if score.ci:
            axes.plot(score.ci, (y, y), color=INK, linewidth=1.6, solid_capstyle="butt", zorder=3)
        axes.plot(score.value or 0.0, y, marker="o", markersize=6.5, color=BETTER, linestyle="none", zorder=4)
    return figure


def _value_axis(axes: Axes, digits: int) -> None:
    """Few ticks, with true minus signs and no more decimals than they need."""
    ticks = matplotlib.ticker.MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(*axes.get_xlim())
    low, high = axes.get_xlim()
    ticks = [float(tick) for tick in ticks if low <= tick <= high]
    needed = next((d for d in range(digits + 1) if all(abs(tick - round(tick, d)) < 1e-9 for tick in ticks)), digits)
    axes.set_xticks(ticks, [format_number(tick, needed) for tick in ticks])
    for tick in ticks:
        axes.axvline(tick, color=SHADE, linewidth=0.8, zorder=0)


def to_svg(figure: Figure, *, prefix: str, label: str) -> str:
    """The figure as an SVG element that can stand in a page beside others.

    Fonts are the page's, texts stay text, ids bear `prefix`, and equal figures give equal bytes.

    Args:
        figure: What to draw.
        prefix: Unique in the page.
        label: Text alternative, read out instead of the drawing.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(dict(THEME)), warnings.catch_warnings():  # type: ignore[arg-type]
        # A name may hold a character that matplotlib's font has not got; the page's font draws it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return for_page(buffer.getvalue(), prefix=prefix, label=label)


def to_file(figure: Figure, *, kind: Literal["svg", "png", "pdf"]) -> bytes:
    """The figure as the contents of a file of its own; equal figures give equal bytes.

    Args:
        figure: What to draw.
        kind: File format; PNG has 300 dots an inch, and letters are outlines in SVG, so that it looks alike anywhere.
    """
    buffer = io.BytesIO()
    undated = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
    settings = {**THEME, "svg.fonttype": "path", "pdf.fonttype": 42}
    with matplotlib.rc_context(settings), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format=kind, dpi=300, metadata=undated[kind])
    return buffer.getvalue()
