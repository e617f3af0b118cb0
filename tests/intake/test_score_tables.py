"""Scores that exist already -> cohort and scores."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from segfair.errors import ConfigError, MetadataError, PairingError
from segfair.intake.cohorts import load_score_cohort
from segfair.protocol import load_protocol

DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    path = tmp_path / "meta.csv"
    path.write_text("scan,age,sex\nC03,50,f\nC01,60,m\nC02,,f\nC04,70,m\n")
    return path


def scores(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    return path


def test_a_table_of_scores(tmp_path: Path, metadata: Path) -> None:
    file = scores(
        tmp_path,
        "note,dsc,case,hd95_mm,my_score,failed\n"
        "x,0.5,C02,inf,1,True\n"
        "x,0.25,C01,3.5,2,False\n"
        "y,,C03,2,,True\n"
        "y,1,C09,2,3,True\n",
    )
    cohort, table = load_score_cohort(file, metadata, lower_is_better=["my_score"])
    assert cohort.ids == table.cases == ("C01", "C02", "C03")
    assert cohort.columns == ("age", "sex")
    assert cohort.column("age") == [60, None, 50]
    assert all(case.label is None and case.prediction is None for case in cohort)
    assert cohort.id_column == "scan"
    assert cohort.excluded == {"C09": "no row in meta.csv"}
    assert cohort.inputs == {"scores": file, "metadata": metadata}
    assert table.names == ("dsc", "hd95_mm", "my_score")
    assert [table.column(name) for name in table.names] == [[0.25, 0.5, None], [3.5, None, 2], [2, 1, None]]
    assert [metric.better for metric in table.metrics] == ["higher", "lower", "lower"]
    assert table.metrics[1].unit == "mm"
    assert any("hd95_mm: infinite values, left undefined: 1" in notice for notice in cohort.notices)
    assert any("column case" in notice for notice in cohort.notices)


def test_the_direction_that_was_assumed_is_said(tmp_path: Path, metadata: Path) -> None:
    cohort, table = load_score_cohort(scores(tmp_path, "case,error,dsc_core\nC01,3,0.5\nC02,4,0.5\n"), metadata)
    assert [metric.better for metric in table.metrics] == ["higher", "higher"]
    assert any("higher is taken as better for error" in notice for notice in cohort.notices)
    yes_or_no = scores(tmp_path, "case,lesion_missed,failed,revised\nC01,True,False,False\nC02,False,True,True\n")
    _, table = load_score_cohort(yes_or_no, metadata, lower_is_better=["failed"])
    assert {name: table.column(name) for name in table.names} == {"lesion_missed": [1, 0], "failed": [0, 1]}
    with pytest.raises(ConfigError, match=r"--lower-is-better eror: no column of scores; did you mean error\?"):
        load_score_cohort(scores(tmp_path, "case,error\nC01,3\nC02,4\n"), metadata, lower_is_better=["eror"])


def test_scores_and_attributes_in_one_table(tmp_path: Path) -> None:
    file = scores(tmp_path, "case,age,dsc,time\nC01,50,0.5,3\nC02,60,0.6,4\n")
    cohort, table = load_score_cohort(file, file, lower_is_better=["time"])
    assert table.names == ("dsc", "time")
    assert cohort.columns == ("age",)


def test_an_audits_own_cases_can_be_audited_again(tmp_path: Path, metadata: Path) -> None:
    file = scores(tmp_path, "case,dsc,normhd,penalised,sex\nC01,0,1,no prediction,m\nC02,0.5,0.1,,f\n")
    cohort, table = load_score_cohort(file, metadata)
    assert table.penalised == {"C01": "no prediction"}
    assert table.names == ("dsc", "normhd")
    assert cohort.columns == ("age", "sex")


def test_which_cases_count(tmp_path: Path, metadata: Path) -> None:
    file = scores(tmp_path, "case,dsc\nC01,0.1\nC02,0.2\nC03,0.3\n")
    (tmp_path / "list.txt").write_text("C03\nC01\nC77\n")
    cohort, table = load_score_cohort(file, metadata, cases=str(tmp_path / "list.txt"))
    assert (cohort.ids, table.column("dsc")) == (("C01", "C03"), [0.1, 0.3])
    assert any("without scores: 1 (C77)" in notice for notice in cohort.notices)
    cohort, table = load_score_cohort(file, metadata, where="sex == 'f'", subject_column="sex")
    assert (cohort.ids, table.column("dsc")) == (("C02", "C03"), [0.2, 0.3])
    with pytest.raises(ConfigError, match="no column sexx"):
        load_score_cohort(file, metadata, where="sexx == 'f'")
    (tmp_path / "list.txt").write_text("C77\n")
    with pytest.raises(PairingError, match="has scores"):
        load_score_cohort(file, metadata, cases=str(tmp_path / "list.txt"))


def test_ids_of_digits_stay_text(tmp_path: Path) -> None:
    file = scores(tmp_path, "case,dsc\n0007,0.1\n0012,0.2\n")
    cohort, table = load_score_cohort(file, pd.DataFrame({"id": [12, 7], "age": [1, 2]}))
    assert (cohort.ids, cohort.column("age"), table.column("dsc")) == (("0007", "0012"), [2, 1], [0.1, 0.2])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "case,dsc\nX1,0.1\nX2,0.2\n",
            r"no column with one value a case that meta.csv has, too; .* case \(X1, X2\)",
        ),
        ("case,label,dsc\nC01,1,0.1\nC01,2,0.2\n", "one row a case"),
        ("case,note\nC01,a\nC02,b\n", "no column of numbers that are scores"),
        ("case,dsc\nC01,50.1\nC02,93\n", "goes up to 93, and a DSC lies between 0 and 1; is it in percent"),
        ("case,dsc_core\nC01,50.1\nC02,93\n", "in percent"),
    ],
)
def test_unusable_scores(tmp_path: Path, metadata: Path, text: str, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        load_score_cohort(scores(tmp_path, text), metadata)


def metrics(dice: float, n_ref: int, n_pred: int) -> dict[str, float]:
    return {"Dice": dice, "IoU": dice / 2, "n_ref": n_ref, "n_pred": n_pred}


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    nan = math.nan
    by_case = {
        "C02": {"(1, 2)": metrics(0.8, 10, 9), "2": metrics(nan, 0, 0)},
        "C01": {"(1, 2)": metrics(nan, 0, 0), "2": metrics(nan, 0, 0)},
        "C03": {"(1, 2)": metrics(0.5, 5, 5), "2": metrics(0.25, 2, 2)},
    }
    entries = [
        {"reference_file": f"/l/{case}.nii.gz", "prediction_file": f"/p/{case}.nii.gz", "metrics": by_label}
        for case, by_label in by_case.items()
    ]
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"metric_per_case": entries, "mean": {}}))
    return path


def test_a_summary_under_a_protocol(summary: Path, metadata: Path) -> None:
    cohort, table = load_score_cohort(summary, metadata, protocol=DEFAULT)
    assert table.names == ("dsc", "iou", "dsc_1+2", "dsc_2", "iou_1+2", "iou_2")
    assert table.column("dsc_1+2") == [1.0, 0.8, 0.5]
    assert table.column("dsc_2") == [1.0, 1.0, 0.25]
    assert table.column("dsc") == pytest.approx([1.0, 0.9, 0.375])
    assert table.column("iou") == pytest.approx([1.0, 0.7, 0.1875])
    assert table.scores[0].facts == {"label_voxels": 0, "prediction_voxels": 0}
    assert table.scores[1].facts == {}, "nested regions share voxels"
    assert any("a DSC of 1: 2 (C01, C02)" in notice for notice in cohort.notices)
    _, table = load_score_cohort(summary, metadata, protocol=MAMA_MIA)
    assert table.column("dsc") == pytest.approx([0.0, 0.4, 0.375])


def test_a_summary_without_a_protocol_stays_undefined(summary: Path, metadata: Path) -> None:
    cohort, table = load_score_cohort(summary, metadata)
    assert table.column("dsc") == [None, None, pytest.approx(0.375)]
    assert any("left undefined: 2 (C01, C02)" in notice for notice in cohort.notices)


def test_one_label_has_its_voxels(tmp_path: Path, metadata: Path) -> None:
    entries = [{"reference_file": "C01.nii.gz", "metrics": {"1": metrics(0.5, 7, 3)}}]
    (tmp_path / "s.json").write_text(json.dumps({"metric_per_case": entries}))
    _, table = load_score_cohort(tmp_path / "s.json", metadata)
    assert table.scores[0].facts == {"label_voxels": 7, "prediction_voxels": 3}
    assert table.names == ("dsc", "iou")
