"""Bounds that hold for all subgroups together, and what they say of a declared margin; knows no p value.

They carry sentences such as "the worst group is above 0.5" and "nobody lost more than 0.02". A mean's bounds are
not those of its divergence moved by the overall mean: of a subgroup that is nearly everybody the divergence is
almost certain, the mean is not.

A margin bounds how far the members of a group may stand behind everybody else, so it is compared with differences to
the rest. Divergences are measured from a mean that holds the members themselves and are smaller by the share of the
rest: a margin on them would forgive half of a cohort twice the deficit that it allows a small group.

References:
    Westfall and Young 1993, chapter 2 (simultaneous intervals from the bootstrapped maximum). Smyth 2004, Eq. 3
    (moderated variance). Rubin 1981 (exponential weights). Schuirmann 1987; Berger and Hsu 1996 (equivalence from
    confidence bounds).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Membership, collapse
from segfair.stats.contrast import MEAN_PRIOR_DF
from segfair.stats.intervals.bootstrap import Interval, expansion, resampled_sums

__all__ = ["Standing", "margin_standing", "simultaneous_means"]

Standing = Literal["within margin", "beyond margin", "open"]


def simultaneous_means(
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
    subjects: NDArray[np.integer] | None = None,
    min_cases: int = 10,
    confidence: float = 0.95,
    limits: Interval = (-np.inf, np.inf),
) -> NDArray[np.float64]:
    """Intervals of the subgroups' means that all hold together with the given confidence.

    Each reaches equally many moderated standard errors to both sides; how many, the bootstrap of the largest
    deviation says. The moderated error rather than the replicates' own: a small skewed group that happens to hold
    no bad case has hardly any spread of its own.

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.
        rng: Source of randomness.
        draws: Number of replicates.
        subjects: (n_cases,) codes; cases of one subject are resampled together, and count as one.
        min_cases: Smallest number of members (or of their subjects) of a subgroup that gets bounds.
        confidence: Of all intervals together.
        limits: Values that a mean cannot leave, such as (0, 1).

    Returns:
        (n_subgroups, 2); NaN for subgroups that are too small. An outcome that never varies: its value, twice.
    """
    n_subgroups, n_cases = membership.shape
    bounds = np.full((n_subgroups, 2), np.nan)
    members = np.asarray(membership, dtype=bool)
    unit = np.arange(n_cases) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    n_units = np.array([len(np.unique(unit[row])) for row in members], dtype=np.float64)
    family = n_units >= max(2, min_cases)
    if not family.any():
        return bounds
    cells = collapse(members[family])
    overall = float(outcome.mean())
    # What is left of a constant after subtracting its mean is rounding.
    centred = outcome - overall
    if np.max(np.abs(centred)) <= 1e-12 * max(1.0, abs(overall)):
        centred = np.zeros_like(centred)
    centred = centred[cells.order]
    n = cells.members
    sums, squares = (found[:, 0] for found in cells.multiply(cells.sums(centred[None]), cells.sums(centred[None] ** 2)))
    gap = sums / n
    spread = np.maximum(squares - sums * gap, 0.0) + MEAN_PRIOR_DF * float(np.mean(centred**2))
    error = np.sqrt(spread / (n - 1 + MEAN_PRIOR_DF) / n)
    factor = expansion(n_units[family], confidence=confidence)
    largest = []
    ordered = None if subjects is None else unit[cells.order]
    for of_weights, (sums,), _ in resampled_sums(cells, centred[None], rng=rng, draws=draws, subjects=ordered):
        weighted, mass = cells.multiply(sums, of_weights)
        # In place: each of these arrays can hold a hundred megabytes.
        deviation = np.divide(weighted, mass, out=weighted)
        deviation -= gap[:, None]
        np.abs(deviation, out=deviation)
        deviation *= factor[:, None]
        ratio = mass
        ratio.fill(0.0)
        np.divide(deviation, error[:, None], out=ratio, where=error[:, None] > 0)
        largest.append(ratio.max(axis=0))
    reach = float(np.quantile(np.concatenate(largest), confidence)) * error
    means = overall + gap
    bounds[family] = np.clip(np.stack([means - reach, means + reach], axis=1), *limits)
    return bounds


def margin_standing(
    simultaneous: NDArray[np.float64], margin: float, *, better: Literal["higher", "lower"] = "higher"
) -> list[Standing]:
    """Each subgroup's standing against the largest deficit that does not matter.

    Args:
        simultaneous: (n_subgroups, 2) simultaneous bounds of the differences to the rest, from
            `MaxT.simultaneous_difference`; NaN where there are none.
        margin: Largest deficit that does not matter, above 0, on the same scale.
        better: Whether higher or lower outcomes are better, which decides what a deficit is.

    Returns:
        "within margin" where even the worst bound is a smaller deficit, "beyond margin" where even the best bound
        is a larger one, else "open".
    """
    worst, best = simultaneous.T if better == "higher" else -simultaneous.T[::-1]
    with np.errstate(invalid="ignore"):
        return [
            "within margin" if within else "beyond margin" if beyond else "open"
            for within, beyond in zip(worst > -margin, best < -margin, strict=True)
        ]
