"""Two masks on one lattice of which one does not say where its image ends."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segfair.files.images.extents import together
from segfair.files.images.grids import Mask, align

AFFINE = np.array([[-0.8, 0, 0, 10], [0, -1.2, 0, 20], [0, 0, 2.5, -30], [0, 0, 0, 1.0]])


def whole(shape=(6, 5, 8)) -> Mask:
    array = np.zeros(shape, np.uint8)
    array[2:4, 1:3, 3:5] = 1
    return Mask(array, AFFINE)


def slices(mask: Mask, low: int, high: int) -> Mask:
    """The slices from `low` on below `high`, as a file that leaves the others out."""
    affine = mask.affine.copy()
    affine[:3, 3] += low * affine[:3, 2]
    return Mask(mask.array[:, :, low:high], affine, bounded=False)


def flipped(mask: Mask) -> Mask:
    affine = mask.affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, mask.shape[2] - 1], [0, 0, 0, 1.0]])
    return dataclasses.replace(mask, part=mask.array[:, :, ::-1], affine=affine)


@pytest.mark.parametrize("turn", [lambda mask: mask, flipped], ids=["same way", "other way"])
def test_part_of_the_slices_is_put_among_all(turn):
    full = whole()
    label, prediction = together(full, turn(slices(full, 2, 6)), tolerance=1e-3)
    assert (label.array == full.array).all()
    assert (align(prediction, label, tolerance=1e-3).array == full.array).all()
    label, prediction = together(turn(slices(full, 2, 6)), full, tolerance=1e-3)
    assert (align(prediction, label, tolerance=1e-3).array == label.array).all()
    assert label.array.sum() == full.array.sum()
    assert label.shape == full.shape


def test_two_parts_are_put_on_what_holds_both():
    full = whole((6, 5, 12))
    label, prediction = together(slices(full, 3, 5), slices(full, 4, 9), tolerance=1e-3)
    assert label.shape == prediction.shape == (6, 5, 6)
    assert (label.array == full.array[:, :, 3:9] * (np.arange(6) < 2)).all()
    assert (prediction.array == full.array[:, :, 3:9] * (np.arange(6) >= 1)).all()
    assert align(prediction, label, tolerance=1e-3) is not None


def test_an_empty_slice_beyond_the_image_is_cut_and_a_lesion_there_is_not():
    full = whole()
    longer = slices(Mask(np.pad(full.array, ((0, 0), (0, 0), (0, 4))), AFFINE), 2, 11)
    label, prediction = together(full, longer, tolerance=1e-3)
    assert (prediction.array == full.array).all()
    longer.part[0, 0, -1] = 1
    label, prediction = together(full, longer, tolerance=1e-3)
    assert prediction is longer
    assert align(prediction, label, tolerance=1e-3) is None


@pytest.mark.parametrize("change", [[0, 0, 1.0], [0.3, 0, 0]])
def test_another_lattice_stays_another_grid(change):
    full = whole()
    part = slices(full, 2, 6)
    part.affine[:3, 3] += change
    assert together(full, part, tolerance=1e-3) == (full, part)


def test_bounded_masks_are_left_alone():
    full, part = whole(), dataclasses.replace(slices(whole(), 2, 6), bounded=True)
    assert together(full, part, tolerance=1e-3) == (full, part)
