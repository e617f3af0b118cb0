"""The page of a mitigation: one file, with ids of its own."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from tests.mitigation.toy_folds import conclude_folds
from tests.mitigation.toy_models import conclude, model

from segfair.mitigation.experiment.pages.summary_page import mitigation_data, write_mitigation_page
from segfair.mitigation.experiment.summary import EpochScores, EpochWeights
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
    sections = mitigation_data(summary, written="today")["sections"]
    told = sections["models"]
    assert [entry["name"] for entry in told] == ["erm", "balanced"]
    assert STRATEGIES["balanced"].rule[1:] in told[1]["text"]
    assert "Puyol-Anton" in told[1]["text"]
    assert sections["verdict"][0]["plain"].startswith("erm (empirical risk minimisation) is plain training")


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
    assert [entry["id"] for entry in page["contents"]][:5] == ["verdict", "next", "models", "evidence", "scores"]
    assert [entry["caption"].split(":")[0] for entry in page["sections"]["scores"]] == ["All cases, out of fold"]
    text = write_mitigation_page(summary, tmp_path).read_text("utf-8")
    # Weights are told of test and validation cases; there are none.
    assert "test cases" not in text
    assert "alidation" not in text
    assert "best validation TS" not in text
    assert "Out-of-fold Dice" in text


def test_one_place_recommends_and_nothing_contradicts_it(tmp_path: Path) -> None:
    """A strategy that helps the men alone: somebody gains, and none is recommended."""
    summary = conclude(model("erm", women=0.5), model("balanced", women=0.5, men=0.95))
    text = write_mitigation_page(summary, tmp_path).read_text("utf-8")
    assert text.count("none is recommended") == 1
    assert "Gain found" not in text and "Gains and harm found" not in text
    assert "Gain found" in (tmp_path / "balanced" / "comparison" / "comparison.html").read_text("utf-8")
    (step, *_), folds = (
        (sections := mitigation_data(summary, written="today")["sections"])["next"][:-1],
        sections["next"][-1],
    )
    assert step["code"] == "segfair mitigate DATA --strategy balanced --epochs 20", (
        "its diagnosis: rare and under-learned"
    )
    assert folds["code"] == "segfair mitigate DATA --strategy balanced --folds 5 --seeds 3"


def test_what_is_recommended_leads_to_its_audit(tmp_path: Path) -> None:
    summary = conclude(model("erm", women=0.5), model("balanced", women=0.8))
    for name in ("erm", "balanced"):
        (tmp_path / name / "audit").mkdir(parents=True)
        (tmp_path / name / "audit" / "report.html").write_text("an audit")
    text = write_mitigation_page(summary, tmp_path).read_text("utf-8")
    links = [link for link in re.findall('href="([^"#]+)"', text) if not link.startswith("data:")]
    assert set(links) == {f"{name}/audit/report.html" for name in ("erm", "balanced")} | {
        "balanced/comparison/comparison.html"
    }
    assert all((tmp_path / link).is_file() for link in links)
    first = mitigation_data(summary, written="today", files=["balanced/audit/report.html"])["sections"]["next"][0]
    assert first["href"] == "balanced/audit/report.html" and first["text"].startswith("Before balanced is used")


def test_learning_curves_have_a_line_a_model_and_a_ring_at_the_kept_epoch() -> None:
    history = tuple(EpochScores(epoch, 1 / epoch, 0.5 + epoch / 20, 0.2 + epoch / 20) for epoch in range(1, 11))
    plain, other = model("erm", women=0.5), model("balanced", women=0.6)
    known = conclude(dataclasses.replace(plain, history=history), dataclasses.replace(other, history=history[:5]))
    curves = mitigation_data(known, written="today")["sections"]["curves"]
    assert [entry["data"]["caption"] for entry in curves["figures"]] == [
        "Validation cases: mean Dice", "Validation cases: Dice of the worst subgroup", "Training loss",
    ]  # fmt: skip
    rows = curves["figures"][0]["data"]["rows"]
    assert [cell["text"] for cell in rows[4]] == ["5", "0.750", "0.750"]
    assert [cell["text"] for cell in rows[9]] == ["10", "1.000", "–"], "the other stopped before"
    unseen = dataclasses.replace(
        plain, history=tuple(dataclasses.replace(e, dsc=None, worst_dsc=None) for e in history)
    )
    (loss,) = mitigation_data(conclude(unseen), written="today")["sections"]["curves"]["figures"]
    assert loss["data"]["caption"] == "Training loss", "nothing was validated"
    assert mitigation_data(conclude(plain), written="today")["sections"]["curves"] is None


def test_fs_stands_with_its_chance_level() -> None:
    summary = conclude(model("erm", women=0.5), model("balanced", women=0.6))
    tested, validated = mitigation_data(summary, written="today")["sections"]["scores"]
    chance = summary.models[0].audit.scores["FS"].chance
    assert tested["rows"][0][4]["sub"] == f"chance {chance.mean:.3f}"
    assert validated["rows"][0][4]["sub"] == ""
