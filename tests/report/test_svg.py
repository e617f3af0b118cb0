"""A drawing within a page: its ids, fonts and sizes are the page's, and it styles nothing but itself."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from segfair.report.drawing import Box, Drawing, Line, Mark, Shape, Text
from segfair.report.svg import to_svg


def drawn(*shapes: Shape, label: str = "a figure") -> ET.Element:
    drawing = Drawing(3.0, 0.5, 0.25, top=0.25, bottom=0.5, plot=1.0)
    drawing.add(*shapes)
    return ET.fromstring(to_svg(drawing, prefix="forest", label=label))


def named(root: ET.Element, tag: str) -> list[ET.Element]:
    return [element for element in root.iter() if element.tag.rpartition("}")[2] == tag]


def test_it_may_shrink_and_is_read_out_as_its_label() -> None:
    root = drawn(label='<b> & "quoted"')
    assert root.get("viewBox") == "0 0 216 126", "3 by 1.75 inches of 72 points"
    # A point of the drawing is 4/3 of a pixel of the page.
    assert root.get("style") == "width:288px;stroke-linejoin:round"
    assert [root.get(name) for name in ("width", "height")] == [None] * 2
    assert (root.get("role"), root.get("aria-label")) == ("img", '<b> & "quoted"')


def test_places_are_inches_from_the_corner_of_the_plot() -> None:
    root = drawn(Line(((0.5, 0.25), (1.0, 0.123456)), "#123456", 1.5, dash=(4, 2)))
    (group,) = named(root, "g")
    assert group.get("transform") == "translate(36 18)"
    (path,) = named(root, "path")
    assert path.get("d") == "M36 18L72 8.89"
    assert (path.get("stroke"), path.get("stroke-width"), path.get("stroke-dasharray")) == ("#123456", "1.5", "4 2")


@pytest.mark.parametrize(("place", "y"), [("middle", "39.5"), ("above", "33.8"), ("below", "43.8")])
def test_letters_stand_about_above_or_below_their_point(place, y: str) -> None:
    (text,) = named(drawn(Text(0.5, 0.5, "n <= 5", "right", place, "#123456", 10, bold=True)), "text")
    assert (text.get("x"), text.get("y"), text.text) == ("36", y, "n <= 5")
    assert (text.get("text-anchor"), text.get("fill"), text.get("font-size")) == ("end", "#123456", "10")
    assert text.get("font-weight") == "bold"


def test_a_plain_text_has_the_style_of_the_drawing() -> None:
    (text,) = named(drawn(Text(0, 0, "a")), "text")
    assert set(text.keys()) == {"x", "y"}


@pytest.mark.parametrize(
    ("shape", "corners"),
    [("up", "M70 74L74 74L72 70z"), ("down", "M70 70L74 70L72 74z"), ("square", "M70 70L74 70L74 74L70 74z"),
     ("bar", "M72 70L72 74")],
)  # fmt: skip
def test_signs_differ_in_shape(shape, corners: str) -> None:
    (path,) = named(drawn(Mark(1, 1, shape, 4, "#123456", face="white", edge=1)), "path")
    assert (path.get("d"), path.get("fill"), path.get("stroke")) == (corners, "white", "#123456")


def test_a_dot_is_a_circle() -> None:
    (circle,) = named(drawn(Mark(1, 1, "dot", 6, "#123456")), "circle")
    assert [circle.get(name) for name in ("cx", "cy", "r", "fill")] == ["72", "72", "3", "#123456"]


def test_each_hatching_is_defined_once_under_the_prefix() -> None:
    root = drawn(
        *(Box(0, index, 1, 1, "#fff", "lines", "#123456") for index in range(3)),
        Box(0, 4, 1, 1, "#fff", "dots", "#123456"),
        Box(0, 5, 1, 1, "#abc"),
    )
    assert [pattern.get("id") for pattern in named(root, "pattern")] == ["forest-lines0", "forest-dots1"]
    fills = [box.get("fill") for box in named(root, "rect")]
    assert fills == ["#fff", "url(#forest-lines0)"] * 3 + ["#fff", "url(#forest-dots1)", "#abc"]


def test_higher_layers_come_later() -> None:
    root = drawn(Text(0, 0, "over"), Box(0, 0, 1, 1, "#fff"), Line(((0, 0), (1, 1)), "#000", layer=0))
    assert [element.tag.rpartition("}")[2] for element in root[0]] == ["path", "rect", "text"]
