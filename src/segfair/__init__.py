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
    from segfair.compare import run_comparison
    from segfair.comparison import Comparison
    from segfair.comparison_report import write_comparison
    from segfair.errors import SegfairError
    from segfair.intake import load_cohort, load_score_cohort
    from segfair.protocol import Protocol, load_protocol
    from segfair.rank import rank_scored, run_ranking
    from segfair.rank_facts import Ranking
    from segfair.rank_files import write_ranking
    from segfair.report import write_report
    from segfair.results import AuditConfig, AuditResult
    from segfair.team_tables import load_team_scores
    from segfair.teams import load_teams

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
    "Comparison": "comparison",
    "Protocol": "protocol",
    "Ranking": "rank_facts",
    "SegfairError": "errors",
    "load_cohort": "intake",
    "load_protocol": "protocol",
    "load_score_cohort": "intake",
    "load_team_scores": "team_tables",
    "load_teams": "teams",
    "rank_scored": "rank",
    "run_audit": "audit",
    "run_comparison": "compare",
    "run_ranking": "rank",
    "write_comparison": "comparison_report",
    "write_ranking": "rank_files",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"segfair.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'segfair' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
