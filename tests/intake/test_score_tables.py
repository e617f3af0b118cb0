"""Scores that exist already -> cohort and scores."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from segfair.errors import ConfigError, MetadataError, PairingError
from segfair.intake.cohorts import load_score_cohort
from segfair.intake.score_tables import default_outcome
from segfair.protocol.rules import load_protocol

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
    cohort, table = load_score_cohort(scores(tmp_path, "case,sharpness,dsc_core\nC01,3,0.5\nC02,4,0.5\n"), metadata)
    assert [metric.better for metric in table.metrics] == ["higher", "higher"]
    ((kind, text),) = cohort.alerts
    assert kind == "direction"
    assert text.startswith("Higher is taken as better for sharpness, for nothing says otherwise")
    told, _ = load_score_cohort(file := tmp_path / "scores.csv", metadata, higher_is_better=["sharpness"])
    assert not told.alerts
    _, table = load_score_cohort(file, metadata, lower_is_better=["sharpness"])
    assert [metric.better for metric in table.metrics] == ["lower", "higher"]
    with pytest.raises(ConfigError, match="one of them can hold"):
        load_score_cohort(file, metadata, lower_is_better=["sharpness"], higher_is_better=["sharpness"])
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


def test_names_of_others_and_per_cent(tmp_path: Path, metadata: Path) -> None:
    file = scores(tmp_path, "case,Dice (%),Hausdorff_95,RVD\nC01,50,3,0.1\nC02,93.5,4,-0.2\nC03,80,5,0\n")
    cohort, table = load_score_cohort(file, metadata)
    assert table.names == ("dsc", "Hausdorff_95", "RVD")
    assert table.column("dsc") == pytest.approx([0.5, 0.935, 0.8])
    assert [metric.better for metric in table.metrics] == ["higher", "lower", "signed"]
    assert any("Dice (%) is in per cent, up to 93.5, and is divided by 100" in text for text in cohort.notices)
    assert any("column Dice (%) is read as dsc" in text for text in cohort.notices)
    assert default_outcome(table) == "dsc"
    file = scores(tmp_path, "case,jaccard,dsc\nC01,50,0.5\nC02,70,0.6\n")
    assert load_score_cohort(file, metadata)[1].column("iou") == [0.5, 0.7]
    file = scores(tmp_path, "case,volume,RVD,HD95\nC01,50,0.5,2\nC02,70,-0.6,3\n")
    assert default_outcome(load_score_cohort(file, metadata)[1]) == "HD95"


def test_one_unreadable_cell_is_a_missing_value(tmp_path: Path, metadata: Path) -> None:
    file = scores(tmp_path, "case,dsc,hd95_mm\nC01,0.5,3\nC02,failed,4\nC03,-1,5\n")
    cohort, table = load_score_cohort(file, metadata)
    assert table.column("dsc") == [0.5, None, None]
    assert default_outcome(table) == "dsc"
    assert any("dsc: cells that are no numbers, left undefined: 1 (C02 (failed))" in text for text in cohort.notices)
    assert any("dsc: negative values, no shares, left undefined: 1 (C03 (-1))" in text for text in cohort.notices)


def test_a_row_a_case_and_label(tmp_path: Path, metadata: Path) -> None:
    text = "case,label,Dice\nC01,0,0.99\nC01,1,0.8\nC01,2,0.6\nC02,0,0.99\nC02,1,0.5\nC02,2,0.1\nC03,1,0.4\n"
    cohort, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert cohort.ids == ("C01", "C02", "C03")
    assert table.column("dsc") == pytest.approx([0.7, 0.3, None])
    assert table.column("dsc_1") == [0.8, 0.5, 0.4]
    assert table.column("dsc_2") == [0.6, 0.1, None]
    assert "dsc_0" not in table.names
    assert any("7 rows, one a case and label; scores are means over label 1, 2" in text for text in cohort.notices)


def test_a_row_a_case_and_fold(tmp_path: Path, metadata: Path) -> None:
    text = "case,fold,dsc,hd95_mm\nC01,0,0.8,3\nC01,1,0.6,5\nC02,0,0.5,1\nC02,1,0.1,1\nC03,0,0.3,2\n"
    cohort, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert table.names == ("dsc", "hd95_mm")
    assert table.column("dsc") == pytest.approx([0.7, 0.3, 0.3])
    assert any("several a case; scores are means over fold" in text for text in cohort.notices)


def test_a_row_a_case_and_metric(tmp_path: Path, metadata: Path) -> None:
    text = "case,metric,value\nC01,Dice,0.8\nC01,HD95,3\nC02,Dice,0.5\nC02,HD95,7\n"
    _, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert table.column("dsc") == [0.8, 0.5]
    assert table.column("HD95") == [3, 7]
    assert [metric.better for metric in table.metrics] == ["higher", "lower"]


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


def test_folds_and_sites_beside_the_scores_are_no_scores(tmp_path: Path, metadata: Path) -> None:
    text = "case,fold,site,n_slices,HD95\nC01,0,3,10,4\nC02,1,4,12,5\nC03,0,3,9,6\n"
    cohort, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert table.names == ("n_slices", "HD95")
    assert default_outcome(table) == "HD95"
    assert any("fold, site: no score by the name" in notice for notice in cohort.notices)
    _, table = load_score_cohort(scores(tmp_path, text), metadata, higher_is_better=["site"])
    assert "site" in table.names


def test_the_size_of_a_tumour_in_one_table_is_an_attribute(tmp_path: Path) -> None:
    file = scores(tmp_path, "case,tumor_size,Dice\nC01,3,0.5\nC02,4,0.75\n")
    cohort, table = load_score_cohort(file, file)
    assert table.names == ("dsc",)
    assert cohort.columns == ("tumor_size",)


def test_a_dice_without_numbers_does_not_hand_over_to_the_next_score(tmp_path: Path, metadata: Path) -> None:
    file = scores(tmp_path, "case,Dice,HD95\nC01,failed,3\nC02,failed,4\n")
    with pytest.raises(MetadataError, match="column Dice is a score by its name and holds no number, but 'failed'"):
        load_score_cohort(file, metadata)


def test_shares_and_per_cent_in_one_column(tmp_path: Path, metadata: Path) -> None:
    text = "case,DSC\nC01,0.9\nC02,0.8\nC03,85\nC04,95\n"
    with pytest.raises(MetadataError, match="DSC holds shares and per cent: 2 of 4"):
        load_score_cohort(
            scores(
                tmp_path, text.replace("C03,85", "C03,85").replace("C02,0.8", "C02,80").replace("C04,95", "C04,0.95")
            ),
            metadata,
        )
    cohort, table = load_score_cohort(scores(tmp_path, text.replace("DSC", "DSC (%)")), metadata)
    assert table.column("dsc") == pytest.approx([0.009, 0.008, 0.85, 0.95])
    assert any("values below 1 per cent: 2" in notice for notice in cohort.notices)


def test_a_negative_distance_is_said_to_be_signed(tmp_path: Path, metadata: Path) -> None:
    cohort, table = load_score_cohort(scores(tmp_path, "case,ASSD\nC01,-2.5\nC02,1.5\n"), metadata)
    assert table.metrics[0].better == "signed"
    assert any("ASSD has negative values" in notice for notice in cohort.notices)


def test_a_row_a_case_and_organ_with_a_cell_that_is_no_number(tmp_path: Path, metadata: Path) -> None:
    text = "case,organ,Dice,HD95\n" + "".join(
        f"C0{index},{organ},{0.5 + index / 10 if (index, organ) != (2, 'liver') else 'failed'},{index}\n"
        for index in (1, 2, 3, 4)
        for organ in ("liver", "kidney")
    )
    cohort, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert table.names == ("dsc", "dsc_liver", "dsc_kidney", "HD95", "HD95_liver", "HD95_kidney")
    assert table.column("dsc") == pytest.approx([0.6, None, 0.8, 0.9])
    assert table.column("dsc_kidney") == pytest.approx([0.6, 0.7, 0.8, 0.9])
    assert any("the mean left undefined: 1 (C02 (failed))" in notice for notice in cohort.notices)


def test_a_row_a_case_and_lesion(tmp_path: Path, metadata: Path) -> None:
    text = "case,lesion_id,Dice\nC01,1,0.5\nC01,2,0.7\nC02,1,0.25\nC03,1,0.5\nC03,2,0.75\nC04,1,1\nC04,2,0.5\n"
    _, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert table.names == ("dsc",)
    assert table.column("dsc") == pytest.approx([0.6, 0.25, 0.625, 0.75])


def test_a_row_a_case_label_and_fold(tmp_path: Path, metadata: Path) -> None:
    text = "case,fold,label,Dice\nC01,0,1,0.5\nC01,0,2,0.7\nC02,1,1,0.5\nC02,1,2,0.25\nC03,1,1,1\nC03,1,2,0.5\n"
    _, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert table.names == ("dsc", "dsc_1", "dsc_2")
    assert table.column("dsc") == pytest.approx([0.6, 0.375, 0.75])


def test_several_models_in_one_table_are_not_averaged(tmp_path: Path, metadata: Path) -> None:
    text = "case,model,Dice\nC01,unet,0.5\nC01,swin,0.7\nC02,unet,0.5\nC02,swin,0.25\nC03,unet,1\nC03,swin,0.5\n"
    with pytest.raises(MetadataError, match=r"several models, told apart by model \(unet, swin\)"):
        load_score_cohort(scores(tmp_path, text), metadata)


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
