"""Tables with several rows a case become one row a case."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.intake.written import scores

from segfair.errors import MetadataError
from segfair.intake.cohorts import load_score_cohort


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
