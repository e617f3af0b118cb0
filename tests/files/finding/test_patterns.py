"""Patterns: which files they name, of which case, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from segfair.errors import ConfigError, InputError, PairingError
from segfair.files.finding.patterns import find_by_pattern, is_pattern, split_pattern, with_pattern
from segfair.files.layouts import find_predictions


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    ("pattern", "names", "ids"),
    [
        ("{id}/pred_*.nii.gz", ["P1/pred_v1.nii.gz", "P2/pred_v2.nii.gz"], ["P1", "P2"]),
        ("{id}.nii.gz", ["P1.nii.gz"], ["P1"]),
        ("seg_{id}", ["seg_P1.nii.gz"], ["P1"]),
        ("*/{id}/{id}_seg.nii.gz", ["siteA/P1/P1_seg.nii.gz", "siteB/P2/P2_seg.nii.gz"], ["P1", "P2"]),
        ("**/{id}_seg.nii.gz", ["P0_seg.nii.gz", "a/P1_seg.nii.gz", "a/b/c/P2_seg.nii.gz"], ["P0", "P1", "P2"]),
        ("{id}_v[12].nii?gz", ["P1_v1.nii.gz", "P2_v2.nii.gz"], ["P1", "P2"]),
        ("{id}_v[!1].nii.gz", ["P2_v2.nii.gz"], ["P2"]),
        ("{id}_*.nii.gz", ["P_1_x.nii.gz"], ["P_1"]),
        ("a+b (c)/{id}.nii.gz", ["a+b (c)/P1.nii.gz"], ["P1"]),
    ],
)
def test_what_a_pattern_names(tmp_path: Path, pattern: str, names: list[str], ids: list[str]) -> None:
    make(tmp_path, *names)
    make(tmp_path, ".hidden/P9.nii.gz", "other/deep/notes.txt", "P1/pred_notes.txt", "P1_v1.json", "x/P1/P2_seg.nii.gz"
         if pattern.startswith("*/") else "x/y.txt")  # fmt: skip
    found = find_by_pattern(tmp_path / pattern, "predictions")
    assert list(found) == ids
    assert set(found.values()) == {tmp_path / name for name in names}


def test_two_files_of_a_case_are_both_named(tmp_path: Path) -> None:
    make(tmp_path, "P1/pred_a.nii.gz", "P1/pred_b.nii.gz")
    with pytest.raises(PairingError, match=r"case P1 fit \{id\}/pred_\*.nii.gz, P1/pred_a.nii.gz and P1/pred_b.nii.gz"):
        find_by_pattern(tmp_path / "{id}/pred_*.nii.gz", "predictions")


def test_nothing_that_fits_shows_what_was_tried_and_what_is_there(tmp_path: Path) -> None:
    make(tmp_path, *(f"P{number}/seg.nii.gz" for number in range(7)))
    with pytest.raises(InputError) as refused:
        find_by_pattern(tmp_path / "{id}/pred_*.nii.gz", "predictions")
    told = str(refused.value)
    assert f"looked for as {tmp_path}/*/pred_*.nii.gz" in told
    assert "the folder has 7 files: P0/seg.nii.gz, P1/seg.nii.gz" in told
    assert "and 2 more" in told
    with pytest.raises(InputError, match=r"gone: does not exist; expected a folder"):
        find_by_pattern(tmp_path / "gone" / "{id}.nii.gz", "labels")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: is empty; no mask fits"):
        find_by_pattern(tmp_path / "empty" / "{id}.nii.gz", "labels")


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("pred_*.nii.gz", r"write \{id\} where the case id stands"),
        ("{case}/seg.nii.gz", r"\{case\} is not known; \{id\} stands for the case id"),
        ("../{id}.nii.gz", r"leads out of"),
        ("/data/{id}.nii.gz", r"leads out of"),
    ],
)
def test_a_pattern_that_cannot_be_meant(pattern: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"--label-pattern .*{told}"):
        with_pattern("labels", pattern, option="--label-pattern")


def test_a_folder_is_a_folder_whatever_it_is_called(tmp_path: Path) -> None:
    odd = make(tmp_path / "{id}", "P1.nii.gz")
    assert not is_pattern(odd)
    assert list(find_predictions(odd).files) == ["P1"]
    assert with_pattern(odd, None) == odd
    assert split_pattern(Path("a/b/site_*/{id}/x.nii")) == (Path("a/b"), "site_*/{id}/x.nii")


def test_a_layout_by_a_pattern_takes_names_from_the_data_set(tmp_path: Path) -> None:
    make(tmp_path, "P1/seg.nii.gz")
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "tumour": 2}}')
    found = find_predictions(tmp_path / "{id}/seg.nii.gz")
    assert (found.kind, found.label_names, found.layout) == ("pattern", {"tumour": (2,)}, "by a pattern")
