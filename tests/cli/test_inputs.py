"""What people have, by the command line: a table of paths, trees by a pattern, several raters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

import segfair as sf
from segfair.files.images.masks import read_mask, write_mask

QUICK = ("--permutations", "99", "--bootstrap", "100", "--workers", "1")


@pytest.fixture(scope="module")
def study(once, phantom_cohort: Path) -> Path:
    """Thirty cases: folders with a metadata.csv; the same as a table and as a tree; two further raters."""

    def make(root: Path) -> Path:
        frame = pd.read_csv(phantom_cohort / "metadata.csv", dtype=str, keep_default_na=False)
        frame = frame.rename(columns={"patient_id": "id"}).iloc[:30]
        rng = np.random.default_rng(0)
        for number, case in enumerate(frame["id"]):
            for role in ("labels", "preds"):
                (root / role).mkdir(exist_ok=True)
                shutil.copy(phantom_cohort / role / f"{case}.nii.gz", root / role)
            (root / "tree" / case).mkdir(parents=True)
            shutil.copy(root / "labels" / f"{case}.nii.gz", root / "tree" / case / "label.nii.gz")
            shutil.copy(root / "preds" / f"{case}.nii.gz", root / "tree" / case / "pred_v2.nii.gz")
            label = read_mask(root / "labels" / f"{case}.nii.gz")
            for rater in ("bert", "cleo")[: 1 if number < 3 else 2]:
                moved = np.roll(label.array, int(rng.integers(0, 3)), axis=int(rng.integers(0, 3)))
                write_mask(root / rater / f"{case}.nii.gz", moved, affine=label.affine)
        (root / "table").mkdir()
        frame.to_csv(root / "metadata.csv", index=False)
        paths = {role: [f"../{folder}/{case}.nii.gz" for case in frame["id"]] for role, folder in
                 (("prediction", "preds"), ("label", "labels"))}  # fmt: skip
        frame.assign(**paths).to_csv(root / "table" / "metadata.csv", index=False)
        return root

    return once("inputs", make)


def audited(call_cli, out: Path, *arguments: object) -> dict:
    done = call_cli("audit", *arguments, "--out", out, *QUICK)
    assert done.returncode == 0, done.stderr
    return json.loads((out / "audit.json").read_text("utf-8"))


def without_places(tree: dict, where: Sequence[str] = ("inputs", "notices")) -> str:
    """The text of an audit without what says where files lie."""
    return json.dumps({key: value for key, value in tree.items() if key not in where})


def test_folders_a_table_and_a_tree_have_the_same_audit(call_cli, study: Path, tmp_path: Path) -> None:
    folders = audited(call_cli, tmp_path / "a", study / "preds", study / "labels", study / "metadata.csv")
    table = audited(call_cli, tmp_path / "b", study / "table" / "metadata.csv")
    patterns = ("--pattern", "{id}/pred_*.nii.gz", "--label-pattern", "{id}/label.nii.gz")
    tree = audited(call_cli, tmp_path / "c", study / "tree", study / "tree", study / "metadata.csv", *patterns)
    assert without_places(table) == without_places(folders) == without_places(tree)
    assert [line for line in folders["notices"] if "masks in" not in line] == [
        line for line in table["notices"] if "masks in" not in line
    ]
    for name, places in (
        ("b", [study / "table" / "metadata.csv"] * 3),
        ("c", [study / "tree/{id}/pred_*.nii.gz", study / "tree/{id}/label.nii.gz", study / "metadata.csv"]),
    ):
        manifest = json.loads((tmp_path / name / "manifest.json").read_text("utf-8"))["inputs"]
        assert [len(manifest[role]["files"]) for role in ("predictions", "labels", "metadata")] == [30, 30, 1]
        assert call_cli("verify", tmp_path / name, "--inputs", *places).returncode == 0


def test_a_table_from_python_is_the_same(study: Path, monkeypatch) -> None:
    options = {"permutations": 99, "bootstrap": 100}
    by_file = sf.audit(study / "table" / "metadata.csv", **options)
    monkeypatch.chdir(study / "table")
    by_frame = sf.audit(pd.read_csv("metadata.csv", keep_default_na=False), **options)
    tree = study / "tree"
    by_pattern = sf.audit(
        tree, tree, study / "metadata.csv", pattern="{id}/pred_*.nii.gz", label_pattern="{id}/label.nii.gz", **options
    )
    assert by_file.by_group.equals(by_frame.by_group)
    assert by_file.by_group.equals(by_pattern.by_group)
    with pytest.raises(sf.SegfairError, match="pattern: is for folders of masks"):
        sf.audit(study / "table" / "metadata.csv", pattern="{id}.nii.gz")


def test_teams_by_a_pattern(call_cli, study: Path, tmp_path: Path) -> None:
    for team in ("one", "two"):
        for case in (study / "tree").iterdir():
            (tmp_path / "teams" / team / case.name).mkdir(parents=True)
            shutil.copy(case / "pred_v2.nii.gz", tmp_path / "teams" / team / case.name / "mine.nii.gz")
    done = call_cli(
        "rank", tmp_path / "teams", study / "tree", study / "metadata.csv", "--pattern", "{id}/mine.nii.gz",
        "--label-pattern", "{id}/label.nii.gz", "--out", tmp_path / "out", *QUICK,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    teams = json.loads((tmp_path / "out" / "rank.json").read_text("utf-8"))["teams"]
    assert len({team["scores"]["DSC"]["value"] for team in teams}) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("preds", "labels"), "the table of attributes is missing"),
        (("preds",), "labels are missing"),
        (("table/metadata.csv", "labels"), "is a table of paths"),
        (("table/metadata.csv", "--pattern", "{id}.nii.gz"), "a table names its files itself"),
        (("preds", "labels", "metadata.csv", "--pattern", "*.nii.gz"), "write {id} where the case id stands"),
        (("preds", "labels", "metadata.csv", "--reference", "staple"), "takes the labels of other raters"),
        (("preds", "labels", "metadata.csv", "--labels2", "gone"), "does not exist"),
    ],
)
def test_inputs_that_cannot_be_meant(call_cli, study: Path, tmp_path: Path, monkeypatch, arguments, told) -> None:
    monkeypatch.chdir(study)
    done = call_cli("audit", *arguments, "--out", tmp_path / "no", *QUICK)
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "no").exists()


def test_several_raters(call_cli, study: Path, tmp_path: Path) -> None:
    raters = ("--labels2", study / "bert", "--labels2", study / "cleo")
    places = (study / "preds", study / "labels", study / "metadata.csv")
    plain = audited(call_cli, tmp_path / "plain", *places)
    first = audited(call_cli, tmp_path / "first", *places, *raters)
    same = ("inputs", "notices", "raters")
    assert without_places(first, same) == without_places(plain, same), "other raters change no number of the audit"
    assert plain["raters"] is None
    facts = first["raters"]
    assert facts["names"] == ["labels", "bert", "cleo"]
    assert [(ruler["name"], ruler["n"]) for ruler in facts["rulers"]] == [
        ("labels", 30), ("majority", 30), ("staple", 30), ("bert", 30), ("cleo", 27),
    ]  # fmt: skip
    assert [(pair["first"], pair["second"], pair["n"]) for pair in facts["pairs"]] == [
        ("labels", "bert", 30), ("labels", "cleo", 27), ("bert", "cleo", 27),
    ]  # fmt: skip
    assert sum(case["n_raters"] == 2 for case in facts["cases"]) == 3
    assert 'id="raters"' in (tmp_path / "first" / "report.html").read_text("utf-8")

    alone = audited(call_cli, tmp_path / "bert", study / "preds", study / "bert", study / "metadata.csv")
    assert facts["rulers"][3]["mean"] == pytest.approx(alone["outcomes"]["dsc"]["mean"])

    staple = audited(call_cli, tmp_path / "staple", *places, *raters, "--reference", "staple")
    assert staple["raters"]["reference"] == "staple"
    assert staple["raters"]["rulers"][0]["mean"] == pytest.approx(facts["rulers"][2]["mean"])
    assert staple["outcomes"]["dsc"]["mean"] == pytest.approx(facts["rulers"][2]["mean"])
    case = staple["case_scores"]["rows"][10][0]
    labels = [read_mask(study / rater / f"{case}.nii.gz").array for rater in ("labels", "bert", "cleo")]
    images = [SimpleITK.GetImageFromArray(np.ascontiguousarray(label, np.uint8)) for label in labels]
    consensus = SimpleITK.GetArrayFromImage(SimpleITK.STAPLE(images, 1.0)) >= 0.5
    predicted = read_mask(study / "preds" / f"{case}.nii.gz").array > 0
    dsc = 2 * (consensus & predicted).sum() / (consensus.sum() + predicted.sum())
    column = staple["case_scores"]["columns"].index("dsc")
    assert staple["case_scores"]["rows"][10][column] == pytest.approx(dsc)


def test_raters_of_a_table_and_pseudonyms(call_cli, study: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(study / "table" / "metadata.csv", dtype=str, keep_default_na=False)
    for column, rater in (("label2", "bert"), ("label3", "cleo")):
        places = [Path("..") / rater / f"{case}.nii.gz" for case in frame["id"]]
        frame[column] = [str(place) if (study / "table" / place).exists() else "" for place in places]
    frame.to_csv(study / "table" / "rated.csv", index=False)
    known = audited(call_cli, tmp_path / "known", study / "table" / "rated.csv")
    assert known["raters"]["names"] == ["label", "label2", "label3"]
    places = (study / "preds", study / "labels", study / "metadata.csv")
    raters = ("--labels2", study / "bert", "--labels2", study / "cleo")
    hidden = audited(call_cli, tmp_path / "hidden", *places, *raters, "--pseudonymise", tmp_path / "key")
    assert hidden["raters"]["names"] == ["rater 1", "rater 2", "rater 3"]
    assert hidden["raters"]["cases"] == []
    assert "bert" not in (tmp_path / "hidden" / "audit.json").read_text("utf-8")
    assert [pair["dsc"] for pair in hidden["raters"]["pairs"]] == [pair["dsc"] for pair in known["raters"]["pairs"]]


def test_one_further_rater_of_a_table_is_a_second_set_of_labels(call_cli, study: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(study / "table" / "metadata.csv", dtype=str, keep_default_na=False)
    frame.assign(label2=[f"../bert/{case}.nii.gz" for case in frame["id"]]).to_csv(
        study / "table" / "two.csv", index=False
    )
    table = audited(call_cli, tmp_path / "table", study / "table" / "two.csv")
    places = (study / "preds", study / "labels", study / "metadata.csv")
    folders = audited(call_cli, tmp_path / "folders", *places, "--labels2", study / "bert")
    for tree in (table, folders):
        assert tree["raters"] is None
        tree["two_rulers"].pop("labels")
    assert table["two_rulers"] == folders["two_rulers"]
