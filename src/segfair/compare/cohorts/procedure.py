"""Two audits of different patients: whose scores differ, and how much of it the mix of patients makes.

Nothing is paired: each cohort is resampled by itself. Reads two `AuditResult`s and no mask.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.audit.result import AuditResult
from segfair.audit.words import format_interval, format_number, metric_digits, metric_name, plural, subgroup_name
from segfair.compare.cohorts.case_mix import mix_changes, standardise
from segfair.compare.cohorts.pooled import Pooled, pool
from segfair.compare.cohorts.result import CohortChange, CohortComparison, CohortKind, CohortVerdict, Difference
from segfair.compare.comparability import SETTINGS, choose_outcome, direction, side_of
from segfair.errors import some
from segfair.subgroups.lattice import Better, Membership

__all__ = ["compare_cohorts"]


def compare_cohorts(
    before: AuditResult,
    after: AuditResult,
    *,
    names: tuple[str, str] = ("before", "after"),
    outcome: str | None = None,
) -> CohortComparison:
    """Compares two audits of different patients.

    Args:
        before: The first audit; its settings (level, resamples, seed, smallest group) hold.
        after: The second.
        names: What to call them.
        outcome: The metric that is compared; None: the primary outcome of both audits.

    Raises:
        InputError: Other rules of scoring, or an audit without the scores of its cases.
        ConfigError: An outcome that cannot be compared.
    """
    primary = choose_outcome(before, after, outcome)
    pooled = pool((before, after), primary)
    better = direction(before, primary)
    means = [float(pooled.values[pooled.of(place)].mean()) for place in (0, 1)]
    subgroups, n_tested = _changes(pooled, pooled.subgroups(), better)
    comparison = CohortComparison(
        before=side_of(before, names[0]),
        after=side_of(after, names[1]),
        outcome=primary,
        better=better,
        verdict=CohortVerdict("no difference shown", ""),
        mean_before=means[0],
        mean_after=means[1],
        crude=_overall(pooled),
        standardised=standardise(pooled),
        mix=mix_changes(pooled),
        subgroups=subgroups,
        level=before.about.config.level,
        n_tested=n_tested,
        notices=(*_same_cases(before, after), *pooled.notices),
        settings={name: getattr(before.about.config, name) for name in SETTINGS}
        | {"protocol": before.about.config.protocol.name},
        versions=dict(before.about.versions),
    )
    return _with_verdict(comparison)


def _same_cases(before: AuditResult, after: AuditResult) -> tuple[str, ...]:
    mine, theirs = (set(map(str, result.cases.scores.column("case"))) for result in (before, after))
    both = sorted(mine & theirs)
    if not both:
        return ()
    return (
        f"{plural(len(both), 'case')} of the same name in both audits ({some(both)}), taken for different patients; if "
        "they are the same, compare them paired",
    )


def _overall(pooled: Pooled) -> Difference:
    everybody = np.ones((1, len(pooled.values)), dtype=np.bool_)
    test = stats.two_sample_test(
        pooled.sample(everybody, 0),
        pooled.sample(everybody, 1),
        rng=pooled.stream("all"),
        draws=pooled.config.bootstrap,
        min_cases=2,
    )
    return _difference(test, 0) or Difference(float(test.difference[0]), None)


def _difference(test: stats.TwoSampleTest, row: int) -> Difference | None:
    """A row of a test; None where it is not tested."""
    if not test.tested[row]:
        return None
    return Difference(
        float(test.difference[row]), stats.defined_interval(test.simultaneous[row]), stats.defined(test.p_adjusted[row])
    )


def _changes(pooled: Pooled, membership: Membership, better: Better) -> tuple[tuple[CohortChange, ...], int]:
    """Every subgroup, those that became worse most first; and how many are tested."""
    members = membership.matrix
    sides = [pooled.sample(members, place) for place in (0, 1)]
    level, gaps = (
        stats.two_sample_test(
            *sides,
            rng=pooled.stream(purpose),
            draws=pooled.config.bootstrap,
            min_cases=pooled.config.min_cases,
            confidence=1 - pooled.config.level,
            against_rest=against_rest,
        )
        for purpose, against_rest in (("means", False), ("gaps", True))
    )
    found = []
    for row, subgroup in enumerate(membership.subgroups):
        means = [_mean(side.values[side.members[row]]) for side in sides]
        rests = [_mean(side.values[~side.members[row]]) for side in sides]
        found.append(
            CohortChange(
                dict(sorted(subgroup.items)),
                int(sides[0].members[row].sum()),
                int(sides[1].members[row].sum()),
                means[0],
                means[1],
                _difference(level, row),
                _minus(means[0], rests[0]),
                _minus(means[1], rests[1]),
                _difference(gaps, row),
            )
        )
    sign = 1 if better == "higher" else -1

    def place(entry: CohortChange) -> tuple[bool, float]:
        return entry.difference is None, sign * entry.difference.value if entry.difference is not None else 0.0

    return tuple(sorted(found, key=place)), int(level.tested.sum())


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _minus(mean: float | None, rest: float | None) -> float | None:
    return None if mean is None or rest is None else mean - rest


def _with_verdict(comparison: CohortComparison) -> CohortComparison:
    """The comparison with its answer."""
    worse, better = comparison.changed(worse=True), comparison.changed(worse=False)
    kind: CohortKind = (
        "worse and better"
        if worse and better
        else "worse for some"
        if worse
        else "better for some"
        if better
        else "no difference shown"
    )
    told = [_overall_sentence(comparison)]
    lead = (worse or better or (None,))[0]
    if lead is not None:
        told.append(_subgroup_sentence(comparison, lead, n_more=len(worse or better) - 1))
    elif comparison.n_tested:
        told.append(f"None of {plural(comparison.n_tested, 'subgroup')} differs beyond chance.")
    else:
        told.append("No subgroup has enough cases in both cohorts to be compared.")
    return dataclasses.replace(comparison, verdict=CohortVerdict(kind, " ".join(told)))


def _overall_sentence(comparison: CohortComparison) -> str:
    """The crude difference, and the one with a common mix."""
    digits = metric_digits([comparison.mean_before, comparison.mean_after])
    text = (
        f"Mean {metric_name(comparison.outcome)} is {format_number(comparison.mean_after, digits)} in "
        f"{comparison.after.name} and {format_number(comparison.mean_before, digits)} in {comparison.before.name} "
        f"(difference {_interval(comparison.crude, digits)})"
    )
    common = comparison.standardised
    if common is None:
        return f"{text}."
    return f"{text}; with one mix of patients the difference is {_interval(common.difference, digits)}."


def _subgroup_sentence(comparison: CohortComparison, entry: CohortChange, *, n_more: int) -> str:
    digits = metric_digits([comparison.mean_before, comparison.mean_after])
    assert entry.difference is not None
    more = f"; and {plural(n_more, 'further subgroup')}" if n_more else ""
    return (
        f"{subgroup_name(entry.pairs)} differs beyond chance: {format_number(entry.after, digits)} "
        f"(n = {entry.n_after:,}) against {format_number(entry.before, digits)} (n = {entry.n_before:,}), difference "
        f"{_interval(entry.difference, digits)} over all subgroups together{more}."
    )


def _interval(difference: Difference, digits: int) -> str:
    value = format_number(difference.value, digits, signed=True)
    return value if difference.ci is None else f"{value}, {format_interval(difference.ci, digits, signed=True)}"
