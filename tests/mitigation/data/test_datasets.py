"""Datasets: what a draw gives, what its seed fixes, what a crop cuts."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from monai.transforms import ResizeWithPadOrCropd  # noqa: E402

from segfair.errors import ConfigError, InputError  # noqa: E402
from segfair.mitigation.data.augmentation import Augmentation  # noqa: E402
from segfair.mitigation.data.datasets import PreparedCase, describe_cuts, from_arrays  # noqa: E402

PLAIN = {"flip": 0.0, "intensity": 0.0}


def random_data(n=4, shape=(10, 12, 8), seed=0):
    rng = np.random.default_rng(seed)
    images = [rng.normal(size=(2, *shape)).astype(np.float32) for _ in range(n)]
    labels = [(rng.random(shape) < 0.1).astype(np.uint8) for _ in range(n)]
    ids = [f"P{number}" for number in range(n)]
    return from_arrays(ids, images, labels, spacing_mm=(1.0, 2.0, 3.0)), images, labels


def test_whole_volumes_are_the_volumes():
    data, images, labels = random_data()
    whole = data.whole(["P2", "P0"])
    assert whole.case_ids == ("P2", "P0")
    assert whole.spacing_mm == (1.0, 2.0, 3.0)
    assert len(whole) == 2
    for draw in (0, (0, 77)):
        item = whole[draw]
        assert item["id"] == "P2"
        np.testing.assert_array_equal(item["image"].numpy(), images[2])
        np.testing.assert_array_equal(item["label"].numpy(), labels[2][None])
    assert item["image"].dtype == torch.float32
    assert item["label"].dtype == torch.uint8


def test_a_draw_is_fixed_by_its_seed_alone():
    data, _, _ = random_data()
    augmentation = Augmentation((10, 12, 8))
    one, other = data.training(["P0", "P1"], augmentation), data.training(["P1", "P0"], augmentation)
    first = one[(0, 5)]
    # Something else in between, another dataset, another position, a copy as a worker would have it.
    one[(1, 6)]
    copied = pickle.loads(pickle.dumps(one))
    for again in (one[(0, 5)], other[(1, 5)], copied[(0, 5)]):
        assert again["id"] == first["id"] == "P0"
        assert torch.equal(again["image"], first["image"])
        assert torch.equal(again["label"], first["label"])
    assert not torch.equal(one[(0, 8)]["image"], first["image"])
    assert type(first["image"]) is torch.Tensor


def test_augmentation_flips_image_and_label_together_and_changes_intensity_in_bounds():
    data, images, labels = random_data()
    dataset = data.training(["P0"], Augmentation((10, 12, 8)))
    seen = set()
    gains, shifts = [], []
    for seed in range(60):
        item = dataset[(0, seed)]
        found = None
        for code in range(8):
            axes = [axis for axis in range(3) if code >> axis & 1]
            if np.array_equal(np.flip(labels[0], axes), item["label"][0].numpy()):
                found = code, np.flip(images[0], [axis + 1 for axis in axes])
        assert found is not None
        seen.add(found[0])
        gain, shift = np.polyfit(found[1].ravel(), item["image"].numpy().ravel(), 1)
        np.testing.assert_allclose(item["image"].numpy(), found[1] * gain + shift, atol=1e-4)
        gains.append(gain)
        shifts.append(shift)
    assert seen == set(range(8))
    assert 0.9 <= min(gains) < 0.93
    assert 1.07 < max(gains) <= 1.1
    assert -0.1 <= min(shifts) < -0.07
    assert 0.07 < max(shifts) <= 0.1


def test_volumes_are_cropped_and_padded_around_their_centre():
    data, images, labels = random_data(1, shape=(10, 5, 8))
    item = data.training(["P0"], Augmentation((6, 8, 8), **PLAIN))[(0, 0)]
    expected = np.zeros((2, 6, 8, 8), np.float32)
    expected[:, :, 1:6] = images[0][:, 2:8]
    np.testing.assert_array_equal(item["image"].numpy(), expected)
    np.testing.assert_array_equal(item["label"][0, :, 1:6].numpy(), labels[0][2:8])


def test_every_patch_carries_its_case_and_half_hold_a_lesion_voxel_at_their_centre():
    label = np.zeros((24, 24, 24), np.uint8)
    label[3:5, 12, 12] = 1
    # The image tells where a patch was taken.
    image = np.arange(24**3, dtype=np.float32).reshape(1, 24, 24, 24)
    data = from_arrays(["P0", "P1"], [image, -image], [label, label], spacing_mm=(1.0, 1.0, 1.0))
    dataset = data.training(["P0", "P1"], Augmentation((6, 6, 6), samples_per_case=4, **PLAIN))
    with_lesion = 0
    for seed in range(50):
        position = seed % 2
        patches = dataset[(position, seed)]
        assert [patch["id"] for patch in patches] == [f"P{position}"] * 4
        for patch in patches:
            assert patch["image"].shape == (1, 6, 6, 6)
            corner = int(abs(patch["image"][0, 0, 0, 0]))
            start = np.unravel_index(corner, image.shape[1:])
            place = tuple(slice(a, a + 6) for a in start)
            np.testing.assert_array_equal(patch["label"][0].numpy(), label[place])
            with_lesion += bool(patch["label"].any())
    # Half are centred on the lesion; of the others one in forty holds some of it by chance.
    assert 80 <= with_lesion <= 125


def test_patches_of_small_volumes_are_padded_and_cases_without_lesion_give_background():
    image = np.ones((1, 5, 6, 9), np.float32)
    data = from_arrays(["P0"], [image], [np.zeros((5, 6, 9), np.uint8)], spacing_mm=(1.0, 1.0, 1.0))
    patches = data.training(["P0"], Augmentation((8, 8, 8), samples_per_case=2, **PLAIN))[(0, 1)]
    assert [patch["image"].shape for patch in patches] == [(1, 8, 8, 8)] * 2
    assert all(float(patch["image"].sum()) == 5 * 6 * 8 for patch in patches)
    assert not any(bool(patch["label"].any()) for patch in patches)


@pytest.mark.parametrize("shape", [(10, 11, 9), (11, 10, 8), (6, 6, 20)])
@pytest.mark.parametrize("size", [(6, 6, 6), (5, 8, 7), (12, 12, 12)])
def test_what_a_crop_cuts_is_what_monai_cuts(shape, size):
    data, _, labels = random_data(1, shape=shape, seed=3)
    label = torch.from_numpy(labels[0][None])
    kept = int(ResizeWithPadOrCropd(["label"], spatial_size=size)({"label": label})["label"].sum())
    assert data.cases["P0"].cut_by(size) == int(label.sum()) - kept
    # A lesion deep inside is told apart without reading the volume.
    small = np.zeros(shape, np.uint8)
    small[tuple(n // 2 for n in shape)] = 1
    inner = from_arrays(["P0"], [np.ones((1, *shape), np.float32)], [small], spacing_mm=(1.0, 1.0, 1.0))
    assert inner.cases["P0"].cut_by(size) == 0


def test_cut_cases_are_counted_and_named():
    shape = (12, 12, 12)
    centre, edge, half = (np.zeros(shape, np.uint8) for _ in range(3))
    centre[5:7, 5:7, 5:7], edge[0:2, 5, 5], half[2:4, 5, 5] = 1, 1, 1
    images = [np.ones((1, *shape), np.float32)] * 3
    data = from_arrays(["in", "out", "half"], images, [centre, edge, half], spacing_mm=(1.0, 1.0, 1.0))
    cuts = data.cuts(["in", "out", "half"], Augmentation((6, 12, 12)))
    assert cuts == {"out": 1.0, "half": 0.5}
    assert describe_cuts(cuts, n_cases=3, size=(6, 12, 12)) == (
        "2 of 3 training cases lose part of their lesion to cropping (to the non-zero part of the image, then to "
        "6 x 12 x 12): out (100%), half (50%); a larger --spatial-size or --patch keeps what the second cuts off"
    )
    # Patches reach everywhere.
    assert data.cuts(["in", "out", "half"], Augmentation((6, 12, 12), samples_per_case=1)) == {}
    assert describe_cuts({}, n_cases=3, size=(6, 12, 12)) is None


def test_lesion_volumes_are_in_cubic_millimetres():
    data, _, labels = random_data()
    volumes = data.volumes_mm3(["P1"])
    assert volumes == {"P1": pytest.approx(6.0 * labels[1].sum())}


def test_a_cache_file_that_has_gone_is_named(tmp_path):
    case = PreparedCase("P9", (4, 4, 4), (1.0, 1.0, 1.0), 0, path=tmp_path / "gone.pt")
    with pytest.raises(InputError, match=r"case P9: cached volume .*gone\.pt cannot be read"):
        case.load()


@pytest.mark.parametrize(
    "settings",
    [
        {"size": (8,)},
        {"size": (8, 8, 0)},
        {"size": (8, 8, 8), "samples_per_case": 0},
        {"size": (8, 8, 8), "flip": 1.2},
        {"size": (8, 8, 8), "foreground": -0.1},
        {"size": (8, 8, 8), "intensity": -0.1},
    ],
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ConfigError):
        Augmentation(**settings)
