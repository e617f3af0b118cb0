"""Which cases count, and the rows and folds that belong to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.intake.studies import Study, ids_of, masks, said, table

from segfair.attributes.fit import fit_attributes
from segfair.errors import ConfigError, InputError, PairingError
from segfair.intake.cohorts import load_cohort
from segfair.protocol.rules import load_protocol


def test_cases_by_list(tmp_path: Path) -> None:
    study = Study(tmp_path)
    (tmp_path / "list.txt").write_text("# mine\nP003\nP001\np002\nQ9\n")
    cohort = study.load(cases=str(tmp_path / "list.txt"))
    assert cohort.ids == ("P001", "P002", "P003")
    assert cohort.excluded == {}, "the others are neither scored nor penalised"
    assert said(cohort, "cases that count: 3 of 20")
    assert said(cohort, "ids in", "without labels: 1 (Q9)")
    (tmp_path / "list.txt").write_text("Q8\nQ9\n")
    with pytest.raises(PairingError, match=r"none of its 2 ids has labels; it names Q8, Q9, .* P000"):
        study.load(cases=str(tmp_path / "list.txt"))
    with pytest.raises(InputError, match="no-such-file"):
        study.load(cases="no-such-file.txt")


def test_cases_by_fold(tmp_path: Path) -> None:
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": ids_of(18), "val": ["P018", "P019"]}]))
    assert Study(tmp_path).load(cases=f"{tmp_path / 'splits_final.json'}:0").ids == ("P018", "P019")


def test_cases_by_condition(tmp_path: Path) -> None:
    study = Study(tmp_path)
    cohort = study.load(where='split == "test" and age < 45')
    assert cohort.ids == ("P001", "P003")
    assert said(cohort, "cases that count: 2 of 20", "split ==")
    assert study.load(where="id == 'P007'").ids == ("P007",)
    (tmp_path / "list.txt").write_text("P001\nP002\n")
    assert study.load(where='split == "test"', cases=str(tmp_path / "list.txt")).ids == ("P001",)
    with pytest.raises(ConfigError, match="no case fulfils it; split holds train, test"):
        study.load(where='split == "validation"')
    with pytest.raises(ConfigError, match="did you mean split"):
        study.load(where='splitt == "test"')


def test_a_case_without_a_row_fulfils_nothing(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, study.ids[:-2], age=range(18))
    cohort = study.load(where="age >= 0")
    assert len(cohort) == 18
    assert cohort.excluded == {}


def nnunet(root: Path, folds: dict[str, Sequence[str]]) -> Path:
    for fold, ids in folds.items():
        masks(root / f"fold_{fold}" / "validation", ids)
    return root


def test_folds_become_a_column(tmp_path: Path) -> None:
    study = Study(tmp_path)
    results = nnunet(tmp_path / "results", {"0": study.ids[:7], "1": study.ids[7:18]})
    cohort = load_cohort(results, study.labels, study.table)
    assert cohort.columns[-1] == "fold"
    assert cohort.column("fold") == [0] * 7 + [1] * 11 + [None] * 2
    assert load_cohort(results, study.labels, None).column("fold")[:8] == [0] * 7 + [1]
    assert load_cohort(results, study.labels, study.table, where="fold == 1").ids == tuple(study.ids[7:18])


def test_one_fold_is_no_attribute(tmp_path: Path) -> None:
    """Else a missing prediction would be a level of the attribute fold, and the worst one."""
    study = Study(tmp_path)
    results = nnunet(tmp_path / "results", {"all": study.ids[:18]})
    cohort = load_cohort(results, study.labels, study.table)
    assert cohort.column("fold") == ["all"] * 20
    assert "fold" in fit_attributes(cohort, protocol=load_protocol("default")).left_out


def test_a_fold_column_of_the_table_wins(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, study.ids, fold=["a", "b"] * 10)
    results = nnunet(tmp_path / "results", {"0": study.ids})
    cohort = load_cohort(results, study.labels, study.table)
    assert cohort.column("fold") == ["a", "b"] * 10
    assert said(cohort, "column fold of meta.csv is used")
