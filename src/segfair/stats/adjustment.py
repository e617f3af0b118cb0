"""Differences between subgroups and the rest at equal covariates, such as lesion volume.

The covariate may lie on the path from subgroup to outcome (small lesions because of who is scanned how): an
adjusted difference answers another question than the raw one and never replaces it.

References:
    Freedman and Lane 1983; Winkler et al. NeuroImage 2014, Table 2 (Freedman-Lane, exchangeability blocks).
    Hastie, Tibshirani, Friedman. Elements of Statistical Learning, Eq. 5.4 and 5.5 (natural cubic spline).
    Harrell. Regression Modeling Strategies, section 2.4.6 (place of the knots).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from segfair.stats.cells import Membership, distinct_rows
from segfair.stats.contrast import PRIOR_DF, Family, families
from segfair.stats.permutation import MaxT, family_test

__all__ = ["Adjustment", "adjusted_max_t", "log_volume", "spline_basis"]

_KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Adjustment:
    """Every subgroup's difference to the rest before and after adjustment.

    Attributes:
        test: The test at equal covariates; its `difference` is the adjusted one.
        raw_difference: (n_subgroups,) unadjusted difference over the same units; NaN where there is nothing to
            compare.
        interval: (n_subgroups, 2) pointwise interval of the adjusted difference.
        simultaneous: (n_subgroups, 2) intervals that hold together for all tested subgroups.
        share_explained: (n_subgroups,) 1 - adjusted / raw. Means something only where the raw difference is
            significant; negative where adjustment widens the difference; NaN where the raw one is 0.
    """

    test: MaxT
    raw_difference: NDArray[np.float64]
    interval: NDArray[np.float64]
    simultaneous: NDArray[np.float64]
    share_explained: NDArray[np.float64]


def log_volume(volume: NDArray[np.float64], *, voxel: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """log(volume + 1 voxel), defined for an empty label too.

    Args:
        volume: (n_cases,) of at least 0.
        voxel: Volume of one voxel of each case, in the same unit.
    """
    return np.asarray(np.log(volume + voxel), dtype=np.float64)


def spline_basis(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural cubic spline of a covariate with five knots: linear beyond the outer ones.

    Args:
        values: (n_cases,) finite.

    Returns:
        (n_cases, k) columns without the constant: four; one, the values themselves, where fewer than three knots
        or four values differ; none where the values are constant.

    References:
        Hastie, Tibshirani, Friedman, Eq. 5.4 and 5.5.
    """
    span = float(np.ptp(values)) if len(values) else 0.0
    if span == 0.0:
        return np.empty((len(values), 0))
    scaled = (values - values.min()) / span
    knots = np.unique(np.quantile(scaled, _KNOTS))
    if len(knots) < 3 or len(np.unique(scaled)) < 4:
        return np.asarray(scaled[:, None], dtype=np.float64)
    cubes = np.maximum(scaled[:, None] - knots, 0.0) ** 3
    slopes = (cubes[:, :-1] - cubes[:, -1:]) / (knots[-1] - knots[:-1])
    return np.column_stack([scaled, slopes[:, :-1] - slopes[:, -1:]])


def adjusted_max_t(
    membership: Membership,
    outcome: NDArray[np.float64],
    covariates: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    min_cases: int = 10,
    permutations: int = 2000,
    strata: NDArray[np.integer] | None = None,
    subjects: NDArray[np.integer] | None = None,
    blocks: int = 10,
    confidence: float = 0.95,
) -> Adjustment:
    """Tests every subgroup against the rest at equal covariates, corrected for all of them (max-T).

    Outcome and membership are both residualised on natural splines of the covariates; residuals are permuted and
    the covariates refitted to each permutation (Freedman-Lane). Averaging the outcome's residuals alone would
    understate a difference wherever covariate and membership are related. Permutation stays within blocks of cases
    whose residuals are alike in spread, for Dice spreads more where lesions are small.

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.
        covariates: (n_cases, k) finite, on the scale on which a smooth effect is plausible (`log_volume`).
        rng: Source of randomness.
        min_cases: Smallest number of members, and of others, of a subgroup that is tested.
        permutations: Permutations to draw.
        strata: (n_cases,) codes; as in `max_t`.
        subjects: (n_cases,) codes; as in `max_t`, subjects having the mean of their cases' covariates.
        blocks: Permutation blocks (a stratum), cut at quantiles of the covariate, or of the spread that several
            covariates predict; fewer where one would have fewer than ten cases.
        confidence: Of the intervals.

    Returns:
        Adjusted and raw differences. Constant covariates: the raw test within one block.
    """
    basis = np.column_stack([spline_basis(column) for column in covariates.T] or [np.empty((len(outcome), 0))])
    ordering = covariates[:, 0] if covariates.shape[1] == 1 else _predicted_spread(outcome, basis)
    first, representative, sign = distinct_rows(membership, complements=True)
    distinct = membership[first]
    adjusted = families(
        distinct,
        outcome,
        strata=strata,
        subjects=subjects,
        covariates=basis,
        ordering=ordering,
        n_blocks=blocks if basis.shape[1] else 1,
        min_divided=min_cases,
    )
    test = family_test(
        adjusted,
        representative,
        sign,
        rng=rng,
        min_cases=min_cases,
        permutations=permutations,
        alternative="two-sided",
    )
    raw = families(distinct, outcome, strata=strata, subjects=subjects, min_divided=min_cases)
    raw_difference = sign * _differences(raw, len(first))[representative]
    n = _smaller_side(adjusted, len(first))[representative]
    reach = stdtrit(PRIOR_DF + np.maximum(n, 2) - 1, 0.5 + confidence / 2) * test.standard_error
    critical = test.critical(1 - confidence)
    width = np.where(test.tested, critical * test.standard_error, np.nan) if critical is not None else reach * np.nan
    return Adjustment(
        test,
        raw_difference,
        np.stack([test.difference - reach, test.difference + reach], axis=-1),
        np.stack([test.difference - width, test.difference + width], axis=-1),
        1.0
        - np.divide(test.difference, raw_difference, out=np.full(len(sign), np.nan), where=np.abs(raw_difference) > 0),
    )


def _predicted_spread(outcome: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Size of the residual that the covariates let expect."""
    design = np.column_stack([np.ones(len(outcome)), basis])
    residual = outcome - design @ np.linalg.lstsq(design, outcome)[0]
    return np.asarray(design @ np.linalg.lstsq(design, np.abs(residual))[0], dtype=np.float64)


def _differences(parts: list[Family], n_distinct: int) -> NDArray[np.float64]:
    found = np.full(n_distinct, np.nan)
    for part in parts:
        compared = part.contrast.identified
        some = part.contrast.select(compared)
        found[part.rows[compared]] = some.compare(some.residual(part.outcome)[None])[0][:, 0]
    return found


def _smaller_side(parts: list[Family], n_distinct: int) -> NDArray[np.float64]:
    """Units in the subgroup or in the rest, whichever are fewer: they limit what is known of the variance."""
    found = np.zeros(n_distinct)
    for part in parts:
        found[part.rows] = np.minimum(part.contrast.n, part.contrast.n_rest)
    return found
