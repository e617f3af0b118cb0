"""Numbers, names and phrases as people read them."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    format_p,
    metric_digits,
    metric_name,
    plural,
    standing,
    subgroup_name,
)
from segfair.subgroups.lattice import Divergence, Estimate, Subgroup

ROW = Divergence(
    subgroup=Subgroup(frozenset({("sex", "f")})),
    aliases=(),
    n=20,
    support=0.2,
    mean=0.6,
    rest_mean=0.7,
    divergence=-0.08,
    t=2.0,
    redundant=False,
    ci=(-0.12, -0.04),
    ci_simultaneous=(-0.15, 0.01),
    p_adjusted=0.2,
    significant=False,
    estimate=Estimate("difference", -0.1, (-0.19, 0.01), 0.1, 0.2, 20),
)


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (0.1234, 3, False, "0.123"),
        (-0.1234, 3, False, "−0.123"),
        (0.1234, 2, True, "+0.12"),
        (-0.0004, 3, True, "0.000"),
        (12345.6, 0, False, "12,346"),
        (None, 3, False, "–"),
        (math.nan, 3, False, "–"),
        (math.inf, 3, True, "–"),
    ],
)
def test_numbers(value, digits, signed, text) -> None:
    assert format_number(value, digits, signed=signed) == text


def test_intervals_and_p() -> None:
    assert format_interval((-0.15, 0.01), 2, signed=True) == "−0.15 to +0.01"
    assert format_interval(None) == "–"
    assert [format_p(value) for value in (0.0004, 0.001, 0.0495, 1.0, None)] == [
        "<0.001",
        "0.001",
        "0.050",
        "1.000",
        "–",
    ]


def test_digits_follow_the_largest_value() -> None:
    assert [metric_digits([largest]) for largest in (0.9, 2.0, 7.5, 45.0, 999.0, 20000.0)] == [3, 3, 2, 1, 1, 0]
    assert metric_digits([None, math.nan]) == 3


def test_names() -> None:
    assert metric_name("dsc") == "DSC"
    assert metric_name("dsc_tumour") == "DSC, tumour"
    assert metric_name("hd95_mm_whole_prostate") == "HD95 (mm), whole_prostate"
    assert metric_name("my score") == "my score"
    assert subgroup_name([("b", "2"), ("a", "1")]) == "a = 1, b = 2"
    assert subgroup_name([]) == "all cases"
    assert (plural(1, "case"), plural(1506, "case"), plural(2, "entry", "entries")) == (
        "1 case",
        "1,506 cases",
        "2 entries",
    )


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\tb\n c", "a b c"),
        ("evil\u202etxt", "evil⟨U+202E⟩txt"),
        ("\u200f", "⟨U+200F⟩"),
        ("\x00\x1b", "⟨U+0000⟩⟨U+001B⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("", "⟨empty⟩"),
        ("  ", "⟨empty⟩"),
        ("größe µ عربى 👩‍⚕️", "größe µ عربى 👩‍⚕️"),
        (4.5, "4.5"),
    ],
)
def test_text_from_outside(raw, shown) -> None:
    assert clean(raw) == shown


@given(st.text(st.characters(codec=None)), st.integers(1, 40))
def test_cleaned_text_can_be_written_and_is_short(raw, length) -> None:
    shown = clean(raw, length=length)
    assert len(shown) <= max(length, len("⟨empty⟩"))
    shown.encode("utf-8")
    assert shown.isprintable() or "\u200c" in shown or "\u200d" in shown


def test_not_significant_always_names_the_gap_that_remains_possible() -> None:
    found = standing(ROW, "higher", tested=True)
    assert (found.main, found.qualification(3)) == (
        "no difference shown",
        "up to 0.190 behind everybody else cannot be excluded",
    )
    found = standing(ROW, "lower", tested=True)
    assert found.qualification(2) == "up to 0.01 behind everybody else cannot be excluded"
    alone = dataclasses.replace(ROW, estimate=None)
    assert standing(alone, "higher", tested=True).template == "no interval"


def test_standings() -> None:
    def main(**changes) -> str:
        return standing(dataclasses.replace(ROW, **changes), "higher", tested=True).main

    assert main(significant=True) == "significantly worse"
    better = dataclasses.replace(ROW.estimate, value=0.1)
    assert main(significant=True, estimate=better) == "significantly better"
    assert main(significant=None) == "too few cases"
    assert main(margin="within margin") == "within margin"
    assert main(margin="beyond margin", significant=True) == "beyond margin"
    assert standing(ROW, "higher", tested=False).template == "not corrected for multiple testing"
    unsure = standing(dataclasses.replace(ROW, margin="open", significant=True), "higher", tested=True)
    assert (unsure.main, unsure.template) == ("significantly worse", "whether beyond the margin is open")
