"""The words errors share: close names, and lists that stay short."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from segfair.errors import (
    AuditError,
    ConfigError,
    GeometryError,
    InputError,
    MetadataError,
    PairingError,
    SegfairError,
    close_names,
    cut_text,
    damage_of,
    some,
)


def test_close_names() -> None:
    assert close_names("Agee", ["age", "site"]) == " (did you mean age?)"
    assert close_names("AGE", ["age"]) == " (did you mean age?)"
    assert close_names("zzz", ["age"]) == ""


@pytest.mark.parametrize(
    ("texts", "words"),
    [([], ""), (["a", "b"], "a, b"), (range(5), "0, 1, 2 and 2 more"), (["x" * 70], "x" * 57 + "...")],
)
def test_a_list_shows_the_first_and_counts_the_rest(texts: Iterable[object], words: str) -> None:
    assert some(texts) == words


def test_a_text_is_cut_only_where_it_is_too_long() -> None:
    assert cut_text("x" * 60) == "x" * 60
    assert cut_text("abcdef", 5) == "ab..."


def test_whoever_catches_one_catches_what_it_is_a_kind_of() -> None:
    for kind in (PairingError, GeometryError, MetadataError):
        assert issubclass(kind, InputError)
    for kind in (InputError, ConfigError, AuditError):
        assert issubclass(kind, SegfairError)
        assert not issubclass(kind, ValueError), "what was refused on purpose is told from what went wrong"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no picture"), "no picture"),
        (SyntaxError("not a TIFF file"), "not a TIFF file"),
        (EOFError("3 bytes are missing"), "3 bytes are missing"),
        (TypeError("int() argument must be a string, not 'NoneType'"), "damaged"),
        (IndexError("list index out of range"), "damaged"),
        (AttributeError("'tuple' object has no attribute 'x'"), "damaged"),
    ],
)
def test_a_reader_that_stumbles_is_not_quoted(error: Exception, told: str) -> None:
    assert damage_of(error) == told
