"""Whose labels are whose, and what raters have in common as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segfair.audit.raters.labels import put_together, raters_of
from segfair.cases import Case, Cohort
from segfair.errors import PairingError
from segfair.files.images.masks import read_mask, write_mask
from segfair.protocol.rules import load_protocol

PROTOCOL = load_protocol("default")


def labels(folder: Path, **lines: list[int]) -> Path:
    """Masks of one row of voxels."""
    for case, line in lines.items():
        write_mask(folder / f"{case}.nii.gz", np.array(line, np.uint8).reshape(-1, 1, 1), affine=np.eye(4))
    return folder


def cohort(folder: Path) -> Cohort:
    files = sorted(folder.iterdir())
    return Cohort(tuple(Case(path.name.split(".")[0], path) for path in files), inputs={"labels": folder})


@pytest.fixture
def rated(tmp_path: Path) -> tuple[Cohort, list[Path]]:
    first = labels(tmp_path / "anna", a=[1, 1, 0, 0], b=[1, 0, 0, 0])
    return cohort(first), [
        labels(tmp_path / "bert", a=[1, 0, 1, 0], b=[0, 0, 0, 1]),
        labels(tmp_path / "cleo", a=[1, 1, 0, 1]),
    ]


def test_raters_are_called_as_their_folders(rated) -> None:
    cases, folders = rated
    files = raters_of(cases, folders)
    assert list(files) == ["anna", "bert", "cleo"]
    assert list(files["cleo"].files) == ["a"], "a rater need not have labelled every case"


def test_a_rater_without_a_case_and_the_same_rater_twice_are_refused(rated, tmp_path: Path) -> None:
    cases, folders = rated
    with pytest.raises(PairingError, match="none of its 1 masks belongs to a case"):
        raters_of(cases, [labels(tmp_path / "other", z=[1, 0])])
    with pytest.raises(PairingError, match=r"raters bert and .*/bert: have the same files"):
        raters_of(cases, [folders[0], folders[0]])


def test_raters_of_a_table_come_before_those_of_folders(rated) -> None:
    cases, folders = rated
    listed = {"label2": {"a": folders[0] / "a.nii.gz", "unknown": folders[0] / "z.nii.gz"}}
    files = raters_of(Cohort(cases.cases, inputs=cases.inputs, raters=listed), folders[1:])
    assert list(files) == ["anna", "label2", "cleo"]
    assert list(files["label2"].files) == ["a"]


def test_a_majority_is_written_case_by_case_and_ties_are_counted(rated, tmp_path: Path) -> None:
    cases, folders = rated
    found = put_together(cases, raters_of(cases, folders), PROTOCOL, tmp_path / "made")
    majority = {case.id: read_mask(case.label).array.ravel().tolist() for case in found.common["majority"]}
    assert majority == {"a": [1, 1, 0, 0], "b": [0, 0, 0, 0]}
    assert found.tied == {"a": 0, "b": 2}
    assert found.n_raters == {"a": 3, "b": 2}
    assert [case.id for case in found.raters["cleo"]] == ["a"]


def test_a_label_that_cannot_be_used_costs_its_rater_the_case(rated, tmp_path: Path) -> None:
    cases, folders = rated
    (folders[1] / "a.nii.gz").write_bytes(b"no mask")
    labels(folders[0], b=[1, 0])
    found = put_together(cases, raters_of(cases, folders), PROTOCOL, tmp_path / "made")
    assert found.n_raters == {"a": 2, "b": 1}
    assert "another grid than the first rater's" in found.left_out["bert"]["b"]
    assert "a" in found.left_out["cleo"]
    assert found.raters["cleo"].cases == ()
    assert read_mask(found.common["staple"].cases[1].label).array.ravel().tolist() == [1, 0, 0, 0]


def test_a_case_of_which_no_label_can_be_used_is_excluded_with_the_reason(tmp_path: Path) -> None:
    first = labels(tmp_path / "anna", a=[1], b=[1])
    second = labels(tmp_path / "bert", a=[1])
    (first / "b.nii.gz").write_bytes(b"")
    cases = cohort(first)
    found = put_together(cases, raters_of(cases, [second]), PROTOCOL, tmp_path / "made")
    assert found.common["majority"].ids == ("a",)
    assert found.common["majority"].excluded == {"b": "no rater's label can be used"}


def test_only_what_counts_is_put_together_and_what_one_ignores_is_ignored(tmp_path: Path) -> None:
    first, second = labels(tmp_path / "a", x=[1, 2, 5, 3]), labels(tmp_path / "b", x=[1, 3, 2, 0])
    cases = cohort(first)
    files = raters_of(cases, [second])
    merged = PROTOCOL.replace(label=PROTOCOL.label.__class__((2, 3), "overlap"), ignore_label=5)
    found = put_together(cases, files, merged, tmp_path / "made")
    assert read_mask(found.common["majority"].cases[0].label).array.ravel().tolist() == [0, 2, 5, 0]
    regions = PROTOCOL.replace(regions={"core": (2,), "rim": (1, 3)})
    found = put_together(cases, files, regions, tmp_path / "regions")
    assert read_mask(found.common["majority"].cases[0].label).array.ravel().tolist() == [1, 0, 0, 0]
