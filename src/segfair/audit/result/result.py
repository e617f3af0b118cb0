"""What an audit was asked and what it found. Computes nothing and draws nothing.

Together with the mask folders an `AuditResult` is enough to draw the report again and to compare two audits; its file
is `audit.json`, whose layout `segfair.audit.result.codec` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segfair.audit.result import codec
from segfair.audit.result.attributes import AttributeFacts, Bins, ColumnFacts
from segfair.audit.result.cases import CaseCounts, CaseScores, MetricFacts
from segfair.audit.result.findings import Alert, Finding, GateFacts, OutcomeFacts, PowerFacts, Verdict, WorstOff
from segfair.audit.result.gallery import Gallery
from segfair.audit.result.scores import Definition, FairnessScore, Score
from segfair.audit.result.second_labels import TwoRulers
from segfair.audit.result.settings import AuditConfig
from segfair.cases import Join
from segfair.subgroups.lattice import SubgroupTable
from segfair.subgroups.search import Search

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AuditResult"]


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Everything an audit found.

    Attributes:
        config: The settings; `config.protocol` holds the scoring rules.
        inputs: Role -> path, as handed in.
        versions: Package -> version.
        cases, case_scores, metrics, bins: What was scored, and how.
        binning: The plan that made the attributes (`BinningPlan.to_dict`), to apply it to other cases.
        left_out: Metadata column -> why it became no attribute.
        notices, alerts: For the reader.
        scores: "DSC", "NormHD", "PS", "FS", "TS" -> score.
        fairness: Further fairness scores.
        definitions: The scores under other definitions of NormHD.
        attributes: Per attribute and level.
        outcomes, subgroups: Outcome -> what its table rests on, and the table.
        primary_subgroups: The levels of the primary attributes, a family of their own.
        search: Which subgroups were looked for; None in an audit.json of a version that did not say.
        power: What the cohort could have shown.
        verdict: The answer.
        findings: What explains the significant subgroups of the primary outcome, most harmful first.
        worst_off: The subgroup of which most speaks that it is worse, beyond chance or not; None: none is.
        gates: Gates and how they went.
        columns: Metadata column -> how it was read, and what was missing.
        joined: How rows of the table and cases were joined; None where there was no table to join.
        record: What the user says about the study.
        pseudonym_key: Fingerprint of the key behind the pseudonyms that stand for ids; empty: there are none.
        shared: Whether this was made to be handed on: groups of few cases and all rows of cases are left out.
        two_rulers: The same predictions against a second set of labels; None: there was none.
        gallery: Pictures of the worst cases; None: there are none.
    """

    config: AuditConfig
    inputs: Mapping[str, str]
    versions: Mapping[str, str]
    cases: CaseCounts
    case_scores: CaseScores
    metrics: tuple[MetricFacts, ...]
    bins: Mapping[str, Bins]
    left_out: Mapping[str, str]
    notices: tuple[str, ...]
    alerts: tuple[Alert, ...]
    scores: Mapping[str, Score]
    definitions: tuple[Definition, ...]
    attributes: tuple[AttributeFacts, ...]
    outcomes: Mapping[str, OutcomeFacts]
    subgroups: Mapping[str, SubgroupTable]
    verdict: Verdict
    fairness: tuple[FairnessScore, ...] = ()
    primary_subgroups: SubgroupTable | None = None
    power: tuple[PowerFacts, ...] = ()
    gates: tuple[GateFacts, ...] = ()
    joined: Join | None = None
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    binning: Mapping[str, Any] = field(default_factory=dict)
    pseudonym_key: str = ""
    shared: bool = False
    two_rulers: TwoRulers | None = None
    gallery: Gallery | None = None
    search: Search | None = None
    findings: tuple[Finding, ...] = ()
    worst_off: WorstOff | None = None

    @property
    def primary_outcome(self) -> str:
        """The outcome whose subgroups were tested as declared."""
        return self.config.outcomes[0]

    def to_frame(self) -> pd.DataFrame:
        """The subgroups of all outcomes, most harmful first within each."""
        import pandas as pd

        frames = [table.to_frame() for table in self.subgroups.values() if len(table)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _repr_html_(self) -> str:
        """Scores and worst subgroups for a notebook; escaped."""
        import pandas as pd

        scores = pd.DataFrame([{"score": name, "value": score.value} for name, score in self.scores.items()])
        worst = self.subgroups[self.primary_outcome].worst(10)
        groups = pd.DataFrame(
            [
                {"subgroup": row.subgroup.name, "n": row.n, "mean": row.mean, "divergence": row.divergence}
                for row in worst
            ]
        )
        return "\n".join(frame.to_html(index=False, escape=True, border=0) for frame in (scores, groups))

    def to_dict(self) -> dict[str, Any]:
        """The contents of `audit.json`: plain dicts, lists, texts, finite numbers and None."""
        return codec.to_tree(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> AuditResult:
        """The inverse of `to_dict`.

        Raises:
            InputError: Not an audit, or of another format number.
        """
        return codec.from_tree(tree, cls)

    def save(self, path: Path) -> None:
        """Writes `audit.json`; refuses a value that JSON cannot hold rather than writing NaN."""
        codec.write_tree(self.to_dict(), path)

    @classmethod
    def load(cls, path: Path) -> AuditResult:
        """Reads `audit.json`.

        Raises:
            InputError: The file is missing, not JSON, or not an audit of this format.
        """
        return cls.from_dict(codec.read_tree(path))
