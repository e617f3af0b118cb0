"""The audited cases as arrays: of an audit in progress, and the same of one that was saved."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit, changed

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.audit.design import Units
from segfair.audit.panel import Panel
from segfair.audit.result import AuditResult
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

IDS = ("a", "b", "c", "d")


def panel() -> Panel:
    """Four cases of three patients; b has the worst score by rule, c no NormHD, d no sex."""
    scores = (
        CaseScore("a", {"dsc": 0.75, "normhd": 0.25}),
        CaseScore("b", {"dsc": 0.0, "normhd": 1.0}, penalised="no prediction"),
        CaseScore("c", {"dsc": 0.5, "normhd": None}),
        CaseScore("d", {"dsc": 0.25, "normhd": 0.5}),
    )
    sex = Attribute("sex", ("f", "m"), np.array([0, 1, 0, -1], dtype=np.int16), "sex", "as given")
    site = Attribute("site", ("A", "B"), np.array([0, 0, 1, 1], dtype=np.int16), "site", "as given")
    return Panel.of_scores(
        ScoreTable((METRICS["dsc"], METRICS["normhd"]), scores),
        AttributeTable(IDS, (sex, site), {}),
        Units(subjects=np.array([0, 0, 1, 2])),
        DEFAULT,
    )


def test_scores_are_columns_with_nan_where_there_is_no_value() -> None:
    found = panel()
    assert len(found) == 4
    assert found.case_ids == IDS
    np.testing.assert_array_equal(found.scores["dsc"], [0.75, 0.0, 0.5, 0.25])
    np.testing.assert_array_equal(found.scores["normhd"], [0.25, 1.0, np.nan, 0.5])
    assert found.penalised.tolist() == [False, True, False, False]


def test_a_metric_is_complete_where_every_case_has_a_value() -> None:
    found = panel()
    assert found.is_complete("dsc")
    assert not found.is_complete("dsc", "normhd")
    assert not found.is_complete("iou"), "what was not scored is not complete"
    where, values = found.defined("normhd")
    assert (where.tolist(), values.tolist()) == ([0, 1, 3], [0.25, 1.0, 0.5])


@pytest.mark.parametrize(
    ("items", "members"),
    [
        (set(), [True, True, True, True]),
        ({("sex", "f")}, [True, False, True, False]),
        ({("sex", "f"), ("site", "B")}, [False, False, True, False]),
        ({("site", "B")}, [False, False, True, True]),
        ({("sex", "x")}, [False, False, False, False]),
        ({("age", "old")}, [False, False, False, False]),
    ],
)
def test_members_have_all_items(items: set[tuple[str, str]], members: list[bool]) -> None:
    assert panel().members(frozenset(items)).tolist() == members


def test_cases_are_chosen_with_everything_that_is_theirs() -> None:
    for found in (panel().select(np.array([3, 1])), panel().of_cases(["d", "b"])):
        assert found.case_ids == found.attributes.case_ids == ("d", "b")
        assert found.scores["dsc"].tolist() == [0.25, 0.0]
        assert found.penalised.tolist() == [False, True]
        assert found.attributes["sex"].codes.tolist() == [-1, 1]
        assert found.units.subjects is not None
        assert found.units.subjects.tolist() == [2, 0]
    with pytest.raises(KeyError):
        panel().of_cases(["nobody"])


def test_each_purpose_has_a_stream_of_its_own() -> None:
    found = panel()
    first, again, other = (found.stream(purpose).random(4) for purpose in ("one", "one", "two"))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    seeded = dataclasses.replace(found, config=dataclasses.replace(DEFAULT, seed=1))
    assert not np.array_equal(seeded.stream("one").random(4), first)


def saved() -> AuditResult:
    made = {
        "dsc": np.array([0.75, 0.0, 0.5, 0.25] * 6),
        "sex": ["f", "m", "f", "m"] * 6,
        "patient": [f"p{index // 2}" for index in range(24)],
    }
    config = dataclasses.replace(DEFAULT, subject_column="patient", attributes=("sex",), min_cases=2)
    return AuditResult.from_dict(audit(config, **made).to_dict())


def test_a_saved_audit_has_the_panel_that_it_was_made_of() -> None:
    result = saved()
    found = Panel.of_result(result)
    assert found.case_ids == tuple(f"c{index:04d}" for index in range(24))
    np.testing.assert_array_equal(found.scores["dsc"], [0.75, 0.0, 0.5, 0.25] * 6)
    np.testing.assert_array_equal(found.scores["normhd"], [0.25, 1.0, 0.5, 0.75] * 6)
    assert not found.penalised.any()
    (sex,) = found.attributes.attributes
    assert [sex.levels[code] for code in sex.codes] == ["f", "m", "f", "m"] * 6
    assert found.units.subjects is not None
    assert len(set(found.units.subjects[:2])) == 1
    assert len(set(found.units.subjects)) == 12
    row = next(row for row in result.subgroups["dsc"] if row.subgroup.items == {("sex", "f")})
    assert found.scores["dsc"][found.members(row.subgroup.items)].mean() == pytest.approx(row.mean)


def test_an_audit_that_was_made_to_be_shared_has_no_case() -> None:
    result = saved()
    rows = dataclasses.replace(result.cases.scores, rows=(), subjects=())
    found = Panel.of_result(changed(result, cases={"scores": rows}))
    assert len(found) == 0
    assert found.scores["dsc"].shape == found.penalised.shape == (0,)
    assert found.members(frozenset({("sex", "f")})).shape == (0,)
    assert found.units.subjects is None
