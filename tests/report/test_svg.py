"""A drawing within a page: its ids, fonts and sizes are the page's, and it styles nothing but itself."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from segfair.report.svg import for_page

DOCUMENT = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
     width="72pt" height="36pt" viewBox="0 0 72 36" version="1.1">
 <metadata>made by somebody</metadata>
 <defs><style>* {stroke-linejoin: round}</style><clipPath id="clip"><rect x="1.23456" y="2.5" width="3"/></clipPath>
  <path id="mark" d="M 0.10000 -1.98765
L 3 4.5"/></defs>
 <g id="axes" clip-path="url(#clip)"><use xlink:href="#mark" x="7.1" style="fill: #123456"/>
  <text transform="rotate(0 1 2)" style="font: 10px 'DejaVu Sans', sans-serif; text-anchor: end">a</text>
  <text transform="translate(1.000 2.346)" style="font: bold 9.5px 'DejaVu Sans'">b</text></g>
</svg>"""


def drawn(label: str = "two letters") -> ET.Element:
    return ET.fromstring(for_page(DOCUMENT, prefix="forest", label=label))


def named(root: ET.Element, tag: str) -> list[ET.Element]:
    return [element for element in root.iter() if element.tag.rpartition("}")[2] == tag]


def test_only_ids_that_something_points_to_stay_and_bear_the_prefix() -> None:
    root = drawn()
    assert [element.get("id") for element in root.iter() if element.get("id")] == ["forest-clip", "forest-mark"]
    assert named(root, "g")[0].get("clip-path") == "url(#forest-clip)"
    (use,) = named(root, "use")
    assert use.get("{http://www.w3.org/1999/xlink}href") == "#forest-mark"
    assert use.get("style") == "fill: #123456", "a colour is no reference"


def test_nothing_in_it_styles_the_page() -> None:
    root = drawn()
    assert not named(root, "style")
    assert not named(root, "metadata")
    upright, bold = named(root, "text")
    assert upright.get("style") == "font-size:10px; text-anchor: end"
    assert bold.get("style") == "font-weight:bold;font-size:9.5px"


def test_coordinates_keep_two_decimals_and_no_turn_by_nothing() -> None:
    root = drawn()
    assert named(root, "path")[0].get("d") == "M 0.1 -1.99 L 3 4.5"
    assert (named(root, "rect")[0].get("x"), named(root, "rect")[0].get("y")) == ("1.23", "2.5")
    assert [text.get("transform") for text in named(root, "text")] == [None, "translate(1 2.35)"]


def test_it_may_shrink_and_is_read_out_as_its_label() -> None:
    root = drawn('<b> & "quoted"')
    # 72 points are 96 pixels.
    assert root.get("style") == "width:96px;stroke-linejoin:round"
    assert [root.get(name) for name in ("width", "height", "version")] == [None] * 3
    assert (root.get("role"), root.get("aria-label")) == ("img", '<b> & "quoted"')
    assert "<b>" not in for_page(DOCUMENT, prefix="p", label="<b>")
