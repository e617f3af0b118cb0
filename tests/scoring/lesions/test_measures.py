"""Lesions by hand: what each rule finds, misses and invents; and what must not change them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from segfair.protocol.rules import LESION_RULES, LesionRule, lesion_rule
from segfair.scoring.boxes import joint_box
from segfair.scoring.lesions import matching
from segfair.scoring.lesions.measures import Lesions, Place, find_lesions, lesion_scores

WORST = 100.0


def row(text: str) -> np.ndarray:
    """A mask of one line of voxels."""
    return np.array([[letter == "x" for letter in text]])


def find(label: np.ndarray, prediction: np.ndarray, rule: LesionRule) -> Lesions:
    place = Place(label.shape, (0,) * label.ndim, (2.0,) * label.ndim, None, 3.0)
    return find_lesions(label, prediction, rule, place)


def scores(label: str, prediction: str, rule: LesionRule) -> dict[str, float]:
    return lesion_scores(find(row(label), row(prediction), rule), rule, worst=WORST, both_empty=1.0)


def brats(**changes: float) -> LesionRule:
    return dataclasses.replace(lesion_rule("brats"), **{"dilation": 1, "min_size": 0.0, "penalty": WORST, **changes})


def test_brats_joins_what_touches_once_widened() -> None:
    label = row("xx..xx......xx")
    assert [lesion.size for lesion in find(label, label, brats(dilation=0)).found] == [6.0, 6.0, 6.0]
    assert [lesion.size for lesion in find(label, label, brats(dilation=1)).found] == [12.0, 6.0]
    assert [lesion.size for lesion in find(label, label, brats(dilation=3)).found] == [18.0]


def test_brats_a_lesion_is_found_beside_itself_and_a_false_one_costs() -> None:
    # The first is found one voxel beside it, without overlap; the second exactly; one is invented.
    found = scores("xx......xx......", "..x.....xx.....x", brats())
    assert found["lesion_sensitivity"] == 1.0
    assert found["false_lesions"] == 1.0
    assert found["lesion_f1"] == pytest.approx(4 / 5)
    assert found["lesion_dsc"] == pytest.approx((0 + 1 + 0) / 3)
    # Voxels of 2: those at 0 and 1 from the one at 2, and back, 95 % of the way from 2 to 4.
    assert found["lesion_hd95"] == pytest.approx((3.9 + 0 + WORST) / 3)


def test_brats_small_lesions_count_nowhere() -> None:
    assert scores("x.....xx", "......xx", brats(min_size=3.0)) == {
        **{"lesion_sensitivity": 1.0, "false_lesions": 0.0, "lesion_f1": 1.0, "lesion_dsc": 1.0, "lesion_hd95": 0.0}
    }
    only_small = scores("x.......", "........", brats(min_size=3.0))
    assert math.isnan(only_small.pop("lesion_sensitivity"))
    assert math.isnan(only_small.pop("lesion_f1"))
    assert only_small == {"false_lesions": 0.0, "lesion_dsc": 1.0, "lesion_hd95": 0.0}


def test_panoptica_takes_one_that_overlaps_by_half() -> None:
    rule = lesion_rule("panoptica")
    # IoU 2/4 counts; 1/4 does not, and is a miss and a false lesion at once.
    found = scores("xxxx...xxxx....", "..xx......xx...", rule)
    assert found["lesion_sensitivity"] == 0.5
    assert found["false_lesions"] == 1.0
    assert found["lesion_f1"] == 0.5
    assert found["lesion_sq"] == 0.5
    assert found["lesion_pq"] == 0.25
    assert found["lesion_dsc"] == pytest.approx(2 / 3)
    assert found["lesion_pq_dsc"] == pytest.approx(1 / 3)
    # The ends of a line are its surface. On from the label 4 and 0, back 2 and 0: the mean of 2 and 1, and the
    # percentile of all four.
    assert found["lesion_assd"] == pytest.approx(1.5)
    assert found["lesion_hd95"] == pytest.approx(3.7)
    strict = scores("xxxx...", "..xx...", dataclasses.replace(rule, overlap=0.6))
    assert (strict["lesion_sensitivity"], strict["lesion_sq"], strict["lesion_assd"]) == (0.0, 0.0, WORST)


def test_voronoi_gives_each_voxel_to_the_nearest_lesion() -> None:
    rule = lesion_rule("voronoi")
    # One predicted part over both lesions: each has its half of it; the voxel in the middle is the first one's.
    found = scores("xx...xx", "xxxxxx.", rule)
    assert found["lesion_sensitivity"] == 1.0
    assert found["false_lesions"] == 0.0
    assert found["lesion_dsc"] == pytest.approx((2 * 2 / (2 + 4) + 2 * 1 / (2 + 2)) / 2)
    # What is far from every lesion spoils the nearest one, and is false.
    far = scores("xx.......", "xx.....xx", rule)
    assert (far["false_lesions"], far["lesion_dsc"]) == (1.0, pytest.approx(4 / 6))
    missed = scores("xx....xx", "xx......", rule)
    assert (missed["lesion_dsc"], missed["lesion_hd95"]) == (0.5, WORST / 2)


@pytest.mark.parametrize("rule", LESION_RULES)
def test_empty_masks(rule: str) -> None:
    chosen = brats() if rule == "brats" else lesion_rule(rule)
    both = scores("....", "....", chosen)
    assert math.isnan(both["lesion_sensitivity"])
    assert both["false_lesions"] == 0
    assert math.isnan(both["lesion_dsc"]) if rule == "panoptica" else both["lesion_dsc"] == 1
    invented = scores("....", ".x..", chosen)
    assert (invented["false_lesions"], invented["lesion_f1"], invented["lesion_dsc"]) == (1, 0, 0)
    assert invented["lesion_hd95"] == WORST
    missed = scores(".x..", "....", chosen)
    assert (missed["lesion_sensitivity"], missed["lesion_f1"], missed["lesion_dsc"]) == (0, 0, 0)
    assert missed["lesion_hd95"] == WORST


def test_depth_is_that_of_the_centre() -> None:
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:4, 9:12] = True
    place = Place((10, 20), (0, 0), (3.0, 0.5), None, 1.5)
    (lesion,) = find_lesions(mask, mask, lesion_rule("voronoi"), place).found
    assert lesion.depth == pytest.approx(min(3 * 3.0, 7 * 3.0, 10.5 * 0.5, 9.5 * 0.5))
    assert lesion.size == 9.0
    # A slice that is stored as a volume has no face above it.
    flat = Place((10, 20, 1), (0, 0, 0), (3.0, 0.5, 8.0), None, 1.5)
    (same,) = find_lesions(mask[..., None], mask[..., None], lesion_rule("voronoi"), flat).found
    assert same == lesion


PAIRS = st.tuples(hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=7), st.integers(0, 2**32 - 1))


@settings(max_examples=60, deadline=None)
@given(pair=PAIRS, rule=st.sampled_from(LESION_RULES), connectivity=st.sampled_from((6, 18, 26)))
def test_nothing_but_the_voxels_counts(pair: tuple[tuple[int, ...], int], rule: str, connectivity: int) -> None:
    """Neither the order in memory nor background around the masks, beyond the one voxel of the box."""
    shape, seed = pair
    draw = np.random.RandomState(seed)
    label, prediction = (draw.rand(*shape) < share for share in (0.3, 0.3))
    chosen = dataclasses.replace(lesion_rule(rule), connectivity=connectivity, min_size=0.0)
    outer = [np.pad(mask, 4) for mask in (label, prediction)]
    place = Place(outer[0].shape, (0,) * len(shape), (1.5,) * len(shape), None, 1.0)
    whole = find_lesions(*outer, chosen, place)
    turned = find_lesions(*(np.asfortranarray(mask) for mask in outer), chosen, place)
    assert turned == whole
    box = joint_box(*outer)
    if box is not None:
        inside = dataclasses.replace(place, start=tuple(side.start for side in box))
        cut = find_lesions(*(mask[box] for mask in outer), chosen, inside)
        assert cut.n_false == whole.n_false
        for found, expected in zip(cut.found, whole.found, strict=True):
            assert dataclasses.astuple(found) == pytest.approx(dataclasses.astuple(expected), nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(pair=PAIRS, rule=st.sampled_from(LESION_RULES))
def test_a_copy_of_the_label_is_perfect(pair: tuple[tuple[int, ...], int], rule: str) -> None:
    shape, seed = pair
    label = np.random.RandomState(seed).rand(*shape) < 0.3
    chosen = dataclasses.replace(lesion_rule(rule), min_size=0.0, dilation=0)
    found = lesion_scores(find(label, label, chosen), chosen, worst=WORST, both_empty=1.0)
    if label.any():
        assert (found["lesion_sensitivity"], found["lesion_f1"], found["lesion_dsc"]) == (1, 1, 1)
    assert found["false_lesions"] == 0


@settings(max_examples=40, deadline=None)
@given(pair=PAIRS, steps=st.integers(0, 3))
def test_widening_is_that_of_scipy(pair: tuple[tuple[int, ...], int], steps: int) -> None:
    shape, seed = pair
    mask = np.random.RandomState(seed).rand(*shape) < 0.1
    structure = ndimage.generate_binary_structure(len(shape), 2)
    expected = ndimage.binary_dilation(mask, structure, iterations=steps) if steps else mask
    assert np.array_equal(matching._widened(mask, steps), expected)
    assert np.array_equal(matching._widened(np.asfortranarray(mask), steps), expected)
