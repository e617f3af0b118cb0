"""Which predictions are whose: folders of teams, what is missing in them, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.rank_fixtures import CONFIG, arguments

from segfair.audit.result import AuditConfig
from segfair.errors import InputError, PairingError
from segfair.rank.procedure import run_ranking
from segfair.rank.teams import load_teams
from segfair.report.ranking.files import write_ranking


def test_a_team_without_any_usable_file_is_ranked_and_named(challenge: Path, tmp_path: Path) -> None:
    teams = tmp_path / "teams"
    (teams / "nested" / "inside").mkdir(parents=True)
    shutil.copy(challenge / "teams" / "team01" / "QX000Z.nii", teams / "nested" / "inside")
    shutil.copytree(challenge / "teams" / "team01", teams / "usable")
    (teams / "foreign").mkdir()
    shutil.copy(challenge / "teams" / "team01" / "QX000Z.nii", teams / "foreign" / "other.nii")
    cohort, found = load_teams(teams, challenge / "labels", challenge / "metadata.csv")
    assert [bool(team.problem) for team in found] == [True, True, False]
    ranking = run_ranking(cohort, found, CONFIG)
    assert [entry.n_missing for entry in ranking.standings if entry.team != "usable"] == [39, 39]
    problems = [alert.text for alert in ranking.alerts if alert.kind == "problem"]
    assert len(problems) == 2
    page = write_ranking(ranking, tmp_path / "out", private_labels=True)
    assert "QX000Z" not in page.read_text("utf-8"), "what a folder holds is not published"
    assert "nested: no prediction could be used." in page.read_text("utf-8")


def test_wrong_folders_are_refused(challenge: Path, tmp_path: Path) -> None:
    labels, metadata = challenge / "labels", challenge / "metadata.csv"
    with pytest.raises(InputError, match="does not exist"):
        load_teams(tmp_path / "gone", labels, metadata)
    with pytest.raises(InputError, match="put each team's masks into a folder of its own"):
        load_teams(challenge / "teams" / "team01", labels, metadata)
    few = tmp_path / "few" / "team"
    few.mkdir(parents=True)
    shutil.copy(challenge / "teams" / "team01" / "QX000Z.nii", few)
    with pytest.raises(PairingError, match="39 of 40 labels"):
        load_teams(tmp_path / "few", labels, metadata)
    chosen = tmp_path / "cases.txt"
    chosen.write_text("QX000Z\n")
    cohort, teams = load_teams(tmp_path / "few", labels, metadata, cases=str(chosen))
    assert (cohort.ids, len(teams)) == (("QX000Z",), 1)


def test_strict_stops_at_the_first_unusable_file(challenge: Path) -> None:
    cohort, teams = load_teams(*arguments(challenge))
    with pytest.raises(InputError, match="team corrupt, case QX004Z"):
        run_ranking(cohort, teams, AuditConfig(CONFIG.protocol, strict=True))
