"""What a figure is made of: lines, boxes, marks and texts, each at its place. Knows no facts and no file format.

Places are inches from the upper left corner of the plot, to the right and down; names of rows and axes lie outside
of it. Widths of lines, marks and letters are points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["INK", "Box", "Dots", "Drawing", "Hatch", "Line", "Mark", "Place", "Scale", "Shape", "Text", "nice_ticks"]

INK = "#1c2733"
"""Colour of texts that have none of their own."""

Hatch = Literal["", "lines", "dots"]
Place = tuple[float, float]

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line through some points; `dash` is lengths of strokes and gaps, empty where it is solid."""

    points: tuple[Place, ...]
    colour: str
    width: float = 0.8
    dash: tuple[float, ...] = ()
    layer: int = 2


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle from its upper left corner, with a hatching where that says something."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    hatch: Hatch = ""
    hatch_colour: str = ""
    layer: int = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign at a point: `size` points across, with a rim of `edge` points; filled with `face`, or its own colour."""

    x: float
    y: float
    shape: Literal["dot", "up", "down", "square", "bar"]
    size: float
    colour: str
    face: str = ""
    edge: float = 0.0
    layer: int = 4


@dataclass(frozen=True, slots=True)
class Dots:
    """Many small dots that are one shape, `size` points across: a cloud of values."""

    places: tuple[Place, ...]
    size: float
    colour: str
    layer: int = 3


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text beside, above, below or about a point; `halo` keeps what lies behind away from the letters."""

    x: float
    y: float
    text: str
    align: Literal["left", "center", "right"] = "left"
    place: Literal["middle", "above", "below"] = "middle"
    colour: str = INK
    size: float = 8.5
    bold: bool = False
    halo: bool = False
    layer: int = 5


Shape = Line | Box | Mark | Dots | Text


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure, while it is drawn and afterwards.

    Attributes:
        width: Inches.
        left: Inches from the left edge to the plot.
        right: Inches from the plot to the right edge.
        top: Inches above the plot.
        bottom: Inches below it.
        plot: Height of the plot in inches.
        shapes: What was drawn.
    """

    width: float
    left: float
    right: float
    top: float
    bottom: float
    plot: float
    shapes: list[Shape] = field(default_factory=list)

    @property
    def height(self) -> float:
        """Inches."""
        return self.top + self.plot + self.bottom

    @property
    def length(self) -> float:
        """Width of the plot in inches."""
        return self.width - self.left - self.right

    @property
    def texts(self) -> list[str]:
        """What is written, in the order of writing."""
        return [shape.text for shape in self.shapes if isinstance(shape, Text)]

    def add(self, *shapes: Shape) -> None:
        """Draws some more."""
        self.shapes.extend(shapes)

    def __iter__(self) -> Iterator[Shape]:
        """The shapes from the lowest layer to the highest."""
        return iter(sorted(self.shapes, key=lambda shape: shape.layer))


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to inches of the plot: `low` lies at `start`, `high` at `end`; all at `start` without a range."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies, in inches."""
        span = self.high - self.low
        return self.start + (value - self.low) / span * (self.end - self.start) if span else self.start


def nice_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Round numbers from `low` to `high`, evenly spaced, as many as there may be; `low` alone without a range."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * factor for factor in _STEPS):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [number * step for number in range(first, last + 1)]
