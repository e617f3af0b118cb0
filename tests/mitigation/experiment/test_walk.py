"""The whole way by command line on a MAMA-MIA tree: mitigate, predict, audit, with the oddities of the real data."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
nib = pytest.importorskip("nibabel")

EPOCHS = 2
CONFIG = f"""
backbones = ["unet"]
epochs = {EPOCHS}
batch_size = 4
lr = 0.01
spatial_size = [32, 32, 32]
spacing_mm = [4.0, 4.0, 4.0]

[network.unet]
channels = [4, 8]
"""


UNKNOWN = "duke_002"
"""A case without a row in the table."""


@dataclass(frozen=True)
class Walk:
    """What the three commands said and wrote."""

    tree: Any
    out: Path
    masks: Path
    report: Path
    mitigate: subprocess.CompletedProcess[str]
    predict: subprocess.CompletedProcess[str]
    audit: subprocess.CompletedProcess[str]

    @property
    def split(self) -> Mapping[str, list[str]]:
        return json.loads((self.out / "splits.json").read_text("utf-8"))

    def image(self, case: str) -> Path:
        return next((self.tree.root / "images").glob(f"*/{case}_0000.nii.gz"))

    def label(self, case: str) -> Path:
        return self.tree.root / "segmentations" / "expert" / f"{case}.nii.gz"


@pytest.fixture(scope="module")
def walk(once, run_cli, call_cli, write_tree) -> Walk:
    """Trained in a process of its own, as a user does; predicted and audited in this one."""
    return once("walk", lambda root: walk_through(root, run_cli, call_cli, write_tree))


def walk_through(root: Path, run_cli, call_cli, write_tree) -> Walk:
    tree = write_tree(root / "data", n_cases=24, phantom=True)
    drop_row(tree.root / "clinical_and_imaging_info.xlsx", UNKNOWN)
    (root / "config.toml").write_text(CONFIG)
    out, masks, report = root / "out", root / "masks", root / "report"
    # Two attributes, and so one heat map a page: what is drawn is not the point.
    options = ("--config", root / "config.toml", "--strategy", "divergence-sampling", "--attributes", "age,menopause")
    options += ("--feedback", "validation")
    mitigate = run_cli("mitigate", tree.root, *options, "--out", out)
    assert mitigate.returncode == 0, mitigate.stderr
    checkpoint = out / "divergence-sampling" / "checkpoint_best.pt"
    predict = call_cli("predict", checkpoint, tree.root / "images", masks, "--boxes", tree.root / "patient_info_files")
    assert predict.returncode == 0, predict.stderr
    table = tree.root / "clinical_and_imaging_info.xlsx"
    audit = call_cli("audit", masks, tree.root, table, "--protocol", "mama-mia", "--permutations", 99, "--out", report)
    assert audit.returncode == 0, audit.stderr
    return Walk(tree, out, masks, report, mitigate, predict, audit)


def drop_row(path: Path, case: str) -> None:
    """Takes a patient out of the table, files and all the rest stay."""
    from openpyxl import load_workbook

    book = load_workbook(path)
    sheet = book["dataset_info"]
    (number,) = [cell.row for cell in sheet["A"] if str(cell.value).lower() == case]
    sheet.delete_rows(number)
    book.save(path)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj) > 0


def test_the_tree_is_as_awkward_as_it_should_be(walk: Walk) -> None:
    image = nib.load(walk.image("duke_001"))
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
    assert len({round(float(side), 3) for side in image.header.get_zooms()}) > 1
    phases = {len(list(folder.iterdir())) for folder in (walk.tree.root / "images").iterdir()}
    assert phases == {2, 3, 4, 5, 6}


def test_what_cannot_be_trained_on_is_listed_and_counted(walk: Walk) -> None:
    tree, said = walk.tree, walk.mitigate.stdout
    assert f"cases skipped: 1, 2 of 3 phases ({tree.few_phases})" in said
    assert f"cases skipped: 1, no label ({tree.unlabelled})" in said
    assert f"cases skipped: 1, a row in the metadata, but no files ({tree.without_files})" in said
    assert f"cases without a breast box: 1 ({tree.without_box})" in said
    assert f"case {tree.swapped_box}: the breast box ((0, 4), (0, 24), (20, 26)) lies outside of the image" in said
    assert "3 cases left out, see skipped.csv: " in said
    skipped = {row["case"]: row["reason"] for row in rows(walk.out / "skipped.csv")}
    assert set(skipped) == {tree.few_phases, tree.unlabelled, tree.without_files}
    assert skipped[tree.unlabelled] == "no label"


def test_three_disjoint_sets_of_usable_cases_with_the_data_s_own_test_cases(walk: Walk) -> None:
    parts = [walk.split[part] for part in ("train", "validation", "test")]
    every = [case for part in parts for case in part]
    assert len(every) == len(set(every))
    assert set(every) == set(walk.tree.usable)
    assert tuple(parts[2]) == walk.tree.test
    assert min(map(len, parts)) >= 3


def test_a_case_without_metadata_trains_and_only_trains(walk: Walk) -> None:
    assert f"cases without metadata, only trained on: 1 ({UNKNOWN})" in walk.mitigate.stdout
    assert UNKNOWN in walk.split["train"]
    last = [row for row in rows(walk.out / "divergence-sampling" / "weights.csv") if row["case"] == UNKNOWN]
    assert [row["epoch"] for row in last] == ["0", "1", "2"]
    assert all(float(row["weight"]) > 0 for row in last)


def test_the_files_that_others_rely_on(walk: Walk) -> None:
    out = walk.out
    assert {"splits.json", "config.toml", "comparison.json", "comparison.html"} <= {path.name for path in out.iterdir()}
    for name in ("erm", "divergence-sampling"):
        for file in ("checkpoint_best.pt", "checkpoint_last.pt", "history.csv", "bundle", "audit/audit.json"):
            assert (out / name / file).exists(), (name, file)
        assert [int(row["epoch"]) for row in rows(out / name / "history.csv")] == [1, 2]
        written = {path.name for path in (out / name / "predictions" / "test").iterdir()}
        assert written == {f"{case}.nii.gz" for case in walk.tree.test}
    train = walk.split["train"]
    weights = rows(out / "divergence-sampling" / "weights.csv")
    assert [(int(row["epoch"]), row["case"]) for row in weights] == [(e, case) for e in (0, 1, 2) for case in train]
    assert np.mean([float(row["weight"]) for row in weights[-len(train) :]]) == pytest.approx(1)
    assert not (out / "erm" / "weights.csv").exists()
    models = json.loads((out / "comparison.json").read_text("utf-8"))["models"]
    assert list(models) == ["erm", "divergence-sampling"]
    assert all(0 <= models[name]["test"]["DSC"] <= 1 for name in models)


def test_the_configuration_is_kept_and_its_widths_are_those_trained(walk: Walk) -> None:
    config = (walk.out / "config.toml").read_text("utf-8")
    assert "[network.unet]" in config
    saved = torch.load(walk.out / "erm" / "checkpoint_best.pt", weights_only=True)
    assert saved["description"]["backbone"]["options"]["channels"] == [4, 8]
    assert saved["description"]["preprocessing"]["spacing_mm"] == [4.0, 4.0, 4.0]


def test_every_image_with_enough_phases_is_predicted_in_its_own_geometry(walk: Walk) -> None:
    tree = walk.tree
    masks = {path.name.removesuffix(".nii.gz"): path for path in walk.masks.iterdir()}
    # A label is not needed to predict; enough phases are.
    assert set(masks) == set(tree.ids) - {tree.few_phases}
    places = [walk.out / name / "predictions" / "test" for name in ("erm", "divergence-sampling")]
    for path in (*masks.values(), *(path for place in places for path in place.iterdir())):
        mask, image = nib.load(path), nib.load(walk.image(path.name.removesuffix(".nii.gz")))
        assert mask.shape == image.shape
        np.testing.assert_allclose(mask.affine, image.affine, atol=1e-5)
        assert set(np.unique(np.asarray(mask.dataobj))) <= {0, 1}
    assert any(voxels(path).any() for path in masks.values())


def test_too_few_phases_are_named_and_counted_when_predicting(walk: Walk) -> None:
    assert f"case {walk.tree.few_phases}: not predicted: " in walk.predict.stderr
    assert "2 phases, 3 are needed" in walk.predict.stderr
    n = len(walk.tree.ids) - 1
    assert f"{n} masks written to {walk.masks}, 0 were there, 1 failed" in walk.predict.stdout
    assert f"predictions without a breast box, not restricted: 1 ({walk.tree.without_box})" in walk.predict.stdout


def test_boxes_only_take_away_what_lies_outside_of_them(walk: Walk, call_cli, tmp_path: Path) -> None:
    free, within = tmp_path / "free", walk.out / "divergence-sampling" / "predictions" / "test"
    checkpoint = walk.out / "divergence-sampling" / "checkpoint_best.pt"
    assert call_cli("predict", checkpoint, walk.tree.root / "images", free).returncode == 0
    n_removed = 0
    for case in walk.tree.test:
        box = json.loads((walk.tree.root / "patient_info_files" / f"{case}.json").read_text())
        corners = box["primary_lesion"]["breast_coordinates"]
        inside = np.zeros(nib.load(walk.image(case)).shape, dtype=bool)
        inside[tuple(slice(corners[f"{axis}_min"], corners[f"{axis}_max"]) for axis in "zyx")] = True
        whole = voxels(free / f"{case}.nii.gz")
        np.testing.assert_array_equal(voxels(walk.masks / f"{case}.nii.gz"), whole & inside)
        np.testing.assert_array_equal(voxels(within / f"{case}.nii.gz"), whole & inside, err_msg="in the test, too")
        n_removed += np.count_nonzero(whole & ~inside)
    assert n_removed > 0, "predictions that the boxes do not touch would prove nothing"


def test_predicting_again_keeps_what_is_there(walk: Walk, call_cli) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in walk.masks.iterdir()}
    again = call_cli("predict", walk.out / "erm" / "checkpoint_best.pt", walk.tree.root / "images", walk.masks)
    assert again.returncode == 0
    assert f"0 masks written to {walk.masks}, {len(before)} were there, 1 failed" in again.stdout
    assert {path.name: path.stat().st_mtime_ns for path in walk.masks.iterdir()} == before


def test_the_audit_scores_these_masks_and_penalises_what_is_missing(walk: Walk) -> None:
    audit = json.loads((walk.report / "audit.json").read_text("utf-8"))
    labelled = set(walk.tree.ids) - {walk.tree.unlabelled, UNKNOWN}
    assert UNKNOWN in walk.audit.stdout, "a case without metadata is named"
    assert audit["cases"]["n_scored"] == len(labelled)
    assert audit["cases"]["penalised"] == [{"case": walk.tree.few_phases, "reason": "no prediction"}]
    assert f"cases without a prediction, given the worst score: 1 ({walk.tree.few_phases})" in walk.audit.stdout
    assert f"predictions without a label, passed over: 1 ({walk.tree.unlabelled})" in walk.audit.stdout
    scored = {row["case"]: float(row["dsc"]) for row in rows(walk.report / "cases.csv")}
    assert set(scored) == labelled
    for case in labelled - {walk.tree.few_phases}:
        mask, label = voxels(walk.masks / f"{case}.nii.gz"), voxels(walk.label(case))
        assert scored[case] == pytest.approx(2 * np.count_nonzero(mask & label) / (mask.sum() + label.sum()), abs=1e-9)
    assert scored[walk.tree.few_phases] == 0


def test_the_audit_within_mitigate_is_an_audit_of_the_test_predictions(walk: Walk) -> None:
    scored = {row["case"]: float(row["dsc"]) for row in rows(walk.out / "erm" / "audit" / "cases.csv")}
    assert set(scored) == set(walk.tree.test)
    for case in walk.tree.test:
        mask = voxels(walk.out / "erm" / "predictions" / "test" / f"{case}.nii.gz")
        label = voxels(walk.label(case))
        assert scored[case] == pytest.approx(2 * np.count_nonzero(mask & label) / (mask.sum() + label.sum()), abs=1e-9)
    models = json.loads((walk.out / "comparison.json").read_text("utf-8"))["models"]
    assert models["erm"]["test"]["DSC"] == pytest.approx(np.mean(list(scored.values())))


def test_weights_of_an_audit_train_a_one_shot_model_on_patches_in_processes(
    walk: Walk, call_cli, tmp_path: Path
) -> None:
    # Nothing looks at validation cases where weights are fixed: they train, too.
    learned = (*walk.split["train"], *walk.split["validation"])
    (tmp_path / "ids.txt").write_text("\n".join(case for case in learned if case != UNKNOWN))
    audit, table = walk.out / "erm" / "audit" / "audit.json", walk.tree.root / "clinical_and_imaging_info.xlsx"
    weights = tmp_path / "weights.csv"
    made = call_cli("weights", audit, "--metadata", table, "--cases", tmp_path / "ids.txt", "--out", weights)
    assert made.returncode == 0, made.stderr
    assert np.mean([float(row["weight"]) for row in rows(weights)]) == pytest.approx(1)
    # The case without metadata has no subgroup and so no weight; it is given the mean.
    weights.write_text(weights.read_text() + f"{UNKNOWN},1,\n")
    options = ("--strategy", "one-shot", "--weights", weights, "--no-baseline", "--epochs", 1, "--workers", 2)
    options = (*options, "--attributes", "age,menopause")
    sizes = ("--patch", 16, 16, 16, "--samples-per-case", 2, "--spacing", 4, 4, 4)
    out = tmp_path / "out"
    config = tmp_path / "config.toml"
    config.write_text('backbones = ["unet"]\n[network.unet]\nchannels = [4, 8]\n')
    done = call_cli("mitigate", walk.tree.root, "--config", config, *options, *sizes, "--out", out)
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (out / "one-shot" / "predictions" / "test").iterdir()}
    assert written == {f"{case}.nii.gz" for case in walk.tree.test}
    for path in (out / "one-shot" / "predictions" / "test").iterdir():
        assert nib.load(path).shape == nib.load(walk.image(path.name.removesuffix(".nii.gz"))).shape
