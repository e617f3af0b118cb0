"""Which divergences are real: tests, intervals, shrinkage, margins and adjustment of a subgroup table.

Hands the arrays of `subgroups` to `stats` and puts the answers into `Divergence` rows; computes nothing itself.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.audit.design import Design
from segfair.audit.result import AuditConfig, OutcomeFacts, PowerFacts, Verdict
from segfair.audit.words import evidence, format_number, metric_name, subgroup_name
from segfair.subgroups.lattice import Adjusted, Divergence, Membership, SubgroupTable

__all__ = ["infer_subgroups", "mean_limits", "power_of_levels", "reach_verdict"]

Interval = tuple[float, float]
SHARES = ("dsc", "iou", "sensitivity", "precision", "nsd")
CONSTANT = "every case has the same value, so there is nothing to compare"


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
    if metric.partition("_")[0] in SHARES:
        low, high = 0.0, 1.0
    elif metric == "normhd":
        low, high = 0.0, 1.0 if config.protocol.normhd.clip else np.inf
    elif metric == "ps":
        low, high = 0.0 if config.protocol.normhd.clip else -np.inf, 1.0
    return float(values.min(initial=low)), float(values.max(initial=high))


def infer_subgroups(
    table: SubgroupTable,
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    config: AuditConfig,
    design: Design,
    facts: OutcomeFacts,
    family: str,
) -> tuple[SubgroupTable, OutcomeFacts]:
    """Fills in what chance allows to be said about every subgroup of one outcome.

    Args:
        table: The described subgroups.
        membership: Their members, over the cases with a defined outcome.
        outcome: (n_cases,) finite.
        config: Level, numbers of resamples, smallest group, margin.
        design: Strata, patients, covariates.
        facts: What is known of the outcome so far.
        family: Name of the family of tests; decides its random stream.

    Returns:
        The table ranked by shrunken divergence, most harmful first, groups too small to be judged last; and the
        facts with the family's own.
    """
    if not len(table):
        return table, dataclasses.replace(facts, notes=(*facts.notes, "no subgroup is large enough to be described"))
    test = stats.max_t(
        membership.matrix,
        outcome,
        rng=config.resampling.stream(f"{family}/permutation"),
        min_cases=config.min_cases,
        permutations=config.permutations,
        strata=design.units.strata,
        subjects=design.units.subjects,
    )
    rows = _complete(table, membership, outcome, test, config=config, design=design, family=family)
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
            notes=(*facts.notes, *_notes(test, outcome, config), *of_covariates),
        ),
    )


def _complete(
    table: SubgroupTable,
    membership: Membership,
    outcome: NDArray[np.float64],
    test: stats.MaxT,
    *,
    config: AuditConfig,
    design: Design,
    family: str,
) -> list[Divergence]:
    """The rows of the table with what the test and its companions say of each."""
    pointwise = stats.subgroup_intervals(
        membership.matrix,
        outcome,
        rng=config.resampling.stream(f"{family}/bootstrap"),
        draws=config.bootstrap,
        subjects=design.units.subjects,
        min_cases=config.min_cases,
    ).divergence
    # Inverted from the test itself: an interval leaves out 0 just where the single-step test is significant.
    simultaneous = test.simultaneous()
    shrunken = stats.shrink(membership.matrix, outcome).shrunken
    bh, by = test.false_discovery(method="bh"), test.false_discovery(method="by")
    significant = test.significant(config.level)
    margin = config.margin.get(table.outcome)
    standings = None
    if margin is not None:
        # A margin bounds how far members may stand behind everybody else; the divergence, measured from a mean that
        # holds the members themselves, is smaller than that by the share of the others.
        standings = stats.margin_standing(test.simultaneous_difference(), margin, better=table.better)
    adjusted = _adjust(membership, outcome, config=config, design=design, significant=significant, family=family)
    row_of = {subgroup: row for row, subgroup in enumerate(membership.subgroups)}
    mean = float(outcome.mean())

    def possible(interval: Interval | None) -> Interval | None:
        """No share lies outside of [0, 1], so no divergence of one lies further from the mean than that."""
        if interval is None or table.outcome.partition("_")[0] not in SHARES:
            return interval
        return max(interval[0], -mean), min(interval[1], 1 - mean)

    def complete(entry: Divergence) -> Divergence:
        row = row_of[entry.subgroup]
        tested = bool(test.tested[row])
        own = stats.defined_interval(pointwise[row])
        return dataclasses.replace(
            entry,
            divergence_shrunk=float(shrunken[row]),
            ci=possible(own),
            ci_simultaneous=possible(_hull(stats.defined_interval(simultaneous[row]), own)),
            p_value=stats.defined(test.p_value[row]),
            p_adjusted=stats.defined(test.p_adjusted[row]),
            significant=bool(significant[row]) if tested else None,
            p_bh=stats.defined(bh[row]),
            p_by=stats.defined(by[row]),
            margin=(standings[row] if tested else "insufficient evidence") if standings is not None else None,
            adjusted=adjusted.get(row),
        )

    return list(map(complete, table.rows))


def _adjust(
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    config: AuditConfig,
    design: Design,
    significant: NDArray[np.bool_],
    family: str,
) -> dict[int, Adjusted]:
    """Row -> the difference at equal covariates, for subgroups that are not defined by a covariate themselves."""
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
        outcome,
        covariates.values,
        rng=config.resampling.stream(f"{family}/adjustment"),
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


def power_of_levels(
    levels: Membership, *, n_cases: int, sd: float, config: AuditConfig, critical: float | None
) -> tuple[PowerFacts, ...]:
    """What a cohort can show about each level: the gap it detects with 80 % power, and the cases a gap would take.

    Args:
        levels: One row a level.
        n_cases: Cases of the cohort.
        sd: Standard deviation of the outcome.
        config: The gap of interest.
        critical: Smallest |t| that is significant at the family-wise level; None where nothing is tested.
    """
    sizes = levels.sizes.astype(float)
    if critical is None or n_cases < 2:
        gaps = needed = np.full(len(sizes), np.nan)
    else:
        gaps = stats.detectable_gap(sizes, n_cases, sd=sd, critical=critical)
        needed = stats.n_needed(config.power_gap, sizes / n_cases, sd=sd, critical=critical)
    facts = []
    for row, subgroup in enumerate(levels.subgroups):
        ((attribute, level),) = subgroup.items
        gap, count = stats.defined(gaps[row]), stats.defined(needed[row])
        facts.append(
            PowerFacts(attribute, level, int(sizes[row]), gap, int(np.ceil(count)) if count is not None else None)
        )
    return tuple(facts)


def reach_verdict(
    config: AuditConfig, table: SubgroupTable, facts: OutcomeFacts, primary: SubgroupTable | None
) -> Verdict:
    """The answer: disparity found, no gap beyond the declared margin, or insufficient evidence.

    The primary family speaks first; what only the mined lattice shows is called exploratory beside it.
    """
    outcome, margin = table.outcome, config.margin.get(table.outcome)
    name = metric_name(outcome)
    declared = primary is not None and len(primary) > 0
    family = primary if primary is not None and declared else table
    where = "the attributes fixed beforehand" if declared else "all mined subgroups"
    families = [("", family), ("exploratory: ", table)] if declared else [("", table)]
    judged = [row for row in family if row.significant is not None]
    for label, rows in families:
        beyond = [row for row in rows if row.margin == "beyond margin"]
        if beyond:
            return Verdict(
                "disparity found",
                f"Disparity found: {label}{describe_row(beyond[0], outcome)}, beyond the margin of {margin:g}.",
            )
    if any(CONSTANT in note for note in facts.notes):
        return Verdict("insufficient evidence", f"Insufficient evidence: {CONSTANT} in {name}.")
    if margin is not None and judged and all(row.margin == "within margin" for row in family):
        return Verdict(
            "no gap beyond the declared margin",
            f"No gap beyond the declared margin of {margin:g} in {name}: the lower limits of {len(judged)} groups "
            f"({where}) all lie within it.",
        )
    harm = 1 if table.better == "higher" else -1
    is_open = f"; whether it is beyond the margin of {margin:g} is open" if margin is not None else ""
    for label, rows in families:
        found = [row for row in rows if row.significant and harm * row.divergence < 0 and row.margin != "within margin"]
        if found:
            return Verdict("disparity found", f"Disparity found: {label}{describe_row(found[0], outcome)}{is_open}.")
        favoured = [row for row in rows if row.significant and harm * row.divergence > 0]
        if favoured and margin is None:
            text = describe_row(favoured[-1], outcome)
            return Verdict("disparity found", f"Disparity found: {label}the rest is worse off than one group: {text}.")
    if margin is not None:
        n_open = sum(row.margin == "insufficient evidence" for row in family)
        return Verdict(
            "insufficient evidence",
            f"Insufficient evidence: for {n_open} of {len(family)} groups ({where}) a deficit beyond the margin of "
            f"{margin:g} in {name} can neither be shown nor be ruled out.",
        )
    if not judged:
        return Verdict(
            "insufficient evidence",
            f"Insufficient evidence: no group has {config.min_cases} members and {config.min_cases} others.",
        )
    n_tested = facts.n_tested if not declared else len(judged)
    return Verdict(
        "insufficient evidence",
        f"Insufficient evidence of a disparity in {name}: none of {n_tested} tested groups ({where}) stands out "
        f"beyond chance at the {config.level:.0%} level; gaps smaller than what this cohort can detect cannot be "
        "excluded.",
    )


def describe_row(row: Divergence, outcome: str) -> str:
    """One subgroup as a clause: who, how many, both means, interval and adjusted p."""
    name, who = metric_name(outcome), subgroup_name(row.subgroup.items)
    text = f"mean {name} is {format_number(row.mean)} for {who} (n = {row.n})"
    if row.rest_mean is not None:
        text += f" and {format_number(row.rest_mean)} for everybody else"
    details = [f"divergence {format_number(row.divergence, signed=True)}"]
    details += evidence(simultaneous=row.ci_simultaneous, pointwise=None, p_adjusted=row.p_adjusted)
    return f"{text} ({', '.join(details)})"


def _describe_method(test: stats.MaxT, config: AuditConfig, design: Design) -> str:
    how = "all rearrangements" if test.exact else f"{test.n_permutations:,} permutations"
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
        text += (
            "; a margin is judged on the difference to everybody else, which is the divergence (and its simultaneous "
            "interval) divided by the share of the others"
        )
    return text


def _notes(test: stats.MaxT, outcome: NDArray[np.float64], config: AuditConfig) -> tuple[str, ...]:
    if len(outcome) and np.ptp(outcome) == 0:
        return (f"{CONSTANT}",)
    if test.n_tests == 0:
        return (f"no subgroup has {config.min_cases} members and {config.min_cases} others: insufficient evidence",)
    return ()


def _hull(simultaneous: Interval | None, pointwise: Interval | None) -> Interval | None:
    """What holds for all subgroups together is never narrower than what holds for one (small groups studentise)."""
    if simultaneous is None or pointwise is None:
        return simultaneous
    return min(simultaneous[0], pointwise[0]), max(simultaneous[1], pointwise[1])
