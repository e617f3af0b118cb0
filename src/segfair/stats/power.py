"""What a cohort can show at all: the gap it would probably detect, the cases that a gap takes. Sees no score.

Normal approximation at the family-wise critical value; the calibration benchmark compares it with simulated
cohorts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from segfair.stats.cells import Membership
from segfair.stats.permutation import max_t

__all__ = ["cases_for_width", "chance_to_exclude", "detectable_gap", "interval_width", "n_needed", "null_critical"]


def detectable_gap(
    n: NDArray[np.floating] | NDArray[np.integer], n_cases: int, *, sd: float, critical: float, power: float = 0.8
) -> NDArray[np.float64]:
    """Smallest difference between a group and the rest that is found with the given power.

    Args:
        n: Members of the groups, any shape.
        n_cases: Cases of the cohort.
        sd: Standard deviation of the outcome within groups.
        critical: Critical |t| at the family-wise level, from `MaxT.critical` or `null_critical`.
        power: Probability of finding it.

    Returns:
        Gaps; NaN where the group or the rest is empty.
    """
    return np.asarray((critical + ndtri(power)) * _standard_error(n, n_cases, sd), dtype=np.float64)


def _standard_error(n: NDArray[np.floating] | NDArray[np.integer], n_cases: int, sd: float) -> NDArray[np.float64]:
    """Of the difference between the means of a group and the rest; NaN where one of them is empty."""
    members = np.asarray(n, dtype=np.float64)
    possible = (members > 0) & (members < n_cases)
    per_case = np.full(members.shape, np.nan)
    np.divide(1.0, members, out=per_case, where=possible)
    np.add(per_case, 1.0 / np.where(possible, n_cases - members, np.nan), out=per_case)
    return np.asarray(sd * np.sqrt(per_case), dtype=np.float64)


def n_needed(
    gap: float, share: NDArray[np.floating], *, sd: float, critical: float, power: float = 0.8
) -> NDArray[np.float64]:
    """Members that a group must have for a gap to be found, in a cohort that grows as it is.

    Args:
        gap: Difference between the group and the rest, above 0.
        share: Share of the cohort that the group is, any shape.
        sd: Standard deviation of the outcome within groups.
        critical: Critical |t| at the family-wise level.
        power: Probability of finding it.

    Returns:
        Whole numbers of members; NaN where the share is not between 0 and 1.
    """
    part = np.asarray(share, dtype=np.float64)
    rest = np.where((part > 0) & (part < 1), 1.0 - part, np.nan)
    reach = (critical + ndtri(power)) * sd / gap
    return np.ceil(reach**2 / rest - 1e-9)


def interval_width(
    n: NDArray[np.floating] | NDArray[np.integer], n_cases: int, *, sd: float, critical: float
) -> NDArray[np.float64]:
    """Width of the simultaneous interval of the difference between a group and the rest: 2 c SE.

    Args:
        n: Members of the groups, any shape.
        n_cases: Cases of the cohort.
        sd: Standard deviation of the outcome within groups.
        critical: Critical |t| at the family-wise level.

    Returns:
        Widths; NaN where the group or the rest is empty.
    """
    return np.asarray(2 * critical * _standard_error(n, n_cases, sd), dtype=np.float64)


def cases_for_width(width: float, share: NDArray[np.floating], *, sd: float, critical: float) -> NDArray[np.float64]:
    """Cases of a whole cohort for which that interval is no wider: (2 c sd / width)^2 (1 / share + 1 / (1 - share)).

    Args:
        width: Above 0.
        share: Share of the cohort that the group is, any shape.
        sd: Standard deviation of the outcome within groups.
        critical: Critical |t| at the family-wise level.

    Returns:
        Whole numbers of cases; NaN where the share is not between 0 and 1.
    """
    part = np.asarray(share, dtype=np.float64)
    inside = np.where((part > 0) & (part < 1), part, np.nan)
    return np.asarray(np.ceil((2 * critical * sd / width) ** 2 * (1 / inside + 1 / (1 - inside)) - 1e-9))


def chance_to_exclude(margin: float, width: float, *, critical: float) -> float:
    """Probability that an interval excludes a deficit of the margin where there is no difference: Phi(margin / SE - c).

    Args:
        margin: The deficit, above 0.
        width: Width of the interval, 2 c SE, above 0.
        critical: Its critical |t|, c.
    """
    return float(ndtr(margin / (width / 2 / critical) - critical))


def null_critical(
    membership: Membership,
    *,
    rng: np.random.Generator,
    min_cases: int = 10,
    permutations: int = 2000,
    level: float = 0.05,
) -> float | None:
    """Critical |t| of the family before there are any scores, from a normal outcome.

    Args:
        membership: (n_subgroups, n_cases).
        rng: Source of randomness.
        min_cases: Smallest number of members, and of others, of a subgroup that is tested.
        permutations: Draws.
        level: Family-wise level.

    Returns:
        The critical value; None where no subgroup is large enough.
    """
    outcome = rng.standard_normal((1, membership.shape[1]))[0]
    test = max_t(membership, outcome, rng=rng, min_cases=min_cases, permutations=permutations, method="random")
    return test.critical(level)
