"""segfair: fairness auditing and mitigation for medical image segmentation.

    import segfair as sf

    result = sf.audit("preds", "labels", "metadata.csv")
    result.findings, result.plot.groups(), result.report("report")

The names below are loaded when they are first used; importing the package costs nothing. `audit`, `compare` and `rank`
are functions; the rooms of these names are reached by their modules (`from segfair.audit.result import AuditResult`).
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segfair.api.auditing import audit, audit_scores, score
    from segfair.api.comparing import compare, rank
    from segfair.api.results import Audit, AuditComparison, TeamRanking
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
    "Audit",
    "AuditComparison",
    "AuditConfig",
    "AuditResult",
    "Case",
    "Cohort",
    "Comparison",
    "Protocol",
    "Ranking",
    "ScoreCache",
    "SegfairError",
    "TeamRanking",
    "audit",
    "audit_scores",
    "compare",
    "load_cohort",
    "load_protocol",
    "load_score_cohort",
    "load_team_scores",
    "load_teams",
    "rank",
    "rank_scored",
    "run_audit",
    "run_comparison",
    "run_ranking",
    "score",
    "write_comparison",
    "write_ranking",
    "write_report",
]

_HOMES = {
    "Audit": "api.results",
    "AuditComparison": "api.results",
    "AuditConfig": "audit.result",
    "AuditResult": "audit.result",
    "Case": "cases",
    "Cohort": "cases",
    "Comparison": "compare.result",
    "Protocol": "protocol.rules",
    "Ranking": "rank.result",
    "ScoreCache": "scoring.score_cache",
    "SegfairError": "errors",
    "TeamRanking": "api.results",
    "audit": "api.auditing",
    "audit_scores": "api.auditing",
    "compare": "api.comparing",
    "load_cohort": "intake.cohorts",
    "load_protocol": "protocol.rules",
    "load_score_cohort": "intake.cohorts",
    "load_team_scores": "rank.team_tables",
    "load_teams": "rank.teams",
    "rank": "api.comparing",
    "rank_scored": "rank.procedure",
    "run_audit": "audit.procedure",
    "run_comparison": "compare.procedure",
    "run_ranking": "rank.procedure",
    "score": "api.auditing",
    "write_comparison": "report.comparison.files",
    "write_ranking": "report.ranking.files",
    "write_report": "report.files",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"segfair.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'segfair' has no attribute {name!r}")


class _Package(ModuleType):
    """The import system gives a package its rooms as attributes; those with the name of a function leave it be."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
