"""The box around what is not background, against a search along each axis."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scoring.label_maps import label_maps

from segfair.files.images.grids import Mask, Place
from segfair.scoring.boxes import box_around, joint_box


@settings(max_examples=60, deadline=None)
@given(label_maps())
def test_the_joint_box_holds_everything_and_one_voxel_more(maps: list[np.ndarray]) -> None:
    found = joint_box(*maps)
    anything = (maps[0] != 0) | (maps[1] != 0)
    if found is None:
        assert not anything.any()
        return
    for axis, bounds in enumerate(found):
        where = np.flatnonzero(anything.any(axis=tuple(set(range(anything.ndim)) - {axis})))
        assert bounds == slice(max(where[0] - 1, 0), min(where[-1] + 2, anything.shape[axis]))


@settings(max_examples=60, deadline=None)
@given(label_maps(), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_the_box_around_parts_is_that_of_the_whole(maps: list[np.ndarray], around: list[int]) -> None:
    n_axes = maps[0].ndim
    before, behind = around[:n_axes], around[3 : 3 + n_axes]
    whole = [np.pad(array, list(zip(before, behind, strict=True))) for array in maps]
    place = Place(whole[0].shape, tuple(before))
    assert box_around(*(Mask(array, np.eye(4), place=place) for array in maps)) == joint_box(*whole)
