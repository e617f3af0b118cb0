"""A bundle predicts with MONAI alone what segfair predicts."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
monai = pytest.importorskip("monai")
nib = pytest.importorskip("nibabel")

from segfair.errors import InputError  # noqa: E402
from segfair.files.image_files import find_images  # noqa: E402
from segfair.mitigation.data.preprocessing import Preprocessing  # noqa: E402
from segfair.mitigation.data.regions import LESION, Region, Regions  # noqa: E402
from segfair.mitigation.networks.backbones import NetworkConfig, build_network  # noqa: E402
from segfair.mitigation.networks.checkpoints import save_checkpoint  # noqa: E402
from segfair.mitigation.prediction.bundle import export_bundle  # noqa: E402
from segfair.mitigation.prediction.volumes import describe, load_model, predict_images  # noqa: E402


def write_checkpoint(path: Path, *, out_channels=1, preprocessing=None, window=(24, 24, 24)) -> Path:
    """An untrained network whose last bias lets about half of the voxels be lesion."""
    preprocessing = preprocessing or Preprocessing()
    config = NetworkConfig(
        "unet", in_channels=preprocessing.phases, out_channels=out_channels, options={"channels": (8, 16)}
    )
    torch.manual_seed(0)
    network = build_network(config)
    with torch.no_grad():
        # Smooth predictions: single voxels near the threshold would differ by rounding alone.
        for weight in network.parameters():
            weight.mul_(2.0)
    save_checkpoint(
        path, {"epoch": 1, "network": network.state_dict(), "description": describe(config, preprocessing, window)}
    )
    return path


def run_bundle(bundle: Path, images: Path, out: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monai.bundle.run(
            config_file=str(bundle / "configs" / "inference.json"),
            meta_file=str(bundle / "configs" / "metadata.json"),
            bundle_root=str(bundle),
            dataset_dir=str(images),
            output_dir=str(out),
            device="$torch.device('cpu')",
        )
    assert torch.is_grad_enabled()


NESTED = Regions((Region("whole", (1, 2, 300), 1), Region("core", (2, 300), 300)))


@pytest.mark.parametrize(
    ("out_channels", "regions"),
    [(1, LESION), (2, LESION), (2, Regions.of_values((2,))), (2, NESTED)],
    ids=["sigmoid", "softmax", "lesion = 2", "regions"],
)
def test_the_bundle_predicts_what_segfair_predicts(out_channels, regions, mama_mia, tmp_path):
    # Windows smaller than the images, so that they are laid alike too.
    checkpoint = write_checkpoint(
        tmp_path / "c.pt", out_channels=out_channels, preprocessing=Preprocessing(regions=regions), window=(16, 16, 16)
    )
    bundle = export_bundle(checkpoint, tmp_path / "bundle")
    chosen = [mama_mia.usable[0], mama_mia.usable[-1]]
    for case in chosen:
        folder = tmp_path / "images" / case
        folder.mkdir(parents=True)
        for path in find_images(mama_mia.root / "images")[case]:
            (folder / path.name).symlink_to(path)
    predict_images(load_model(checkpoint), find_images(tmp_path / "images"), tmp_path / "ours")
    run_bundle(bundle, tmp_path / "images", tmp_path / "theirs")
    for case in chosen:
        ours, theirs = (
            nib.load(tmp_path / "ours" / f"{case}.nii.gz"),
            nib.load(tmp_path / "theirs" / f"{case}_0000.nii.gz"),
        )
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-5)
        maps = np.asarray(ours.dataobj), np.asarray(theirs.dataobj)
        written = [region.written for region in regions.each]
        assert all(set(np.unique(found)) <= {0, *written} for found in maps)
        for value in written:
            a, b = (found == value for found in maps)
            assert 0.02 < a.mean() < 0.95
            # Two resamplers of the same probabilities: voxels on the threshold may differ, no more.
            assert 2 * np.count_nonzero(a & b) / (a.sum() + b.sum()) > 0.98


def test_four_dimensional_files_and_kept_spacing(tmp_path):
    from segfair.phantom import write_phantom

    files = write_phantom(tmp_path / "phantom", n_cases=1, size=(16, 16, 16))
    settings = Preprocessing(phases=2, spacing_mm=None, normalise="phase")
    checkpoint = write_checkpoint(tmp_path / "c.pt", preprocessing=settings, window=(16, 16, 16))
    run_bundle(export_bundle(checkpoint, tmp_path / "bundle"), files.images, tmp_path / "theirs")
    predict_images(load_model(checkpoint), find_images(files.images), tmp_path / "ours")
    (name,) = (path.name for path in files.images.iterdir())
    a, b = (np.asarray(nib.load(tmp_path / which / name).dataobj) > 0 for which in ("ours", "theirs"))
    assert 0.05 < a.mean() < 0.95
    assert np.count_nonzero(a != b) <= 2


def test_what_a_bundle_says_about_itself(tmp_path):
    bundle = export_bundle(write_checkpoint(tmp_path / "c.pt"), tmp_path / "bundle", title="Breast lesions")
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    # The keys that MONAI's schema for metadata requires.
    required = {"version", "monai_version", "pytorch_version", "numpy_version", "task", "description", "authors"}
    assert required | {"copyright", "network_data_format"} <= set(metadata)
    assert metadata["name"] == "Breast lesions"
    assert metadata["network_data_format"]["inputs"]["image"]["num_channels"] == 3
    assert "resampled to 1 x 1 x 1 mm" in (bundle / "docs" / "README.md").read_text()
    weights = torch.load(bundle / "models" / "model.pt", weights_only=True)
    assert all(
        torch.equal(weights[key], value) for key, value in load_model(tmp_path / "c.pt").network.state_dict().items()
    )
    # Writing it again replaces it.
    export_bundle(tmp_path / "c.pt", bundle, title="Again")
    assert json.loads((bundle / "configs" / "metadata.json").read_text())["name"] == "Again"


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export_bundle(write_checkpoint(tmp_path / "c.pt"), tmp_path / "file" / "bundle")
