"""What a second set of labels says about the gaps of an audit: facts only, as `audit.json` keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from segfair.subgroups.lattice import Subgroup

__all__ = ["RulerGroup", "TwoRulers"]

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
