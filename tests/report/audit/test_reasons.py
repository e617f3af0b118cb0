"""What gaps are made of on the page: bars that add up, and the tables beneath them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.report.hand_made import small, texts, titles

from segfair.audit.result.subgroups import BoundaryError, GapParts, Part, Reasons
from segfair.report.audit.reasons.bar import stacked_bar
from segfair.report.audit.reasons.section import reason_section
from segfair.report.drawing import Box
from segfair.subgroups.lattice import Subgroup

PARTS = (
    Part("size_and_shape", -0.06, (-0.08, -0.04)),
    Part("boundary", -0.05, None),
    Part("missed", 0.01, (0.0, 0.02)),
)
GAP = GapParts(Subgroup(frozenset({("sex", "f")})), 4, -0.1, "difference", 0, PARTS, "Of the gap, half.")


def section(*gaps: GapParts, **facts: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "unit": "mm", "errors": (BoundaryError("", 1.25, 7),), "n_raters": 0, "n_compared": 0, **facts,
    }  # fmt: skip
    deficit = (Part("size_and_shape", 0.2, (0.1, 0.3)), Part("boundary", 0.1, None))
    found = reason_section(small(reasons=Reasons("dsc", n_cases=8, deficit=deficit, gaps=gaps, **told)))
    assert found is not None
    return found


def test_without_reasons_there_is_no_section() -> None:
    assert reason_section(small()) is None


def test_a_gap_has_its_parts_with_intervals_and_their_sum() -> None:
    (gap,) = section(GAP)["gaps"]
    assert (gap["n"], gap["value"], gap["how"]) == ("4", "−0.100", "compared with everybody else")
    assert titles(gap["table"]) == ["Part", "DSC", "95% interval"]
    assert texts(gap["table"]) == [
        ["A  Size and shape alone", "−0.060", "−0.080 to −0.040"],
        ["B  Boundary error beyond that", "−0.050", "–"],
        ["C  Missed lesions", "+0.010", "0.000 to +0.020"],
        ["Together", "−0.100", ""],
    ]
    assert (
        "Size and shape alone −0.060; Boundary error beyond that −0.050; Missed lesions +0.010"
        in gap["figure"]["label"]
    )


def test_the_mean_deficit_adds_up() -> None:
    assert texts(section()["deficit"])[-1] == ["Together", "0.300", ""]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "The boundary error of this cohort is 1.2 mm: the median over 7 cases of"),
        ({"errors": (BoundaryError("core", 3.0, None),)}, "of this cohort in core is 3 mm: the median over cases of"),
        ({"errors": (BoundaryError("", 0.0, 0),)}, "No lesion was found, so that there is no boundary error."),
        ({"n_raters": 1, "n_compared": 6}, "Labels of 1 further rater in 6 cases; in the other 2 no labels disagree."),
    ],
)
def test_what_is_told_of_the_cohort(changes: dict[str, Any], told: str) -> None:
    assert told in " ".join(section(**changes)["about"])


@pytest.mark.parametrize("width", [3.7, 6.9])
def test_pieces_lie_end_to_end_and_their_ends_differ_by_the_gap(width: float) -> None:
    drawing = stacked_bar(GAP, (-0.12, 0.02), width=width)
    pieces = [shape for shape in drawing.shapes if isinstance(shape, Box)][:3]
    inch = drawing.length / 0.14
    lengths = [piece.width + 0.012 for piece in pieces]
    assert lengths == pytest.approx([0.06 * inch, 0.05 * inch, 0.01 * inch])
    zero = 0.12 * inch
    assert pieces[0].x == pytest.approx(zero - 0.06 * inch), "from zero to the left"
    assert pieces[1].x == pytest.approx(zero - 0.11 * inch), "and on from there"
    assert pieces[2].x == pytest.approx(zero), "what goes against it, to the right"
    assert {"gap −0.100", "A", "−0.060", "Boundary error beyond that"} <= set(drawing.texts)
    assert len({(piece.colour, piece.hatch) for piece in pieces}) == 3


def test_the_sum_is_told_within_the_drawing() -> None:
    for value in (-0.12, 0.02):
        gap = GapParts(GAP.items, 4, value, "difference", 0, PARTS, "")
        (text,) = (shape for shape in stacked_bar(gap, (-0.12, 0.02), width=3.7).shapes if getattr(shape, "text", "").startswith("gap"))  # fmt: skip
        assert 0.3 <= text.x <= 3.2
