"""One mask of each kind of problem among good ones: each is told of its case, and costs no other."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from segfair.errors import InputError
from segfair.submission import Check, Expectation, ExpectedCase, check_submission, write_expectation

SHAPE = (6, 5, 4)
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
GRID = ExpectedCase(SHAPE, tuple(map(tuple, AFFINE.tolist())))


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    nibabel.save(nibabel.Nifti1Image(array, affine), path)


def good(value: int = 1) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3, 1:3, 1:3] = value
    return mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "submission"
    made.mkdir()
    for case in "ABC":
        save(made / f"{case}.nii.gz", good())
    return made


def expected(cases: str = "ABC", **rules: object) -> Expectation:
    return Expectation(dict.fromkeys(cases, GRID), **rules)  # type: ignore[arg-type]


def told(check: Check) -> list[tuple[str, str]]:
    return [(entry.case, entry.kind) for entry in check.problems]


def test_good_masks_pass(folder: Path) -> None:
    check = check_submission(folder, expected(values=(1,), suffixes=(".nii.gz",), max_bytes=10_000))
    assert check == Check(3, 3, (), ())
    assert check.passed


def test_each_problem_is_that_of_its_case(folder: Path) -> None:
    moved = AFFINE.copy()
    moved[0, 3] = 5
    save(folder / "D.nii.gz", good(), moved)
    save(folder / "E.nii.gz", good(3))
    save(folder / "F.nii.gz", np.zeros((6, 5, 9), np.uint8) + 1)
    save(folder / "G.nii.gz", good().astype(np.float32) * 0.4)
    (folder / "H.nii.gz").write_bytes(b"no mask")
    (folder / "I.nii.gz").symlink_to(folder / "nowhere" / ".." / ".." / "elsewhere.nii.gz")
    save(folder / "J.nii", good())
    check = check_submission(folder, expected("ABCDEFGHIJK", values=(1,), suffixes=(".nii.gz",)))
    assert told(check) == [
        ("K", "missing"),
        ("D", "grid"),
        ("E", "values"),
        ("F", "grid"),
        ("G", "file"),
        ("H", "file"),
        ("I", "file"),
        ("J", "file"),
    ]
    assert check.n_usable == 3
    what = {entry.case: entry.what for entry in check.problems}
    assert "5 mm apart" in what["D"]
    assert "holds 3, and only 0, 1 may be" in what["E"]
    assert "6x5x4" in what["F"] and "6x5x9" in what["F"]
    assert "probability map" in what["G"]
    assert str(folder) not in "".join(what.values())


def test_the_label_itself_behind_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "label.nii.gz", good())
    (folder / "A.nii.gz").unlink()
    (folder / "A.nii.gz").symlink_to(tmp_path / "label.nii.gz")
    assert told(check_submission(folder, expected())) == [("A", "file")]


def test_another_order_of_axes_is_the_same_grid(folder: Path) -> None:
    """Stored from right to left: voxel 0 lies where voxel 5 lay."""
    flipped = AFFINE.copy()
    flipped[0, 0], flipped[0, 3] = -1, 5
    save(folder / "A.nii.gz", good()[::-1], flipped)
    assert check_submission(folder, expected()).passed


def test_equal_shape_can_be_enough(folder: Path) -> None:
    save(folder / "A.nii.gz", good(), np.eye(4))
    assert told(check_submission(folder, expected())) == [("A", "grid")]
    assert check_submission(folder, expected(match="shape")).passed


def test_sizes(folder: Path) -> None:
    n_bytes = (folder / "A.nii.gz").stat().st_size
    assert check_submission(folder, expected(max_bytes=n_bytes, max_total_bytes=3 * n_bytes)).passed
    assert told(check_submission(folder, expected(max_bytes=n_bytes - 1))) == [(case, "size") for case in "ABC"]
    assert told(check_submission(folder, expected(max_total_bytes=3 * n_bytes - 1))) == [("", "size")]


def test_what_may_be_meant_is_a_warning(folder: Path) -> None:
    save(folder / "B.nii.gz", np.zeros(SHAPE, np.uint8))
    (folder / "C.nii.gz").rename(folder / "c.nii.gz")
    save(folder / "X.nii.gz", good())
    check = check_submission(folder, expected())
    assert check.passed
    assert [(entry.case, entry.kind) for entry in check.warnings] == [("C", "name"), ("", "extra"), ("B", "empty")]


def test_a_folder_that_cannot_be_read_as_one_is_one_problem(folder: Path, tmp_path: Path) -> None:
    save(folder / "A.nii", good())
    assert told(check_submission(folder, expected())) == [("", "folder")]
    (tmp_path / "empty").mkdir()
    assert told(check_submission(tmp_path / "empty", expected())) == [("", "folder")]
    with pytest.raises(InputError, match="does not exist"):
        check_submission(tmp_path / "nowhere", expected())
    (tmp_path / "zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="unpack it"):
        check_submission(tmp_path / "zip", expected())


def test_the_command_tells_a_platform(call_cli, phantom_cohort: Path, folder: Path, tmp_path: Path) -> None:
    """The file is made from images, without labels; exit code 1 where something has to be mended."""
    made = tmp_path / "expect.json"
    done = call_cli("check", phantom_cohort / "images", "--write", made, "--values", "1", "--suffix", ".nii.gz")
    assert done.returncode == 0, done.stderr
    done = call_cli("check", phantom_cohort / "preds", "--expect", made, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] is True
    write_expectation(expected("ABCD"), made)
    done = call_cli("check", folder, "--expect", made, "--json")
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert (answer["exit_code"], answer["passed"], answer["n_usable"]) == (1, False, 3)
    assert [(entry["case"], entry["kind"]) for entry in answer["problems"]] == [("D", "missing")]
    assert "mend  D: there is no mask of it" in call_cli("check", folder, "--expect", made).stdout
