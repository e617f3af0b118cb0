"""What an audit was asked and what it found, in parts. Computes nothing and draws nothing.

Together with the mask folders an `AuditResult` is enough to draw the report again and to compare two audits; its file
is `audit.json`, whose layout `segfair.audit.result.codec` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from segfair.audit.result import codec
from segfair.audit.result.about import About
from segfair.audit.result.attributes import Attributes
from segfair.audit.result.cases import Cases
from segfair.audit.result.scores import Scores
from segfair.audit.result.subgroups import Subgroups
from segfair.audit.result.verdict import Verdict
from segfair.files.placing import write_json

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AuditResult"]


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Everything an audit found.

    Attributes:
        about: What was asked: settings, inputs, versions, the record of the study.
        cases: The cases: how many, each one's scores, the metrics.
        attributes: The attributes and their levels, and how they were made.
        scores: "DSC", "NormHD", "PS", "FS", "TS" -> score; further ones beside them.
        subgroups: Outcome -> its subgroups; what these rest on beside them.
        verdict: The answer, its alerts and its gates.
    """

    about: About
    cases: Cases
    attributes: Attributes
    scores: Scores
    subgroups: Subgroups
    verdict: Verdict

    def records(self) -> list[dict[str, Any]]:
        """The subgroups of all outcomes, most harmful first within each."""
        return [row for table in self.subgroups.values() for row in table.records()]

    @property
    def case_ids(self) -> tuple[str, ...]:
        """The cases whose files were scored, each once; none in an audit that was made to be shared."""
        rows = [str(row) for row in self.cases.scores.column("case")]
        if self.about.config.unit == "lesion":
            rows = [row.rpartition("#")[0] for row in rows]
        return tuple(dict.fromkeys(rows))

    @property
    def rows_file(self) -> str:
        """The table of the rows that were audited."""
        return f"{self.about.config.unit}s.csv"

    def to_frame(self) -> pd.DataFrame:
        """The same as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.records())

    def __repr__(self) -> str:
        """Six lines: what was audited, the answer, the scores, and who is worst off."""
        from segfair.audit.brief import brief_lines

        return "\n".join(brief_lines(self, name=type(self).__name__))

    def to_dict(self) -> dict[str, Any]:
        """The contents of `audit.json`: plain dicts, lists, texts, finite numbers and None."""
        return codec.to_tree(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`.

        Raises:
            InputError: Not an audit, or of another format number.
        """
        return codec.from_tree(tree, cls)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes `audit.json`; refuses a value that JSON cannot hold rather than writing NaN."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Reads `audit.json`, or that of the folder of a report.

        Raises:
            InputError: The file is missing, not JSON, or not an audit of this format.
        """
        return cls.from_dict(codec.read_tree(codec.audit_file(Path(path))))
