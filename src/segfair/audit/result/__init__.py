"""What an audit was asked and what it found, part by part: facts only, and their JSON. Computes nothing."""

from segfair.audit.result.attributes import (
    AttributeFacts,
    Bins,
    ColumnFacts,
    LevelFacts,
)
from segfair.audit.result.cases import (
    RESERVED_NAMES,
    TAUGHT_BINS,
    CaseCounts,
    CaseScores,
    Direction,
    MetricFacts,
)
from segfair.audit.result.findings import (
    Alert,
    Cause,
    Explained,
    Finding,
    GateFacts,
    OutcomeFacts,
    PowerFacts,
    Stability,
    Verdict,
    WorstOff,
    distinct_alerts,
)
from segfair.audit.result.result import (
    AuditResult,
)
from segfair.audit.result.scores import (
    Chance,
    Definition,
    FairnessScore,
    Interval,
    Score,
)
from segfair.audit.result.settings import (
    AuditConfig,
)

__all__ = [
    "RESERVED_NAMES",
    "TAUGHT_BINS",
    "Alert",
    "AttributeFacts",
    "AuditConfig",
    "AuditResult",
    "Bins",
    "CaseCounts",
    "CaseScores",
    "Cause",
    "Chance",
    "ColumnFacts",
    "Definition",
    "Direction",
    "Explained",
    "FairnessScore",
    "Finding",
    "GateFacts",
    "Interval",
    "LevelFacts",
    "MetricFacts",
    "OutcomeFacts",
    "PowerFacts",
    "Score",
    "Stability",
    "Verdict",
    "WorstOff",
    "distinct_alerts",
]
