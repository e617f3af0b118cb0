"""Case weights over the epochs of a training. Facts -> figure, in the report's theme. Never sums up a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from segfair.audit.words import format_number
from segfair.report.figures import INK, MUTED, RULE, WORSE, canvas, text_width, themed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from segfair.mitigation.experiment.summary import EpochWeights

__all__ = ["weight_lines"]


@themed
def weight_lines(weights: Sequence[EpochWeights], *, digits: int, width: float = 3.9) -> Figure:
    """The largest and the mean weight that were set after each epoch; after epoch 0 for the first one.

    Args:
        weights: At least one epoch.
        digits: Decimals.
        width: Inches.
    """
    epochs = [entry.epoch for entry in weights]
    top = max(entry.largest for entry in weights) or 1.0
    ticks = [format_number(value, digits) for value in (0.0, top)]
    left, right = text_width(ticks) + 0.12, text_width(["largest"]) + 0.12
    figure, axes = canvas(width=width, left=left, right=right, top=0.14, bottom=0.42, plot=1.35)
    axes.set_xlim(epochs[0] - 0.3, epochs[-1] + 0.3)
    axes.set_ylim(0, 1.06 * top)
    axes.set_yticks([0.0, top], ticks, color=MUTED, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.axhline(top, color=RULE, linewidth=0.7, zorder=0)
    step = max(1, len(epochs) // 8)
    axes.set_xticks(epochs[::step])
    axes.set_xlabel("after epoch")
    heights = []
    for name, values, colour, mark, dash in (
        ("largest", [entry.largest for entry in weights], WORSE, "^", "-"),
        ("mean", [entry.mean for entry in weights], INK, "o", (0, (4, 2))),
    ):
        axes.plot(epochs, values, color=colour, marker=mark, markersize=4, linewidth=1.6, linestyle=dash)
        heights.append((values[-1], name, colour))
    apart = 0.17 / 1.35 * 1.06 * top
    mean_height = min(heights[1][0], heights[0][0] - apart) if heights[0][0] - apart > 0 else heights[1][0]
    largest_height = max(heights[0][0], mean_height + apart)
    for height, (_, name, colour) in zip((largest_height, mean_height), heights, strict=True):
        axes.text(epochs[-1] + 0.3, height, f" {name}", color=colour, va="center", ha="left")
    return figure
