"""The page of a mitigation: one file, with ids of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.mitigation.toy_folds import conclude_folds
from tests.mitigation.toy_models import conclude, model

from segfair.mitigation.experiment.pages.summary_page import mitigation_data, write_mitigation_page
from segfair.mitigation.experiment.summary import EpochWeights
from segfair.mitigation.training.catalogue import STRATEGIES


def test_the_page_is_one_file_that_needs_nothing(tmp_path: Path) -> None:
    summary = conclude(model("erm", women=0.5), model("divergence-sampling", women=0.8))
    path = write_mitigation_page(summary, tmp_path)
    text = path.read_text("utf-8")
    assert text.count("Recommended: divergence-sampling") == 1
    assert "rare and under-learned" in text
    assert "Content-Security-Policy" in text
    assert "://" not in text.replace("http://www.w3.org/", "")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["comparison.html", "divergence-sampling"]
    assert (tmp_path / "divergence-sampling" / "comparison" / "comparison.html").is_file()
    # A second run replaces the page.
    assert write_mitigation_page(summary, tmp_path) == path


def test_ids_of_the_page_are_unique_and_maps_stand_side_by_side() -> None:
    summary = conclude(model("erm", women=0.5), model("divergence-sampling", women=0.8), model("balanced", women=0.6))
    sections = mitigation_data(summary, written="today")["sections"]
    (pair,) = sections["maps"]["pairs"]
    assert [entry["name"] for entry in pair["figures"]] == ["erm", "divergence-sampling", "balanced"]
    keys = [entry["key"] for entry in pair["figures"]]
    keys += [entry["figure"]["key"] for entry in sections["weights"]]
    keys += [entry["slopes"]["key"] for entry in sections["changes"]]
    assert len(keys) == len(set(keys)) == 7
    # The scale is the plain model's in all of them: its mean is the middle of every colour key.
    mean = f"{summary.models[0].audit.scores['DSC'].value:.3f}"
    assert all(f"mean {mean}" in entry["svg"] for entry in pair["figures"])


def test_the_page_says_what_each_strategy_of_the_run_does() -> None:
    summary = conclude(model("erm", women=0.5), model("balanced", women=0.6))
    told = mitigation_data(summary, written="today")["sections"]["method"]["strategies"]
    assert [entry["name"] for entry in told] == ["erm", "balanced"]
    assert STRATEGIES["balanced"].rule in told[1]["value"]
    assert "Puyol-Anton" in told[1]["value"]


def test_weights_that_the_first_epoch_trained_with_are_told() -> None:
    begun = dataclasses.replace(
        model("balanced", women=0.6), weights=(EpochWeights(0, 1.0, 9.0, ""), EpochWeights(1, 1.0, 8.0, "sex = F"))
    )
    summary = conclude(model("erm", women=0.5), begun, model("fairmedseg", women=0.6))
    first, second = mitigation_data(summary, written="today")["sections"]["weights"]
    assert first["figure"]["caption"] == "Largest weight 9.00 in the first epoch, 8.00 at the end; mean 1.00."
    assert second["figure"]["caption"].startswith("Largest weight 8.00 after epoch 1 by sex = F, ")


def test_without_folds_there_is_no_section_of_evidence() -> None:
    page = mitigation_data(conclude(model("erm", women=0.5), model("balanced", women=0.6)), written="today")
    assert page["sections"]["evidence"] is None
    assert "evidence" not in [entry["id"] for entry in page["contents"]]
    assert page["cases"] == "120 test cases"
    assert [entry["caption"].split(":")[0] for entry in page["sections"]["scores"]] == [
        "Test cases",
        "Validation cases",
    ]


def test_with_folds_all_cases_are_told_of_out_of_fold(tmp_path: Path) -> None:
    summary = conclude_folds(2, {"divergence-sampling": {"gain": 0.06}, "balanced": {"gain": 0.02, "rest": -0.02}})
    page = mitigation_data(summary, written="today")
    assert page["cases"] == "200 cases, out of fold"
    assert [entry["id"] for entry in page["contents"]][:3] == ["verdict", "evidence", "scores"]
    assert [entry["caption"].split(":")[0] for entry in page["sections"]["scores"]] == ["All cases, out of fold"]
    text = write_mitigation_page(summary, tmp_path).read_text("utf-8")
    # Weights are told of test and validation cases; there are none.
    assert "test cases" not in text
    assert "alidation" not in text
    assert "best validation TS" not in text
    assert "Out-of-fold Dice" in text
