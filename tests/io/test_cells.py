"""What single cells mean."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.io.cells import cell_text, defuse, fuse, is_missing, loose_id, parse_number, typed_column


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        np.nan,
        pd.NA,
        pd.NaT,
        np.datetime64("NaT"),
        "",
        "  ",
        "NA",
        "nan",
        "N/A",
        "null",
        "#DIV/0!",
    ],
)
def test_no_value(value: object) -> None:
    assert is_missing(value)
    assert isinstance(value, str) or not cell_text(value)


@pytest.mark.parametrize("value", [0, 0.0, False, "0", "none", "unknown", "-", math.inf, [], datetime.date(2020, 1, 1)])
def test_a_value(value: object) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12),
        (" -1.5 ", -1.5),
        (".5", 0.5),
        ("1e3", 1000),
        ("inf", math.inf),
        ("1_000", None),
        ("1,5", None),
        ("0x10", None),
        ("", None),
        ("12 mm", None),
        ("٣", None),
        ("nan", None),
    ],
)
def test_numbers_in_text(text: str, number: float | None) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("spelling", ["12", "012", "0012", "12.0", "12.00", " 12 "])
def test_spellings_of_a_numeric_id(spelling: str) -> None:
    assert loose_id(spelling) == "12"


def test_loose_ids_do_not_go_further() -> None:
    assert loose_id("DUKE_001") == loose_id("duke_001")
    assert len({loose_id(text) for text in ("12", "12.5", "-12", "a12", "1 2", "12.0.0")}) == 6
    assert loose_id("000") == "0"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2+3", "@sum(a)", "\tx", "\rx", "\nx", '=HYPERLINK("a")'])
def test_formulas_are_defused_and_come_back(text: str) -> None:
    assert defuse(text) == f"'{text}"
    assert fuse(defuse(text)) == text


@pytest.mark.parametrize("text", ["-1", "+2.5", "-1e-3", "a=b", "'quoted", "", "'", "O'Neill"])
def test_harmless_text_stays(text: str) -> None:
    assert defuse(text) == text
    assert fuse(text) == text


@given(st.text())
def test_defused_text_comes_back(text: str) -> None:
    if not (text.startswith("'") and defuse(text[1:]) != text[1:]):
        assert fuse(defuse(text)) == text


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "2", "30"], "int64", [1, 2, 30]),
        (["1", None, "n/a"], "Int64", [1, None, None]),
        (["1", "2.5"], "float64", [1.0, 2.5]),
        ([45, "50", 61.0], "float64", [45.0, 50.0, 61.0]),
        (["TRUE", "false"], "bool", [True, False]),
        ([True, None], "boolean", [True, None]),
        (["001", "12"], "object", ["001", "12"]),
        (["12345678901234567890", "1"], "object", ["12345678901234567890", "1"]),
        ([2**60, 1], "object", [2**60, 1]),
        (["a", "1"], "object", ["a", "1"]),
        (["45", ">89"], "object", ["45", ">89"]),
        ([True, 1], "object", [True, 1]),
        (["NA", ""], "object", [None, None]),
        (["0.5", "0"], "float64", [0.5, 0.0]),
    ],
)
def test_a_column_is_typed_as_a_whole(cells: list[object], dtype: str, values: list[object]) -> None:
    column, with_comma = typed_column(cells, decimal_comma=False)
    assert str(column.dtype) == dtype
    assert [None if is_missing(value) else value for value in column.tolist()] == values
    assert not with_comma


def test_decimal_commas_only_where_they_are_allowed() -> None:
    column, with_comma = typed_column(["23,5", "18", None], decimal_comma=True)
    assert with_comma
    assert column.tolist()[:2] == [23.5, 18.0]
    column, with_comma = typed_column(["23,5", "18"], decimal_comma=False)
    assert (str(column.dtype), with_comma) == ("object", False)
    column, with_comma = typed_column(["23.5", "18"], decimal_comma=True)
    assert (column.tolist(), with_comma) == ([23.5, 18.0], False)
    assert typed_column(["1.234,5", "2"], decimal_comma=True)[0].tolist() == ["1.234,5", "2"]
