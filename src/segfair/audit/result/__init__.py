"""What an audit was asked and what it found, part by part: facts only, and their JSON. Computes nothing."""

from segfair.audit.result.about import (
    About,
    AuditConfig,
    PlanDifference,
    PlanFacts,
)
from segfair.audit.result.attributes import (
    AttributeFacts,
    Attributes,
    Bins,
    ColumnFacts,
    LevelFacts,
)
from segfair.audit.result.cases import (
    RESERVED_NAMES,
    TAUGHT_BINS,
    CaseCounts,
    Cases,
    CaseScores,
    Direction,
    MetricFacts,
)
from segfair.audit.result.codec import (
    audit_file,
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
    Scores,
    ToolFacts,
)
from segfair.audit.result.subgroups import (
    Explained,
    Finding,
    OutcomeFacts,
    PowerFacts,
    Stability,
    Subgroups,
    WorstOff,
)
from segfair.audit.result.verdict import (
    Alert,
    Cause,
    GateFacts,
    Verdict,
    distinct_alerts,
)

__all__ = [
    "RESERVED_NAMES",
    "TAUGHT_BINS",
    "About",
    "Alert",
    "AttributeFacts",
    "Attributes",
    "AuditConfig",
    "AuditResult",
    "Bins",
    "CaseCounts",
    "CaseScores",
    "Cases",
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
    "PlanDifference",
    "PlanFacts",
    "PowerFacts",
    "Score",
    "Scores",
    "Stability",
    "Subgroups",
    "ToolFacts",
    "Verdict",
    "WorstOff",
    "audit_file",
    "distinct_alerts",
]
