"""Files behind a URL: which are brought when, what is brought again, and that messages name the URL."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from segfair import remote
from segfair.audit.choices.units import resolve_units
from segfair.audit.result import AuditConfig
from segfair.errors import InputError
from segfair.files.images.masks import MASK_SUFFIXES, write_mask
from segfair.files.tables import TABLE_SUFFIXES
from segfair.intake.cohorts import load_cohort
from segfair.protocol.rules import load_protocol
from segfair.rank.teams import load_teams, score_teams
from segfair.remote import bring, local_copy, shown
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import ScoreCache

fsspec = pytest.importorskip("fsspec")
DEFAULT = load_protocol("default")
N_CASES = 5
QUICK = ("--attributes", "age_group,menopause", "--permutations", 99, "--bootstrap", 100)


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies lie in this test; what earlier ones have listed is forgotten."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user cache"))
    monkeypatch.setattr(remote, "_listed", set())
    return tmp_path / "user cache" / "segfair-remote"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small study on disk."""
    rng = np.random.default_rng(0)
    root = tmp_path / "study"
    for index in range(N_CASES):
        for role in ("labels", "preds"):
            write_mask(root / role / f"P{index}.nii.gz", rng.random((6, 7, 8)) < 0.3, affine=np.eye(4))
    (root / "metadata.csv").write_text("id,age\n" + "".join(f"P{index},{40 + index}\n" for index in range(N_CASES)))
    return root


@pytest.fixture
def memory(folder: Path):
    """The same study in fsspec's memory, which this process alone sees."""
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True) if system.ls("/") else None
    system.put(str(folder), "/study", recursive=True)
    yield system
    system.rm("/", recursive=True)


@pytest.fixture
def brought(memory, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is brought from memory from now on."""
    names: list[str] = []
    get_file = type(memory).get_file

    def counting(self, place, target, **named):
        names.append(place.removeprefix("/study/"))
        return get_file(self, place, target, **named)

    monkeypatch.setattr(type(memory), "get_file", counting)
    return names


def change(path: Path) -> None:
    write_mask(path, np.ones((6, 7, 8), bool), affine=np.eye(4))


def cohort_of(root: str):
    """As the command line hands it over: `Path` makes one slash of two."""
    return load_cohort(*(Path(f"{root}/{name}") for name in ("preds", "labels", "metadata.csv")))


def test_masks_are_brought_when_they_are_scored(memory, brought: list[str], folder: Path) -> None:
    cohort = cohort_of("memory://study")
    assert brought == ["metadata.csv"]
    scores = score_cohort(cohort, DEFAULT)
    assert sorted(brought[1:]) == sorted(f"{role}/P{i}.nii.gz" for role in ("labels", "preds") for i in range(N_CASES))
    assert scores == score_cohort(cohort_of(str(folder)), DEFAULT)


def test_what_is_read_before_scoring_is_brought_for_it(memory, brought: list[str], folder: Path) -> None:
    """Whether labels are flat is told by one of them, which a NIfTI file says in its header alone."""
    for role in ("labels", "preds"):
        for index in range(N_CASES):
            write_mask(folder / role / f"P{index}.nii.gz", np.ones((6, 7), bool), affine=np.eye(4))
    memory.put(str(folder), "/", recursive=True)
    config = AuditConfig(protocol=DEFAULT)
    found, expected = (resolve_units(config, cohort_of(root)) for root in ("memory://study", str(folder)))
    assert "area_mm2" in expected.protocol.metrics
    assert found == expected
    assert brought == ["metadata.csv", "labels/P0.nii.gz"]


def test_all_but_nifti_is_brought_at_once() -> None:
    assert {*MASK_SUFFIXES, *TABLE_SUFFIXES} - {".nii", ".nii.gz", ".seg.nrrd"} <= {*remote._AT_ONCE}


def test_a_later_run_brings_what_has_changed(memory, brought: list[str], folder: Path, tmp_path: Path) -> None:
    score_cohort(cohort_of("memory://study"), DEFAULT, cache=ScoreCache(tmp_path / "kept"))
    brought.clear()
    change(folder / "preds" / "P3.nii.gz")
    memory.put_file(str(folder / "preds" / "P3.nii.gz"), "/study/preds/P3.nii.gz")
    memory.rm("/study/labels/P0.nii.gz")
    cohort, kept = cohort_of("memory://study"), ScoreCache(tmp_path / "kept")
    assert cohort.ids == ("P1", "P2", "P3", "P4")
    table = score_cohort(cohort, DEFAULT, cache=kept)
    assert brought == ["preds/P3.nii.gz"]
    assert (kept.n_scored, kept.n_found) == (1, 3)
    (folder / "labels" / "P0.nii.gz").unlink()
    assert table == score_cohort(cohort_of(str(folder)), DEFAULT)


def test_who_has_not_listed_the_folder_asks_for_each_file(memory, brought: list[str], folder: Path) -> None:
    """As a worker on another machine does, whose copies may be old."""
    cohort = cohort_of("memory://study")
    score_cohort(cohort, DEFAULT)
    brought.clear()
    change(folder / "preds" / "P3.nii.gz")
    memory.put_file(str(folder / "preds" / "P3.nii.gz"), "/study/preds/P3.nii.gz")
    remote._listed.clear()
    assert score_cohort(cohort, DEFAULT) == score_cohort(cohort_of(str(folder)), DEFAULT)
    assert brought == ["preds/P3.nii.gz"]
    shutil.rmtree(cohort.cases[0].label.parent)
    assert score_cohort(cohort, DEFAULT) == score_cohort(cohort_of(str(folder)), DEFAULT)
    assert len(brought) == 1 + N_CASES


def test_reasons_and_notices_name_the_url(memory, copies: Path) -> None:
    memory.pipe_file("/study/preds/P1.nii.gz", b"no mask")
    memory.pipe_file("/study/labels/P2.nii.gz", b"no mask")
    cohort = cohort_of("memory://study")
    assert f"labels: {N_CASES} masks in memory://study/labels (a flat folder)" in cohort.notices
    table = score_cohort(cohort, DEFAULT)
    assert table.penalised["P1"].startswith("memory://study/preds/P1.nii.gz: ")
    assert table.excluded["P2"].startswith("memory://study/labels/P2.nii.gz: ")
    assert str(copies) not in str((cohort.notices, table.penalised, table.excluded))


def test_teams_in_a_bucket_are_scored_like_teams_in_a_folder(memory, folder: Path) -> None:
    for team in ("aurora", "borealis"):
        shutil.copytree(folder / "preds", folder / "teams" / team)
        memory.put(str(folder / "preds"), f"/study/teams/{team}", recursive=True)
    found, expected = (
        score_teams(*load_teams(*(Path(f"{root}/{name}") for name in ("teams", "labels", "metadata.csv"))), DEFAULT)
        for root in ("memory://study", folder)
    )
    assert found.tables == expected.tables
    assert found.names == ("aurora", "borealis")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_an_audit_of_urls_is_the_audit_of_the_files(
    call_cli, phantom_cohort: Path, tmp_path: Path, workers: int
) -> None:
    texts = []
    for root in (str(phantom_cohort), f"file://{phantom_cohort}"):
        inputs = [f"{root}/{name}" for name in ("preds", "labels", "metadata.csv")]
        done = call_cli("audit", *inputs, "--out", tmp_path / "out", *QUICK, "--workers", workers, "--no-cache")
        assert done.returncode == 0, done.stderr
        texts.append((tmp_path / "out" / "audit.json").read_text("utf-8"))
        manifest = (tmp_path / "out" / "manifest.json").read_text("utf-8")
        assert call_cli("verify", tmp_path / "out", "--inputs", *inputs).returncode == 0
    assert "user cache" not in texts[1] + manifest
    assert texts[1] == texts[0].replace(str(phantom_cohort), f"file://{phantom_cohort}")


def test_what_is_not_there_is_named_by_its_url(memory, call_cli, folder: Path) -> None:
    with pytest.raises(InputError, match="memory://nowhere: does not exist, or is empty"):
        local_copy(Path("memory://nowhere"))
    done = call_cli("audit", "memory://nowhere/preds", folder / "labels", folder / "metadata.csv")
    assert done.returncode == 2
    assert "segfair: memory://nowhere/preds: does not exist" in done.stderr


def test_a_storage_that_is_unknown_or_fails_is_told(memory, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="nonsense://bucket/x: cannot be listed"):
        local_copy(Path("nonsense://bucket/x"))
    root = local_copy(Path("memory://study"))

    def refuse(self, *arguments, **named):
        raise PermissionError("forbidden")

    monkeypatch.setattr(type(memory), "get_file", refuse)
    with pytest.raises(InputError, match=r"memory://study/labels/P0.nii.gz: cannot be read \(forbidden\)"):
        bring(root / "labels" / "P0.nii.gz")
    assert not list(root.rglob("*.part"))


def test_local_paths_are_left_alone(tmp_path: Path) -> None:
    for path in (tmp_path, Path("relative/labels"), Path("with:colon/labels"), Path("c:/labels")):
        assert local_copy(path) == path
        bring(path)
    for text in ("labels: 5 masks in /data/labels", "see https://example.org/x", "a:/b c: /d", "12:/30"):
        assert shown(text) == text
    assert shown("labels s3:/bucket/x: is empty") == "labels s3://bucket/x: is empty"
    assert shown("file:/data/x") == "file:///data/x"


def test_files_that_stand_for_arrays_are_called_as_the_arrays_are() -> None:
    with remote.memory_folder() as folder:
        (folder / "labels").mkdir()
        assert remote.shown(f"{folder}/labels/P 1.npz: is no mask") == "labels['P 1']: is no mask"
        assert (
            remote.shown(f"labels: 3 masks in {folder}/labels (a flat folder)")
            == "labels: 3 masks in memory (a flat folder)"
        )
    assert not folder.exists()
    assert remote.shown(f"{folder}/labels/P1.npz") == f"{folder}/labels/P1.npz"
