"""What gaps in DSC are made of: facts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segfair.subgroups.lattice import Subgroup

__all__ = ["PARTS", "BoundaryError", "CaseParts", "GapParts", "Part", "PartName", "Reasons"]

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
