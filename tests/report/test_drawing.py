"""Where values lie on an axis, and which round numbers stand beneath it."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.report.drawing import Box, Drawing, Line, Scale, Text, nice_ticks


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.25, 0.5, 0.75, 1]),
        (0.55, 0.95, [0.6, 0.7, 0.8, 0.9]),
        (-0.34, 0.2, [-0.2, 0, 0.2]),
        (0, 150, [0, 50, 100, 150]),
        (0.7, 0.7, [0.7]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


@given(st.floats(-1e4, 1e4), st.floats(1e-4, 1e4))
def test_ticks_lie_within_evenly(low: float, length: float) -> None:
    ticks = nice_ticks(low, low + length)
    assert 2 <= len(ticks) <= 5
    assert low - 1e-6 * length <= ticks[0] <= ticks[-1] <= low + length * (1 + 1e-6)
    steps = [second - first for first, second in itertools.pairwise(ticks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6)
    leading = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert any(leading == pytest.approx(digit, rel=1e-6) for digit in (1, 2, 2.5, 5))


def test_a_scale_may_run_either_way_and_needs_no_range() -> None:
    assert [Scale(10, 20, 0, 2)(value) for value in (10, 15, 20, 25)] == [0, 1, 2, 3]
    assert Scale(0, 1, 2, 0)(0.25) == 1.5
    assert Scale(3, 3, 0.5, 2)(3) == 0.5


def test_a_drawing_knows_its_size_and_what_is_written() -> None:
    drawing = Drawing(4.0, 1.0, 0.5, top=0.25, bottom=0.5, plot=2.0)
    assert (drawing.length, drawing.height) == (2.5, 2.75)
    text, line, box = Text(0, 0, "a"), Line(((0, 0), (1, 1)), "#000"), Box(0, 0, 1, 1, "#fff", layer=0)
    drawing.add(text, line)
    drawing.add(box)
    assert drawing.texts == ["a"]
    assert list(drawing) == [box, line, text]
