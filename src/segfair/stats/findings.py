"""Few findings behind many significant subgroups: what is left of the others once the strongest is taken out.

One gap shows in every subgroup that shares cases with it. The subgroup with the strongest evidence is named, the cohort
is divided by it, and the whole family is tested again within the two parts, until nothing is beyond chance. Strong
gaps that cross show most in the corner that they share; so where several subgroups are named, the shortest
descriptions are also tried first, and told where they have fewer items in all and their sum leaves nothing of the
others. Knows neither attributes nor names.

References:
    Westfall and Young 1993 (max-T). Miller 1990, section 3.2 (forward selection). Rubin 1981 (exponential weights).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.stats.cells import Membership, crossed, distinct_rows
from segfair.stats.contrast import Family, families
from segfair.stats.intervals.bootstrap import exponential_weights
from segfair.stats.permutation import MaxT, family_test

__all__ = ["Named", "explain", "worst_off"]

_TIE = 0.75
"""Evidence that differs by less ties: t has a standard error of 1 itself. With 0 two levels
that cross are found exactly in 40 to 62 % of cohorts instead of 79 to 82; `benchmarks/calibration.py` compares."""
_LATER = 0.5
"""Share of the level at which later steps are tested: each may already follow a mistake of the one before."""
_MOST = 12
"""Findings that a reader is told; more gaps than that are one: the model."""


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A subgroup that was named, and the test in which it led.

    Attributes:
        row: Which subgroup.
        test: Of all subgroups, within what was named before.
        lead: (n_subgroups,) share of resamples in which each subgroup would have been named.
        explains: (n_rows,) the subgroups of the first test that are significant there and owe most of it to this one.
    """

    row: int
    test: MaxT
    lead: NDArray[np.float64]
    explains: NDArray[np.intp]


def explain(
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    lengths: NDArray[np.intp],
    harm: int,
    rng: np.random.Generator,
    draws: int = 500,
    min_cases: int = 10,
    permutations: int = 2000,
    strata: NDArray[np.integer] | None = None,
    subjects: NDArray[np.integer] | None = None,
    level: float = 0.05,
    first: MaxT | None = None,
) -> tuple[Named, ...]:
    """Names the subgroups that explain all that is beyond chance, the strongest evidence first.

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.
        lengths: (n_subgroups,) items of each description; where evidence ties, the shorter is named.
        harm: -1 where lower outcomes are worse, 1 where higher ones are; a subgroup that is worse is named rather than
            the others that are better.
        rng: Source of randomness.
        draws: Resamples that tell how surely each is named.
        min_cases: As for `max_t`.
        permutations: As for `max_t`.
        strata: As for `max_t`.
        subjects: As for `max_t`.
        level: Family-wise level of the first step; later ones have half of it.
        first: The test of the first step, where it is known already.

    Returns:
        What was named; empty where nothing is beyond chance.
    """
    distinct, representative, sign = distinct_rows(membership, complements=True)
    retest = functools.partial(
        family_test, rng=rng, min_cases=min_cases, permutations=permutations, alternative="two-sided"
    )

    def one_by_one(first: MaxT | None, tie: float) -> tuple[list[int], list[MaxT], list[NDArray[np.float64]]]:
        stratum = np.zeros(len(outcome), dtype=np.intp) if strata is None else strata
        rows: list[int] = []
        tests: list[MaxT] = []
        leads: list[NDArray[np.float64]] = []
        while True:
            parts = families(membership[distinct], outcome, strata=stratum, subjects=subjects, min_divided=min_cases)
            known = first if not tests else None
            test = known or retest(parts, representative, sign)
            tests.append(test)
            shown = test.significant(level if not rows else level * _LATER)
            if not shown.any() or len(rows) == _MOST:
                return rows, tests, leads
            # Of equal evidence short before long, worse before better; among those that are alike evidence decides.
            rank = crossed(lengths, ~(harm * test.difference > 0))
            row = int(_leaders(np.where(shown, np.abs(test.t), -np.inf)[:, None], rank, tie)[0])
            resampled = _resampled_t(parts, test, representative, sign, rng=rng, draws=draws)
            rows.append(row)
            leads.append(_shares(map(np.abs, resampled), rank, tie))
            stratum = crossed(stratum, membership[row])

    rows, tests, leads = one_by_one(first, _TIE)
    if len(rows) > 1:
        short = one_by_one(tests[0], np.inf)
        if lengths[short[0]].sum() < lengths[rows].sum():
            # Within strata a corner of two that were named has no rest; beside their sum it has.
            beside = families(
                membership[rows],
                outcome,
                strata=strata,
                subjects=subjects,
                covariates=membership[short[0]].T.astype(np.float64),
                min_divided=min_cases,
            )
            left = retest(beside, np.arange(len(rows)), np.ones(len(rows)))
            if not (left.p_value <= level).any():
                rows, tests, leads = short
    owners = _owners(tests, rows, level)
    return tuple(Named(row, tests[k], leads[k], np.flatnonzero(owners == k)) for k, row in enumerate(rows))


def worst_off(
    membership: Membership,
    outcome: NDArray[np.float64],
    test: MaxT,
    *,
    lengths: NDArray[np.intp],
    harm: int,
    rng: np.random.Generator,
    draws: int = 500,
    min_cases: int = 10,
    strata: NDArray[np.integer] | None = None,
    subjects: NDArray[np.integer] | None = None,
) -> tuple[int, NDArray[np.float64]] | None:
    """The subgroup for which most speaks that it is worse, beyond chance or not, and how surely it is that one.

    Args:
        membership: (n_subgroups, n_cases).
        outcome: (n_cases,) finite.
        test: Of these subgroups.
        lengths: As for `explain`.
        harm: As for `explain`.
        rng: Source of randomness.
        draws: Number of resamples.
        min_cases: As for `max_t`.
        strata: As for `max_t`.
        subjects: As for `max_t`.

    Returns:
        Its row, and (n_subgroups,) the share of resamples in which each would have been it; None where no subgroup
        that was tested is worse than the rest.
    """
    distinct, representative, sign = distinct_rows(membership, complements=True)
    evidence = np.where(test.tested, harm * test.t, -np.inf)
    if not (evidence > 0).any():
        return None
    parts = families(membership[distinct], outcome, strata=strata, subjects=subjects, min_divided=min_cases)
    resampled = _resampled_t(parts, test, representative, sign, rng=rng, draws=draws)
    return int(_leaders(evidence[:, None], lengths)[0]), _shares((harm * t for t in resampled), lengths)


def _leaders(evidence: NDArray[np.float64], rank: NDArray[np.intp], tie: float = _TIE) -> NDArray[np.intp]:
    """(n_draws,) the subgroup to be named for (n_subgroups, n_draws) of evidence; -inf or NaN: not eligible."""
    evidence = np.where(np.isnan(evidence), -np.inf, evidence)
    tied = (evidence >= evidence.max(axis=0) - tie) & (evidence > -np.inf)
    best = np.where(tied, rank[:, None], rank.max(initial=0) + 1).min(axis=0)
    return np.asarray(np.argmax(np.where(tied & (rank[:, None] == best), evidence, -np.inf), axis=0), dtype=np.intp)


def _shares(resampled: Iterable[NDArray[np.float64]], rank: NDArray[np.intp], tie: float = _TIE) -> NDArray[np.float64]:
    """(n_subgroups,) share of resamples, (n_subgroups, some draws) of evidence at a time, that each would lead."""
    led = np.concatenate([_leaders(evidence, rank, tie) for evidence in resampled])
    return np.bincount(led, minlength=len(rank)) / len(led)


def _resampled_t(
    parts: list[Family],
    test: MaxT,
    representative: NDArray[np.intp],
    sign: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    draws: int,
) -> Iterator[NDArray[np.float64]]:
    """(n_subgroups, some draws) of t as further cohorts would give it; NaN where not tested."""
    n_distinct = int(representative.max(initial=-1)) + 1
    for by_part in _resampled_influence(parts, rng=rng, draws=draws):
        moved = np.full((n_distinct, by_part[0].shape[1]), np.nan)
        for part, found in zip(parts, by_part, strict=True):
            moved[part.rows] = found
        with np.errstate(invalid="ignore", divide="ignore"):
            t = test.t[:, None] + (sign[:, None] * moved[representative]) / test.standard_error[:, None]
        yield np.where(test.tested[:, None], t, np.nan)


def _resampled_influence(
    parts: list[Family], *, rng: np.random.Generator, draws: int
) -> Iterator[list[NDArray[np.float64]]]:
    """How the differences of each family move when units are weighted, for some draws at a time."""
    residuals = [part.contrast.residual(part.outcome) for part in parts]
    # Families over subjects and within them share the subjects' weights, which only weights of single units can do.
    limit = parts[0].contrast.limit(residuals[0]) if len(parts) == 1 and parts[0].subject is None else None
    if limit is not None:
        contrast, residual = parts[0].contrast, residuals[0]
        sums = contrast.cells.sums(residual[None])
        for mass, weighted in limit.resampled(residual[None], rng=rng, count=draws):
            yield [contrast.influence(residual, weighted[:, 0] - sums, mass - contrast.cells.sizes)]
        return
    n_units = max((len(part.outcome) if part.subject is None else int(part.subject.max()) + 1) for part in parts)
    for weights in exponential_weights(n_units, rng=rng, draws=draws):
        found = []
        for part, residual in zip(parts, residuals, strict=True):
            cells = part.contrast.cells
            beyond = (weights if part.subject is None else weights[:, part.subject])[:, cells.order] - 1
            found.append(part.contrast.influence(residual, cells.sums(beyond * residual), cells.sums(beyond)))
        yield found


def _owners(tests: list[MaxT], named: list[int], level: float) -> NDArray[np.intp]:
    """(n_subgroups,) the step that took most of a subgroup's evidence away; -1 where it had none to lose."""
    evidence = np.stack([np.where(test.tested, np.abs(test.t), 0.0) for test in tests])
    owners = np.full(evidence.shape[1], -1, dtype=np.intp)
    if named:
        lost = evidence[: len(named)] - evidence[1 : len(named) + 1]
        owners = np.where(tests[0].significant(level), np.argmax(lost, axis=0), -1)
        owners[named] = np.arange(len(named))
    return owners
