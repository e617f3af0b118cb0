"""The subgroups of an audit: their tables, and what these rest on. Facts only: tests nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from segfair.audit.result.second_labels import Raters, TwoRulers
from segfair.subgroups.lattice import Better, Divergence, Estimate, Subgroup, SubgroupTable
from segfair.subgroups.search import Search

__all__ = [
    "PARTS",
    "BoundaryError",
    "CaseParts",
    "Explained",
    "Finding",
    "GapParts",
    "OutcomeFacts",
    "Part",
    "PartName",
    "PowerFacts",
    "Reasons",
    "Stability",
    "Subgroups",
    "WorstOff",
]

Interval = tuple[float, float]
PartName = Literal[
    "size_and_shape", "boundary", "disagreement", "missed", "false_positives", "no_prediction", "empty_rule", "else"
]
PARTS: tuple[PartName, ...] = (
    "size_and_shape",
    "boundary",
    "disagreement",
    "missed",
    "false_positives",
    "no_prediction",
    "empty_rule",
)
"""The parts of a deficit, in the order in which they are told."""


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
class Explained:
    """A significant subgroup that a finding explains."""

    items: Subgroup


@dataclass(frozen=True, slots=True)
class Stability:
    """How surely a subgroup is the one to be named.

    Attributes:
        share: Of resampled cohorts, those in which it would have been named.
        set_95: The fewest subgroups of which one is named in 95 % of them, the likeliest first.
    """

    share: float
    set_95: tuple[Explained, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A subgroup that stands apart beyond chance, and explains others that do.

    Attributes:
        items: Who.
        estimate: The difference to everybody else; of a second or later finding within what was found before, so that
            no other finding's gap counts in it.
        explains: The significant subgroups that are so for its sake, itself among them.
        inside: Whether a part of it is worse still.
        stability: How surely it is this subgroup.
        declared: Whether it is a level fixed beforehand, tested in a family of its own.
        nested_in: Levels that it does not name and all of its cases have, so that the gap may be theirs.
        place: In which order it was named, from 1; it is compared within those before it. 0: that is not known.
    """

    items: Subgroup
    estimate: Estimate
    explains: tuple[Explained, ...]
    inside: str
    stability: Stability
    declared: bool = False
    nested_in: Subgroup = field(default_factory=lambda: Subgroup(frozenset()))
    place: int = 0


@dataclass(frozen=True, slots=True)
class WorstOff:
    """The subgroup for which most speaks that it is worse, beyond chance or not."""

    items: Subgroup
    stability: Stability


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a deficit or of a gap.

    Attributes:
        name: What it is made by; "else" is all but size and shape, in a copy made to be shared.
        value: Of a deficit, how much DSC it costs on average; of a gap, how much of the difference in DSC it makes.
        ci: Pointwise 95 % interval; cases (or patients) are resampled, the boundary error of the cohort is not.
    """

    name: PartName
    value: float
    ci: Interval | None = None


@dataclass(frozen=True, slots=True)
class GapParts:
    """The gap of one finding.

    Attributes:
        items: Who.
        n: Cases of the group.
        value: The gap, the value of the finding's estimate; the parts add up to it.
        kind: How the members are compared, as of the estimate.
        after: How many findings were named before it, within which it is compared; None: that is not told.
        parts: What it is made of.
        sentence: The same in one sentence.
    """

    items: Subgroup
    n: int
    value: float
    kind: Literal["difference", "difference within strata"]
    after: int | None
    parts: tuple[Part, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class BoundaryError:
    """The boundary error of the cohort.

    Attributes:
        region: Of which region; empty where there is one only.
        length: Median over cases of the mean distance between the outlines of what was found (ASSD).
        n_cases: Of how many cases; 0: nothing was found anywhere, and the length is 0. None: that is not told.
    """

    region: str
    length: float
    n_cases: int | None


@dataclass(frozen=True, slots=True)
class CaseParts:
    """The deficit of one case, 1 - DSC: the sum of its parts; those that are 0 are left out."""

    case: str
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Reasons:
    """What the gaps of an audit are made of.

    Attributes:
        outcome: The metric whose gaps are taken apart.
        unit: Of lengths: mm, px or voxels.
        errors: The boundary error of the cohort, of each region.
        n_cases: Cases with a DSC.
        n_raters: Further raters whose labels were compared.
        n_compared: Cases that one of them labelled; in the others labels do not disagree. None: that is not told.
        deficit: What the mean deficit of all cases is made of.
        gaps: What the gap of each finding is made of, most harmful first.
        cases: The parts of each case, in the audit's order; empty where cases are left out.
    """

    outcome: str
    unit: str
    errors: tuple[BoundaryError, ...]
    n_cases: int
    n_raters: int
    n_compared: int | None
    deficit: tuple[Part, ...]
    gaps: tuple[GapParts, ...]
    cases: tuple[CaseParts, ...] = ()


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
        findings: What explains the significant subgroups of the primary outcome, most harmful first.
        worst_off: The subgroup of which most speaks that it is worse, beyond chance or not; None: none is.
        raters: What several raters say; None: there were none.
        reasons: What the gaps of the findings are made of; None: that was not asked.
    """

    tables: Mapping[str, SubgroupTable]
    outcomes: Mapping[str, OutcomeFacts]
    primary_levels: SubgroupTable | None = None
    power: tuple[PowerFacts, ...] = ()
    second_labels: TwoRulers | None = None
    search: Search | None = None
    findings: tuple[Finding, ...] = ()
    worst_off: WorstOff | None = None
    raters: Raters | None = None
    reasons: Reasons | None = None

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

    @property
    def families(self) -> tuple[SubgroupTable, ...]:
        """The tables of the primary outcome, that of the levels fixed beforehand first, where there are any."""
        declared = (self.primary_levels,) if self.primary_levels else ()
        return (*declared, self[self.primary_outcome])

    def find(self, group: Subgroup) -> Divergence | None:
        """The row of a subgroup on the primary outcome, of the first family that has it; None: no family has."""
        return next((row for family in self.families for row in family if row.subgroup == group), None)
