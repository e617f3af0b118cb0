"""The cases of an audit: how many, what became of the others, and each one's scores. Facts only: scores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from segfair.audit.result.gallery import Gallery

if TYPE_CHECKING:
    import pandas as pd

    from segfair.subgroups.lattice import Better

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

    def worst_first(self, outcome: str, better: Better) -> list[int]:
        """Rows with a value of an outcome, the worst first; of equal ones the larger miss, then the id decides."""
        sign = 1 if better == "higher" else -1
        values, missed, ids = self.column(outcome), self._missed(), self.column("case")
        known = (index for index, value in enumerate(values) if value is not None)
        return sorted(known, key=lambda index: (sign * values[index], -missed[index], str(ids[index])))

    @property
    def nothing_predicted(self) -> tuple[bool, ...]:
        """Of each row, whether its prediction could be used and is empty, and its label is not.

        The masks are gone: an empty prediction has a relative volume error of -1. Protocols without that metric give
        it the worst scores, DSC 0 and NormHD 1.
        """
        signs = {"relative_volume_error": -1.0}
        if "relative_volume_error" not in self.metrics:
            signs = {"dsc": 0.0, "normhd": 1.0}
        if not signs.keys() <= set(self.metrics):
            return (False,) * len(self.rows)
        columns = [[value == sign for value in self.column(name)] for name, sign in signs.items()]
        usable = [not reason for reason in self.column("penalised")]
        return tuple(map(all, zip(usable, *columns, strict=True)))

    @property
    def lesion_size(self) -> str:
        """What the size of a lesion is called: its volume, or in pictures its area."""
        from segfair.scoring.scores import LABEL_SIZES

        size = next((name for name in LABEL_SIZES if name in self.metrics), "")
        return "lesion area" if size.startswith("area") else "lesion volume"

    def _missed(self) -> list[float]:
        """How much of label and prediction do not overlap, in the unit of the label's size; 0 where it is not known."""
        # What only reads a result needs nothing that scores.
        from segfair.scoring.scores import LABEL_SIZES

        size = next((name for name in LABEL_SIZES if name in self.metrics), None)
        if size is None:
            return [0.0] * len(self.rows)
        sizes = [float(value or 0.0) for value in self.column(size)]
        if not {"relative_volume_error", "dsc"} <= set(self.metrics):
            return sizes
        parts = zip(sizes, self.column("relative_volume_error"), self.column("dsc"), strict=True)
        return [label * (2 + (error or 0.0)) * (1 - (dice or 0.0)) for label, error, dice in parts]

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
