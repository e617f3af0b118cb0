"""Hashes of inputs and outputs, and what `verify` notices."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from segfair.errors import InputError
from segfair.files.manifest import build_manifest, hash_file, hash_inputs, is_ours, not_covered, verify, written_files


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A folder with two outputs, two inputs and their manifest."""
    folder, labels = tmp_path / "report", tmp_path / "labels"
    folder.mkdir()
    labels.mkdir()
    (labels / "a.nii.gz").write_bytes(b"a")
    (labels / "b.nii.gz").write_bytes(b"b")
    (folder / "report.html").write_text("page")
    (folder / "audit.json").write_text("{}")
    manifest = build_manifest(
        outputs={name: folder / name for name in ("report.html", "audit.json")},
        inputs=hash_inputs({"labels": str(labels), "metadata": str(tmp_path / "gone.csv")}, ["a", "b"]),
        command="segfair audit",
        protocol="default",
        protocol_digest="0" * 64,
        versions={"segfair": "0.1.0"},
        written="2026-01-01T00:00:00+00:00",
    )
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_hash_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"segfair")
    assert hash_file(tmp_path / "x") == hashlib.sha256(b"segfair").hexdigest()


def test_nothing_changed_is_nothing_said(report: Path) -> None:
    assert verify(report) == []
    assert verify(report, {"labels": report.parent / "labels"}) == []


def test_one_flipped_byte_is_named(report: Path) -> None:
    (report / "report.html").write_text("pagf")
    (report.parent / "labels" / "b.nii.gz").write_bytes(b"c")
    assert verify(report, {"labels": report.parent / "labels"}) == [
        "output report.html: changed",
        "input labels b.nii.gz: changed",
    ]


def test_a_missing_file_and_an_input_without_hashes_are_named(report: Path) -> None:
    (report / "audit.json").unlink()
    (report.parent / "gone.csv").write_text("back again")
    assert verify(report, {"metadata": report.parent / "gone.csv"}) == [
        "output audit.json: missing",
        "input metadata: the manifest has no hashes of it",
    ]


def test_a_folder_of_somebody_else_has_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a browser extension"}')
    assert not is_ours(tmp_path)
    with pytest.raises(InputError, match=r"manifest\.json: missing or not written by segfair"):
        verify(tmp_path)


def test_of_a_folder_only_the_cases_files_are_hashed(tmp_path: Path) -> None:
    for name in (
        "P1.nii.gz",
        "P2.seg.nrrd",
        "P9.nii.gz",
        "images/P1_0000.nii.gz",
        "dataset.json",
        ".cache/P1.nii.gz",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    files = hash_inputs({"labels": str(tmp_path)}, ["P1", "P2.seg"])["labels"]["files"]
    assert set(files) == {"P1.nii.gz", "P2.seg.nrrd", "dataset.json"}


def test_predictions_with_a_channel_suffix_are_hashed(tmp_path: Path) -> None:
    (tmp_path / "P1_0000.nii.gz").write_bytes(b"x")
    assert set(hash_inputs({"predictions": str(tmp_path)}, ["P1"])["predictions"]["files"]) == {"P1_0000.nii.gz"}


def test_somebody_elses_files_are_not_covered_and_no_change(report: Path) -> None:
    (report / "notes.txt").write_text("mine")
    (report / ".DS_Store").write_text("nobody's")
    (report / "figures").mkdir()
    (report / "figures" / "mine.txt").write_text("mine")
    assert verify(report) == []
    assert not_covered(report) == ("figures/mine.txt", "notes.txt")


@pytest.mark.parametrize(
    "name",
    [
        "cases.csv",
        "model-card.md",
        "figures/scores.svg",
        "teams/a.html",
        "public/x/y.json",
        "dossier.html",
        "runs.json",
    ],
)
def test_an_added_file_with_a_name_of_ours_is_a_change(report: Path, name: str) -> None:
    (report / name).parent.mkdir(parents=True, exist_ok=True)
    (report / name).write_text("forged")
    assert verify(report) == [f"output {name}: added, the manifest does not have it"]
    assert not_covered(report) == ()


def test_an_input_added_under_an_audited_id_is_named(report: Path) -> None:
    tree = {"case_scores": {"rows": [["a"], ["b"], ["c"]]}, "cases": {"excluded": []}}
    (report / "audit.json").write_text(json.dumps(tree))
    manifest = json.loads((report / "manifest.json").read_text())
    manifest["outputs"]["audit.json"] = hash_file(report / "audit.json")
    (report / "manifest.json").write_text(json.dumps(manifest))
    labels = report.parent / "labels"
    (labels / "unrelated.nii.gz").write_bytes(b"another study")
    assert verify(report, {"labels": labels}) == []
    (labels / "c.nii.gz").write_bytes(b"late")
    assert verify(report, {"labels": labels}) == ["input labels c.nii.gz: added, the manifest does not have it"]


def test_a_single_input_file_may_have_been_renamed(report: Path) -> None:
    table = report.parent / "table.csv"
    table.write_text("id\na\n")
    manifest = json.loads((report / "manifest.json").read_text())
    manifest["inputs"] |= hash_inputs({"metadata": str(table)}, ["a"])
    (report / "manifest.json").write_text(json.dumps(manifest))
    moved = table.rename(report.parent / "renamed.csv")
    assert verify(report, {"metadata": moved}) == []
    moved.write_text("id\nb\n")
    assert verify(report, {"metadata": moved}) == ["input metadata renamed.csv: changed"]


def test_an_input_that_is_not_there_and_a_broken_manifest_are_errors(report: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        verify(report, {"labels": report / "gone"})
    (report / "manifest.json").write_text('{"written_by": "segfair"}')
    with pytest.raises(InputError, match=r"manifest\.json: inputs is missing"):
        verify(report)


def test_a_manifest_that_leads_out_of_its_folder_is_not_followed(report: Path) -> None:
    secret = report.parent / "secret"
    secret.write_text("mine")
    (report / "link").symlink_to(secret)
    tree = json.loads((report / "manifest.json").read_text())
    names = ("../secret", str(secret), "link")
    tree["outputs"] = dict.fromkeys(names, hash_file(secret))
    (report / "manifest.json").write_text(json.dumps(tree))
    said = [line for line in verify(report) if "leads out" in line]
    assert said == [f"output {name}: leads out of {report}; it was not looked at" for name in names]
    assert written_files(report) == set(), "what an earlier report wrote is replaced, and this is none of it"
    assert secret.read_text() == "mine"
