"""A team of a saved ranking is the audit it was, and is compared as two audits are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.rank_fixtures import CONFIG, HOSTILE, made_up, noise

from segfair.compare.procedure import run_comparison
from segfair.errors import InputError
from segfair.rank.audits import audit_teams
from segfair.rank.procedure import rank_scored
from segfair.rank.result import Ranking
from segfair.rank.saved import load_audited, team_audit
from segfair.report.ranking.files import write_ranking


@pytest.fixture(scope="module")
def two() -> Ranking:
    return rank_scored(made_up({"a:b": 0.7 + noise(0), HOSTILE: 0.75 + noise(1)}), CONFIG)


def test_what_was_saved_is_what_is_read(two: Ranking, tmp_path: Path) -> None:
    write_ranking(two, tmp_path / "out")
    for team in ("a:b", HOSTILE):
        for place in (tmp_path / "out", tmp_path / "out" / "rank.json"):
            found = load_audited(Path(f"{place}:{team}"))
            assert found.result == team_audit(two, team)
            assert (found.name, found.file) == (team, tmp_path / "out" / "rank.json")


def test_teams_of_masks_are_saved_with_labels_and_reasons(ranked, ranking: Ranking) -> None:
    found = load_audited(Path(f"{ranked[0]}:corrupt")).result
    assert found.cases.counts == team_audit(ranking, "corrupt").cases.counts
    assert len(found.cases.counts.penalised) == 3 and len(found.cases.counts.label_sha256) == 39


def test_two_teams_are_compared_as_their_audits_are(two: Ranking) -> None:
    audits = audit_teams(two).results
    names = ("a:b", HOSTILE)
    saved = run_comparison(*(team_audit(two, team) for team in names))
    whole = run_comparison(*(audits[team] for team in names))
    assert saved.verdict == whole.verdict
    assert (saved.metrics, saved.scores, saved.subgroups) == (whole.metrics, whole.scores, whole.subgroups)


def test_an_audit_goes_by_its_folder(two: Ranking, tmp_path: Path) -> None:
    write_ranking(two, tmp_path, audits=audit_teams(two))
    found = load_audited(tmp_path / "teams" / "a-b")
    assert found.name == "a-b" and found.file == tmp_path / "teams" / "a-b" / "audit.json"


def test_what_cannot_be_compared_says_why(two: Ranking, tmp_path: Path) -> None:
    write_ranking(two, tmp_path / "out", private_labels=True)
    with pytest.raises(InputError, match=r"no team 'a:c' \(did you mean a:b\?"):
        load_audited(Path(f"{tmp_path / 'out'}:a:c"))
    with pytest.raises(InputError, match=r"no rank\.json in .*public.*private labels it lies in"):
        load_audited(Path(f"{tmp_path / 'out' / 'public'}:a:b"))
    with pytest.raises(InputError, match="no such file"):
        load_audited(tmp_path / "nowhere:a")
    file = tmp_path / "out" / "rank.json"
    tree = json.loads(file.read_text("utf-8"))
    del tree["case_scores"]
    file.write_text(json.dumps(tree), "utf-8")
    with pytest.raises(InputError, match="holds no scores of cases"):
        load_audited(Path(f"{file}:a:b"))
    with pytest.raises(InputError, match="no team"):
        team_audit(two, "nobody")
