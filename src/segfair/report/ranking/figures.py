"""What teams are drawn as: scores with intervals, boxes of raw scores, who beats whom. Facts -> drawing.

A row is a team, best first; on a telephone its name stands above its row. Nothing is said by colour alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from segfair.report.drawing import INK, Box, Dots, Drawing, Line, Mark, Scale, Text
from segfair.report.figures import BETTER, MUTED, NEUTRAL, SHADE, WORSE, text_colour, text_width, value_axis

__all__ = ["MOST_DOTS", "BoxRow", "ScoreRow", "pair_map", "score_boxes", "score_dots"]

MOST_DOTS = 150
"""Cases of a team that are drawn as dots; of more, evenly many of every score."""
_GOLDEN = 0.618
"""Multiples of it lie apart from each other: dots of equal scores do not hide each other, and lie alike every time."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A team's score with its interval, and the score as it is printed."""

    name: str
    value: float
    interval: tuple[float, float] | None
    text: str


@dataclass(frozen=True, slots=True)
class BoxRow:
    """A team's raw scores: `quartiles` from the least to the greatest, and single cases, sorted."""

    name: str
    quartiles: tuple[float, ...]
    values: tuple[float, ...]
    text: str


def score_dots(
    rows: Sequence[ScoreRow], *, baseline: float, title: str, digits: int = 3, narrow: bool = False
) -> Drawing:
    """Each team's score as a dot with its interval; a dashed line at what empty masks get.

    Args:
        rows: The teams.
        baseline: What empty masks get; no line where it lies so far away that it would squeeze the teams.
        title: What is drawn.
        digits: Decimals of the axis.
        narrow: For a telephone.
    """
    ends = [end for row in rows for end in (row.value, *(row.interval or ()))]
    low, high = min(ends), max(ends)
    near = low - (high - low) <= baseline <= high + (high - low)
    drawing, scale, middles = _team_rows(
        [(row.name, row.text) for row in rows],
        [*ends, *([baseline] if near else [])],
        title=title,
        digits=digits,
        height=0.25,
        narrow=narrow,
    )
    if near:
        drawing.add(Line(((scale(baseline), 0.0), (scale(baseline), drawing.plot)), MUTED, 1.0, (4.0, 2.0), layer=1))
        drawing.add(Text(scale(baseline), -0.06, "empty masks", "center", "above", MUTED, 8))
    for row, y in zip(rows, middles, strict=True):
        if row.interval:
            left, right = map(scale, row.interval)
            drawing.add(Line(((left, y), (right, y)), NEUTRAL, 1.6))
            drawing.add(*(Line(((end, y - 0.035), (end, y + 0.035)), NEUTRAL, 1.2) for end in (left, right)))
        drawing.add(Mark(scale(row.value), y, "dot", 6.5, BETTER, edge=1.0))
    return drawing


def score_boxes(rows: Sequence[BoxRow], *, title: str, digits: int = 3, narrow: bool = False) -> Drawing:
    """Each team's raw scores: box of the middle half, bar at the median, whiskers to the ends, a dot a case.

    Args:
        rows: The teams.
        title: What is drawn.
        digits: Decimals of the axis.
        narrow: For a telephone.
    """
    drawing, scale, middles = _team_rows(
        [(row.name, row.text) for row in rows],
        [value for row in rows for value in row.quartiles] or [0.0, 1.0],
        title=title,
        digits=digits,
        height=0.36,
        narrow=narrow,
    )
    for row, y in zip(rows, middles, strict=True):
        if not row.quartiles:
            continue
        least, first, median, third, greatest = map(scale, row.quartiles)
        drawing.add(
            Line(((least, y), (greatest, y)), NEUTRAL, 0.9, layer=1),
            Box(first, y - 0.09, max(third - first, 0.01), 0.18, "#c4d8e6", layer=2),
            Line(((median, y - 0.12), (median, y + 0.12)), INK, 2.0, layer=4),
        )
        heights = [y + 0.2 * ((index * _GOLDEN) % 1.0 - 0.5) for index in range(len(row.values))]
        drawing.add(Dots(tuple(zip(map(scale, row.values), heights, strict=True)), 2.2, NEUTRAL))
    return drawing


def _team_rows(
    rows: Sequence[tuple[str, str]], values: Sequence[float], *, title: str, digits: int, height: float, narrow: bool
) -> tuple[Drawing, Scale, list[float]]:
    """A row for each team with its name and number, an axis that holds all values, and the middle of each row."""
    above = 0.17 if narrow else 0.0
    left = 0.08 if narrow else min(2.6, 0.16 + text_width([name for name, _ in rows]))
    right = 0.08 if narrow else 0.16 + text_width([text for _, text in rows])
    width = 3.7 if narrow else 7.6
    step = height + above
    drawing = Drawing(width, left, right, top=0.24, bottom=0.5, plot=step * max(1, len(rows)))
    room = 0.04 * (max(values) - min(values)) or 0.05
    scale = Scale(min(values) - room, max(values) + room, 0.0, drawing.length)
    value_axis(drawing, scale, digits, title)
    middles = []
    for index, (name, text) in enumerate(rows):
        top = step * index
        middle = top + above + height / 2
        if index % 2 == 0:
            drawing.add(Box(-left, top, width, step, SHADE, layer=0))
        drawing.add(Text(0.06 - left, top + 0.11 if narrow else middle, name))
        end = drawing.length + (0.02 if narrow else right - 0.06)
        drawing.add(Text(end, top + 0.11 if narrow else middle, text, "right", colour=MUTED))
        middles.append(middle)
    return drawing, scale, middles


def pair_map(names: Sequence[str], beats: Sequence[Sequence[float]], better: Sequence[Sequence[bool]]) -> Drawing:
    """Who beats whom: a row against each column, with the share of resampled cohorts in which it scores better.

    Args:
        names: The teams, best first; columns bear their number in this order.
        beats: Share of cohorts in which the row's team scores better.
        better: Whether it is better beyond chance: blue, with a triangle up; where the column's team is, orange, down.
    """
    cell, n_teams = 0.4, len(names)
    titles = [f"{place}  {name}" for place, name in enumerate(names, start=1)]
    left = min(2.4, 0.12 + text_width(titles))
    drawing = Drawing(left + cell * n_teams + 0.05, left, 0.05, top=0.26, bottom=0.04, plot=0.75 * cell * n_teams)
    for row, column in product(range(n_teams), repeat=2):
        x, y = column * cell, row * 0.75 * cell
        if row == column:
            continue
        mark, face = ("▲", BETTER) if better[row][column] else ("▼", WORSE) if better[column][row] else ("", SHADE)
        drawing.add(Box(x + 0.015, y + 0.015, cell - 0.03, 0.75 * cell - 0.03, face))
        number = f"{mark}{_of_100(beats[row][column])}"
        drawing.add(Text(x + cell / 2, y + 0.375 * cell, number, "center", colour=text_colour(face), size=8))
    for place, title in enumerate(titles):
        drawing.add(Text(0.06 - left, (place + 0.5) * 0.75 * cell, title))
        drawing.add(Text((place + 0.5) * cell, -0.06, str(place + 1), "center", "above", MUTED))
    return drawing


def _of_100(share: float) -> int:
    """Cohorts of 100: all only for all, none only for none."""
    return round(100 * share) if share in (0.0, 1.0) else min(max(round(100 * share), 1), 99)
