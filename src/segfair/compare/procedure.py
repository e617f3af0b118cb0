"""Two audits of the same cases, paired: what changed, who gained, and who was harmed.

Reads two `AuditResult`s and no mask; refuses to compare what was scored by other rules.

References:
    Mittelstadt, Wachter, Russell. The Unfairness of Fair Machine Learning: Levelling Down and Strict Egalitarianism by
    Default. 2023. Zietlow et al. Leveling Down in Computer Vision. CVPR 2022.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair import fairness, stats
from segfair.audit.design import Design, Units
from segfair.audit.judging.findings import explain_subgroups
from segfair.audit.result import AuditResult
from segfair.audit.significance import compare_with_rest
from segfair.audit.words import search_sentence
from segfair.compare.comparability import (
    SETTINGS,
    Paired,
    choose_outcome,
    direction,
    metric_direction,
    notices,
    require_same_bins,
    require_same_labels,
    require_same_rules,
    side_of,
)
from segfair.compare.result import (
    AttributeChange,
    Change,
    ChangeFinding,
    Comparison,
    Standing,
    SubgroupChange,
    Verdict,
)
from segfair.compare.verdict import reach_verdict
from segfair.scoring.scores import LABEL_SIZES
from segfair.subgroups.lattice import Better, Membership, level_membership, redundant, with_levels
from segfair.subgroups.search import search_subgroups

__all__ = ["run_comparison", "told_names"]

Interval = tuple[float, float]
Floats = NDArray[np.float64]

_REDUNDANCY = 0.05
"""Share of the changes' standard deviation within which one item less has changed the same."""
_SCORES = ("PS", "FS", "TS")


def told_names(*choices: Sequence[str]) -> tuple[str, ...]:
    """What to call audits that nobody named: by the first of some lists of names that tells them apart, else by place.

    Args:
        choices: Names of the audits in their order, an empty one where it has none; each list is as long.
    """
    for names in choices:
        if all(names) and len(set(names)) == len(names):
            return tuple(names)
    n_audits = len(choices[0])
    return ("before", "after") if n_audits == 2 else tuple(f"run {place}" for place in range(1, n_audits + 1))


def run_comparison(
    before: AuditResult,
    after: AuditResult,
    *,
    names: tuple[str, str] = ("before", "after"),
    outcome: str | None = None,
) -> Comparison:
    """Compares two audits of the same cases.

    Args:
        before: The first audit; its settings (level, resamples, seed, smallest group) hold.
        after: The second.
        names: What to call them.
        outcome: The metric that decides who was harmed; None: the primary outcome of both audits.

    Returns:
        What changed; an audit against itself changes nothing.

    Raises:
        InputError: Other protocols, labels or bins, or no case in common.
        ConfigError: An outcome that cannot be compared.
    """
    require_same_rules(before, after)
    pairs = Paired.of(before, after)
    require_same_labels(before, after, pairs)
    require_same_bins(before, after, pairs)
    primary = choose_outcome(before, after, outcome)
    metrics, scores = _metric_changes(pairs, before)
    scores |= _fairness_changes(pairs)
    subgroups: dict[str, tuple[SubgroupChange, ...]] = {}
    attributes: tuple[AttributeChange, ...] = ()
    fixed: tuple[SubgroupChange, ...] = ()
    findings: tuple[ChangeFinding, ...] = ()
    method = ""
    # Every level of every attribute however rare: nobody is overlooked.
    lattice, search = search_subgroups(pairs.attributes, before.about.config.bounds)
    everybody = with_levels(lattice, pairs.attributes, min_cases=1)
    for name in dict.fromkeys(
        (primary, *(name for name in before.about.config.outcomes if name in after.about.config.outcomes))
    ):
        better = direction(before, name)
        where = np.flatnonzero(np.isfinite(pairs.scores[name]).all(axis=0))
        membership = everybody.select(where)
        changes, test = _subgroup_changes(pairs, membership, where, name, better, family=name)
        subgroups[name] = _most_harmed_first(changes.values(), better)
        if name != primary:
            continue
        method = _describe_method(before, test, pairs)
        search = dataclasses.replace(search, n_tested=int(test.tested.sum()))
        of_items = {items: changes[row] for items, row in membership.rows.items() if row in changes}
        attributes = _attribute_changes(pairs, where, name, better, of_items)
        findings = _findings(pairs, membership, where, name, better)
        fixed = _fixed_changes(pairs, where, name, better, before.about.config.primary, after.about.config.primary)
    cut = [search_sentence(search)] if search.is_cut else []
    comparison = Comparison(
        before=side_of(before, names[0]),
        after=side_of(after, names[1]),
        outcome=primary,
        better=direction(before, primary),
        n_paired=len(pairs.cases),
        only_before=pairs.only_before,
        only_after=pairs.only_after,
        verdict=Verdict("no change shown", ""),
        metrics=metrics,
        scores=scores,
        attributes=attributes,
        subgroups=subgroups,
        primary=fixed,
        findings=findings,
        method=method,
        search=search,
        settings=_settings(before),
        notices=tuple(dict.fromkeys([*cut, *notices(before, after, pairs, outcome=primary)])),
        versions=dict(before.about.versions),
    )
    values = pairs.scores[primary]
    identical = np.array_equal(values[0], values[1], equal_nan=True)
    return dataclasses.replace(comparison, verdict=reach_verdict(comparison, identical=identical))


def _fixed_changes(
    pairs: Paired,
    where: NDArray[np.intp],
    outcome: str,
    better: Better,
    *primary: Sequence[str],
) -> tuple[SubgroupChange, ...]:
    """Changes of the levels of the attributes that both audits fixed beforehand, a family of their own."""
    chosen = [entry for entry in pairs.shared_attributes if all(entry in fixed for fixed in primary)]
    if not chosen:
        return ()
    levels = level_membership(pairs.attributes, chosen).select(where)
    family, _ = _subgroup_changes(pairs, levels, where, outcome, better, family="primary")
    return _most_harmed_first(family.values(), better)


def _metric_changes(pairs: Paired, before: AuditResult) -> tuple[dict[str, Change], dict[str, Change]]:
    """Change of every metric's mean, and of PS; one max-T family. The label's size is no metric of a model."""
    columns = {name: values for name, values in pairs.scores.items() if name not in LABEL_SIZES}
    better = {name: metric_direction(before, name) for name in columns}
    if {"dsc", "normhd"} <= set(columns) and np.isfinite([columns["dsc"], columns["normhd"]]).all():
        columns["PS"] = 0.5 * (columns["dsc"] + 1 - columns["normhd"])
        better["PS"] = "higher"
    if not columns:
        return {}, {}
    config = pairs.config
    test = stats.paired_outcomes(
        np.array([after - before for before, after in columns.values()]),
        rng=pairs.stream("metrics"),
        permutations=config.permutations,
        subjects=pairs.subjects,
    )
    changes = {}
    for row, (name, values) in enumerate(columns.items()):
        known = np.isfinite(values).all(axis=0)
        first, second = values[:, known]
        ci = None
        if known.any():
            ci = stats.mean_interval(
                second - first,
                rng=pairs.stream(f"metrics/{name}"),
                draws=config.bootstrap,
                subjects=pairs.subjects[known] if pairs.subjects is not None else None,
            )
        changes[name] = Change(
            before=float(first.mean()) if len(first) else None,
            after=float(second.mean()) if len(first) else None,
            difference=float((second - first).mean()) if len(first) else None,
            ci=_pair(ci),
            p_value=stats.defined(test.p_value[row]),
            p_adjusted=stats.defined(test.p_adjusted[row]),
            better=better[name],
            n=int(known.sum()),
        )
    performance = {name: changes.pop(name) for name in ("PS",) if name in changes}
    return changes, performance


def _fairness_changes(pairs: Paired) -> dict[str, Change]:
    """FS and TS of both audits on the same resampled cases; tested by swapping the two scores of a case."""
    if not {"dsc", "normhd"} <= set(pairs.scores):
        return {}
    first, second = (np.array([pairs.scores["dsc"][which], pairs.scores["normhd"][which]]) for which in (0, 1))
    config = pairs.config
    codes = [entry.codes for entry in fairness.judged(pairs.attributes.attributes, config.judging)]
    if not codes or not np.isfinite([first, second]).all():
        return {}
    levels = fairness.stack_levels(np.array(codes), min_cases=config.judging.min_cases)

    observed = (fairness.observed_level_means(levels, first), fairness.observed_level_means(levels, second))
    swapped = fairness.swapped_level_means(
        levels,
        first,
        second,
        rng=pairs.stream("scores/swap"),
        permutations=config.permutations,
        subjects=pairs.subjects,
    )
    total_score = functools.partial(fairness.total_score, weight=config.protocol.fairness.weight)
    statistics: tuple[fairness.Statistic, ...] = (fairness.fairness_score, total_score)
    intervals = _score_intervals(pairs, levels, observed, first, second)
    changes = {}
    for name, compute, ci in zip(("FS", "TS"), statistics, intervals, strict=True):
        before, after = (float(compute(means)[0]) for means in observed)
        difference = after - before
        null = np.abs(compute(swapped[1]) - compute(swapped[0]))
        reached = int(np.count_nonzero(null >= abs(difference) - 1e-9 * (1 + abs(difference))))
        p_value = (reached + 1) / (len(null) + 1)
        changes[name] = Change(before, after, difference, _pair(ci), p_value, None, "higher", first.shape[1])
    return changes


def _score_intervals(
    pairs: Paired,
    levels: fairness.Levels,
    observed: tuple[fairness.LevelMeans, fairness.LevelMeans],
    first: Floats,
    second: Floats,
) -> tuple[Floats, Floats]:
    """Intervals of the changes of FS and TS; those of TS from its parts (Zou and Donner 2008)."""
    config = pairs.config
    both = np.concatenate([first, second])
    resampled = fairness.bootstrap_level_means(
        levels, both, rng=pairs.stream("scores/bootstrap"), draws=config.bootstrap, subjects=pairs.subjects
    )
    shuffled = fairness.permuted_level_means(
        levels, both, rng=pairs.stream("scores/shuffle"), permutations=config.permutations, subjects=pairs.subjects
    )
    fs_ci = fairness.change_interval(
        fairness.fairness_score,
        observed=observed,
        resampled=_halves(resampled),
        shuffled=_halves(shuffled),
        worse="lower",
        best=1.0,
        worst=0.0,
    )
    ps_ci = stats.mean_interval(
        0.5 * ((second[0] - second[1]) - (first[0] - first[1])),
        rng=pairs.stream("scores/performance"),
        draws=config.bootstrap,
        subjects=pairs.subjects,
    )
    fs_change, ps_change = (
        float(compute(observed[1])[0] - compute(observed[0])[0])
        for compute in (fairness.fairness_score, fairness.performance_score)
    )
    weight = config.protocol.fairness.weight
    ts_reach = np.hypot((1 - weight) * (np.array(ps_ci) - ps_change), weight * (np.asarray(fs_ci) - fs_change))
    ts_change = (1 - weight) * ps_change + weight * fs_change
    return np.asarray(fs_ci, dtype=np.float64), ts_change + ts_reach * np.array([-1.0, 1.0])


def _halves(means: fairness.LevelMeans) -> tuple[fairness.LevelMeans, fairness.LevelMeans]:
    """Level means of two outcomes of either model, from those of all four."""
    return means.of_outcomes(slice(0, 2)), means.of_outcomes(slice(2, 4))


def _subgroup_changes(
    pairs: Paired, membership: Membership, where: NDArray[np.intp], outcome: str, better: Better, *, family: str
) -> tuple[dict[int, SubgroupChange], stats.PairedTest]:
    """Row -> its change, for rows with a member; one max-T family."""
    config = pairs.config
    first, second = pairs.scores[outcome][:, where]
    change = second - first
    subjects = pairs.subjects[where] if pairs.subjects is not None else None
    test = stats.paired_max_t(
        membership.matrix,
        change,
        rng=pairs.stream(f"{family}/flip"),
        min_cases=config.min_cases,
        permutations=config.permutations,
        subjects=subjects,
    )
    if not len(membership) or not len(where):
        return {}, test
    pointwise = stats.subgroup_intervals(
        membership.matrix,
        change,
        rng=pairs.stream(f"{family}/bootstrap"),
        draws=config.bootstrap,
        subjects=subjects,
        min_cases=config.min_cases,
    ).mean
    together = stats.simultaneous_means(
        membership.matrix,
        change,
        rng=pairs.stream(f"{family}/simultaneous"),
        draws=config.bootstrap,
        subjects=subjects,
        min_cases=config.min_cases,
    )
    shrunken = change.mean() + stats.shrink(membership.matrix, change).shrunken
    own = np.where(np.isfinite(test.mean), test.mean - change.mean(), 0.0)
    folded = redundant(membership, own, tolerance=_REDUNDANCY * float(change.std()))
    gain = 1 if better == "higher" else -1
    changes = {}
    for row, subgroup in enumerate(membership.subgroups):
        members = membership.matrix[row]
        if not members.any():
            continue
        significant = bool(test.p_adjusted[row] <= config.level) if test.tested[row] else None
        changes[row] = SubgroupChange(
            items=dict(sorted(subgroup.items)),
            n=int(members.sum()),
            before=float(first[members].mean()),
            after=float(second[members].mean()),
            difference=float(test.mean[row]),
            difference_shrunk=float(shrunken[row]),
            ci=_pair(pointwise[row]),
            ci_simultaneous=_pair(together[row]),
            p_value=stats.defined(test.p_value[row]),
            p_adjusted=stats.defined(test.p_adjusted[row]),
            significant=significant,
            standing=_standing(significant, gain * float(test.mean[row])),
            redundant=bool(folded[row]),
        )
    return changes, test


def _findings(
    pairs: Paired, membership: Membership, where: NDArray[np.intp], outcome: str, better: Better
) -> tuple[ChangeFinding, ...]:
    """The subgroups behind all that changed otherwise than everybody else, by the procedure of an audit's findings."""
    first, second = pairs.scores[outcome][:, where]
    subjects = None if pairs.subjects is None else pairs.subjects[where]
    family = compare_with_rest(
        "changes",
        membership,
        second - first,
        metric=f"change of {outcome}",
        config=pairs.config,
        design=Design(Units(subjects=subjects)),
    )
    return tuple(
        ChangeFinding(
            items=dict(sorted(finding.items.items)),
            estimate=finding.estimate,
            explains=tuple(dict(sorted(entry.items.items)) for entry in finding.explains),
            inside=finding.inside,
            share=finding.stability.share,
            nested_in=dict(sorted(finding.nested_in.items)),
        )
        for finding in explain_subgroups([family], pairs.attributes.select(where), pairs.config, better=better)
    )


def _most_harmed_first(changes: Iterable[SubgroupChange], better: Better) -> tuple[SubgroupChange, ...]:
    gain = 1 if better == "higher" else -1
    return tuple(sorted(changes, key=lambda change: (gain * change.difference_shrunk, len(change.items), -change.n)))


def _standing(significant: bool | None, gain: float) -> Standing:
    if significant is None:
        return "too few cases"
    if not significant:
        return "no change shown"
    return "gained" if gain > 0 else "harmed"


def _attribute_changes(
    pairs: Paired,
    where: NDArray[np.intp],
    outcome: str,
    better: Better,
    of_items: Mapping[frozenset[tuple[str, str]], SubgroupChange],
) -> tuple[AttributeChange, ...]:
    """How the gap between the levels of each attribute changed, and whether it closed by levelling down."""
    config = pairs.config
    table = pairs.attributes.select(where)
    attributes = table.attributes
    if not attributes or not len(where):
        return ()
    levels = fairness.stack_levels(table.codes, min_cases=config.min_cases)
    values = pairs.scores[outcome][:, where]
    observed = fairness.observed_level_means(levels, values)
    resampled = fairness.bootstrap_level_means(
        levels,
        values,
        rng=pairs.stream("gaps"),
        draws=config.bootstrap,
        subjects=pairs.subjects[where] if pairs.subjects is not None else None,
    )
    gaps = [fairness.gap(observed, outcome=which)[0] for which in (0, 1)]
    drawn = fairness.gap(resampled, outcome=1) - fairness.gap(resampled, outcome=0)
    found = []
    for index, attribute in enumerate(attributes):
        listed = tuple(
            dataclasses.replace(of_items[items], items={attribute.name: level})
            for level in attribute.levels
            if (items := frozenset({(attribute.name, level)})) in of_items
        )
        if int((levels.attribute == index).sum()) < 2:
            found.append(AttributeChange(attribute.name, None, None, None, None, "", "", False, listed))
            continue
        before, after = (float(gap[index]) for gap in gaps)
        difference = after - before
        interval = _pair(stats.interval(drawn[:, index], difference, kind="basic"))
        large = [level for level in listed if level.n >= config.min_cases]
        harm = 1 if better == "higher" else -1
        worst = min(large, key=lambda level: harm * level.before)
        lost = [level for level in large if level is not worst and level.standing == "harmed"]
        found.append(
            AttributeChange(
                attribute.name,
                before,
                after,
                difference,
                interval,
                worst.items[attribute.name],
                min(large, key=lambda level: harm * level.after).items[attribute.name],
                bool(lost) and interval is not None and interval[1] < 0 and worst.standing != "gained",
                listed,
            )
        )
    return tuple(found)


def _settings(result: AuditResult) -> dict[str, Any]:
    config = result.about.config
    same = {name: getattr(config, name) for name in (*SETTINGS, "subject_column")}
    return {"protocol": config.protocol.name, **same, "primary": list(config.primary)}


def _describe_method(result: AuditResult, test: stats.PairedTest, pairs: Paired) -> str:
    how = f"all {test.n_draws:,} patterns of signs" if test.exact else f"{test.n_draws:,} random patterns of signs"
    config = result.about.config
    units = f", the cases of a patient ({config.subject_column}) together" if pairs.subjects is not None else ""
    return (
        f"sign-flipping step-down max-T over {int(test.tested.sum())} subgroups of at least "
        f"{config.min_cases} cases ({how}{units}), two-sided, family-wise level {config.level:g}; "
        "intervals from cases resampled in pairs"
    )


def _pair(interval: Sequence[float] | Floats | None) -> Interval | None:
    return None if interval is None else stats.defined_interval(np.asarray(interval))
