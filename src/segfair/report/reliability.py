"""Reliability diagrams: how many voxels of each probability are lesion, a square for each group. Knows no files."""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.result.scores import CalibrationGroup
from segfair.audit.words import clean
from segfair.report.drawing import Drawing, Line, Mark, Scale, Text
from segfair.report.figures import BETTER, MUTED, RULE, SHADE

__all__ = ["reliability_diagrams"]

_SIDE, _STEP_X, _STEP_Y = 1.28, 1.74, 1.95
_TICKS = ((0.0, "0"), (0.5, "0.5"), (1.0, "1"))


def reliability_diagrams(groups: Sequence[tuple[str, CalibrationGroup]], *, n_columns: int = 5) -> Drawing:
    """Squares side by side: probability to the right, share of lesion upwards, right probabilities on the diagonal.

    A dot is a bin; its size grows with the share of a case's voxels in it.

    Args:
        groups: Name and facts of each group.
        n_columns: Squares side by side.
    """
    n_rows = max(1, -(-len(groups) // n_columns))
    plot = n_rows * _STEP_Y - (_STEP_Y - _SIDE)
    drawing = Drawing(0.6 + n_columns * _STEP_X, 0.5, 0.1, top=0.4, bottom=0.5, plot=plot)
    for number, (name, group) in enumerate(groups):
        row, column = divmod(number, n_columns)
        _square(drawing, name, group, (column * _STEP_X, row * _STEP_Y))
    drawing.add(Text(0.0, plot + 0.34, "to the right: probability; upwards: share of lesion", colour=MUTED, size=7.5))
    return drawing


def _square(drawing: Drawing, name: str, group: CalibrationGroup, corner: tuple[float, float]) -> None:
    left, top = corner
    across, upwards = Scale(0, 1, left, left + _SIDE), Scale(0, 1, top + _SIDE, top)
    drawing.add(Text(left + _SIDE / 2, top - 0.22, clean(name, length=20), "center", bold=True))
    drawing.add(Text(left + _SIDE / 2, top - 0.08, f"n {group.n:,}", "center", colour=MUTED, size=7.5))
    for value, text in _TICKS:
        x, y = across(value), upwards(value)
        drawing.add(
            Line(((x, top), (x, top + _SIDE)), SHADE, layer=0),
            Line(((left, y), (left + _SIDE, y)), SHADE, layer=0),
            Text(x, top + _SIDE + 0.05, text, "center", "below", MUTED, 7.5),
            Text(left - 0.06, y, text, "right", colour=MUTED, size=7.5),
        )
    drawing.add(
        Line(((left, top), (left, top + _SIDE), (left + _SIDE, top + _SIDE)), RULE, layer=1),
        Line(((across(0), upwards(0)), (across(1), upwards(1))), MUTED, 0.9, (3.0, 2.0), layer=1),
    )
    places = [(across(entry.probability), upwards(entry.lesion)) for entry in group.bins]
    if len(places) > 1:
        drawing.add(Line(tuple(places), BETTER, 1.1, layer=3))
    for (x, y), entry in zip(places, group.bins, strict=True):
        drawing.add(Mark(x, y, "dot", 2.6 + 5.4 * entry.share**0.5, BETTER, edge=0.5))
