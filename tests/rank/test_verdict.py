"""Whether there is a winner, and what decides it."""

from __future__ import annotations

import dataclasses

import numpy as np
from tests.rank_fixtures import CONFIG, made_up, noise

from segfair.rank.procedure import rank_scored


def test_a_team_that_is_better_everywhere_wins() -> None:
    base = 0.7 + noise(0)
    ranking = rank_scored(made_up({"good": base + 0.1, "poor": base}), CONFIG)
    assert ranking.verdict.winner == "good"
    assert ranking.standings[0].first == 1.0
    assert "good wins" in ranking.verdict.sentence
    assert ranking.verdict.reasons == ()


def test_chance_alone_declares_no_winner() -> None:
    ranking = rank_scored(made_up({"one": 0.7 + noise(1), "two": 0.7 + noise(2)}), CONFIG)
    assert ranking.verdict.winner is None
    assert "chance" in {reason.kind for reason in ranking.verdict.reasons}


def test_equal_teams_share_the_place_and_are_named() -> None:
    base = 0.7 + noise(3)
    ranking = rank_scored(made_up({"a": base, "b": base, "c": base - 0.2}), CONFIG)
    assert [entry.rank for entry in ranking.standings] == [1, 1, 3]
    assert ranking.verdict.reasons[0].kind == "tie"
    assert [alert.text for alert in ranking.alerts if alert.kind == "equal"] == [
        "a, b have the same scores in every case."
    ]


def test_nobody_wins_below_empty_masks() -> None:
    """Poor and unfair: doing nothing has the better total score."""
    groups = "bc" * 30
    dsc = np.tile([0.0, 0.3], 30)
    far = np.tile([1.0, 0.7], 30)
    ranking = rank_scored(made_up({"x": dsc, "y": dsc * 0.5}, {"x": far, "y": np.ones(60)}, groups), CONFIG)
    assert ranking.standings[0].value < ranking.baseline.value == 0.5
    assert ranking.baseline.n_worse == 2
    assert ranking.verdict.winner is None
    assert ranking.verdict.reasons[0].kind == "baseline"


def test_a_single_team_has_nothing_to_win() -> None:
    ranking = rank_scored(made_up({"only": 0.7 + noise(5)}), CONFIG)
    assert ranking.verdict.winner is None
    assert "only team" in ranking.verdict.sentence
    assert ranking.standings[0].first == 1.0


def test_nobody_wins_by_a_single_patient() -> None:
    """First in every resampled cohort, for all of them are the same."""
    by_dsc = dataclasses.replace(CONFIG, outcomes=("dsc",))
    ranking = rank_scored(made_up({"a": np.array([0.9]), "b": np.array([0.8])}, groups="b"), by_dsc, by="dsc")
    assert (ranking.n_patients, ranking.standings[0].first) == (0, 1.0)
    assert ranking.verdict.winner is None
    assert [reason.kind for reason in ranking.verdict.reasons] == ["patient"]
    assert "leave out any one patient" in ranking.verdict.sentence
    assert ranking.pairs.better_than("a") == ()
