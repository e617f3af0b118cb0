"""`audit` and `report` as a user meets them: what they write, what they say, and the exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest

QUICK = ("--permutations", 199, "--bootstrap", 100, "--workers", 1, "--attributes", "age_group,menopause")
"""What is asked here depends neither on how often is resampled, nor on processes, nor on what is drawn."""


def audit(cli, cohort: Path, out: Path, *options: object):
    return cli("audit", cohort / "preds", cohort / "labels", cohort / "metadata.csv", "--out", out, *options)


def copy_cohort(cohort: Path, target: Path) -> Path:
    shutil.copytree(cohort, target, ignore=shutil.ignore_patterns("images"))
    return target


def facts(out: Path) -> dict:
    return json.loads((out / "audit.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def audited(once, run_cli, phantom_cohort: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """An audit as a user runs it, with two processes that score, and what was said."""

    def make(folder: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
        return folder / "report", audit(run_cli, phantom_cohort, folder / "report", "--workers", 2)

    return once("audited", make)


def test_audit_writes_the_six_files_and_says_where(audited) -> None:
    report, done = audited
    assert done.returncode == 0, done.stderr
    names = {path.name for path in report.iterdir()}
    assert names == {"report.html", "summary.html", "audit.json", "cases.csv", "subgroups.csv", "manifest.json"}
    assert "patient_id" in done.stdout, "the id column is named"
    assert str(report / "report.html") in done.stdout
    assert f"summary: {report / 'summary.html'}" in done.stdout
    assert facts(report)["cases"]["n_scored"] == 60


def test_report_draws_again_without_the_masks(audited, call_cli, tmp_path: Path) -> None:
    first, second = audited[0], tmp_path / "second"
    done = call_cli("report", first / "audit.json", "--out", second)
    assert done.returncode == 0, done.stderr
    assert facts(first) == facts(second)
    assert (second / "cases.csv").read_bytes() == (first / "cases.csv").read_bytes()


def test_the_same_seed_gives_the_same_audit(audited, call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    done = audit(call_cli, phantom_cohort, tmp_path / "again", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert facts(tmp_path / "again") == facts(audited[0])


def test_corrupt_off_grid_and_absent_predictions_score_alike(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    case = sorted(path.name for path in (phantom_cohort / "labels").iterdir())[7]
    found = {}
    for damage in ("corrupt", "off-grid", "absent", "nan", "probability"):
        cohort = copy_cohort(phantom_cohort, tmp_path / damage)
        victim = cohort / "preds" / case
        if damage == "corrupt":
            victim.write_bytes(victim.read_bytes()[:200])
        elif damage == "off-grid":
            nibabel.save(nibabel.Nifti1Image(np.ones((5, 5, 5), np.uint8), np.eye(4)), victim)
        elif damage == "absent":
            victim.unlink()
        else:
            image = nibabel.load(phantom_cohort / "preds" / case)
            values = np.full(image.shape, np.nan if damage == "nan" else 0.37, np.float32)
            nibabel.save(nibabel.Nifti1Image(values, image.affine), victim)
        done = audit(call_cli, cohort, tmp_path / f"{damage}-out", *QUICK)
        assert done.returncode == 0, done.stderr
        found[damage] = facts(tmp_path / f"{damage}-out")
    for damage, audit_json in found.items():
        assert audit_json["scores"] == found["absent"]["scores"], damage
        assert audit_json["attributes"] == found["absent"]["attributes"], damage
        (penalised,) = audit_json["cases"]["penalised"]
        assert penalised["case"] == case.removesuffix(".nii.gz")
        assert audit_json["cases"]["n_scored"] == 60
        for name in ("PS", "TS"):
            score = audit_json["scores"][name]
            assert score["without_penalised"] > score["value"], "one failure cannot raise a score"
    assert found["absent"]["cases"]["missing_predictions"] == [case.removesuffix(".nii.gz")]
    assert found["corrupt"]["cases"]["missing_predictions"] == []


def test_a_broken_label_leaves_with_its_reason(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    cohort = copy_cohort(phantom_cohort, tmp_path / "cohort")
    label = sorted((cohort / "labels").iterdir())[3]
    label.write_bytes(b"not a mask")
    done = audit(call_cli, cohort, tmp_path / "out", *QUICK)
    assert done.returncode == 0, done.stderr
    cases = facts(tmp_path / "out")["cases"]
    assert cases["n_scored"] == 59
    assert [entry["case"] for entry in cases["excluded"]] == [label.name.removesuffix(".nii.gz")]
    strict = audit(call_cli, cohort, tmp_path / "strict", "--strict", *QUICK)
    assert strict.returncode == 2
    assert label.name.removesuffix(".nii.gz") in strict.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--protocol", "mama"], ["mama", "default, mama-mia"]),
        (["--attributes", "agee"], ["agee", "age"]),
        (["--id-column", "nobody"], ["nobody", "patient_id"]),
        (["--outcome", "dice"], ["dice", "dsc"]),
        (["--where", "agee > 3"], ["agee"]),
        (["--where", "__import__('os')"], ["--where"]),
        (["--bins", "age=3"], ["age"]),
        (["--join", "site = A"], ["--join", "no column before a colon"]),
        (["--join", "sites: A = B"], ["sites", "site"]),
        (["--join", "site: Z = A"], ["no case has 'Z' in site", "its values are"]),
        (["--label", "tumour"], ["tumour"]),
        (["--metrics", "f1"], ["f1", "dsc"]),
        (["--cases", "no-such-file.txt"], ["no-such-file.txt"]),
        (["--min-support", "0"], ["min-support"]),
    ],
)
def test_wrong_settings_stop_with_a_sentence(call_cli, phantom_cohort, tmp_path, options, words) -> None:
    done = audit(call_cli, phantom_cohort, tmp_path / "out", *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not (tmp_path / "out").exists(), "nothing half-written"


@pytest.mark.parametrize("missing", ["preds", "labels", "metadata.csv"])
def test_a_missing_path_is_named(call_cli, phantom_cohort: Path, tmp_path: Path, missing: str) -> None:
    paths = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    paths = [tmp_path / "gone" / path.name if path.name == missing else path for path in paths]
    done = call_cli("audit", *paths, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert str(tmp_path / "gone" / missing) in done.stderr
    assert "Traceback" not in done.stderr
