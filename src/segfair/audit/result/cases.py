"""The cases of an audit: how many, what became of the others, and each one's scores. Facts only: scores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from segfair.audit.result.gallery import Gallery

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RESERVED_NAMES", "TAUGHT_BINS", "CaseCounts", "CaseScores", "Cases", "Direction", "MetricFacts"]

Direction = Literal["higher", "lower", "signed", "neither"]
"""Which values of a metric are better; a signed one is best at zero."""
TAUGHT_BINS = "taught the bins, and so is not audited"
"""Why a case is excluded that was scored, and used to learn the bins of an attribute."""
# In a row of `case_scores` or of an attribute's levels a metric stands beside these.
RESERVED_NAMES = frozenset({"case", "penalised", "level", "n", "small", "median", "ci", "failure_rate", "failure_ci"})


@dataclass(frozen=True, slots=True)
class CaseCounts:
    """How many cases were scored, and what became of the others.

    Attributes:
        n_scored: Cases in every mean, the penalised ones included.
        penalised: Case -> why it got the worst score.
        missing_predictions: Cases without a prediction.
        excluded: Case -> why it is in no mean.
        label_sha256: Case -> digest of the voxels of its label that count, where masks were scored.
    """

    n_scored: int
    penalised: Mapping[str, str]
    missing_predictions: tuple[str, ...]
    excluded: Mapping[str, str]
    label_sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_taught(self) -> int:
        """Of the excluded, those that taught the bins; nothing is wrong with them."""
        return sum(reason == TAUGHT_BINS for reason in self.excluded.values())

    @property
    def unusable(self) -> dict[str, str]:
        """Of the excluded, those that could not be audited."""
        return {case: reason for case, reason in self.excluded.items() if reason != TAUGHT_BINS}


@dataclass(frozen=True, slots=True)
class CaseScores:
    """One row a case: id, metrics (None: undefined), `penalised` (reason or empty), attribute levels.

    Attributes:
        columns: Column names; `metrics` and `attributes` say which is which.
        rows: The rows.
        subjects: A running number for the patient of each row; empty where every case is a patient of its own.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    metrics: tuple[str, ...]
    attributes: tuple[str, ...]
    subjects: tuple[int, ...] = ()

    def column(self, name: str) -> list[Any]:
        """One column, in row order."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]

    def records(self) -> list[dict[str, Any]]:
        """The rows by the names of their columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a data frame."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=list(self.columns))


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """How one metric was defined, and how many cases had no value."""

    name: str
    unit: str
    better: Direction
    definition: str
    empty_rule: str
    n_undefined: int


@dataclass(frozen=True, slots=True)
class Cases:
    """What was scored, and how.

    Attributes:
        counts: How many cases, and what became of the others.
        scores: One row a case; without rows in an audit that was made to be shared.
        metrics: How each metric was defined.
        gallery: Pictures of the worst cases; None: there are none.
    """

    counts: CaseCounts
    scores: CaseScores
    metrics: tuple[MetricFacts, ...]
    gallery: Gallery | None = None
