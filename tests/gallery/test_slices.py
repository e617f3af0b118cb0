"""Slices through the largest error: where it is, which way pictures run, outlines along the pixels."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segfair.files.images.grids import Mask, align, axis_codes
from segfair.gallery.slices import largest_error, outline, views


def box(shape, *ranges) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*ends) for ends in ranges)] = True
    return mask


def filled(path: str, shape: tuple[int, int]) -> np.ndarray:
    """The pixels inside a path by the even-odd rule: crossings of vertical runs to the left of each centre."""
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=int)
    for loop in path.split("z")[:-1]:
        start = re.match(r"M(\d+) (\d+)", loop)
        first = at = [int(start[1]), int(start[2])]
        runs = [(kind, int(length)) for kind, length in re.findall(r"([hv])(-?\d+)", loop)]
        corners = [at]
        for kind, length in runs:
            at = [at[0] + length, at[1]] if kind == "h" else [at[0], at[1] + length]
            corners.append(at)
        corners.append(first)
        for (x, y), (to_x, to_y) in pairwise(corners):
            assert (x == to_x) != (y == to_y), "every run, the closing one too, follows the pixels"
            if x == to_x:
                crossings[min(y, to_y) : max(y, to_y), x] += 1
    return np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1


@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_an_outline_filled_again_is_the_mask(mask: np.ndarray) -> None:
    found = outline(mask)
    assert found.step == 1
    assert (filled(found.path, mask.shape) == mask).all()


def test_outlines_are_short_and_clockwise() -> None:
    assert outline(box((6, 8), (1, 3), (2, 6))).path == "M2 1h4v2h-4z"
    assert outline(np.zeros((3, 3), dtype=bool)).path == ""
    ring = box((5, 5), (0, 5), (0, 5)) & ~box((5, 5), (1, 4), (1, 4))
    assert outline(ring).path == "M0 0h5v5h-5zM1 4h3v-3h-3z"


def test_pixels_that_touch_by_a_corner_have_loops_of_their_own() -> None:
    assert outline(np.eye(2, dtype=bool)).path == "M0 0h1v1h-1zM1 1h1v1h-1z"


def test_noise_is_drawn_coarser_and_loses_no_pixel() -> None:
    noise = np.random.default_rng(1).random((301, 257)) < 0.01
    found = outline(noise, longest=1500)
    assert found.step > 1
    assert len(found.path) <= 1500
    assert filled(found.path, (320, 320))[:301, :257][noise].all()


def test_the_largest_error_is_the_deepest_voxel_of_the_largest_region() -> None:
    label = box((20, 20, 20), (2, 5), (2, 5), (2, 5))
    prediction = box((20, 20, 20), (8, 15), (8, 15), (8, 15))
    assert largest_error(label, prediction) == (11, 11, 11)
    assert largest_error(prediction, label) == (11, 11, 11)
    # A far single voxel is the farthest error, but not the largest.
    prediction[19, 0, 19] = True
    assert largest_error(label, prediction) == (11, 11, 11)


def test_regions_that_touch_by_an_edge_are_two() -> None:
    label = box((9, 9), (0, 3), (0, 3)) | box((9, 9), (3, 5), (3, 5))
    assert largest_error(label, np.zeros_like(label)) == (1, 1)


def test_without_a_difference_the_middle_of_the_label_is_shown() -> None:
    label = box((9, 9, 9), (1, 8), (1, 8), (1, 8))
    assert largest_error(label, label) == (4, 4, 4)
    empty = np.zeros((4, 4, 4), dtype=bool)
    assert largest_error(empty, empty) is None
    assert views(empty, empty, spacing_mm=(1, 1, 1)) == ()


def test_a_mask_at_the_edge_of_the_image_is_not_deep_there() -> None:
    label = box((9, 9), (0, 5), (0, 9))
    assert largest_error(label, np.zeros_like(label)) == (2, 2)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_pictures_run_as_radiologists_read_them_however_the_file_is_stored(order, signs) -> None:
    """A lesion with a mark at its right, front, upper corner: the mark is left, and above."""
    world = np.zeros((12, 14, 16), dtype=bool)
    world[4:9, 4:9, 4:9] = True
    mark = np.zeros_like(world)
    mark[7:9, 7:9, 7:9] = True
    spacing = np.array([1.0, 2.0, 3.0])
    ras = np.diag([*spacing, 1.0])
    ras[:3, 3] = 5
    stored = np.zeros((4, 4))
    for axis, (source, sign) in enumerate(zip(order, signs, strict=True)):
        stored[source, axis] = sign
        stored[source, 3] = world.shape[source] - 1 if sign < 0 else stored[source, 3]
    stored[3, 3] = 1
    target = Mask(np.zeros([world.shape[axis] for axis in order], dtype=bool), ras @ stored)
    label, image = (align(Mask(array, ras), target, tolerance=1e-6).array for array in (world & ~mark, world * 1.0))
    prediction = align(Mask(world, ras), target, tolerance=1e-6).array
    found = views(label, prediction, spacing_mm=target.spacing_mm, codes=axis_codes(target), image=image)
    assert [view.plane for view in found] == ["axial", "coronal", "sagittal"]
    assert [view.sides for view in found] == [tuple("RLAP"), tuple("RLSI"), tuple("APSI")]
    assert [view.pixel_mm for view in found] == [(1, 2), (1, 3), (2, 3)]
    for view in found:
        column, row = view.error
        assert view.prediction[row, column]
        assert not view.label[row, column], "the error is where the two differ"
        wrong = np.argwhere(view.label ^ view.prediction)
        right = np.argwhere(view.prediction)
        assert wrong.min(axis=0).tolist() == right.min(axis=0).tolist(), "upper left corner"
        assert (view.image > 0).tolist() == view.prediction.tolist()


def test_slices_are_cut_to_both_masks_with_a_margin_in_millimetres() -> None:
    label = box((60, 60, 30), (20, 30), (20, 30), (10, 20))
    (axial, coronal, _) = views(label, np.zeros_like(label), spacing_mm=(1.0, 1.0, 4.0), codes="LPS")
    # One voxel of the joint box and 8 mm on each side.
    assert axial.label.shape == (10 + 2 * 9, 10 + 2 * 9)
    assert coronal.label.shape == (10 + 2 * 3, 10 + 2 * 9)
    assert axial.pixel_mm == (1, 1)
    assert coronal.pixel_mm == (1, 4)


def test_a_file_without_geometry_is_shown_as_it_is_stored() -> None:
    label = box((10, 8), (2, 6), (1, 3))
    (found,) = views(label, np.zeros_like(label), spacing_mm=(1.0, 1.0))
    assert (found.plane, found.sides) == ("slice", ())
    assert np.argwhere(found.label).min(axis=0).tolist() == [1, 2], "x to the right, y downwards"
    three = views(np.repeat(label[..., None], 4, axis=2), np.zeros((10, 8, 4), dtype=bool), spacing_mm=(1.0, 1.0, 1.0))
    assert [(view.plane, view.axis) for view in three] == [("slice", 2), ("slice", 1), ("slice", 0)]
