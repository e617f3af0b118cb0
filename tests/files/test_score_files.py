"""Scores that exist already: nnU-Net's summary.json, or a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segfair.errors import MetadataError
from segfair.files.score_files import read_scores


def metrics(tp: int, fp: int, fn: int) -> dict[str, float]:
    """As nnU-Net counts and divides them."""
    total = tp + fp + fn
    return {
        "Dice": 2 * tp / (2 * tp + fp + fn) if total else float("nan"),
        "IoU": tp / total if total else float("nan"),
        "TP": tp,
        "FP": fp,
        "FN": fn,
        "TN": 1000 - total,
        "n_pred": tp + fp,
        "n_ref": tp + fn,
    }


def summary(path: Path, by_case: dict[str, dict[str, dict[str, float]]], folder: str = "/data/labelsTr/") -> Path:
    entries = [
        {"reference_file": f"{folder}{case}.nii.gz", "prediction_file": f"/out/{case}.nii.gz", "metrics": by_label}
        for case, by_label in by_case.items()
    ]
    path.write_text(json.dumps({"metric_per_case": entries, "mean": {}, "foreground_mean": {}}))
    return path


def test_regions_and_their_mean(tmp_path: Path) -> None:
    file = read_scores(
        summary(
            tmp_path / "summary.json",
            {
                "b": {"(1, 2, 3)": metrics(8, 2, 2), "3": metrics(1, 1, 2)},
                "a": {"(1, 2, 3)": metrics(5, 0, 5), "3": metrics(0, 0, 0)},
            },
        )
    )
    assert file.id_column == "case"
    assert file.table.column("case") == ["b", "a"]
    assert file.scores == ("dsc", "iou", "dsc_1+2+3", "dsc_3", "iou_1+2+3", "iou_3")
    assert file.table.column("dsc_1+2+3") == pytest.approx([0.8, 2 / 3])
    assert file.table.column("dsc_3") == [0.4, None]
    assert file.table.column("dsc") == [pytest.approx(0.6), None]
    assert file.table.column("iou_1+2+3") == pytest.approx([8 / 12, 0.5])
    assert file.mean_of == {"dsc": ("dsc_1+2+3", "dsc_3"), "iou": ("iou_1+2+3", "iou_3")}
    assert file.both_empty == {"dsc_3": ("a",), "iou_3": ("a",)}
    assert file.table.column("n_ref_3") == [3, 0]
    assert file.table.column("fn_1+2+3") == [2, 5]


@pytest.mark.parametrize("key", ["1", "(1,)", "(1)"])
def test_one_label_is_not_scored_twice(tmp_path: Path, key: str) -> None:
    file = read_scores(summary(tmp_path / "s.json", {"a": {"0": metrics(900, 1, 1), key: metrics(1, 0, 1)}}))
    assert file.scores == ("dsc", "iou")
    assert file.mean_of == {}
    assert file.table.column("dsc") == [pytest.approx(2 / 3)]
    assert file.table.column("tp") == [1]


def test_a_label_that_is_nowhere_is_undefined_and_not_empty(tmp_path: Path) -> None:
    """Without counts nobody can tell both empty from a failure of the evaluation."""
    file = read_scores(summary(tmp_path / "s.json", {"a": {"1": {"Dice": float("nan")}}, "b": {"1": metrics(0, 3, 0)}}))
    assert file.table.column("dsc") == [None, 0.0]
    assert file.both_empty == {}


def test_windows_paths_and_odd_endings(tmp_path: Path) -> None:
    file = read_scores(summary(tmp_path / "s.json", {"P.01": {"1": metrics(1, 0, 0)}}, folder="C:\\data\\labelsTr\\"))
    assert file.table.column("case") == ["P.01"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "names no case"),
        ({}, "names no case"),
        ([{"metrics": {"1": {}}}], "entry 1 of metric_per_case is not nnU-Net"),
        ([{"reference_file": "a.nii.gz", "metrics": {"one": 5}}], "entry 1"),
        ([{"reference_file": "a.nii.gz", "metrics": []}], "entry 1"),
        ([{"reference_file": "a.nii.gz", "metrics": {"0": {"Dice": 1}}}], "no label but the background"),
        ([{"reference_file": "a.nii.gz", "metrics": {"1": {"Dice": 1}}}] * 2, "case a is in it twice"),
    ],
)
def test_broken_summaries(tmp_path: Path, entries: object, message: str) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"metric_per_case": entries}))
    with pytest.raises(MetadataError, match=message):
        read_scores(tmp_path / "summary.json")


def test_tables_are_handed_on(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("case,dsc\n001,0.5\n")
    (tmp_path / "scores.json").write_text('[{"case": "001", "dsc": 0.5}]')
    for name in ("scores.csv", "scores.json"):
        file = read_scores(tmp_path / name)
        assert (file.id_column, file.scores) == ("", ())
        assert file.table.column("case") == ["001"]
        assert file.table.column("dsc") == [0.5]
    with pytest.raises(MetadataError, match="does not exist"):
        read_scores(tmp_path / "gone.json")
