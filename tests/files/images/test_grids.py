"""Re-expressing masks on each other's axes: every reorientation, rounding, and grids that differ."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segfair.files.images.grids import Mask, align, describe_difference, describe_grid
from segfair.files.images.masks import read_mask

REAL = Path(__file__).resolve().parents[3].parent / "shared" / "real"
TOLERANCE = 0.01
REORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]  # all 48


def oblique(angles: tuple[float, float, float], spacing=(0.6, 0.8, 3.3), origin=(11.0, -7.0, 40.0)) -> np.ndarray:
    affine = nib.affines.from_matvec(nib.eulerangles.euler2mat(*angles) @ np.diag(spacing), origin)
    return np.asarray(affine, dtype=np.float64)


def stored_otherwise(mask: Mask, order: tuple[int, ...], signs: tuple[int, ...]) -> Mask:
    """The same voxels in the same places, stored with other axes; nibabel does the work."""
    image = nib.Nifti1Image(mask.array, mask.affine)
    other = image.as_reoriented(np.column_stack([order, signs]))
    return Mask(np.asanyarray(other.dataobj), other.affine)


def a_mask(affine: np.ndarray, shape=(4, 5, 6)) -> Mask:
    return Mask(np.arange(np.prod(shape), dtype=np.int32).reshape(shape), affine)


@pytest.mark.parametrize(("order", "signs"), REORIENTATIONS)
def test_every_reorientation_is_undone(order, signs):
    for angles in [(0, 0, 0), (0.3, -0.2, 0.5), (np.pi / 4, 0, 0)]:
        fixed = a_mask(oblique(angles))
        aligned = align(stored_otherwise(fixed, order, signs), fixed, tolerance=TOLERANCE)
        assert aligned is not None
        np.testing.assert_array_equal(aligned.array, fixed.array)
        np.testing.assert_allclose(aligned.affine, fixed.affine, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(*[st.floats(-3, 3)] * 3),
    st.tuples(*[st.floats(0.2, 9)] * 3),
    st.tuples(*[st.integers(1, 5)] * 3),
    st.sampled_from(REORIENTATIONS),
    st.sampled_from(REORIENTATIONS),
)
def test_two_storages_of_one_grid_align(angles, spacing, shape, first, second):
    mask = a_mask(oblique(angles, spacing), shape)
    one, two = stored_otherwise(mask, *first), stored_otherwise(mask, *second)
    aligned = align(one, two, tolerance=TOLERANCE)
    assert aligned is not None
    np.testing.assert_array_equal(aligned.array, two.array)


def test_equal_grids_come_back_as_they_are():
    moving, fixed = a_mask(oblique((0, 0, 0))), a_mask(oblique((0, 0, 0)))
    assert align(moving, fixed, tolerance=TOLERANCE) is moving


def test_reoriented_masks_are_views():
    fixed = a_mask(oblique((0, 0, 0)))
    moving = stored_otherwise(fixed, (2, 0, 1), (1, -1, 1))
    aligned = align(moving, fixed, tolerance=TOLERANCE)
    assert np.shares_memory(aligned.array, moving.array)


@pytest.mark.parametrize(("order", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (1, -1, -1))])
@pytest.mark.parametrize("scale", [0.01, 1.0, 40.0])
def test_rounding_is_a_share_of_the_shortest_edge_and_more_is_another_grid(order, signs, scale):
    # Edges of 0.6, 0.8 and 3.3: a hundredth of the shortest is 0.006, whatever the unit.
    fixed = a_mask(oblique((0.1, 0.2, 0.3), np.multiply(scale, (0.6, 0.8, 3.3))))
    for by, same in ((5.9e-3, True), (6.1e-3, False)):
        moved = fixed.affine.copy()
        moved[1, 3] += by * scale
        moving = stored_otherwise(Mask(fixed.array, moved), order, signs)
        assert (align(moving, fixed, tolerance=TOLERANCE) is not None) == same


@pytest.mark.parametrize(("length", "same"), [(19, True), (21, False)])
@pytest.mark.parametrize("kind", ["spacing", "direction"])
def test_what_counts_is_how_far_the_corner_of_the_volume_moves(length, same, kind):
    # One part in two thousand an edge is a hundredth of an edge after 20 of them, and ever more beyond.
    fixed = a_mask(np.eye(4), (length, 2, 2))
    moved = np.eye(4)
    moved[:3, 3] = 0.0005 * 0.5 if kind == "spacing" else 0  # the near face stays where it is
    moved[1:3, 3] = 0
    moved[0 if kind == "spacing" else 1, 0] += 0.0005
    if kind == "direction":
        moved[1, 3] = 0.0005 * 0.5
    assert (align(Mask(fixed.array, moved), fixed, tolerance=TOLERANCE) is not None) == same


def test_a_flat_mask_has_no_thickness_but_a_slice_of_a_volume_has():
    thin, thick = np.diag([1.0, 1, 1, 1]), np.diag([1.0, 1, 5, 1])
    flat, volume = a_mask(thin, (4, 5)), a_mask(thick, (4, 5, 1))
    assert align(flat, volume, tolerance=TOLERANCE) is not None
    assert align(volume, flat, tolerance=TOLERANCE) is not None
    assert align(a_mask(thin, (4, 5, 1)), volume, tolerance=TOLERANCE) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a + np.outer([1, 0, 0, 0], [0, 0, 0, 5.0]),  # shifted
        lambda a: a * [[1.1, 1, 1, 1]],  # another spacing
        lambda a: nib.affines.from_matvec(nib.eulerangles.euler2mat(0.05), [0, 0, 0]) @ a,  # turned
        lambda a: a * [[-1, 1, 1, 1]],  # mirrored about voxel 0
    ],
)
def test_other_grids_of_the_same_shape_differ(change):
    fixed = a_mask(oblique((0, 0, 0)))
    moving = Mask(fixed.array, change(fixed.affine))
    assert align(moving, fixed, tolerance=TOLERANCE) is None


def test_another_shape_differs():
    fixed = a_mask(oblique((0, 0, 0)))
    assert align(Mask(fixed.array[:, :-1], fixed.affine), fixed, tolerance=TOLERANCE) is None
    assert align(Mask(fixed.array.transpose(1, 0, 2), fixed.affine), fixed, tolerance=TOLERANCE) is None


def test_a_singular_affine_matches_itself_only():
    flat = np.diag([1.0, 1.0, 0.0, 1.0])
    fixed = a_mask(flat)
    assert align(a_mask(flat), fixed, tolerance=TOLERANCE) is not None
    assert align(a_mask(np.eye(4)), fixed, tolerance=TOLERANCE) is None
    assert align(fixed, a_mask(np.diag([1.0, 1.0, 2.0, 1.0])), tolerance=TOLERANCE) is None


def test_two_dimensions():
    fixed = a_mask(np.diag([2.0, 3.0, 1.0, 1.0]), (4, 5))
    affine = np.array([[0, -2.0, 0, 6], [3.0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    moving = Mask(fixed.array[::-1].T, affine)
    aligned = align(moving, fixed, tolerance=TOLERANCE)
    np.testing.assert_array_equal(aligned.array, fixed.array)
    assert align(Mask(moving.array, np.eye(4)), fixed, tolerance=TOLERANCE) is None


def test_a_flat_mask_is_a_volume_of_one_slice():
    flat = a_mask(np.diag([2.0, 3.0, 1.0, 1.0]), (4, 5))
    volume = Mask(flat.array[:, :, None], flat.affine)
    assert align(flat, volume, tolerance=TOLERANCE).array.shape == (4, 5, 1)
    assert align(volume, flat, tolerance=TOLERANCE).array.shape == (4, 5)


# Words


@pytest.mark.parametrize(("order", "signs"), REORIENTATIONS)
def test_axis_codes_are_nibabels(order, signs):
    mask = stored_otherwise(a_mask(oblique((0.2, -0.3, 0.1))), order, signs)
    assert describe_grid(mask).endswith("".join(nib.aff2axcodes(mask.affine)))


def test_describe_grid():
    affine = np.array([[0, 0, 3.3, 0], [-0.5859375, 0, 0, 0], [0, -0.5859375, 0, 0], [0, 0, 0, 1]])
    assert describe_grid(a_mask(affine, (2, 3, 4))) == "2x3x4, 0.586x0.586x3.3 mm, PIR"
    assert describe_grid(a_mask(np.eye(4), (2, 3))) == "2x3, 1x1 mm, RA"


def test_describe_difference():
    label = a_mask(np.eye(4), (2, 3, 4))
    assert (
        describe_difference(label, a_mask(np.diag([-1.0, 1, 2, 1]), (2, 3, 5)))
        == "label is 2x3x4, 1x1x1 mm, RAS; prediction is 2x3x5, 1x1x2 mm, LAS"
    )
    shifted = np.eye(4)
    shifted[:3, 3] = (3, 4, 0)
    text = describe_difference(label, a_mask(shifted, (2, 3, 4)))
    assert "both 2x3x4, 1x1x1 mm, RAS, but their corners lie up to 5 mm apart" in text


# Real pairs


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real masks is not there")
@pytest.mark.parametrize("folder", ["panoptica_spine", "totalsegmentator", "picai_eval_testmaps", "sct_spinalcord"])
def test_real_pairs_lie_on_one_grid(folder):
    names = [path.name for path in (REAL / folder / "labels").iterdir()]
    assert names
    furthest = 0.0
    for name in names:
        label, prediction = (read_mask(REAL / folder / role / name) for role in ("labels", "preds"))
        furthest = max(furthest, float(np.abs(label.affine - prediction.affine).max()))
        assert align(prediction, label, tolerance=TOLERANCE) is not None, describe_difference(label, prediction)
    if folder == "panoptica_spine":
        assert 6e-4 < furthest < 7e-4


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder of real masks is not there")
def test_a_real_pair_on_different_grids_is_refused_by_name():
    label, prediction = (
        read_mask(REAL / "monai_labels" / name)
        for name in ("anatomical_label.nii.gz", "reoriented_anat_moved_label.nii.gz")
    )
    assert align(prediction, label, tolerance=TOLERANCE) is None
    assert describe_difference(label, prediction) == (
        "label is 33x41x25, 2x2x2 mm, LAS; prediction is 21x26x22, 4x4x4 mm, RAS"
    )
