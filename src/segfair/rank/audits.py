"""An audit of each team of a ranking, from the scores that the ranking has already. Scores no mask, draws nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from segfair.audit.procedure import run_audit
from segfair.audit.result import AuditResult
from segfair.errors import SegfairError
from segfair.rank.procedure import attribute_plan
from segfair.rank.result import Ranking, TeamAudits

__all__ = ["audit_teams"]


def audit_teams(ranking: Ranking, *, on_done: Callable[[str], None] = lambda _: None) -> TeamAudits:
    """Audits every team: what `segfair audit` says of its folder under the settings of the ranking.

    Args:
        ranking: The ranking; its pictures of worst cases are the audits', too.
        on_done: Called with each team once it is audited.
    """
    cohort = ranking.scores.cohort
    # As declared, and made once: what was joined for the ranking has no texts left to join.
    plan = attribute_plan(cohort, ranking.config)
    config = dataclasses.replace(ranking.config, outcomes=(ranking.lead,))
    results: dict[str, AuditResult] = {}
    failed: dict[str, str] = {}
    for team, table in ranking.scores.tables.items():
        inputs = {**cohort.inputs}
        if "teams" in inputs:
            inputs = {"predictions": inputs.pop("teams") / team, **inputs}
        try:
            found = run_audit(
                dataclasses.replace(cohort, inputs=inputs, excluded=ranking.scores.excluded),
                config,
                scores=table,
                plan=plan,
            )
        except SegfairError as error:
            failed[team] = str(error)
        else:
            pictures = dataclasses.replace(found.cases, gallery=ranking.galleries.get(team))
            results[team] = dataclasses.replace(found, cases=pictures)
        on_done(team)
    return TeamAudits(results, failed)
