"""Contrast and edge sharpness under a label: hand-made steps, discs of known contrast and blur, and what has none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from segfair.mitigation.experiment.diagnosis.appearance import RING_MM, Appearance, appearance_of

SIZE = 48


def ball(radius: float, dims: int = 2, size: int = SIZE) -> np.ndarray:
    grid = np.meshgrid(*[np.arange(size) - size / 2] * dims, indexing="ij")
    return sum(axis**2 for axis in grid) <= radius**2


def picture(lesion: np.ndarray, *, contrast: float = 2.0, blur: float = 0.0, noise: float = 1.0) -> np.ndarray:
    """One channel: a lesion that stands out by `contrast`, blurred, in noise of that standard deviation."""
    made = ndimage.gaussian_filter(contrast * lesion.astype(float), blur) if blur else contrast * lesion
    return (made + noise * np.random.default_rng(4).standard_normal(lesion.shape))[None]


def seen(image: np.ndarray, lesion: np.ndarray, spacing_mm: tuple[float, ...] | None = None) -> Appearance:
    found = appearance_of(image, lesion, spacing_mm or (1.0,) * lesion.ndim)
    assert found is not None
    return found


def test_a_step_by_hand() -> None:
    # A line of 14 pixels of 2 mm: the lesion is 6, 7; the ring of 5 mm holds two pixels on either side.
    lesion = np.zeros((14, 3), dtype=bool)
    lesion[6:8] = True
    column = np.array([50, 50, 50, 50, 1, 3, 10, 10, 3, 1, 50, 50, 50, 50], dtype=float)
    found = seen(np.repeat(column[:, None], 3, axis=1)[None], lesion, (2.0, 2.0))
    # Ring 1, 3, 3, 1: mean 2, standard deviation 1.
    assert found.contrast == pytest.approx(8.0)
    # Central differences over 4 mm along the axis: (10 - 1) / 4 outside, (10 - 3) / 4 inside.
    assert found.edge_sharpness == pytest.approx((9 / 4 + 7 / 4) / 2)
    assert found.channel == 0


def test_the_ring_is_as_wide_as_it_says_and_holds_a_voxel_at_least() -> None:
    lesion = np.zeros((40,) * 2, dtype=bool)
    lesion[19:21, 19:21] = True
    distance = ndimage.distance_transform_edt(~lesion)
    image = np.random.default_rng(0).standard_normal((1, 40, 40))
    before = seen(image, lesion)
    beyond = np.where(distance > RING_MM, 1000.0, image)
    assert appearance_of(beyond, lesion, (1.0, 1.0)) == before
    assert seen(np.where((distance > RING_MM - 1) & (distance <= RING_MM), 9.0, image), lesion) != before
    # Voxels of 8 mm: the next ones, and no others; derivatives reach one further.
    coarse = seen(image, lesion, (8.0, 8.0))
    assert seen(np.where(distance > 1, 1000.0, image), lesion, (8.0, 8.0)).contrast == coarse.contrast
    assert seen(np.where(distance > 2, 1000.0, image), lesion, (8.0, 8.0)) == coarse


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("contrast", [-3.0, 1.5, 6.0])
def test_a_disc_of_known_contrast(dims: int, contrast: float) -> None:
    lesion = ball(9, dims)
    found = seen(picture(lesion, contrast=contrast), lesion)
    assert found.contrast == pytest.approx(contrast, rel=0.1)


@pytest.mark.parametrize("dims", [2, 3])
def test_sharpness_falls_with_blur_and_contrast_with_noise(dims: int) -> None:
    lesion = ball(9, dims)
    sharpness = [seen(picture(lesion, contrast=8, blur=blur), lesion).edge_sharpness for blur in (0, 0.7, 1.5, 3, 5)]
    assert sharpness == sorted(sharpness, reverse=True)
    assert sharpness[0] > 2 * sharpness[-1]
    contrasts = [seen(picture(lesion, noise=noise), lesion).contrast for noise in (0.25, 0.5, 1, 2)]
    assert contrasts == sorted(contrasts, reverse=True)


@pytest.mark.parametrize(("scale", "offset"), [(40.0, -1000.0), (0.01, 3.0)])
def test_no_unit_of_grey_levels_matters(scale: float, offset: float) -> None:
    lesion = ball(7)
    image = picture(lesion, blur=1)
    before, after = seen(image, lesion), seen(scale * image + offset, lesion)
    assert after.contrast == pytest.approx(before.contrast)
    assert after.edge_sharpness == pytest.approx(before.edge_sharpness)
    # An inverted picture has the opposite contrast and the same edge.
    inverted = seen(-image, lesion)
    assert inverted.contrast == pytest.approx(-before.contrast)
    assert inverted.edge_sharpness == pytest.approx(before.edge_sharpness)


def test_the_channel_in_which_the_lesion_stands_out_most_is_taken() -> None:
    lesion = ball(7)
    faint, dark = picture(lesion, contrast=1), picture(lesion, contrast=-4, blur=1)
    both = seen(np.concatenate([faint, dark]), lesion)
    assert both.channel == 1
    alone = seen(dark, lesion)
    assert both.contrast == pytest.approx(alone.contrast)
    assert both.edge_sharpness == pytest.approx(alone.edge_sharpness)
    # A channel of one grey level has no spread to compare with, and is passed over.
    assert seen(np.concatenate([faint, np.full_like(faint, 7.0)]), lesion).channel == 0


def test_a_slice_is_a_picture() -> None:
    lesion = ball(7)
    image = picture(lesion)
    flat = appearance_of(image[..., None], lesion[..., None], (1.0, 1.0, 4.0))
    assert flat == appearance_of(image, lesion, (1.0, 1.0))


def test_where_the_lesion_lies_and_what_is_far_away_does_not_matter() -> None:
    lesion, image = ball(6), picture(ball(6))
    moved = appearance_of(np.roll(image, (9, -8), (1, 2)), np.roll(lesion, (9, -8), (0, 1)), (1.0, 1.0))
    assert moved == appearance_of(image, lesion, (1.0, 1.0))


def test_ignored_voxels_count_nowhere() -> None:
    lesion = ball(7)
    image = picture(lesion)
    ignored = np.zeros_like(lesion)
    ignored[: SIZE // 2] = True
    hidden = np.where(ignored, 500.0, image)
    found = appearance_of(hidden, lesion, (1.0, 1.0), ignored=ignored)
    assert found is not None
    assert found.contrast == pytest.approx(2.0, abs=0.3)


def test_undefined_without_a_lesion_or_without_surroundings() -> None:
    image = np.random.default_rng(0).standard_normal((2, 9, 9))
    assert appearance_of(image, np.zeros((9, 9), dtype=bool), (1.0, 1.0)) is None
    assert appearance_of(image, np.ones((9, 9), dtype=bool), (1.0, 1.0)) is None
    lesion = np.zeros((9, 9), dtype=bool)
    lesion[4, 4] = True
    assert appearance_of(np.full((1, 9, 9), 0.1), lesion, (1.0, 1.0)) is None
    assert appearance_of(image, lesion, (1.0, 1.0), ignored=lesion) is None
    assert appearance_of(image, lesion, (1.0, 1.0), ignored=~lesion) is None
    alone = appearance_of(image, lesion, (1.0, 1.0))
    assert alone is not None
    assert np.isfinite([alone.contrast, alone.edge_sharpness]).all()
