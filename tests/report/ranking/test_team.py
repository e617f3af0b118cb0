"""The page of one team: its worst cases, and under private labels nothing of what the labels are like."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.rank_fixtures import FAILED, arguments

from segfair.gallery.teams import with_galleries
from segfair.rank.teams import load_teams
from segfair.report.ranking.files import write_ranking


def test_teams_see_their_worst_cases(ranked, ranking, challenge: Path, tmp_path: Path) -> None:
    page = (ranked[0] / "teams" / "corrupt.html").read_text("utf-8")
    assert page.count('class="card"') == 6
    gallery = page[page.index('class="gallery"') :].partition("<table")[0]
    assert not any(case in gallery for case in FAILED), "there is nothing to draw of an unusable file"
    _, teams = load_teams(*arguments(challenge))
    drawn = with_galleries(ranking, teams)
    assert set(drawn.galleries) == {team.name for team in teams}
    table = ranking.scores.tables["team07"]
    worst = sorted(table.scores, key=lambda score: (score.values["dsc"], score.case))[:6]
    assert drawn.galleries["team07"].groups[0].cases == tuple(score.case for score in worst)
    public = write_ranking(drawn, tmp_path, private_labels=True).parent
    assert not any('class="card"' in path.read_text("utf-8") for path in public.rglob("*.html")), "nor is it in public"


def test_private_pages_of_teams_do_not_tell_what_the_labels_are_like(ranking, tmp_path: Path) -> None:
    mask_alerts = {
        "the label is empty under this protocol: it holds the values 7, and only 1 counts": 12,
        "scored voxel by voxel although the grids differ: label is 3x3x3 of 1 mm": 13,
        "the prediction is empty under this protocol: it holds the values 2, and only 1 counts": 14,
    }
    noticed = dataclasses.replace(
        ranking, standings=tuple(dataclasses.replace(entry, alerts=mask_alerts) for entry in ranking.standings)
    )
    write_ranking(noticed, tmp_path / "private", private_labels=True)
    for page in (tmp_path / "private" / "public" / "teams").glob("*.html"):
        text = page.read_text("utf-8")
        assert "label is empty" not in text and "(12 cases)" not in text, page.name
        assert "grids differ" not in text and "(13 cases)" not in text, page.name
        assert "the prediction is empty" in text and "(14 cases)" in text, "that is the team's own"
    write_ranking(noticed, tmp_path / "open")
    assert "(12 cases)" in (tmp_path / "open" / "teams" / "team01.html").read_text("utf-8")
