"""Surfaces of masks and the distances between them: by hand, and against a search voxel by voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.mama_mia_oracle import contour_by_loops, distances_of_all_pairs

from segfair.scoring.surfaces import distances_between, joint_box, surface_voxels

SHAPES = st.lists(st.integers(1, 6), min_size=2, max_size=3).map(tuple)


@st.composite
def label_maps(draw: st.DrawFn, n: int = 2) -> list[np.ndarray]:
    """Several sparse label maps of one 2-D or 3-D shape."""
    shape = draw(SHAPES)
    return [
        draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3), fill=st.sampled_from([0, 1]))) for _ in range(n)
    ]


def box(shape: tuple[int, ...], *ranges: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*bounds) for bounds in ranges)] = True
    return mask


def test_the_image_border_is_background_or_no_neighbour() -> None:
    corner = box((10, 12, 8), (0, 3), (0, 3), (0, 3))
    # Only the faces at index 2 look at background: 27 voxels less the 2x2x2 block of indices 0 and 1.
    assert surface_voxels(corner, image_border="none").sum() == 19
    # With the outside as background only the centre of the cube is inside.
    assert surface_voxels(corner, image_border="background").sum() == 26
    full = np.ones((4, 5), dtype=bool)
    assert not surface_voxels(full, image_border="none").any()
    assert surface_voxels(full, image_border="background").sum() == 20 - 2 * 3


def test_the_border_between_two_labels_is_surface() -> None:
    halves = box((10, 12, 8), (2, 6), (2, 6), (2, 6)).astype(np.uint8)
    whole = surface_voxels(halves).sum()
    halves[4:6] *= 2
    assert whole == 64 - 8
    assert surface_voxels(halves).sum() == 64  # the inner 2x2x2 block is cut by the border


@settings(max_examples=60, deadline=None)
@given(label_maps(1), st.sampled_from(["background", "none"]))
def test_surface_voxels_equal_a_search_voxel_by_voxel(maps: list[np.ndarray], border: Any) -> None:
    (labels,) = maps
    # An axis of length 1 has no neighbours, not even outside of the image: a slice is a slice.
    flat = labels.squeeze()
    expected = contour_by_loops(flat, outside_is_background=border == "background").reshape(labels.shape)
    np.testing.assert_array_equal(surface_voxels(labels, image_border=border), expected)


@pytest.mark.parametrize("density", [0.003, 0.05, 0.5, 0.97])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 4.0)])
def test_both_ways_to_measure_equal_all_pairs(density: float, spacing: tuple[float, ...]) -> None:
    # Few voxels go through the tree, many through the distance transform.
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 9, 8, 11)) < density
    distances = distances_between(first, second, spacing=spacing)
    np.testing.assert_allclose(
        distances.label_to_prediction, distances_of_all_pairs(first, second, spacing), rtol=1e-12
    )
    np.testing.assert_allclose(
        distances.prediction_to_label, distances_of_all_pairs(second, first, spacing), rtol=1e-12
    )


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
