"""The words of a comparison: what is called a gain, and when a mean is kept."""

from __future__ import annotations

import json

import pytest

from segfair.mitigation.experiment.gains import (
    Choice,
    Evidence,
    NullSpread,
    PairedChange,
    ScoreChange,
    conclude_gains,
)
from segfair.stats import MeanOverSeeds

CHOICES = (
    Choice("0", {"site": "A", "sex": "F"}, 3, -0.1),
    Choice("1", {"sex": "F"}, 12, -0.08),
    Choice("2", {"sex": "F"}, 9, -0.09),
)


def change(low: float | None, high: float | None = None, value: float | None = None) -> PairedChange:
    ci = None if low is None or high is None else (low, high)
    middle = value if value is not None else 0.0 if ci is None else sum(ci) / 2
    return PairedChange(0.5, 0.5 + middle, MeanOverSeeds(middle, ci, "subjects and seeds", 24, 20, 3))


def evidence(worst: PairedChange | None, mean: PairedChange, null: float | None = None) -> Evidence:
    return Evidence(
        worst=worst,
        reason="" if worst else "nobody",
        mean=mean,
        rest=change(-0.01, 0.01),
        fairness=ScoreChange(0.9, 0.92, 0.02, (0.0, 0.04)),
        choices=CHOICES,
        null=None if null is None else NullSpread(null, 0.01, 0.02),
        margin=0.01,
        n_folds=4,
    )


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.001, 0.02, "risen"),
        (0.0, 0.02, "unchanged"),
        (-0.0099, 0.02, "unchanged"),
        # A loss that is shown, and shown to be smaller than the margin.
        (-0.008, -0.002, "unchanged"),
        (-0.01, 0.02, "open"),
        (-0.03, 0.001, "open"),
        (-0.011, -0.001, "fallen"),
        (-0.05, -0.03, "fallen"),
        (None, None, "open"),
    ],
)
def test_a_mean_is_kept_only_where_a_larger_loss_is_excluded(low, high, word) -> None:
    assert evidence(change(0.1, 0.2), change(low, high)).mean_word == word


@pytest.mark.parametrize(
    ("low", "high", "null", "word"),
    [
        (0.01, 0.05, None, "gain"),
        (0.01, 0.05, 0.029, "gain"),
        (0.01, 0.05, 0.031, "open"),
        (-0.01, 0.05, None, "open"),
        (0.0, 0.05, None, "open"),
        (-0.05, -0.01, 0.02, "loss"),
        (-0.05, -0.01, 0.04, "open"),
        (None, None, None, "open"),
    ],
)
def test_a_gain_is_beyond_zero_and_beyond_the_plain_model_s_own_spread(low, high, null, word) -> None:
    assert evidence(change(low, high), change(0, 0), null).worst_word == word


def test_what_stands_in_the_file() -> None:
    told = evidence(change(0.01, 0.05), change(-0.004, 0.008), 0.02).to_dict()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert set(told) == {"worst_subgroup", "reason", "mean", "rest", "FS", "null", "over", "n_folds", "n_seeds"}
    worst = told["worst_subgroup"]
    assert (worst["items"], worst["ci"], worst["word"]) == ({"sex": "F"}, [0.01, 0.05], "gain")
    assert worst["value"] == pytest.approx(0.03)
    assert worst["chosen"][0] == {"fold": "0", "items": {"site": "A", "sex": "F"}, "n": 3, "divergence_shrunk": -0.1}
    assert told["mean"]["word"] == "unchanged"
    assert told["mean"]["margin"] == 0.01
    assert told["rest"]["n_cases"] == 24
    assert told["FS"] == {"value": 0.02, "ci": [0.0, 0.04], "before": 0.9, "after": 0.92}
    assert told["null"] == {"worst_subgroup": 0.02, "mean": 0.01, "rest": 0.02}
    assert (told["over"], told["n_folds"], told["n_seeds"]) == ("subjects and seeds", 4, 3)


def test_the_most_frequent_choice_names_the_subgroup() -> None:
    found = evidence(change(0.01, 0.05), change(0, 0))
    assert found.items == {"sex": "F"}
    assert found.n_agreeing == 2
    assert evidence(None, change(0, 0)).to_dict()["worst_subgroup"] is None


def test_a_change_that_seeds_explain_is_said_to_be_none() -> None:
    told = conclude_gains("erm", {"balanced": evidence(change(0.01, 0.05), change(-0.004, 0.008), 0.04)})
    assert told.kind == "No gain is shown"
    assert "no gain, for erm differs from itself by up to 0.040 where only seeds differ" in told.sentence
    assert told.sentence.startswith(
        "balanced changes the subgroup that erm serves worst (sex = F, as 2 of 4 folds see it"
    )
    lost = conclude_gains("erm", {"balanced": evidence(change(-0.05, -0.01), change(-0.004, 0.008), 0.02)})
    assert (lost.kind, "a loss" in lost.sentence) == ("No gain is shown", True)
