"""Two audits of the same cases, paired: what changed, who gained, and who was harmed.

Reads two `AuditResult`s and nothing else; refuses to compare what was scored by other rules.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes import Attribute, AttributeTable
from segfair.errors import InputError
from segfair.results import AuditResult
from segfair.stats.paired import paired_max_t
from segfair.subgroups import Membership, mine_subgroups

__all__ = ["Change", "Comparison", "SubgroupChange", "run_comparison"]

Interval = tuple[float, float]
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Change:
    """One number before and after.

    Attributes:
        before, after: Its values over the paired cases; None where undefined.
        difference: After minus before.
        ci: 95 % interval of the difference, cases (or patients) resampled in pairs.
        p_value: Sign-flipping p, for means of a metric.
        better: Whether higher or lower values are better.
    """

    before: float | None
    after: float | None
    difference: float | None
    ci: Interval | None
    p_value: float | None
    better: str


@dataclass(frozen=True, slots=True)
class SubgroupChange:
    """How one subgroup fared on the primary outcome.

    Attributes:
        items: Who.
        n: Paired cases.
        before, after, difference: Means.
        ci: Pointwise 95 % interval of the difference.
        p_value, p_adjusted: Sign-flipping p, alone and over all subgroups (step-down max-T).
        significant: Whether `p_adjusted` is at most the level; None where the subgroup is too small to be tested.
        standing: "gained", "harmed", or "no change shown"; for small subgroups "insufficient evidence".
    """

    items: Mapping[str, str]
    n: int
    before: float
    after: float
    difference: float
    ci: Interval | None
    p_value: float | None
    p_adjusted: float | None
    significant: bool | None
    standing: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one audit to another.

    Attributes:
        n_paired: Cases in both; `only_before` and `only_after` are in one of them.
        outcome, better: Primary outcome and its direction.
        metrics: Metric -> change of its mean.
        scores: "PS", "FS", "TS" -> change.
        subgroups: Most harmed first.
        sentence: The answer in one sentence.
        levelling_down: Whether a group fell behind while the gap closed.
    """

    n_paired: int
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    outcome: str
    better: str
    metrics: Mapping[str, Change]
    scores: Mapping[str, Change]
    subgroups: tuple[SubgroupChange, ...]
    sentence: str
    levelling_down: bool

    def to_dict(self) -> dict[str, Any]:
        """The contents of `comparison.json`."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    def save(self, path: Path) -> None:
        """Writes `comparison.json`."""
        path.write_text(json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False, indent=1), "utf-8")


def run_comparison(before: AuditResult, after: AuditResult) -> Comparison:
    """Compares two audits of the same cases.

    Args:
        before: The first audit; its settings (level, resamples, seed, smallest group) hold.
        after: The second.

    Returns:
        What changed; an audit against itself changes nothing.

    Raises:
        InputError: Other protocols, labels or bins, or no case in common.
    """
    _refuse_different(before, after)
    config, outcome = before.config, before.primary_outcome
    rows_before, rows_after = (_rows_by_case(result) for result in (before, after))
    paired = [case for case in rows_before if case in rows_after]
    if not paired:
        raise InputError("the two audits have no case in common; compare audits of the same cases")
    attributes = _attributes(before, rows_before, paired)
    columns = {
        name: tuple(np.array([_number(rows[case][name]) for case in paired]) for rows in (rows_before, rows_after))
        for name in before.case_scores.metrics
        if name in after.case_scores.metrics
    }
    directions = {metric.name: metric.better for metric in before.metrics}
    metrics = {
        name: _mean_change(*pair, better=directions[name], rng=_generator(before, name), result=before)
        for name, pair in columns.items()
    }
    first, second = columns[outcome]
    known = np.flatnonzero(np.isfinite(first) & np.isfinite(second))
    membership = mine_subgroups(attributes, min_support=config.min_support).select(known)
    better = before.subgroups[outcome].better
    subgroups = _subgroup_changes(membership, first[known], second[known], before, better)
    scores = _score_changes(columns, attributes, before)
    levelling_down = _levels_down(subgroups, scores)
    return Comparison(
        n_paired=len(paired),
        only_before=tuple(case for case in rows_before if case not in rows_after),
        only_after=tuple(case for case in rows_after if case not in rows_before),
        outcome=outcome,
        better=better,
        metrics=metrics,
        scores=scores,
        subgroups=subgroups,
        sentence=_sentence(metrics[outcome], outcome, subgroups, levelling_down),
        levelling_down=levelling_down,
    )


def _refuse_different(before: AuditResult, after: AuditResult) -> None:
    one, other = before.config.protocol, after.config.protocol
    if one.digest != other.digest:
        first, second = one.to_dict(), other.to_dict()
        keys = sorted(key for key in first if first[key] != second.get(key))
        raise InputError(
            f"the two audits were scored by other rules (protocols {one.name} and {other.name} differ in "
            f"{', '.join(keys)}); audit both with the same protocol and labels"
        )
    for name, bins in before.bins.items():
        theirs = after.bins.get(name)
        if theirs is not None and (bins.edges, bins.column) != (theirs.edges, theirs.column):
            raise InputError(
                f"attribute {name} was binned at {list(bins.edges)} in one audit and at {list(theirs.edges)} in the "
                f"other; give both the same --bins"
            )
    if before.primary_outcome != after.primary_outcome:
        raise InputError(
            f"the primary outcomes differ: {before.primary_outcome} and {after.primary_outcome}; "
            "give both the same --outcome"
        )


def _rows_by_case(result: AuditResult) -> dict[str, dict[str, Any]]:
    columns = result.case_scores.columns
    return {row[0]: dict(zip(columns, row, strict=True)) for row in result.case_scores.rows}


def _attributes(result: AuditResult, rows: Mapping[str, dict[str, Any]], cases: list[str]) -> AttributeTable:
    """The first audit's attributes over the paired cases, from the levels that audit.json keeps."""
    attributes = []
    for name in result.case_scores.attributes:
        bins = result.bins[name]
        code_of = {level: code for code, level in enumerate(bins.levels)}
        codes = np.array([code_of.get(rows[case][name], -1) for case in cases], dtype=np.int16)
        attributes.append(Attribute(name, bins.levels, codes, bins.column, bins.binning, bins.edges))
    return AttributeTable(tuple(cases), tuple(attributes), {})


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _generator(result: AuditResult, purpose: str) -> np.random.Generator:
    return np.random.default_rng([result.config.seed, zlib.crc32(f"compare/{purpose}".encode())])


def _mean_change(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    better: str,
    rng: np.random.Generator,
    result: AuditResult,
) -> Change:
    known = np.isfinite(first) & np.isfinite(second)
    if not known.any():
        return Change(None, None, None, None, None, better)
    change = second[known] - first[known]
    ci = stats.mean_interval(change, rng=rng, draws=result.config.bootstrap) if len(change) > 1 else None
    test = paired_max_t(
        np.ones((1, len(change)), dtype=bool), change, rng=rng, min_cases=2, permutations=result.config.permutations
    )
    return Change(
        float(first[known].mean()),
        float(second[known].mean()),
        float(change.mean()),
        (float(ci[0]), float(ci[1])) if ci else None,
        _defined(test.p_value[0]),
        better,
    )


def _subgroup_changes(
    membership: Membership,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    result: AuditResult,
    better: str,
) -> tuple[SubgroupChange, ...]:
    if not len(membership):
        return ()
    config, change = result.config, second - first
    test = paired_max_t(
        membership.matrix,
        change,
        rng=_generator(result, "subgroups"),
        min_cases=config.min_cases,
        permutations=config.permutations,
    )
    intervals = stats.subgroup_intervals(
        membership.matrix,
        change,
        rng=_generator(result, "intervals"),
        draws=config.bootstrap,
        min_cases=config.min_cases,
    ).mean
    gain = 1 if better == "higher" else -1
    changes = []
    for row in np.argsort(gain * test.mean, kind="stable"):
        members = membership.matrix[row]
        if not members.any():
            continue
        significant = bool(test.p_adjusted[row] <= config.level) if test.tested[row] else None
        changes.append(
            SubgroupChange(
                items=dict(sorted(membership.subgroups[row].items)),
                n=int(members.sum()),
                before=float(first[members].mean()),
                after=float(second[members].mean()),
                difference=float(test.mean[row]),
                ci=_pair(intervals[row]),
                p_value=_defined(test.p_value[row]),
                p_adjusted=_defined(test.p_adjusted[row]),
                significant=significant,
                standing=_standing(significant, gain * float(test.mean[row])),
            )
        )
    return tuple(changes)


def _standing(significant: bool | None, gain: float) -> str:
    if significant is None:
        return "insufficient evidence"
    if not significant:
        return "no change shown"
    return "gained" if gain > 0 else "harmed"


def _score_changes(
    columns: Mapping[str, tuple[NDArray[np.float64], ...]], attributes: AttributeTable, result: AuditResult
) -> dict[str, Change]:
    """PS, FS and TS of both audits on the same resampled cases."""
    if not {"dsc", "normhd"} <= set(columns):
        return {}
    stacked = np.array([columns["dsc"][0], columns["normhd"][0], columns["dsc"][1], columns["normhd"][1]])
    if not np.isfinite(stacked).all():
        return {}
    config = result.config
    rule = config.protocol.fairness
    smallest = config.min_cases if rule.levels == "min-cases" else 1
    judged = [
        attribute
        for attribute in attributes.attributes
        if (np.bincount(attribute.codes[attribute.codes >= 0]) >= smallest).sum() >= (2 if smallest > 1 else 1)
    ]
    scores: dict[str, Change] = {}

    def add(name: str, observed: NDArray[np.float64], replicates: NDArray[np.float64]) -> None:
        difference = float(observed[1] - observed[0])
        low, high = stats.interval(replicates[1] - replicates[0], difference, kind="basic")
        scores[name] = Change(
            float(observed[0]), float(observed[1]), difference, (float(low), float(high)), None, "higher"
        )

    if not judged:
        ps = 0.5 * (stacked[[0, 2]] + 1 - stacked[[1, 3]])
        low, high = stats.mean_interval(ps[1] - ps[0], rng=_generator(result, "PS"), draws=config.bootstrap)
        first, second = map(float, ps.mean(axis=1))
        return {"PS": Change(first, second, second - first, (float(low), float(high)), None, "higher")}
    levels = stats.stack_levels(np.array([attribute.codes for attribute in judged]), min_cases=smallest)
    observed = stats.observed_level_means(levels, stacked)
    draws = stats.bootstrap_level_means(levels, stacked, rng=_generator(result, "scores"), draws=config.bootstrap)
    values = {}
    for which, means in (("observed", observed), ("draws", draws)):
        ps = np.array([0.5 * (means.overall[:, k] + 1 - means.overall[:, k + 1]) for k in (0, 2)])
        fs = np.array(
            [stats.fairness_score(dataclasses.replace(means, means=means.means[:, k : k + 2])) for k in (0, 2)]
        )
        values[which] = {"PS": ps, "FS": fs, "TS": (1 - rule.weight) * ps + rule.weight * fs}
    for name in ("PS", "FS", "TS"):
        add(name, values["observed"][name][:, 0], values["draws"][name])
    return scores


def _levels_down(subgroups: tuple[SubgroupChange, ...], scores: Mapping[str, Change]) -> bool:
    """Levelling down: FS rose, yet a subgroup was harmed and none gained."""
    fs = scores.get("FS")
    rose = fs is not None and fs.difference is not None and fs.difference > 0
    standings = {change.standing for change in subgroups}
    return rose and "harmed" in standings and "gained" not in standings


def _sentence(change: Change, outcome: str, subgroups: tuple[SubgroupChange, ...], levelling_down: bool) -> str:
    name = outcome.upper()
    text = f"Mean {name} went from {_shown(change.before)} to {_shown(change.after)}"
    if change.ci:
        text += f" (difference {change.difference:+.4f}, 95 % interval {change.ci[0]:+.4f} to {change.ci[1]:+.4f})"
    harmed = [entry for entry in subgroups if entry.standing == "harmed"]
    gained = [entry for entry in subgroups if entry.standing == "gained"]
    if harmed:
        who = ", ".join(f"{key} = {value}" for key, value in harmed[0].items.items())
        text += f"; {len(harmed)} subgroups were harmed, most of all {who} (n = {harmed[0].n}, {harmed[0].difference:+.4f})"
    if gained:
        who = ", ".join(f"{key} = {value}" for key, value in gained[-1].items.items())
        text += f"; {len(gained)} gained, most of all {who} (n = {gained[-1].n}, {gained[-1].difference:+.4f})"
    if not harmed and not gained:
        text += "; no subgroup is shown to have gained or to have been harmed"
    if levelling_down:
        text += ". The gap closed by levelling down: groups were harmed and none gained"
    return text + "."


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _pair(interval: NDArray[np.float64]) -> Interval | None:
    return (float(interval[0]), float(interval[1])) if np.isfinite(interval).all() else None
