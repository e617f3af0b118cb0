"""Surfaces of masks and the distances between them: by hand, and against a search voxel by voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from tests.mama_mia_oracle import contour_by_loops, distances_of_all_pairs
from tests.scoring.label_maps import label_maps

from segfair.scoring import kernels, surfaces
from segfair.scoring.metrics import hausdorff
from segfair.scoring.surfaces import (
    Surface,
    count_components,
    distances_between,
    surface_of,
    surface_voxels,
    worth_compiling,
)


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


@settings(max_examples=60, deadline=None)
@given(
    label_maps(1), st.sampled_from(["background", "none"]), st.sampled_from("CF"), st.sampled_from(["u1", "i2", "f8"])
)
def test_compiled_surfaces_equal_the_plain_ones(maps: list[np.ndarray], border: Any, order: Any, dtype: str) -> None:
    labels = np.asarray(maps[0], dtype, order=order)
    found = surface_of(labels, image_border=border, compiled=True)
    np.testing.assert_array_equal(found.voxels, surface_voxels(labels, image_border=border))


def test_label_values_that_need_more_than_a_byte_have_surfaces_too() -> None:
    labels = np.zeros((6, 6, 6), np.int32)
    labels[1:5, 1:5, 1:5] = 256  # whose lowest byte is 0
    assert surface_of(labels, compiled=True).voxels.sum() == 64 - 8


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("density", [0.003, 0.05, 0.5, 0.97])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.3, 4.0)])
def test_each_way_to_measure_equals_all_pairs(density: float, spacing: tuple[float, ...], compiled: bool) -> None:
    # Not compiled, few voxels go through the tree, many through the distance transform.
    rng = np.random.default_rng(3)
    first, second = rng.random((2, 9, 8, 11)) < density
    distances = distances_between(Surface(first, compiled), Surface(second, compiled), spacing=spacing)
    np.testing.assert_allclose(
        distances.label_to_prediction, distances_of_all_pairs(first, second, spacing), rtol=1e-12
    )
    np.testing.assert_allclose(
        distances.prediction_to_label, distances_of_all_pairs(second, first, spacing), rtol=1e-12
    )


@pytest.mark.parametrize("compiled", [False, True])
def test_nothing_is_near_where_the_other_surface_is_empty(compiled: bool) -> None:
    one, none = Surface(box((4, 5, 6), (1, 3), (1, 3), (1, 3)), compiled), Surface(np.zeros((4, 5, 6), bool), compiled)
    distances = distances_between(one, none, spacing=(1.0, 1.0, 1.0))
    assert distances.label_to_prediction.tolist() == [np.inf] * 8
    assert distances.prediction_to_label.size == 0
    assert distances.empty == "one"


@st.composite
def scattered(draw: st.DrawFn, shape: tuple[int, ...], n_most: int = 30) -> np.ndarray:
    """A few voxels anywhere in an image of a shape."""
    places = draw(st.lists(st.tuples(*(st.integers(0, length - 1) for length in shape)), min_size=1, max_size=n_most))
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


@settings(max_examples=40, deadline=None)
@given(
    st.data(),
    st.sampled_from([(40, 3, 50), (2, 70, 5), (90, 60), (1, 1, 80)]),
    st.sampled_from([(1.0, 1.0, 1.0), (0.5, 3.0, 0.9)]),
    st.sampled_from("CF"),
    st.sampled_from([0, 1e9]),
)
def test_far_voxels_are_found_by_rows_and_by_what_stands_behind_them(
    data: st.DataObject, shape: tuple[int, ...], spacing: tuple[float, ...], order: Any, voxels: float
) -> None:
    first, second = (np.asarray(data.draw(scattered(shape)), order=order) for _ in range(2))
    steps = spacing[: len(shape)]
    with pytest.MonkeyPatch.context() as patch:
        # So few that each of the three stages has voxels to settle.
        patch.setattr(surfaces, "_ROWS", 5)
        patch.setattr(surfaces, "_FAR_ROWS", 40)
        patch.setattr(surfaces, "_VOXELS_A_QUERY", voxels)
        distances = distances_between(Surface(first, True), Surface(second, True), spacing=steps)
    for found, expected in (
        (distances.label_to_prediction, distances_of_all_pairs(first, second, steps)),
        (distances.prediction_to_label, distances_of_all_pairs(second, first, steps)),
    ):
        np.testing.assert_allclose(np.sort(found), np.sort(expected), rtol=1e-12)


def rough_ball(rng: np.random.Generator, radius: float) -> np.ndarray:
    axis = np.arange(-20, 21)
    distance = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    noise = ndimage.gaussian_filter(rng.standard_normal(distance.shape), 2)
    return np.asarray(distance < radius * (1 + 0.2 * noise / noise.std()))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("percentile", [50, 95, 100])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 2.0)])
def test_what_decides_a_percentile_gives_that_percentile(
    seed: int, percentile: float, spacing: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(seed)
    label = surface_of(rough_ball(rng, 14), compiled=True)
    # One smaller than the other, so that now the first direction decides and now the second.
    prediction = surface_of(rough_ball(rng, 11 + seed), compiled=True)
    whole = distances_between(label, prediction, spacing=spacing)
    assert len(whole.label_to_prediction) > 2000  # else nothing is spared
    enough = distances_between(label, prediction, spacing=spacing, percentile=percentile)
    assert hausdorff(enough, percentile) == hausdorff(whole, percentile)


def test_a_percentile_spares_the_search_for_most_voxels() -> None:
    label, prediction = (surface_of(rough_ball(np.random.default_rng(0), size), compiled=True) for size in (15, 14))
    visited = []
    search = kernels.nearest_by_rows

    def counting(points: Any, along: Any, rows: Any, across: Any, reach: float, step: float, enough: float) -> Any:
        found, settled = search(points, along, rows, across, reach, step, enough)
        # A search ends with the first row that is further than what was found, or with what is near enough.
        visited.append(int(np.searchsorted(across, np.maximum(found, 1) if enough == 0 else 1).sum()))
        return found, settled

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "nearest_by_rows", counting)
        distances_between(label, prediction, spacing=(1.0, 1.0, 1.0))
        whole = sum(visited)
        visited.clear()
        distances_between(label, prediction, spacing=(1.0, 1.0, 1.0), percentile=95)
    assert sum(visited) < whole / 2


@settings(max_examples=100, deadline=None)
@given(label_maps(1))
def test_compiled_components_equal_the_plain_ones(maps: list[np.ndarray]) -> None:
    mask = maps[0] > 0
    assert count_components(mask, compiled=True) == count_components(mask)


def test_components_that_meet_at_a_corner_only_are_one() -> None:
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[2, 2, 0] = True
    for compiled in (False, True):
        assert count_components(mask, compiled=compiled) == 1
        mask[1, 1, 1] = False
        assert count_components(mask, compiled=compiled) == 2
        mask[1, 1, 1] = True
        assert count_components(np.zeros((2, 2), bool), compiled=compiled) == 0


def test_only_large_images_load_the_compiler() -> None:
    assert not worth_compiling((64, 64, 48))
    assert worth_compiling((320, 320, 128))
    assert not worth_compiling((40_000, 40))  # steps along a row are kept in two bytes


def test_a_few_far_voxels_are_looked_for_in_more_rows_before_all_of_them_are_sorted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near, far = np.zeros((2, 3, 60, 4), bool)
    near[1, :3, 1] = far[1, 2, 1] = True
    near[1, 20, 2] = True
    expected = distances_of_all_pairs(near, far, (1.0, 1.0, 1.0))
    monkeypatch.setattr(surfaces, "_ROWS", 5)
    monkeypatch.setattr(surfaces, "_FAR_ROWS", 6400)
    # What sorts all of them takes longer than such a search.
    monkeypatch.setattr(surfaces._Search, "_nearest_of_far", None)
    found = distances_between(Surface(near, True), Surface(far, True), spacing=(1.0, 1.0, 1.0))
    np.testing.assert_allclose(np.sort(found.label_to_prediction), np.sort(expected))


@pytest.mark.parametrize("value", [0, 1, 255])
def test_label_maps_of_small_values_are_looked_at_by_compiled_loops(
    monkeypatch: pytest.MonkeyPatch, value: int
) -> None:
    # As text headers and viewers store them; a map need not hold any background.
    labels = np.full((4, 5, 6), value, np.int32)
    labels[1:3, 1:3, 1:3] = 7
    expected = surface_voxels(labels)
    monkeypatch.setattr(surfaces, "surface_voxels", None)
    np.testing.assert_array_equal(surface_of(labels, compiled=True).voxels, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [slice(0, 2), slice(-2, None)])
def test_the_first_and_the_last_slice_are_no_neighbours(axis: int, side: slice) -> None:
    labels = np.zeros((4, 5, 6), np.uint8)
    np.moveaxis(labels, axis, 0)[side] = 1
    found = surface_of(labels, image_border="none", compiled=True).voxels
    # Two slices, of which the inner one alone has background beside it.
    assert found.sum() == labels.sum() / 2
    np.testing.assert_array_equal(found, surface_voxels(labels, image_border="none"))
