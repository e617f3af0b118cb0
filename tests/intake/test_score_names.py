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
