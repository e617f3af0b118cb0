"""`segfair mitigate` over folds and seeds, from files to the page, and what goes on from it."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
nib = pytest.importorskip("nibabel")

from tests.mitigation.phantom_data import CASES, folders  # noqa: E402

from segfair.errors import ConfigError  # noqa: E402
from segfair.mitigation.experiment.procedure import run_mitigation  # noqa: E402
from segfair.mitigation.experiment.settings import MitigationSettings  # noqa: E402

CONFIG = """
backbones = ["unet"]
epochs = 1
batch_size = 6
spatial_size = [16, 16, 16]
spacing_mm = [8.0, 8.0, 8.0]
attributes = ["age", "breast_density"]

[network.unet]
channels = [4, 8]
"""


@dataclass(frozen=True)
class Run:
    """A finished run with two folds and two seeds."""

    data: Path
    out: Path
    said: str
    comparison: dict[str, Any]


@pytest.fixture(scope="module")
def run(once: Any, call_cli: Any) -> Run:
    def make(root: Path) -> Run:
        data, out = folders(root / "data"), root / "out"
        (root / "config.toml").write_text(CONFIG)
        options = ("--config", root / "config.toml", "--folds", 2, "--seeds", 2, "--strategy", "balanced")
        done = call_cli("mitigate", data, *options, "--out", out)
        assert done.returncode == 0, done.stderr
        return Run(data, out, done.stdout, json.loads((out / "comparison.json").read_text()))

    return once("folds", make)


def masks(folder: Path) -> dict[str, np.ndarray]:
    return {path.name.removesuffix(".nii.gz"): np.asarray(nib.load(path).dataobj) for path in folder.glob("*.nii.gz")}


def test_every_case_is_predicted_once_a_seed_and_audited_out_of_fold(run: Run) -> None:
    ids = {case.id for case in CASES}
    folds = json.loads((run.out / "splits.json").read_text())["folds"]
    assert sorted(case for fold in folds for case in fold["test"]) == sorted(ids)
    for fold in folds:
        assert not set(fold["train"]) & set(fold["test"])
        assert fold["validation"] == [], "nothing of this run looks at validation cases"
    for name in ("erm", "balanced"):
        for seed in (1, 2):
            place = run.out / name / f"seed-{seed}"
            assert set(masks(place / "predictions" / "pooled")) == ids
            for fold in (1, 2):
                assert (place / f"fold-{fold}" / "checkpoint_best.pt").is_file()
                assert (place / f"fold-{fold}" / "bundle" / "configs" / "inference.json").is_file()
        audit = json.loads((run.out / name / "audit" / "audit.json").read_text())
        assert audit["cases"]["n_scored"] == len(ids)
        assert (run.out / name / "audit" / "report.html").is_file()
    trained = torch.load(run.out / "erm" / "seed-1" / "fold-1" / "checkpoint_best.pt", weights_only=True)
    other = torch.load(run.out / "erm" / "seed-2" / "fold-1" / "checkpoint_best.pt", weights_only=True)
    assert any(not torch.equal(value, other["network"][key]) for key, value in trained["network"].items())


def test_the_comparison_has_what_is_promised(run: Run) -> None:
    assert set(run.comparison["models"]) == {"erm", "balanced"}
    plain, other = run.comparison["models"]["erm"], run.comparison["models"]["balanced"]
    assert "test" not in plain
    assert {"DSC", "NormHD", "PS", "FS", "TS", "worst_subgroup", "seeds"} <= set(plain["pooled"])
    assert "paired" not in plain
    paired = other["paired"]
    assert {"worst_subgroup", "mean", "rest"} <= set(paired)
    # By hand, from the masks: the mean change of Dice over cases and seeds.
    dice = {name: [] for name in ("erm", "balanced")}
    for name in dice:
        for seed in (1, 2):
            found = masks(run.out / name / f"seed-{seed}" / "predictions" / "pooled")
            for case in CASES:
                mask, label = found[case.id] > 0, case.label > 0
                dice[name].append(2 * (mask & label).sum() / (mask.sum() + label.sum()))
    change = float(np.mean(dice["balanced"]) - np.mean(dice["erm"]))
    assert paired["mean"]["value"] == pytest.approx(change, abs=1e-9)
    assert plain["pooled"]["DSC"] == pytest.approx(np.mean(dice["erm"]), abs=1e-9)
    low, high = paired["mean"]["ci"]
    assert low < change < high


def test_all_models_are_explained_on_the_subgroup_that_gains_are_judged_on(run: Run) -> None:
    judged = run.comparison["models"]["balanced"]["paired"]["worst_subgroup"]
    for model in run.comparison["models"].values():
        explained = model["diagnosis"]
        assert explained["subgroup"] == (judged or model["pooled"]["worst_subgroup"])["items"]
        assert explained["held_out"] == "out-of-fold"
        assert explained["deficit"]["size"]["n_cases"] == explained["validation"]["n"], "every case, with a lesion"


def test_the_page_and_the_terminal_say_it(run: Run) -> None:
    page = (run.out / "comparison.html").read_text()
    assert "Evidence" in page
    assert "balanced against erm, first of 2 seeds" in page
    assert "out of fold" in page
    assert "fold 2 of 2: kept epoch 1 of 1" in run.said
    assert "planned augmentation: light" in run.said
    assert "kept weights: ema" in run.said


def test_the_same_command_goes_on_and_changes_nothing(run: Run, call_cli: Any) -> None:
    before = (run.out / "comparison.json").read_bytes()
    refused = call_cli("mitigate", run.data, "--config", run.out / "config.toml", "--out", run.out)
    assert refused.returncode == 2
    assert "holds a training of balanced, erm; go on with --resume" in refused.stderr
    done = call_cli("mitigate", run.data, "--config", run.out / "config.toml", "--resume", "--out", run.out)
    assert done.returncode == 0, done.stderr
    assert (run.out / "comparison.json").read_bytes() == before
    other = call_cli(
        "mitigate", run.data, "--config", run.out / "config.toml", "--folds", 3, "--resume", "--out", run.out
    )
    assert other.returncode == 2
    assert "has folds = 2, now it is 3" in other.stderr


def test_all_folds_of_a_seed_predict_together(run: Run, call_cli: Any, tmp_path: Path) -> None:
    model = run.out / "erm" / "seed-1"
    done = call_cli("predict", model, run.data / "images", tmp_path / "together")
    assert done.returncode == 0, done.stderr
    assert "2 networks predict together: fold-1, fold-2" in done.stdout
    assert len(masks(tmp_path / "together")) == len(CASES)
    assert call_cli("predict", model, run.data / "images", tmp_path / "once", "--no-flips").returncode == 0
    largest = call_cli("predict", model, run.data / "images", tmp_path / "largest", "--keep-largest")
    assert largest.returncode == 0, largest.stderr
    from scipy import ndimage

    every = masks(tmp_path / "largest")
    assert all(ndimage.label(mask, np.ones((3, 3, 3)))[1] <= 1 for mask in every.values())
    assert all((mask <= masks(tmp_path / "together")[case]).all() for case, mask in every.items())


def test_a_training_starts_from_the_weights_that_are_named(run: Run, tmp_path: Path) -> None:
    first = run.out / "erm" / "seed-1" / "fold-1" / "checkpoint_best.pt"

    def settings(**changes: Any) -> MitigationSettings:
        return MitigationSettings(
            tmp_path / "out",
            run.data,
            backbones=("unet",),
            strategies=("erm",),
            init=first,
            epochs=1,
            # So small a step that the weights stay what they were.
            lr=1e-12,
            spatial_size=(16, 16, 16),
            spacing_mm=(8.0, 8.0, 8.0),
            attributes=("age", "breast_density"),
            device="cpu",
            **{"network": {"unet": {"channels": (4, 8)}}, **changes},
        )

    run_mitigation(settings(select="last", weight_decay=0.0))
    saved = torch.load(first, weights_only=True)["network"]
    kept = torch.load(tmp_path / "out" / "erm" / "checkpoint_best.pt", weights_only=True)["network"]
    for key, value in saved.items():
        torch.testing.assert_close(kept[key], value, atol=1e-6, rtol=1e-5)
    with pytest.raises(ConfigError, match=r"--init .*checkpoint_best\.pt: its weights, of a unet, do not fit the unet"):
        run_mitigation(settings(network={"unet": {"channels": (4, 12)}}, overwrite=True))


def test_given_folds_and_given_splits_are_taken(run: Run, call_cli: Any, tmp_path: Path) -> None:
    ids = [case.id for case in CASES]
    given = [{"train": ids[10:], "val": ids[:10]}, {"train": ids[:10] + ids[20:], "val": ids[10:20]}]
    given.append({"train": ids[:20], "val": ids[20:]})
    (tmp_path / "splits_final.json").write_text(json.dumps(given))
    config = run.out.parent / "config.toml"
    done = call_cli(
        "mitigate",
        run.data,
        "--config",
        config,
        "--splits",
        tmp_path / "splits_final.json",
        "--strategy",
        "erm",
        "--out",
        tmp_path / "folds",
    )
    assert done.returncode == 0, done.stderr
    folds = json.loads((tmp_path / "folds" / "splits.json").read_text())["folds"]
    assert [fold["test"] for fold in folds] == [sorted(fold["val"]) for fold in given]
    with (tmp_path / "split.csv").open("w", newline="") as stream:
        rows = [("id", "split"), *((case, "test" if place < 8 else "train") for place, case in enumerate(ids))]
        csv.writer(stream).writerows(rows)
    done = call_cli(
        "mitigate",
        run.data,
        "--config",
        config,
        "--splits",
        tmp_path / "split.csv",
        "--strategy",
        "erm",
        "--out",
        tmp_path / "split",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "split" / "splits.json").read_text())["test"] == sorted(ids[:8])
    for options, message in (
        (("--splits", tmp_path / "split.csv", "--folds", 3), "is one split, and --folds asks for several"),
        (("--splits", "nowhere.json"), "neither a file nor a column of the metadata"),
        (("--seeds", 2), "compared over folds; give --folds as well"),
        (("--folds", 40), "40 folds"),
    ):
        refused = call_cli("mitigate", run.data, "--config", config, *options, "--out", tmp_path / "refused")
        assert refused.returncode == 2
        assert message in refused.stderr


OWN = """
from torch import nn

def make(spatial_dims, in_channels, out_channels):
    return nn.Sequential(nn.Conv3d(in_channels, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, out_channels, 1))
"""


def test_a_network_of_ones_own_is_trained_and_predicts(
    run: Run, call_cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "networks_of_the_walk.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.split("[network")[0].replace('backbones = ["unet"]', ""))
    done = call_cli(
        "mitigate",
        run.data,
        "--config",
        config,
        "--network",
        "networks_of_the_walk:make",
        "--strategy",
        "erm",
        "--out",
        tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    checkpoint = tmp_path / "out" / "erm" / "checkpoint_best.pt"
    refused = call_cli("predict", checkpoint, run.data / "images", tmp_path / "masks")
    assert refused.returncode == 2
    assert "its network is code, networks_of_the_walk:make; if you trust it, name it with --network" in refused.stderr
    done = call_cli(
        "predict", checkpoint, run.data / "images", tmp_path / "masks", "--network", "networks_of_the_walk:make"
    )
    assert done.returncode == 0, done.stderr
    bundle = json.loads((tmp_path / "out" / "erm" / "bundle" / "configs" / "inference.json").read_text())
    assert bundle["network_def"]["_target_"] == "networks_of_the_walk.make"


def test_a_strategy_that_needs_validation_is_not_added_to_a_split_without_it(
    run: Run, call_cli: Any, tmp_path: Path
) -> None:
    config = ("--config", run.out.parent / "config.toml")
    done = call_cli("mitigate", run.data, *config, "--strategy", "erm", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    more = ("--strategy", "erm", "--strategy", "fairmedseg", "--resume")
    refused = call_cli("mitigate", run.data, *config, *more, "--out", tmp_path / "out")
    assert refused.returncode == 2
    assert "--strategy fairmedseg: learns from scores of validation cases" in refused.stderr
    # Nor is another model put beside it on another split.
    other = call_cli(
        "mitigate", run.data, *config, "--strategy", "balanced", "--no-baseline", "--out", tmp_path / "out"
    )
    assert other.returncode == 2
    assert "holds a training of erm" in other.stderr
    empty = call_cli("mitigate", run.data, *config, "--splits", "nothing", "--out", tmp_path / "empty")
    assert empty.returncode == 2
    assert "neither a file nor a column" in empty.stderr
