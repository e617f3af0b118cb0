"""Slope plots: names, values, direction, and labels that keep their distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.report.comparison.figures import SlopeLine, _spread, slope_plot


def texts(figure) -> list[str]:
    return [entry.get_text() for axes in figure.axes for entry in axes.texts]


def test_a_slope_bears_its_name_and_both_values() -> None:
    lines = [
        SlopeLine("all cases", 300, (0.7, 0.72), "all cases"),
        SlopeLine("sex = F", 120, (0.61, 0.55), "harmed"),
        SlopeLine("sex = M", 180, (0.76, None), "no change shown"),
    ]
    said = texts(slope_plot(lines, columns=("old", "new"), better="higher"))
    assert {"old", "new", "0.700", "0.610", "0.760"} <= set(said)
    assert any(text.startswith("0.550") and "sex = F (n 120)" in text for text in said)
    marks = {
        line.get_marker()
        for axes in slope_plot(lines, columns=("old", "new"), better="higher").axes
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    assert {"s", "v"} <= marks, "a mark tells the standing without its colour"


@pytest.mark.parametrize(("better", "falls"), [("higher", True), ("lower", False)])
def test_up_is_better(better: str, falls: bool) -> None:
    figure = slope_plot([SlopeLine("x", 10, (0.7, 0.5), "harmed")], columns=("a", "b"), better=better)  # type: ignore[arg-type]
    line = next(line for line in figure.axes[0].lines if line.get_linewidth() > 2 and len(line.get_xdata()) == 2)
    assert (line.get_ydata()[1] < line.get_ydata()[0]) == falls


def test_several_models_are_several_columns() -> None:
    columns = ("erm", "fairmedseg", "divergence-sampling")
    lines = [SlopeLine(f"group {index}", 10, (0.5, 0.6, 0.4 + index / 50), "") for index in range(9)]
    figure = slope_plot(lines, columns=columns, better="higher", width=5.0)
    assert figure.axes[0].get_xlim() == (0, 2)
    assert sum(text.startswith("group") or " group" in text for text in texts(figure)) == 9


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
