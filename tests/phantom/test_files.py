"""The embedded cohort on disk: readable, complete or absent, and nothing of others touched."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.phantom.draws import draw

from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import read_mask
from segfair.phantom import (
    write_phantom,
)


def test_the_files_are_readable_on_one_grid_and_agree_with_the_tables(tmp_path: Path) -> None:
    files = write_phantom(tmp_path / "cohort", n_cases=7, size=(20, 24, 16), seed=4)
    assert (files.n_cases, files.n_planted) == (7, 2)
    truth = json.loads(files.truth.read_text())
    datalist = json.loads(files.dataset.read_text())
    with files.metadata.open(newline="") as table:
        rows = {row["patient_id"]: row for row in csv.DictReader(table)}
    assert sorted(rows) == truth["cases"] == sorted(path.name[:-7] for path in files.labels.iterdir())
    assert list(next(iter(rows.values()))) == ["patient_id", "age", "age_group", "menopause", "breast_density", "site"]
    items = truth["planted"]["items"]
    assert items == {"age_group": "41-50", "breast_density": "d"}
    inside = [name for name, row in rows.items() if all(row[key] == level for key, level in items.items())]
    assert inside == truth["planted"]["cases"]
    assert len(inside) == truth["planted"]["n"] == 2
    assert all(row["age"] == "" or row["age"].isdigit() for row in rows.values())

    assert datalist["numTraining"] == len(datalist["training"]) == 7
    assert list(datalist["modality"]) == ["0", "1", "2"]
    for entry in datalist["training"]:
        stored = nibabel.load(files.dataset.parent / entry["image"])
        image = stored.get_fdata()
        label = read_mask(files.dataset.parent / entry["label"])
        prediction = read_mask(files.predictions / Path(entry["label"]).name)
        assert image.shape == (20, 24, 16, 3)
        assert label.array.shape == prediction.array.shape == (20, 24, 16)
        assert np.array_equal(stored.affine, label.affine)
        assert np.array_equal(label.affine, prediction.affine)
        assert np.diag(label.affine)[:3] == pytest.approx(truth["spacing_mm"])
        assert set(np.unique(label.array)) == {0, 1}
        # The phases are in order: a tumour enhances early, and less late, unless it is planted.
        _, early, late = (phase[label.array == 1].mean() for phase in np.moveaxis(image, -1, 0))
        assert (early > late + 0.1) == (label_id(entry["label"]) not in inside)


def label_id(path: str) -> str:
    return Path(path).name.removesuffix(".nii.gz")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writing_again_replaces_an_earlier_cohort_and_leaves_other_files_alone(tmp_path: Path) -> None:
    small = (16, 16, 16)
    write_phantom(tmp_path / "once", n_cases=3, size=small, seed=1)
    write_phantom(tmp_path / "again", n_cases=5, size=small, seed=2)
    (tmp_path / "again" / "notes.txt").write_text("mine")
    write_phantom(tmp_path / "again", n_cases=3, size=small, seed=1)
    found = contents(tmp_path / "again")
    assert found.pop("notes.txt") == b"mine"
    assert found == contents(tmp_path / "once")


def test_a_run_that_was_interrupted_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def give_up(path: Path, *_: object, **__: object) -> None:
        written.append(path)
        raise KeyboardInterrupt

    write_phantom(tmp_path, n_cases=3, size=(16, 16, 16))
    with monkeypatch.context() as patch:
        patch.setattr("segfair.phantom.files.write_mask", give_up)
        with pytest.raises(KeyboardInterrupt):
            write_phantom(tmp_path, n_cases=2, size=(16, 16, 16))
    assert written
    # Half a cohort must not pass for a whole one by an earlier table.
    assert not (tmp_path / "metadata.csv").exists()
    assert not (tmp_path / "dataset.json").exists()
    files = write_phantom(tmp_path, n_cases=2, size=(16, 16, 16))
    assert len(list(files.labels.iterdir())) == 2


def test_the_unbiased_cohort_says_so(tmp_path: Path) -> None:
    files = write_phantom(tmp_path, n_cases=2, size=(16, 16, 16), bias=False)
    truth = json.loads(files.truth.read_text())
    assert truth["bias"] is False
    assert truth["mechanism"] is None
    assert truth["planted"]["n"] == 1


def test_another_mechanism_is_planted_and_told(tmp_path: Path) -> None:
    files = write_phantom(tmp_path, n_cases=6, size=(16, 16, 16), mechanism="rim")
    truth = json.loads(files.truth.read_text())
    assert truth["mechanism"]["name"] == "rim"
    assert truth["planted"]["items"] == {"site": "D"}
    assert truth["planted"]["n"] == files.n_planted == 1
    with pytest.raises(ConfigError, match=r"mechanism 'edge': not one of faint, .*, rim, hidden"):
        write_phantom(tmp_path / "never", mechanism="edge")
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(("name", "planted"), [("faint", 14), ("three-attribute", 14), ("rim", 7)])
def test_a_fifth_is_planted_and_of_a_site_a_tenth(name: str, planted: int, tmp_path: Path) -> None:
    # Of 69 cases, rounded up.
    files = write_phantom(tmp_path, n_cases=69, size=(16, 16, 16), mechanism=name)
    with files.metadata.open(newline="") as table:
        sites = [row["site"] for row in csv.DictReader(table)]
    assert files.n_planted == planted
    assert (sites.count("D") == planted) == (name == "rim")


@pytest.mark.parametrize("truth", [None, "not json", "[]", '{"kind": "something else", "cases": []}'])
def test_a_folder_of_somebody_else_is_refused_and_untouched(tmp_path: Path, truth: str | None) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "PH0001.nii.gz").write_bytes(b"precious")
    if truth is not None:
        (tmp_path / "truth.json").write_text(truth)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"did not write \(labels.*; name a new or empty folder"):
        write_phantom(tmp_path, n_cases=2, size=(16, 16, 16))
    assert contents(tmp_path) == before


def test_an_edited_truth_deletes_nothing_outside_of_the_cohort(tmp_path: Path) -> None:
    precious = tmp_path / "precious.nii.gz"
    precious.write_bytes(b"precious")
    folder = tmp_path / "cohort"
    (folder / "preds").mkdir(parents=True)
    (folder / "truth.json").write_text(json.dumps({"kind": "segfair phantom", "cases": ["../../precious"]}))
    write_phantom(folder, n_cases=1, size=(16, 16, 16))
    assert precious.read_bytes() == b"precious"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        write_phantom(tmp_path / "taken", n_cases=1, size=(16, 16, 16))


def test_no_cases() -> None:
    assert draw(0) == []
    with pytest.raises(ConfigError, match="at least 1"):
        write_phantom("never-made", n_cases=0)
    assert not Path("never-made").exists()
