"""The difference of a group to the rest in several outcomes that add up to one: each with its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segfair.stats.contrast import families
from segfair.stats.intervals.bootstrap import expansion, exponential_weights

__all__ = ["additive_differences"]


def additive_differences(
    members: NDArray[np.bool_],
    outcomes: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    strata: NDArray[np.integer] | None = None,
    subjects: NDArray[np.integer] | None = None,
    min_cases: int = 10,
    confidence: float = 0.95,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far a group lies from the rest in each outcome, as `max_t` compares it.

    The difference is linear in the outcome, so those of outcomes that add up to another add up to that one's.

    Args:
        members: (n_cases,) who is in the group.
        outcomes: (n_outcomes, n_cases) finite.
        rng: Source of randomness.
        draws: Number of replicates.
        strata: (n_cases,) codes within which members are compared; None: over all cases.
        subjects: (n_cases,) codes of the subjects, which are then compared and resampled; None: cases are.
        min_cases: Fewest divided subjects of a group that is compared within them.
        confidence: Of the intervals.

    Returns:
        (n_outcomes,) differences, and (n_outcomes, 2) expanded percentile intervals; NaN where the strata leave nobody
        to compare with. All outcomes are resampled together, each difference to first order.
    """
    found = [
        families(members[None], outcome, strata=strata, subjects=subjects, min_divided=min_cases)[0]
        for outcome in outcomes
    ]
    values, bounds = np.full(len(outcomes), np.nan), np.full((len(outcomes), 2), np.nan)
    contrast = found[0].contrast
    if not contrast.identified[0]:
        return values, bounds
    residuals = np.array([contrast.residual(family.outcome) for family in found])
    values = contrast.compare(residuals)[0][0]
    subject = found[0].subject
    n_units = residuals.shape[1] if subject is None else int(subject.max()) + 1
    moved = []
    for weights in exponential_weights(n_units, rng=rng, draws=draws):
        beyond = (weights if subject is None else weights[:, subject])[:, contrast.cells.order] - 1
        mass = contrast.cells.sums(beyond)
        moved.append([contrast.influence(row, contrast.cells.sums(beyond * row), mass)[0] for row in residuals])
    tail = (1 - confidence) / 2
    factor = expansion(np.array([found[0].evidence[0]]), confidence=confidence)
    bounds = values[:, None] + factor * np.quantile(np.concatenate(moved, axis=1), [tail, 1 - tail], axis=1).T
    return values, bounds
