"""The border where texts, JSON and TOML come in: what is refused, and in which words."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from segfair.documents import MOST_DEEP, check_tree, has_keys, named_type, parse_json, parse_toml, read_json, read_text
from segfair.errors import ConfigError, InputError


def test_what_is_no_file_of_text_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"ab\xff")
    (tmp_path / "large").write_text("12345")
    for name, words in (("gone", "no such file"), (".", "is a folder"), ("pipe", "a pipe or a device"),
                        ("bytes", "not UTF-8 text \\(byte 2\\)"), ("large", "has 5 bytes, and at most 4 are read")):  # fmt: skip
        with pytest.raises(InputError, match=words):
            read_text(tmp_path / name, most=4)
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfa\n")
    assert read_text(tmp_path / "marked") == "a\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a: not JSON but empty"),
        ("{", r"a: not JSON \(line 1, column 2: expecting property name"),
        ('{"b": 1, "b": 2}', "a: b stands twice in one object"),
        ("[NaN]", "a: holds NaN, which JSON does not know"),
        ("[" + "9" * 5000 + "]", "a: holds a number of 5,000 digits"),
        ("[9223372036854775808]", "a: holds a number of 19 digits"),
        ("[1e999]", "a: holds 1e999, too large a number"),
        ("[" * (MOST_DEEP + 1) + "]" * (MOST_DEEP + 1), "a: lists and tables are nested more than 64 deep"),
        ("[" * 100_000, "a: lists and tables are nested more than 64 deep"),
    ],
)
def test_json_that_nobody_means_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_json(text, "a")


def test_json_at_its_bounds_is_read() -> None:
    deepest = "[" * MOST_DEEP + "]" * MOST_DEEP
    assert parse_json(deepest, "a") == eval(deepest)
    assert parse_json("[9223372036854775807, -1e300]", "a") == [2**63 - 1, -1e300]
    assert parse_json("[NaN]", "a", not_finite=True)[0] != parse_json("[NaN]", "a", not_finite=True)[0]
    assert parse_json(r'"\udcff"', "a") == "\udcff"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = ", "b: not TOML"),
        ("a = 1\na = 2", "b: not TOML"),
        ("a = " + "9" * 5000, "b: holds a number of thousands of digits"),
        ("a = " + "[" * 70 + "]" * 70, "b: lists and tables are nested"),
    ],
)
def test_toml_that_nobody_means_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_toml(text, "b", refusal=ConfigError)


def test_a_tree_that_is_not_as_its_schema_says_is_told_by_its_place() -> None:
    pair = {"type": "array", "items": {"type": "number"}, "prefixItems": [{"type": "number"}] * 2, "minItems": 2}
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {**pair, "maxItems": 2}, "b": {"enum": ["x", None]}},
    }
    check_tree({"a": (1, 2.5), "b": None}, schema, "f.json")
    cases: list[tuple[Any, str]] = [
        ([], r"f\.json: an object expected, got \[\]"),
        ({}, r"f\.json: a is missing"),
        ({"a": [0.5]}, r"f\.json: a: two numbers expected, got \[0\.5\]"),
        ({"a": [1, "2"]}, r"f\.json: a\.1: a number expected, got '2'"),
        ({"a": [1, 2], "b": "y"}, r"f\.json: b: x or null expected, got 'y'"),
    ]
    for tree, words in cases:
        with pytest.raises(InputError, match=words):
            check_tree(tree, schema, "f.json")


def test_a_file_is_known_by_its_keys(tmp_path: Path) -> None:
    for name, text in (("a", '{"b": 1, "c": null}'), ("list", '["b", "c"]'), ("broken", "{")):
        (tmp_path / name).write_text(text)
    assert has_keys(tmp_path / "a", "b", "c")
    assert not any(has_keys(tmp_path / name, "b", "d") for name in ("a", "list", "broken", "gone"))
    assert not has_keys(tmp_path / "list", "b")
    assert read_json(tmp_path / "a") == {"b": 1, "c": None}


def test_plain_values_have_names() -> None:
    assert [named_type(value) for value in ([], {}, "", True, None, 1.5)] == [
        "a list", "an object", "a text", "true or false", "nothing (null)", "a number",
    ]  # fmt: skip
