"""Which divergences are real: tests, intervals, shrinkage, margins and adjustment of a subgroup table.

Hands the arrays of `subgroups` to `stats` and puts the answers into `Divergence` rows; computes nothing itself.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.audit.design import Design
from segfair.audit.result import AuditConfig, OutcomeFacts
from segfair.subgroups.lattice import Adjusted, Divergence, Estimate, Membership, SubgroupTable

__all__ = ["FamilyOfTests", "compare_with_rest", "estimate_of", "infer_subgroups", "is_share", "mean_limits"]

Interval = tuple[float, float]
_SHARES = ("dsc", "iou", "sensitivity", "precision", "nsd")
CONSTANT = "every case has the same value, so there is nothing to compare"


def is_share(metric: str) -> bool:
    """Whether a metric, of a region too (`dsc_tumour`), lies between 0 and 1 by its definition."""
    return metric.partition("_")[0] in _SHARES


def mean_limits(name: str, values: NDArray[np.float64], config: AuditConfig) -> Interval:
    """What the mean of a metric or score cannot leave, by its definition; shares lie between 0 and 1.

    A given table may hold values beyond the definition of their name (a Dice in per cent): the limits then give way.

    Args:
        name: Metric, or DSC, NormHD or PS.
        values: (n_cases,) what is averaged.
        config: Says whether NormHD is clipped.
    """
    metric = name.lower()
    low, high = -np.inf, np.inf
    if is_share(metric):
        low, high = 0.0, 1.0
    elif metric == "normhd":
        low, high = 0.0, 1.0 if config.protocol.normhd.clip else np.inf
    elif metric == "ps":
        low, high = 0.0 if config.protocol.normhd.clip else -np.inf, 1.0
    return float(values.min(initial=low)), float(values.max(initial=high))


@dataclass(frozen=True, slots=True, eq=False)
class FamilyOfTests:
    """Subgroups of one outcome that are tested together, and their test.

    Attributes:
        name: Decides the random streams.
        metric: The outcome's name.
        membership: The members, over the cases with a defined outcome.
        outcome: (n_cases,) finite.
        design: Strata, patients, covariates.
        test: What the test said; None where there is no subgroup.
        declared: Whether these are levels fixed beforehand.
    """

    name: str
    metric: str
    membership: Membership
    outcome: NDArray[np.float64]
    design: Design
    test: stats.MaxT | None
    declared: bool = False


def compare_with_rest(
    name: str,
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    metric: str,
    config: AuditConfig,
    design: Design,
    declared: bool = False,
) -> FamilyOfTests:
    """Tests subgroups against everybody else.

    Args:
        name: Of the family; decides its random streams.
        membership: The members, over the cases with a defined outcome.
        outcome: (n_cases,) finite.
        metric: Its name.
        config: Numbers of permutations, smallest group.
        design: Strata, patients, covariates.
        declared: Whether these are levels fixed beforehand.
    """
    test = None
    if len(membership) and len(outcome):
        test = stats.max_t(
            membership.matrix,
            outcome,
            rng=config.resampling.stream(f"{name}/permutation"),
            min_cases=config.min_cases,
            permutations=config.permutations,
            strata=design.units.strata,
            subjects=design.units.subjects,
        )
    return FamilyOfTests(name, metric, membership, outcome, design, test, declared)


def infer_subgroups(
    table: SubgroupTable, family: FamilyOfTests, *, config: AuditConfig, facts: OutcomeFacts
) -> tuple[SubgroupTable, OutcomeFacts]:
    """Fills in what chance allows to be said about every subgroup of one outcome.

    Args:
        table: The described subgroups.
        family: The same, tested.
        config: Level, numbers of resamples, smallest group, margin.
        facts: What is known of the outcome so far.

    Returns:
        The table ranked by shrunken divergence, most harmful first, groups too small to be judged last; and the
        facts with the family's own.
    """
    test, design = family.test, family.design
    if not len(table) or test is None:
        return table, dataclasses.replace(facts, notes=(*facts.notes, "no subgroup is large enough to be described"))
    rows = _complete(table, family, test, config)
    harm = 1 if table.better == "higher" else -1
    # A group too small to be judged may look worst by chance alone; it never leads the table.
    rows.sort(key=lambda entry: (entry.significant is None, harm * (entry.divergence_shrunk or 0.0)))
    of_covariates = design.covariates.notes if design.covariates is not None else ()
    return (
        dataclasses.replace(table, rows=tuple(rows)),
        dataclasses.replace(
            facts,
            n_tested=test.n_tests,
            critical=test.critical(config.level),
            method=_describe_method(test, config, design),
            notes=(*facts.notes, *_notes(test, family.outcome, config), *of_covariates),
        ),
    )


def _complete(table: SubgroupTable, family: FamilyOfTests, test: stats.MaxT, config: AuditConfig) -> list[Divergence]:
    """The rows of the table with what the test and its companions say of each."""
    membership, outcome, design = family.membership, family.outcome, family.design
    pointwise = stats.subgroup_intervals(
        membership.matrix,
        outcome,
        rng=config.resampling.stream(f"{family.name}/bootstrap"),
        draws=config.bootstrap,
        subjects=design.units.subjects,
        min_cases=config.min_cases,
    )
    # Inverted from the test itself: an interval leaves out 0 just where the single-step test is significant.
    simultaneous = test.simultaneous()
    if design.units.are_cases:
        shrunken = stats.shrink(membership.matrix, outcome).shrunken
    else:
        # The test speaks of another quantity than the raw divergence; so must its ranking, and nothing mixes the two.
        simultaneous = pointwise.simultaneous
        shrunken = test.shrunken_difference(membership.sizes) * test.rest_share
    estimates = _estimates(membership.matrix, test, design, config, family.metric)
    bh, by = test.false_discovery(method="bh"), test.false_discovery(method="by")
    significant = test.significant(config.level)
    margin = config.margin.get(table.outcome)
    standings = None
    if margin is not None:
        # A margin bounds how far members may stand behind everybody else; the divergence, measured from a mean that
        # holds the members themselves, is smaller than that by the share of the others.
        standings = stats.margin_standing(test.simultaneous_difference(), margin, better=table.better)
    adjusted = _adjust(family, config=config, significant=significant)
    row_of = {subgroup: row for row, subgroup in enumerate(membership.subgroups)}
    mean = float(outcome.mean())

    def possible(interval: Interval | None) -> Interval | None:
        """No share lies outside of [0, 1], so no divergence of one lies further from the mean than that."""
        if interval is None or not is_share(table.outcome):
            return interval
        return max(interval[0], -mean), min(interval[1], 1 - mean)

    def complete(entry: Divergence) -> Divergence:
        row = row_of[entry.subgroup]
        tested = bool(test.tested[row])
        own = stats.defined_interval(pointwise.divergence[row])
        return dataclasses.replace(
            entry,
            divergence_shrunk=stats.defined(shrunken[row]),
            estimate=estimates[row],
            ci=possible(own),
            ci_simultaneous=possible(_hull(stats.defined_interval(simultaneous[row]), own)),
            p_value=stats.defined(test.p_value[row]),
            p_adjusted=stats.defined(test.p_adjusted[row]),
            significant=bool(significant[row]) if tested else None,
            p_bh=stats.defined(bh[row]),
            p_by=stats.defined(by[row]),
            margin=(standings[row] if tested else "open") if standings is not None else None,
            adjusted=adjusted.get(row),
        )

    return list(map(complete, table.rows))


def estimate_of(row: int, family: FamilyOfTests, test: stats.MaxT, config: AuditConfig) -> Estimate | None:
    """What a test says of one subgroup of a family; None where nobody is left to compare with.

    Args:
        row: Of the family.
        family: Its members and design.
        test: Of the whole family: its own, or one within further strata.
        config: Level.
    """
    members = family.membership.matrix[row : row + 1]
    return _estimates(members, test.rows(np.array([row])), family.design, config, family.metric)[0]


def _estimates(
    members: NDArray[np.bool_], test: stats.MaxT, design: Design, config: AuditConfig, metric: str
) -> list[Estimate | None]:
    """What is said of each row; None where nobody is left to compare with."""
    # Two shares differ by no more than 1.
    most = 1.0 if is_share(metric) else np.inf
    intervals = np.clip(test.estimate_interval(config.level), -most, most)
    subjects = design.units.subjects
    sizes = np.count_nonzero(members, axis=1)
    counts = None if subjects is None else stats.count_subjects(members, subjects)

    def of(row: int) -> Estimate | None:
        value = stats.defined(test.difference[row])
        if value is None:
            return None
        return Estimate(
            "difference" if design.units.strata is None else "difference within strata",
            value,
            stats.defined_interval(intervals[row]),
            stats.defined(test.p_value[row]),
            stats.defined(test.p_adjusted[row]),
            int(sizes[row]),
            None if counts is None else int(counts[row]),
            "cases" if subjects is None else "cases within subjects" if test.within[row] else "subjects",
        )

    return list(map(of, range(len(members))))


def _adjust(family: FamilyOfTests, *, config: AuditConfig, significant: NDArray[np.bool_]) -> dict[int, Adjusted]:
    """Row -> the difference at equal covariates, for subgroups that are not defined by a covariate themselves."""
    membership, design = family.membership, family.design
    covariates = design.covariates
    if covariates is None or not covariates.names:
        return {}
    rows = [
        row
        for row, subgroup in enumerate(membership.subgroups)
        if not any(attribute in covariates.own for attribute, _ in subgroup.items)
    ]
    if not rows:
        return {}
    adjustment = stats.adjusted_max_t(
        membership.matrix[rows],
        family.outcome,
        covariates.values,
        rng=config.resampling.stream(f"{family.name}/adjustment"),
        min_cases=config.min_cases,
        permutations=config.permutations,
        strata=design.units.strata,
        subjects=design.units.subjects,
    )
    test = adjustment.test
    decided = test.significant(config.level)
    return {
        row: Adjusted(
            covariates=covariates.names,
            raw_difference=float(adjustment.raw_difference[index]),
            difference=float(test.difference[index]),
            ci=stats.defined_interval(adjustment.interval[index]),
            p_value=stats.defined(test.p_value[index]),
            p_adjusted=stats.defined(test.p_adjusted[index]),
            significant=bool(decided[index]),
            share_explained=stats.defined(adjustment.share_explained[index]) if significant[row] else None,
        )
        for index, row in enumerate(rows)
        if test.tested[index]
    }


def _describe_method(test: stats.MaxT, config: AuditConfig, design: Design) -> str:
    how = "all rearrangements" if test.exact else f"{test.n_permutations:,} permutations"
    if test.from_limit:
        how += ", sums over large groups drawn from their joint limit"
    where = ""
    if design.units.strata is not None:
        where += f", outcomes centred and permuted within {config.stratify}, of which p and simultaneous interval speak"
    if design.units.subjects is not None:
        where += f", patients ({config.subject_column}) as units"
    text = (
        f"Westfall-Young step-down max-T over {test.n_tests} distinct groups ({how}{where}), family-wise level "
        f"{config.level:g}; two-sided, exact when no group differs at all"
    )
    if config.margin:
        text += "; a margin is judged on the difference to everybody else"
    return text


def _notes(test: stats.MaxT, outcome: NDArray[np.float64], config: AuditConfig) -> tuple[str, ...]:
    if len(outcome) and np.ptp(outcome) == 0:
        return (f"{CONSTANT}",)
    if test.n_tests == 0:
        return (f"no subgroup has {config.min_cases} members and {config.min_cases} others: too few cases",)
    return ()


def _hull(simultaneous: Interval | None, pointwise: Interval | None) -> Interval | None:
    """What holds for all subgroups together is never narrower than what holds for one (small groups studentise)."""
    if simultaneous is None or pointwise is None:
        return simultaneous
    return min(simultaneous[0], pointwise[0]), max(simultaneous[1], pointwise[1])
