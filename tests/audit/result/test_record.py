"""The record of a study, from TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from segfair.audit.result.record import audited_name, read_record, text_of, with_names
from segfair.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(text, "utf-8")
    return path


def test_known_keys_lead_and_unknown_ones_are_kept(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'zeta = [1, 2]\napprover = "A. B."\nmodel = "net"\nsigned = 2025-03-01\n[site]\nname = "X"\n'
    )
    assert list(read_record(path).items()) == [
        ("model", "net"),
        ("approver", "A. B."),
        ("zeta", [1, 2]),
        ("signed", "2025-03-01"),
        ("site", {"name": "X"}),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [("model = ", "not TOML"), ("", "empty; known keys are title, model"), ("[a]\nb = nan", r"study\.toml, a\.b: nan")],
)
def test_what_cannot_be_kept_is_refused_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_record(write(tmp_path, text))


def test_a_missing_file_and_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: no such file"):
        read_record(tmp_path / "gone.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes\.toml: is not UTF-8 text"):
        read_record(tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({}, ""),
        ({"model": "net", "version": 2.1, "cohort": "MAMA"}, "net 2.1 · MAMA"),
        ({"model": {"name": "net", "version": "2"}, "intended_use": "none"}, "net 2"),
        ({"cohort": ["A", "B"]}, "A, B"),
        ({"title": "Site audit", "model": "net"}, "Site audit"),
        ({"title": "x" * 500}, "x" * 119 + "…"),
        ({"title": "a\u202eb"}, "a⟨U+202E⟩b"),
    ],
)
def test_what_was_audited_has_a_name_in_a_line(record: dict[str, object], name: str) -> None:
    assert audited_name(record) == name


def test_a_key_may_be_a_table_a_list_or_not_there() -> None:
    record = {"model": {"vendor": "V"}, "cohort": ["A", 3], "approver": ""}
    assert [text_of(record, key) for key in ("model", "cohort", "approver", "role")] == ["", "A, 3", "", ""]


def test_names_come_before_what_the_record_says_and_in_its_order() -> None:
    record = {"zeta": 1, "cohort": "old", "model": "net"}
    found = with_names(record, title="T", model=None, cohort="new")
    assert list(found.items()) == [("title", "T"), ("model", "net"), ("cohort", "new"), ("zeta", 1)]
    assert record["cohort"] == "old"
