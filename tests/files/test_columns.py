"""One column of a table as its author meant it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.files import columns
from segfair.files.columns import has_missing_na, number_style, read_column, special_number


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2", "30"], "whole", [1, 2, 30]),
        (["1", None, "n/a"], "whole", [1, None, None]),
        (["1", "2.5"], "number", [1.0, 2.5]),
        ([45, "50", 61.0], "number", [45.0, 50.0, 61.0]),
        (["TRUE", "false"], "boolean", [True, False]),
        ([True, None], "boolean", [True, None]),
        (["001", "12"], "other", ["001", "12"]),
        (["12345678901234567890", "1"], "other", ["12345678901234567890", "1"]),
        ([2**60, 1], "other", [2**60, 1]),
        (["a", "1"], "other", ["a", "1"]),
        ([True, 1], "other", [True, 1]),
        (["NA", ""], "empty", [None, None]),
        (["0.5", "0"], "number", [0.5, 0.0]),
        (["<40", "40-60", ">60"], "other", ["<40", "40-60", ">60"]),
        (["<40", ">60"], "other", ["<40", ">60"]),
        (["045Y", "006M", "120Y"], "number", [45.0, 0.5, 120.0]),
        (["45", ">89", "90+"], "whole", [45, 90, 90]),
        (["12 %", "50%"], "whole", [12, 50]),
        ([" 45 ", "50"], "whole", [45, 50]),
    ],
)
def test_a_column_is_read_as_a_whole(cells: list[object], kind: str, values: list[object]) -> None:
    reading = read_column(cells)
    assert reading.kind == kind
    assert list(reading.values) == values


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (">89", 90.0),
        ("> 89.5", 89.6),
        ("<18", 17.0),
        ("≥90", 90.0),
        (">=90", 90.0),
        ("90 or older", 90.0),
        ("045Y", 45.0),
        ("52W", None),
        ("052W", 364 / 365.25),
        ("12,5 %", 12.5),
        ("5 mm", None),
        ("a", None),
    ],
)
def test_numbers_in_other_words(text: str, number: float | None) -> None:
    found = special_number(text)
    assert found is None if number is None else found is not None and found[0] == pytest.approx(number)


def test_how_a_number_was_written_is_told() -> None:
    assert read_column(["45", ">89", ">89"]).notes == ("2 cells are an open range (>89 = 90)",)
    assert read_column(["045Y", "046Y"]).notes == ("2 cells are DICOM's age, in years (045Y = 45)",)


@pytest.mark.parametrize(
    ("cells", "missing"),
    [
        ([45, 50, 61, -999, -999], {"-999": 2}),
        ([45, 50, 61, 999], {"999": 1}),
        (["1", "2", "99", "2"], {"99": 1}),
        (["2001", "2019", "9999"], {"9999": 1}),
        ([0.2, 0.7, 0.4, -9.0], {"-9": 1}),
        ([10, 20, 30, 40, 50, 60, 70, -1], {"-1": 1}),
    ],
)
def test_numbers_that_stand_for_no_value(cells: list[object], missing: dict[str, int]) -> None:
    reading = read_column(cells)
    assert reading.missing == missing
    assert sum(value is None for value in reading.values) == sum(missing.values())
    assert "read as a missing value" in reading.notes[0]


@pytest.mark.parametrize(
    "cells",
    [
        [400, 999, 2000],  # days
        [45, 88, 99],  # an age
        [-1, 0, 1, -1],  # a change
        [-999, -500, 3],
        [1, 2, 9],
        [999, 999],
    ],
)
def test_numbers_that_may_be_meant(cells: list[object]) -> None:
    reading = read_column(cells)
    assert not reading.missing
    assert list(reading.values) == cells


def test_na_among_codes_of_two_letters_is_one_of_them() -> None:
    continents = ["EU", "NA", "AS", None, "NA"]
    reading = read_column(continents)
    assert list(reading.values) == continents
    assert reading.missing == {"": 1}
    assert "NA (2) is read as a level" in reading.notes[0]
    by_r = read_column(continents, na_is_missing=True)
    assert list(by_r.values) == ["EU", None, "AS", None, None]
    assert by_r.missing == {"": 1, "NA": 2}
    assert read_column(["yes", "NA", "no"]).missing == {"NA": 1}
    assert has_missing_na(["45", "NA", "50"])
    assert not has_missing_na(continents)


def test_every_spelling_of_a_missing_value_is_counted() -> None:
    assert read_column(["a", "n/a", " N/A ", "", None, "?", "."]).missing == {"n/a": 1, "N/A": 1, "": 2, "?": 1, ".": 1}


@pytest.mark.parametrize(
    ("columns", "delimiter", "style", "said"),
    [
        ([["23,5", "18", None]], ";", "comma", False),
        ([["1,234", "12,5"]], ";", "comma", False),
        ([["1,234", "987"]], ";", "comma", True),
        ([["1,234", "987"]], ",", "thousands", True),
        ([["1,234,567", "1,234"]], ";", "thousands", False),
        ([["1,234.5"], ["1,234"]], ";", "thousands", False),
        ([["0,123"], ["1,234"]], "\t", "comma", False),
        ([["1.234,5", "2"]], ";", "comma", False),
        ([["a,b", "1,5"]], ";", "point", False),
        ([["1.5", "2"]], ";", "point", False),
    ],
)
def test_how_commas_are_meant(columns: list[list[object]], delimiter: str, style: str, said: bool) -> None:
    found, unclear = number_style(columns, delimiter=delimiter)
    assert found == style
    assert bool(unclear) == said


@pytest.mark.parametrize(
    ("cells", "style", "values"),
    [
        (["23,5", "18", None], "comma", [23.5, 18, None]),
        (["1.234,5", "2", "1.234"], "comma", [1234.5, 2, 1234]),
        (["0.123,4"], "comma", ["0.123,4"]),
        (["1.234"], "comma", [1.234]),
        (["1,234", "987", "1,234,567.5"], "thousands", [1234, 987, 1234567.5]),
        (["23.5", "18"], "comma", [23.5, 18]),
        (["1,234"], "point", ["1,234"]),
        (["1,2"], "thousands", ["1,2"]),
    ],
)
def test_commas_in_numbers(cells: list[object], style: str, values: list[object]) -> None:
    assert list(read_column(cells, style=style).values) == values  # type: ignore[arg-type]


def test_units_behind_numbers() -> None:
    ages = [f"{age} years" for age in range(30, 50)]
    found = read_column([*ages, "> 89"])
    assert found.values == (*range(30, 50), 90)
    assert any("years" in note for note in found.notes)
    # Few kinds are names, as are letters that are no unit.
    assert read_column(["1.5T", "3T"] * 20).kind == "other"
    assert read_column([f"10{age}R" for age in range(30, 50)]).kind == "other"
    assert read_column([f"{age:03d}Y" for age in range(30, 50)]).values == tuple(range(30, 50))


def test_decimal_commas_before_units() -> None:
    cells = [f"{number},5 mm" for number in range(20)]
    assert number_style([cells], delimiter=",")[0] == "comma"
    assert read_column(cells, style="comma").values == tuple(number + 0.5 for number in range(20))


@pytest.mark.parametrize("cell", ["1 086", "1'086", "1\u202f086", "1\u00a0086"])
def test_thousands_with_spaces(cell: str) -> None:
    assert read_column([cell, "950"]).values == (1086, 950)


def test_a_typesetters_minus() -> None:
    assert read_column(["\u22125", "4"]).values == (-5, 4)


def test_a_few_texts_among_numbers_keep_the_numbers() -> None:
    ages = [">89", "045Y", "046Y", "-999", *[f"{age}" for age in range(50, 60)], "unknown"]
    found = read_column(ages)
    assert found.kind == "other"
    assert found.values == (90, 45, 46, None, *[f"{age}" for age in range(50, 60)], "unknown")
    assert found.missing == {"-999": 1}
    assert any("-999" in note for note in found.notes)


@pytest.mark.parametrize(
    ("cells", "sentinels"),
    [
        (["A", "B", "-999", "A"], {"-999": 1}),
        ([1, 1, -99, 1], {"-99": 1}),
        ([30, 45, 998, 999, 50], {"998": 1, "999": 1}),
        ([0, 1, 2, 888, 777], {"888": 1, "777": 1}),
        ([-20.5, 3.5, -999, 14], {"-999": 1}),
        # Air in Hounsfield units lies beside its neighbours, and a place may be called 99.
        ([-1000, -999, -50, 40], {}),
        (["99", "A", "B"], {}),
    ],
)
def test_sentinels_of_all_kinds(cells: list[object], sentinels: dict[str, int]) -> None:
    found = read_column(cells)
    assert found.missing == sentinels
    assert sum(value is None for value in found.values) == sum(sentinels.values())


def test_na_that_could_be_a_level_is_told() -> None:
    found = read_column(["NA", "EU", "AS"], na_is_missing=True)
    assert found.values == (None, "EU", "AS")
    assert any("NA (1) is read as a missing value" in note for note in found.notes)


_WRITTEN = st.sampled_from(
    [
        "level 1",
        "Level 2",
        "P001",
        "12 m2",
        "45 years",
        "NA",
        "n/a",
        "true",
        "no",
        "1",
        "0012",
        "1.5",
        "-3",
        "1e5",
        "2E-7",
        "999",
        "-99",
        ">89",
        "90+",
        "045Y",
        "12 %",
        "1,5",
        " padded 1 ",
        "inf",
        "A",
        "é1",
        "",
        "1e999",
        "1234567890123456",
    ]
)


@given(st.lists(_WRITTEN | st.none(), max_size=12), st.sampled_from(["point", "comma", "thousands"]), st.booleans())
def test_plain_columns_are_read_as_any_other_column_is(cells, style, na_is_missing):
    quick = read_column(cells, style=style, na_is_missing=na_is_missing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "_plain_texts", lambda cells: None)
        patch.setattr(columns, "_plain_numbers", lambda cells: None)
        assert repr(quick) == repr(read_column(cells, style=style, na_is_missing=na_is_missing))
