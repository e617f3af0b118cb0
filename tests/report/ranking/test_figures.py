"""Teams as drawings: marks where the numbers say, shares that are never rounded to all or none."""

from __future__ import annotations

import pytest

from segfair.report.drawing import Box, Dots, Line, Mark, Text
from segfair.report.ranking.figures import BoxRow, ScoreRow, pair_map, score_boxes, score_dots

ROWS = [ScoreRow("alpha", 0.9, (0.8, 1.0), "0.9000"), ScoreRow("beta", 0.7, None, "0.7000")]


@pytest.mark.parametrize("narrow", [False, True])
def test_dots_lie_on_the_axis_and_within_their_interval(narrow: bool) -> None:
    drawing = score_dots(ROWS, baseline=0.5, title="TS", narrow=narrow)
    first, second = [shape for shape in drawing.shapes if isinstance(shape, Mark)]
    assert first.x > second.x and first.y < second.y
    interval = next(line for line in drawing.shapes if isinstance(line, Line) and line.width == 1.6)
    (low, _), (high, _) = interval.points
    assert first.x == pytest.approx((low + high) / 2), "0.9 is the middle of 0.8 to 1.0"
    dashed = next(line for line in drawing.shapes if isinstance(line, Line) and line.dash)
    assert second.x - dashed.points[0][0] == pytest.approx(first.x - second.x), "0.5, 0.7, 0.9"
    assert {"alpha", "beta", "0.9000", "empty masks"} <= set(drawing.texts)


def test_a_baseline_far_away_does_not_squeeze_the_teams() -> None:
    near = score_dots(ROWS, baseline=0.5, title="TS")
    far = score_dots(ROWS, baseline=-9.0, title="TS")
    assert "empty masks" in near.texts and "empty masks" not in far.texts


def test_equal_scores_are_drawn_all_the_same() -> None:
    drawing = score_dots([ScoreRow("only", 0.5, None, "0.5")], baseline=0.5, title="TS")
    (mark,) = [shape for shape in drawing.shapes if isinstance(shape, Mark)]
    assert 0 < mark.x < drawing.length


def test_a_box_holds_the_middle_half_and_every_case_is_a_dot() -> None:
    row = BoxRow("alpha", (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.5, 0.5, 1.0), "0.500")
    drawing = score_boxes([row, BoxRow("nothing", (), (), "–")], title="DSC")
    (box,) = [shape for shape in drawing.shapes if isinstance(shape, Box) and shape.layer == 2]
    (dots,) = [shape for shape in drawing.shapes if isinstance(shape, Dots)]
    assert [x for x, _ in dots.places][1] == pytest.approx(box.x + box.width / 2)
    assert len(dots.places) == 4 and len(set(dots.places)) == 4, "equal scores do not hide each other"
    whisker = next(line for line in drawing.shapes if isinstance(line, Line) and line.width == 0.9 and line.layer == 1)
    assert whisker.points[0][0] == dots.places[0][0] and whisker.points[1][0] == dots.places[3][0]


def test_who_beats_whom_is_said_by_a_mark_as_well_as_by_a_colour() -> None:
    beats = [[0.5, 0.9996, 1.0], [0.0004, 0.5, 0.6], [0.0, 0.4, 0.5]]
    better = [[False, False, True], [False] * 3, [False] * 3]
    drawing = pair_map(["a", "b", "c"], beats, better)
    numbers = [shape.text for shape in drawing.shapes if isinstance(shape, Text) and shape.size == 8]
    assert numbers == ["99", "▲100", "1", "60", "▼0", "40"]
    colours = [shape.colour for shape in drawing.shapes if isinstance(shape, Box)]
    assert len(set(colours)) == 3 and colours[1] == "#0072B2" and colours[4] == "#D55E00"
