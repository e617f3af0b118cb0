"""Audits over time: where a group lies beyond what chance explains since the baseline, and at which audit first.

Every later audit is compared with the baseline by itself, at a share of the error level, so that one false alarm in
twenty such series is to be expected however long they are. References: Bonferroni; Westfall and Young 1993.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.audit.result import AuditResult
from segfair.audit.words import format_number, metric_digits, metric_name, plural, subgroup_name
from segfair.compare.cohorts.pooled import Pooled, pool
from segfair.compare.cohorts.result import Drift, Series, SeriesPoint
from segfair.compare.comparability import SETTINGS, choose_outcome, direction, side_of
from segfair.errors import ConfigError

__all__ = ["follow"]


def follow(
    results: Sequence[AuditResult],
    *,
    names: Sequence[str],
    outcome: str | None = None,
    n_baseline: int = 1,
) -> Series:
    """Follows subgroups over audits of different patients.

    Args:
        results: The audits in their order; the settings of the first hold.
        names: What to call them.
        outcome: The metric that is followed; None: the primary outcome of all.
        n_baseline: How many of the first audits are the baseline, taken together.

    Raises:
        ConfigError: Fewer than two audits, no audit after the baseline, or an outcome that cannot be followed.
        InputError: Other rules of scoring, or an audit without the scores of its cases.
    """
    if not 1 <= n_baseline < len(results):
        raise ConfigError(
            f"--baseline {n_baseline}: of {plural(len(results), 'audit')} at least one has to follow the baseline"
        )
    primary = choose_outcome(results[0], results[1], outcome)
    for result in results[2:]:
        choose_outcome(results[0], result, outcome)
    pooled = pool(results, primary)
    better = direction(results[0], primary)
    membership = pooled.subgroups()
    everybody = np.ones((1, len(pooled.values)), dtype=np.bool_)
    members = np.concatenate([everybody, membership.matrix])
    items = [{}, *(dict(sorted(subgroup.items)) for subgroup in membership.subgroups)]
    drifts = _drifts(pooled, members, items, n_baseline, sign=1 if better == "higher" else -1)
    groups = sorted(drifts[1:], key=_urgency)
    series = Series(
        audits=tuple(side_of(result, name) for result, name in zip(results, names, strict=True)),
        n_baseline=n_baseline,
        outcome=primary,
        better=better,
        everybody=drifts[0],
        groups=tuple(groups),
        level=pooled.config.level,
        sentence="",
        notices=pooled.notices,
        settings={name: getattr(pooled.config, name) for name in SETTINGS} | {"protocol": pooled.config.protocol.name},
        versions=dict(results[0].about.versions),
    )
    return dataclasses.replace(series, sentence=_sentence(series))


def _urgency(entry: Drift) -> tuple[bool, bool, int, float, list[tuple[str, str]]]:
    """Those that drift before those that do not, to the worse before to the better, early before late.

    Then those that came closest to it, and last those with too few cases for limits.
    """
    first = entry.first if entry.first is not None else -1
    tested = [point.p_adjusted for point in entry.points if point.p_adjusted is not None]
    return entry.first is None, not entry.to_worse, first, min(tested, default=2.0), sorted(entry.items.items())


def _drifts(
    pooled: Pooled, members: NDArray[np.bool_], items: Sequence[dict[str, str]], n_baseline: int, *, sign: int
) -> list[Drift]:
    """Every row over all audits."""
    baseline = pooled.sample(members, *range(n_baseline))
    n_later = pooled.n_cohorts - n_baseline
    points: list[list[SeriesPoint]] = [[] for _ in items]
    starts = [_mean(baseline.values[row]) for row in baseline.members]
    for place in range(pooled.n_cohorts):
        own = pooled.sample(members, place)
        test = None
        if place >= n_baseline:
            test = stats.two_sample_test(
                baseline,
                own,
                rng=pooled.stream(f"series/{place}"),
                draws=pooled.config.bootstrap,
                min_cases=pooled.config.min_cases,
                confidence=1 - pooled.config.level / n_later,
            )
        for row in range(len(items)):
            points[row].append(_point(own, row, test, starts[row], n_later))
    return [_drift(entry, found, start, sign) for entry, found, start in zip(items, points, starts, strict=True)]


def _point(
    own: stats.Sample, row: int, test: stats.TwoSampleTest | None, start: float | None, n_later: int
) -> SeriesPoint:
    inside = own.members[row]
    mean = _mean(own.values[inside])
    if test is None or not test.tested[row] or start is None or mean is None:
        return SeriesPoint(int(inside.sum()), mean, None, None, beyond=False)
    reach = float(test.simultaneous[row, 1] - test.difference[row])
    p_adjusted = min(1.0, n_later * float(test.p_adjusted[row]))
    return SeriesPoint(
        int(inside.sum()), mean, (start - reach, start + reach), p_adjusted, beyond=abs(mean - start) > reach
    )


def _drift(items: dict[str, str], points: Sequence[SeriesPoint], start: float | None, sign: int) -> Drift:
    first = next((place for place, point in enumerate(points) if point.beyond), None)
    mean = None if first is None else points[first].mean
    worse = start is not None and mean is not None and sign * (mean - start) < 0
    return Drift(items, tuple(points), first, worse)


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _sentence(series: Series) -> str:
    """The answer: who drifted first, or that nobody did."""
    n_later = len(series.audits) - series.n_baseline
    drifting = sorted(series.drifting, key=_urgency)
    if not drifting:
        return f"No drift beyond chance in {plural(n_later, 'audit')} after the baseline."
    worse = [entry for entry in drifting if entry.to_worse]
    lead = (worse or drifting)[0]
    assert lead.first is not None
    point, start = lead.points[lead.first], lead.points[0]
    values = [value for value in (point.mean, start.mean) if value is not None]
    digits = metric_digits(values)
    who = subgroup_name(lead.pairs) if lead.items else "Everybody"
    more = f"; {plural(len(drifting) - 1, 'further group')} drifted" if len(drifting) > 1 else ""
    return (
        f"{who} drifted {'to the worse' if lead.to_worse else 'to the better'} beyond chance, first in "
        f"{series.audits[lead.first].name}: mean {metric_name(series.outcome)} {format_number(point.mean, digits)} "
        f"(n = {point.n:,}), {format_number(start.mean, digits)} in {series.audits[0].name}{more}."
    )
