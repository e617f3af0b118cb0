"""Learning curves as drawings: lines where the numbers say, marks and dashes apart, a ring at the kept epoch."""

from __future__ import annotations

import pytest

from segfair.mitigation.experiment.pages.curve_figures import Curve, learning_curves
from segfair.report.drawing import Line, Mark, Text

CURVES = [Curve("erm", ((1, 0.2), (2, 0.4), (3, 0.6)), 3), Curve("balanced", ((1, 0.2), (2, 0.8)), 1)]


def test_each_model_is_a_line_with_its_own_dash_and_mark() -> None:
    drawing = learning_curves(CURVES, title="Dice")
    lines = [
        shape for shape in drawing.shapes if isinstance(shape, Line) and shape.width == 1.5 and len(shape.points) > 1
    ]
    curves = [line for line in lines if len(line.points) == 3 or line.points[0][1] < drawing.plot]
    assert {line.dash for line in curves} == {(6.4, 3.2), ()}
    longest = max(lines, key=lambda line: len(line.points))
    (x1, y1), (x2, y2), (x3, y3) = longest.points
    assert x2 - x1 == pytest.approx(x3 - x2) and y1 - y2 == pytest.approx(y2 - y3) and y1 > y3, "up is more"
    texts = [shape.text for shape in drawing.shapes if isinstance(shape, Text)]
    assert {"erm", "balanced", "Dice", "epoch", "1", "2", "3"} <= set(texts)


def test_the_kept_epoch_has_a_ring() -> None:
    drawing = learning_curves(CURVES, title="Dice")
    rings = [shape for shape in drawing.shapes if isinstance(shape, Mark) and shape.face == "none"]
    marks = [
        shape for shape in drawing.shapes if isinstance(shape, Mark) and shape.face != "none" and shape.y < drawing.plot
    ]
    assert [(ring.x, ring.y) for ring in rings] == [(marks[2].x, marks[2].y), (marks[3].x, marks[3].y)]


def test_one_epoch_is_a_point_within_the_drawing() -> None:
    drawing = learning_curves([Curve("erm", ((1, 0.5),), 1)], title="Dice")
    (ring,) = [shape for shape in drawing.shapes if isinstance(shape, Mark) and shape.face == "none"]
    assert 0 < ring.x < drawing.length and 0 < ring.y < drawing.plot
