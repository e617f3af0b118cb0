"""The parts of a deficit: by hand on small masks, and their sum on any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segfair.audit.reasons.parts import boundary_error, compare, moved_deficit, take_apart
from segfair.protocol.rules import SurfaceRule
from segfair.scoring.metrics import MaskPair, dice


def pair(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...] | None = None) -> MaskPair:
    return MaskPair(label=label, prediction=prediction, spacing_mm=spacing or (1.0,) * label.ndim)


def box(shape: tuple[int, ...], *sides: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def parts_of(label: np.ndarray, prediction: np.ndarray, size: float = 0.0, both_empty: float = 1.0) -> dict:
    return dict(take_apart(compare(pair(label, prediction)), size, both_empty=both_empty))


CUBE = box((20, 20, 20), (4, 8), (4, 8), (4, 8))
FAR = box((20, 20, 20), (14, 16), (14, 16), (14, 16))


def test_a_shifted_cube_has_error_at_its_boundary_alone() -> None:
    shifted = np.roll(CUBE, 1, axis=0)
    # 48 of 64 voxels in common: DSC 0.75, of whose deficit 0.1 is the lesion's own.
    found = parts_of(CUBE, shifted, 0.1)
    assert found == pytest.approx({"missed": 0, "false_positives": 0, "size_and_shape": 0.1, "boundary": 0.15})


def test_a_component_too_many_is_what_its_removal_gains() -> None:
    # DSC 128 / (64 + 72), and 1 without the eight voxels.
    found = parts_of(CUBE, CUBE | FAR)
    assert found["false_positives"] == pytest.approx(1 - 128 / 136)
    assert found["missed"] == found["boundary"] == 0


def test_a_missed_lesion_is_what_its_addition_gains() -> None:
    found = parts_of(CUBE | FAR, CUBE)
    assert found["missed"] == pytest.approx(1 - 128 / 136)
    assert found["false_positives"] == found["boundary"] == 0


def test_both_orders_of_mending_count_alike() -> None:
    # Nothing right: 64 missed, 8 invented. First the one, then the other: 128 / 136 and the rest; or nothing and all.
    found = parts_of(CUBE, FAR)
    assert found["missed"] == pytest.approx((128 / 136 + 1) / 2)
    assert found["false_positives"] == pytest.approx((1 - 128 / 136) / 2)
    assert found["size_and_shape"] == found["boundary"] == 0


def test_components_that_share_a_corner_are_one_lesion() -> None:
    corner = box((20, 20, 20), (8, 9), (8, 9), (8, 9))
    assert compare(pair(CUBE | corner, CUBE)).n_missed == 0
    assert compare(pair(CUBE | FAR, CUBE)).n_missed == 8


@pytest.mark.parametrize(
    ("label", "prediction", "both_empty", "expected"),
    [
        (False, False, 1.0, {"empty_rule": 0.0}),
        (False, False, 0.0, {"empty_rule": 1.0}),
        (False, True, 1.0, {"false_positives": 1.0, "empty_rule": 0.0}),
        # Where an empty mask has DSC 0, mending the prediction gains nothing.
        (False, True, 0.0, {"false_positives": 0.0, "empty_rule": 1.0}),
        (True, False, 1.0, {"missed": 1.0, "boundary": 0.0}),
    ],
)
def test_empty_masks(label: bool, prediction: bool, both_empty: float, expected: dict) -> None:
    found = parts_of(CUBE & label, CUBE & prediction, both_empty=both_empty)
    assert {name: found[name] for name in expected} == expected
    assert sum(found.values()) == pytest.approx(sum(expected.values()))


@given(arrays(bool, (5, 6)), arrays(bool, (5, 6)), st.floats(0, 1), st.floats(0, 2))
def test_parts_add_up_to_the_deficit(
    label: np.ndarray, prediction: np.ndarray, both_empty: float, reach: float
) -> None:
    compared = compare(pair(label, prediction))
    alone = moved_deficit(label, compared.found, (1.0, 2.0), reach) if label.any() else 0.0
    assert 0 <= alone <= 1
    found = take_apart(compared, alone, both_empty=both_empty)
    dsc = dice(compared.pair) if label.any() or prediction.any() else both_empty
    assert sum(found.values()) == pytest.approx(1 - dsc)
    if both_empty == 1 or label.any():
        assert found["missed"] >= -1e-12
        assert found["false_positives"] >= -1e-12


def test_a_slab_moves_by_whole_voxels_and_by_parts_of_them() -> None:
    # Eight voxels thick between two faces of the image, which have no boundary: two faces of four voxels move.
    slab = box((20, 2, 2), (6, 14), (0, 2), (0, 2))
    spacing = (0.5, 1.0, 1.0)
    # By one voxel, 0.5 mm: 8 of 32 more, or 8 fewer.
    assert moved_deficit(slab, slab, spacing, 0.5) == pytest.approx((8 / 72 + 8 / 56) / 2)
    # By a quarter of a voxel.
    assert moved_deficit(slab, slab, spacing, 0.125) == pytest.approx((2 / 66 + 2 / 62) / 2)
    assert moved_deficit(slab, slab, spacing, 0.0) == 0.0


def test_a_lesion_thinner_than_twice_the_length_vanishes_inwards() -> None:
    slab = box((20, 2, 2), (9, 11), (0, 2), (0, 2))
    # Outwards by three voxels a side: 24 beside 8; inwards nothing is left, which costs all.
    assert moved_deficit(slab, slab, (1.0, 1.0, 1.0), 3.0) == pytest.approx((24 / 40 + 1) / 2)


def test_only_lesions_that_were_found_move_and_only_into_what_counts() -> None:
    slab, other = box((30, 2), (5, 9), (0, 2)), box((30, 2), (20, 24), (0, 2))
    both = slab | other
    # 16 voxels of label, of which 8 move: 4 more, or 4 fewer.
    assert moved_deficit(both, slab, (1.0, 1.0), 1.0) == pytest.approx((4 / 36 + 4 / 28) / 2)
    counted = ~box((30, 2), (9, 12), (0, 2))
    assert moved_deficit(both, slab, (1.0, 1.0), 1.0, counted=counted) == pytest.approx((2 / 34 + 4 / 28) / 2)
    assert moved_deficit(both, both & False, (1.0, 1.0), 1.0) == 0.0


def test_a_lesion_that_fills_the_image_has_no_boundary() -> None:
    full = np.ones((4, 4), bool)
    assert moved_deficit(full, full, (1.0, 1.0), 2.0) == 0.0


@given(st.integers(2, 6), st.floats(0.1, 2.0))
def test_small_lesions_lose_more_than_large_ones(side: int, reach: float) -> None:
    small, large = (box((24, 24), (8, 8 + n), (8, 8 + n)) for n in (side, side + 2))
    assert moved_deficit(small, small, (1.0, 1.0), reach) > moved_deficit(large, large, (1.0, 1.0), reach)


def test_the_boundary_error_is_that_of_what_was_found() -> None:
    rule = SurfaceRule()
    slab = box((40, 3), (5, 15), (0, 3))
    moved = np.roll(slab, 2, axis=0)
    alone = boundary_error(compare(pair(slab, moved)), rule)
    far = box((40, 3), (35, 37), (0, 3))
    assert alone is not None and 0 < alone < 2
    assert boundary_error(compare(pair(slab, moved | far)), rule) == alone
    assert boundary_error(compare(pair(slab | far, moved)), rule) == alone
    # In mm along an axis whose voxels are longer.
    assert boundary_error(compare(pair(slab, moved, (3.0, 3.0))), rule) == pytest.approx(3 * alone)
    assert boundary_error(compare(pair(slab, far)), rule) is None


@pytest.mark.parametrize("radius", [7.0, 12.0, 20.0])
@pytest.mark.parametrize("reach", [0.7, 1.0, 1.5, 2.5])
def test_a_disc_moves_about_as_geometry_has_it(radius: float, reach: float) -> None:
    rows, columns = np.mgrid[:50, :50]
    disc = (rows - 24.7) ** 2 + (columns - 25.1) ** 2 <= radius**2
    out, inner, area = (radius + reach) ** 2, (radius - reach) ** 2, radius**2
    expected = ((out - area) / (out + area) + (area - inner) / (area + inner)) / 2
    assert moved_deficit(disc, disc, (1.0, 1.0), reach) == pytest.approx(expected, rel=0.16)
