"""Cells: sums through cells are sums over members; identical and complementary memberships are recognised."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segfair.stats.cells import collapse, distinct_rows

memberships = hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 20)))


@settings(max_examples=60, deadline=None)
@given(memberships, st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_sums_through_cells_are_sums_over_members(members: np.ndarray, seed: int, n_blocks: int) -> None:
    rng = np.random.default_rng(seed)
    n_cases = members.shape[1]
    values = rng.normal(size=(4, n_cases))
    cells = collapse(members, blocks=rng.integers(0, n_blocks, n_cases))
    (sums,) = cells.multiply(cells.sums(values[:, cells.order]))
    np.testing.assert_allclose(sums, members.astype(float) @ values.T, atol=1e-12)
    np.testing.assert_array_equal(cells.members, members.sum(axis=1))
    assert np.all(np.diff(cells.blocks) >= 0)


def test_cases_alike_share_a_cell_unless_their_blocks_differ() -> None:
    members = np.array([[1, 0, 1, 0, 1]], dtype=bool)
    assert sorted(collapse(members).sizes) == [2, 3]
    assert len(collapse(members, blocks=np.array([0, 0, 1, 1, 0])).sizes) == 4


def test_many_subgroups_go_through_in_row_blocks(monkeypatch: object) -> None:
    import segfair.stats.cells as module

    rng = np.random.default_rng(0)
    members = rng.random((40, 30)) < 0.4
    values = rng.normal(size=(3, 30))
    cells = collapse(members)
    (at_once,) = cells.multiply(cells.sums(values[:, cells.order]))
    monkeypatch.setattr(module, "_ROW_BLOCK_BYTES", 8 * 30 * 7)  # type: ignore[attr-defined]
    (in_blocks,) = cells.multiply(cells.sums(values[:, cells.order]))
    np.testing.assert_allclose(at_once, in_blocks, atol=1e-13)


def test_identical_and_complementary_memberships() -> None:
    members = np.array([[1, 1, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 1, 1], [1, 1, 0, 0, 0]], dtype=bool)
    first, representative, sign = distinct_rows(members, complements=True)
    assert first.tolist() == [0, 1]
    assert representative.tolist() == [0, 1, 0, 0]
    assert sign.tolist() == [1, 1, -1, 1]
    first, representative, sign = distinct_rows(members, complements=False)
    assert first.tolist() == [0, 1, 2]
    assert representative.tolist() == [0, 1, 2, 0]
    assert sign.tolist() == [1, 1, 1, 1]


def test_no_subgroups_and_no_cases() -> None:
    assert collapse(np.zeros((0, 5), dtype=bool)).sizes.tolist() == [5]
    assert len(collapse(np.zeros((2, 0), dtype=bool)).sizes) == 0
    for shape in ((0, 5), (2, 0)):
        first, representative, sign = distinct_rows(np.zeros(shape, dtype=bool), complements=True)
        assert len(first) == min(1, shape[0])
        assert len(representative) == len(sign) == shape[0]
