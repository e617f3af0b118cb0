"""The audited cases as arrays in one row order: of an audit in progress, or of one that was saved. Tests nothing.

Whoever needs arrays asks a panel; nobody rebuilds them from the rows of an `audit.json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.audit.design import Units
from segfair.audit.result import AuditConfig, AuditResult
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import Item

__all__ = ["Panel"]


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """The audited cases in one row order.

    Attributes:
        case_ids: The cases.
        scores: Metric -> (n_cases,), NaN where a case has no value.
        penalised: (n_cases,) whether a case has the worst score by rule, its prediction being unusable.
        attributes: The attributes of the audit, those derived from masks last.
        units: Strata and patients; those of a saved audit have no strata.
        config: Settings of the audit.
    """

    case_ids: tuple[str, ...]
    scores: Mapping[str, NDArray[np.float64]]
    penalised: NDArray[np.bool_]
    attributes: AttributeTable
    units: Units
    config: AuditConfig

    @classmethod
    def of_scores(cls, scores: ScoreTable, attributes: AttributeTable, units: Units, config: AuditConfig) -> Panel:
        """The panel of an audit in progress; scores and attributes are of the same cases in the same order."""
        return cls(
            scores.cases,
            {name: _floats(scores.column(name)) for name in scores.names},
            np.array([score.penalised is not None for score in scores.scores], dtype=bool),
            attributes,
            units,
            config,
        )

    @classmethod
    def of_result(cls, result: AuditResult) -> Panel:
        """The panel of a finished audit; without a case where it was made to be shared."""
        rows = result.cases.scores
        ids = tuple(map(str, rows.column("case"))) if rows.rows else ()
        return cls(
            ids,
            {name: _floats(rows.column(name)) for name in rows.metrics},
            np.array([bool(reason) for reason in rows.column("penalised")] if rows.rows else [], dtype=bool),
            AttributeTable(
                ids, tuple(_attribute(result, name) for name in rows.attributes if name in result.attributes.bins), {}
            ),
            Units(subjects=np.array(rows.subjects, dtype=np.intp) if rows.subjects else None),
            result.about.config,
        )

    def __len__(self) -> int:
        return len(self.case_ids)

    def select(self, where: NDArray[np.intp]) -> Panel:
        """The cases `where`, in that order."""
        return dataclasses.replace(
            self,
            case_ids=tuple(self.case_ids[index] for index in where),
            scores={name: values[where] for name, values in self.scores.items()},
            penalised=self.penalised[where],
            attributes=self.attributes.select(where),
            units=self.units.select(where),
        )

    def of_cases(self, case_ids: Sequence[str]) -> Panel:
        """The named cases, in the order of their names."""
        place = {case: index for index, case in enumerate(self.case_ids)}
        return self.select(np.array([place[case] for case in case_ids], dtype=np.intp))

    def is_complete(self, *metrics: str) -> bool:
        """Whether every case has a value of each metric."""
        return all(name in self.scores and bool(np.isfinite(self.scores[name]).all()) for name in metrics)

    def defined(self, metric: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Rows with a value of a metric, and the values."""
        values = self.scores[metric]
        where = np.flatnonzero(np.isfinite(values))
        return where, values[where]

    def members(self, items: frozenset[Item]) -> NDArray[np.bool_]:
        """(n_cases,) whether a case has all items of a subgroup; nobody has an item of an unknown attribute."""
        inside = np.ones(len(self), dtype=bool)
        names = {attribute.name for attribute in self.attributes.attributes}
        for name, level in items:
            attribute = self.attributes[name] if name in names else None
            known = attribute is not None and level in attribute.levels
            inside &= attribute.codes == attribute.levels.index(level) if attribute is not None and known else False
        return inside

    def stream(self, purpose: str) -> np.random.Generator:
        """Randomness of its own for each purpose."""
        return self.config.resampling.stream(purpose)


def _floats(column: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in column], dtype=np.float64)


def _attribute(result: AuditResult, name: str) -> Attribute:
    """An attribute of a finished audit, from the levels that its rows hold."""
    bins = result.attributes.bins[name]
    code_of = {level: code for code, level in enumerate(bins.levels)}
    codes = np.array([code_of.get(level, -1) for level in result.cases.scores.column(name)], dtype=np.int16)
    return Attribute(name, bins.levels, codes, bins.column, bins.binning, bins.edges)
