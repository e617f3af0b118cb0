"""Prediction: windows, geometry end to end, boxes, what is kept and what fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
nib = pytest.importorskip("nibabel")

from segfair.errors import ConfigError, InputError  # noqa: E402
from segfair.files.image_files import find_images  # noqa: E402
from segfair.files.images.masks import read_mask  # noqa: E402
from segfair.mitigation.data.boxes import find_boxes  # noqa: E402
from segfair.mitigation.data.preprocessing import Preprocessing  # noqa: E402
from segfair.mitigation.networks.backbones import NetworkConfig, build_network  # noqa: E402
from segfair.mitigation.networks.checkpoints import save_checkpoint  # noqa: E402
from segfair.mitigation.prediction.volumes import (  # noqa: E402
    Model,
    WindowInferer,
    describe,
    find_checkpoints,
    load_model,
    predict_images,
)


class Brightness(torch.nn.Module):
    """Says lesion where the second phase is brighter than the first by more than the noise."""

    def forward(self, image):
        return 4 * (image[:, 1:2] - image[:, :1]) - 2


class HalfBrightness(torch.nn.Module):
    """Says lesion where a voxel brightens by half as much as the brightest: exact at the edge of a lesion."""

    def forward(self, image):
        gain = image[:, 1:2] - image[:, :1]
        return 8 * (gain / gain.amax() - 0.5)


def model_of(network, *, window=(32, 32, 32), phases=2):
    return Model(network, NetworkConfig.small("unet", in_channels=phases), Preprocessing(phases=phases), window)


def brightness_model(window=(32, 32, 32), phases=2):
    return model_of(Brightness(), window=window, phases=phases)


def directions(codes: str) -> np.ndarray:
    """Rotation whose columns run to the given anatomical directions."""
    matrix = np.zeros((3, 3))
    for column, code in enumerate(codes):
        row = next(axis for axis, pair in enumerate(("LR", "PA", "IS")) if code in pair)
        matrix[row, column] = 1.0 if code in "RAS" else -1.0
    return matrix


def write_pair(folder: Path, name: str, codes: str, spacing, shape) -> np.ndarray:
    """Two phases of one image, the second brighter in an off-centre ellipsoid; returns that ellipsoid."""
    affine = np.eye(4)
    turn = np.array([[np.cos(0.2), 0, np.sin(0.2)], [0, 1, 0], [-np.sin(0.2), 0, np.cos(0.2)]])
    affine[:3, :3] = turn @ directions(codes) @ np.diag(spacing)
    affine[:3, 3] = (11.0, -23.0, 37.0)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) * np.array(spacing)
    centre = np.array(shape) * spacing * np.array([0.4, 0.55, 0.45])
    lesion = np.linalg.norm((places - centre) / [1.2, 0.9, 1.0], axis=-1) < 7.0
    rng = np.random.default_rng(len(name))
    folder.mkdir(parents=True, exist_ok=True)
    for phase in range(2):
        image = 100 + rng.standard_normal(shape) + 100 * lesion * phase
        nib.save(nib.Nifti1Image(image.astype(np.float32), affine), folder / f"{name}_{phase:04d}.nii.gz")
    return lesion


@pytest.mark.parametrize(
    ("codes", "spacing", "shape"),
    [
        ("RAS", (1.0, 1.0, 1.0), (30, 30, 30)),
        ("LPS", (0.7, 0.7, 2.0), (40, 44, 15)),
        ("PIR", (0.9, 1.6, 1.2), (30, 20, 26)),
        ("SLA", (2.0, 0.8, 1.1), (14, 40, 30)),
    ],
)
def test_masks_come_back_in_the_images_own_geometry(codes, spacing, shape, tmp_path):
    lesion = write_pair(tmp_path / "images", "P1", codes, spacing, shape)
    report = predict_images(
        model_of(HalfBrightness()), find_images(tmp_path / "images", n_channels=2), tmp_path / "out"
    )
    assert report.written == ("P1",)
    stored = nib.load(tmp_path / "out" / "P1.nii.gz")
    image = nib.load(tmp_path / "images" / "P1_0000.nii.gz")
    assert stored.shape == image.shape
    np.testing.assert_array_equal(stored.affine, image.affine)
    assert stored.get_data_dtype() == np.uint8
    mask = np.asarray(stored.dataobj) > 0
    dice = 2 * np.count_nonzero(mask & lesion) / (mask.sum() + lesion.sum())
    assert dice > (0.999 if spacing == (1.0, 1.0, 1.0) else 0.99)


def test_a_window_smaller_than_the_volume_gives_the_same(tmp_path):
    write_pair(tmp_path / "images", "P1", "LPS", (0.8, 0.9, 1.5), (40, 36, 24))
    images = find_images(tmp_path / "images", n_channels=2)
    for name, window in (("whole", (48, 48, 48)), ("windows", (16, 16, 16)), ("mixed", (64, 16, 32))):
        predict_images(brightness_model(window), images, tmp_path / name)
    masks = {name: read_mask(tmp_path / name / "P1.nii.gz").array for name in ("whole", "windows", "mixed")}
    assert masks["whole"].any()
    np.testing.assert_array_equal(masks["windows"], masks["whole"])
    np.testing.assert_array_equal(masks["mixed"], masks["whole"])


class Shapes(torch.nn.Module):
    """Remembers what it was shown, and gives the first channel back."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image):
        self.seen.append(image)
        # A copy: MONAI weights the windows' outputs in place.
        return image[:, :1].clone()


@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 8, 3), (1, 1, 1)])
def test_a_volume_that_fits_is_padded_as_training_pads_it(shape):
    from monai.transforms import ResizeWithPadOrCrop

    image = torch.rand((2, 3, *shape))
    network = Shapes()
    logits = WindowInferer((8, 8, 8))(image, network)
    assert torch.equal(logits, image[:, :1])
    (seen,) = network.seen
    expected = torch.stack([ResizeWithPadOrCrop((8, 8, 8))(part) for part in image])
    assert torch.equal(seen, expected)


def test_every_voxel_of_a_larger_volume_is_predicted_in_place():
    image = torch.rand((1, 2, 19, 8, 11))
    network = Shapes()
    logits = WindowInferer((8, 8, 16))(image, network)
    assert {tuple(seen.shape[2:]) for seen in network.seen} == {(8, 8, 16)}
    torch.testing.assert_close(logits, image[:, :1])


def trained_checkpoint(path: Path, name="unet", *, preprocessing=None, window=(16, 16, 16), seed=1) -> Path:
    preprocessing = preprocessing or Preprocessing()
    config = NetworkConfig.small(name, in_channels=preprocessing.phases)
    torch.manual_seed(seed)
    network = build_network(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    description = describe(config, preprocessing, window, attributes={"age": [1.0]})
    save_checkpoint(path, {"epoch": 3, "network": network.state_dict(), "description": description})
    return path


@pytest.mark.parametrize("name", ["unet", "segresnet"])
def test_a_checkpoint_predicts_as_the_network_that_it_holds(name, tmp_path):
    model = load_model(trained_checkpoint(tmp_path / "checkpoint.pt", name))
    assert model.window == (16, 16, 16)
    assert model.preprocessing == Preprocessing()
    assert model.description["attributes"] == {"age": [1.0]}
    torch.manual_seed(1)
    original = build_network(model.config).eval()
    image = torch.rand((1, 3, 16, 16, 16))
    with torch.no_grad():
        assert torch.equal(model.network(image), original(image))
    assert not model.network.training


def test_what_is_no_checkpoint_of_a_network(tmp_path):
    network = build_network(NetworkConfig.small("unet"))
    save_checkpoint(tmp_path / "bare.pt", {"network": network.state_dict()})
    with pytest.raises(InputError, match=r"bare\.pt: description: backbone is missing"):
        load_model(tmp_path / "bare.pt")
    other = describe(NetworkConfig.small("unet", channels=(8, 16)), Preprocessing(), (16, 16, 16))
    save_checkpoint(tmp_path / "other.pt", {"network": network.state_dict(), "description": other})
    with pytest.raises(InputError, match=r"other\.pt: its weights do not fit the network that it describes"):
        load_model(tmp_path / "other.pt")
    strange = describe(NetworkConfig.small("unet"), Preprocessing(), (16, 16, 16))
    strange["backbone"]["name"] = "vnet"
    save_checkpoint(tmp_path / "strange.pt", {"network": network.state_dict(), "description": strange})
    with pytest.raises(InputError, match="vnet"):
        load_model(tmp_path / "strange.pt")
    (tmp_path / "evil.pt").write_bytes(b"cos\nsystem\n(S'touch evil'\ntR.")
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "evil.pt")


def test_several_classes_are_lesion_where_the_background_is_not_the_likeliest(tmp_path):
    class Three(torch.nn.Module):
        def forward(self, image):
            difference = image[:, 1:2] - image[:, :1]
            # Background wins against each class alone, never against both together, outside of the lesion.
            return torch.cat([torch.ones_like(difference) * 0.5, difference, 0.4 + 0 * difference], dim=1)

    write_pair(tmp_path / "images", "P1", "RAS", (1.0, 1.0, 1.0), (30, 30, 30))
    images = find_images(tmp_path / "images", n_channels=2)
    predict_images(model_of(Three()), images, tmp_path / "several")
    predict_images(brightness_model(), images, tmp_path / "one")
    masks = [read_mask(tmp_path / name / "P1.nii.gz").array > 0 for name in ("several", "one")]
    assert masks[0].any()
    np.testing.assert_array_equal(*masks)


def test_masks_that_exist_are_kept_and_bad_images_do_not_stop_the_others(tmp_path):
    for name in ("P1", "P2", "P3"):
        write_pair(tmp_path / "images", name, "RAS", (1.0, 1.0, 1.0), (24, 24, 24))
    (tmp_path / "images" / "P2_0001.nii.gz").write_bytes(b"broken")
    images = find_images(tmp_path / "images", n_channels=2)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "P1.nii.gz").write_bytes(b"mine")
    done: list[str] = []
    report = predict_images(brightness_model(), images, tmp_path / "out", on_done=done.append)
    assert report.written == ("P3",)
    assert report.existing == ("P1",)
    assert list(report.failed) == ["P2"]
    assert "is not a NIfTI file" in report.failed["P2"]
    assert (tmp_path / "out" / "P1.nii.gz").read_bytes() == b"mine"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["P1.nii.gz", "P3.nii.gz"]
    assert sorted(done) == ["P1", "P2", "P3"]
    again = predict_images(brightness_model(), images, tmp_path / "out")
    assert again.existing == ("P1", "P3")
    with pytest.raises(InputError, match="none of 1 images can be predicted; for example P2"):
        predict_images(brightness_model(), {"P2": images["P2"]}, tmp_path / "other")


def test_too_few_phases_fail_by_name(tmp_path):
    write_pair(tmp_path / "images", "P1", "RAS", (1.0, 1.0, 1.0), (24, 24, 24))
    with pytest.raises(InputError, match=r"P1: .* 2 phases, 3 are needed"):
        predict_images(brightness_model(phases=3), find_images(tmp_path / "images", n_channels=2), tmp_path / "out")


def test_workers_read_ahead_and_change_nothing(tmp_path):
    for name in ("P1", "P2"):
        write_pair(tmp_path / "images", name, "LPS", (1.1, 1.0, 1.3), (24, 24, 20))
    images = find_images(tmp_path / "images", n_channels=2)
    predict_images(brightness_model(), images, tmp_path / "alone")
    predict_images(brightness_model(), images, tmp_path / "with", workers=1)
    for name in ("P1.nii.gz", "P2.nii.gz"):
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "with" / name).read_bytes()


def write_box(folder: Path, name: str, ranges) -> None:
    folder.mkdir(exist_ok=True)
    corners = {
        f"{axis}_{end}": value
        for axis, pair in zip("zyx", ranges, strict=True)
        for end, value in zip(("min", "max"), pair, strict=True)
    }
    (folder / f"{name}.json").write_text(json.dumps({"primary_lesion": {"breast_coordinates": corners}}))


def test_boxes_restrict_and_are_doubted_where_they_miss_the_lesion(tmp_path):
    shape = (30, 26, 22)
    lesions = {
        name: write_pair(tmp_path / "images", name, "LPS", (1.0, 1.0, 1.0), shape) for name in ("P1", "P2", "P3")
    }
    low, high = np.argwhere(lesions["P1"]).min(axis=0), np.argwhere(lesions["P1"]).max(axis=0) + 1
    middle = int(low[0] + high[0]) // 2
    # P1: cut along the first stored axis, two thirds stay; P2: elsewhere; P3 has no box.
    write_box(tmp_path / "boxes", "p1", [(0, middle + 2), (0, 26), (0, 22)])
    write_box(tmp_path / "boxes", "P2", [(0, 4), (0, 26), (0, 22)])
    images = find_images(tmp_path / "images", n_channels=2)
    report = predict_images(brightness_model(), images, tmp_path / "out", boxes=find_boxes(tmp_path / "boxes"))
    free = predict_images(brightness_model(), images, tmp_path / "free")
    assert free.notices == ()
    expected = read_mask(tmp_path / "free" / "P1.nii.gz").array.copy()
    expected[middle + 2 :] = 0
    np.testing.assert_array_equal(read_mask(tmp_path / "out" / "P1.nii.gz").array, expected)
    assert not read_mask(tmp_path / "out" / "P2.nii.gz").array.any()
    assert (tmp_path / "out" / "P3.nii.gz").read_bytes() == (tmp_path / "free" / "P3.nii.gz").read_bytes()
    assert report.notices == (
        "case P2: the breast box holds 0% of the predicted lesion, the rest was removed",
        "predictions without a breast box, not restricted: 1 (P3)",
    )


def test_a_broken_box_leaves_its_prediction_whole(tmp_path):
    write_pair(tmp_path / "images", "P1", "RAS", (1.0, 1.0, 1.0), (24, 24, 24))
    (tmp_path / "boxes").mkdir()
    (tmp_path / "boxes" / "P1.json").write_text("{")
    images = find_images(tmp_path / "images", n_channels=2)
    report = predict_images(brightness_model(), images, tmp_path / "out", boxes=find_boxes(tmp_path / "boxes"))
    assert "not JSON (line 1, column 2" in report.notices[0]
    assert report.notices[1] == "predictions without a breast box, not restricted: 1 (P1)"
    assert read_mask(tmp_path / "out" / "P1.nii.gz").array.any()


def test_running_out_of_memory_says_at_which_size(tmp_path):
    class Greedy(torch.nn.Module):
        def forward(self, image):
            raise torch.OutOfMemoryError("CUDA out of memory")

    write_pair(tmp_path / "images", "P1", "RAS", (1.0, 1.0, 1.0), (24, 25, 26))
    with pytest.raises(ConfigError, match="a volume of 24 x 25 x 26 in windows of 32 x 32 x 32"):
        predict_images(model_of(Greedy()), find_images(tmp_path / "images", n_channels=2), tmp_path / "out")


def test_a_mama_mia_tree_is_predicted_without_metadata(mama_mia, tmp_path):
    images = find_images(mama_mia.root / "images")
    report = predict_images(
        load_model(trained_checkpoint(tmp_path / "checkpoint.pt", window=(32, 32, 32))),
        images,
        tmp_path / "out",
        boxes=find_boxes(mama_mia.root),
    )
    assert set(report.written) == set(mama_mia.ids) - {mama_mia.few_phases}
    assert list(report.failed) == [mama_mia.few_phases]
    for case in report.written:
        mask = nib.load(tmp_path / "out" / f"{case}.nii.gz")
        image = nib.load(images[case][0])
        assert mask.shape == image.shape
        np.testing.assert_array_equal(mask.affine, image.affine)


def test_dropout_is_off_whatever_state_the_network_comes_in(tmp_path):
    class Moody(torch.nn.Module):
        def forward(self, image):
            return torch.full_like(image[:, :1], 1.0 if self.training else -1.0)

    write_pair(tmp_path / "images", "P1", "RAS", (1.0, 1.0, 1.0), (24, 24, 24))
    predict_images(model_of(Moody().train()), find_images(tmp_path / "images", n_channels=2), tmp_path / "out")
    assert not read_mask(tmp_path / "out" / "P1.nii.gz").array.any()


def test_folds_predict_together_and_must_be_of_one_build(tmp_path):
    folder = tmp_path / "erm"
    for fold in (1, 2):
        trained_checkpoint(folder / f"fold-{fold}" / "checkpoint_best.pt", seed=fold)
    found = find_checkpoints(folder)
    assert [path.parent.name for path in found] == ["fold-1", "fold-2"]
    assert find_checkpoints(found[0]) == (found[0],)
    assert find_checkpoints(found[0].parent) == (found[0],)
    image = torch.rand(1, 3, 16, 16, 16)
    one, other = (load_model(path).network(image) for path in found)
    both = load_model(*found)
    torch.testing.assert_close(both.network(image), (one + other) / 2)
    trained_checkpoint(tmp_path / "third.pt", "segresnet")
    with pytest.raises(ConfigError, match=r"differs from that of .*only models of one build predict together"):
        load_model(found[0], tmp_path / "third.pt")
    with pytest.raises(InputError, match=r"no checkpoint_best\.pt in it, nor in fold-"):
        find_checkpoints(tmp_path)


def test_a_checkpoint_does_not_choose_which_code_is_run(tmp_path, monkeypatch):
    (tmp_path / "mine_to_trust.py").write_text(
        "from torch import nn\n"
        "def make(spatial_dims, in_channels, out_channels):\n"
        "    return nn.Conv3d(in_channels, out_channels, 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = NetworkConfig("mine_to_trust:make", in_channels=2)
    description = describe(config, Preprocessing(phases=2), (8, 8, 8))
    save_checkpoint(
        tmp_path / "own.pt",
        {"epoch": 1, "network": build_network(config).state_dict(), "description": description, "scores": {}},
    )
    with pytest.raises(InputError, match="its network is code, mine_to_trust:make; if you trust it, name it with"):
        load_model(tmp_path / "own.pt")
    model = load_model(tmp_path / "own.pt", own_network="mine_to_trust:make")
    assert model.network(torch.zeros(1, 2, 4, 4, 4)).shape == (1, 2, 4, 4, 4)


def test_flips_and_the_largest_part_are_taken_from_the_checkpoint(tmp_path):
    config = NetworkConfig.small("unet", in_channels=2)
    description = describe(config, Preprocessing(phases=2), (8, 8, 8), flips=[0, 2], keep_largest=True)
    state = build_network(config).state_dict()
    save_checkpoint(tmp_path / "c.pt", {"epoch": 1, "network": state, "description": description, "scores": {}})
    model = load_model(tmp_path / "c.pt")
    assert model.inferer == WindowInferer((8, 8, 8), flips=(0, 2))
    assert model.keep_largest


def test_unfinished_folds_do_not_predict_as_if_they_were_all(tmp_path):
    trained_checkpoint(tmp_path / "fold-1" / "checkpoint_best.pt")
    trained_checkpoint(tmp_path / "fold-1" / "checkpoint_last.pt")
    trained_checkpoint(tmp_path / "fold-2" / "checkpoint_last.pt")
    with pytest.raises(InputError, match="fold-2 is not finished; go on with --resume"):
        find_checkpoints(tmp_path)
