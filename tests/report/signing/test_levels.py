"""The figure of the summary: which levels it has room for, where they stand, and what is said of each."""

from __future__ import annotations

import dataclasses

import pytest
from tests.report.hand_made import row, small, with_facts
from tests.report_fixtures import make_result

from segfair.audit.result import AttributeFacts, AuditResult, LevelFacts, PowerFacts
from segfair.report.parts import Data
from segfair.report.signing.language import language_of
from segfair.report.signing.levels import MOST_LEVELS, level_section
from segfair.subgroups.lattice import SubgroupTable

ENGLISH = language_of("en")


def section(result: AuditResult) -> Data:
    found = level_section(result, ENGLISH)
    assert found is not None
    return found


def of_sex(**standing: object) -> AuditResult:
    """Four women with a mean DSC of 0.6, four men with 0.8: found on axis 0.59 to 0.81, as room is a 20th of 0.2."""
    levels = tuple(
        LevelFacts(level, 4, False, {"dsc": mean}, {"dsc": mean}, ci={"dsc": ends})
        for level, mean, ends in (("f", 0.6, (0.6, 0.7)), ("m", 0.8, (0.7, 0.8)))
    )
    rows = (row({"sex": "f"}, 4, 0.6, **{"significant": False, "p_value": 0.2, "p_adjusted": 0.3, **standing}),)
    result = small({"sex": ("f", "m")})
    table = dataclasses.replace(result.subgroups["dsc"], rows=rows)
    outcomes = {"dsc": dataclasses.replace(result.subgroups.outcomes["dsc"], mean=0.7, n_tested=1, critical=2.0)}
    return with_facts(
        result,
        attributes=(AttributeFacts("sex", None, levels),),
        subgroups={"dsc": table},
        outcomes=outcomes,
        power=(PowerFacts("sex", "f", 4, 0.25, 30),),
    )


def test_a_row_stands_where_its_numbers_are() -> None:
    found = section(of_sex())
    first = found["rows"][0]
    assert (first["attribute"], first["level"], first["n"], first["mean"]) == ("sex", "f", "4", "0.600")
    assert first["interval"] == "0.600 to 0.700"
    # (0.6 - 0.59) / 0.22 and (0.7 - 0.59) / 0.22 of a hundred.
    assert first["dot"] == pytest.approx(4.55, abs=0.01)
    assert first["line"] == pytest.approx([4.55, 50.0], abs=0.01)
    assert found["mean"] == pytest.approx(50.0)
    assert [entry["attribute"] for entry in found["rows"]] == ["sex", ""], "an attribute is named once"


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        ({}, ("no difference shown", "found from 0.25 on", "")),
        ({"significant": True}, ("worse", "", "worse")),
        ({"significant": True, "margin": "open"}, ("worse", "beyond the margin: open", "worse")),
        ({"significant": True, "margin": "beyond margin"}, ("worse, beyond the margin", "", "worse")),
        ({"margin": "open"}, ("open at the margin", "found from 0.25 on", "")),
        ({"margin": "within margin"}, ("within the margin", "", "")),
        ({"significant": None}, ("too few cases", "", "few")),
    ],
)
def test_each_standing_has_its_own_words(standing: dict[str, object], expected: tuple[str, str, str]) -> None:
    first = section(of_sex(**standing))["rows"][0]
    assert (first["standing"], first["detail"], first["tone"]) == expected


def test_a_level_that_was_not_compared_is_no_equal_one() -> None:
    assert section(of_sex())["rows"][1]["standing"] == "not compared"
    assert {entry["standing"] for entry in section(make_result(inference=False))["rows"]} == {"not compared"}


def test_better_is_said_as_well() -> None:
    result = of_sex()
    rows = (row({"sex": "m"}, 4, 0.8, significant=True, p_value=0.001, p_adjusted=0.002),)
    better = with_facts(result, subgroups={"dsc": dataclasses.replace(result.subgroups["dsc"], rows=rows)})
    assert section(better)["rows"][1]["standing"] == "better"


def test_declared_attributes_stand_alone() -> None:
    found = section(make_result(primary=("site",)))
    assert found["declared"]
    assert [entry["level"] for entry in found["rows"]] == ["Duke", "ISPY1", "ISPY2", "NACT"]
    assert not section(make_result())["declared"]


def test_of_many_levels_those_with_evidence_are_kept_in_their_order_and_the_others_counted() -> None:
    levels = {f"attribute_{index}": tuple(f"level {code}" for code in range(4)) for index in range(8)}
    result = make_result(n_cases=600, levels=levels)
    found = section(result)
    assert len(found["rows"]) == MOST_LEVELS
    assert found["note"].startswith(f"{32 - MOST_LEVELS} further groups")
    names, name = [], ""
    for entry in found["rows"]:
        name = entry["attribute"] or name
        names.append((name, entry["level"]))
    assert names == sorted(names)
    # The planted deficit is in the second level of the first and the last attribute.
    assert {("attribute 0", "level 1"), ("attribute 7", "level 1")} <= set(names)


def test_without_an_attribute_there_is_no_figure() -> None:
    assert level_section(with_facts(small(), attributes=()), ENGLISH) is None


def test_levels_without_a_value_have_no_dot() -> None:
    result = of_sex()
    empty = LevelFacts("x", 3, True, {"dsc": None}, {"dsc": None})
    found = section(with_facts(result, attributes=(AttributeFacts("sex", None, (empty,)),)))
    assert (found["rows"][0]["dot"], found["rows"][0]["line"], found["rows"][0]["mean"]) == (None, None, "–")
    assert found["rows"][0]["standing"] == "too few cases"


def test_a_table_may_be_empty() -> None:
    result = of_sex()
    bare = with_facts(result, subgroups={"dsc": SubgroupTable("dsc", "higher", 8, 0.7, ())})
    assert {entry["standing"] for entry in section(bare)["rows"]} == {"not compared"}
