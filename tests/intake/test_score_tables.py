"""Scores that exist already -> cohort and scores."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from tests.intake.written import metrics, scores

from segfair.errors import ConfigError, MetadataError, PairingError
from segfair.intake.cohorts import load_score_cohort
from segfair.intake.score_tables import default_outcome
from segfair.protocol.rules import load_protocol

DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")


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
            r"no column of case ids that meta.csv has, too; .* case \(X1, X2\)",
        ),
        ("case,note,dsc\nC01,a,0.1\nC01,b,0.2\nC02,a,0.3\nC03,a,0.4\n", "1 of 3 cases .* contradict .* one row a case"),
        ("case,note\nC01,a\nC02,b\n", "no column of numbers that are scores"),
        ("case,dsc\nC01,0.5\nC02,93\nC03,0.7\n", "dsc is 93 for C02, and by its name lies between 0 and 1"),
        ("case,dsc_core\nC01,50.1\nC02,193\n", "dsc_core is 193 for C02"),
    ],
)
def test_unusable_scores(tmp_path: Path, metadata: Path, text: str, message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        load_score_cohort(scores(tmp_path, text), metadata)


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


def test_files_and_row_numbers(tmp_path: Path, metadata: Path) -> None:
    file = scores(tmp_path, ",file,dsc\n0,/data/C02.nii.gz,0.2\n1,/data/C01.nii.gz,0.1\n2,/data/C01.nii.gz,0.1\n")
    cohort, table = load_score_cohort(file, metadata)
    assert cohort.ids == ("C01", "C02")
    assert table.names == ("dsc",)
    assert table.column("dsc") == [0.1, 0.2]
    assert any("whose row repeats without a difference: 1 (C01)" in text for text in cohort.notices)


def test_tables_of_monai_and_panoptica(tmp_path: Path, metadata: Path) -> None:
    monai = tmp_path / "mean_dice_raw.csv"
    monai.write_text("filename\tclass0\tclass1\tmean\n/p/C01.nii.gz\t0.8\t0.6\t0.7\nC02.nii.gz\tnan\t0.4\t0.4\n")
    _, table = load_score_cohort(monai, metadata)
    assert table.names == ("dsc", "dsc_class0", "dsc_class1")
    assert table.column("dsc") == [0.7, 0.4]
    assert {metric.better for metric in table.metrics} == {"higher"}
    panoptica = tmp_path / "results.tsv"
    panoptica.write_text(
        "subject_name\tungrouped-tp\tungrouped-sq_dsc\tungrouped-sq_assd\tungrouped-global_bin_dsc\n"
        "C01\t1\t0.85\t0.84\t0.8\nC02\t1\t1.0\t0.0\t0.6\n"
    )
    _, table = load_score_cohort(panoptica, metadata)
    assert table.column("dsc") == [0.8, 0.6]
    assert {metric.name: metric.better for metric in table.metrics} == {
        "ungrouped-tp": "neither",
        "ungrouped-sq_dsc": "higher",
        "ungrouped-sq_assd": "lower",
        "dsc": "higher",
    }


def test_folds_of_a_results_folder(tmp_path: Path, metadata: Path) -> None:
    for fold, cases in (("0", ("C01", "C02")), ("1", ("C03",))):
        folder = tmp_path / "results" / f"fold_{fold}" / "validation"
        folder.mkdir(parents=True)
        entries = [{"reference_file": f"{case}.nii.gz", "metrics": {"1": metrics(0.5, 7, 3)}} for case in cases]
        (folder / "summary.json").write_text(json.dumps({"metric_per_case": entries}))
    cohort, table = load_score_cohort(tmp_path / "results", metadata)
    assert cohort.ids == table.cases == ("C01", "C02", "C03")
    assert cohort.columns == ("age", "sex", "fold")
    assert cohort.column("fold") == [0, 0, 1]
    assert any("summaries of fold 0, 1" in text for text in cohort.notices)
    with pytest.raises(MetadataError, match="is a folder without nnU-Net's"):
        load_score_cohort(tmp_path, metadata)


def test_a_summary_of_the_first_version(tmp_path: Path, metadata: Path) -> None:
    both_empty = {"Dice": math.nan, "Total Positives Test": 0, "Total Positives Reference": 0}
    results = [
        {"0": {"Dice": 0.99}, "1": {"Dice": 0.5, "Jaccard": 0.4, "Hausdorff Distance 95": 3}, "reference": "/r/C01.nii.gz"},
        {"1": both_empty, "reference": "/r/C02.nii.gz", "test": "/p/C02.nii.gz"},
    ]  # fmt: skip
    (tmp_path / "summary.json").write_text(json.dumps({"results": {"all": results, "mean": {}}}))
    _, table = load_score_cohort(tmp_path / "summary.json", metadata, protocol=DEFAULT)
    assert table.names == ("dsc", "iou", "hd95_mm")
    assert table.column("dsc") == [0.5, 1.0]
    assert table.column("hd95_mm") == [3, None]
    assert table.scores[1].facts == {"label_voxels": 0, "prediction_voxels": 0}


def test_the_size_of_a_tumour_in_one_table_is_an_attribute(tmp_path: Path) -> None:
    file = scores(tmp_path, "case,tumor_size,Dice\nC01,3,0.5\nC02,4,0.75\n")
    cohort, table = load_score_cohort(file, file)
    assert table.names == ("dsc",)
    assert cohort.columns == ("tumor_size",)


def test_paths_to_files_of_one_name(tmp_path: Path, metadata: Path) -> None:
    file = scores(tmp_path, "prediction,Dice\n/out/C01/seg.nii.gz,0.5\n/out/C02/seg.nii.gz,0.7\n")
    cohort, table = load_score_cohort(file, metadata)
    assert cohort.ids == ("C01", "C02")
    assert table.column("dsc") == [0.5, 0.7]
    assert any("the folders are the ids" in notice for notice in cohort.notices)


def test_monais_means_come_first_and_its_summaries_are_no_scores_of_cases(tmp_path: Path, metadata: Path) -> None:
    path = tmp_path / "hausdorff_distance_raw.csv"
    path.write_text("filename,class0,class1,mean\n/x/C01.nii.gz,2,4,3\n/x/C02.nii.gz,6,8,7\n")
    _, table = load_score_cohort(path, metadata)
    assert default_outcome(table) == "hausdorff_distance"
    assert table.column("hausdorff_distance") == [3, 7]
    path = tmp_path / "mean_dice_summary.csv"
    path.write_text("class,mean,median\nclass0,0.8,0.8\nclass1,0.7,0.7\n")
    with pytest.raises(MetadataError, match=r"hand over mean_dice_raw\.csv"):
        load_score_cohort(path, metadata)
