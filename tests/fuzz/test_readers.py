"""Each reader reads what is valid, and reads or refuses in words whatever is near it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segfair.errors import InputError
from tests.fuzz.forms import Form, attempt
from tests.fuzz.readers import READERS
from tests.fuzz.strategies import changed


@cache
def forms(reader: str) -> list[Form]:
    if reader == "models and trainings":
        pytest.importorskip("monai")
    return list(READERS[reader]())


@pytest.mark.parametrize("reader", READERS)
def test_what_is_valid_is_read(reader: str, tmp_path: Path) -> None:
    for form in forms(reader):
        outcomes = {attempt(form, content, tmp_path) for content in form.seeds}
        assert "read" in outcomes, form.name


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large])
def test_what_is_near_it_is_read_or_refused_in_words(reader: str, tmp_path: Path, data: st.DataObject) -> None:
    form, content = data.draw(changed(forms(reader)))
    assert attempt(form, content, tmp_path) in ("read", "refused")


def _raises(error: Exception, cause: Exception | None = None) -> Form:
    def read(path: Path) -> None:
        raise error from cause

    return Form("a.txt", read, ())


def test_what_counts_as_a_fault(tmp_path: Path) -> None:
    assert attempt(_raises(InputError("a.txt: is empty")), b"", tmp_path) == "refused"
    with pytest.raises(AssertionError, match="which file"):
        attempt(_raises(InputError("it is empty")), b"", tmp_path)
    with pytest.raises(AssertionError, match="Python"):
        attempt(_raises(InputError("a.txt: 'NoneType' object is not iterable")), b"", tmp_path)
    with pytest.raises(AssertionError, match="memory"):
        attempt(_raises(InputError("a.txt: too large"), MemoryError()), b"", tmp_path)
    with pytest.raises(KeyError):
        attempt(_raises(KeyError("x")), b"", tmp_path)
