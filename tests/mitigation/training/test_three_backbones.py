"""Each backbone by command line: two epochs on a few small volumes, then predict, audit, compare.

SwinUNETR takes seconds a step at the smallest size that it can be trained on, so it is trained once, without a plain
model beside it, and compared with the UNet.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
nib = pytest.importorskip("nibabel")

CONFIG = """
epochs = 2
batch_size = 4
lr = 0.003
spacing_mm = [4.0, 4.0, 4.0]

[network.unet]
channels = [4, 8]

[network.segresnet]
init_filters = 8

[network.swinunetr]
feature_size = 12
"""


@pytest.fixture(scope="module")
def tree(once, write_tree) -> Any:
    return once("backbones", lambda root: write_tree(root / "data", n_cases=9, phantom=True))


@pytest.fixture(scope="module")
def trained(once, call_cli, tree) -> Path:
    """A folder with one folder a model: UNet and SegResNet plain and mitigated, SwinUNETR mitigated."""

    def make(root: Path) -> Path:
        out, swin, config = root / "out", root / "swin", root / "config.toml"
        config.write_text(CONFIG)
        # Two attributes, and so one heat map a page: what is drawn is not the point.
        options = ("--config", config, "--strategy", "divergence-sampling", "--attributes", "age,menopause")
        common = ("mitigate", tree.root, *options)
        cache = ("--cache", root / "cache")
        two = ("--backbone", "unet", "--backbone", "segresnet", "--spatial-size", 16, 16, 16)
        done = call_cli(*common, *cache, *two, "--out", out)
        assert done.returncode == 0, done.stderr
        alone = ("--backbone", "swinunetr", "--spatial-size", 64, 32, 32, "--no-baseline")
        done = call_cli(*common, *cache, *alone, "--out", swin)
        assert done.returncode == 0, done.stderr
        page = (swin / "comparison.html").read_text("utf-8")
        assert "Insufficient evidence" in page, "a single model has a page as well; so few test cases hold no subgroup"
        (swin / "divergence-sampling").rename(out / "swinunetr-divergence-sampling")
        return out

    return once("backbones-trained", make)


MODELS = (
    *(f"{backbone}-{strategy}" for backbone in ("unet", "segresnet") for strategy in ("erm", "divergence-sampling")),
    "swinunetr-divergence-sampling",
)


@pytest.mark.parametrize("name", MODELS)
def test_it_trains_two_epochs_and_its_weights_move(name: str, trained: Path) -> None:
    with (trained / name / "history.csv").open(newline="") as stream:
        history = list(csv.DictReader(stream))
    assert [row["epoch"] for row in history] == ["1", "2"]
    losses = [float(row["loss"]) for row in history]
    assert np.isfinite(losses).all()
    if name.endswith("erm"):
        # A few steps lower the loss already; a network that does not learn keeps it. Draws of the hard ones raise it.
        assert losses[1] < losses[0]
    saved = torch.load(trained / name / "checkpoint_last.pt", weights_only=True)
    assert saved["description"]["backbone"]["name"] == name.split("-")[0]


@pytest.mark.parametrize("name", [name for name in MODELS if not name.endswith("erm")])
def test_its_checkpoint_predicts_whole_images_and_its_predictions_are_audited(
    name: str, trained: Path, tree, call_cli, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for case in tree.test:
        folder = next((tree.root / "images").glob(f"*/{case}_0000.nii.gz")).parent
        (images / folder.name).symlink_to(folder)
    boxes = ("--boxes", tree.root / "patient_info_files")
    done = call_cli("predict", trained / name / "checkpoint_best.pt", images, tmp_path / "masks", *boxes)
    assert done.returncode == 0, done.stderr
    for case in tree.test:
        mask = nib.load(tmp_path / "masks" / f"{case}.nii.gz")
        image = nib.load(next((tree.root / "images").glob(f"*/{case}_0000.nii.gz")))
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-5)
        # The checkpoint predicts what the training predicted with the network in memory.
        other = nib.load(trained / name / "predictions" / "test" / f"{case}.nii.gz")
        np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(other.dataobj))
    audit = json.loads((trained / name / "audit" / "audit.json").read_text("utf-8"))
    assert audit["cases"]["n_scored"] == len(tree.test)
    assert audit["cases"]["penalised"] == []


@pytest.mark.parametrize("backbone", ["unet", "segresnet", "swinunetr"])
def test_it_is_compared(backbone: str, trained: Path, call_cli, tmp_path: Path) -> None:
    plain = trained / ("unet-erm" if backbone == "swinunetr" else f"{backbone}-erm")
    after = trained / f"{backbone}-divergence-sampling"
    done = call_cli("compare", plain / "audit" / "audit.json", after / "audit" / "audit.json", "--out", tmp_path / "c")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c" / "comparison.json").is_file()


def test_one_page_compares_two_backbones_each_with_its_own_plain_model(trained: Path) -> None:
    models = json.loads((trained / "comparison.json").read_text("utf-8"))["models"]
    assert list(models) == list(MODELS[:4])
    page = (trained / "comparison.html").read_text("utf-8")
    for backbone in ("unet", "segresnet"):
        assert f"{backbone}-divergence-sampling against {backbone}-erm" in page
