"""Case weights over the epochs of a training. Facts -> drawing, in the report's theme. Never sums up a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segfair.audit.words import format_number
from segfair.report.drawing import Drawing, Line, Mark, Scale, Text
from segfair.report.figures import INK, MUTED, RULE, WORSE, text_width

if TYPE_CHECKING:
    from segfair.mitigation.experiment.summary import EpochWeights

__all__ = ["weight_lines"]


def weight_lines(weights: Sequence[EpochWeights], *, digits: int, width: float = 3.9) -> Drawing:
    """The largest and the mean weight that were set after each epoch; after epoch 0 for the first one.

    Args:
        weights: At least one epoch.
        digits: Decimals.
        width: Inches.
    """
    epochs = [entry.epoch for entry in weights]
    top = max(entry.largest for entry in weights) or 1.0
    ticks = {format_number(value, digits): value for value in (0.0, top)}
    left, right = text_width(list(ticks)) + 0.12, text_width(["largest"]) + 0.12
    drawing = Drawing(width, left, right, top=0.14, bottom=0.42, plot=1.35)
    across = Scale(epochs[0] - 0.3, epochs[-1] + 0.3, 0.0, drawing.length)
    up = Scale(0.0, 1.06 * top, drawing.plot, 0.0)
    drawing.add(Line(((0.0, drawing.plot), (drawing.length, drawing.plot)), RULE, layer=0))
    drawing.add(Line(((0.0, up(top)), (drawing.length, up(top))), RULE, 0.7, layer=0))
    drawing.add(*(Text(-0.05, up(value), text, "right", colour=MUTED, size=8) for text, value in ticks.items()))
    for epoch in epochs[:: max(1, len(epochs) // 8)]:
        drawing.add(Text(across(epoch), drawing.plot + 0.06, str(epoch), "center", "below", MUTED, 8))
    drawing.add(Text(drawing.length / 2, drawing.plot + 0.24, "after epoch", "center", "below", MUTED))
    largest = [(across(entry.epoch), up(entry.largest)) for entry in weights]
    mean = [(across(entry.epoch), up(entry.mean)) for entry in weights]
    drawing.add(Line(tuple(largest), WORSE, 1.6), *(Mark(*place, "up", 4, WORSE, edge=1.0) for place in largest))
    drawing.add(
        Line(tuple(mean), INK, 1.6, dash=(6.4, 3.2)), *(Mark(*place, "dot", 4, INK, edge=1.0) for place in mean)
    )
    # The two names keep a line of text between them.
    low = min(mean[-1][1], drawing.plot)
    high = min(largest[-1][1], low - 0.17)
    low = max(low, high + 0.17)
    drawing.add(Text(drawing.length + 0.06, high, "largest", colour=WORSE), Text(drawing.length + 0.06, low, "mean"))
    return drawing
