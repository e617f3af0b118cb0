"""A drawing -> an SVG element that can stand in a page beside others. Places nothing.

Fonts are the page's, texts stay text, ids bear a prefix, and nothing in it styles the page.
"""

from __future__ import annotations

# To write with; nothing is parsed.
import xml.etree.ElementTree as ET  # nosec B405
from collections.abc import Iterable

from segfair.report.drawing import INK, Box, Dots, Drawing, Line, Mark, Place, Shape, Text

__all__ = ["to_svg"]

_SVG = "http://www.w3.org/2000/svg"
_INCH = 72.0
_ANCHOR = {"left": None, "center": "middle", "right": "end"}
# From a point to the line that letters stand on, in sizes of a letter: capitals are 0.7 high, tails 0.2 deep.
_BASELINE = {"middle": 0.35, "above": -0.22, "below": 0.78}


def to_svg(drawing: Drawing, *, prefix: str, label: str) -> str:
    """The drawing as an element of a page; equal drawings give equal texts.

    Args:
        drawing: What to draw.
        prefix: Unique in the page.
        label: Text alternative, read out instead of the drawing.
    """
    width, height = drawing.width * _INCH, drawing.height * _INCH
    root = ET.Element("svg", xmlns=_SVG, viewBox=f"0 0 {_number(width)} {_number(height)}", role="img")
    root.set("aria-label", label)
    # A point of the drawing is 4/3 of a pixel of the page, and it may shrink.
    root.set("style", f"width:{width * 4 / 3:.0f}px;stroke-linejoin:round")
    patterns = _patterns(drawing, root, prefix)
    place = f"translate({_number(drawing.left * _INCH)} {_number(drawing.top * _INCH)})"
    inside = ET.SubElement(root, "g", {"transform": place, "fill": INK, "font-size": "8.5"})
    for shape in drawing:
        _draw(inside, shape, patterns)
    return ET.tostring(root, encoding="unicode")


def _patterns(drawing: Drawing, root: ET.Element, prefix: str) -> dict[tuple[str, str], str]:
    """Defines each hatching that the drawing needs; (hatching, colour) -> its id."""
    wanted = [(shape.hatch, shape.hatch_colour) for shape in drawing.shapes if isinstance(shape, Box) and shape.hatch]
    found: dict[tuple[str, str], str] = {
        hatch: f"{prefix}-{hatch[0]}{number}" for number, hatch in enumerate(dict.fromkeys(wanted))
    }
    if not found:
        return found
    definitions = ET.SubElement(root, "defs")
    for (hatch, colour), name in found.items():
        tile = {"id": name, "width": "3", "height": "3", "patternUnits": "userSpaceOnUse"}
        if hatch == "lines":
            tile["patternTransform"] = "rotate(45)"
        pattern = ET.SubElement(definitions, "pattern", tile)
        if hatch == "lines":
            ET.SubElement(pattern, "path", {"d": "M1.5 0v3", "stroke": colour, "stroke-width": "0.5"})
        else:
            ET.SubElement(pattern, "circle", {"cx": "1.5", "cy": "1.5", "r": "0.5", "fill": colour})
    return found


def _draw(parent: ET.Element, shape: Shape, patterns: dict[tuple[str, str], str]) -> None:
    if isinstance(shape, Text):
        _write(parent, shape)
    elif isinstance(shape, Mark):
        _mark(parent, shape)
    elif isinstance(shape, Line):
        line = {"d": _path(shape.points), "fill": "none", "stroke": shape.colour, "stroke-width": _number(shape.width)}
        if shape.dash:
            line["stroke-dasharray"] = " ".join(map(_number, shape.dash))
        ET.SubElement(parent, "path", line)
    elif isinstance(shape, Dots):
        # A line of no length with round ends is a dot.
        dots = "".join(f"M{_points(x)} {_points(y)}h0" for x, y in shape.places)
        width = {"stroke-width": _number(shape.size), "stroke-linecap": "round"}
        ET.SubElement(parent, "path", {"d": dots, "fill": "none", "stroke": shape.colour, **width})
    else:
        corner = {"x": _points(shape.x), "y": _points(shape.y)}
        size = {"width": _points(shape.width), "height": _points(shape.height)}
        ET.SubElement(parent, "rect", {**corner, **size, "fill": shape.colour})
        if shape.hatch:
            fill = f"url(#{patterns[shape.hatch, shape.hatch_colour]})"
            ET.SubElement(parent, "rect", {**corner, **size, "fill": fill})


def _write(parent: ET.Element, shape: Text) -> None:
    place = {"x": _points(shape.x), "y": _number(shape.y * _INCH + _BASELINE[shape.place] * shape.size)}
    optional = {
        "text-anchor": _ANCHOR[shape.align],
        "fill": shape.colour if shape.colour != INK else None,
        "font-size": _number(shape.size) if shape.size != 8.5 else None,
        "font-weight": "bold" if shape.bold else None,
        **({"stroke": "#fff", "stroke-width": "2.5", "paint-order": "stroke"} if shape.halo else {}),
    }
    style = {name: value for name, value in optional.items() if value is not None}
    ET.SubElement(parent, "text", {**place, **style}).text = shape.text


def _mark(parent: ET.Element, shape: Mark) -> None:
    style = {"fill": shape.face or shape.colour, "stroke": shape.colour, "stroke-width": _number(shape.edge)}
    x, y, half = shape.x * _INCH, shape.y * _INCH, shape.size / 2
    if shape.shape == "dot":
        ET.SubElement(parent, "circle", {"cx": _number(x), "cy": _number(y), "r": _number(half), **style})
        return
    turn = -1 if shape.shape == "up" else 1
    corners = {
        "bar": [(x, y - half), (x, y + half)],
        "square": [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)],
    }.get(shape.shape, [(x - half, y - turn * half), (x + half, y - turn * half), (x, y + turn * half)])
    closed = "" if shape.shape == "bar" else "z"
    ET.SubElement(parent, "path", {"d": _path(corners, 1.0) + closed, **style})


def _path(points: Iterable[Place], unit: float = _INCH) -> str:
    return "M" + "L".join(f"{_number(x * unit)} {_number(y * unit)}" for x, y in points)


def _points(inches: float) -> str:
    return _number(inches * _INCH)


def _number(value: float) -> str:
    """Two decimals are a hundredth of a pixel."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
