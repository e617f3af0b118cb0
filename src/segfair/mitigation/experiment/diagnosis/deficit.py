"""What the deficit of a subgroup is made of: lesions of its size, lesions of its looks, or a few cases that fail.

Pure functions of arrays; imports no torch. The thresholds are conventions, printed with every diagnosis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.audit.words import format_interval, format_number, plural
from segfair.mitigation.experiment.diagnosis.appearance import RING_MM, Appearance
from segfair.mitigation.experiment.diagnosis.learning import GAP

__all__ = [
    "FEW",
    "HELD",
    "MIN_COMPARED",
    "AdjustedGap",
    "Deficit",
    "Failures",
    "Lesions",
    "adjusted_gap",
    "deficit_of",
    "deficit_rule",
    "failures_of",
]

MIN_COMPARED = 10
"""Fewest patients (cases, where each is one) of a subgroup, and of the others, that are compared at equal lesions; and
fewest cases of which a few can be told from the others."""
HELD = 2 / 3
"""Share of the deficit that a few failures hold."""
FEW = 0.1
"""Share of a subgroup's cases up to which they are a few."""
_NAMED = 20
_PER_COLUMN = 5
"""Patients for each column of the design; fewer would fit anything."""

Left = Literal["gone", "less than half is left", "remains", "open", "no gap", "insufficient evidence"]


def deficit_rule() -> str:
    """How it is told what a deficit is made of, in words."""
    return (
        "At equal size: the difference to the other cases with the logarithm of the lesion volume held equal; at equal "
        "looks: with contrast and edge sharpness under the label as well (natural splines, patients as units, cases "
        "without a lesion left out). It is gone where less than half of the raw difference is left and its 95% "
        "interval includes 0 and excludes the raw difference; less than half of it is left where the interval lies "
        "below 0; it remains where more is left and the interval lies below 0; anything else is open. Nothing is "
        f"concluded with fewer than {MIN_COMPARED} patients of the subgroup or of the others. Contrast: mean inside of "
        f"the label minus mean of a ring of {RING_MM:g} mm around it, over the standard deviation of the ring. Edge "
        "sharpness: mean absolute derivative across the boundary, per mm, over the same. Both in the channel of the "
        "largest absolute contrast, of the image as it was prepared for training. A few failures: the smallest number "
        "of cases that hold two thirds of the deficit against the mean of the others, and of what each falls short of "
        "the other case of the same rank (or else a gap that all cases share would be a few failures where Dice "
        f"spreads widely), are both at most {100 * FEW:g} % of the subgroup."
    )


@dataclass(frozen=True, slots=True)
class AdjustedGap:
    """A subgroup's difference to the other cases before and after lesions are made equal; below 0 it is worse.

    Attributes:
        covariates: What is held equal.
        raw, value, ci: Differences over the same patients, and the 95% interval of the adjusted one; None where it
            cannot be told.
        left: What is left of the raw difference.
        n_cases, n_subjects: Of the subgroup, as compared.
    """

    covariates: tuple[str, ...]
    raw: float | None
    value: float | None
    ci: tuple[float, float] | None
    left: Left
    n_cases: int
    n_subjects: int

    @property
    def words(self) -> str:
        """The numbers: from what to what."""
        interval = format_interval(self.ci, signed=True)
        who = "case" if self.n_cases == self.n_subjects else "patient"
        return (
            f"{format_number(self.raw, signed=True)} becomes {format_number(self.value, signed=True)} "
            f"(95% interval {interval}, {plural(self.n_subjects, who)})"
        )


@dataclass(frozen=True, slots=True)
class Failures:
    """How many cases hold two thirds of a subgroup's deficit.

    Attributes:
        n_cases: Of the subgroup.
        n: Against the mean of the other cases.
        n_of_rank: Of what each case falls short of the other case of the same rank.
        few: Whether both are a few.
        cases: Those of `n`, worst first; the first 20 of them.
    """

    n_cases: int
    n: int
    n_of_rank: int
    few: bool
    cases: tuple[str, ...]

    @property
    def words(self) -> str:
        """The count: of how many."""
        return f"{self.n:,} of {plural(self.n_cases, 'case')} hold two thirds of the deficit"


@dataclass(frozen=True, slots=True, eq=False)
class Lesions:
    """The cases that are judged, with what their lesions are like.

    Attributes:
        case_ids: All of them.
        volume_mm3: (n_cases,); 0 without a lesion.
        voxel_mm3: (n_cases,) volume of a voxel.
        contrast, edge_sharpness: (n_cases,); NaN where there is none (`appearance_of`).
        subjects: (n_cases,) codes of patients; None: every case is one.
    """

    case_ids: tuple[str, ...]
    volume_mm3: NDArray[np.float64]
    voxel_mm3: NDArray[np.float64]
    contrast: NDArray[np.float64]
    edge_sharpness: NDArray[np.float64]
    subjects: NDArray[np.integer[Any]] | None = None

    @classmethod
    def of(
        cls,
        case_ids: Sequence[str],
        volume_mm3: Sequence[float],
        voxel_mm3: Sequence[float],
        looks: Sequence[Appearance | None],
        *,
        subjects: NDArray[np.integer[Any]] | None = None,
    ) -> Lesions:
        """The same from single cases."""
        contrast, sharpness = (
            np.array([np.nan if one is None else getattr(one, name) for one in looks], dtype=np.float64)
            for name in ("contrast", "edge_sharpness")
        )
        volume, voxel = (np.array(values, dtype=np.float64) for values in (volume_mm3, voxel_mm3))
        return cls(tuple(case_ids), volume, voxel, contrast, sharpness, subjects)

    def medians(self, members: NDArray[np.bool_]) -> dict[str, float | None]:
        """Median volume, contrast and edge sharpness of some cases, lesions alone; None where there is none."""
        lesion = members & (self.volume_mm3 > 0)
        columns = {
            "volume_mm3": self.volume_mm3,
            "contrast": self.contrast,
            "edge_sharpness": self.edge_sharpness,
        }
        found = {name: column[lesion & np.isfinite(column)] for name, column in columns.items()}
        return {name: float(np.median(values)) if len(values) else None for name, values in found.items()}


@dataclass(frozen=True, slots=True)
class Deficit:
    """What the deficit of a subgroup among the judged cases is made of.

    Attributes:
        size: The difference at equal lesion volume.
        looks: The same at equal volume, contrast and edge sharpness.
        failures: None without a deficit, and with too few cases.
        subgroup, rest: Medians of `Lesions`.
    """

    size: AdjustedGap
    looks: AdjustedGap
    failures: Failures | None
    subgroup: dict[str, float | None]
    rest: dict[str, float | None]


def deficit_of(members: NDArray[np.bool_], dsc: NDArray[np.float64], lesions: Lesions) -> Deficit:
    """What the deficit of (n_cases,) members by (n_cases,) Dice is made of."""
    size = stats.log_volume(lesions.volume_mm3, voxel=lesions.voxel_mm3)
    size = np.where(lesions.volume_mm3 > 0, size, np.nan)
    looks = np.column_stack([size, lesions.contrast, lesions.edge_sharpness])
    return Deficit(
        adjusted_gap(members, dsc, size[:, None], names=("volume",), subjects=lesions.subjects),
        adjusted_gap(members, dsc, looks, names=("volume", "contrast", "edge sharpness"), subjects=lesions.subjects),
        failures_of(lesions.case_ids, members, dsc),
        lesions.medians(members),
        lesions.medians(~members),
    )


def adjusted_gap(
    members: NDArray[np.bool_],
    dsc: NDArray[np.float64],
    covariates: NDArray[np.float64],
    *,
    names: tuple[str, ...],
    subjects: NDArray[np.integer[Any]] | None = None,
) -> AdjustedGap:
    """The difference of a subgroup to the other cases at equal covariates, as an audit has it.

    Args:
        members: (n_cases,) the subgroup.
        dsc: (n_cases,) Dice.
        covariates: (n_cases, k); cases with a NaN are left out.
        names: Of the covariates.
        subjects: (n_cases,) codes of patients; None: every case is one.
    """
    known = np.isfinite(covariates).all(axis=1)
    members, dsc, covariates = members[known], dsc[known], covariates[known]
    units = np.arange(len(dsc)) if subjects is None else subjects[known]
    n_inside, n_outside = len(np.unique(units[members])), len(np.unique(units[~members]))
    n_columns = 2 + sum(stats.spline_basis(column).shape[1] for column in covariates.T)
    if min(n_inside, n_outside) < MIN_COMPARED or len(np.unique(units)) < _PER_COLUMN * n_columns:
        return AdjustedGap(names, None, None, None, "insufficient evidence", int(members.sum()), n_inside)
    found = stats.adjusted_max_t(
        members[None],
        dsc,
        covariates,
        # The interval needs no permutation, and nothing is tested.
        rng=np.random.default_rng(0),
        permutations=1,
        min_cases=1,
        subjects=None if subjects is None else units,
    )
    raw, value = stats.defined(found.raw_difference[0]), stats.defined(found.test.difference[0])
    ci = stats.defined_interval(found.interval[0])
    return AdjustedGap(names, raw, value, ci, _left(raw, value, ci), int(members.sum()), n_inside)


def _left(raw: float | None, value: float | None, ci: tuple[float, float] | None) -> Left:
    if raw is None or value is None or ci is None:
        return "insufficient evidence"
    if raw > -GAP:
        return "no gap"
    if value > raw / 2:
        if ci[1] < 0:
            return "less than half is left"
        # An interval that holds the raw difference as well tells nothing.
        return "gone" if ci[0] > raw else "open"
    return "remains" if ci[1] < 0 else "open"


def failures_of(case_ids: Sequence[str], members: NDArray[np.bool_], dsc: NDArray[np.float64]) -> Failures | None:
    """How many cases hold two thirds of what a subgroup's Dice falls short of the mean of the others.

    Args:
        case_ids: All cases.
        members: (n_cases,) the subgroup.
        dsc: (n_cases,) Dice.

    Returns:
        None where the mean falls short by less than `GAP`, or with fewer than `MIN_COMPARED` cases of either side.
    """
    own, rest = dsc[members], dsc[~members]
    if min(len(own), len(rest)) < MIN_COMPARED or rest.mean() - own.mean() < GAP:
        return None
    order = np.argsort(own, kind="stable")
    ranks = (np.arange(len(own)) + 0.5) / len(own)
    n = _holding(rest.mean() - own)
    n_of_rank = _holding(np.quantile(rest, ranks, method="hazen") - own[order])
    few = max(n, n_of_rank) <= FEW * len(own)
    ids = np.asarray(case_ids)[members][order][: min(n, _NAMED)]
    return Failures(len(own), n, n_of_rank, few, tuple(map(str, ids)))


def _holding(deficits: NDArray[np.float64]) -> int:
    """The smallest number of deficits that add up to `HELD` of their sum, which lies above 0."""
    total = np.cumsum(np.sort(deficits)[::-1])
    return int(np.argmax(total >= HELD * deficits.sum() * (1 - 1e-12))) + 1
