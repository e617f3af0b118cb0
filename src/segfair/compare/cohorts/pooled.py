"""Cases of several audits in one table: the attributes that all of them have, levels brought to one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes.fit import Attribute, AttributeTable
from segfair.audit.panel import Panel
from segfair.audit.result import AuditConfig, AuditResult
from segfair.compare.comparability import require_same_scoring
from segfair.errors import InputError, some
from segfair.subgroups.lattice import Membership, with_levels
from segfair.subgroups.search import search_subgroups

__all__ = ["Pooled", "pool"]


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """The cases of several audits that have a value of one outcome, one audit after the other.

    Attributes:
        config: Settings of the first audit, which hold.
        values: (n_cases,) the outcome.
        cohort: (n_cases,) from which audit, rising.
        subjects: (n_cases,) codes of patients, no two audits sharing one; None: every case is a patient.
        attributes: Those that all audits have with the same bins.
        n_cohorts: Audits.
        notices: What is left out, and why.
    """

    config: AuditConfig
    values: NDArray[np.float64]
    cohort: NDArray[np.intp]
    subjects: NDArray[np.intp] | None
    attributes: AttributeTable
    n_cohorts: int
    notices: tuple[str, ...]

    def of(self, *cohorts: int) -> NDArray[np.bool_]:
        """(n_cases,) whether a case is of one of these audits."""
        return np.isin(self.cohort, cohorts)

    def sample(self, members: NDArray[np.bool_], *cohorts: int) -> stats.Sample:
        """The cases of some audits, with the rows of a membership."""
        where = self.of(*cohorts)
        subjects = None if self.subjects is None else self.subjects[where]
        return stats.Sample(members[:, where], self.values[where], subjects)

    def stream(self, purpose: str) -> np.random.Generator:
        """Randomness of its own for each purpose."""
        return self.config.resampling.stream(f"cohorts/{purpose}")

    def subgroups(self) -> Membership:
        """The subgroups of all cases that are searched, every level among them."""
        lattice, _ = search_subgroups(self.attributes, self.config.bounds)
        return with_levels(lattice, self.attributes, min_cases=1)


def pool(results: Sequence[AuditResult], outcome: str) -> Pooled:
    """Puts the cases of audits into one table.

    Raises:
        InputError: Other rules of scoring, an audit without its cases, or one without a value of the outcome.
    """
    for result in results:
        if result.about.shared or not result.cases.scores.rows:
            raise InputError("an audit.json without the scores of its cases cannot be compared; use the one not shared")
    for result in results[1:]:
        require_same_scoring(results[0], result)
    panels = [Panel.of_result(result) for result in results]
    kept, notices = [], []
    for place, panel in enumerate(panels):
        where, _ = panel.defined(outcome)
        if not len(where):
            raise InputError(f"audit {place + 1}: no case has a value of {outcome}; compare another --outcome")
        if len(where) < len(panel):
            notices.append(f"audit {place + 1}: {len(panel) - len(where)} cases without a value of {outcome}, left out")
        kept.append(panel.select(where))
    names, left = _shared(results)
    if left:
        notices.append(f"attributes that not all audits have alike, so not compared: {some(left)}")
    ids = tuple(f"{place}/{case}" for place, panel in enumerate(kept) for case in panel.case_ids)
    table = AttributeTable(ids, tuple(_joined(name, kept) for name in names), {})
    sizes = [len(panel) for panel in kept]
    return Pooled(
        results[0].about.config,
        np.concatenate([panel.scores[outcome] for panel in kept]),
        np.repeat(np.arange(len(kept)), sizes),
        _subjects(kept),
        table,
        len(kept),
        tuple(notices),
    )


def _shared(results: Sequence[AuditResult]) -> tuple[list[str], list[str]]:
    """Attributes that all audits have with the same column and bins, and the others."""
    every = list(dict.fromkeys(name for result in results for name in result.cases.scores.attributes))
    shared = []
    for name in every:
        bins = [result.attributes.bins.get(name) for result in results]
        if all(entry is not None for entry in bins) and len({(e.column, e.edges) for e in bins if e is not None}) == 1:
            shared.append(name)
    return shared, [name for name in every if name not in shared]


def _joined(name: str, panels: Sequence[Panel]) -> Attribute:
    """One attribute over all audits, levels in the order in which audits first have them."""
    parts = [panel.attributes[name] for panel in panels]
    levels = tuple(dict.fromkeys(level for part in parts for level in part.levels))
    codes = [
        np.array([levels.index(level) for level in part.levels] + [-1], dtype=np.int16)[part.codes] for part in parts
    ]
    first = parts[0]
    return Attribute(name, levels, np.concatenate(codes), first.column, first.binning, first.edges, first.missing)


def _subjects(panels: Sequence[Panel]) -> NDArray[np.intp] | None:
    """Patients of all audits; those of different audits are different patients."""
    if all(panel.units.subjects is None for panel in panels):
        return None
    codes, used = [], 0
    for panel in panels:
        own = np.arange(len(panel)) if panel.units.subjects is None else panel.units.subjects
        own = np.unique(own, return_inverse=True)[1]
        codes.append(own + used)
        used += int(own.max(initial=-1)) + 1
    return np.concatenate(codes).astype(np.intp)
