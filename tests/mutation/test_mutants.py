"""Which faults are put in: where, how many, and always the same."""

from pathlib import Path

import pytest

from tests.mutation.mutants import modules, mutants_of, sample

SOURCE = '''\
"""A module: 1 + 1."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    COUNT = 3


@dataclass(frozen=True)
class Pair:
    first: int | None


def total(values: list[int], *, start: int | None = 3) -> float | None:
    return sum(values) + 2
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for room, lines in (("scoring", 30), ("stats", 10)):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("ONE = 1\n")
        (tmp_path / room / "some.py").write_text("".join(f"a{i} = b{i} + {i}\n" for i in range(lines)))
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "app.py").write_text("TWO = 2\n")
    return tmp_path


def test_annotations_texts_and_what_forms_a_class_are_left_alone() -> None:
    places = mutants_of(SOURCE)
    # The star of keywords (which makes no program), a default, and the last line: its sign and its number.
    assert [SOURCE.splitlines()[line - 1][begin:end] for (line, begin), (_, end) in places] == ["*", "3", "+", "2"]
    names = {name.split("_")[0] for changes in places.values() for name, _ in changes}
    assert names == {"ReplaceBinaryOperator", "NumberReplacer"}


def test_identity_for_equality_is_no_fault() -> None:
    names = {name for changes in mutants_of("a = b == c\n").values() for name, _ in changes}
    assert "ReplaceComparisonOperator_Eq_NotEq" in names
    assert "ReplaceComparisonOperator_Eq_Is" not in names


def test_only_the_rooms_that_compute_are_changed(package: Path) -> None:
    assert modules(package) == ["scoring/some.py", "stats/some.py"]


def test_the_sample_is_spread_by_size_and_the_same_for_a_seed(package: Path) -> None:
    drawn = sample(package, 8, seed=1)
    # 60 and 20 places.
    assert [mutant.module for mutant in drawn] == ["scoring/some.py"] * 6 + ["stats/some.py"] * 2
    assert drawn == sample(package, 8, seed=1)
    assert drawn != sample(package, 8, seed=2)


def test_a_fault_changes_the_line_it_names_and_no_other(package: Path) -> None:
    for mutant in sample(package, 8, seed=1):
        before = (package / mutant.module).read_text().splitlines()
        after = mutant.source.splitlines()
        changed = [line for line, (one, other) in enumerate(zip(before, after, strict=True), 1) if one != other]
        assert changed == [mutant.line]
        assert (before[mutant.line - 1], after[mutant.line - 1]) == (mutant.before, mutant.after)


def test_what_is_no_program_is_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "scoring").mkdir()
    # The star of keywords alone is taken for a product.
    (tmp_path / "scoring" / "some.py").write_text("def total(*, a):\n    return a\n\n\nB = total(a=1)\n")
    drawn = sample(tmp_path, 3, seed=0)
    assert [mutant.line for mutant in drawn] == [5]


def test_there_are_no_more_faults_than_places(package: Path) -> None:
    assert len(sample(package, 1000, seed=0)) == 80
