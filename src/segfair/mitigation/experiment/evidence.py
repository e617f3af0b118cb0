"""Evidence for a gain: two models on the same cases, out of fold, with the chance of subjects and of seeds.

The worst subgroup is chosen where it is not judged, and a change is held against what the plain model differs from
itself by from seed to seed. Pure functions of arrays; imports no torch. What is made of the numbers stands in `gains`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from segfair import fairness, stats
from segfair.attributes.fit import AttributeTable
from segfair.errors import AuditError
from segfair.mitigation.experiment.gains import MEAN_MARGIN, Choice, Evidence, NullSpread, PairedChange, ScoreChange
from segfair.protocol.rules import Protocol
from segfair.stats.resampling import Resampling
from segfair.subgroups.lattice import Membership
from segfair.subgroups.search import SearchBounds, search_subgroups

__all__ = ["PooledScores", "choose_worst", "find_evidence", "null_spread"]

Floats = NDArray[np.float64]

_MOST_SUBGROUPS = 20_000
_DRAWS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class PooledScores:
    """Out-of-fold scores of one model: each case by the network of the fold that tests it.

    Attributes:
        case_ids: The cases.
        dsc, normhd: (n_seeds, n_cases) finite.
    """

    case_ids: tuple[str, ...]
    dsc: Floats
    normhd: Floats


def find_evidence(
    plain: PooledScores,
    other: PooledScores,
    *,
    folds: NDArray[Any],
    attributes: AttributeTable,
    subjects: NDArray[np.integer] | None,
    protocol: Protocol,
    min_cases: int,
    mean_margin: float = MEAN_MARGIN,
    seed: int,
) -> Evidence:
    """Judges what a model changed against the plain one.

    Args:
        plain: The plain model.
        other: The model, of the same cases and seeds: row s of both has the same folds, initial weights and seed.
        folds: (n_cases,) number or name of the fold that tests each case.
        attributes: The cases' attributes, in the same order.
        subjects: (n_cases,) codes of patients; None: every case is a patient of its own.
        protocol: Decides which levels count in FS.
        min_cases: Fewest members, and others, of a subgroup that can be the worst one, in the folds that choose it and
            in all that judge it.
        mean_margin: Loss of mean Dice from which on the mean is not called unchanged.
        seed: Of the resamples behind the interval of FS.

    Returns:
        The evidence. One fold alone leaves nowhere to choose a subgroup, so that there is no worst one.

    Raises:
        AuditError: No case.
    """
    rows = _subgroups_of(attributes, min_cases)
    choices, members = choose_worst(plain.dsc.mean(axis=0), folds, rows, min_cases=min_cases)
    worst = _change(plain, other, members, subjects)
    reason = _too_few(choices, worst, min_cases)
    rest = ~members
    if reason:
        worst, members, rest = None, np.zeros_like(members), np.zeros_like(members)
    everybody = np.ones_like(members)
    mean = _change(plain, other, everybody, subjects)
    if mean is None:
        raise AuditError("evidence: there is no case; at least one fold has to test some")

    def spread(who: NDArray[np.bool_]) -> float | None:
        return null_spread(plain.dsc[:, who], folds[who])

    return Evidence(
        worst=worst,
        reason=reason,
        mean=mean,
        rest=_change(plain, other, rest, subjects),
        fairness=_fairness_change(plain, other, attributes, subjects, protocol, min_cases=min_cases, seed=seed),
        choices=choices,
        null=NullSpread(spread(members), spread(everybody), spread(rest)) if len(plain.dsc) > 1 else None,
        margin=mean_margin,
        n_folds=len(np.unique(folds)),
    )


def _subgroups_of(attributes: AttributeTable, min_cases: int) -> Membership:
    """Every subgroup of enough cases; which there are depends on no score."""
    support = min(0.01, min_cases / max(1, len(attributes.case_ids)))
    bounds = SearchBounds(min_support=support, min_cases=min_cases, max_items=None, budget=_MOST_SUBGROUPS)
    return search_subgroups(attributes, bounds)[0]


def choose_worst(
    dsc: Floats, folds: NDArray[Any], membership: Membership, *, min_cases: int
) -> tuple[tuple[Choice, ...], NDArray[np.bool_]]:
    """For each fold the subgroup that the other folds show to be served worst.

    Args:
        dsc: (n_cases,) Dice of the plain model.
        folds: (n_cases,) fold of each case.
        membership: The subgroups of the cases.
        min_cases: Fewest members, and others, in the other folds.

    Returns:
        The choice of each fold that has one, and (n_cases,) who is in the subgroup of the own fold. A fold has none
        where no subgroup is large enough or none lies below the mean.
    """
    choices, chosen = [], np.zeros(len(dsc), dtype=bool)
    for fold in np.unique(folds):
        here = folds == fold
        elsewhere = membership.matrix[:, ~here]
        sizes = np.count_nonzero(elsewhere, axis=1)
        rows = np.flatnonzero((sizes >= max(1, min_cases)) & (elsewhere.shape[1] - sizes >= max(1, min_cases)))
        shrunken = stats.shrink(elsewhere[rows], dsc[~here]).shrunken
        if not len(rows) or shrunken.min() >= 0:
            continue
        best = int(np.argmin(shrunken))
        members = membership.matrix[rows[best]] & here
        chosen |= members
        items = dict(sorted(membership.subgroups[rows[best]].items))
        choices.append(Choice(str(fold), items, int(members.sum()), float(shrunken[best])))
    return tuple(choices), chosen


def _change(
    plain: PooledScores, other: PooledScores, members: NDArray[np.bool_], subjects: NDArray[np.integer] | None
) -> PairedChange | None:
    """Change of the members' mean Dice; None without members."""
    if not members.any():
        return None
    before, after = plain.dsc[:, members], other.dsc[:, members]
    mean = stats.mean_over_seeds(after - before, subjects=None if subjects is None else subjects[members])
    return PairedChange(float(before.mean()), float(after.mean()), mean)


def _too_few(choices: Sequence[Choice], worst: PairedChange | None, min_cases: int) -> str:
    """Why the worst subgroup cannot be judged; empty where it can be."""
    if not choices:
        return f"no subgroup of at least {min_cases} cases lies below the plain model's mean"
    if worst is None or worst.mean.n_cases < min_cases:
        n_cases = 0 if worst is None else worst.mean.n_cases
        return f"the chosen subgroups have {n_cases} cases in the folds that judge them, fewer than {min_cases}"
    if worst.mean.n_subjects < 2:
        return "the chosen subgroups have one subject in the folds that judge them"
    return ""


def null_spread(dsc: Floats, folds: NDArray[Any]) -> float | None:
    """How far two averages over so many trainings lie apart where only their seeds differ.

    Each fold is a training of its own, so that its variance from seed to seed adds up with those of the other folds:
    with w the share of a fold's cases and s2 the variance of its mean over the S seeds, the variance of a difference is
    2 / S sum(w^2 s2), of Satterthwaite's degrees of freedom.

    Args:
        dsc: (n_seeds, n_cases) Dice of the plain model.
        folds: (n_cases,) fold of each case.

    Returns:
        What 95 % of such differences stay below (up to 99 % with two seeds); None with one seed or without cases.
    """
    n_seeds, n_cases = dsc.shape
    if n_seeds < 2 or not n_cases:
        return None
    own = [folds == fold for fold in np.unique(folds)]
    parts = np.array([(here.sum() / n_cases) ** 2 * dsc[:, here].mean(axis=1).var(ddof=1) for here in own])
    total = float(parts.sum())
    if total == 0:
        return 0.0
    freedom = (n_seeds - 1) * total**2 / float(parts @ parts)
    return float(scipy.stats.t.ppf(0.975, freedom) * np.sqrt(2 * total / n_seeds))


def _fairness_change(
    plain: PooledScores,
    other: PooledScores,
    attributes: AttributeTable,
    subjects: NDArray[np.integer] | None,
    protocol: Protocol,
    *,
    min_cases: int,
    seed: int,
) -> ScoreChange | None:
    """Change of FS, averaged over seeds, as `compare` has it for one; None where no attribute can be judged."""
    rule = fairness.JudgingRule.of(protocol.fairness.levels, min_cases=min_cases)
    judged = fairness.judged(attributes.attributes, rule)
    if not judged:
        return None
    levels = fairness.stack_levels(np.array([entry.codes for entry in judged]), min_cases=rule.min_cases)
    n_seeds = len(plain.dsc)
    # Outcomes in pairs: DSC and NormHD of the first seed, of the second, ...
    first, second = (
        np.stack([scores.dsc, scores.normhd], axis=1).reshape(2 * n_seeds, -1) for scores in (plain, other)
    )
    both = np.concatenate([first, second])
    draws = Resampling(seed=seed, draws=_DRAWS, permutations=_DRAWS, min_cases=min_cases)
    resampled = fairness.bootstrap_level_means(
        levels, both, rng=draws.stream("evidence/bootstrap"), draws=draws.draws, subjects=subjects
    )
    shuffled = fairness.permuted_level_means(
        levels, both, rng=draws.stream("evidence/shuffle"), permutations=draws.permutations, subjects=subjects
    )
    observed = (fairness.observed_level_means(levels, first), fairness.observed_level_means(levels, second))
    statistic = functools.partial(_mean_fairness, n_seeds=n_seeds)
    halves = slice(0, 2 * n_seeds), slice(2 * n_seeds, 4 * n_seeds)
    ci = fairness.change_interval(
        statistic,
        observed=observed,
        resampled=(resampled.of_outcomes(halves[0]), resampled.of_outcomes(halves[1])),
        shuffled=(shuffled.of_outcomes(halves[0]), shuffled.of_outcomes(halves[1])),
        worse="lower",
        best=1.0,
        worst=0.0,
    )
    before, after = (float(statistic(means)[0]) for means in observed)
    return ScoreChange(before, after, after - before, stats.defined_interval(ci))


def _mean_fairness(means: fairness.LevelMeans, *, n_seeds: int) -> Floats:
    """FS averaged over seeds, whose DSC and NormHD are outcomes 2 s and 2 s + 1."""
    per_seed = [fairness.fairness_score(means.of_outcomes(slice(2 * s, 2 * s + 2))) for s in range(n_seeds)]
    return np.asarray(np.mean(per_seed, axis=0), dtype=np.float64)
