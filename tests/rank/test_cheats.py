"""Submissions that are the labels: whatever leads out of a team's folder is unusable, and copies are told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from segfair.audit.result import AuditConfig
from segfair.errors import ConfigError
from segfair.files.images.masks import write_image, write_mask
from segfair.protocol.rules import load_protocol
from segfair.rank.procedure import run_ranking
from segfair.rank.teams import load_teams

DEFAULT = load_protocol("default")
IDS = [f"P{index:02d}" for index in range(12)]
SHAPE = (12, 10, 6)


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Labels (compressed NIfTI), a table, and an honest team."""
    rng = np.random.default_rng(0)
    for index, case in enumerate(IDS):
        label = np.zeros(SHAPE, np.uint8)
        label[2 : 5 + index % 4, 2:7, 1:5] = 1
        write_mask(tmp_path / "labels" / f"{case}.nii.gz", label, affine=np.eye(4))
        guess = label.copy()
        guess[:, 6] = 0
        write_mask(tmp_path / "teams" / "honest" / f"{case}.nii.gz", guess, affine=np.eye(4))
    rows = [f"{case},{rng.choice(['F', 'M'])}\n" for case in IDS]
    (tmp_path / "meta.csv").write_text("id,sex\n" + "".join(rows))
    return tmp_path


def rank(places: Path, **settings: object):
    cohort, teams = load_teams(places / "teams", places / "labels", places / "meta.csv")
    config = AuditConfig(DEFAULT, permutations=19, bootstrap=100, min_cases=2, **settings)
    return run_ranking(cohort, teams, config, by="dsc")


def detached(places: Path, target: str) -> None:
    """Headers of 250 bytes that take the voxels from the labels: a NIfTI file is 352 bytes and voxels, compressed."""
    folder = places / "teams" / "cheat"
    folder.mkdir()
    for case in IDS:
        (folder / f"{case}.nrrd").write_text(
            "NRRD0004\ntype: uint8\ndimension: 3\nspace: right-anterior-superior\n"
            f"sizes: {SHAPE[0]} {SHAPE[1]} {SHAPE[2]}\nspace directions: (1,0,0) (0,1,0) (0,0,1)\n"
            f"space origin: (0,0,0)\nencoding: gzip\nbyte skip: 352\n"
            f"data file: {target.format(root=places, case=case)}\n"
        )


def links(places: Path, *, relative: bool) -> None:
    (places / "teams" / "cheat").mkdir()
    for case in IDS:
        target = places / "labels" / f"{case}.nii.gz"
        folder = places / "teams" / "cheat"
        (folder / target.name).symlink_to(os.path.relpath(target, folder) if relative else target)


def folder_in_the_folder(places: Path) -> None:
    (places / "teams" / "cheat" / "segmentations").mkdir(parents=True)
    (places / "teams" / "cheat" / "segmentations" / "expert").symlink_to(places / "labels")


def hard_links(places: Path) -> None:
    (places / "teams" / "cheat").mkdir()
    for case in IDS:
        (places / "teams" / "cheat" / f"{case}.nii.gz").hardlink_to(places / "labels" / f"{case}.nii.gz")


def listed(places: Path) -> None:
    """A list of cases as the Decathlon has them, with paths to the labels."""
    (places / "teams" / "cheat").mkdir()
    training = [{"image": "x.nii.gz", "label": f"../../labels/{case}.nii.gz"} for case in IDS]
    (places / "teams" / "cheat" / "dataset.json").write_text(json.dumps({"training": training}))


WAYS: dict[str, Callable[[Path], None]] = {
    "headers": lambda places: detached(places, "../../labels/{case}.nii.gz"),
    "headers with absolute paths": lambda places: detached(places, "{root}/labels/{case}.nii.gz"),
    "headers that point at the honest team": lambda places: detached(places, "../honest/{case}.nii.gz"),
    "links": lambda places: links(places, relative=True),
    "absolute links": lambda places: links(places, relative=False),
    "a link to the folder of labels": lambda places: (places / "teams" / "cheat").symlink_to(places / "labels"),
    "a link to a folder in the team's": folder_in_the_folder,
    "a link to the other team": lambda places: (places / "teams" / "cheat").symlink_to("honest"),
    "a link to all teams": lambda places: (places / "teams" / "cheat").symlink_to("."),
    "a list of paths": listed,
    "hard links": hard_links,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_leads_out_of_a_teams_folder_has_the_worst_score(places: Path, way: str) -> None:
    WAYS[way](places)
    ranking = rank(places)
    honest, cheat = ranking.standings
    assert (honest.team, cheat.team) == ("honest", "cheat")
    assert honest.n_penalised == 0
    assert 0.8 < honest.value < 0.95
    assert cheat.n_penalised == len(IDS)
    assert cheat.value == 0.0
    reasons = set(ranking.scores.tables["cheat"].penalised.values())
    told = [cheat.problem] if cheat.problem else reasons
    assert all(
        "hard link" in text or "leads out of" in text or "from outside of" in text or "is a link to the folder" in text
        for text in told
    )


def test_masks_coded_otherwise_are_told_of_their_team(places: Path) -> None:
    for case in IDS:
        write_mask(places / "teams" / "white" / f"{case}.nii.gz", np.full(SHAPE, 255), affine=np.eye(4))
    texts = [alert.text for alert in rank(places).alerts if alert.kind == "labels"]
    assert texts == ["white: Predictions hold values that belong to no label that counts (1), of 12 cases: 255 in 12."]


def test_labels_that_say_nothing_stop_a_ranking_as_they_stop_an_audit(places: Path) -> None:
    with pytest.raises(ConfigError, match="--label core=7: no label holds it"):
        rank(places, labels=("whole=1", "core=7"))
    write_mask(places / "labels" / "P03.nii.gz", np.arange(np.prod(SHAPE)).reshape(SHAPE) % 40, affine=np.eye(4))
    with pytest.raises(ConfigError, match="the label of case P03 holds 32 and more different values"):
        rank(places)


def test_the_way_by_headers_would_have_worked(places: Path) -> None:
    """Otherwise the refusal above proves nothing."""
    detached(places, "{case}.nii.gz")
    for case in IDS:
        shutil.copy(places / "labels" / f"{case}.nii.gz", places / "teams" / "cheat")
        (places / "teams" / "cheat" / f"{case}.nii.gz").rename(places / "teams" / "cheat" / f".{case}.nii.gz")
        header = places / "teams" / "cheat" / f"{case}.nrrd"
        header.write_text(header.read_text().replace("data file: ", "data file: ."))
    assert rank(places).standings[0].team == "cheat"
    assert rank(places).standings[0].value == 1.0


def test_links_within_the_teams_own_folder_are_fine(places: Path) -> None:
    folder = places / "teams" / "linked"
    shutil.copytree(places / "teams" / "honest", folder / ".store")
    for case in IDS:
        (folder / f"{case}.nii.gz").symlink_to(f".store/{case}.nii.gz")
    linked = next(entry for entry in rank(places).standings if entry.team == "linked")
    assert linked.n_penalised == 0
    assert 0.8 < linked.value < 0.95


@pytest.mark.parametrize("how", ["copied", "stored otherwise"])
def test_masks_that_equal_the_labels_are_told_on_the_board_and_on_the_page(places: Path, call_cli, how: str) -> None:
    folder = places / "teams" / "copy"
    folder.mkdir()
    for index, case in enumerate(IDS):
        label = places / "labels" / f"{case}.nii.gz"
        if index >= len(IDS) // 2:
            shutil.copy(places / "teams" / "honest" / f"{case}.nii.gz", folder)
        elif how == "copied":
            shutil.copy(label, folder)
        else:
            image = nib.load(label).as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))
            nib.save(
                nib.Nifti1Image(np.asarray(image.dataobj).astype(np.float32), image.affine), folder / f"{case}.nii"
            )
    for private in ((), ("--private-labels",)):
        out = places / f"out{len(private)}"
        said = call_cli(
            "rank", places / "teams", places / "labels", places / "meta.csv", "--out", out, "--permutations", 19,
            "--bootstrap", 100, *private,
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
        sentence = "at least half of the masks equal the labels voxel for voxel"
        assert f"copy: {sentence}" in said.stdout
        shown = out / "public" if private else out
        assert f"copy: {sentence}" in (shown / "leaderboard.html").read_text("utf-8")
        assert sentence[1:] in (shown / "teams" / "copy.html").read_text("utf-8")
        assert sentence[1:] not in (shown / "teams" / "honest.html").read_text("utf-8")
        tree = json.loads((out / "rank.json").read_text("utf-8"))
        assert {entry["team"]: entry["copied"] for entry in tree["teams"]} == {"copy": True, "honest": False}
        assert tree["verdict"]["winner"] is None, "copies of the labels win nothing"
        assert tree["verdict"]["sentence"].startswith("No winner can be declared: at least half of the masks of copy")


def test_fewer_than_half_are_told_by_no_alert(places: Path) -> None:
    folder = places / "teams" / "lucky"
    shutil.copytree(places / "teams" / "honest", folder)
    for case in IDS[:5]:
        shutil.copy(places / "labels" / f"{case}.nii.gz", folder)
    assert not [alert for alert in rank(places).alerts if alert.kind == "copied"]


def test_a_closed_folder_costs_its_team_only(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Closed by hand: permissions do not bind everybody who runs this test.
    closed = places / "teams" / "closed"
    shutil.copytree(places / "teams" / "honest", closed)
    plain_iterdir, plain_is_dir = Path.iterdir, Path.is_dir

    def iterdir(path: Path):
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return plain_iterdir(path)

    def is_dir(path: Path) -> bool:
        if closed in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return plain_is_dir(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Path, "is_dir", is_dir)
    honest, other = rank(places).standings
    assert (honest.team, other.team) == ("honest", "closed")
    assert other.n_penalised == len(IDS)
    assert "cannot be read (Permission denied)" in other.problem


def test_an_audit_takes_links_to_masks_but_no_headers_that_lead_out(places: Path, call_cli) -> None:
    links(places, relative=True)
    linked = places / "teams" / "cheat"
    detached_folder = places / "elsewhere"
    (places / "elsewhere").mkdir()
    for case in IDS:
        (detached_folder / f"{case}.nrrd").write_text(
            "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 12 10 6\n"
            f"encoding: gzip\nbyte skip: 352\ndata file: ../labels/{case}.nii.gz\n"
        )
    quick = ("--permutations", 19, "--bootstrap", 100, "--out", places / "out")
    said = call_cli("audit", linked, places / "labels", places / "meta.csv", *quick)
    assert said.returncode == 0, said.stderr
    alerts = json.loads((places / "out" / "audit.json").read_text("utf-8"))["alerts"]
    assert [entry["text"][:24] for entry in alerts if entry["kind"] == "copied"] == ["12 of 12 predictions equ"]
    said = call_cli("audit", detached_folder, places / "labels", places / "meta.csv", *quick)
    assert said.returncode == 2
    assert "12 that lead out of their folder, such as case P00" in said.stderr


def test_one_team_whose_maps_do_not_fit_the_threshold_is_told(places: Path) -> None:
    for team, scale in (("honest", 1.0), ("pictures", 255.0)):
        folder = places / "teams" / team
        shutil.rmtree(folder, ignore_errors=True)
        for case in IDS:
            label = np.asarray(nib.load(places / "labels" / f"{case}.nii.gz").dataobj)
            write_image(folder / f"{case}.nii.gz", scale * label * (0.9 if team == "honest" else 1.0), affine=np.eye(4))
    ranking = rank(places, threshold=0.5)
    remarks = {entry.team: list(entry.alerts) for entry in ranking.standings}
    assert remarks["honest"] == []
    assert remarks["pictures"] == [
        "the threshold 0.5 means little here: the maps hold values from 0 to 255, whole numbers and no probabilities"
    ]
