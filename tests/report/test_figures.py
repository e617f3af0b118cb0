"""Figures: what is drawn, by shape and number as well as by colour, and that nothing lies upon anything else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from tests.report_fixtures import HOSTILE, make_result

from segfair.audit.describe import CellMeans
from segfair.audit.result import Score
from segfair.report.drawing import Box, Drawing, Line, Mark
from segfair.report.figures import (
    BETTER,
    MUTED,
    WORSE,
    divergence_bars,
    diverging,
    forest_plot,
    heat_map,
    level_dots,
    score_strip,
    text_colour,
)
from segfair.report.printing import to_figure
from segfair.report.svg import to_svg

RESULT = make_result()
ROWS = RESULT.subgroups["dsc"].worst(6)


def dots(drawing: Drawing) -> list[Mark]:
    return [shape for shape in drawing.shapes if isinstance(shape, Mark) and shape.shape == "dot"]


def boxes(drawing: Drawing) -> list[Box]:
    return [shape for shape in drawing.shapes if isinstance(shape, Box)]


def tags(root: ET.Element) -> set[str]:
    return {element.tag.rpartition("}")[2] for element in root.iter()}


def cells(**changes) -> CellMeans:
    values = {
        "row_attribute": "age",
        "column_attribute": "sex",
        "row_levels": ("young", "old"),
        "column_levels": ("f", "m"),
        "means": np.array([[0.4, 0.9], [0.7, np.nan]]),
        "counts": np.array([[20, 30], [3, 0]]),
    }
    return CellMeans(**{**values, **changes})


def test_a_forest_plot_says_who_how_many_and_how_much() -> None:
    said = forest_plot(ROWS, outcome="dsc", better="higher").texts
    for row in ROWS:
        assert f"{row.n}" in said
        assert f"{row.difference:+.3f}".replace("-", "−") in said
    assert {"← worse", "better →"} <= set(said)
    assert {"← better", "worse →"} <= set(forest_plot(ROWS, outcome="normhd", better="lower").texts)


def test_significance_is_a_shape_not_a_colour() -> None:
    rows = [row for row in RESULT.subgroups["dsc"] if row.significant][:1] + [
        row for row in RESULT.subgroups["dsc"] if row.significant is False
    ][:1]
    assert len(rows) == 2
    drawing = forest_plot(rows, outcome="dsc", better="higher")
    assert [dot.face == "white" for dot in dots(drawing)] == [False, True]


def test_every_row_has_its_zero_within_the_axis() -> None:
    drawing = forest_plot(ROWS, outcome="dsc", better="higher")
    lines = [
        shape.points
        for shape in drawing.shapes
        if isinstance(shape, Line) and (shape.colour, shape.width) == (MUTED, 0.9)
    ]
    assert len(lines) == len(ROWS)
    (zero,) = {x for points in lines for x, _ in points}
    assert 0 < zero < drawing.length
    for row, dot in zip(ROWS, dots(drawing), strict=True):
        assert (dot.x < zero) == (row.difference < 0)


@pytest.mark.parametrize("narrow", [False, True])
def test_names_and_numbers_do_not_overlap(narrow: bool) -> None:
    figure = to_figure(forest_plot(RESULT.subgroups["dsc"].rows[:12], outcome="dsc", better="higher", narrow=narrow))
    figure.canvas.draw()
    extents = [text.get_window_extent() for text in figure.texts]
    overlaps = [
        (figure.texts[a].get_text(), figure.texts[b].get_text())
        for a in range(len(extents))
        for b in range(a)
        if extents[a].padded(-1).overlaps(extents[b].padded(-1))
    ]
    assert len(extents) > 30
    assert not overlaps
    assert all(extent.x0 >= -1 and extent.x1 <= figure.bbox.x1 + 1 for extent in extents)


def test_small_levels_are_hollow() -> None:
    result = make_result(n_cases=30)
    for attribute in result.attributes.facts:
        drawing = level_dots(attribute, metric="dsc", overall=0.7, limits=(0, 1))
        assert [dot.face == "white" for dot in dots(drawing)] == [level.small for level in attribute.levels]
        assert all(str(level.n) in drawing.texts for level in attribute.levels)
    assert {level.small for attribute in result.attributes.facts for level in attribute.levels} == {True, False}


def test_what_lies_beyond_the_axis_is_cut_off() -> None:
    attribute = make_result(n_cases=30).attributes.facts[0]
    means = [level.mean["dsc"] for level in attribute.levels]
    limits = (sorted(means)[0] + 1e-6, sorted(means)[-1] - 1e-6)
    drawing = level_dots(attribute, metric="dsc", overall=None, limits=limits)
    assert len(dots(drawing)) == len(means) - 2
    places = [x for shape in drawing.shapes if isinstance(shape, Line) for x, _ in shape.points]
    assert min(places) >= -1e-9
    assert max(places) <= drawing.length + 1e-9


def test_a_heat_map_has_mean_and_n_in_each_cell() -> None:
    drawing = heat_map(cells(), better="higher", overall=0.7, span=0.3, min_cases=10)
    assert {"0.400", "n = 20", "0.900", "n = 30", "0.700", "n = 3", "no case"} <= set(drawing.texts)
    assert [bool(box.hatch) for box in boxes(drawing)[:4]] == [False, False, True, False]


@pytest.mark.parametrize(("better", "first"), [("higher", WORSE), ("lower", BETTER)])
def test_colour_tells_worse_from_better(better, first) -> None:
    drawing = heat_map(cells(), better=better, overall=0.7, span=0.3, min_cases=10)
    low, high = (box.colour for box in boxes(drawing)[:2])
    assert low == first.lower(), "0.4 lies at the end of the scale"
    assert high != low


def test_every_cell_can_be_read() -> None:
    def luminance(colour) -> float:
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for shade in np.linspace(0, 1, 101):
        ground = diverging(shade)
        dark, light = sorted((luminance(ground), luminance(text_colour(ground))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_bars_that_make_it_better_are_hatched_and_numbered() -> None:
    shares = [(("age", "old"), -0.2), (("sex", "f"), 0.05)]
    drawing = divergence_bars(shares, better="higher", limits=(-0.2, 0.05))
    assert [bool(box.hatch) for box in boxes(drawing)] == [False, True]
    assert {"−0.200", "+0.050", "age = old", "sex = f"} <= set(drawing.texts)
    worse, better = boxes(drawing)
    assert worse.x + worse.width == pytest.approx(better.x), "both begin at zero"
    assert worse.width == pytest.approx(4 * better.width)
    drawing = divergence_bars(shares, better="lower", limits=(-0.2, 0.05))
    assert [bool(box.hatch) for box in boxes(drawing)] == [True, False]


def test_undefined_scores_are_not_drawn() -> None:
    drawing = score_strip({"DSC": Score(0.7, (0.6, 0.8)), "FS": Score(None, reason="no attribute")})
    assert [text for text in drawing.texts if text.isalpha()] == ["DSC"]
    (dot,) = dots(drawing)
    assert dot.x == pytest.approx(0.7 / 1.01 * drawing.length)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: forest_plot((), outcome="dsc", better="higher"),
        lambda: divergence_bars((), better="higher", limits=(0, 0)),
        lambda: score_strip({}),
        lambda: heat_map(cells(), better="higher", overall=0.7, span=0.0, min_cases=0),
    ],
)
def test_nothing_to_draw_is_no_error(draw) -> None:
    assert "<svg" in to_svg(draw(), prefix="x", label="nothing")


def test_svg_is_the_same_every_time() -> None:
    first, second = (to_svg(forest_plot(ROWS, outcome="dsc", better="higher"), prefix="a", label="b") for _ in range(2))
    assert first == second


def test_svg_brings_nothing_into_the_page_but_itself() -> None:
    drawings = [
        to_svg(heat_map(cells(), better="higher", overall=0.7, span=0.3, min_cases=10), prefix=prefix, label="a & <b>")
        for prefix in ("one", "two")
    ]
    ids: set[str] = set()
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == "a & <b>"
        assert not tags(root) & {"style", "metadata", "script"}
        found = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
        assert found, "hatching is a pattern that is referred to"
        assert set(re.findall(r"url\(#([^)]+)\)", drawing)) <= found
        assert not found & ids
        ids |= found
        assert "font-family" not in drawing
        assert "DejaVu" not in drawing


def test_hostile_names_are_text() -> None:
    result = make_result(n_cases=200, levels=HOSTILE)
    rows = result.subgroups["dsc"].worst(8)
    drawing = forest_plot(rows, outcome="dsc", better="higher")
    root = ET.fromstring(to_svg(drawing, prefix="h", label="x"))
    assert tags(root) == {"svg", "g", "path", "text", "circle", "rect"}
    said = " ".join(text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "<script>alert(1)</script>" in said
    assert "$" in said, "a dollar sign is no formula"
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00]", said)
    assert max(map(len, drawing.texts)) <= 60
