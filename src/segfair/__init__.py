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
    from segfair.audit.procedure import run_audit
    from segfair.audit.result import AuditConfig, AuditResult
    from segfair.cases import Case, Cohort
    from segfair.compare.procedure import run_comparison
    from segfair.compare.result import Comparison
    from segfair.errors import SegfairError
    from segfair.intake.cohorts import load_cohort, load_score_cohort
    from segfair.protocol.rules import Protocol, load_protocol
    from segfair.rank.procedure import rank_scored, run_ranking
    from segfair.rank.result import Ranking
    from segfair.rank.team_tables import load_team_scores
    from segfair.rank.teams import load_teams
    from segfair.report.comparison.files import write_comparison
    from segfair.report.files import write_report
    from segfair.report.ranking.files import write_ranking
    from segfair.scoring.score_cache import ScoreCache

__version__ = "0.1.0"

__all__ = [
    "AuditConfig",
    "AuditResult",
    "Case",
    "Cohort",
    "Comparison",
    "Protocol",
    "Ranking",
    "ScoreCache",
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
    "AuditConfig": "audit.result",
    "AuditResult": "audit.result",
    "Case": "cases",
    "Cohort": "cases",
    "Comparison": "compare.result",
    "Protocol": "protocol.rules",
    "Ranking": "rank.result",
    "ScoreCache": "scoring.score_cache",
    "SegfairError": "errors",
    "load_cohort": "intake.cohorts",
    "load_protocol": "protocol.rules",
    "load_score_cohort": "intake.cohorts",
    "load_team_scores": "rank.team_tables",
    "load_teams": "rank.teams",
    "rank_scored": "rank.procedure",
    "run_audit": "audit.procedure",
    "run_comparison": "compare.procedure",
    "run_ranking": "rank.procedure",
    "write_comparison": "report.comparison.files",
    "write_ranking": "report.ranking.files",
    "write_report": "report.files",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"segfair.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'segfair' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
