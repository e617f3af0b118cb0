"""What the page of a mitigation says, on audits with gaps put in by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.score_fixtures import audit_of

from segfair.errors import InputError
from segfair.mitigation.experiment.diagnosis import Part, diagnose
from segfair.mitigation.experiment.summary import (
    EpochWeights,
    MitigationSummary,
    ModelSummary,
    read_epoch_weights,
    summarise,
    trained_weights,
)
from segfair.mitigation.experiment.summary_page import mitigation_data, write_mitigation_page

N = 120
SEX = ["F" if i % 4 == 0 else "M" for i in range(N)]
SITE = ["A" if i % 3 == 0 else "B" for i in range(N)]


def model(name: str, *, women: float, men: float = 0.9, noise: float = 0.01, backbone: str = "unet") -> ModelSummary:
    """A model with these mean Dice, the same noise of the same cases in every model."""
    dice = np.where(np.array(SEX) == "F", women, men) + noise * np.random.default_rng(5).standard_normal(N)
    dice = np.clip(dice, 0, 1)
    scores: Mapping[str, Sequence[float]] = {"dsc": dice.tolist(), "normhd": (0.3 * (1 - dice)).tolist()}
    audit = audit_of(scores, {"sex": SEX, "site": SITE}, min_cases=5, min_support=0.05)
    rows = [row for row in audit.subgroups["dsc"] if row.n >= 5]
    worst = min(rows, key=lambda row: row.mean)
    found = {
        **{score: audit.scores[score].value for score in ("DSC", "NormHD", "PS", "FS", "TS")},
        "worst_subgroup": {"items": dict(sorted(worst.subgroup.items)), "n": worst.n, "dsc": worst.mean},
    }
    diagnosis = diagnose(Part(4, 0.2, 0.9), Part(3, 0.2, 0.9), share=0.03).to_dict()
    return ModelSummary(
        name,
        backbone,
        name.removeprefix(f"{backbone}-"),
        {"test": found, "validation": found},
        {"subgroup": found["worst_subgroup"]["items"], **diagnosis},
        audit,
        epochs=10,
        best_epoch=9,
        weights=() if name.endswith("erm") else (EpochWeights(1, 1.0, 8.0, "sex = F"), EpochWeights(2, 1.0, 1.5, "")),
    )


def conclude(*models: ModelSummary) -> MitigationSummary:
    return summarise(models, baseline="erm", budget={"Epochs": "10"})


def test_the_strategy_that_wins_is_recommended_with_its_evidence() -> None:
    summary = conclude(model("erm", women=0.5), model("divergence-sampling", women=0.8), model("balanced", women=0.6))
    (conclusion,) = summary.conclusions
    assert conclusion.kind == "Recommended: divergence-sampling"
    # 30 of 120 cases gain 0.3, so the mean of all gains 0.075; every women's case gains the same.
    assert "with erm, +0.300 (simultaneous 95% interval +0.2" in conclusion.sentence
    assert "mean Dice of all cases changes by +0.075" in conclusion.sentence
    assert "harmed" not in conclusion.sentence


def test_a_gain_bought_with_the_mean_is_not_recommended() -> None:
    summary = conclude(model("erm", women=0.5), model("fairmedseg", women=0.6, men=0.7))
    (conclusion,) = summary.conclusions
    assert conclusion.kind == "No strategy is recommended"
    assert "mean Dice has fallen" in conclusion.sentence
    assert "harmed, by 0.200 at most" in conclusion.sentence


def test_levelling_down_recommends_plain_training() -> None:
    summary = conclude(model("erm", women=0.5), model("fairmedseg", women=0.45, men=0.5))
    assert summary.conclusions[0].kind == "Plain training serves the worst subgroup best"


def test_equally_bad_is_not_better() -> None:
    summary = conclude(model("erm", women=0.0), model("fairmedseg", women=0.0, men=0.8))
    (conclusion,) = summary.conclusions
    assert conclusion.kind == "No strategy serves the worst subgroup better"
    assert "better than erm, with mean Dice 0.003 (" in conclusion.sentence


def test_without_a_disparity_it_says_so() -> None:
    summary = conclude(model("erm", women=0.9, noise=0.02), model("fairmedseg", women=0.902, noise=0.02))
    (conclusion,) = summary.conclusions
    assert conclusion.kind == "No disparity distinguishable from noise, training is plain"
    assert "Recommended" not in conclusion.sentence


def test_a_model_alone_and_models_without_a_plain_one() -> None:
    assert conclude(model("erm", women=0.5)).conclusions[0].kind == "One model"
    alone = conclude(model("fairmedseg", women=0.5), model("balanced", women=0.6))
    assert alone.conclusions[0].kind == "No plain model to compare with"
    assert "balanced serves the worst subgroup best of 2 models" in alone.conclusions[0].sentence
    assert all(entry.against is None for entry in alone.models)


def test_backbones_are_compared_with_their_own_plain_model() -> None:
    summary = conclude(
        model("unet-erm", women=0.5),
        model("unet-balanced", women=0.7),
        model("segresnet-erm", women=0.8, backbone="segresnet"),
        model("segresnet-balanced", women=0.85, backbone="segresnet"),
    )
    assert [entry.kind for entry in summary.conclusions] == [
        "Recommended: unet-balanced",
        "Recommended: segresnet-balanced",
    ]
    compared = [entry.against for entry in summary.models if entry.against is not None]
    assert [entry.before.name for entry in compared] == ["unet-erm", "segresnet-erm"]


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


def test_weights_of_each_epoch(tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text('epoch,case,weight,subgroup\n1,a,0.5,\n1,b,3.5,"sex = F, site = A"\n2,a,1.0,\n2,b,1.0,\n')
    assert read_epoch_weights(path) == (EpochWeights(1, 2.0, 3.5, "sex = F, site = A"), EpochWeights(2, 1.0, 1.0, ""))
    assert read_epoch_weights(tmp_path / "none.csv") == ()
    path.write_text("epoch,case\n1,a\n")
    with pytest.raises(InputError, match=r"weights\.csv: not the weights"):
        read_epoch_weights(path)


def test_an_epoch_trains_with_what_the_epoch_before_has_set(tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text(
        "epoch,case,weight,subgroup\n1,b,4,\n1,a,2,\n2,a,3,\n2,b,1,\n3,a,9,\n3,b,9,\n"
    )
    assert trained_weights(tmp_path, ["a", "b"], best_epoch=3).tolist() == [[1, 1], [2, 4], [3, 1]]
    assert trained_weights(tmp_path / "none", ["a", "b"], best_epoch=2).tolist() == [[1, 1], [1, 1]]


def test_weights_that_never_change_hold_from_the_first_epoch(tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text("epoch,case,weight,subgroup\n1,a,2,\n1,b,4,\n2,a,2,\n2,b,4,\n")
    assert trained_weights(tmp_path, ["a", "b"], best_epoch=2).tolist() == [[2, 4], [2, 4]]


def test_in_fairmedseg_the_plain_term_counts_as_well(tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text("epoch,case,weight,subgroup\n1,a,0,\n1,b,0.5,\n2,a,0,\n2,b,0.25,\n")
    (tmp_path / "history.csv").write_text("epoch,alpha\n1,0.2\n2,0.2\n")
    # 0.2 + 0.8 w; before the first validation the cases do not differ.
    weights = trained_weights(tmp_path, ["a", "b"], best_epoch=2)
    assert weights[0, 0] == weights[0, 1]
    assert weights[1] == pytest.approx([0.2, 0.6])
