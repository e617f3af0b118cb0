"""Which columns are scores, in which unit, and which way they are better."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.intake.written import scores

from segfair.errors import ConfigError, MetadataError
from segfair.intake.cohorts import load_score_cohort
from segfair.intake.score_tables import default_outcome


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
    with pytest.raises(ConfigError, match=r"--lower-is-better eror: no column of scores \(did you mean error\?"):
        load_score_cohort(scores(tmp_path, "case,error\nC01,3\nC02,4\n"), metadata, lower_is_better=["eror"])


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


def test_folds_and_sites_beside_the_scores_are_no_scores(tmp_path: Path, metadata: Path) -> None:
    text = "case,fold,site,n_slices,HD95\nC01,0,3,10,4\nC02,1,4,12,5\nC03,0,3,9,6\n"
    cohort, table = load_score_cohort(scores(tmp_path, text), metadata)
    assert table.names == ("n_slices", "HD95")
    assert default_outcome(table) == "HD95"
    assert any("fold, site: no score by the name" in notice for notice in cohort.notices)
    _, table = load_score_cohort(scores(tmp_path, text), metadata, higher_is_better=["site"])
    assert "site" in table.names


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
