"""What columns measure, by their names."""

from __future__ import annotations

import pytest

from segfair.intake.score_names import read_score_name
from segfair.scoring.metrics import METRICS


@pytest.mark.parametrize(
    ("column", "metric", "better"),
    [
        ("dsc", "dsc", "higher"),
        ("DSC", "dsc", "higher"),
        ("Dice", "dsc", "higher"),
        ("Dice (%)", "dsc", "higher"),
        ("dice_score", "dsc", "higher"),
        ("Mean Dice", "dsc", "higher"),
        ("Dice-Coefficient", "dsc", "higher"),
        ("dice_liver", "dsc_liver", "higher"),
        ("Dice tumour core", "dsc_tumour_core", "higher"),
        ("WT Dice", "", "higher"),
        ("ungrouped-global_bin_dsc", "dsc", "higher"),
        ("ungrouped-sq_dsc", "", "higher"),
        ("ungrouped-sq_dsc_std", "", "neither"),
        ("ungrouped-sq_assd", "", "lower"),
        ("ungrouped-sq_rvd", "", "signed"),
        ("ungrouped-tp", "", "neither"),
        ("IoU", "iou", "higher"),
        ("Jaccard Index", "iou", "higher"),
        ("HD95", "", "lower"),
        ("Hausdorff_95", "", "lower"),
        ("hausdorff-distance-95 [mm]", "", "lower"),
        ("95% HD", "", "lower"),
        ("ASSD", "", "lower"),
        ("Avg. Surface Distance", "", "lower"),
        ("NSD@2mm", "", "higher"),
        ("surface_dice", "", "higher"),
        ("relative_volume_error", "", "signed"),
        ("RVD", "", "signed"),
        ("Recall", "sensitivity", "higher"),
        ("PPV", "precision", "higher"),
        ("error", "", "lower"),
        ("loss", "", "lower"),
        ("n_ref", "", "neither"),
        ("volume", "", "neither"),
    ],
)
def test_known_names(column: str, metric: str, better: str) -> None:
    found = read_score_name(column)
    assert found is not None
    assert (found.metric, found.better) == (metric, better)


@pytest.mark.parametrize("column", ["my_score", "", "x", "age", "site", "agreement with Dr. A", "case"])
def test_names_that_nobody_knows(column: str) -> None:
    assert read_score_name(column) is None


@pytest.mark.parametrize("column", ["Dice (%)", "dice %", "DSC [percent]", "dice_pct"])
def test_per_cent_by_name(column: str) -> None:
    found = read_score_name(column)
    assert found is not None and found.per_cent and found.is_share


@pytest.mark.parametrize("name", METRICS)
def test_our_own_names_have_our_own_directions(name: str) -> None:
    found = read_score_name(name)
    assert found is not None
    assert found.better == METRICS[name].better
    assert read_score_name(f"{name}_left lung") is not None


@pytest.mark.parametrize(
    ("column", "metric", "better"),
    [
        ("DiceScore", "dsc", "higher"),
        ("dice_percent", "dsc", "higher"),
        ("DSC in %", "dsc", "higher"),
        ("val_mean_dice", "dsc", "higher"),
        ("MeanIoU_class0", "iou_class0", "higher"),
        ("HD95mm", "", "lower"),
        ("hd_mm", "", "lower"),
        ("HausdorffDistanceMetric", "", "lower"),
        ("AvgSurfDist", "", "lower"),
        ("VolDiff", "", "signed"),
        ("abs_vol_diff", "", "lower"),
        ("relative_abs_volume_difference", "", "lower"),
        ("volume_mae", "", "lower"),
        ("Lesion volume Dice", "", "higher"),
        ("1 - Dice", "", "lower"),
        ("one_minus_iou", "", "lower"),
        ("dice_error", "", "lower"),
        ("label 1 dice", "", "higher"),
    ],
)
def test_names_in_other_forms(column: str, metric: str, better: str) -> None:
    found = read_score_name(column)
    assert found is not None
    assert (found.metric, found.better) == (metric, better)


@pytest.mark.parametrize("column", ["dice_diff", "delta Dice", "hd95_improvement", "dice_rank"])
def test_of_a_difference_nobody_knows_what_is_better(column: str) -> None:
    assert read_score_name(column) is None


@pytest.mark.parametrize("column", ["FPR", "false_discovery_rate", "ECE", "miss rate"])
def test_rates_are_shares(column: str) -> None:
    found = read_score_name(column)
    assert found is not None and found.is_share and found.better == "lower"
