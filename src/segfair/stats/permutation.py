"""Which differences between subgroups and the rest are more than chance: Westfall-Young max-T by permutation.

Arrays in, arrays out; knows neither attributes nor names. The family-wise error is controlled exactly under the
complete null hypothesis (no subgroup differs), at which outcomes are exchangeable over cases (within strata, or
within or between subjects). With differences elsewhere or unequal spreads it is controlled approximately: the
statistic is studentised for that reason.

References:
    Westfall and Young. Resampling-Based Multiple Testing. Wiley 1993, algorithms 2.5 and 4.1 (step-down).
    Phipson and Smyth. Permutation P-values Should Never Be Zero. 2010, section 3: (b + 1) / (B + 1).
    Winkler et al. Permutation inference for the general linear model. NeuroImage 2014 (Freedman-Lane, blocks).
    Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001.
    Guilbaud. Simultaneous confidence regions corresponding to Holm's step-down procedure. 2008.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Membership, distinct_rows
from segfair.stats.contrast import PRIOR_DF, Contrast, Family, families
from segfair.stats.resampling import EXACT_LIMIT, count_rearrangements, every_rearrangement, random_rearrangements

__all__ = ["Alternative", "MaxT", "Method", "false_discovery", "family_test", "max_t"]

Alternative = Literal["two-sided", "less", "greater"]
Method = Literal["auto", "random", "exact", "cases"]
_Drawn = Literal["exact", "cases", "limit"]

_STEP_ELEMENTS = 1 << 20
"""Statistics per block of permutations: few enough for the cache, many enough for the matrix product."""
_CASE_ELEMENTS = 1 << 22
"""Rearranged outcomes per block of permutations, 32 MiB; some six such arrays exist at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class MaxT:
    """Max-T test of every subgroup; arrays hold one entry a row of the membership matrix.

    Attributes:
        difference: Mean of the members minus mean of the rest (within strata, at equal covariates, if so asked).
        standard_error: Its moderated standard error; `t` is their ratio. NaN where there is nothing to compare.
        rest_share: Share of the cohort outside of the subgroup; times `difference` it is the divergence.
        p_value: Permutation p of this subgroup alone; NaN where not tested, as in the next two.
        p_adjusted: Step-down max-T p; `p_single_step` the more conservative single-step one.
        tested: Whether the subgroup is in the family.
        within: Whether it is compared within subjects.
        question: Number of the distinct question that the subgroup poses: identical memberships pose the same one,
            and in a two-sided test complementary ones do.
        n_tests: Distinct questions tested.
        null_max: (n_permutations,) largest statistic of each permutation; empty without a family.
        n_permutations: Permutations drawn, or all there are if `exact`.
        exact: Whether all were enumerated.
        from_limit: Whether sums over large subgroups were drawn from their limit (see `limit`).
    """

    difference: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    t: NDArray[np.float64]
    rest_share: NDArray[np.float64]
    p_value: NDArray[np.float64]
    p_adjusted: NDArray[np.float64]
    p_single_step: NDArray[np.float64]
    tested: NDArray[np.bool_]
    within: NDArray[np.bool_]
    question: NDArray[np.intp]
    n_tests: int
    null_max: NDArray[np.float64]
    n_permutations: int
    exact: bool
    from_limit: bool = False

    def rows(self, which: NDArray[np.intp]) -> MaxT:
        """The same of some of the subgroups, corrected for all of them as before."""
        per_row = ("difference", "standard_error", "t", "rest_share", "p_value", "p_adjusted", "p_single_step")
        kept = {name: getattr(self, name)[which] for name in (*per_row, "tested", "within", "question")}
        return dataclasses.replace(self, **kept)

    def critical(self, level: float = 0.05) -> float | None:
        """The largest statistic that is not yet significant in the single-step test.

        None without a family, or with too few permutations for this level.
        """
        allowed = (
            int(np.floor(level * self.n_permutations + 1e-9)) if self.exact else _allowed(level, len(self.null_max))
        )
        if not len(self.null_max) or allowed < 0:
            return None
        descending = -np.sort(-self.null_max)
        return float(descending[min(allowed, len(descending) - 1)])

    def simultaneous_difference(self, level: float = 0.05) -> NDArray[np.float64]:
        """Intervals of all differences that hold together with probability 1 - `level`.

        Difference plus or minus `critical` standard errors: an interval leaves out 0 just where the single-step test
        is significant. Two-sided tests only.

        Returns:
            (n_subgroups, 2); NaN where not tested, or with too few permutations for this level.
        """
        critical = self.critical(level)
        if critical is None:
            return np.full((len(self.t), 2), np.nan)
        reach = np.where(self.tested, critical * self.standard_error, np.nan)
        return np.stack([self.difference - reach, self.difference + reach], axis=-1)

    def estimate_interval(self, level: float = 0.05) -> NDArray[np.float64]:
        """The same, leaving out 0 just where the step-down test is significant.

        A difference that only the step-down test shows is known by its sign alone: its interval ends at 0 without
        holding it (Guilbaud 2008), which is written as a billionth of the difference.
        """
        low, high = self.simultaneous_difference(level).T
        shown, sign = self.significant(level), np.where(self.difference < 0, -1.0, 1.0)
        with np.errstate(invalid="ignore"):
            near = sign * np.where(sign < 0, high, low)
            near = np.where(shown, np.maximum(near, 1e-9 * np.abs(self.difference)), np.minimum(near, 0.0))
        return np.stack([np.where(sign < 0, low, near), np.where(sign < 0, -near, high)], axis=-1)

    def simultaneous(self, level: float = 0.05) -> NDArray[np.float64]:
        """The same of all divergences, (n_subgroups, 2): differences times the share of the rest."""
        return np.asarray(self.simultaneous_difference(level) * self.rest_share[:, None], dtype=np.float64)

    def shrunken_difference(self, n: NDArray[np.intp]) -> NDArray[np.float64]:
        """(n_subgroups,) differences pulled toward 0 as `shrinkage.shrink` pulls divergences, each by its own error.

        Args:
            n: (n_subgroups,) members; they weight the spread of the true differences.
        """
        known = np.isfinite(self.difference) & np.isfinite(self.standard_error) & (n > 0)
        shrunken = np.full(len(n), np.nan)
        if known.any():
            value, variance = self.difference[known], self.standard_error[known] ** 2
            signal = max(float(np.average(value**2 - variance, weights=n[known])), 1e-3 * float(variance.mean()))
            shrunken[known] = value * np.divide(signal, signal + variance, out=np.zeros_like(value), where=signal > 0)
        return shrunken

    def false_discovery(self, *, method: Literal["bh", "by"] = "bh") -> NDArray[np.float64]:
        """(n_subgroups,) adjusted p that bounds the share of false discoveries; NaN where not tested.

        See the function of this name; each distinct question counts once.
        """
        _, first, inverse = np.unique(self.question, return_index=True, return_inverse=True)
        return np.asarray(false_discovery(self.p_value[first], method=method)[inverse], dtype=np.float64)

    def significant(self, level: float = 0.05) -> NDArray[np.bool_]:
        """(n_subgroups,) whether the step-down p is at most `level`; False where not tested."""
        with np.errstate(invalid="ignore"):
            return self.p_adjusted <= level


def _allowed(level: float, n_permutations: int) -> int:
    """How many of the permutations may reach the statistic for p = (b + 1) / (B + 1) to be at most the level."""
    return int(np.floor(level * (n_permutations + 1) + 1e-9)) - 1


def max_t(
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    min_cases: int = 10,
    permutations: int = 2000,
    strata: NDArray[np.integer] | None = None,
    subjects: NDArray[np.integer] | None = None,
    alternative: Alternative = "two-sided",
    prior_df: float = PRIOR_DF,
    method: Method = "auto",
) -> MaxT:
    """Tests every subgroup against the rest, corrected for all of them by Westfall and Young's max-T.

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.
        rng: Source of randomness.
        min_cases: Smallest number of members, and of others, of a subgroup that is tested.
        permutations: Permutations to draw.
        strata: (n_cases,) codes; outcomes are centred within strata and permuted within them, so that a difference
            between strata is nobody's fault. A subgroup that is a union of strata cannot be tested.
        subjects: (n_cases,) codes of the subject each case belongs to; `min_cases` then counts subjects. A subgroup is
            tested on subject means, or within subjects where it divides most of them (see `families`). All are one
            family.
        alternative: "two-sided" compares |t|; "less" looks for subgroups below the rest, "greater" above it.
        prior_df: Degrees of freedom of the pooled variance in each group's; 0 is Welch's statistic.
        method: "exact" enumerates every rearrangement, "random" draws, "auto" enumerates where there are no more
            than `permutations` or 5,040 (a cohort of 7). Subject means and within-subject tests together are drawn.
            Draws of a large cohort come from their limit where `limit_of` allows it and the test is two-sided;
            "cases" rearranges every case all the same.

    Returns:
        The tests. A constant outcome: every t is 0 and every p is 1. No subgroup large enough: nothing is tested.

    References:
        Westfall and Young 1993, algorithms 2.5 and 4.1; Phipson and Smyth 2010.
    """
    first, representative, sign = distinct_rows(membership, complements=alternative == "two-sided")
    distinct = membership if len(first) == len(membership) else membership[first]
    return family_test(
        families(distinct, outcome, strata=strata, subjects=subjects, prior_df=prior_df, min_divided=min_cases),
        representative,
        sign,
        rng=rng,
        min_cases=min_cases,
        permutations=permutations,
        alternative=alternative,
        method=method,
    )


def family_test(
    parts: Sequence[Family],
    representative: NDArray[np.intp],
    sign: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    min_cases: int,
    permutations: int,
    alternative: Alternative,
    method: Method = "auto",
) -> MaxT:
    """Runs one max-T family made of several contrasts; see `max_t`.

    Args:
        parts: Contrasts over different units (cases, subjects), each for some of the distinct subgroups.
        representative: (n_subgroups,) position of each subgroup's distinct membership.
        sign: (n_subgroups,) -1 where the subgroup is its representative's complement.
        rng: Source of randomness.
        min_cases: As in `max_t`, like the rest.
        permutations: Permutations to draw.
        alternative: Direction.
        method: Whether to enumerate.
    """
    n_distinct = sum(len(family.rows) for family in parts)
    difference, error, rest_share = (np.full(n_distinct, np.nan) for _ in range(3))
    tested, within = np.zeros(n_distinct, dtype=bool), np.zeros(n_distinct, dtype=bool)
    contrasts, residuals, tests = [], [], []
    for family in parts:
        compared = family.contrast.identified
        enough = compared & (family.evidence >= max(1, min_cases))
        residual = family.contrast.residual(family.outcome)
        some = family.contrast.select(compared)
        found, spread = some.compare(residual[None])
        difference[family.rows[compared]], error[family.rows[compared]] = found[:, 0], spread[:, 0]
        rest_share[family.rows] = family.contrast.n_rest / max(1, len(residual))
        tested[family.rows[enough]] = True
        within[family.rows] = family.subject is not None
        contrasts.append(family.contrast.select(enough))
        residuals.append(residual)
        tests.append(family.rows[enough])
    t = np.divide(difference, error, out=np.where(np.isnan(difference), np.nan, 0.0), where=error > 0)
    order = np.concatenate(tests) if tests else np.empty(0, dtype=np.intp)
    exceed, exceed_down, null_max, how = _permute(
        contrasts, residuals, t[order], rng=rng, permutations=permutations, alternative=alternative, method=method
    )
    count, extra = len(null_max), 0 if how == "exact" else 1
    p_value, p_adjusted, p_single = (np.full(n_distinct, np.nan) for _ in range(3))
    if len(order):
        observed = _one_sided(t[order], alternative)
        p_value[order] = (exceed + extra) / (count + extra)
        reached = np.searchsorted(np.sort(null_max), _threshold(observed), side="left")
        p_single[order] = (count - reached + extra) / (count + extra)
        most_first = np.argsort(-observed, kind="stable")
        p_adjusted[order[most_first]] = np.maximum.accumulate((exceed_down[most_first] + extra) / (count + extra))
    return MaxT(
        difference=sign * difference[representative],
        standard_error=error[representative],
        t=sign * t[representative],
        rest_share=np.where(sign > 0, rest_share[representative], 1.0 - rest_share[representative]),
        p_value=p_value[representative],
        p_adjusted=p_adjusted[representative],
        p_single_step=p_single[representative],
        tested=tested[representative],
        within=within[representative],
        question=representative,
        n_tests=len(order),
        null_max=null_max,
        n_permutations=count,
        exact=how == "exact",
        from_limit=how == "limit",
    )


def _permute(
    contrasts: Sequence[Contrast],
    residuals: Sequence[NDArray[np.float64]],
    t: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    permutations: int,
    alternative: Alternative,
    method: Method,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], _Drawn]:
    """Counts of permuted statistics that reach the observed one (alone; step-down), their maxima; how drawn."""
    n_tests = len(t)
    if not n_tests:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.empty(0), "cases"
    used = [(c, e) for c, e in zip(contrasts, residuals, strict=True) if len(c.n)]
    draws, how = _draws(
        used, rng=rng, permutations=permutations, n_tests=n_tests, method=method, alternative=alternative
    )
    observed = _one_sided(t, alternative)
    ascending = np.argsort(observed, kind="stable")
    threshold = _threshold(observed[ascending])[:, None]
    alone, down = np.zeros(n_tests, dtype=np.int64), np.zeros(n_tests, dtype=np.int64)
    maxima = []
    for by_contrast in zip(*draws, strict=True):
        drawn = _one_sided(np.concatenate(by_contrast, axis=0), alternative)[ascending]
        alone[ascending] += np.count_nonzero(drawn >= threshold, axis=1)
        # Step-down: a subgroup competes with those of no larger statistic only.
        np.maximum.accumulate(drawn, axis=0, out=drawn)
        down[ascending] += np.count_nonzero(drawn >= threshold, axis=1)
        maxima.append(drawn[-1].copy())
    return alone, down, np.concatenate(maxima), how


def _draws(
    used: Sequence[tuple[Contrast, NDArray[np.float64]]],
    *,
    rng: np.random.Generator,
    permutations: int,
    n_tests: int,
    method: Method,
    alternative: Alternative,
) -> tuple[list[Iterator[NDArray[np.float64]]], _Drawn]:
    """For each contrast (n_subgroups, some rearrangements) of t, equally many at a time; and how they are drawn."""
    # Skewness moves the two tails apart long before it changes their sum.
    if len(used) == 1 and method in ("auto", "random") and alternative == "two-sided":
        contrast, residual = used[0]
        limit = contrast.limit(residual)
        if limit is not None:
            return [contrast.rearranged_t(residual, limit, rng=rng, count=permutations)], "limit"
    widest = max(len(residual) for _, residual in used)
    step = max(1, min(permutations, _STEP_ELEMENTS // n_tests, _CASE_ELEMENTS // widest))
    blocks = [np.repeat(contrast.cells.blocks, contrast.cells.sizes) for contrast, _ in used]
    # Rearrangements of subjects and of cases within subjects cannot be paired one to one: those are always drawn.
    exact = len(used) == 1 and (
        method == "exact" or (method == "auto" and count_rearrangements(blocks[0]) <= max(permutations, EXACT_LIMIT))
    )
    if exact:
        positions = [every_rearrangement(block, step=step) for block in blocks]
    else:
        positions = [
            random_rearrangements(block, count=permutations, step=step, rng=stream)
            for block, stream in zip(blocks, rng.spawn(len(blocks)), strict=True)
        ]
    return [_t_of(*one, where) for one, where in zip(used, positions, strict=True)], "exact" if exact else "cases"


def _t_of(
    contrast: Contrast, residual: NDArray[np.float64], rearrangements: Iterator[NDArray[np.intp]]
) -> Iterator[NDArray[np.float64]]:
    for positions in rearrangements:
        yield contrast.t(contrast.refit(residual[positions]))


def _one_sided(t: NDArray[np.float64], alternative: Alternative) -> NDArray[np.float64]:
    if alternative == "two-sided":
        return np.abs(t)
    return t if alternative == "greater" else -t


def _threshold(observed: NDArray[np.float64]) -> NDArray[np.float64]:
    """What counts as reaching the observed statistic: equal up to the rounding of sums in another order."""
    return observed - 1e-9 * (1.0 + np.abs(observed))


def false_discovery(p_values: NDArray[np.float64], *, method: Literal["bh", "by"] = "bh") -> NDArray[np.float64]:
    """Benjamini-Hochberg ("bh") or Benjamini-Yekutieli ("by") adjusted p.

    Not a family-wise guarantee: among the subgroups so called significant this share is expected to be false
    alarms, and under skewed outcomes or overlapping subgroups Benjamini-Hochberg's own promise is not certain.

    Args:
        p_values: (n_subgroups,) p of each distinct subgroup; NaN where not tested.
        method: Which procedure.

    Returns:
        (n_subgroups,) adjusted p; NaN stays NaN.
    """
    adjusted = np.full(len(p_values), np.nan)
    known = np.isfinite(p_values)
    order = np.flatnonzero(known)[np.argsort(p_values[known])]
    ranks = np.arange(1, len(order) + 1)
    steps = p_values[order] * (len(order) / ranks)
    if method == "by":
        steps *= np.sum(1 / ranks)
    # SciPy's own function takes half a second to import, and no other statistic needs it.
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted
