"""Metadata -> categorical attributes, under the named protocols and on other cases."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from segfair.attributes.fit import (
    Attribute,
    AttributeTable,
    BinningPlan,
    fit_attributes,
    parse_bins,
)
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, MetadataError
from segfair.protocol.rules import AttributeRule, Protocol, load_protocol

DEFAULT = load_protocol("default")
MAMA_MIA = load_protocol("mama-mia")


def cohort(**columns: Sequence[object]) -> Cohort:
    n_cases = len(next(iter(columns.values())))
    return Cohort(
        tuple(
            Case(f"c{index:03d}", metadata={name: values[index] for name, values in columns.items()})
            for index in range(n_cases)
        ),
        columns=tuple(columns),
    )


def build(protocol: Protocol = DEFAULT, *, given: Mapping[str, object] | None = None, **columns: Sequence[object]):
    cases = cohort(**columns)
    return fit_attributes(cases, protocol=protocol, **(given or {})).apply(cases)  # type: ignore[arg-type]


# ---- the default protocol


def test_every_usable_column_and_why_not() -> None:
    n = 40
    table = build(
        sex=["f", "m"] * 20,
        age=[*range(30, 50), *range(50, 90, 2)],
        stage=[1, 2] * 20,
        smoker=[True, None] * 20,
        patient=[f"P{index}" for index in range(n)],
        modality=["MRI"] * n,
        acquired=["2020-05-17"] * n,
        comment=[f"note {index % 30}" for index in range(n)],
        nothing=[None] * n,
    )
    assert [entry.name for entry in table.attributes] == ["sex", "age", "stage", "smoker"]
    assert list(table.left_out) == ["patient", "modality", "acquired", "comment", "nothing"]
    assert "dates; derive a number" in table.left_out["acquired"]
    assert table["age"].binning == "quartiles of 40 values"
    assert table["age"].levels == ("≤ 39", "40-49", "50-68", "> 68")
    assert table["age"].edges == (39.0, 49.0, 68.0)
    assert (table["stage"].binning, table["stage"].edges) == ("as given", ())
    assert table["smoker"].levels == ("True", "missing")
    assert table["sex"].codes.dtype == np.int16
    with pytest.raises(KeyError):
        table["patient"]


def test_a_number_that_another_column_holds_in_bins_is_left_out() -> None:
    ages = [30 + (index * 3) % 37 for index in range(40)]
    groups = ["young" if age <= 40 else "middle" if age <= 55 else "old" for age in ages]
    table = build(age=ages, age_group=groups, weight=[50 + (index * 7) % 31 for index in range(40)])
    assert [entry.name for entry in table.attributes] == ["age_group", "weight"]
    assert "the number behind age_group" in table.left_out["age"]
    asked = build(given={"edges": {"age": (0, 45, 90)}}, age=ages, age_group=groups)
    assert [entry.name for entry in asked.attributes] == ["age", "age_group"]
    chosen = build(given={"chosen": ["age", "age_group"]}, age=ages, age_group=groups)
    assert [entry.name for entry in chosen.attributes] == ["age", "age_group"]


def test_groups_that_overlap_are_no_bins_of_the_number() -> None:
    ages = [30 + (index * 3) % 37 for index in range(40)]
    groups = [["a", "b", "c"][index % 3] for index in range(40)]
    assert [entry.name for entry in build(age=ages, arm=groups).attributes] == ["age", "arm"]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, "", " ", "NA", "nan", "n/a", "null", "NULL", pd.NaT])
def test_missing_is_a_level_and_last(missing: object) -> None:
    table = build(sex=["z", missing, "a", "z"])
    assert table["sex"].levels == ("a", "z", "missing")
    assert table["sex"].codes.tolist() == [1, 2, 0, 1]


def test_infinite_numbers_are_missing_and_said() -> None:
    table = build(size=[1.0, 2.5, 3.7, math.inf, 5.2, 6.1, 7.9, 8.4])
    assert table.labels()["size"][3] == "missing"
    assert any("size: values outside" in notice for notice in table.notices)
    few = build(grade=[1.0, 2.0, math.inf, 1.0, 2.0, 1.0])
    assert few["grade"].levels == ("1", "2", "missing")
    assert any("grade: infinite values, counted as missing: 1" in notice for notice in few.notices)


def test_near_duplicates_are_merged_with_a_notice() -> None:
    table = build(sex=["Female", "female ", "Male", "Female", None])
    assert table["sex"].levels == ("Female", "Male", "missing")
    assert table["sex"].codes.tolist() == [0, 0, 1, 0, 2]
    assert table.notices == ("sex: 'Female' and 'female ' are taken as one level",)


def test_a_level_called_missing() -> None:
    table = build(sex=["f", "Missing", None, "m", "f"])
    assert table["sex"].levels == ("f", "m", "missing")
    assert table["sex"].codes.tolist() == [0, 2, 2, 1, 0]
    assert any("'Missing' and missing values are taken as one level" in notice for notice in table.notices)


def test_hostile_names_and_levels_pass_through() -> None:
    levels = ["<script>", "a=b&c", '"q"', "\u202edlo", "x" * 10_000]
    table = build(**{"=x": levels * 2})
    assert set(table["=x"].levels) == set(levels)
    assert [table.labels()["=x"][index] for index in range(5)] == levels


def test_given_edges() -> None:
    table = build(given={"edges": {"age": (0, 40, 50, 100)}}, age=[40, 41, 50, 51, 0, None, 120])
    assert table["age"].levels == ("1-40", "41-50", "51-100", "missing")
    assert table["age"].codes.tolist() == [0, 1, 1, 2, 3, 3, 3]
    assert table["age"].binning == "edges 0, 40, 50, 100"
    assert table["age"].edges == (0.0, 40.0, 50.0, 100.0)
    assert any(
        "outside of the bins (edges 0, 40, 50, 100), counted as missing: 2" in notice for notice in table.notices
    )


def test_given_edges_that_leave_a_bin_empty() -> None:
    table = build(given={"edges": {"age": (0, 40, 50, 100)}}, age=[60, 70])
    assert table["age"].levels == ("1-40", "41-50", "51-100")
    assert table["age"].codes.tolist() == [2, 2]


def test_numbers_beside_text_with_given_edges() -> None:
    table = build(given={"edges": {"age": (0, 40, 100)}}, age=["30", ">89", "70", "50"])
    assert table.labels()["age"] == ["1-40", "missing", "41-100", "41-100"]
    assert any("values that are no numbers, counted as missing: 1 ('>89')" in notice for notice in table.notices)
    with pytest.raises(MetadataError, match="sex: cannot be used: its values are no numbers, such as 'f'"):
        build(given={"edges": {"sex": (0, 1)}}, sex=["f", "m"])


def test_chosen_columns() -> None:
    columns = {
        "sex": ["f", "m"] * 30,
        "site": [f"s{i % 25}" for i in range(60)],
        "id": [f"P{i}" for i in range(60)],
    }
    table = build(given={"chosen": ["site", "sex", "site"]}, **columns)
    assert [entry.name for entry in table.attributes] == ["site", "sex"]
    assert len(table["site"].levels) == 25, "whoever chooses a column gets all of its levels"
    assert table.left_out == {}
    with pytest.raises(MetadataError, match="attribute id: cannot be used: a different value for every case"):
        build(given={"chosen": ["id"]}, **columns)
    with pytest.raises(MetadataError, match=r"attribute siet: no such column .*did you mean site\?\); columns are sex"):
        build(given={"chosen": ["siet"]}, **columns)
    with pytest.raises(MetadataError, match="bins agee: no such column"):
        build(given={"edges": {"agee": (0, 1)}}, **columns)


def test_bins_without_their_column() -> None:
    table = build(given={"chosen": ["sex"], "edges": {"age": (0, 50, 99)}}, sex=["f", "m"], age=[3, 4])
    assert any("bins of age are not used" in notice for notice in table.notices)


def test_no_cases_and_no_columns() -> None:
    assert fit_attributes(Cohort(()), protocol=DEFAULT).attributes == ()
    empty = fit_attributes(Cohort((), columns=("age",)), protocol=DEFAULT)
    assert (empty.attributes, empty.left_out) == ((), {"age": "no values"})


# ---- listed attributes


def scorer_groups(age: object, menopause: object, density: object) -> tuple[str | None, str | None, str | None]:
    """The groups of the public scorer, written out by hand."""
    group = None
    if isinstance(age, int | float) and 0 < age <= 100:
        group = next(
            label
            for top, label in [(40, "0-40"), (50, "41-50"), (60, "51-60"), (70, "61-70"), (100, "71+")]
            if age <= top
        )
    text = menopause.lower() if isinstance(menopause, str) else ""
    status = "pre" if "peri" in text else "post" if "post" in text else "pre" if "pre" in text else "unknown"
    return group, status, density if density in ("a", "b", "c", "d") else None


def test_mama_mia_follows_the_public_scorer() -> None:
    ages = [0, 0.5, 39, 40, 40.5, 41, 50, 51, 60, 60.1, 70, 71, 100, 101, -1, None, float("nan"), math.inf, 55, 44]
    status = [
        "pre (<6 months since LMP AND no prior bilateral ovariectomy)",
        "post (prior bilateral ovariectomy)",
        "PERI (6-12 months since LMP)",
        "perimenopausal, later post",
        "pre/post",
        "N/A",
        "unclear",
    ] + [None] * 13
    density = ["a", "b", "c", "d", "e", None, "", "A", *["a"] * 12]
    table = build(MAMA_MIA, age=ages, menopause=status, breast_density=density, site=["x", "y"] * 10)
    assert [entry.name for entry in table.attributes] == ["age", "menopause", "breast_density"]
    assert table["age"].levels == ("0-40", "41-50", "51-60", "61-70", "71+")
    assert table["menopause"].levels == ("pre", "post", "unknown")
    assert table["breast_density"].levels == ("a", "b", "c", "d")
    density[7] = "a"  # compared without case
    expected = [scorer_groups(*values) for values in zip(ages, status, density, strict=True)]
    labels = table.labels()
    found = list(zip(labels["age"], labels["menopause"], labels["breast_density"], strict=True))
    assert found == expected
    assert table["age"].codes[0] == -1, "the case leaves this attribute only"
    assert any(
        "age: values outside of the bins" in notice and "left out of it: 4" in notice for notice in table.notices
    )
    assert any(
        "contain none of peri, post, pre, counted as unknown: 1 ('unclear')" in notice for notice in table.notices
    )


def test_mama_mia_takes_the_other_name_of_menopause() -> None:
    table = build(MAMA_MIA, Age=[44, 55], menopausal_status=["pre", None], breast_density=["a", "b"])
    assert table["menopause"].column == "menopausal_status"
    assert table["age"].column == "Age", "in any case if none is spelt exactly so"
    assert table.labels()["menopause"] == ["pre", "unknown"]


def test_an_absent_listed_column_is_left_out_with_a_notice() -> None:
    table = build(MAMA_MIA, age=[44, 55])
    assert [entry.name for entry in table.attributes] == ["age"]
    assert table.left_out["menopause"] == "no column menopause or menopausal_status in the metadata"
    assert any("breast_density" in notice and "mama-mia" in notice for notice in table.notices)
    with pytest.raises(MetadataError, match="attribute menopause: no such column"):
        build(MAMA_MIA, given={"chosen": ["menopause"]}, age=[44, 55])


def test_a_listed_attribute_stays_although_it_has_one_level() -> None:
    """A variable with one group has no disparity, but counts in the mean over variables."""
    table = build(MAMA_MIA, age=[44, 45], menopause=[None, None], breast_density=[None, None])
    assert [entry.name for entry in table.attributes] == ["age", "menopause"]
    assert table.labels()["menopause"] == ["unknown", "unknown"]
    assert table.left_out == {"breast_density": "no value that counts"}


def test_a_listed_protocol_accepts_extra_columns() -> None:
    columns = {"age": [44, 55] * 4, "menopause": ["pre", "post"] * 4, "site": ["x", "y", "y", "z"] * 2}
    table = build(MAMA_MIA, given={"chosen": ["site", "age", "menopause"]}, **columns)
    assert [entry.name for entry in table.attributes] == ["site", "age", "menopause"]
    assert table["site"].levels == ("x", "y", "z")
    assert table["age"].levels == ("0-40", "41-50", "51-60", "61-70", "71+"), "by the protocol's rule"


def test_given_edges_replace_those_of_the_protocol() -> None:
    table = build(MAMA_MIA, given={"edges": {"age": (0, 50, 100)}}, age=[44, 55], menopause=["pre", "post"])
    assert table["age"].levels == ("1-50", "51-100")
    assert any("replace those of the protocol" in notice for notice in table.notices)


def test_rules_in_a_protocol_of_ones_own() -> None:
    mine = DEFAULT.replace(
        attributes={
            "bmi": AttributeRule(("BMI", "bmi"), edges=(-math.inf, 25, math.inf), missing="not measured"),
            "race": AttributeRule(("ethnicity",), levels=("asian", "black", "white", "unknown"), missing="unknown"),
            "field": AttributeRule(("field",), missing="drop"),
        }
    )
    table = build(
        mine,
        bmi=[20.5, 25.0, 31.0, None, 31.0],
        ethnicity=["White", "BLACK ", "other", "Unknown", "white"],
        field=[1.5, 3.0, None, 1.5, 3.0],
        race=["1", "1", "2", "2", "2"],
        sex=["f", "f", "m", "m", "m"],
    )
    labels = table.labels()
    assert list(labels) == ["bmi", "race", "field", "sex"]
    assert labels["bmi"] == ["≤ 25.0", "≤ 25.0", "> 25.0", "not measured", "> 25.0"]
    assert table["bmi"].edges == (25.0,)
    assert labels["race"] == ["white", "black", "unknown", "unknown", "white"]
    assert table["race"].levels == ("asian", "black", "white", "unknown")
    assert labels["field"] == ["1.5", "3", None, "1.5", "3"]
    assert any("column race is not used" in notice for notice in table.notices)
    assert any(
        "race: values that are none of its levels" in notice and "1 ('other')" in notice for notice in table.notices
    )


# ---- plans


def test_a_plan_is_fitted_once_and_applied_elsewhere() -> None:
    train = cohort(
        age=[20.0, 30, 40, 50, 60, 70, 80, 90], site=["A", "B", "A", "B", None, "A", "B", "A"], sex=["f", "m"] * 4
    )
    plan = fit_attributes(train, protocol=DEFAULT)
    test = cohort(sex=["F", None, "x", "m"], site=["a", "E", "B", None], age=[5, 95, None, 41])
    fitted, applied = plan.apply(train), plan.apply(test)
    assert applied.case_ids == ("c000", "c001", "c002", "c003")
    assert applied["age"].levels[:4] == fitted["age"].levels
    assert applied["age"].edges == fitted["age"].edges
    assert applied.labels() == {
        "age": ["≤ 30", "> 70", "missing", "31-50"],
        "site": ["A", "missing", "B", "missing"],
        "sex": ["f", "missing", "missing", "m"],
    }
    # Codes mean the same everywhere; a missing value that training did not have adds a level behind them.
    assert applied["site"].levels == fitted["site"].levels == ("A", "B", "missing")
    assert fitted["sex"].levels == ("f", "m")
    assert applied["sex"].levels == ("f", "m", "missing")
    assert any(
        "site: values that are none of its levels" in notice and "1 ('E')" in notice for notice in applied.notices
    )


def test_unseen_levels_drop_where_missing_drops() -> None:
    plan = fit_attributes(cohort(breast_density=["a", "b"]), protocol=MAMA_MIA)
    applied = plan.apply(cohort(breast_density=["d", "z"]))
    assert applied["breast_density"].codes.tolist() == [3, -1]


def test_a_plan_needs_its_columns() -> None:
    plan = fit_attributes(cohort(sex=["f", "m"], age=[1, 2]), protocol=DEFAULT)
    with pytest.raises(MetadataError, match="no column age, from which attributes were made before; columns are sex"):
        plan.apply(cohort(sex=["f", "m"]))


def test_a_plan_survives_json() -> None:
    columns = {
        "age": [20.5, 30, None, 50, 60, 70, 80, 90],
        "menopause": ["pre", "post", "peri", None] * 2,
        "breast_density": ["a", None, "b", "c"] * 2,
        "sex": ["f", "F", "m", None] * 2,
        "id": [f"P{i}" for i in range(8)],
    }
    for protocol in (DEFAULT, MAMA_MIA):
        plan = fit_attributes(cohort(**columns), protocol=protocol)
        text = json.dumps(plan.to_dict(), allow_nan=False)
        again = BinningPlan.from_dict(json.loads(text))
        assert again == plan
        assert again.apply(cohort(**columns)).labels() == plan.apply(cohort(**columns)).labels()


@pytest.mark.parametrize("tree", [{}, {"format": 2}, {"format": 1}, {"format": 1, "attributes": [{"x": 1}]}])
def test_something_else_is_no_plan(tree: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="bins: "):
        BinningPlan.from_dict(tree)


# ---- tables


def test_select_and_frames() -> None:
    table = AttributeTable(
        ("a", "b", "c"),
        (Attribute("sex", ("f", "m"), np.array([0, -1, 1], dtype=np.int16), "sex", "as given"),),
        {},
    )
    part = table.select(np.array([2, 1]))
    assert part.case_ids == ("c", "b")
    assert part.labels() == {"sex": ["m", None]}
    assert part["sex"].levels == ("f", "m")
    frame = table.to_frame()
    assert frame.index.tolist() == ["a", "b", "c"] and frame.index.name == "case"
    assert frame["sex"].tolist() == ["f", None, "m"]
    assert AttributeTable(("a",), (), {}).to_frame().shape == (1, 0)


# ---- --bins


def test_bins_of_the_command_line() -> None:
    assert parse_bins("age=0,40,50") == ("age", (0.0, 40.0, 50.0))
    assert parse_bins(" a=b = -inf, 1.5 ,inf ") == ("a=b", (-math.inf, 1.5, math.inf))
    assert parse_bins("age=tree") == ("age", "tree")


@pytest.mark.parametrize(
    "text",
    ["age", "=0,1", "age=", "age=0", "age=1,1", "age=2,1", "age=a,b", "age=0,nan", "age=-inf,inf", "age=0,,1"],
)
def test_wrong_bins(text: str) -> None:
    with pytest.raises(ConfigError, match="bins"):
        parse_bins(text)


def test_tree_bins_have_to_be_fitted_first() -> None:
    with pytest.raises(ConfigError, match="age=tree"):
        build(given={"edges": {"age": "tree"}}, age=[1, 2])


def test_the_column_of_patients_is_no_attribute_unless_chosen() -> None:
    # Three studies a patient: no identifier by its values, and a number that quartiles would be made of.
    patients = cohort(patient=[index // 3 for index in range(30)], sex=["f", "m"] * 15)
    plan = fit_attributes(patients, protocol=DEFAULT, subject_column="patient")
    assert [entry.name for entry in plan.attributes] == ["sex"]
    assert plan.left_out["patient"] == "it names patients"
    chosen = fit_attributes(patients, protocol=DEFAULT, chosen=["patient"], subject_column="patient")
    assert [entry.name for entry in chosen.attributes] == ["patient"]
