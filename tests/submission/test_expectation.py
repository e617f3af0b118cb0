"""What is expected of a submission: from images to a file and back, and what no file can mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from segfair.errors import ConfigError, InputError
from segfair.submission import ExpectedCase, expect_like, read_expectation, write_expectation

AFFINE = np.diag([0.5, 0.5, 3.0, 1.0])


def image(path: Path, shape: tuple[int, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), AFFINE), path)


def test_names_and_grids_come_from_images_and_nothing_else(tmp_path: Path) -> None:
    """Channels are of one case, and the first tells the grid; no voxel of an image is in the file."""
    for case, shape in (("A", (4, 5, 6)), ("B", (7, 5, 6))):
        for channel in range(2):
            image(tmp_path / "images" / f"{case}_{channel:04d}.nii.gz", shape)
    found = expect_like(tmp_path / "images", values=(1, 2), suffixes=(".nii.gz",), max_bytes=1000)
    assert found.cases == {
        "A": ExpectedCase((4, 5, 6), tuple(map(tuple, AFFINE.tolist()))),
        "B": ExpectedCase((7, 5, 6), tuple(map(tuple, AFFINE.tolist()))),
    }
    write_expectation(found, tmp_path / "expect.json")
    assert read_expectation(tmp_path / "expect.json") == found
    assert json.loads((tmp_path / "expect.json").read_text("utf-8"))["values"] == [1, 2]


def test_images_without_a_size_are_expected_by_shape(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    np.save(tmp_path / "images" / "A.npy", np.zeros((8, 9)))
    found = expect_like(tmp_path / "images")
    assert found.cases == {"A": ExpectedCase((8, 9), None)}
    assert not found.cases["A"].grid().has_size


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "format"),
        ({"cases": {}}, "cases"),
        ({"cases": {"A": {}}}, "cases.A: shape is missing"),
        ({"cases": {"A": {"shape": [4]}}}, "cases.A.shape"),
        ({"cases": {"A": {"shape": [4, 0]}}}, "at least 1"),
        ({"cases": {"A": {"shape": [4, 4, 4], "affine": [[0, 0, 0, 0]] * 4}}}, "do not span a volume"),
        ({"cases": {"A": {"shape": [4, 4, 4], "affine": [[1, 2]] * 4}}}, "cases.A.affine"),
        ({"values": [0.5]}, "values"),
        ({"suffixes": [".bmp"]}, "suffixes"),
        ({"match": "roughly"}, "affine or shape"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"tolerance": -1}, "tolerance"),
        ({"labels": "x"}, "unknown key"),
    ],
)
def test_what_cannot_be_expected_is_told_by_its_place(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "expect.json"
    path.write_text(json.dumps({"format": 1, "cases": {"A": {"shape": [4, 4]}}} | change), "utf-8")
    with pytest.raises(ConfigError, match=r"expect\.json") as refused:
        read_expectation(path)
    assert says in str(refused.value)


def test_rules_that_cannot_be_meant(tmp_path: Path) -> None:
    image(tmp_path / "images" / "A.nii.gz", (4, 4, 4))
    with pytest.raises(ConfigError, match="no format of masks"):
        expect_like(tmp_path / "images", suffixes=(".bmp",))
    with pytest.raises(ConfigError, match="0 is the background"):
        expect_like(tmp_path / "images", values=(0, 1))
    with pytest.raises(InputError):
        expect_like(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a folder"):
        write_expectation(expect_like(tmp_path / "images"), tmp_path)
