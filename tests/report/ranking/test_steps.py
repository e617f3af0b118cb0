"""What a team's page advises, and which groups it says are served worse."""

from __future__ import annotations

import dataclasses

import numpy as np
from tests.rank_fixtures import CONFIG, made_up, noise
from tests.report.hand_made import texts
from tests.report.ranking.hand_made import TEAMS, made
from tests.report.ranking.test_teams import PAIRS

from segfair.rank.procedure import rank_scored
from segfair.report.ranking.steps import TeamLinks, level_section, next_steps

LINKS = TeamLinks("../leaderboard.html", "beta.csv", ranking="my ranking")


def test_a_team_is_compared_with_the_one_before_it_and_the_first_with_the_second() -> None:
    ranking = made(pairs=PAIRS)
    codes = [[step["code"] for step in next_steps(entry, ranking, LINKS)][-1] for entry in ranking.standings]
    assert codes == [
        "segfair compare 'my ranking:beta' 'my ranking:alpha'",
        "segfair compare 'my ranking:alpha' 'my ranking:beta'",
        "segfair compare 'my ranking:beta' 'my ranking:gamma'",
    ]


def test_unusable_predictions_and_places_by_luck_are_told_first() -> None:
    steps = next_steps(TEAMS[2], made(pairs=PAIRS), dataclasses.replace(LINKS, audit="gamma/report.html"))
    assert steps[0]["text"].startswith("Mend or hand in the 2 predictions")
    assert "between this team and beta" in steps[1]["text"]
    assert steps[2]["href"] == "gamma/report.html"
    assert not any(step["code"] == "--audits" for step in steps)


def test_what_is_public_names_no_folder() -> None:
    steps = next_steps(TEAMS[0], made(pairs=PAIRS), TeamLinks("../leaderboard.html"))
    assert all(not step["code"] and not step["href"] for step in steps)
    alone = made(standings=TEAMS[:1])
    assert next_steps(TEAMS[0], alone, TeamLinks()) == []


def test_the_worst_served_group_leads() -> None:
    base = 0.7 + noise(3)
    harmed = base - np.where(np.arange(60) % 2 == 0, 0.2, 0.0)
    ranking = rank_scored(made_up({"even": base, "harmed": harmed}, groups="bc" * 30), CONFIG)
    even, worse = (
        level_section(next(entry for entry in ranking.standings if entry.team == team), ranking)
        for team in ("even", "harmed")
    )
    assert worse["items"] == [{"attribute": "breast_density", "level": "b"}]
    assert worse["lead"].startswith(f"is served worse: mean DSC {harmed[::2].mean():.3f} over 30 cases")
    assert even["items"] == [] and even["lead"].startswith("No group of patients is shown to be served worse")
    assert len(texts(worse["table"])) == 2
    assert level_section(TEAMS[0], made()) is None
