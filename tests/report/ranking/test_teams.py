"""Teams beside each other on the leaderboard: what is drawn, said, and left out where labels are private."""

from __future__ import annotations

import numpy as np
import pytest
from tests.rank_fixtures import CONFIG, made_up, noise
from tests.report.hand_made import texts
from tests.report.ranking.hand_made import made

from segfair.rank.procedure import rank_scored
from segfair.rank.result import Pairs, Ranking, Verdict
from segfair.report.ranking.figures import MOST_DOTS
from segfair.report.ranking.teams import pair_section, score_section

PAIRS = Pairs(
    ("alpha", "beta", "gamma"),
    ((0.5, 0.9, 1.0), (0.1, 0.5, 0.6), (0.0, 0.4, 0.5)),
    ((False, False, True), (False, False, False), (False, False, False)),
)


@pytest.fixture(scope="module")
def many() -> Ranking:
    """Two teams, four hundred cases."""
    base = 0.7 + noise(0, 400)
    return rank_scored(made_up({"a": base, "b": base + 0.1}), CONFIG)


def test_pairs_are_told_in_words_as_well() -> None:
    section = pair_section(made(pairs=PAIRS, verdict=Verdict("alpha", "alpha wins")))
    assert section is not None
    assert section["lead"].startswith("1 of 3 pairs of teams is told apart beyond chance by TS.")
    assert texts(section["figure"]["data"]) == [
        ["alpha", "gamma", "beta"],
        ["beta", "–", "alpha, gamma"],
        ["gamma", "–", "beta"],
    ]
    assert section["winner"].startswith("alpha is the winner because")
    assert pair_section(made(pairs=PAIRS, verdict=Verdict(None, "")))["winner"] == ""
    assert pair_section(made(pairs=Pairs(("alpha",), ((0.5,),), ((False,),)))) is None


def test_of_many_cases_evenly_many_of_every_score_are_drawn(many: Ranking) -> None:
    boxes = score_section(many, private=False)["boxes"]
    assert f"dot: a case ({MOST_DOTS} of 400, evenly of all scores)" in boxes["caption"]
    assert boxes["svg"].count("h0") == 2 * MOST_DOTS
    values = many.scores.tables["a"].defined("dsc")[1]
    row = texts(boxes["data"])[1]
    assert row == ["a", *(f"{value:.3f}" for value in np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))]


def test_private_pages_show_no_score_of_a_single_case(many: Ranking) -> None:
    section = score_section(many, private=True)
    assert (section["boxes"], section["podium"]) == (None, None)
    assert section["dots"] is not None
    assert texts(score_section(many, private=False)["podium"]) == [
        ["b", "400", "0", "0", "0"],
        ["a", "0", "400", "0", "0"],
    ]
