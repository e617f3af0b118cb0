"""What the page of a mitigation says, on audits with gaps put in by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.mitigation.toy_folds import conclude_folds
from tests.mitigation.toy_models import conclude, model

from segfair.errors import InputError
from segfair.mitigation.experiment.diagnosis import Part, diagnose
from segfair.mitigation.experiment.summary import (
    EpochScores,
    EpochWeights,
    read_epoch_scores,
    read_epoch_weights,
    trained_weights,
)


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


def test_where_nothing_helped_it_says_why_and_what_follows() -> None:
    (nothing,) = conclude(model("erm", women=0.5), model("fairmedseg", women=0.45)).conclusions
    assert nothing.gained is False
    assert nothing.follows == (
        "Nothing is shown to help sex = F, site = A, because the network does not fit its training cases as well as others, and "
        "saw few of them (a training Dice of 0.200 is low in itself). Draw it more often, or train longer."
    )
    (helped,) = conclude(model("erm", women=0.5), model("balanced", women=0.8)).conclusions
    assert (helped.gained, helped.follows) == (True, "")
    # A gain that costs the others is a gain: why there is none would be the wrong question.
    (costly,) = conclude(model("erm", women=0.5), model("fairmedseg", women=0.6, men=0.7)).conclusions
    assert (costly.kind, costly.gained, costly.follows) == ("No strategy is recommended", True, "")
    (alone,) = conclude(model("erm", women=0.5)).conclusions
    assert (alone.gained, alone.follows) == (None, "")


def test_with_folds_as_well() -> None:
    (nothing,) = conclude_folds(3, {"balanced": {"gain": 0.0}}).conclusions
    assert nothing.kind == "No gain is shown"
    assert nothing.follows.startswith("Nothing is shown to help sex = F, because ")
    (one_seed,) = conclude_folds(1, {"balanced": {"gain": 0.1}}).conclusions
    assert (one_seed.gained, one_seed.follows) == (True, "")


@pytest.mark.parametrize(
    ("training", "held_out", "words"),
    [
        (Part(2, 0.2, 0.9), Part(2, 0.2, 0.9), "help sex = F: too few cases to tell why. More cases of it are needed"),
        (Part(9, 0.9, 0.9), Part(9, 0.9, 0.9), "help sex = F: no gap remains. No gap is left to close."),
    ],
)
def test_what_is_not_known_is_no_because(training: Part, held_out: Part, words: str) -> None:
    plain = dataclasses.replace(
        model("erm", women=0.5),
        diagnosis={"subgroup": {"sex": "F"}, **diagnose(training, held_out, share=0.3).to_dict()},
    )
    (nothing,) = conclude(plain, model("fairmedseg", women=0.45)).conclusions
    assert words in nothing.follows


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


def test_with_folds_a_gain_that_keeps_the_mean_is_recommended() -> None:
    models = {
        "balanced": {"gain": 0.08, "rest": -0.05},
        "divergence-sampling": {"gain": 0.06},
        "groupdro": {"gain": 0.03},
    }
    (conclusion,) = conclude_folds(3, models).conclusions
    # The largest gain is paid for by the mean.
    assert (conclusion.kind, conclusion.tone) == ("Recommended: divergence-sampling", "better")
    for told in (
        "the subgroup that erm serves worst (sex = F, as 5 of 5 folds see it; 50 cases of 25 subjects) by +0.060 (95%",
        ": a gain; the mean of all 200 cases changes by +0.01",
        "it has risen; the rest changes by −0.001 (95%",
        "Intervals run over 100 subjects and 3 seeds. The largest change of 3 strategies, each judged on its own.",
    ):
        assert told in conclusion.sentence


def test_with_folds_a_gain_that_the_mean_pays_for_is_not() -> None:
    (conclusion,) = conclude_folds(3, {"balanced": {"gain": 0.08, "rest": -0.05}}).conclusions
    assert (conclusion.kind, conclusion.tone) == ("No strategy is recommended", "open")
    assert "it has fallen" in conclusion.sentence
    assert conclusion.sentence.endswith("Not recommended: the mean Dice has fallen.")
    (conclusion,) = conclude_folds(3, {"balanced": {"gain": 0.04, "rest": -0.02}}).conclusions
    assert "a loss of 0.01 is not excluded" in conclusion.sentence
    assert conclusion.sentence.endswith("Not recommended: the mean Dice is not shown to be unchanged.")


def test_with_folds_and_no_gain_or_one_seed_it_says_so() -> None:
    (conclusion,) = conclude_folds(1, {"fairmedseg": {}}).conclusions
    assert (conclusion.kind, conclusion.tone) == ("No gain is shown", "open")
    assert ": no gain is shown; the mean of all 200 cases changes by" in conclusion.sentence
    assert "unchanged, a loss of 0.01 is excluded" in conclusion.sentence
    assert "100 subjects alone: one training a model and fold, and another seed may give" in conclusion.sentence
    assert "strategies" not in conclusion.sentence
    (conclusion,) = conclude_folds(1, {"fairmedseg": {"gain": 0.1}}).conclusions
    assert (conclusion.kind, conclusion.tone) == ("A gain with one seed, to be repeated with others", "open")
    assert ": a gain; " in conclusion.sentence
    (conclusion,) = conclude_folds(2, {"fairmedseg": {"gain": 0.1}}, min_cases=150).conclusions
    assert conclusion.kind == "Insufficient evidence"
    assert conclusion.sentence == "No subgroup of at least 150 cases lies below the plain model's mean."


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


def test_the_first_epoch_trains_with_what_was_set_before_it(tmp_path: Path) -> None:
    (tmp_path / "weights.csv").write_text(
        "epoch,case,weight,subgroup\n0,a,0.5,\n0,b,1.5,\n1,b,4,\n1,a,2,\n2,a,3,\n2,b,1,\n"
    )
    assert trained_weights(tmp_path, ["a", "b"], best_epoch=2).tolist() == [[0.5, 1.5], [2, 4]]
    assert read_epoch_weights(tmp_path / "weights.csv")[0] == EpochWeights(0, 1.0, 1.5, "")
    # One epoch is enough to know what it was trained with.
    (tmp_path / "weights.csv").write_text("epoch,case,weight,subgroup\n0,a,2,\n0,b,4,\n1,a,2,\n1,b,4,\n")
    assert trained_weights(tmp_path, ["a", "b"], best_epoch=1).tolist() == [[2, 4]]


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


def test_a_history_is_read_with_the_epochs_that_were_not_validated(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,lr,loss,dsc,worst_dsc\n1,0.1,0.9,,\n2,0.1,0.5,0.7,0.25\n")
    assert read_epoch_scores(path) == (EpochScores(1, 0.9, None, None), EpochScores(2, 0.5, 0.7, 0.25))
    assert read_epoch_scores(tmp_path / "none.csv") == ()
    path.write_text("epoch,loss\n1,much\n")
    with pytest.raises(InputError, match="not the history of a training"):
        read_epoch_scores(path)
