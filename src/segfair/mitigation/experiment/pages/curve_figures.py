"""Learning curves of several models in one figure. Facts -> drawing, in the report's theme. Reads no file.

Lines differ in colour, dash and mark, and bear their model's name in the key; the epoch that was kept has a ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from segfair.audit.words import format_number
from segfair.report.drawing import INK, Drawing, Line, Mark, Scale, Text, nice_ticks
from segfair.report.figures import BETTER, MUTED, RULE, SHADE, WORSE, text_width

__all__ = ["Curve", "learning_curves"]

Shape = Literal["dot", "up", "square", "down"]
_STYLES: tuple[tuple[str, tuple[float, ...], Shape], ...] = (
    (INK, (6.4, 3.2), "dot"),
    (BETTER, (), "up"),
    (WORSE, (), "square"),
    ("#007a5a", (2.0, 2.0), "down"),
    ("#a3447c", (8.0, 2.0, 2.0, 2.0), "dot"),
    ("#3a7ca5", (4.0, 1.5), "up"),
)
"""Colour, dash and mark; the first one is the plain model's."""
_KEY_ROW = 0.17


@dataclass(frozen=True, slots=True)
class Curve:
    """A number of one model over its epochs; `kept` is the epoch whose network is reported."""

    name: str
    points: tuple[tuple[int, float], ...]
    kept: int


def learning_curves(curves: Sequence[Curve], *, title: str, width: float = 3.9) -> Drawing:
    """A line for each model over the epochs.

    Args:
        curves: At least one, each with a point; the plain model first.
        title: What the numbers are.
        width: Inches.
    """
    epochs = [epoch for curve in curves for epoch, _ in curve.points]
    values = [value for curve in curves for _, value in curve.points]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05
    ticks = nice_ticks(low - room, high + room, most=4)
    texts = [format_number(tick, 2) for tick in ticks]
    keys = _KEY_ROW * len(curves)
    drawing = Drawing(width, text_width(texts) + 0.12, 0.12, top=0.28, bottom=0.5 + keys, plot=1.5)
    across = Scale(min(epochs) - 0.3, max(epochs) + 0.3, 0.0, drawing.length)
    up = Scale(low - room, high + room, drawing.plot, 0.0)
    drawing.add(Text(-drawing.left + 0.02, -0.14, title, bold=True, colour=MUTED))
    drawing.add(Line(((0.0, drawing.plot), (drawing.length, drawing.plot)), RULE, layer=0))
    for tick, text in zip(ticks, texts, strict=True):
        drawing.add(Line(((0.0, up(tick)), (drawing.length, up(tick))), SHADE, layer=0))
        drawing.add(Text(-0.05, up(tick), text, "right", colour=MUTED, size=8))
    shown = sorted(set(epochs))
    for epoch in shown[:: -(-len(shown) // 8)]:
        drawing.add(Text(across(epoch), drawing.plot + 0.06, str(epoch), "center", "below", MUTED, 8))
    drawing.add(Text(drawing.length / 2, drawing.plot + 0.22, "epoch", "center", "below", MUTED))
    for place, curve in enumerate(curves):
        _draw(drawing, [(across(epoch), up(value)) for epoch, value in curve.points], curve, place)
        _name(drawing, curve.name, place, drawing.plot + 0.48 + _KEY_ROW * place)
    return drawing


def _draw(drawing: Drawing, points: Sequence[tuple[float, float]], curve: Curve, place: int) -> None:
    colour, dash, shape = _STYLES[place % len(_STYLES)]
    drawing.add(Line(tuple(points), colour, 1.5, dash))
    for point, (epoch, _) in zip(points, curve.points, strict=True):
        drawing.add(Mark(*point, shape, 3.6, colour, edge=1.0))
        if epoch == curve.kept:
            drawing.add(Mark(*point, "dot", 9, colour, face="none", edge=1.2))


def _name(drawing: Drawing, name: str, place: int, y: float) -> None:
    colour, dash, shape = _STYLES[place % len(_STYLES)]
    drawing.add(
        Line(((0.0, y), (0.34, y)), colour, 1.5, dash), Mark(0.17, y, shape, 3.6, colour, edge=1.0), Text(0.42, y, name)
    )
