"""One column -> levels."""

from __future__ import annotations

import datetime
import math
import random
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segfair.attributes.binning import (
    UnusableColumnError,
    infer_bins,
    is_date,
    level_text,
    natural_order,
    number_bins,
    quantile_bins,
    text_levels,
)

WHOLE = np.arange(100.0)


def infer(values: list[object], *, name: str = "c", n_cases: int | None = None, chosen: bool = False):
    found = infer_bins(name, values, n_cases=n_cases or len(values), max_levels=20, chosen=chosen, keep_constant=False)
    return found.bins


def reason(values: list[object], **options: object) -> str:
    with pytest.raises(UnusableColumnError) as caught:
        infer(values, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_given_edges_are_open_on_the_left_and_closed_on_the_right() -> None:
    bins = number_bins((0, 40, 50, 60, 70, 100), WHOLE)
    assert bins.levels == ("1-40", "41-50", "51-60", "61-70", "71-100")
    values = [0, 1, 40, 40.5, 41, 50, 70, 71, 100, 100.1, -5, math.inf, None, "50", " 51 ", ">89"]
    encoded = bins.encode(values)
    assert encoded.codes == [-1, 0, 0, 1, 1, 1, 3, 4, 4, -1, -1, -1, -1, 1, 2, -1]
    assert encoded.n_outside == 4
    assert dict(encoded.unseen) == {">89": 1}


@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True).map(sorted),
    st.lists(st.floats(-60, 60), max_size=20),
)
def test_bins_are_those_of_pandas(edges: list[int], values: list[float]) -> None:
    codes = number_bins(edges, np.array(values)).encode(values).codes
    expected = pd.cut(np.array(values, dtype=float), edges, labels=False, right=True)
    assert codes == [-1 if math.isnan(code) else int(code) for code in expected]


@pytest.mark.parametrize(
    ("edges", "numbers", "levels"),
    [
        ((-math.inf, 40, 70, math.inf), WHOLE, ("≤ 40", "41-70", "> 70")),
        ((2, 3, 5), WHOLE, ("3", "4-5")),
        ((40.5, 50.2, 60), WHOLE, ("41-50", "51-60")),
        ((-10, 0, 10), np.arange(-10.0, 10), ("-9 to 0", "1-10")),
        ((12.5, 18, 25), WHOLE / 10 + 12, ("12.6-18.0", "18.1-25.0")),
        ((12.5, 18, 25), np.random.default_rng(0).random(50), ("12.5-18.0", "18.0-25.0")),
        ((0, 0.25, 1), WHOLE / 100, ("0.01-0.25", "0.26-1.00")),
        ((12, 18, 25), WHOLE / 10, ("12.1-18.0", "18.1-25.0")),
        ((0.1, 0.2, 0.3, 0.4), np.array([0.2, 0.3]), ("0.2", "0.3", "0.4")),
        ((40.1, 40.2, 40.3), WHOLE, ("40.1 to 40.2", "40.2 to 40.3")),
        ((0, 1, 2), np.array([]), ("0-1", "1-2")),
    ],
)
def test_ranges_read_well(edges: tuple[float, ...], numbers: np.ndarray, levels: tuple[str, ...]) -> None:
    assert number_bins(edges, numbers).levels == levels


def test_the_level_of_a_whole_number_holds_it() -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        numbers = rng.integers(0, 200, size=60).astype(float)
        bins = quantile_bins(numbers)
        for number, code in zip(numbers, bins.encode(numbers.tolist()).codes, strict=True):
            level = bins.levels[code]
            ends = [int(part) for part in re.findall(r"\d+", level)]
            if level.startswith("≤"):
                assert number <= ends[0]
            elif level.startswith(">"):
                assert number > ends[0]
            else:
                assert ends[0] <= number <= ends[-1]


def test_quartiles_of_ages() -> None:
    bins = quantile_bins(np.array([30, 35, 40, 44, 45, 50, 55, 60.0]))
    assert bins.levels == ("≤ 35", "36-44", "45-50", "> 50")
    assert bins.edges == (35.0, 44.0, 50.0)
    assert bins.binning == "quartiles of 8 values"
    assert bins.encode([29, 35, 36, 44, 50, 51, 99]).codes == [0, 0, 1, 1, 2, 3, 3]


def test_fine_numbers_have_short_edges() -> None:
    numbers = np.random.default_rng(0).lognormal(5, 1, 1506)
    bins = quantile_bins(numbers)
    counts = np.bincount(bins.encode(numbers.tolist()).codes)
    assert all(abs(count - 1506 / 4) <= 0.02 * 1506 + 1 for count in counts)
    assert all(len(f"{edge:g}") <= 4 for edge in bins.edges)
    first, second, third, last = bins.levels
    assert first == f"≤ {bins.edges[0]:g}"
    assert second == f"{bins.edges[0]:g}-{bins.edges[1]:g}"
    assert last == f"> {bins.edges[2]:g}"
    assert third != second


@given(
    st.lists(
        st.one_of(st.integers(-5, 5).map(float), st.floats(-1e9, 1e9), st.floats(-1e-6, 1e-6)),
        min_size=2,
        max_size=60,
    ).filter(lambda values: len(set(values)) > 1)
)
@settings(max_examples=300)
def test_quartiles_of_anything(values: list[float]) -> None:
    """Whatever the ties: every value has a bin, no bin is empty, bins rise, names differ."""
    numbers = np.array(values)
    bins = quantile_bins(numbers)
    codes = np.array(bins.encode(values).codes)
    assert (codes >= 0).all()
    assert np.bincount(codes, minlength=len(bins.levels)).min() > 0
    assert len(set(bins.levels)) == len(bins.levels) == len(bins.edges) + 1 >= 2
    assert (np.diff(codes[np.argsort(numbers, kind="stable")]) >= 0).all()
    assert all(math.isfinite(edge) for edge in bins.edges)


def test_heavy_ties_are_kept_together() -> None:
    zeros = quantile_bins(np.r_[np.zeros(70), np.arange(1.0, 31)])
    assert zeros.levels == ("≤ 0", "1-5", "> 5")
    assert zeros.binning == "quartiles of 100 values, ties kept together"
    assert quantile_bins(np.r_[np.full(90, 9.0), np.arange(9.0)]).levels == ("≤ 8", "> 8")


def test_spellings_are_one_level() -> None:
    bins, several = text_levels(
        ["Female", "female ", "FEMALE", "male", "Female", "Stra\u00dfe", "STRASSE", "e\u0301", "\u00e9"]
    )
    assert bins.levels == ("Female", "male", "STRASSE", "\u00e9")
    assert several[0] == ["Female", "FEMALE", "female "]
    assert bins.encode(["FEMALE", "Male", "strasse", "other", None, "nan"]).codes == [0, 1, 2, -1, -1, -1]
    assert dict(bins.encode(["other", "other"]).unseen) == {"other": 2}


def test_numbers_and_booleans_as_levels() -> None:
    assert text_levels([3, 1.0, 10, 2])[0].levels == ("1", "2", "3", "10")
    assert text_levels([1.5, 3.0, 1.5])[0].levels == ("1.5", "3")
    assert text_levels([True, False])[0].levels == ("False", "True")
    assert text_levels([1.5])[0].encode([1.5, 1.50, math.inf]).codes == [0, 0, -1]


@pytest.mark.parametrize(
    "in_order",
    [
        ["<40", "40-50", "50-60", ">60"],
        ["≤ 40", "41-50", "> 50"],
        ["0-40", "41-50", "71+"],
        ["I", "Stage 2", "Stage 10", "stage 11"],
        ["a", "B", "c"],
        ["T1", "T1a", "T2", "T10"],
        ["2", "10", "10a", "x"],
    ],
)
def test_natural_order(in_order: list[str]) -> None:
    for seed in range(5):
        shuffled = random.Random(seed).sample(in_order, len(in_order))
        assert sorted(shuffled, key=natural_order) == in_order


@pytest.mark.parametrize(
    "value",
    [
        "2020-05-17",
        "2020-05-17T10:00:00",
        "17.05.2020",
        "5/17/20",
        "17-May-2020",
        "May 17, 2020",
        "2020/5/7",
        "10:30",
        20200517,
        19991231.0,
        datetime.date(2020, 1, 1),
        pd.Timestamp("2020"),
        datetime.time(9),
        np.datetime64("2020"),
        pd.Timedelta("3D"),
    ],
)
def test_dates(value: object) -> None:
    assert is_date(value)


@pytest.mark.parametrize(
    "value", ["2020", 2020, "41-50", "1-2", "T1", 20201399, 20200517.5, "pre", "3/4", True, None, "may", 12, "1.5"]
)
def test_no_dates(value: object) -> None:
    assert not is_date(value)


def test_what_columns_become() -> None:
    assert infer([0, 1] * 5).levels == ("0", "1")
    assert infer([1.0, 3.0, 2.0] * 5).levels == ("1", "2", "3")
    assert infer([1.5, 3.0] * 5).levels == ("1.5", "3")
    assert infer([f"s{number % 20}" for number in range(40)]).levels[:3] == ("s0", "s1", "s2")
    assert infer([float(number) for number in range(20, 60)] * 2).binning == "quartiles of 80 values"
    assert infer([0.1, 0.2, 0.3, 0.4, 0.5]).binning.startswith("quartiles"), "five fractions of five cases"
    assert infer([2012 + number % 9 for number in range(60)]).binning.startswith("quartiles"), "years are numbers"
    assert infer(["yes"] * 5, n_cases=9).levels == ("yes",), "yes or missing"
    assert infer([number % 12 for number in range(60)], name="site_id").levels[-1] == "11"
    assert infer([*range(7), 7, math.inf, 3]).edges


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ([], {}, "no values"),
        ([math.inf, math.inf], {}, "no finite values"),
        (["MRI"] * 4, {}, "the same value for every case (MRI)"),
        ([3, 3.0, 3], {}, "the same value for every case (3)"),
        ([f"P{number}" for number in range(30)], {}, "identifier or free text"),
        ([f"word {number % 25}" for number in range(90)], {}, "25 different texts, more than 20; choose it"),
        ([f"word {number % 25}" for number in range(90)], {"chosen": True}, "25 different texts, more than 20"),
        ([*map(str, range(20, 80)), *"abcdefghijklmnopqrst"] * 2, {}, "80 different texts, more than 20"),
        (["2020-01-02", "2020-01-03"] * 3, {}, "dates; derive a number such as the age, or years"),
        (["2020-01-02"] * 9 + ["unknown"], {}, "dates"),
        ([20200102, 20210103, 20210109], {}, "dates"),
        (list(range(1001, 1031)), {}, "a running number"),
        (list(range(1000, 9000, 100)), {"name": "Patient ID"}, "it names patients or studies"),
        (list(range(1000, 9000, 100)), {"name": "subject_id"}, "it names patients or studies"),
        (list(range(1000, 9000, 100)), {"name": "MRN"}, "it names patients or studies"),
        (list(range(1000, 9000, 100)), {"name": "grp_uid"}, "an identifier by its name"),
        ([1, 1, 2, 2, 2, 3, 3] * 3, {"name": "patient"}, "it names patients or studies"),
        ([number // 2 for number in range(80)], {"name": "nr"}, "a running number"),
        ([0, 1, 2, 3, 4] * 10, {"name": "fold"}, "a fold or split"),
        (["train", "val", "test"] * 10, {"name": "part"}, "a fold or split"),
        ([f"scan_{number % 5}.nii.gz" for number in range(40)], {"name": "source"}, "names of files"),
        (list(range(1, 27)) * 10, {"name": "site"}, "26 different codes, more than 20; choose it"),
    ],
)
def test_what_columns_are_left_out(values: list[object], options: dict[str, object], words: str) -> None:
    assert words in reason(values, **options)


@pytest.mark.parametrize("name", ["age", "identity score", "grid", "fluid", "lesion_number", "valid", "case_mix"])
def test_names_that_only_look_like_identifiers(name: str) -> None:
    assert infer(list(range(1000, 9000, 100)), name=name).binning.startswith("quartiles")


def test_level_text() -> None:
    assert level_text("  a \t b\n") == "a b"
    assert [level_text(value) for value in (1.0, 0.1, 1e6, 12, np.float64(2), np.int64(3))] == [
        "1",
        "0.1",
        "1000000",
        "12",
        "2",
        "3",
    ]


def read(values: list[object], *, name: str = "c", read_as: str | None = None) -> tuple[tuple[str, ...], str]:
    found = infer_bins(
        name,
        values,
        n_cases=len(values),
        max_levels=20,
        chosen=False,
        keep_constant=False,
        read_as=read_as,  # type: ignore[arg-type]
    )
    return found.bins.levels, found.why


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([*range(1, 9)] * 20, "site"),
        ([*range(1, 10)] * 18, "ethnicity"),
        ([*range(1, 10)] * 18, "nine values, each often"),
        ([*range(11)] * 6, "pain"),
        ([*range(1, 21)], "scanner"),
        ([*range(2, 16)] * 2, "BI-RADS"),
    ],
)
def test_numbers_that_are_names(values: list[int], name: str) -> None:
    levels, _ = read(values, name=name)
    assert levels == tuple(map(str, sorted(set(values))))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([*range(1, 10)] * 2, "few cases of each"),
        ([*range(30, 60)] * 3, "age"),
        ([*range(0, 100, 3)] * 3, "breast_density"),
        ([*range(1, 25)] * 9, "nodes"),
        ([100, 200, 300, 400, 500, 600, 700, 800] * 9, "dose"),
        ([-3, -2, -1, 0, 1, 2, 3] * 9, "change"),
    ],
)
def test_numbers_that_are_quantities(values: list[int], name: str) -> None:
    assert len(read(values, name=name)[0]) <= 4


def test_how_a_column_is_meant_can_be_said() -> None:
    ages = [*range(40, 80)] * 2
    assert len(read(ages, read_as="categorical")[0]) == 40
    assert read([*range(1, 9)] * 20, read_as="numeric") == (("≤ 2", "3-4", "5-6", "> 6"), "as asked for (--numeric)")
    assert read(["II", "I", "III"] * 4, read_as="ordered")[0] == ("I", "II", "III")
    grouped, why = read(ages, read_as="ordered")
    assert grouped == ("40 to 49", "50 to 59", "60 to 69", "70 to 79")
    assert why == "as asked for (--ordered), 40 levels in groups"
    with pytest.raises(UnusableColumnError, match="--numeric: 0 of 6 values are numbers, such as 'a'"):
        read(["a", "b", "c"] * 2, read_as="numeric")


def test_texts_among_numbers_count_as_missing() -> None:
    values = [*map(str, range(20, 80)), "unknown", "unknown"]
    found = infer_bins("age", values, n_cases=62, max_levels=20, chosen=False, keep_constant=False)
    assert found.why == "60 numbers; 2 texts beside them count as missing"
    encoded = found.bins.encode(values)
    assert encoded.codes[-2:] == [-1, -1]
    assert dict(encoded.unseen) == {"unknown": 2}


def test_many_levels_that_are_no_single_cases_are_loud() -> None:
    for values, loud in (
        ([f"S{n % 26}" for n in range(260)], True),
        ([f"note {n}" for n in range(90)] + ["note 1"], False),
    ):
        with pytest.raises(UnusableColumnError) as caught:
            read(values, name="site")
        assert caught.value.is_loud == loud


def test_texts_among_numbers_do_not_make_levels_of_them() -> None:
    ages = [*range(40, 55)] * 4
    values = [*map(str, ages), "unknown", "n.d."]
    bins = infer(values, name="age")
    assert bins.kind == "bins"
    assert infer([*["1", "2", "3"] * 9, "unknown"], name="grade").levels == ("1", "2", "3", "unknown")


def test_postal_codes_and_days_in_numbers() -> None:
    assert "codes" in reason([10000 + 37 * index for index in range(60)], name="zip")
    assert "moments" in reason([43000 + 37 * index for index in range(60)], name="scan_date")
    assert "dates" in reason([f"2020-{index % 12 + 1:02d}" for index in range(60)])
