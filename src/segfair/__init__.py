"""segfair: fairness auditing and mitigation for medical image segmentation.

    cohort = segfair.load_cohort("preds", "labels", "metadata.csv")
    result = segfair.run_audit(cohort)
    segfair.write_report(result, "report")

The names below are loaded when they are first used; importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segfair.audit import run_audit
    from segfair.cases import Case, Cohort
    from segfair.compare.facts import Comparison
    from segfair.compare.report import write_comparison
    from segfair.compare.run import run_comparison
    from segfair.errors import SegfairError
    from segfair.intake.cohorts import load_cohort, load_score_cohort
    from segfair.protocol import Protocol, load_protocol
    from segfair.rank.facts import Ranking
    from segfair.rank.files import write_ranking
    from segfair.rank.run import rank_scored, run_ranking
    from segfair.rank.team_tables import load_team_scores
    from segfair.rank.teams import load_teams
    from segfair.report import write_report
    from segfair.results import AuditConfig, AuditResult

__version__ = "0.1.0"

__all__ = [
    "AuditConfig",
    "AuditResult",
    "Case",
    "Cohort",
    "Comparison",
    "Protocol",
    "Ranking",
    "SegfairError",
    "load_cohort",
    "load_protocol",
    "load_score_cohort",
    "load_team_scores",
    "load_teams",
    "rank_scored",
    "run_audit",
    "run_comparison",
    "run_ranking",
    "write_comparison",
    "write_ranking",
    "write_report",
]

_HOMES = {
    "AuditConfig": "results",
    "AuditResult": "results",
    "Case": "cases",
    "Cohort": "cases",
    "Comparison": "compare.facts",
    "Protocol": "protocol",
    "Ranking": "rank.facts",
    "SegfairError": "errors",
    "load_cohort": "intake.cohorts",
    "load_protocol": "protocol",
    "load_score_cohort": "intake.cohorts",
    "load_team_scores": "rank.team_tables",
    "load_teams": "rank.teams",
    "rank_scored": "rank.run",
    "run_audit": "audit",
    "run_comparison": "compare.run",
    "run_ranking": "rank.run",
    "write_comparison": "compare.report",
    "write_ranking": "rank.files",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"segfair.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'segfair' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
