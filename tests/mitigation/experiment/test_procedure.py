"""From the command line to the comparison: the files that others rely on, on volumes of 16 voxels a side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from segfair.errors import ConfigError
from segfair.mitigation.experiment import procedure
from segfair.mitigation.experiment.studies import PhantomSize

SMALL = ("--spatial-size", 16, 16, 16, "--epochs", 1, "--batch-size", 8, "--attributes", "age_group,menopause")
"""Two attributes, and so one heat map a page: what is drawn is not the point."""


CASES = (40, 30, 60)
"""That train, validate and test: a tenth of the embedded study's predictions and audits."""


@pytest.fixture(scope="module")
def outcome(once, call_cli) -> Path:
    """A plain and two mitigated models of the embedded study with few cases. Read it, or copy it."""

    def make(folder: Path) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(procedure, "PhantomSize", partial(PhantomSize, cases=CASES))
            strategies = ("--strategy", "fairmedseg", "--strategy", "balanced")
            told = ("--log", "tensorboard", "--log", "mlflow")
            done = call_cli("mitigate", *SMALL, *strategies, *told, "--title", "Trial 7", "--out", folder)
        assert done.returncode == 0, done.stderr
        assert "epochs = 1" in done.stdout, "the configuration that holds is printed"
        return folder

    return once("mitigate", make)


def test_every_strategy_and_the_baseline_leave_the_same_files(outcome: Path) -> None:
    assert {"splits.json", "config.toml", "comparison.json"} <= {path.name for path in outcome.iterdir()}
    for strategy in ("erm", "fairmedseg", "balanced"):
        folder = outcome / strategy
        names = {path.name for path in folder.iterdir()}
        assert {"checkpoint_best.pt", "checkpoint_last.pt", "history.csv", "bundle", "predictions", "audit"} <= names
        assert len(list((folder / "predictions" / "test").glob("*.nii.gz"))) == CASES[2]
        audit = json.loads((folder / "audit" / "audit.json").read_text("utf-8"))
        assert audit["cases"]["n_scored"] == CASES[2]
        assert audit["cases"]["penalised"] == []
        torch.load(folder / "checkpoint_best.pt", weights_only=True)
    assert (outcome / "fairmedseg" / "weights.csv").is_file()


def test_trackers_have_a_run_for_each_training_and_for_what_each_model_has_reached(outcome: Path) -> None:
    from mlflow import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    client = MlflowClient(tracking_uri=(outcome / "mlruns").as_uri())
    found = client.search_runs([client.get_experiment_by_name("segfair").experiment_id])
    runs = {run.info.run_name: run for run in found}
    models = json.loads((outcome / "comparison.json").read_text("utf-8"))["models"]
    assert runs.keys() == {title for name in models for title in (f"unet, {name}", f"unet, {name}, test")}
    for name, model in models.items():
        training, reached = runs[f"unet, {name}"].data, runs[f"unet, {name}, test"].data
        facts = {"strategy": name, "backbone": "unet", "seed": "0", "repeat": "1", "epochs": "1"}
        assert training.params == facts
        assert training.metrics["dsc"] == pytest.approx(model["validation"]["DSC"])
        assert reached.metrics["TS"] == model["test"]["TS"]
        assert reached.metrics["worst_DSC"] == model["test"]["worst_subgroup"]["dsc"]
        for place in (name, f"{name}/test"):
            events = EventAccumulator(str(outcome / "tensorboard" / place))
            events.Reload()
            told = training if place == name else reached
            assert set(events.Tags()["scalars"]) == set(told.metrics)
    # No case is named to anybody.
    split = json.loads((outcome / "splits.json").read_text("utf-8"))
    cases = [case for part in ("train", "validation", "test") for case in split[part]]
    files = [path for place in ("mlruns", "tensorboard") for path in (outcome / place).rglob("*") if path.is_file()]
    written = b"".join(path.read_bytes() for path in files)
    assert not [case for case in cases if case.encode() in written]


def test_comparison_json_has_what_the_contract_names(outcome: Path) -> None:
    comparison = json.loads((outcome / "comparison.json").read_text("utf-8"))
    assert comparison["format"] == 1
    assert list(comparison["models"]) == ["erm", "fairmedseg", "balanced"]
    for model in comparison["models"].values():
        for part in ("test", "validation"):
            assert {"DSC", "NormHD", "PS", "FS", "TS", "worst_subgroup"} == set(model[part])
        assert model["diagnosis"]["subgroup"] == model["test"]["worst_subgroup"]["items"]
        assert 0 < model["diagnosis"]["training"]["n"] < CASES[0]
        assert model["diagnosis"]["held_out"] == "validation"
        deficit = model["diagnosis"]["deficit"]
        assert deficit["size"]["n_cases"] == model["test"]["worst_subgroup"]["n"], "of the test cases"
        assert all(value is not None for value in deficit["rest"].values()), "lesions of the phantom have looks"
        assert model["diagnosis"]["recommendation"].endswith(".")
        worst = model["test"]["worst_subgroup"]
        assert worst["n"] >= 5
        assert set(worst) == {"items", "n", "dsc"}


def test_the_page_compares_every_strategy_with_plain_training(outcome: Path) -> None:
    page = (outcome / "comparison.html").read_text("utf-8")
    for words in ("fairmedseg against erm", "balanced against erm", "Equal budget", "Why a gap remains"):
        assert words in page
    assert "<h1>Trial 7: mitigation: models compared by subgroup</h1>" in page
    for strategy in ("fairmedseg", "balanced"):
        assert (outcome / strategy / "comparison" / "comparison.json").is_file()
        told = (outcome / strategy / "comparison" / "comparison.html").read_text("utf-8")
        assert "<h1>Trial 7: segmentation audits compared by subgroup</h1>" in told
        told = (outcome / strategy / "audit" / "report.html").read_text("utf-8")
        assert "<h1>Trial 7: segmentation audit by subgroup</h1>" in told
    assert not (outcome / "erm" / "comparison").exists()


def test_the_three_sets_are_disjoint(outcome: Path) -> None:
    split = json.loads((outcome / "splits.json").read_text("utf-8"))
    parts = [set(split[part]) for part in ("train", "validation", "test")]
    assert tuple(len(part) for part in parts) == CASES
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--strategy", "magic"], ["magic", "divergence-sampling"]),
        (["--backbone", "vnet"], ["vnet", "segresnet"]),
        (["--alpha", "2"], ["alpha", "[0, 1]"]),
        (["--alpha", "much"], ["alpha", "auto"]),
        (["--spatial-size", "30", "32", "32"], ["30", "32"]),
        (["--device", "cuda"], ["cpu"]),
        (["--log", "neptune"], ["--log neptune", "tensorboard, mlflow, wandb"]),
        (["--config", "none.toml"], ["none.toml"]),
        (["--strategy", "oracle", "--oracle", "=A"], ["--oracle =A: expected COLUMN=LEVEL"]),
        (["--strategy", "oracle", "--oracle", "site="], ["--oracle site=: expected COLUMN=LEVEL"]),
        (
            ["--strategy", "oracle", "--oracle", "site=A", "--oracle", "site = B"],
            ["--oracle site = B: site = A was given as well"],
        ),
    ],
)
def test_wrong_settings_stop_before_anything_is_trained(call_cli, tmp_path: Path, options, words) -> None:
    if "cuda" in options and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    done = call_cli("mitigate", *options, "--out", tmp_path / "out")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not list((tmp_path / "out").glob("*/checkpoint*")) if (tmp_path / "out").exists() else True


def test_two_processes_of_torchrun_leave_what_one_does(write_tree, tmp_path: Path) -> None:
    tree, out = write_tree(tmp_path / "data", n_cases=12), tmp_path / "out"
    (tmp_path / "config.toml").write_text("spacing_mm = [2.0, 2.0, 2.0]\n[network.unet]\nchannels = [4, 8]\n")
    options = (
        *SMALL[:-1],
        "age,menopause",
        "--config",
        tmp_path / "config.toml",
        "--strategy",
        "divergence-sampling",
        "--out",
        out,
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("-m", "segfair", "mitigate", str(tree.root), *map(str, options)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("comparison: ") == 1, "one process speaks"
    assert list(json.loads((out / "comparison.json").read_text("utf-8"))["models"]) == ["erm", "divergence-sampling"]
    for name in ("erm", "divergence-sampling"):
        assert {path.name.partition(".")[0] for path in (out / name / "predictions" / "test").iterdir()} == set(
            tree.test
        )


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = "out: another mitigation is writing there"
    with procedure._alone(out), pytest.raises(ConfigError, match=told), procedure._alone(out):
        pass
    with procedure._alone(out):
        assert out.is_dir()
