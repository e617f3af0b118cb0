"""What an audit was asked and what it found, part by part: facts only, and their JSON. Computes nothing."""

from segfair.audit.result.cases import RESERVED_NAMES, TAUGHT_BINS, Bins, CaseCounts, CaseScores, ColumnFacts
from segfair.audit.result.findings import Alert, GateFacts, OutcomeFacts, PowerFacts, Verdict, distinct_alerts
from segfair.audit.result.result import FORMAT, AuditResult
from segfair.audit.result.scores import (
    AttributeFacts,
    Chance,
    Definition,
    FairnessScore,
    LevelFacts,
    MetricFacts,
    Score,
)
from segfair.audit.result.settings import AuditConfig

__all__ = [
    "FORMAT",
    "RESERVED_NAMES",
    "TAUGHT_BINS",
    "Alert",
    "AttributeFacts",
    "AuditConfig",
    "AuditResult",
    "Bins",
    "CaseCounts",
    "CaseScores",
    "Chance",
    "ColumnFacts",
    "Definition",
    "FairnessScore",
    "GateFacts",
    "LevelFacts",
    "MetricFacts",
    "OutcomeFacts",
    "PowerFacts",
    "Score",
    "Verdict",
    "distinct_alerts",
]
