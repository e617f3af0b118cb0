"""The language of --where."""

from __future__ import annotations

import datetime
import random

import pandas as pd
import pytest

from segfair.errors import ConfigError
from segfair.intake.where import fulfilled

ROWS = [
    {"age": 40, "split": "test", "site": "A", "time to event": 30.0, "smoker": True, "class": "x"},
    {"age": 55, "split": "train", "site": "B", "time to event": None, "smoker": False, "class": "y"},
    {"age": None, "split": "test ", "site": "it's `C`", "time to event": 12.0, "smoker": None, "class": "x"},
    {"age": 70, "split": None, "site": "A", "time to event": 0.0, "smoker": False, "class": "y"},
]
COLUMNS = list(ROWS[0])


def chosen(expression: str) -> list[int]:
    return [index for index, holds in enumerate(fulfilled(expression, ROWS, columns=COLUMNS)) if holds]


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ('split == "test"', [0, 2]),
        ("split == 'test' and age >= 40", [0]),
        ('split != "test"', [1]),
        ("age > 50 or site == 'A'", [0, 1, 3]),
        ("not (age > 50)", [0, 2]),
        ("40 < age <= 55", [1]),
        ("age in [40, 70]", [0, 3]),
        ("age not in (40, 70)", [1]),
        ("site in {'A'}", [0, 3]),
        ("age is None", [2]),
        ("age is not None and split is not None", [0, 1]),
        ("`time to event` / 12 > 2", [0]),
        ('col["time to event"] >= 12', [0, 2]),
        ("age / `time to event` > 0", [0]),
        ("-age + 2 * 30 < -5", [3]),
        ("smoker", [0]),
        ("not smoker", [1, 2, 3]),
        ("smoker == False", [1, 3]),
        ('site == "it\'s `C`"', [2]),
        ('`class` == "y" and `split` == "train"', [1]),
        ("age > -1e9", [0, 1, 3]),
        ("True", [0, 1, 2, 3]),
        ("(\n age > 50\n)", [1, 3]),
        ("age == '40'", []),
    ],
)
def test_conditions(expression: str, rows: list[int]) -> None:
    assert chosen(expression) == rows


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("agee > 3", ["no column agee", "did you mean age"]),
        ("xyz > 3", ["no column xyz", "columns are age, split"]),
        ("__import__('os').system('x')", ["not known here"]),
        ("age.__class__ == 1", ["not known here"]),
        ("(lambda: 1)()", ["not known here"]),
        ("[x for x in age] == 1", ["not known here"]),
        ("age if smoker else site", ["not known here"]),
        ("f'{age}' == '4'", ["not known here"]),
        ("age ** 9 > 1", ["not known here"]),
        ("age // 9 > 1", ["not known here"]),
        ("(age := 3) > 2", ["not known here"]),
        ("age[0] > 1", ["a column is age"]),
        ("frame['age'] > 1", ["a column is age"]),
        ("col[0] > 1", ["a column is age"]),
        ("b'x' == site", ["neither text nor number"]),
        ("age = 3", ["compare with =="]),
        ("age > ", ["cannot be read"]),
        ("class == 'x'", ["backticks"]),
        ("(age > 3) & (age < 9)", ["write and for &"]),
        ("~smoker", ["not known here"]),
        ("age", ["is 40, no condition"]),
        ("age and smoker", ["is 40, no condition"]),
        ("split > 3", ["compares text with a number"]),
        ("age < 'x'", ["compares text with a number"]),
        ("split + 'x' == 'y'", ["no number to reckon with"]),
        ("split * 999999999 == 'y'", ["no number to reckon with"]),
        ("smoker + 1 > 0", ["no number to reckon with"]),
        ("age == None", ["is None"]),
        ("age is 40", ["use == for values"]),
        ("age in site", ["stands a list"]),
        ("age in [age]", ["only texts and numbers"]),
        ("age == [40]", ["only behind in"]),
        ("[40] == age", ["only behind in"]),
        ("True or hidden_name", ["no column hidden_name"]),
        ("age > 1" + " and age > 1" * 400, ["longer than"]),
        ("(" * 900 + "age" + ")" * 900, ["--where"]),
        ("-" * 1900 + "1 > 0", ["--where"]),
        ("age > 3\nage > 4", ["cannot be read"]),
        ("age > 3; age", ["cannot be read"]),
    ],
)
def test_everything_else_is_refused_with_a_reason(expression: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        fulfilled(expression, ROWS, columns=COLUMNS)
    assert "--where" in str(caught.value)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_dates_compare_as_iso_text() -> None:
    rows = [{"day": pd.Timestamp("2015-03-01")}, {"day": datetime.date(2016, 1, 1)}, {"day": pd.NaT}]
    assert fulfilled('day >= "2015-03-01"', rows, columns=["day"]) == [True, True, False]
    assert fulfilled('day == "2016-01-01"', rows, columns=["day"]) == [False, True, False]


def test_agrees_with_pandas_where_nothing_is_missing() -> None:
    rng = random.Random(3)
    frame = pd.DataFrame(
        {
            "a": [rng.randint(0, 5) for _ in range(40)],
            "b": [rng.random() for _ in range(40)],
            "s": [rng.choice("xyz") for _ in range(40)],
        }
    )
    atoms = ["a > 2", "a + 1 <= b * 6", "s == 'x'", "s in ['y', 'z']", "not a == 3", "1 < a < 5", "a / 2 - b > 0"]
    for _ in range(60):
        expression = rng.choice(atoms)
        for _ in range(rng.randint(1, 4)):
            expression = f"({expression} {rng.choice(['and', 'or'])} {rng.choice(atoms)})"
        expected = frame.query(expression, engine="python").index.tolist()
        found = fulfilled(expression, frame.to_dict("records"), columns=list(frame))
        assert [index for index, holds in enumerate(found) if holds] == expected, expression
