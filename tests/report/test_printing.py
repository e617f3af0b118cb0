"""Drawings as files: the same shapes at the same places, the same bytes every time, and no pyplot."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image

from segfair.report.drawing import Box, Drawing, Line, Mark, Text
from segfair.report.printing import to_figure, to_file


def drawing() -> Drawing:
    made = Drawing(2.0, 0.5, 0.5, top=0.25, bottom=0.75, plot=1.0)
    made.add(
        Box(0, 0, 1, 0.5, "#ff0000"),
        Box(0, 0.5, 1, 0.5, "#ffffff", "lines", "#0000ff"),
        Line(((-0.5, 1.5), (1.5, 1.5)), "#00ff00", 7.2, dash=(72, 36)),
        Mark(0.5, 1.25, "up", 8, "#0000ff", face="white", edge=1),
        Text(0.5, 0.25, "$\\frac{1}{0}$ 日本", "center", halo=True),
    )
    return made


def test_shapes_lie_where_they_were_placed() -> None:
    """Of 600 x 600 dots: the plot begins 150 from the left and 75 from the top."""
    picture = Image.open(BytesIO(to_file(drawing(), kind="png"))).convert("RGB")
    assert picture.size == (600, 600)
    assert [picture.getpixel(place) for place in ((152, 77), (447, 223), (148, 77), (152, 73))] == [
        (255, 0, 0), (255, 0, 0), (255, 255, 255), (255, 255, 255),
    ]  # fmt: skip
    hatched = {picture.getpixel((x, 260)) for x in range(155, 445)}
    assert (255, 255, 255) in hatched
    assert len(hatched) > 1
    # An inch of line, half an inch of gap, and half an inch of line; a tenth of an inch thick.
    assert [picture.getpixel((x, 525)) == (0, 255, 0) for x in (5, 290, 310, 440, 460, 595)] == [
        True, True, False, False, True, True,
    ]  # fmt: skip
    assert [picture.getpixel((50, y)) == (0, 255, 0) for y in (508, 512, 538, 542)] == [False, True, True, False]


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_equal_drawings_give_equal_bytes(kind, start: bytes) -> None:
    first, second = (to_file(drawing(), kind=kind) for _ in range(2))
    assert first.startswith(start)
    assert first == second


def test_a_dollar_sign_is_no_formula() -> None:
    (text,) = to_figure(drawing()).texts
    assert not text.get_parse_math()


def test_pyplot_stays_out_and_pages_need_no_matplotlib() -> None:
    code = (
        "import sys; from segfair.report.figures import score_strip; from segfair.report.svg import to_svg;"
        "from segfair.audit.result import Score; drawing = score_strip({'FS': Score(0.9)});"
        "to_svg(drawing, prefix='a', label='b'); print('matplotlib' in sys.modules);"
        "from segfair.report.printing import to_file; to_file(drawing, kind='png');"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
