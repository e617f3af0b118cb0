"""Probabilities by the command line: beside masks, as the masks themselves, in a table of paths, without labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

import segfair as sf
from segfair.files.images.masks import read_mask, write_image

QUICK = ("--permutations", 99, "--bootstrap", 100, "--workers", 1, "--attributes", "site", "--no-cache")


@pytest.fixture(scope="module")
def study(once, phantom_cohort: Path) -> Path:
    """Thirty cases with maps: the same as NIfTI, as nnU-Net's .npz beside the masks, and as a table of paths."""

    def make(root: Path) -> Path:
        frame = pd.read_csv(phantom_cohort / "metadata.csv", dtype=str, keep_default_na=False)
        frame = frame.rename(columns={"patient_id": "id"}).iloc[:30]
        for role in ("preds", "labels"):
            (root / role).mkdir(parents=True, exist_ok=True)
        for case in frame["id"]:
            for role in ("preds", "labels"):
                shutil.copy(phantom_cohort / role / f"{case}.nii.gz", root / role)
            mask = read_mask(root / "preds" / f"{case}.nii.gz")
            map_ = 0.001 + 0.98 * gaussian_filter(mask.array.astype(np.float32), 1)
            write_image(root / "maps" / f"{case}.nii.gz", map_, affine=mask.affine)
            np.savez(root / "preds" / f"{case}.npz", probabilities=np.stack([1 - map_, map_]).transpose(0, 3, 2, 1))
        frame.to_csv(root / "metadata.csv", index=False)
        table = frame.assign(
            **{role: [f"{folder}/{case}.nii.gz" for case in frame["id"]]
               for role, folder in (("prediction", "preds"), ("label", "labels"), ("probabilities", "maps"))}
        )  # fmt: skip
        table.to_csv(root / "cases.csv", index=False)
        return root

    return once("probabilities", make)


def tree(out: Path) -> dict:
    return json.loads((out / "audit.json").read_text("utf-8"))


def folders(study: Path) -> tuple[Path, ...]:
    return study / "preds", study / "labels", study / "metadata.csv"


@pytest.fixture(scope="module")
def audited(once, run_cli, study: Path) -> Path:
    """An audit with maps, whose primary outcome is their calibration."""

    def make(root: Path) -> Path:
        options = (
            "--probabilities",
            study / "maps",
            "--outcome",
            "ece,overconfidence,dsc",
            "--gate",
            "worst.ece < 0.9",
        )
        done = run_cli("audit", *folders(study), *options, *QUICK, "--out", root / "report")
        assert done.returncode == 0, done.stderr
        return root / "report"

    return once("probabilities-audited", make)


def test_calibration_is_an_outcome_like_any_other(audited: Path) -> None:
    found = tree(audited)
    assert list(found["subgroups"]) == ["ece", "abs_overconfidence", "dsc"]
    assert found["outcomes"]["ece"]["better"] == "lower"
    assert found["gates"][0]["state"] == "pass"
    frame = pd.read_csv(audited / "cases.csv")
    assert {"ece", "ece_chance", "brier", "expected_dsc", "overconfidence"} <= set(frame.columns)
    overall = found["probabilities"]["overall"]
    for name in ("ece", "ece_chance", "brier", "expected_dsc", "overconfidence"):
        assert overall[name] == pytest.approx(frame[name].mean())
    assert overall["real_dsc"] == pytest.approx(frame["dsc"].mean())
    by_site = frame.groupby("site")["ece"].mean()
    assert {g["items"]["site"]: g["ece"] for g in found["probabilities"]["groups"]} == pytest.approx(dict(by_site))
    assert sum(entry["share"] for entry in overall["bins"]) == pytest.approx(1)
    page = (audited / "report.html").read_text("utf-8")
    assert 'id="probabilities"' in page
    assert 'data-figure="reliability0"' in page


@pytest.mark.parametrize("how", ["npz", "table"])
def test_whichever_way_maps_come_in_the_values_are_the_same(
    audited: Path, study: Path, tmp_path: Path, call_cli, how
) -> None:
    what = (study / "cases.csv",) if how == "table" else (*folders(study), "--probabilities", study / "preds")
    done = call_cli("audit", *what, "--outcome", "ece,overconfidence,dsc", *QUICK, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    first, second = (pd.read_csv(out / "cases.csv") for out in (audited, tmp_path / "out"))
    pd.testing.assert_frame_equal(first, second, atol=1e-5)


def test_maps_change_no_other_number(audited: Path, study: Path, tmp_path: Path, call_cli) -> None:
    done = call_cli("audit", *folders(study), *QUICK, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    bare, found = tree(tmp_path / "out"), tree(audited)
    assert bare["probabilities"] is None
    assert "ece" not in bare["case_scores"]["metrics"]
    assert bare["scores"] == found["scores"]
    assert 'id="probabilities"' not in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_predictions_that_are_the_maps_themselves(study: Path, tmp_path: Path, call_cli) -> None:
    options = ("--threshold", 0.5, "--probabilities", study / "maps", "--out", tmp_path / "out")
    done = call_cli("audit", study / "maps", *folders(study)[1:], *options, *QUICK)
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "out")["probabilities"]["overall"]["n"] == 30


def test_a_map_that_cannot_be_used_is_that_cases_fact(study: Path, tmp_path: Path, call_cli) -> None:
    shutil.copytree(study / "maps", tmp_path / "maps")
    first, second, *rest = sorted((tmp_path / "maps").iterdir())
    shutil.copy(study / "labels" / first.name, first)
    second.unlink()
    options = ("--probabilities", tmp_path / "maps", *QUICK, "--out", tmp_path / "out")
    done = call_cli("audit", *folders(study), *options)
    assert done.returncode == 0, done.stderr
    found = tree(tmp_path / "out")
    left = found["probabilities"]["left_out"]
    assert list(left) == [first.name[:6], second.name[:6]]
    assert "0 and 1 alone" in left[first.name[:6]]
    assert found["cases"]["penalised"] == []
    assert any("2 of 30 probability maps cannot be used" in alert["text"] for alert in found["alerts"])
    stopped = call_cli("audit", *folders(study), *options, "--strict")
    assert stopped.returncode == 2
    assert "0 and 1 alone" in stopped.stderr
    for path in rest[:6]:
        path.unlink()
    many = call_cli("audit", *folders(study), *options)
    assert many.returncode == 2
    assert "8 of 30 probability maps cannot be used" in many.stderr
    assert call_cli("audit", *folders(study), *options, "--missing-prediction", "worst").returncode == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--outcome", "ece"), "name their folder with --probabilities"),
        (("--probabilities", "nowhere"), "probabilities nowhere: does not exist"),
        (("--probabilities", "{study}/maps", "--label", "a=1", "--label", "b=2"), "a map has one region"),
    ],
)
def test_what_cannot_be_meant_is_refused(study: Path, tmp_path: Path, call_cli, options, told: str) -> None:
    asked = [text.format(study=study) for text in options]
    done = call_cli("audit", *folders(study), *asked, *QUICK, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert told in done.stderr


def test_what_is_handed_on_has_no_map_and_no_case(audited: Path, tmp_path: Path, call_cli) -> None:
    done = call_cli("report", audited, "--share", tmp_path / "shared", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert tree(tmp_path / "shared")["probabilities"] is None


def test_without_labels_there_is_an_estimate_that_is_not_judged(study: Path, call_cli) -> None:
    done = call_cli("expect", study / "maps", study / "metadata.csv", "--attributes", "site", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["estimate"] is True
    assert "nothing here is judged" in found["warning"]
    means = pd.Series(found["cases"]).groupby(pd.read_csv(study / "metadata.csv").set_index("id")["site"]).mean()
    assert {g["items"]["site"]: g["expected_dsc"] for g in found["groups"]} == pytest.approx(dict(means))
    lines = call_cli("expect", study / "maps", study / "metadata.csv", "--attributes", "site").stdout
    assert lines.startswith("ESTIMATES by the model itself")
    refused = call_cli("expect", study / "labels", study / "metadata.csv")
    assert refused.returncode == 2
    assert "0 and 1 alone" in refused.stderr


def test_arrays_have_the_audit_of_their_files(audited: Path, study: Path) -> None:
    cases = sorted(path.name[:6] for path in (study / "maps").iterdir())
    masks = {role: {case: study / role / f"{case}.nii.gz" for case in cases} for role in ("preds", "labels", "maps")}
    arrays = {case: read_mask_map(path) for case, path in masks["maps"].items()}
    for maps in (masks["maps"], arrays, list(arrays.values())):
        result = sf.audit(
            masks["preds"], masks["labels"], study / "metadata.csv", probabilities=maps,
            attributes=["site"], permutations=99, bootstrap=100,
        )  # fmt: skip
        assert result.scores.calibration.overall.ece == pytest.approx(tree(audited)["probabilities"]["overall"]["ece"])


def read_mask_map(path: Path) -> np.ndarray:
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)
