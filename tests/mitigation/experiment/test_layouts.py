"""The same voxels in every layout and format: the same prepared tensors and the same trained weights, bit for bit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.mitigation.data_studies import study_of
from tests.mitigation.phantom_data import CASES, SPACING, folders, write_metadata, write_phases, write_volume

from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import read_mask, write_image, write_mask
from segfair.mitigation.data.regions import Regions
from segfair.mitigation.experiment.procedure import run_mitigation
from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.experiment.studies import Study
from segfair.mitigation.prediction.volumes import load_model


def nnunet(root: Path) -> Path:
    for case in CASES:
        write_phases(root / "imagesTr", case)
        write_mask(root / "labelsTr" / f"{case.id}.nii.gz", case.label, affine=case.affine)
    tree = {"labels": {"background": 0, "lesion": 1}, "channel_names": {"0": "pre", "1": "early", "2": "late"}}
    (root / "dataset.json").write_text(json.dumps(tree))
    write_metadata(root / "metadata.csv")
    return root


def decathlon(root: Path) -> Path:
    listed = []
    for case in CASES:
        write_image(root / "a" / f"{case.id}.nii.gz", np.moveaxis(case.image, 0, -1), affine=case.affine)
        write_mask(root / "b" / f"{case.id}.nii.gz", case.label, affine=case.affine)
        listed.append({"image": f"./a/{case.id}.nii.gz", "label": f"./b/{case.id}.nii.gz"})
    tree = {"labels": {"0": "background", "1": "lesion"}, "training": listed}
    (root / "dataset.json").write_text(json.dumps(tree))
    write_metadata(root / "metadata.csv")
    return root / "dataset.json"


def mama_mia(root: Path) -> Path:
    for case in CASES:
        write_phases(root / "images" / case.id, case)
        write_mask(root / "segmentations" / "expert" / f"{case.id}.nii.gz", case.label, affine=case.affine)
    write_metadata(root / "metadata.csv")
    return root


def table(root: Path) -> Path:
    rows = ["id,image1,image2,image3,label,age,breast_density"]
    for case in CASES:
        files = write_phases(root / "somewhere", case, ".mha")
        write_volume(root / "else" / f"{case.id}.nrrd", case.label, case.affine)
        values = [case.metadata["age"], case.metadata["breast_density"]]
        names = [os.path.relpath(path, root) for path in (*files, root / "else" / f"{case.id}.nrrd")]
        rows.append(",".join([case.id, *names, *("" if value is None else str(value) for value in values)]))
    (root / "cases.csv").write_text("\n".join(rows))
    return root / "cases.csv"


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "nnU-Net raw": nnunet,
    "Decathlon list": decathlon,
    "MAMA-MIA": mama_mia,
    "table of paths": table,
    "MetaImage": lambda root: folders(root, ".mha"),
    "NRRD": lambda root: folders(root, ".nrrd"),
}


def settings_of(data: Path, out: Path) -> MitigationSettings:
    return MitigationSettings(
        out,
        data,
        baseline=False,
        backbones=("unet",),
        strategies=("balanced",),
        network={"unet": {"channels": (4, 8), "residual_units": 0}},
        epochs=1,
        batch_size=4,
        lr=3e-3,
        spatial_size=(16, 16, 16),
        attributes=("age", "breast_density"),
        spacing_mm=SPACING,
        device="cpu",
    )


def own_study(data: Path, out: Path) -> Study:
    return study_of(data, out, attributes=("age", "breast_density"), spacing_mm=SPACING)


def trained_weights(data: Path, out: Path) -> dict[str, torch.Tensor]:
    run_mitigation(settings_of(data, out))
    return dict(torch.load(out / "balanced" / "checkpoint_last.pt", weights_only=True)["network"])


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict[str, torch.Tensor]]:
    """The study and the weights of plain folders of NIfTI."""
    root = tmp_path_factory.mktemp("folders")
    data = folders(root / "data")
    return own_study(data, root), trained_weights(data, root / "out")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_tensors_and_weights(
    layout: str, reference: tuple[Study, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    plain, weights = reference
    data = LAYOUTS[layout](tmp_path / "data")
    study = own_study(data, tmp_path)
    assert study.skipped == {}
    assert study.split == plain.split
    for case in CASES:
        for mine, theirs in zip(
            study.prepared.cases[case.id].load(), plain.prepared.cases[case.id].load(), strict=True
        ):
            assert torch.equal(mine, theirs)
    found = trained_weights(data, tmp_path / "out")
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_the_phantom_s_own_voxels_are_what_is_prepared(reference: tuple[Study, dict[str, torch.Tensor]]) -> None:
    plain, _ = reference
    for case in CASES:
        image, label = plain.prepared.cases[case.id].load()
        np.testing.assert_array_equal(label[0].numpy(), case.label)
        assert image.shape == case.image.shape


def write_pictures(root: Path, suffix: str) -> Path:
    rng = np.random.default_rng(4)
    rows = ["id,device"]
    for number in range(30):
        picture, label = rng.integers(1, 200, (12, 10)).astype(np.uint8), np.zeros((12, 10), np.uint8)
        low = rng.integers(1, 6, 2)
        label[low[0] : low[0] + 4, low[1] : low[1] + 3] = 1
        for folder, array in (("images", picture), ("labels", label)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            path = root / folder / f"P{number:02d}{suffix}"
            np.save(path, array) if suffix == ".npy" else Image.fromarray(array.T).save(path)
        rows.append(f"P{number:02d},{'AB'[number % 2]}")
    (root / "metadata.csv").write_text("\n".join(rows))
    return root


def test_pictures_in_every_format_give_the_same_tensors(tmp_path: Path) -> None:
    studies = [study_of(write_pictures(tmp_path / suffix[1:], suffix), tmp_path) for suffix in (".png", ".tif", ".npy")]
    first = studies[0]
    assert first.preprocessing.spacing_mm is None, "a pixel has no millimetres"
    assert "hd95_px" in first.protocol.metrics
    for study in studies[1:]:
        assert study.skipped == {}
        assert study.split == first.split
        for name, case in study.prepared.cases.items():
            for mine, theirs in zip(case.load(), first.prepared.cases[name].load(), strict=True):
                assert torch.equal(mine, theirs)


def test_real_pictures_are_read_without_a_skipped_case(tmp_path: Path) -> None:
    data = Path(os.environ.get("SEGFAIR_BUSBRA", "no such folder"))
    if not data.is_dir():
        pytest.skip("SEGFAIR_BUSBRA names no folder with the BUS-BRA images")
    study = study_of(data, tmp_path)
    assert study.skipped == {}
    assert len(study.prepared.cases) == 1875
    assert study.config.subject_column == "patient"
    patient = pd.read_csv(data / "metadata.csv").set_index("image_id")["patient"]
    parts = [set(patient[list(part)]) for part in (study.split.train, study.split.validation, study.split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 1064, "no patient is in two parts"


def test_nested_regions_and_an_ignored_value_go_from_the_data_set_to_the_audit(tmp_path: Path) -> None:
    data = nnunet(tmp_path / "data")
    for case in CASES:
        label = case.label * np.uint8(1)
        label[case.label > 0] += (np.argwhere(case.label > 0)[:, 0] % 2).astype(np.uint8)
        label[0] = 9
        write_mask(data / "labelsTr" / f"{case.id}.nii.gz", label, affine=case.affine)
    names = {"background": 0, "whole": [1, 2], "core": [2], "ignore": 9}
    (data / "dataset.json").write_text(json.dumps({"labels": names, "regions_class_order": [1, 2]}))
    told: list[str] = []
    comparison = run_mitigation(settings_of(data, tmp_path / "out"), tell=told.append)
    assert "trained, predicted and audited: label whole = 1,2, core = 2" in told
    assert "voxels of label 9 count nowhere, as dataset.json says" in told
    folder = tmp_path / "out" / "balanced"
    audit = json.loads((folder / "audit" / "audit.json").read_text("utf-8"))
    assert audit["protocol"]["regions"] == {"whole": "1,2", "core": "2"}
    assert audit["protocol"]["label"]["ignore"] == 9
    model = load_model(folder / "checkpoint_best.pt")
    assert model.config.out_channels == model.preprocessing.regions.n_channels == 2
    found = {
        value for path in (folder / "predictions" / "test").iterdir() for value in np.unique(read_mask(path).array)
    }
    assert found <= {0, 1, 2}
    assert comparison["models"]["balanced"]["test"]["DSC"] is not None
    with pytest.raises(ConfigError, match=r"holds a training of balanced; go on with --resume, name another folder"):
        run_mitigation(settings_of(data, tmp_path / "out"))
    assert (folder / "checkpoint_best.pt").is_file(), "nothing is deleted unasked"


def test_one_region_that_is_asked_for_is_all_that_is_trained(tmp_path: Path) -> None:
    data = folders(tmp_path / "data")
    for case in CASES:
        write_mask(data / "labels" / f"{case.id}.nii.gz", case.label * np.uint8(4), affine=case.affine)
    study = study_of(data, tmp_path, label=("4",), attributes=("age",), spacing_mm=SPACING)
    assert study.preprocessing.regions == Regions.of_values((4,))
    assert all(case.n_lesion for case in study.prepared.cases.values())
    with pytest.raises(InputError, match=r"no label of 30 cases, such as .*, holds what is trained \(1\)"):
        study_of(data, tmp_path, spacing_mm=SPACING)


def test_bins_that_are_learned_from_scores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="--bins age=tree: is learned from scores, and before a training there are none"
    ):
        study_of(folders(tmp_path / "data"), tmp_path, bins=("age=tree",), spacing_mm=SPACING)


def test_patients_with_several_cases_are_never_divided_unasked(tmp_path: Path) -> None:
    data = folders(tmp_path / "data")
    rows = [f"{case.id},S{number // 2},{'AB'[number % 2]}" for number, case in enumerate(CASES)]
    (data / "metadata.csv").write_text("case,patient,site\n" + "\n".join(rows))
    study = study_of(data, tmp_path, spacing_mm=SPACING)
    assert study.config.subject_column == "patient"
    number = {case.id: index // 2 for index, case in enumerate(CASES)}
    parts = [{number[case] for case in part} for part in (study.split.train, study.split.validation, study.split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 15
    alone = study_of(data, tmp_path, subject_column="none", spacing_mm=SPACING)
    assert alone.config.subject_column == "none"
    assert alone.split.test != study.split.test
