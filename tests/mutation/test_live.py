"""Which faults can be put into functions that live, and that they are what runs then."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.live import Functions, changed_functions

SOURCE = """\
from functools import cache

LIMIT = 3


def total(a: int, b: int = 1) -> int:
    def inner() -> int:
        return a + b

    return inner()


@cache
def kept() -> int:
    return LIMIT + 1


class Pair:
    first = 1

    @property
    def second(self) -> int:
        return self.first + 1


def both() -> tuple[int, int]:
    return total(2), Pair().second
"""


@pytest.fixture
def module(tmp_path: Path) -> ModuleType:
    path = tmp_path / "package" / "some.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("some_of_a_package", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put_in(module: ModuleType, before: str, after: str) -> bool:
    assert before in SOURCE
    path = Path(str(module.__file__))
    put = Functions(path.parent).patch(path, SOURCE, SOURCE.replace(before, after))
    if put is not None:
        put()
    return put is not None


def test_a_function_called_by_others_has_the_fault(module: ModuleType) -> None:
    assert module.both() == (3, 2)
    assert put_in(module, "return a + b", "return a - b")
    assert module.both() == (1, 2)


def test_a_property_and_what_a_decorator_wraps_have_it(module: ModuleType) -> None:
    assert put_in(module, "self.first + 1", "self.first + 2")
    assert put_in(module, "LIMIT + 1", "LIMIT - 1")
    assert (module.both(), module.kept()) == ((3, 3), 2)


@pytest.mark.parametrize(
    ("before", "after"), [("LIMIT = 3", "LIMIT = 4"), ("b: int = 1", "b: int = 2"), ("    first = 1", "    first = 2")]
)
def test_constants_defaults_and_fields_are_left_to_a_new_import(module: ModuleType, before: str, after: str) -> None:
    assert not put_in(module, before, after)
    assert module.both() == (3, 2)


def test_a_true_in_the_place_of_a_one_is_seen() -> None:
    assert changed_functions("def f():\n    return 1\n", "def f():\n    return True\n", "some.py")
    assert not changed_functions("A = 1\n", "A = True\n", "some.py")


def test_a_module_that_never_ran_has_nothing_to_put_it_into(tmp_path: Path) -> None:
    path = tmp_path / "other.py"
    assert Functions(tmp_path).patch(path, SOURCE, SOURCE.replace("a + b", "a - b")) is None
    assert "other" not in sys.modules
