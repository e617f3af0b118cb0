"""How the numbers came about: worst cases, settings and columns as they were, folders, and no word said twice."""

from __future__ import annotations

import pytest
from tests.report.hand_made import small, texts

from segfair.audit.result import Alert, Bins, ColumnFacts, MetricFacts
from segfair.report.audit.method import _flat, _plain, column_section, input_section, method_section
from segfair.subgroups.search import LeftOut, Search


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ((), ""),
        ({}, ""),
        (False, "no"),
        (0, "0"),
        (0.050, "0.05"),
        (("dsc", "normhd"), "dsc, normhd"),
        ({"age": (40.0, 60.5), "sex": "tree"}, "age=40, 60.5; sex=tree"),
        ("a\u202eb", "a⟨U+202E⟩b"),
    ],
)
def test_settings_are_printed_as_they_would_be_written(value: object, text: str) -> None:
    assert _plain(value) == text


def test_a_tree_of_settings_becomes_names_with_dots_and_no_empty_line() -> None:
    assert _flat({"grid": {"match": "shape", "tolerance": 0.1}, "gates": {"require": []}, "format": 1}) == [
        ("grid.match", "shape"),
        ("grid.tolerance", "0.1"),
        ("format", "1"),
    ]


def test_method_says_how_each_metric_was_defined_and_which_rules_held() -> None:
    metric = MetricFacts("relative_volume_error", "", "signed", "(p - l) / l", "", 1234)
    found = method_section(small(metrics=(metric,), search=None), command="", digests={"audit.json": "ab12"})
    assert texts(found["metrics"]) == [
        ["Relative volume error (relative_volume_error)", "–", "best at zero", "(p - l) / l", "–", "1,234"]
    ]
    settings = {entry["name"]: entry["value"] for entry in found["settings"]}
    assert settings["min_cases"] == "2"
    assert "protocol" not in settings
    assert "primary" not in settings, "nothing was fixed beforehand"
    names = [entry["name"] for entry in found["protocol"]]
    assert any(name.startswith("FS.") for name in names)
    assert not any(name.startswith("fairness") for name in names)
    assert found["digests"] == [{"name": "audit.json", "value": "ab12", "code": True}]
    assert (found["command"], found["redrawn"]) == ("", None)
    assert found["search"] == "All combinations of levels with enough cases were searched."
    again = method_section(small(), command="segfair audit", digests={}, redrawn=("today", ""))
    assert (again["command"], again["redrawn"]) == ("segfair audit", {"when": "today", "command": ""})


def test_columns_say_what_became_of_them_and_how_gaps_are_spelt() -> None:
    many = tuple(f"l{index}" for index in range(42))
    result = small(
        bins={
            "age_group": Bins("age", "quartiles", (40.0, 60.0), ("a", "b")),
            "site": Bins("site", "as given", (), many),
        },
        columns={
            "age": ColumnFacts("ranges", "12 numbers", 3, {"": 2, "n/a": 1}),
            "site": ColumnFacts("levels", "42 texts", 0),
            "scan_date": ColumnFacts("dates", "is a date", 0),
        },
        left_out={"patient_name": "an id or free text", "age": "never said of a column that was used"},
        search=None,
    )
    found = column_section(result)
    first, second = texts(found["used"])
    assert first == ["age_group", "age", "quartiles (edges 40, 60)", "a, b", "3 (empty 2, n/a 1)"]
    assert second[2] == "as given (42 texts)"
    assert second[3].endswith("l39, … (42 in all)")
    assert texts(found["left_out"]) == [
        ["patient_name", "", "an id or free text", ""],
        ["scan_date", "dates", "is a date", "0"],
    ]
    assert found["not_searched"] is None
    assert column_section(small(columns={}, left_out={}, search=None))["left_out"] is None


def test_what_was_left_out_of_the_search_is_listed_up_to_fifty() -> None:
    entries = tuple(LeftOut(f"level {index}", "too few") for index in range(52))
    searched = Search(2, 0.1, 0, (LeftOut("scanner", "one value only"), *entries), 1, 0, 0, None, 100)
    found = column_section(small(search=searched, left_out={"scanner": "one value only"}))["not_searched"]
    assert found["caption"] == "Left out of the search (52)", "a column is told with the columns"
    assert len(found["rows"]) == 50
    assert found["note"] == "and 2 more, in audit.json"


def test_an_alert_is_not_said_again_where_the_inputs_are_told() -> None:
    result = small(
        inputs={"labels": "cohort/labels", "labels2": "second/labels"},
        notices=("read well", "looks swapped"),
        alerts=(Alert("swapped", "looks swapped"),),
    )
    found = input_section(result)
    assert [(entry["name"], entry["value"]) for entry in found["paths"]] == [
        ("Labels", "cohort/labels"),
        ("Second labels", "second/labels"),
    ]
    assert found["notices"] == ["read well"]
