"""A drawing -> a file of its own: PNG, PDF or SVG. The only importer of matplotlib; no pyplot, places nothing."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from segfair.environment import settle_environment
from segfair.errors import ConfigError, in_words

settle_environment()
# Where it cannot keep a cache it makes one elsewhere; nothing depends on it.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

try:
    import matplotlib
except (OSError, ValueError) as error:
    raise ConfigError(
        f"matplotlibrc: cannot be read ({in_words(error)}); take it out of this folder, or leave out --figures"
    ) from error
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Affine2D

from segfair.report.drawing import INK, Box, Dots, Drawing, Line, Mark, Shape

__all__ = ["to_figure", "to_file"]

_SETTINGS: Mapping[str, object] = {
    "font.family": "DejaVu Sans",
    "text.color": INK,
    # Names come from outside: a dollar sign in one is no formula.
    "text.parse_math": False,
    "hatch.linewidth": 0.5,
    # Dashes are lengths in points, not in widths of the line.
    "lines.scale_dashes": False,
    # Letters are outlines in SVG, so that it looks alike anywhere.
    "svg.fonttype": "path",
    # The ids inside an SVG are hashes; with a fixed salt equal facts give equal bytes.
    "svg.hashsalt": "segfair",
    "pdf.fonttype": 42,
}
_HATCHES = {"lines": "////", "dots": "....", "": None}
_MARKS = {"dot": "o", "up": "^", "down": "v", "square": "s", "bar": "|"}
_ALIGNMENTS = {"middle": "center", "above": "bottom", "below": "top"}


def to_file(drawing: Drawing, *, kind: Literal["svg", "png", "pdf"]) -> bytes:
    """The drawing as the contents of a file; equal drawings give equal bytes.

    Args:
        drawing: What to draw.
        kind: File format; PNG has 300 dots an inch.
    """
    buffer = io.BytesIO()
    undated = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context(dict(_SETTINGS)), warnings.catch_warnings():  # type: ignore[arg-type]
        # A name may hold a character that matplotlib's font has not got.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        to_figure(drawing).savefig(buffer, format=kind, dpi=300, metadata=undated[kind])
    return buffer.getvalue()


def to_figure(drawing: Drawing) -> Figure:
    """The drawing as a matplotlib figure of the same size, without axes."""
    with matplotlib.rc_context(dict(_SETTINGS)):  # type: ignore[arg-type]
        figure = Figure(figsize=(drawing.width, drawing.height), facecolor="white")
        corner = Affine2D().scale(1, -1).translate(drawing.left, drawing.height - drawing.top)
        for order, shape in enumerate(drawing):
            _draw(figure, shape, {"transform": corner + figure.dpi_scale_trans, "zorder": order})
    return figure


def _draw(figure: Figure, shape: Shape, common: dict[str, Any]) -> None:
    if isinstance(shape, Box):
        box = Rectangle((shape.x, shape.y), shape.width, shape.height, linewidth=0, **common)
        box.set(facecolor=shape.colour, edgecolor=shape.hatch_colour or "none", hatch=_HATCHES[shape.hatch])
        figure.add_artist(box)
    elif isinstance(shape, Line):
        dash: Any = (0, shape.dash) if shape.dash else "-"
        x, y = zip(*shape.points, strict=True)
        line = Line2D(x, y, color=shape.colour, linewidth=shape.width, linestyle=dash, **common)
        line.set_solid_capstyle("butt")
        figure.add_artist(line)
    elif isinstance(shape, Mark):
        mark = Line2D([shape.x], [shape.y], marker=_MARKS[shape.shape], markersize=shape.size, **common)
        mark.set(markerfacecolor=shape.face or shape.colour, markeredgecolor=shape.colour, markeredgewidth=shape.edge)
        figure.add_artist(mark)
    elif isinstance(shape, Dots):
        x, y = zip(*shape.places, strict=True) if shape.places else ((), ())
        dots = Line2D(x, y, linestyle="none", marker="o", markersize=shape.size, **common)
        dots.set(markerfacecolor=shape.colour, markeredgewidth=0)
        figure.add_artist(dots)
    else:
        written = figure.text(shape.x, shape.y, shape.text, ha=shape.align, va=_ALIGNMENTS[shape.place], **common)
        written.set(fontsize=shape.size, weight="bold" if shape.bold else "normal", color=shape.colour)
        if shape.halo:
            written.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
