"""The leaderboard and the ranks under other rules, as strings."""

from __future__ import annotations

import dataclasses

import pytest
from tests.report.hand_made import texts, titles
from tests.report.ranking.hand_made import TEAMS, VOXELS, made, standing

from segfair.audit.result import Score
from segfair.report.ranking.tables import board, moved, number, ranks_table, score_name, shown_scores, team_name


def test_one_row_a_team_with_shared_ranks_and_empty_masks_where_they_belong() -> None:
    found = board(made(), {"alpha": "teams/alpha.html"})
    assert found["caption"] == "3 teams, ranked by TS"
    assert found["scores"] == ["TS", "FS"]
    keys = ("rank", "team", "href", "interval", "first", "next", "unusable")
    assert [[row[key] for key in keys] for row in found["rows"]] == [
        ["1", "alpha", "teams/alpha.html", "1", "over 99 %", "90 %", "0"],
        ["2=", "beta", "", "2 to 3", "under 1 %", "90 %", "0"],
        ["2=", "gamma", "", "2 to 3", "under 1 %", "–", "2"],
        ["–", "Empty masks (baseline)", "", "–", "–", "–", "–"],
    ]
    assert [[cell["text"] for cell in row["scores"]] for row in found["rows"]][2:] == [
        ["0.7500", "0.8000"],
        ["0.5000", "1.0000"],
    ]
    assert [cell["sub"] for cell in found["rows"][0]["scores"]] == ["0.890 to 0.910", "chance 0.950"]
    middle = dataclasses.replace(made().baseline, n_better=1, n_worse=2)
    order = [row["baseline"] for row in board(made(baseline=middle), {})["rows"]]
    assert order == [False, True, False, False]


def test_a_rank_interval_is_a_bar_on_a_track_of_as_many_parts_as_teams() -> None:
    """Of four teams each has a quarter of the track; rank 2 of 2 to 3 begins after one and is marked in its middle."""
    teams = (*TEAMS, standing("delta", 0.6, 4, (2, 4), 0.0))
    bars = {row["team"]: row["reach"] for row in board(made(standings=teams), {})["rows"]}
    assert bars["beta"] == {"left": "25.00", "width": "50.00", "spot": "37.50"}
    assert bars["delta"] == {"left": "25.00", "width": "75.00", "spot": "87.50"}


def test_the_score_that_ranks_stands_first_and_one_that_nobody_has_not_at_all() -> None:
    scores = {"DSC": Score(0.8), "TS": Score(0.7), "PS": Score(None)}
    teams = tuple(dataclasses.replace(entry, scores={"hd95_mm": Score(3.0), **scores}) for entry in TEAMS)
    assert shown_scores(made(standings=teams)) == ["TS", "DSC"]
    by_distance = made(standings=teams, by="hd95_mm", lower_is_better=True)
    assert shown_scores(by_distance) == ["hd95_mm", "TS", "DSC"]
    assert board(by_distance, {})["caption"] == "3 teams, ranked by mean HD95 (mm) (lower is better)"
    # By "dsc" the mean of DSC would stand there twice.
    both = tuple(dataclasses.replace(entry, scores={"dsc": Score(0.8), **scores}) for entry in TEAMS)
    assert shown_scores(made(standings=both, by="dsc")) == ["dsc", "TS"]


def test_ranks_under_other_rules_say_how_far_a_team_moves() -> None:
    found = ranks_table(made())
    assert found is not None
    assert titles(found) == ["Team", "Declared", VOXELS, "One patient left out", "Cases resampled"]
    assert texts(found)[:2] == [
        ["alpha", "1 (0.9000)", "1 (0.8000)", "1", "1"],
        ["beta", "2 (0.7500)", "3 ↓1 (0.6500)", "2", "2 to 3"],
    ]
    assert "↑ and ↓" in found["note"]
    assert "↑ and ↓" not in ranks_table(made(standings=(TEAMS[0], TEAMS[2])))["note"]
    assert ranks_table(made(standings=TEAMS[:1])) is None


@pytest.mark.parametrize(("declared", "rank", "text"), [(3, 3, "3"), (3, 1, "1 ↑2"), (3, 10, "10 ↓7")])
def test_moved(declared: int, rank: int, text: str) -> None:
    assert moved(declared, rank) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.1235"), (2.0, "2.0000"), (-2.5, "−2.50"), (147.129, "147.13"), (None, "–")]
)
def test_scores_have_four_decimals_and_lengths_two(value: float | None, text: str) -> None:
    assert number(value, "TS") == text


def test_names_are_those_that_readers_know() -> None:
    assert [score_name(name) for name in ("TS", "dsc", "hd95_mm")] == ["TS", "mean DSC", "mean HD95 (mm)"]
    assert team_name("a\nb" + "x" * 100) == "a b" + "x" * 56 + "…"
