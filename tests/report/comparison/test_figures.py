"""Slope plots: names, values, direction, and labels that keep their distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.report.comparison.figures import SlopeLine, _spread, slope_plot
from segfair.report.drawing import Line, Mark


def test_a_slope_bears_its_name_and_both_values() -> None:
    lines = [
        SlopeLine("all cases", 300, (0.7, 0.72), "all cases"),
        SlopeLine("sex = F", 120, (0.61, 0.55), "harmed"),
        SlopeLine("sex = M", 180, (0.76, None), "no change shown"),
    ]
    drawing = slope_plot(lines, columns=("old", "new"), better="higher")
    said = drawing.texts
    assert {"old", "new", "0.700", "0.610", "0.760"} <= set(said)
    assert any(text.startswith("0.550") and "sex = F (n 120)" in text for text in said)
    assert {"square", "down"} <= {shape.shape for shape in drawing.shapes if isinstance(shape, Mark)}, (
        "a mark tells the standing without its colour"
    )


@pytest.mark.parametrize(("better", "falls"), [("higher", True), ("lower", False)])
def test_up_is_better(better: str, falls: bool) -> None:
    drawing = slope_plot([SlopeLine("x", 10, (0.7, 0.5), "harmed")], columns=("a", "b"), better=better)  # type: ignore[arg-type]
    ((_, first), (_, second)) = next(
        shape.points for shape in drawing.shapes if isinstance(shape, Line) and shape.width > 2
    )
    assert (second > first) == falls, "the larger number lies lower"


def test_several_models_are_several_columns() -> None:
    columns = ("erm", "fairmedseg", "divergence-sampling")
    lines = [SlopeLine(f"group {index}", 10, (0.5, 0.6, 0.4 + index / 50), "") for index in range(9)]
    drawing = slope_plot(lines, columns=columns, better="higher", width=5.0)
    upright = [shape.points[0][0] for shape in drawing.shapes if isinstance(shape, Line) and shape.layer == 0][:3]
    assert upright == pytest.approx([0.0, drawing.length / 2, drawing.length])
    assert sum(text.startswith("group") or " group" in text for text in drawing.texts) == 9


@given(st.lists(st.floats(0, 1), max_size=12))
def test_labels_keep_their_order_and_their_distance(heights: list[float]) -> None:
    placed = _spread(heights, 0.05, 0.0, 1.0)
    assert len(placed) == len(heights)
    order = np.argsort(heights, kind="stable")
    steps = np.diff(np.array(placed)[order])
    assert (steps >= 0.05 - 1e-9).all()
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in placed)
    if len(set(heights)) == len(heights) and (np.diff(np.sort(heights)) >= 0.05).all():
        assert placed == pytest.approx(heights), "labels with room stay where they are"
