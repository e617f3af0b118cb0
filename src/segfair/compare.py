"""Two audits of the same cases, paired: what changed, who gained, and who was harmed.

Reads two `AuditResult`s and no mask; refuses to compare what was scored by other rules.

References:
    Mittelstadt, Wachter, Russell. The Unfairness of Fair Machine Learning: Levelling Down and Strict Egalitarianism by
    Default. 2023. Zietlow et al. Leveling Down in Computer Vision. CVPR 2022.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes import Attribute, AttributeTable
from segfair.comparison import AttributeChange, Change, Comparison, Side, Standing, SubgroupChange, Verdict
from segfair.errors import ConfigError, InputError
from segfair.inference import generator
from segfair.results import AuditResult
from segfair.subgroups import Better, Membership, level_membership, mine_subgroups, redundant

__all__ = ["run_comparison"]

Interval = tuple[float, float]
Floats = NDArray[np.float64]

_REDUNDANCY = 0.05
"""Share of the changes' standard deviation within which one item less has changed the same."""
_SCORES = ("PS", "FS", "TS")


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The cases of both audits side by side.

    Attributes:
        cases: Paired cases, in the first audit's order.
        columns: Metric -> (2, n_cases), before and after; NaN where undefined.
        attributes: Levels of the attributes that both audits have.
        subjects: (n_cases,) codes of patients; None: every case is a patient.
        result: The first audit, whose settings hold.
    """

    cases: tuple[str, ...]
    columns: Mapping[str, Floats]
    attributes: AttributeTable
    subjects: NDArray[np.intp] | None
    result: AuditResult

    def rng(self, purpose: str) -> np.random.Generator:
        return generator(self.result.config, f"compare/{purpose}")


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
    _require_same_rules(before, after)
    rows = [_rows_by_case(result) for result in (before, after)]
    cases = tuple(case for case in rows[0] if case in rows[1])
    if not cases:
        raise InputError("the two audits have no case in common; compare audits of the same cases")
    _require_same_labels(rows, cases)
    shared = [name for name in before.case_scores.attributes if name in after.case_scores.attributes]
    _require_same_bins(before, after, rows, cases, shared)
    primary = _choose_outcome(before, after, outcome)
    pairs = _Pairs(
        cases,
        {
            name: np.array([[_number(table[case][name]) for case in cases] for table in rows])
            for name in before.case_scores.metrics
            if name in after.case_scores.metrics
        },
        _attributes(before, shared, rows[0], cases),
        _subjects(before, cases),
        before,
    )
    metrics, scores = _metric_changes(pairs)
    scores |= _fairness_changes(pairs)
    subgroups: dict[str, tuple[SubgroupChange, ...]] = {}
    attributes: tuple[AttributeChange, ...] = ()
    fixed: tuple[SubgroupChange, ...] = ()
    method = ""
    for name in dict.fromkeys((primary, *(name for name in before.config.outcomes if name in after.config.outcomes))):
        better = _direction(before, name)
        where = np.flatnonzero(np.isfinite(pairs.columns[name]).all(axis=0))
        membership = _all_subgroups(pairs.attributes, before.config.min_support).select(where)
        changes, test = _subgroup_changes(pairs, membership, where, name, better, family=name)
        subgroups[name] = _most_harmed_first(changes.values(), better)
        if name != primary:
            continue
        method = _describe_method(before, test, pairs)
        of_items = {items: changes[row] for items, row in membership.rows.items() if row in changes}
        attributes = _attribute_changes(pairs, where, name, better, of_items)
        chosen = [entry for entry in shared if entry in before.config.primary and entry in after.config.primary]
        if chosen:
            levels = level_membership(pairs.attributes, chosen).select(where)
            family, _ = _subgroup_changes(pairs, levels, where, name, better, family="primary")
            fixed = _most_harmed_first(family.values(), better)
    comparison = Comparison(
        before=_side(before, names[0]),
        after=_side(after, names[1]),
        outcome=primary,
        better=_direction(before, primary),
        n_paired=len(cases),
        only_before=tuple(case for case in rows[0] if case not in rows[1]),
        only_after=tuple(case for case in rows[1] if case not in rows[0]),
        verdict=Verdict("no change shown", ""),
        metrics=metrics,
        scores=scores,
        attributes=attributes,
        subgroups=subgroups,
        primary=fixed,
        method=method,
        settings=_settings(before),
        notices=_notices(before, after, pairs, primary, shared),
        versions=dict(before.versions),
    )
    return dataclasses.replace(comparison, verdict=_reach_verdict(comparison, pairs))


def _require_same_rules(before: AuditResult, after: AuditResult) -> None:
    one, other = (_rules(result) for result in (before, after))
    differing = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    if differing:
        names = (before.config.protocol.name, after.config.protocol.name)
        listed = "; ".join(f"{key} is {one.get(key)!r} and {other.get(key)!r}" for key in differing[:3])
        more = f"; and {len(differing) - 3} more rules" if len(differing) > 3 else ""
        labels = " and the same --label" if any(key.startswith(("label", "regions")) for key in differing) else ""
        raise InputError(
            f"the two audits were scored by other rules (protocols {names[0]} and {names[1]}: {listed}{more}); audit "
            f"both with the same --protocol{labels}"
        )
    theirs = {metric.name: metric for metric in after.metrics}
    for metric in before.metrics:
        found = theirs.get(metric.name)
        if found is not None and (metric.better, metric.unit) != (found.better, found.unit):
            raise InputError(
                f"{metric.name}: {metric.better} is better in one audit ({metric.unit or 'no unit'}) and {found.better} "
                f"in the other ({found.unit or 'no unit'}); audit both alike, see --lower-is-better"
            )
    rules = [result.config.missing_prediction or "worst" for result in (before, after)]
    unusable = [
        len(result.cases.penalised) + sum(reason.startswith("dropped") for reason in result.cases.excluded.values())
        for result in (before, after)
    ]
    if rules[0] != rules[1] and any(unusable):
        raise InputError(
            f"unusable predictions count as {rules[0]!r} in one audit ({unusable[0]} of them) and as {rules[1]!r} in the "
            f"other ({unusable[1]}); audit both with the same --missing-prediction"
        )


def _rules(result: AuditResult) -> dict[str, Any]:
    """The protocol as flat keys, without what scores nothing: its name, its gates, and which metrics are listed."""

    def flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from flatten(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value

    tree = result.config.protocol.to_dict()
    return dict(flatten({key: value for key, value in tree.items() if key not in ("name", "gates", "metrics")}))


def _rows_by_case(result: AuditResult) -> dict[str, dict[str, Any]]:
    if not result.case_scores.rows:
        raise InputError("an audit.json without the scores of its cases cannot be compared; use the one not shared")
    columns = result.case_scores.columns
    return {str(row[0]): dict(zip(columns, row, strict=True)) for row in result.case_scores.rows}


def _require_same_labels(rows: Sequence[Mapping[str, dict[str, Any]]], cases: Sequence[str]) -> None:
    """Labels are not at hand, but their volumes are: other masks betray themselves."""
    for case in cases:
        one, other = (table[case].get("volume") for table in rows)
        if one is not None and other is not None and abs(one - other) > 1e-6 * max(abs(one), abs(other)):
            raise InputError(
                f"case {case}: its label has {one:g} mm³ in one audit and {other:g} mm³ in the other; the audits were "
                "made against other labels, so audit both against the same"
            )


def _require_same_bins(
    before: AuditResult,
    after: AuditResult,
    rows: Sequence[Mapping[str, dict[str, Any]]],
    cases: Sequence[str],
    shared: Sequence[str],
) -> None:
    for name in shared:
        mine, theirs = before.bins[name], after.bins[name]
        if (mine.column, mine.edges) != (theirs.column, theirs.edges):
            hint = f"--bins {mine.column}=" + ",".join(f"{edge:g}" for edge in mine.edges) if mine.edges else "--bins"
            raise InputError(
                f"attribute {name}: binned at {list(mine.edges)} of {mine.column} in one audit and at "
                f"{list(theirs.edges)} of {theirs.column} in the other; give both the same {hint}"
            )
        for case in cases:
            one, other = (table[case][name] for table in rows)
            if one != other:
                raise InputError(
                    f"case {case}: {name} is {one or 'missing'} in one audit and {other or 'missing'} in the other; "
                    "audit both with the same metadata and --bins"
                )
    if before.case_scores.attributes and after.case_scores.attributes and not shared:
        raise InputError(
            f"the two audits have no attribute in common ({', '.join(before.case_scores.attributes)}; "
            f"{', '.join(after.case_scores.attributes)}); audit both with the same --attributes"
        )


def _choose_outcome(before: AuditResult, after: AuditResult, outcome: str | None) -> str:
    if outcome is None:
        if before.primary_outcome != after.primary_outcome:
            raise InputError(
                f"the primary outcomes differ: {before.primary_outcome} and {after.primary_outcome}; choose one with "
                "--outcome"
            )
        outcome = before.primary_outcome
    known = [name for name in before.case_scores.metrics if name in after.case_scores.metrics]
    if outcome not in known:
        raise ConfigError(f"--outcome {outcome}: not a metric of both audits; these are {', '.join(known) or 'none'}")
    if _metric_direction(before, outcome) == "neither" and outcome not in before.outcomes:
        raise ConfigError(f"--outcome {outcome}: neither higher nor lower is better, so nobody gains or is harmed")
    return outcome


def _metric_direction(result: AuditResult, name: str) -> str:
    return next(metric.better for metric in result.metrics if metric.name == name)


def _direction(result: AuditResult, name: str) -> Better:
    if name in result.outcomes:
        return result.outcomes[name].better
    return "lower" if _metric_direction(result, name) == "lower" else "higher"


def _attributes(
    result: AuditResult, names: Sequence[str], rows: Mapping[str, dict[str, Any]], cases: Sequence[str]
) -> AttributeTable:
    """Attributes of the paired cases, from the levels that audit.json keeps."""
    attributes = []
    for name in names:
        bins = result.bins[name]
        code_of = {level: code for code, level in enumerate(bins.levels)}
        codes = np.array([code_of.get(rows[case][name], -1) for case in cases], dtype=np.int16)
        attributes.append(Attribute(name, bins.levels, codes, bins.column, bins.binning, bins.edges))
    return AttributeTable(tuple(cases), tuple(attributes), {})


def _subjects(result: AuditResult, cases: Sequence[str]) -> NDArray[np.intp] | None:
    codes = result.case_scores.subjects
    if not codes:
        return None
    code_of = dict(zip(map(str, result.case_scores.column("case")), codes, strict=True))
    return np.array([code_of[case] for case in cases], dtype=np.intp)


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _all_subgroups(attributes: AttributeTable, min_support: float) -> Membership:
    """The mined lattice, and every level of every attribute however rare: nobody is overlooked."""
    lattice = mine_subgroups(attributes, min_support=min_support)
    levels = level_membership(attributes, [entry.name for entry in attributes.attributes])
    extra = [
        row
        for row, subgroup in enumerate(levels.subgroups)
        if subgroup.items not in lattice.rows and levels.matrix[row].any()
    ]
    known = len(lattice)
    rows = {levels.subgroups[row].items: known + place for place, row in enumerate(extra)}
    return Membership(
        (*lattice.subgroups, *(levels.subgroups[row] for row in extra)),
        np.concatenate([lattice.matrix, levels.matrix[extra]]),
        {**lattice.rows, **rows},
        attributes.case_ids,
    )


def _metric_changes(pairs: _Pairs) -> tuple[dict[str, Change], dict[str, Change]]:
    """Change of every metric's mean, and of PS; one max-T family. The label's volume is no metric of a model."""
    columns = {name: values for name, values in pairs.columns.items() if name != "volume"}
    better = {name: _metric_direction(pairs.result, name) for name in columns}
    if {"dsc", "normhd"} <= set(columns) and np.isfinite([columns["dsc"], columns["normhd"]]).all():
        columns["PS"] = 0.5 * (columns["dsc"] + 1 - columns["normhd"])
        better["PS"] = "higher"
    if not columns:
        return {}, {}
    config = pairs.result.config
    test = stats.paired_outcomes(
        np.array([after - before for before, after in columns.values()]),
        rng=pairs.rng("metrics"),
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
                rng=pairs.rng(f"metrics/{name}"),
                draws=config.bootstrap,
                subjects=pairs.subjects[known] if pairs.subjects is not None else None,
            )
        changes[name] = Change(
            before=float(first.mean()) if len(first) else None,
            after=float(second.mean()) if len(first) else None,
            difference=float((second - first).mean()) if len(first) else None,
            ci=_pair(ci),
            p_value=_defined(test.p_value[row]),
            p_adjusted=_defined(test.p_adjusted[row]),
            better=better[name],
            n=int(known.sum()),
        )
    return {name: entry for name, entry in changes.items() if name != "PS"}, {
        name: entry for name, entry in changes.items() if name == "PS"
    }


def _fairness_changes(pairs: _Pairs) -> dict[str, Change]:
    """FS and TS of both audits on the same resampled cases; tested by swapping the two scores of a case."""
    if not {"dsc", "normhd"} <= set(pairs.columns):
        return {}
    first, second = (np.array([pairs.columns["dsc"][which], pairs.columns["normhd"][which]]) for which in (0, 1))
    config = pairs.result.config
    rule = config.protocol.fairness
    smallest = config.min_cases if rule.levels == "min-cases" else 1
    judged = [entry.codes for entry in pairs.attributes.attributes if _is_judged(entry, smallest)]
    if not judged or not np.isfinite([first, second]).all():
        return {}
    levels = stats.stack_levels(np.array(judged), min_cases=smallest)

    def scores(means: stats.LevelMeans) -> dict[str, Floats]:
        ps = 0.5 * (means.overall[:, 0] + 1 - means.overall[:, 1])
        fs = stats.fairness_score(means)
        return {"FS": fs, "TS": (1 - rule.weight) * ps + rule.weight * fs}

    observed = [scores(stats.observed_level_means(levels, outcomes)) for outcomes in (first, second)]
    resampled = stats.bootstrap_level_means(
        levels,
        np.concatenate([first, second]),
        rng=pairs.rng("scores/bootstrap"),
        draws=config.bootstrap,
        subjects=pairs.subjects,
    )
    drawn = [scores(_outcomes(resampled, which)) for which in (slice(0, 2), slice(2, 4))]
    swapped = [
        scores(means)
        for means in stats.swapped_level_means(
            levels,
            first,
            second,
            rng=pairs.rng("scores/swap"),
            permutations=config.permutations,
            subjects=pairs.subjects,
        )
    ]
    changes = {}
    for name in ("FS", "TS"):
        before, after = (float(entry[name][0]) for entry in observed)
        difference = after - before
        null = np.abs(swapped[1][name] - swapped[0][name])
        reached = int(np.count_nonzero(null >= abs(difference) - 1e-9 * (1 + abs(difference))))
        changes[name] = Change(
            before,
            after,
            difference,
            _pair(stats.interval(drawn[1][name] - drawn[0][name], difference, kind="basic")),
            (reached + 1) / (len(null) + 1),
            None,
            "higher",
            first.shape[1],
        )
    return changes


def _is_judged(attribute: Attribute, smallest: int) -> bool:
    counts = np.bincount(attribute.codes[attribute.codes >= 0], minlength=1)
    return int((counts >= smallest).sum()) >= (2 if smallest > 1 else 1)


def _outcomes(means: stats.LevelMeans, which: slice) -> stats.LevelMeans:
    return dataclasses.replace(means, means=means.means[:, which], overall=means.overall[:, which])


def _subgroup_changes(
    pairs: _Pairs, membership: Membership, where: NDArray[np.intp], outcome: str, better: Better, *, family: str
) -> tuple[dict[int, SubgroupChange], stats.PairedTest]:
    """Row -> its change, for rows with a member; one max-T family."""
    config = pairs.result.config
    first, second = pairs.columns[outcome][:, where]
    change = second - first
    subjects = pairs.subjects[where] if pairs.subjects is not None else None
    test = stats.paired_max_t(
        membership.matrix,
        change,
        rng=pairs.rng(f"{family}/flip"),
        min_cases=config.min_cases,
        permutations=config.permutations,
        subjects=subjects,
    )
    if not len(membership) or not len(where):
        return {}, test
    pointwise = stats.subgroup_intervals(
        membership.matrix,
        change,
        rng=pairs.rng(f"{family}/bootstrap"),
        draws=config.bootstrap,
        subjects=subjects,
        min_cases=config.min_cases,
    ).mean
    together = stats.simultaneous_means(
        membership.matrix,
        change,
        rng=pairs.rng(f"{family}/simultaneous"),
        draws=config.bootstrap,
        subjects=subjects,
        min_cases=config.min_cases,
    )
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
            ci=_pair(pointwise[row]),
            ci_simultaneous=_pair(together[row]),
            p_value=_defined(test.p_value[row]),
            p_adjusted=_defined(test.p_adjusted[row]),
            significant=significant,
            standing=_standing(significant, gain * float(test.mean[row])),
            redundant=bool(folded[row]),
        )
    return changes, test


def _most_harmed_first(changes: Iterable[SubgroupChange], better: Better) -> tuple[SubgroupChange, ...]:
    gain = 1 if better == "higher" else -1
    return tuple(sorted(changes, key=lambda change: (gain * change.difference, len(change.items), -change.n)))


def _standing(significant: bool | None, gain: float) -> Standing:
    if significant is None:
        return "insufficient evidence"
    if not significant:
        return "no change shown"
    return "gained" if gain > 0 else "harmed"


def _attribute_changes(
    pairs: _Pairs,
    where: NDArray[np.intp],
    outcome: str,
    better: Better,
    of_items: Mapping[frozenset[tuple[str, str]], SubgroupChange],
) -> tuple[AttributeChange, ...]:
    """How the gap between the levels of each attribute changed, and whether it closed by levelling down."""
    config = pairs.result.config
    attributes = pairs.attributes.select(where).attributes
    if not attributes or not len(where):
        return ()
    levels = stats.stack_levels(np.array([entry.codes for entry in attributes]), min_cases=config.min_cases)
    values = pairs.columns[outcome][:, where]
    observed = stats.observed_level_means(levels, values)
    resampled = stats.bootstrap_level_means(
        levels,
        values,
        rng=pairs.rng("gaps"),
        draws=config.bootstrap,
        subjects=pairs.subjects[where] if pairs.subjects is not None else None,
    )
    gaps = [stats.gap(observed, outcome=which)[0] for which in (0, 1)]
    drawn = stats.gap(resampled, outcome=1) - stats.gap(resampled, outcome=0)
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
                _pair(stats.interval(drawn[:, index], difference, kind="basic")),
                worst.items[attribute.name],
                min(large, key=lambda level: harm * level.after).items[attribute.name],
                bool(lost) and difference < 0 and worst.standing != "gained",
                listed,
            )
        )
    return tuple(found)


def _side(result: AuditResult, name: str) -> Side:
    counts = result.cases
    return Side(name, counts.n_scored, len(counts.penalised), len(counts.excluded), dict(result.inputs))


def _settings(result: AuditResult) -> dict[str, Any]:
    config = result.config
    return {
        "protocol": config.protocol.name,
        "level": config.level,
        "min_support": config.min_support,
        "min_cases": config.min_cases,
        "permutations": config.permutations,
        "bootstrap": config.bootstrap,
        "seed": config.seed,
        "subject_column": config.subject_column,
        "primary": list(config.primary),
    }


def _describe_method(result: AuditResult, test: stats.PairedTest, pairs: _Pairs) -> str:
    how = f"all {test.n_draws:,} patterns of signs" if test.exact else f"{test.n_draws:,} random patterns of signs"
    units = f", the cases of a patient ({result.config.subject_column}) together" if pairs.subjects is not None else ""
    return (
        f"sign-flipping step-down max-T over {int(test.tested.sum())} subgroups of at least {result.config.min_cases} "
        f"cases ({how}{units}), two-sided, family-wise level {result.config.level:g}; intervals from cases resampled in "
        "pairs"
    )


def _notices(
    before: AuditResult, after: AuditResult, pairs: _Pairs, outcome: str, shared: Sequence[str]
) -> tuple[str, ...]:
    found = []
    ids = [set(map(str, result.case_scores.column("case"))) for result in (before, after)]
    for which, missing in (("first", ids[0] - ids[1]), ("second", ids[1] - ids[0])):
        if missing:
            listed = ", ".join(sorted(missing)[:5]) + (" and others" if len(missing) > 5 else "")
            found.append(f"in the {which} audit only, so compared nowhere: {len(missing)} cases ({listed})")
    first, second = np.isfinite(pairs.columns[outcome])
    if not (first & second).all():
        found.append(
            f"{outcome}: {int((~(first & second)).sum())} of {len(first)} paired cases are left out; without a value in "
            f"the first audit only: {int((~first & second).sum())}, in the second only: {int((first & ~second).sum())}"
        )
    alone = [
        name
        for result in (before, after)
        for name in result.case_scores.attributes
        if name not in shared
    ]
    if alone:
        found.append(f"attributes of one audit only, so not compared: {', '.join(alone)}")
    config, other = before.config, after.config
    for name in ("level", "min_support", "min_cases", "permutations", "bootstrap", "seed", "primary"):
        mine, theirs = getattr(config, name), getattr(other, name)
        if mine != theirs:
            found.append(f"{name} is {mine} in the first audit and {theirs} in the second; the first holds")
    if bool(before.case_scores.subjects) != bool(after.case_scores.subjects):
        found.append("only one of the audits knows which cases are of one patient; the first one's view holds")
    sources = ["scores" in result.inputs for result in (before, after)]
    if sources[0] != sources[1]:
        found.append("one audit scored masks and the other read a table of scores: whether by the same rules, nobody knows")
    return tuple(found)


def _reach_verdict(comparison: Comparison, pairs: _Pairs) -> Verdict:
    """The answer; speaks of harm first, and names levelling down as such."""
    name = comparison.outcome.upper() if comparison.outcome in ("dsc", "iou") else comparison.outcome
    change = comparison.metrics.get(comparison.outcome)
    values = pairs.columns[comparison.outcome]
    if np.array_equal(values[0], values[1], equal_nan=True):
        return Verdict("nothing changed", f"Every paired case has the same {name} in both audits: nothing changed.")
    text = f"Mean {name} went from {_shown(change.before if change else None)} to {_shown(change.after if change else None)}"
    if change and change.ci and change.difference is not None:
        text += f" ({change.difference:+.3g}, 95 % interval {change.ci[0]:+.3g} to {change.ci[1]:+.3g})"
    harmed, gained = comparison.harmed, comparison.gained
    tested = sum(entry.significant is not None for entry in comparison.subgroups[comparison.outcome])
    if harmed:
        text += f". {len(harmed)} of {tested} subgroups {_were(harmed)} harmed, most of all {_who(harmed[0])}"
    if gained:
        text += f"{'; ' if harmed else '. '}{len(gained)} {'' if harmed else f'of {tested} subgroups '}gained, most of "
        text += f"all {_who(gained[0])}"
    if not harmed:
        text += f"; {'no' if gained else '. No'} subgroup is shown to have been harmed" if gained else (
            f". None of {tested} subgroups is shown to have gained or to have been harmed"
        )
        bound = _largest_possible_loss(comparison)
        if bound is not None:
            text += f", and losses of more than {bound:.3g} can be excluded for all of them"
    for entry in comparison.levelling_down:
        lost = ", ".join(level.items[entry.name] for level in entry.levels if level.standing == "harmed")
        text += (
            f". Levelling down: between the levels of {entry.name} the gap closed from {_shown(entry.before)} to "
            f"{_shown(entry.after)} because {lost} lost, while {entry.worst_before}, served worst before, did not gain"
        )
    if comparison.levelling_down:
        return Verdict("levelling down", f"{text}.")
    if harmed:
        return Verdict("gains and harm found" if gained else "harm found", f"{text}.")
    return Verdict("gain found" if gained else "no change shown", f"{text}.")


def _largest_possible_loss(comparison: Comparison) -> float | None:
    """The largest loss that the simultaneous intervals leave possible for any tested subgroup."""
    ends = [
        -entry.ci_simultaneous[0] if comparison.better == "higher" else entry.ci_simultaneous[1]
        for entry in comparison.subgroups[comparison.outcome]
        if entry.significant is not None and entry.ci_simultaneous
    ]
    return max(0.0, *ends) if ends else None


def _who(change: SubgroupChange) -> str:
    text = f"{change.name} (n = {change.n}, {_shown(change.before)} to {_shown(change.after)}"
    return text + (f", adjusted p {change.p_adjusted:.3g})" if change.p_adjusted is not None else ")")


def _were(changes: Sequence[SubgroupChange]) -> str:
    return "was" if len(changes) == 1 else "were"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _pair(interval: Sequence[float] | Floats | None) -> Interval | None:
    if interval is None or not np.isfinite(interval).all():
        return None
    return float(interval[0]), float(interval[1])
