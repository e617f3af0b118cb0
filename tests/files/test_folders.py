"""The masks of one folder: which files are masks, whose they are, and what an error says of a folder without any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segfair.errors import PairingError
from segfair.files.folders import has_masks, mask_files, masks_in, nothing_found, unread_masks


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_masks_are_told_by_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "b.nii.gz", "a.NRRD", "notes.txt", ".hidden.nii.gz", "c.nii.gz/inside.txt")
    assert [path.name for path in mask_files(tmp_path)] == ["a.NRRD", "b.nii.gz"]
    assert has_masks(tmp_path)
    assert not has_masks(tmp_path / "c.nii.gz"), "a folder is no mask, whatever it is called"
    found, notices = masks_in(tmp_path, "labels")
    assert (list(found), notices) == (["a", "b"], ())


def test_two_masks_of_one_case_are_refused_and_probabilities_are_no_second_mask(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "b.nii.gz")
    np.savez(tmp_path / "a.npz", probabilities=np.zeros((2, 3)))
    found, (notice,) = masks_in(tmp_path, "predictions")
    assert {case: path.name for case, path in found.items()} == {"a": "a.nii.gz", "b": "b.nii.gz"}
    assert notice.startswith("1 .npz files of class probabilities")
    np.savez(tmp_path / "b.npz", mask=np.zeros((2, 3)))
    with pytest.raises(PairingError, match=r"case b has two files, b\.nii\.gz and b\.npz; keep one of them"):
        masks_in(tmp_path, "predictions")


def test_masks_of_other_cases_that_are_not_read_are_found(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "b.bmp", "images/a.nii.gz", "more/c.nii.gz", ".git/d.nii.gz")
    assert set(unread_masks(tmp_path, ["a"])) == {"b", "c"}, "images bear the names of masks that are read"
    assert unread_masks(tmp_path, ["a", "b", "c"]) == {}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "is empty; expected a folder of masks"),
        (("notes.txt",), r"no mask among its 1 entries \(such as notes\.txt\)"),
        (("fold/a.nii.gz",), "but in .*fold; hand over that folder"),
        (("one/a.nii.gz", "two/a.nii.gz"), r"but in 2 of its sub-folders \(one, two\); hand over one of them"),
    ],
)
def test_a_folder_without_masks_says_where_to_look(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(Exception, match=words):
        raise nothing_found(touch(tmp_path, *names), "labels")
    with pytest.raises(Exception, match="does not exist; expected"):
        raise nothing_found(tmp_path / "gone", "labels")


def test_tiff_and_npy_are_masks_unless_they_stand_beside_masks(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "b.tif")
    assert masks_in(tmp_path, "labels")[0] == {"a": tmp_path / "a.tif", "b": tmp_path / "b.tif"}
    touch(tmp_path, "a.nii.gz", "c.nii.gz")
    files, notices = masks_in(tmp_path, "labels")
    assert files == {"a": tmp_path / "a.nii.gz", "c": tmp_path / "c.nii.gz"}
    assert notices == (f"2 files (.tif, .tiff, .npy) beside masks of other formats in {tmp_path} are passed over",)
