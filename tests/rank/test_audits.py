"""An audit of each team: the numbers of `segfair audit` for its folder, without scoring it again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.rank_fixtures import CONFIG, arguments, made_up, noise

from segfair.audit.procedure import run_audit
from segfair.errors import AuditError
from segfair.intake.cohorts import load_cohort
from segfair.rank import audits
from segfair.rank.audits import audit_teams
from segfair.rank.procedure import rank_scored


def test_a_teams_audit_is_that_of_its_folder(ranking, challenge: Path) -> None:
    teams, labels, metadata = arguments(challenge)
    only = dataclasses.replace(
        ranking, scores=dataclasses.replace(ranking.scores, tables={"team03": ranking.scores.tables["team03"]})
    )
    found = audit_teams(only).results["team03"]
    alone = run_audit(
        load_cohort(teams / "team03", labels, metadata), dataclasses.replace(ranking.config, outcomes=("dsc",))
    )
    assert found.subgroups == alone.subgroups
    assert found.scores == alone.scores
    assert found.cases.scores == alone.cases.scores
    assert found.verdict.sentence == alone.verdict.sentence
    assert found.attributes.bins == alone.attributes.bins
    assert found.about.inputs["predictions"] == str(teams / "team03")


def test_a_team_that_cannot_be_audited_is_named(monkeypatch) -> None:
    ranking = rank_scored(made_up({"one": 0.7 + noise(0), "two": 0.7 + noise(1)}), CONFIG)
    plain = audits.run_audit

    def refuse(cohort, config, *, scores, plan):
        if scores is ranking.scores.tables["one"]:
            raise AuditError("no case can be scored")
        return plain(cohort, config, scores=scores, plan=plan)

    monkeypatch.setattr(audits, "run_audit", refuse)
    told: list[str] = []
    found = audit_teams(ranking, on_done=told.append)
    assert set(found.results) == {"two"} and found.failed == {"one": "no case can be scored"}
    assert told == ["one", "two"]
