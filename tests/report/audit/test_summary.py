"""Page one: who is worst off, with which numbers and which evidence."""

from __future__ import annotations

import re

import pytest
from tests.report.pages import FEW, Page, draw
from tests.report_fixtures import make_result
from tests.score_fixtures import found_only_beforehand

from segfair.audit.result import AuditResult
from segfair.handover.model_card import model_card
from segfair.report.audit import page_data


def test_the_worst_subgroup_is_told_with_its_numbers(page: Page, result: AuditResult) -> None:
    worst = next(row for row in result.subgroups["dsc"] if row.significant and not row.redundant)
    said = page.visible
    assert f"{worst.n} of 300 cases: mean DSC {worst.mean:.3f} against {worst.rest_mean:.3f} for everybody else" in said
    assert f"adjusted p {'<0.001' if worst.p_adjusted < 0.001 else format(worst.p_adjusted, '.3f')}" in said
    assert "At equal lesion volume the difference to everybody else is" in said
    assert "can be a mediator" in said


def test_not_significant_never_stands_alone(page: Page) -> None:
    cells = re.findall(r"no difference shown.{0,90}", page.visible)
    assert cells
    assert all("behind everybody else cannot be excluded" in cell for cell in cells)
    states = dict(page.payload["states"])
    assert states["no difference shown"] == "up to {} behind everybody else cannot be excluded"


def test_untested_subgroups_are_called_so() -> None:
    page = Page(draw(make_result(levels=FEW, inference=False)))
    assert "Not corrected for multiple testing" in page.visible
    assert "significantly" not in page.visible
    assert page.payload["states"] == [["not tested", "not corrected for multiple testing"]]


def test_primary_attributes_come_first_and_the_rest_is_exploratory() -> None:
    page = Page(draw(make_result(levels=FEW, primary=("site",))))
    assert "Fixed beforehand: site" in page.visible
    assert page.visible.index("Fixed beforehand") < page.visible.index("Alerts Unusable")
    assert "Subgroups exploratory" in page.visible


def test_a_significant_level_fixed_beforehand_is_named_before_what_chance_explains() -> None:
    result = found_only_beforehand()
    first = result.subgroups["dsc"].rows[0]
    assert first.subgroup.items != {("sex", "F")}, "the lattice alone would name another group"
    data = page_data(result, written="2026-01-01")
    (worst,) = data["sections"]["worst"]["findings"]
    assert [(item["attribute"], item["level"]) for item in worst["items"]] == [("sex", "F")]
    assert worst["evidence"].startswith("Significantly worse")
    assert worst["evidence"].endswith("Fixed beforehand, and tested in a family of its own.")
    facts = {entry["name"]: entry for entry in data["facts"]}
    assert "sex = F" in facts["Worst off"]["note"]
    assert facts["Subgroups tested"]["note"].startswith("0 beyond chance")
    assert facts["Subgroups tested"]["note"].endswith("; 2 of 2 levels fixed beforehand")
    card = model_card(result).partition("## Subgroups that are worst off")[2]
    assert card.index("sex = F") < card.index("noise")


@pytest.mark.parametrize("outcome", ["normhd", "hd95_mm"])
def test_of_metrics_where_lower_is_better_the_highest_is_worst(outcome: str) -> None:
    result = make_result(levels=FEW, outcomes=(outcome, "dsc"))
    data = page_data(result, written="")
    rows = [row for row in result.subgroups[outcome] if row.difference > 0]
    assert data["sections"]["worst"]["findings"][0]["sentence"].startswith(f"{rows[0].n} of 300 cases")
    values = result.cases.scores.column(outcome)
    first = result.cases.scores.column("case")[values.index(max(values))]
    assert data["sections"]["cases"]["rows"][0][0]["text"] == first
