"""What the embedded cohort's images show: breasts, tumours, and the looks of planted ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from tests.phantom.draws import draw

from segfair.phantom import (
    FIELD_OF_VIEW_MM,
    MECHANISMS,
    PhantomCase,
)
from segfair.phantom.pictures import _grow_tumour


def test_the_tumour_lies_inside_the_breast() -> None:
    for case in draw(20, planted_cases=4):
        spacing = np.array(case.spacing_mm)
        smooth = ndimage.gaussian_filter(case.image[0], 1.0)
        # Behind the skin: air fills the front corners, and half way to fat the body begins.
        air = np.median(smooth[:3, -3:])
        body = smooth > air + 0.5 * (np.median(smooth[case.label == 1]) - air) / 2
        reach = int(np.ceil(4.0 / spacing.min()))
        assert not (case.label.astype(bool) & ~ndimage.binary_dilation(body, iterations=reach)).any()
        assert np.mean(body[case.label == 1]) > 0.97
        # The chest wall is at least 14 mm thick.
        assert not case.label[:, : int(14 / spacing[1])].any()


def test_a_tumour_too_large_for_its_breast_is_cut_by_the_skin() -> None:
    x, y, z = np.ogrid[:32, :32, :32]
    room = 12.0 - 4.0 * np.sqrt((x - 16.0) ** 2 + (y - 16.0) ** 2 + (z - 16.0) ** 2)
    breast = room > 0
    for seed in range(20):
        tumour = _grow_tumour(breast, room, np.full(3, 4.0), np.random.default_rng(seed))
        assert tumour.inside.any()
        assert not (tumour.inside & ~breast[tumour.box]).any()


def test_tumours_have_plausible_volumes_whatever_the_number_of_voxels() -> None:
    for size in [(16, 16, 16), (20, 44, 32), (64, 64, 48)]:
        for case in draw(6, seed=2, size=size):
            assert case.image.shape == (3, *size)
            assert case.image.dtype == np.float32
            assert np.multiply(case.spacing_mm, size) == pytest.approx([FIELD_OF_VIEW_MM] * 3)
            assert np.diag(case.affine) == pytest.approx([*case.spacing_mm, 1.0])
            volume_ml = case.label.sum() * np.prod(case.spacing_mm) / 1000
            # Spheres of 10.4 and 20 mm are 4.7 and 33.5 ml; some are cut by the breast, all are rough.
            assert 1.5 < volume_ml < 45


def test_images_are_standardised_and_other_tumours_enhance_early_and_wash_out() -> None:
    for case in draw(8, planted_cases=0):
        assert case.image.mean() == pytest.approx(0.0, abs=0.01)
        assert case.image.std() == pytest.approx(1.0, abs=0.01)
        before, early, late = (phase[ndimage.binary_erosion(case.label)].mean() for phase in case.image)
        assert early > late > before + 1.0


def inside_change(case: PhantomCase) -> NDArray[np.float32]:
    """Early uptake in the core of the tumour, voxel by voxel."""
    return (case.image[1] - case.image[0])[ndimage.binary_erosion(case.label)]


def test_each_mechanism_makes_planted_tumours_look_as_it_says() -> None:
    looks = {name: draw(3, planted_cases=3, mechanism=name, size=(48, 48, 48)) for name in MECHANISMS}
    usual = [float(np.median(inside_change(case))) for case in draw(3, planted_cases=3, bias=False)]
    assert min(usual) > 1.5
    for name in ("faint", "three-attribute"):
        assert all(np.median(inside_change(case)) < -0.2 for case in looks[name])
    for case in looks["moderate"]:
        change = inside_change(case)
        assert 0.5 < np.mean(change > 1.0) < 0.85
        assert 0.1 < np.mean(change < -0.2) < 0.45
    for case in looks["texture"]:
        # A minority of the tumour enhances, in clumps: bright voxels have bright neighbours.
        bright = (case.image[1] - case.image[0] > 1.0) & (case.label == 1)
        assert 0.08 < bright.sum() / case.label.sum() < 0.5
        assert np.mean(ndimage.convolve(bright.astype(float), np.ones((3, 3, 3)) / 27)[bright]) > 0.25


def rim_over_core(case: PhantomCase) -> float:
    """Early uptake of the voxels at the tumour's surface minus that of the voxels around its middle."""
    change = case.image[1] - case.image[0]
    inside = case.label.astype(bool)
    middle = ndimage.binary_erosion(inside, iterations=3)
    rim = inside & ~ndimage.binary_erosion(inside)
    return float(change[rim].mean() - change[middle].mean())


def test_a_rim_enhances_around_a_dark_core_at_one_site_only() -> None:
    cases = draw(12, planted_cases=4, mechanism="rim", size=(64, 64, 64))
    assert {case.metadata["site"] for case in cases if case.planted} == {"D"}
    for case in cases:
        if case.planted:
            assert rim_over_core(case) > 0.8
            # Each of the two is a good part of the tumour: neither a thin line nor a dot.
            dark = (case.image[1] - case.image[0] < 0)[case.label == 1].mean()
            assert 0.15 < dark < 0.6
        else:
            # The blur of the scanner makes the surface of any other tumour the darker part of it.
            assert rim_over_core(case) < 0


def test_a_mechanism_changes_nothing_but_the_tumours_that_it_plants() -> None:
    with_rim = draw(8, planted_cases=2, mechanism="rim")
    without = draw(8, planted_cases=2, mechanism="rim", bias=False)
    for biased, plain in zip(with_rim, without, strict=True):
        assert (biased.id, biased.metadata) == (plain.id, plain.metadata)
        assert np.array_equal(biased.label, plain.label)
        assert np.array_equal(biased.image, plain.image) == (not biased.planted)
    # Who is planted depends on the lots alone, whatever is planted; the others' pictures on nothing of it.
    faint = draw(8, planted_cases=2)
    for one, other in zip(with_rim, faint, strict=True):
        assert one.planted == other.planted
        assert one.id == other.id


def test_a_hidden_tumour_leaves_no_trace() -> None:
    hidden = draw(12, planted_cases=12, mechanism="hidden")
    faint = draw(12, planted_cases=12)

    def contrast(case: PhantomCase) -> float:
        """Early uptake of the tumour minus that of the tissue around it."""
        change = case.image[1] - case.image[0]
        around = ndimage.binary_dilation(case.label, iterations=2) & (case.label == 0)
        return float(change[case.label == 1].mean() - change[around].mean())

    assert abs(np.mean([contrast(case) for case in hidden])) < 0.15
    assert np.mean([contrast(case) for case in faint]) < -0.3
