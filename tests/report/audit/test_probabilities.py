"""Probabilities on the page: what is told of them, the table of levels, and their diagrams."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.report.hand_made import small, texts

from segfair.audit.result import AuditResult
from segfair.audit.result.scores import Calibration, CalibrationGroup, ReliabilityBin
from segfair.report.audit.probabilities import probability_section
from segfair.report.drawing import Line, Mark
from segfair.report.reliability import reliability_diagrams
from segfair.subgroups.lattice import Subgroup

BINS = (ReliabilityBin(0, 1 / 15, 0.81, 0.01, 0.0), ReliabilityBin(14 / 15, 1, 0.19, 0.97, 0.7))
ALL = CalibrationGroup(
    Subgroup(frozenset()), 60, 0.05, 0.01, 0.06, 0.8, 0.7, 0.1, (0.05, 0.15), BINS
)  # fmt: skip


def audited(overall: CalibrationGroup = ALL, *groups: CalibrationGroup, **facts: Any) -> AuditResult:
    result = small()
    told: dict[str, Any] = {"left_out": {}, **facts}
    found = Calibration(15, 5.0, 5, overall, groups, **told)
    return dataclasses.replace(result, scores=dataclasses.replace(result.scores, calibration=found))


def level(name: str, n: int = 20) -> CalibrationGroup:
    attribute = small().attributes.facts[0].name
    return dataclasses.replace(ALL, items=Subgroup(frozenset({(attribute, name)})), n=n)


def test_without_probabilities_there_is_no_section() -> None:
    assert probability_section(small()) is None


@pytest.mark.parametrize(
    ("ci", "over", "told"),
    [
        ((0.05, 0.15), 0.1, "over-confident by 0.100 on average"),
        ((-0.15, -0.05), -0.1, "under-confident by 0.100 on average"),
        ((-0.1, 0.3), 0.1, "neither over- nor under-confident"),
        (None, 0.1, "too few cases"),
    ],
)
def test_it_says_whether_the_model_is_surer_than_it_is_right(ci, over: float, told: str) -> None:
    section = probability_section(audited(dataclasses.replace(ALL, ci=ci, overconfidence=over)))
    assert section is not None
    assert told in section["sentence"]
    assert "0.050 (0.010 by chance" in section["sentence"]


def test_each_level_has_a_row_and_a_diagram() -> None:
    section = probability_section(audited(ALL, level("f"), level("m", n=2)))
    assert section is not None
    rows = texts(section["table"])
    assert len(rows) == 3
    assert [row[1] for row in rows] == ["60", "20", "2"]
    assert len(section["figures"]) == 1
    assert len(section["figures"][0]["data"]["rows"]) == 4
    assert "Nothing here is tested" in section["about"][-1]


def test_maps_that_could_not_be_used_are_counted() -> None:
    section = probability_section(audited(left_out={"P1": "holds nan"}))
    assert section is not None
    assert any("1 case without a map" in sentence for sentence in section["about"])


def test_a_dot_below_the_diagonal_is_drawn_below_it() -> None:
    drawing = reliability_diagrams([("f", ALL)])
    marks = [shape for shape in drawing.shapes if isinstance(shape, Mark)]
    diagonal = next(shape for shape in drawing.shapes if isinstance(shape, Line) and shape.dash)
    (left, bottom), (right, top) = diagonal.points
    place = lambda x: bottom + (x - left) / (right - left) * (top - bottom)  # noqa: E731
    assert marks[1].y > place(marks[1].x), "y runs down: over-confident lies below"
    assert marks[0].size > marks[1].size
    assert {"f", "n 60"} <= set(drawing.texts)
    assert reliability_diagrams([("f", ALL)] * 3, n_columns=2).height > drawing.height
