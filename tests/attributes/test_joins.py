"""`--join`: what its text means, which joins are refused, and what becomes of the values."""

from __future__ import annotations

import json

import pytest

from segfair.attributes.fit import BinningPlan, fit_attributes
from segfair.attributes.joins import LevelJoin, check_joins, join_levels, join_values, parse_join
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, MetadataError
from segfair.protocol.rules import load_protocol

DEFAULT = load_protocol("default")


def cohort(**columns: list[object]) -> Cohort:
    n_cases = len(next(iter(columns.values())))
    rows = ({name: values[index] for name, values in columns.items()} for index in range(n_cases))
    return Cohort(tuple(Case(f"c{index}", metadata=row) for index, row in enumerate(rows)), columns=tuple(columns))


@pytest.mark.parametrize(
    ("text", "join"),
    [
        ("menopause: pre, peri = pre", LevelJoin("menopause", ("pre", "peri"), "pre")),
        ('m: "pre (< 6, months)", b = c', LevelJoin("m", ("pre (< 6, months)", "b"), "c")),
        ('"a:b": x = "y = ""z"""', LevelJoin("a:b", ("x",), 'y = "z"')),
        ("time of day:  10:30 ,  11:00=  late  morning ", LevelJoin("time of day", ("10:30", "11:00"), "late morning")),
    ],
)
def test_a_text_is_a_join_and_a_join_is_its_text(text: str, join: LevelJoin) -> None:
    assert parse_join(text) == join
    assert parse_join(str(join)) == join


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("menopause", "no column before a colon"),
        (": a = b", "no column before a colon"),
        ("m: a, b", "no level behind an equal sign"),
        ("m: a = ", "no level behind an equal sign"),
        ("m: a,, b = c", "no name where ', b = c' stands"),
        ("m: = c", "no name where '= c' stands"),
        ('m: "a = c', "no name where"),
        ("m: a = b, c", "more than one level"),
        ("m: a = b = c", "more than one level"),
    ],
)
def test_a_text_that_is_no_join_says_why_and_what_is_expected(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"^--join '.*expected COLUMN: a, b = c.*double quotes") as error:
        parse_join(text)
    assert why in str(error.value)


def test_texts_are_compared_as_levels_are_and_missing_values_stay() -> None:
    values = ["Pre", "  PRE  (late)", "post", None, "n/a", 2.0]
    joined = {"pre (late)": "pre", "2": "post"}
    assert join_values(values, joined) == ["Pre", "pre", "post", None, "n/a", "post"]


def test_a_level_that_spells_a_number_is_one() -> None:
    assert join_values([90.0, ">89"], {">89": "90"}) == [90.0, 90.0]
    assert join_values(["1"], {"1": "01"}) == ["01"], "as a number it would be the level 1"


def test_what_is_not_there_is_refused_with_what_is() -> None:
    cases = cohort(menopause=["pre", "post", None], site=[1.0, 2.0, 2.0])
    with pytest.raises(
        MetadataError, match=r"no column 'menopaus'.*did you mean menopause.*columns are menopause, site"
    ):
        check_joins(cases, [parse_join("menopaus: pre = post")])
    with pytest.raises(MetadataError, match=r"no case has 'prae' in menopause.*its values are post, pre"):
        check_joins(cases, [parse_join("menopause: post, prae = pre")])
    check_joins(cases, [parse_join("menopause: POST = pre"), parse_join("site: 1 = A")])


def test_joins_that_contradict_each_other_are_refused() -> None:
    cases = cohort(m=["a", "b", "c"])
    with pytest.raises(ConfigError, match="'a' becomes 'b' by another --join"):
        check_joins(cases, [parse_join("m: a = b"), parse_join("m: a = c")])
    with pytest.raises(ConfigError, match="'b' is the level of one join and becomes 'c' by another"):
        check_joins(cases, [parse_join("m: a = b"), parse_join("m: b = c")])
    check_joins(cases, [parse_join("m: a, b = b"), parse_join("m: c = b")])


def test_joining_once_more_changes_nothing() -> None:
    joins = [parse_join("m: a, b = c")]
    once = join_levels(cohort(m=["a", "B", "c", None], n=["a", "a", "b", "b"]), joins)
    assert once.column("m") == ["c", "c", "c", None]
    assert once.column("n") == ["a", "a", "b", "b"]
    assert join_levels(once, joins) == once


def test_the_plan_joins_other_cases_too_also_after_a_trip_through_json() -> None:
    plan = fit_attributes(
        cohort(m=["pre", "pre (late)", "post", "post"]), protocol=DEFAULT, joins=[parse_join("m: pre (late) = pre")]
    )
    read = BinningPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert read == plan
    table = read.apply(cohort(m=["post", "PRE (late)", "pre"]))
    assert table["m"].levels == ("post", "pre")
    assert table["m"].codes.tolist() == [0, 1, 1]
    assert "m: 'pre (late)' are taken as the level 'pre' (--join)" in table.notices


def test_a_plan_of_before_there_were_joins_is_read() -> None:
    plan = fit_attributes(cohort(m=["a", "b", "a", "b"]), protocol=DEFAULT)
    tree = plan.to_dict()
    for entry in tree["attributes"]:
        del entry["joined"]
    assert BinningPlan.from_dict(tree) == plan


def test_a_join_can_end_among_the_missing_values_or_the_numbers() -> None:
    ages = [float(age) for age in range(30, 90)]
    cases = cohort(age=[*ages, *ages, "over 89", "unknown"], m=["a", "b", "not known"] * 40 + ["a", "b"])
    joins = [parse_join("age: over 89 = 90"), parse_join("m: not known = missing")]
    table = fit_attributes(cases, protocol=DEFAULT, joins=joins).apply(cases)
    assert [table["age"].levels[code] for code in table["age"].codes[-2:]] == ["> 75", "missing"]
    assert table["m"].levels == ("a", "b", "missing")


def test_a_text_among_ranges_of_numbers_is_refused_with_the_way_out() -> None:
    cases = cohort(age=[float(age) for age in range(30, 90)])
    with pytest.raises(ConfigError, match=r"'old' has no place among ranges of numbers.*--categorical age"):
        fit_attributes(cases, protocol=DEFAULT, joins=[parse_join("age: 88, 89 = old")])
