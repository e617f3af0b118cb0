"""Balanced draws by hand, and who has which levels."""

from __future__ import annotations

import numpy as np
import pytest
from tests.mitigation.toy_training import make_table

from segfair.mitigation.weighting.balance import balanced_weights, members_of

TABLE = make_table(list("ABCDEF"), {"sex": list("ffffmm"), "site": list("aaabab")})


def test_an_exponent_of_one_gives_every_cell_the_same_sum() -> None:
    # Cells: fa {A, B, C}, fb {D}, ma {E}, mb {F}.
    weights = balanced_weights(TABLE, exponent=1.0, over="cells")
    assert weights == pytest.approx([0.5, 0.5, 0.5, 1.5, 1.5, 1.5])


def test_an_exponent_of_zero_draws_every_case_once() -> None:
    for over in ("cells", "attributes"):
        assert balanced_weights(TABLE, exponent=0.0, over=over) == pytest.approx(np.ones(6))  # type: ignore[arg-type]


def test_over_attributes_every_level_has_the_same_sum_of_each() -> None:
    weights = balanced_weights(make_table(list("ABCDEF"), {"sex": list("ffffmm")}), exponent=1.0, over="attributes")
    assert weights == pytest.approx([0.75] * 4 + [1.5] * 2)


def test_without_attributes_or_cases() -> None:
    bare = make_table(list("ABC"), {})
    assert balanced_weights(bare, exponent=1.0, over="attributes").tolist() == [1, 1, 1]
    assert balanced_weights(make_table([], {}), exponent=1.0, over="cells").tolist() == []


def test_members_have_every_level() -> None:
    assert members_of(TABLE, {"sex": "f", "site": "a"}).tolist() == [True] * 3 + [False] * 3
    assert members_of(TABLE, {"sex": "x"}).tolist() == [False] * 6
    assert members_of(TABLE, {"age": "old"}).tolist() == [False] * 6
