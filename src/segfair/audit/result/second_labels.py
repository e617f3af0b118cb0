"""What other labels say about the gaps of an audit, a second set or those of several raters: facts alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from segfair.subgroups.lattice import Subgroup

__all__ = [
    "CaseAgreement",
    "RaterGap",
    "RaterGroup",
    "RaterPair",
    "Raters",
    "Ruler",
    "RulerGroup",
    "TwoRulers",
]

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RulerGroup:
    """One level or subgroup under both sets of labels.

    Attributes:
        items: Who.
        n: Cases with a score under both.
        mean_first, mean_second: Mean outcome of the predictions against each set of labels.
        gap_first, gap_second: Divergence, the group's mean minus that of all these cases.
        difference: `gap_second` minus `gap_first`.
        ci: Pointwise 95 % interval of the difference; cases (or patients) are resampled with both their scores.
        p_value, p_adjusted: Permutation p that the change of scores is the same inside and outside of the group,
            alone and over all groups (max-T); None for a group too small to be tested.
        significant: Whether `p_adjusted` is at most the level; None where not tested.
        agreement: Mean DSC of the two labels of a case; None where it is known for no case.
        agreement_gap: That minus the mean of all cases.
        agreement_ci: Pointwise 95 % interval of the agreement.
    """

    items: Subgroup
    n: int
    mean_first: float
    mean_second: float
    gap_first: float
    gap_second: float
    difference: float
    ci: Interval | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    significant: bool | None = None
    agreement: float | None = None
    agreement_gap: float | None = None
    agreement_ci: Interval | None = None


@dataclass(frozen=True, slots=True)
class TwoRulers:
    """What a second set of labels changes.

    Attributes:
        outcome: The metric whose gaps are compared.
        labels: Path of the second set; empty where paths are left out.
        n_paired: Cases with a score under both.
        only_first, only_second: Cases with a score under one of them only.
        mean_first, mean_second: Mean outcome under each.
        agreement: Mean DSC of the two labels over these cases.
        agreement_ci: Its 95 % interval.
        sentence: The answer in one sentence.
        groups: Levels and subgroups, those whose gap changes most first.
    """

    outcome: str
    labels: str
    n_paired: int
    only_first: int
    only_second: int
    mean_first: float
    mean_second: float
    agreement: float | None
    agreement_ci: Interval | None
    sentence: str
    groups: tuple[RulerGroup, ...]


@dataclass(frozen=True, slots=True)
class Ruler:
    """One set of labels that the same predictions are measured against.

    Attributes:
        name: A rater, "majority" or "staple".
        n: Cases with a score under it.
        mean: Mean outcome of the predictions; None without a case.
    """

    name: str
    n: int
    mean: float | None


@dataclass(frozen=True, slots=True)
class RaterPair:
    """How far two raters agree.

    Attributes:
        first, second: Their names.
        n: Cases that both labelled.
        dsc: Mean DSC of their labels; None without a case.
    """

    first: str
    second: str
    n: int
    dsc: float | None


@dataclass(frozen=True, slots=True)
class RaterGap:
    """How far one group lies from all cases, by one measure.

    Attributes:
        n: Cases of the group that have a value.
        mean: Their mean.
        gap: Divergence, that mean minus that of all cases with a value.
        ci: Pointwise 95 % interval of the gap.
        p_value, p_adjusted: Permutation p that the group is as everybody else, alone and over all groups (max-T); None
            for a group too small to be tested.
        significant: Whether `p_adjusted` is at most the level; None where not tested.
    """

    n: int
    mean: float
    gap: float
    ci: Interval | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    significant: bool | None = None


@dataclass(frozen=True, slots=True)
class RaterGroup:
    """One level or subgroup.

    Attributes:
        items: Who.
        agreement: The DSC between raters; None where it is known for no case of the group.
        model: Ruler -> the outcome of the model under it; rulers without a case of the group are left out.
    """

    items: Subgroup
    agreement: RaterGap | None
    model: Mapping[str, RaterGap]


@dataclass(frozen=True, slots=True)
class CaseAgreement:
    """The raters of one case.

    Attributes:
        case: Its id.
        n_raters: How many labelled it.
        dsc: Mean DSC over their pairs; None with fewer than two.
        tied: Voxels that just half of them marked, which the majority leaves to the background.
    """

    case: str
    n_raters: int
    dsc: float | None
    tied: int = 0


@dataclass(frozen=True, slots=True)
class Raters:
    """What several raters say.

    Attributes:
        outcome: The metric whose gaps are compared.
        reference: The ruler that the audit itself measured with: "majority", "staple", or the name of the first rater.
        names: The raters; the first one is that of the labels.
        agreement: Mean DSC between raters over all cases; None where no case has two.
        agreement_ci: Its 95 % interval.
        sentence: The answer in a few words.
        pairs: Each two raters.
        rulers: What the predictions were measured against, the reference first.
        groups: Levels and subgroups, those in which raters agree least first.
        cases: The raters of each case, in the audit's order; empty where cases are left out.
        left_out: Rater -> case -> why that label could not be used.
    """

    outcome: str
    reference: str
    names: tuple[str, ...]
    agreement: float | None
    agreement_ci: Interval | None
    sentence: str
    pairs: tuple[RaterPair, ...]
    rulers: tuple[Ruler, ...]
    groups: tuple[RaterGroup, ...]
    cases: tuple[CaseAgreement, ...] = ()
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
