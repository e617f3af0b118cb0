"""Connected parts: the same by either library, whatever the order in memory; how many, by connectivity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segfair.scoring.lesions import parts
from segfair.scoring.lesions.parts import components, parts_of

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6))
CONNECTIVITY = st.sampled_from((6, 18, 26))


@settings(max_examples=80, deadline=None)
@given(mask=MASKS, connectivity=CONNECTIVITY, fortran=st.booleans())
def test_both_libraries_find_the_same_parts(mask: np.ndarray, connectivity: int, fortran: bool) -> None:
    pytest.importorskip("cc3d")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_has_cc3d", lambda: False)
        by_scipy = parts_of(mask, *components(mask, connectivity))
    other = np.asarray(mask, order="F" if fortran else "C")
    by_cc3d = parts_of(other, *components(other, connectivity))
    assert by_cc3d.n == by_scipy.n
    assert by_cc3d.codes.tolist() == by_scipy.codes.tolist()
    assert by_cc3d.where.tolist() == by_scipy.where.tolist()


@pytest.mark.parametrize(("connectivity", "n"), [(6, 3), (18, 2), (26, 1)])
def test_a_face_an_edge_a_corner(connectivity: int, n: int) -> None:
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[1, 2, 2] = True
    mask[0, 1, 1] = False
    mask[0, 0, 1] = mask[1, 1, 1] = mask[2, 2, 2] = True
    mask[1, 2, 2] = False
    assert components(mask, connectivity)[1] == n


@pytest.mark.parametrize(("connectivity", "n"), [(6, 2), (18, 1), (26, 1)])
def test_in_a_plane_edges_and_corners(connectivity: int, n: int) -> None:
    assert components(np.eye(2, dtype=bool), connectivity)[1] == n


def test_parts_are_numbered_by_their_first_voxel() -> None:
    mask = np.array([[0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 1, 0]], dtype=bool)
    found = parts_of(mask, *components(mask, 6))
    assert found.codes.tolist() == [0, 1, 1, 2]
    assert found.sizes.tolist() == [1, 2, 1]
    assert found.voxels(np.array([1])).tolist() == [[1, 0], [2, 0]]


def test_no_voxel_no_part() -> None:
    empty = np.zeros((3, 0), dtype=bool)
    assert components(empty, 26)[1] == 0
    assert parts_of(np.zeros((2, 2), dtype=bool), np.zeros((2, 2), dtype=int), 0).n == 0
