"""What single cells mean."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.files.cells import Answer, cell_text, compose, defuse, fuse, is_missing, of_each, parse_number


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


def test_an_accent_stored_apart_from_its_letter_is_the_same_accent() -> None:
    apart, composed = "Zu\u0308rich", "Z\u00fcrich"
    assert apart != composed
    assert cell_text(f" {apart} ") == composed == compose(apart)


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


@given(st.lists(st.sampled_from([1, True, 1.0, "1", "a", None, Answer("a"), Answer("NA"), "NA"]), max_size=9))
def test_a_text_is_asked_about_once_and_nothing_is_taken_for_another(values):
    asked = []

    def describe(value):
        asked.append(value)
        return type(value).__name__, is_missing(value), str(value)

    assert of_each(describe, values) == [(type(v).__name__, is_missing(v), str(v)) for v in values]
    texts = [value for value in asked if type(value) is str]
    assert len(texts) == len(set(texts))
