"""The subgroups of an audit: their tables, and what these rest on. Facts only: tests nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segfair.audit.result.second_labels import TwoRulers
from segfair.subgroups.lattice import Better, SubgroupTable
from segfair.subgroups.search import Search

__all__ = ["OutcomeFacts", "PowerFacts", "Subgroups"]


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """What the subgroup table of one outcome rests on.

    Attributes:
        better: Direction.
        n_cases, mean: Cases with a value, and their mean.
        primary: Whether this is the outcome that was tested as declared; others are exploratory.
        n_tested: Subgroups in the family.
        critical: Smallest |t| that is significant at the family-wise level.
        method: How significance was judged, in words.
        global_divergence: (attribute, level, share) over the whole lattice, most harmful first.
        notes: Plain sentences where something could not be judged.
    """

    better: Better
    n_cases: int
    mean: float | None
    primary: bool
    n_tested: int = 0
    critical: float | None = None
    method: str = "not corrected for multiple testing"
    global_divergence: tuple[tuple[str, str, float], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PowerFacts:
    """What this cohort could have shown about one level."""

    attribute: str
    level: str
    n: int
    detectable_gap: float | None
    n_needed: int | None


@dataclass(frozen=True, slots=True)
class Subgroups(Mapping[str, SubgroupTable]):
    """The subgroups of each outcome: `subgroups["dsc"]`.

    Attributes:
        tables: Outcome -> its subgroups, most harmful first.
        outcomes: Outcome -> what its table rests on.
        primary_levels: The levels of the primary attributes, a family of their own.
        power: What the cohort could have shown.
        second_labels: The same predictions against a second set of labels; None: there was none.
        search: Which subgroups were looked for; None in an audit.json of a version that did not say.
    """

    tables: Mapping[str, SubgroupTable]
    outcomes: Mapping[str, OutcomeFacts]
    primary_levels: SubgroupTable | None = None
    power: tuple[PowerFacts, ...] = ()
    second_labels: TwoRulers | None = None
    search: Search | None = None

    def __getitem__(self, outcome: str) -> SubgroupTable:
        return self.tables[outcome]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    @property
    def primary_outcome(self) -> str:
        """The outcome whose subgroups were tested as declared."""
        return next(name for name, facts in self.outcomes.items() if facts.primary)

    def strongest_evidence(self) -> SubgroupTable:
        """The subgroups of the primary outcome, each with the test that says most about it.

        A level that was fixed beforehand and is significant in its own, smaller family stands with that family's row;
        whatever names who is worst off then never contradicts the verdict.
        """
        table = self[self.primary_outcome]
        found = [row for row in self.primary_levels or () if row.significant]
        if not found:
            return table
        harm = 1 if table.better == "higher" else -1
        rows = list(table)
        for level in found:
            place = next(
                (index for index, row in enumerate(rows) if level.subgroup in (row.subgroup, *row.aliases)), None
            )
            if place is not None:
                rows[place] = level
                continue
            ahead = (index for index, row in enumerate(rows) if harm * row.divergence > harm * level.divergence)
            rows.insert(next(ahead, len(rows)), level)
        return dataclasses.replace(table, rows=tuple(rows))
