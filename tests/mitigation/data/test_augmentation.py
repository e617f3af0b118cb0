"""Augmentation beyond flips: what moves together, what stays within bounds, what a thick axis forbids."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from segfair.errors import ConfigError  # noqa: E402
from segfair.mitigation.data.augmentation import STRENGTHS, Augmentation  # noqa: E402
from segfair.mitigation.data.datasets import from_arrays  # noqa: E402

STILL = {"flip": 0.0, "intensity": 0.0}


def ball(shape):
    """An image that is 1 inside a ball off the centre and 0 elsewhere, and the ball as a label."""
    places = np.stack(np.meshgrid(*(np.arange(side) for side in shape), indexing="ij"))
    middle = np.array([side * 0.45 for side in shape]).reshape(-1, *[1] * len(shape))
    reach = np.array([max(0.25 * side, 0.6) for side in shape]).reshape(middle.shape)
    inside = (((places - middle) / reach) ** 2).sum(axis=0) < 1
    return inside.astype(np.float32)[None], inside.astype(np.uint8)


def training(shape, augmentation):
    image, label = ball(shape)
    data = from_arrays(["A"], [image], [label], spacing_mm=(1.0, 1.0, 1.0))
    return data.training(["A"], augmentation), label


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(("shape", "size"), [((24, 20, 1), (24, 24)), ((20, 24, 16), (24, 24, 16))])
def test_items_have_the_size_of_the_network_and_depend_on_the_seed_alone(strength, shape, size):
    dataset, _ = training(shape, Augmentation(size, strength=strength))
    first, again, other = dataset[(0, 3)], dataset[(0, 3)], dataset[(0, 4)]
    assert first["image"].shape == (1, *size)
    assert first["label"].shape == (1, *size)
    assert torch.equal(first["image"], again["image"])
    assert torch.equal(first["label"], again["label"])
    assert not torch.equal(first["image"], other["image"])
    assert first["image"].dtype == torch.float32
    assert first["label"].dtype == torch.uint8
    assert set(first["label"].unique().tolist()) <= {0, 1}


@pytest.mark.parametrize(("shape", "size"), [((32, 32, 1), (32, 32)), ((24, 24, 24), (24, 24, 24))])
def test_image_and_label_are_moved_together(shape, size):
    dataset, label = training(shape, Augmentation(size, strength="light", **STILL))
    moved = 0
    for seed in range(20):
        item = dataset[(0, seed)]
        image, found = item["image"][0].numpy(), item["label"][0].numpy()
        # The image is its own label: half of a voxel of the border is all that interpolation can change.
        overlap = 2 * ((image > 0.5) & (found == 1)).sum() / ((image > 0.5).sum() + found.sum())
        assert overlap > 0.93
        moved += not np.array_equal(found, label.reshape(found.shape))
    assert 5 <= moved <= 15  # half of them


def test_strong_changes_grey_values_and_light_does_not():
    still, _ = training((32, 32, 1), Augmentation((32, 32), strength="light", **STILL))
    strong, _ = training((32, 32, 1), Augmentation((32, 32), strength="strong", **STILL))
    values = [np.unique(still[(0, seed)]["image"].numpy()) for seed in range(20)]
    assert all(found.min() >= 0 and found.max() <= 1 + 1e-5 for found in values)
    spread = [strong[(0, seed)]["image"].numpy() for seed in range(60)]
    assert any(image.max() > 1.1 or image.min() < -0.1 for image in spread)
    assert all(np.isfinite(image).all() for image in spread)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_crops_are_centred_on_the_lesion_as_often_as_asked_and_never_on_what_counts_nowhere(strength):
    # All of the label counts nowhere but one voxel: with foreground 1 every crop holds it.
    image = np.zeros((1, 40, 40, 40), dtype=np.float32)
    label = np.zeros((40, 40, 40), dtype=np.uint8)
    label[8, 30, 12] = 1
    data = from_arrays(["A"], [image], [label], spacing_mm=(1.0, 1.0, 1.0))
    data.cases["A"].tensors[1][:, 20:, :10, :] = 255
    augmentation = Augmentation((16, 16, 16), samples_per_case=3, foreground=1.0, strength=strength, flip=0.0)
    crops = data.training(["A"], augmentation)[(0, 1)]
    assert len(crops) == 3
    for crop in crops:
        assert crop["image"].shape == (1, 16, 16, 16)
        assert set(crop) == {"image", "label", "id"}
        if strength == "paper":
            assert (crop["label"] == 1).sum() == 1
        assert (crop["label"] == 255).sum() == 0


def test_nothing_is_turned_out_of_the_plane_of_thick_slices():
    shape = (24, 24, 6)
    # Each slice has its own grey value, which no turn within the plane can change.
    image = np.broadcast_to(np.arange(1.0, 7.0), shape).astype(np.float32)[None]
    data = from_arrays(["A"], [image], [np.zeros(shape, dtype=np.uint8)], spacing_mm=(1.0, 1.0, 5.0))
    flat = Augmentation(shape, strength="light", thick_axis=2, samples_per_case=None, **STILL)
    free = Augmentation(shape, strength="light", **STILL)
    kept, mixed = 0, 0
    for seed in range(12):
        inner = (0, slice(8, 16), slice(8, 16), 3)
        kept += len(np.unique(np.round(data.training(["A"], flat)[(0, seed)]["image"].numpy()[inner], 3))) == 1
        mixed += len(np.unique(np.round(data.training(["A"], free)[(0, seed)]["image"].numpy()[inner], 3))) > 1
    assert kept == 12
    assert mixed >= 3


def test_flips_can_be_kept_to_some_axes():
    shape = (6, 7, 1)
    image = np.arange(42, dtype=np.float32).reshape(1, *shape)
    data = from_arrays(["A"], [image], [np.zeros(shape, dtype=np.uint8)], spacing_mm=(1.0, 1.0, 1.0))
    dataset = data.training(["A"], Augmentation((6, 7), flips=(0,), flip=1.0, intensity=0.0))
    np.testing.assert_array_equal(dataset[(0, 0)]["image"].numpy(), image[:, ::-1, :, 0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": (4,)}, "two or three positive numbers"),
        ({"size": (4, 4), "strength": "huge"}, "expected one of paper, light, strong"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation(**settings)
