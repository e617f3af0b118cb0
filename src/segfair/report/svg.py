"""An SVG document of matplotlib -> an element that can stand in a page beside others. Draws nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

__all__ = ["for_page"]

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def for_page(text: str, *, prefix: str, label: str) -> str:
    """An SVG document as an element of a page.

    Fonts are the page's, ids bear `prefix`, coordinates keep two decimals, and nothing in it styles the page.

    Args:
        text: An SVG document as matplotlib writes it.
        prefix: Unique in the page.
        label: Text alternative, read out instead of the drawing.
    """
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    root = ET.fromstring(text)
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    for parent in list(root.iter()):
        # The style sheet inside would hold for the whole page.
        for child in [*parent.findall(f"{{{_SVG}}}metadata"), *parent.findall(f"{{{_SVG}}}style")]:
            parent.remove(child)
    for element in root.iter():
        identity = element.attrib.pop("id", None)
        if identity in used:
            element.set("id", f"{prefix}-{identity}")
        if element.attrib.get("transform", "").startswith(("rotate(0 ", "rotate(-0 ")):
            del element.attrib["transform"]
        for name, value in list(element.attrib.items()):
            element.set(name, _of_page(name, value, prefix))
    width = float(root.attrib["viewBox"].split()[2])
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    # A point of the drawing is 4/3 of a pixel of the page, and it may shrink.
    root.set("style", f"width:{width * 4 / 3:.0f}px;stroke-linejoin:round")
    root.set("role", "img")
    root.set("aria-label", label)
    return ET.tostring(root, encoding="unicode")


def _of_page(name: str, value: str, prefix: str) -> str:
    """An attribute with the page's fonts, short coordinates and references that bear the prefix."""
    if name == "style":
        value = re.sub(r" ?font-family: [^;]+;", "", value)
        value = re.sub(r"font: (?:(?P<weight>bold|\d00) )?(?P<size>[\d.]+px) [^;]+", _font_size, value)
    elif name in ("d", "transform", "x", "y", "points"):
        value = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value)
        value = value.replace("\n", "")
    value = value.replace("url(#", f"url(#{prefix}-")
    return value.replace("#", f"#{prefix}-", 1) if name == f"{{{_XLINK}}}href" else value


def _font_size(match: re.Match[str]) -> str:
    weight = f"font-weight:{match['weight']};" if match["weight"] else ""
    return f"{weight}font-size:{match['size']}"
