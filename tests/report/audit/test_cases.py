"""Worst cases on the page: outlines, empty predictions and missing ones apart, and every case to look up."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tests.audit.made_up_audits import changed
from tests.report.hand_made import small, texts
from tests.report.pages import FEW, Page, cases_of, draw
from tests.report_fixtures import make_result

import segfair.report.rows
from segfair.audit.result import AuditResult, CaseScores
from segfair.audit.result.gallery import Gallery, GalleryCase, GalleryGroup, GallerySlice
from segfair.report.audit import page_data
from segfair.report.audit.cases import case_table
from segfair.subgroups.lattice import Subgroup

CUT = GallerySlice("axial", 2, 3, tuple("RLAP"), 4, 4, (1, 1), (1, 1), "M0 0h1v1h-1z", "")


def audited(**counts: Any) -> AuditResult:
    """Two empty predictions, two outlines, one missing prediction; pictures of the first four."""
    rows = (
        ("outline", 0.4, 100.0, 0.1, "", "f"),
        ("empty small", 0.0, 10.0, -1.0, "", "m"),
        ("empty large", 0.0, 90.0, -1.0, "", "m"),
        ("off", 0.0, 20.0, 0.5, "", "f"),
        ("gone", 0.0, 500.0, None, "no prediction", "f"),
    )
    metrics = ("dsc", "volume", "relative_volume_error")
    scores = CaseScores(("case", *metrics, "penalised", "sex"), rows, metrics, ("sex",))
    result = small({"sex": ("f", "m")}, case_scores=scores)
    drawn = ("off", "outline", "empty large", "empty small")
    group = GalleryGroup(Subgroup(frozenset()), "overall", drawn)
    found = dataclasses.replace(result.cases.counts, penalised={"gone": "no prediction"}, **counts)
    return changed(
        result, cases={"gallery": Gallery((group,), dict.fromkeys(drawn, GalleryCase((CUT,)))), "counts": found}
    )


def test_the_worst_cases_come_first_equal_ones_by_their_miss_and_those_without_a_value_not_at_all() -> None:
    rows = (
        ("p4", 0.5, 9.0, "", "f"),
        ("p3", 0.2, None, "", ""),
        ("p2", None, 8.0, "", "m"),
        ("p1", 0.2, 7.0, "off grid", "m"),
    )
    scores = CaseScores(("case", "dsc", "hd95_mm", "penalised", "sex"), rows, ("dsc", "hd95_mm"), ("sex",))
    found = cases_of(small(case_scores=scores))
    assert found is not None
    assert found["gallery"] is None
    assert found["rows_of_pictures"] == []
    assert found["columns"] == ["Case", "DSC", "HD95 (mm)", "Attributes"]
    assert texts(found) == [
        ["p1 (penalised: off grid)", "0.200", "7.00", "sex = m"],
        ["p3", "0.200", "–", ""],
        ["p4", "0.500", "9.00", "sex = f"],
    ]
    undefined = dataclasses.replace(scores, rows=rows[2:3])
    assert cases_of(small(case_scores=undefined)) is None
    assert case_table(small(case_scores=dataclasses.replace(scores, rows=()))) is None


def test_outlines_empty_predictions_and_missing_files_are_three_rows() -> None:
    found = cases_of(audited(missing_predictions=("gone", "elsewhere")))
    assert found is not None
    outlines, nothing = found["rows_of_pictures"]
    assert [card["name"] for card in outlines["cards"]] == ["off", "outline"]
    assert [card["name"] for card in nothing["cards"]] == ["empty large", "empty small"]
    assert nothing["note"] == "2 cases with a prediction that is empty although the label is not."
    captions = [
        picture["caption"] for row in (outlines, nothing) for card in row["cards"] for picture in card["pictures"]
    ]
    assert [caption.endswith("; nothing predicted") for caption in captions] == [False, False, True, True]
    assert found["missing"] == {
        "count": "1 prediction with the worst score and nothing to be drawn, 1 of them missing",
        "names": ["gone"],
        "more": "",
    }


def test_more_empty_predictions_than_pictures_are_counted() -> None:
    result = audited()
    gallery = result.cases.gallery
    assert gallery is not None
    few = dataclasses.replace(gallery.groups[0], cases=("outline", "empty large"))
    found = cases_of(changed(result, cases={"gallery": dataclasses.replace(gallery, groups=(few,))}))
    assert found is not None
    assert found["rows_of_pictures"][1]["note"].endswith("the label is not; the 1 largest miss below.")


def test_every_case_is_told_with_its_levels_and_its_picture() -> None:
    payload = Page(draw(audited())).payload
    cases = payload["cases"]
    assert [column["title"] for column in cases["columns"]] == ["DSC", "Label volume (mm³)"]
    # Nothing overlaps: of label and prediction 500 (gone), 90, 20 * 2.5 = 50 and 10 are missed.
    assert [row[0] for row in cases["rows"]] == ["gone", "empty large", "off", "empty small", "outline"]
    assert [row[2] for row in cases["rows"]] == ["penalised: no prediction", "", "", "", ""]
    assert [row[3] for row in cases["rows"]] == ["", "worst-case-2", "worst-case-0", "worst-case-3", "worst-case-1"]
    levels = [[payload["items"][code][1] for code in row[1]] for row in cases["rows"]]
    assert levels == [["f"], ["m"], ["f"], ["m"], ["f"]]
    assert cases["omitted"] == ""


def test_members_are_the_cases_whose_levels_a_subgroup_names() -> None:
    result = make_result(levels=FEW)
    payload = Page(draw(result)).payload
    (outcome,) = payload["outcomes"]
    for line, row in zip(outcome["rows"], result.subgroups["dsc"], strict=True):
        members = [case for case in payload["cases"]["rows"] if set(line[0]) <= set(case[1])]
        assert len(members) == row.n


def test_cases_that_find_no_room_are_the_best_and_are_counted(monkeypatch: Any) -> None:
    result = make_result(levels=FEW)
    monkeypatch.setattr(segfair.report.rows, "_CASE_BYTES", 2000)
    cases = json.loads(page_data(result, written="")["sections"]["subgroups"]["payload"])["cases"]
    every = case_table(result)
    assert every is not None
    assert 0 < len(cases["rows"]) < len(every.rows)
    assert [row[0] for row in cases["rows"]] == [row.case for row in every.rows[: len(cases["rows"])]]
    assert cases["omitted"] == f"Of the {len(every.rows) - len(cases['rows'])} best served cases only cases.csv knows."
