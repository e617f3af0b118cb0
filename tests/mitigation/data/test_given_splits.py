"""Splits and folds of nnU-Net, of an earlier run, of a table or a column."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.mitigation.data.test_splits import random_table

from segfair.attributes.fit import AttributeTable
from segfair.errors import ConfigError, InputError, MetadataError
from segfair.mitigation.data.folds import ONLY_TRAINS, fold_splits, save_folds
from segfair.mitigation.data.given_splits import GivenFolds, GivenParts, column_folds, given_splits, read_folds
from segfair.mitigation.data.splits import Split


def table_of_cases(*case_ids: str) -> AttributeTable:
    return AttributeTable(case_ids, (), {})


def nnunet(tmp_path: Path, *folds: tuple[list[str], list[str]]) -> Path:
    path = tmp_path / "splits_final.json"
    path.write_text(json.dumps([{"train": train, "val": val} for train, val in folds]))
    return path


def test_nnunet_s_splits(tmp_path: Path):
    path = nnunet(tmp_path, (["c", "d", "x"], ["a", "B"]), (["a", "B", "x"], ["c", "d"]))
    found = read_folds(path, ["a", "b", "c", "d", "x"])
    assert dict(found.of) == {"a": "0", "b": "0", "c": "1", "d": "1", "x": ONLY_TRAINS}
    assert found.notices == ()
    splits = fold_splits(
        table_of_cases("a", "b", "c", "d", "x"), n_folds=2, seed=0, validation_share=None, given=found.of
    )
    assert [(split.train, split.test) for split in splits] == [
        (("c", "d", "x"), ("a", "b")),
        (("a", "b", "x"), ("c", "d")),
    ]


def test_what_nnunet_s_splits_do_not_say_is_told(tmp_path: Path):
    path = nnunet(tmp_path, (["c"], ["a", "b"]), (["a", "b"], ["c", "d"]))
    found = read_folds(path, ["a", "b", "c", "e"])
    assert dict(found.of) == {"a": "0", "b": "0", "c": "1"}
    spared, unknown, unnamed = found.notices
    assert "fold 0 names some cases of other folds neither for training nor for testing" in spared
    assert "1 of its 4 ids are of no case that can be used: d" in unknown
    assert "names no fold for 1 cases, which are left out: e" in unnamed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ('[{"train": ["a"]}]', "expected nnU-Net's splits"),
        ("[3]", "expected nnU-Net's splits"),
        ('[{"train": ["a", "b"], "val": ["a"]}]', "fold 0 trains on 1 of the cases that it tests: a"),
        ('[{"train": ["b"], "val": ["a"]}, {"train": ["b"], "val": ["a"]}]', "case a is tested by folds 0 and 1"),
        (
            '[{"train": ["x"], "val": ["y"]}, {"train": ["y"], "val": ["x"]}]',
            "none of its 2 ids .* folds of other data",
        ),
        ('{"format": 1, "train": ["a"]}', "holds one split and no folds"),
    ],
)
def test_json_that_is_no_folds(tmp_path: Path, text, message):
    path = tmp_path / "folds.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_folds(path, ["a", "b"])
    with pytest.raises(InputError, match="no such file"):
        read_folds(tmp_path / "absent.json", ["a", "b"])


def test_folds_of_an_earlier_run(tmp_path: Path):
    table = random_table(24, 5)
    earlier = fold_splits(table, n_folds=3, seed=1, validation_share=0.2, train_only=table.case_ids[:3])
    save_folds(earlier, tmp_path / "splits.json")
    found = read_folds(tmp_path / "splits.json", table.case_ids)
    assert not found.notices
    again = fold_splits(table, n_folds=3, seed=99, validation_share=None, given=found.of)
    assert [split.test for split in again] == [split.test for split in earlier]
    assert all(set(table.case_ids[:3]) <= set(split.train) for split in again)


def test_a_table_of_folds(tmp_path: Path):
    path = tmp_path / "folds.csv"
    path.write_text("image,Fold,age\np01,1,40\np02,2,50\np03,1,60\np04,,70\n")
    found = read_folds(path, ["p01", "p02", "p03", "p04"])
    assert dict(found.of) == {"p01": "1", "p02": "2", "p03": "1"}
    assert "names no fold for 1 cases, which are left out: p04" in found.notices[-1]
    path.write_text("image,part\np01,1\np02,2\n")
    with pytest.raises(MetadataError, match="no column fold; columns are image, part"):
        read_folds(path, ["p01", "p02"])
    path.write_text("image,fold\nq1,1\nq2,2\n")
    with pytest.raises(MetadataError, match=r"folds\.csv"):
        read_folds(path, ["p01", "p02"])
    path.write_text("image,fold\np01,1\np01,2\np02,2\n")
    with pytest.raises(MetadataError, match="fold differs between the rows of one case"):
        read_folds(path, ["p01", "p02"])


def test_a_column_of_folds():
    found = column_folds({"a": 1.0, "b": 2, "c": "x y", "d": None, "e": float("nan")}, name="part")
    assert dict(found.of) == {"a": "1", "b": "2", "c": "x y"}
    assert found.notices == ("column part: names no fold for 2 cases, which are left out: d, e",)
    assert column_folds({"a": "k1"}).notices == ()


CASES = ["a", "b", "c", "d"]


def test_a_name_means_a_column_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fold").write_text("a file of the same name")
    folds = given_splits("fold", {"fold": {"a": 1, "b": 1, "c": 2, "d": 2}}, CASES)
    assert isinstance(folds, GivenFolds)
    assert dict(folds.of) == {"a": "1", "b": "1", "c": "2", "d": "2"}
    parts = given_splits("set", {"set": {"a": "Train", "b": "val", "c": "testing", "d": None}}, CASES)
    assert isinstance(parts, GivenParts)
    assert dict(parts.of) == {"a": "train", "b": "validation", "c": "test"}
    assert parts.notices == ("column set: 1 cases are in no part, and left out: d",)


def test_one_split_of_a_run_or_of_a_table(tmp_path: Path):
    Split(("a",), ("b",), ("c", "d"), "by hand", 0).save(tmp_path / "splits.json")
    found = given_splits(str(tmp_path / "splits.json"), {}, CASES)
    assert isinstance(found, GivenParts)
    assert dict(found.of) == {"a": "train", "b": "validation", "c": "test", "d": "test"}
    (tmp_path / "split.csv").write_text("case,Split\na,train\nb,train\nc,test\nd,\n")
    found = given_splits(str(tmp_path / "split.csv"), {}, CASES)
    assert isinstance(found, GivenParts)
    assert dict(found.of) == {"a": "train", "b": "train", "c": "test"}
    path = nnunet(tmp_path, (["a", "b"], ["c", "d"]), (["c", "d"], ["a", "b"]))
    assert isinstance(given_splits(str(path), {}, CASES), GivenFolds)


def test_what_is_neither_split_nor_folds_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"--splits site: neither a file nor a column of the metadata \(age\)"):
        given_splits("site", {"age": dict.fromkeys(CASES, 1)}, CASES)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match=r"broken\.json: not JSON"):
        given_splits(str(tmp_path / "broken.json"), {}, CASES)
    (tmp_path / "split.csv").write_text("case,split\na,train\nb,holdout\nc,test\nd,test\n")
    with pytest.raises(InputError, match="case b is in 'holdout'; expected one of train, training, val"):
        given_splits(str(tmp_path / "split.csv"), {}, CASES)
