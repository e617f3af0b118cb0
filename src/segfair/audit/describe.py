"""What is counted and listed of an audit: levels, case rows, metric definitions, alerts. Tests nothing.

Means, medians and shares only; what is tested lives in `significance` and `certainty`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from segfair import __version__, stats
from segfair.attributes.binning import as_number, level_text
from segfair.attributes.fit import Attribute, AttributeTable, ColumnReading
from segfair.audit.choices.labels import absent_regions
from segfair.audit.panel import Panel
from segfair.audit.result import (
    TAUGHT_BINS,
    Alert,
    AttributeFacts,
    AuditConfig,
    Bins,
    CaseCounts,
    CaseScores,
    ColumnFacts,
    Definition,
    LevelFacts,
    MetricFacts,
)
from segfair.audit.significance import mean_limits
from segfair.audit.words import metric_name, plural, search_sentence
from segfair.cases import Cohort
from segfair.fairness.challenge import ChallengeScores
from segfair.files.cells import is_missing, of_each
from segfair.scoring.reading import NO_PREDICTION
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import level_membership
from segfair.subgroups.search import Search

__all__ = [
    "CellMeans",
    "absent_attribute_alerts",
    "alerts",
    "attribute_facts",
    "bins_of",
    "case_counts",
    "case_rows",
    "cell_means",
    "cohort_alerts",
    "column_facts",
    "empty_label_alerts",
    "metric_facts",
    "versions",
]

Interval = tuple[float, float]


def attribute_facts(
    scores: ScoreTable,
    attributes: AttributeTable,
    config: AuditConfig,
    challenge: ChallengeScores | None,
    subjects: NDArray[np.intp] | None,
) -> tuple[AttributeFacts, ...]:
    """Every attribute and level: n, mean and median of each metric, interval of the main ones, failure rate."""
    intervals = _level_intervals(scores, attributes, config, subjects)
    failed = _failed(scores, config)
    columns = {name: scores.defined(name) for name in scores.names}
    facts = []
    for index, attribute in enumerate(attributes.attributes):
        levels = []
        for code, level in enumerate(attribute.levels):
            inside = attribute.codes == code
            n = int(inside.sum())
            found = {name: values[inside[where]] for name, (where, values) in columns.items()}
            rate = rate_ci = None
            if failed is not None and n:
                rate = float(failed[inside].mean())
                rate_ci = stats.rate_interval(int(failed[inside].sum()), n)
            levels.append(
                LevelFacts(
                    level=level,
                    n=n,
                    small=n < config.min_cases,
                    mean={name: float(values.mean()) if len(values) else None for name, values in found.items()},
                    median={name: float(np.median(values)) if len(values) else None for name, values in found.items()},
                    ci=intervals.get((attribute.name, level), {}),
                    failure_rate=rate,
                    failure_ci=rate_ci,
                )
            )
        facts.append(
            AttributeFacts(
                name=attribute.name,
                disparity=challenge.disparities[index] if challenge and index < len(challenge.disparities) else None,
                levels=tuple(levels),
                primary=attribute.name in config.primary,
            )
        )
    return tuple(facts)


def _level_intervals(
    scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, subjects: NDArray[np.intp] | None
) -> dict[tuple[str, str], dict[str, Interval]]:
    """(attribute, level) -> metric -> 95 % interval of the mean, for DSC, NormHD and the outcomes."""
    membership = level_membership(attributes, [attribute.name for attribute in attributes.attributes])
    found: dict[tuple[str, str], dict[str, Interval]] = {}
    if not len(membership):
        return found
    for name in dict.fromkeys(("dsc", "normhd", *config.outcomes)):
        if name not in scores.names:
            continue
        where, values = scores.defined(name)
        members = membership.select(where)
        intervals = stats.subgroup_intervals(
            members.matrix,
            values,
            rng=config.resampling.stream(f"levels/{name}"),
            draws=config.bootstrap,
            subjects=subjects[where] if subjects is not None else None,
            min_cases=config.min_cases,
            # Bootstrap-t of a handful of cases can step out of what a share can be.
            limits=mean_limits(name, values, config),
        ).mean
        for row, subgroup in enumerate(members.subgroups):
            if np.isfinite(intervals[row]).all():
                (item,) = subgroup.items
                found.setdefault(item, {})[name] = (float(intervals[row, 0]), float(intervals[row, 1]))
    return found


def _failed(scores: ScoreTable, config: AuditConfig) -> NDArray[np.bool_] | None:
    """Whether each case failed: DSC below the threshold, or the lesion missed altogether."""
    if "dsc" not in scores.names:
        return None
    dsc = scores.column("dsc")
    missed = scores.column("lesion_missed") if "lesion_missed" in scores.names else [None] * len(dsc)
    return np.array(
        [
            (value is not None and value < config.failure_dsc) or bool(miss)
            for value, miss in zip(dsc, missed, strict=True)
        ]
    )


def case_counts(scores: ScoreTable, excluded: Mapping[str, str]) -> CaseCounts:
    """How many cases count, and what became of the others."""
    return CaseCounts(
        n_scored=len(scores.cases),
        penalised=scores.penalised,
        missing_predictions=tuple(case for case, reason in scores.penalised.items() if reason == NO_PREDICTION),
        excluded=excluded,
        label_sha256={score.case: score.label_sha256 for score in scores.scores if score.label_sha256},
    )


def case_rows(scores: ScoreTable, attributes: AttributeTable, subjects: NDArray[np.intp] | None = None) -> CaseScores:
    """One row a case: id, metrics, why it was penalised, attribute levels; beside them the patients' codes."""
    levels = attributes.labels()
    rows = tuple(
        (
            score.case,
            *(score.values[name] for name in scores.names),
            score.penalised or "",
            *(levels[name][index] for name in levels),
        )
        for index, score in enumerate(scores.scores)
    )
    columns = ("case", *scores.names, "penalised", *levels)
    codes = () if subjects is None else tuple(map(int, subjects))
    return CaseScores(columns, rows, scores.names, tuple(levels), codes)


def column_facts(cohort: Cohort, attributes: AttributeTable) -> dict[str, ColumnFacts]:
    """How each metadata column was read, and how many audited cases lack a value, by spelling."""
    audited = set(cohort.ids)
    ranges = {attribute.column for attribute in attributes.attributes if attribute.edges}
    facts = {}
    for column in cohort.columns:
        reading = attributes.read_as.get(column, ColumnReading("not used", ""))
        spelt = cohort.missing.get(column, {})
        values = cohort.column(column)
        spellings = Counter(spelling for case, spelling in spelt.items() if case in audited)
        # Among ranges of numbers a text such as `unknown` counts as missing, too.
        counted = values if column in ranges else []
        texts = [value for value in counted if not is_missing(value) and as_number(value) is None]
        spellings.update(map(level_text, texts))
        n_missing = sum(of_each(is_missing, values)) + len(texts)
        facts[column] = ColumnFacts(reading.kind, reading.why, n_missing, dict(spellings.most_common()))
    return facts


def metric_facts(scores: ScoreTable) -> tuple[MetricFacts, ...]:
    """How each metric was defined, and for how many cases it has no value."""
    return tuple(
        MetricFacts(
            metric.name,
            metric.unit,
            metric.better,
            metric.definition,
            metric.empty_rule,
            len(scores.cases) - len(scores.defined(metric.name)[0]),
        )
        for metric in scores.metrics
    )


def bins_of(attributes: AttributeTable) -> dict[str, Bins]:
    """How the levels of each attribute were made."""
    return {entry.name: Bins(entry.column, entry.binning, entry.edges, entry.levels) for entry in attributes.attributes}


def cohort_alerts(cohort: Cohort, attributes: AttributeTable, search: Search | None) -> list[Alert]:
    """What a reader must know of how the cases were gathered and which groups were looked for."""
    return [
        *(Alert("swapped", notice) for notice in cohort.notices if "look swapped" in notice),
        *(Alert(kind, text) for kind, text in cohort.alerts),
        *(Alert("column", text) for text in attributes.alerts),
        *([Alert("search", search_sentence(search))] if search is not None and search.is_cut else []),
    ]


def alerts(
    scores: ScoreTable,
    attributes: AttributeTable,
    facts: Sequence[AttributeFacts],
    definitions: Sequence[Definition],
    config: AuditConfig,
    excluded: Mapping[str, str],
) -> tuple[Alert, ...]:
    """What a reader must know before believing a number, most serious first."""
    n_cases = len(scores.cases)
    text_counts = Counter(text for score in scores.scores for text in score.alerts).most_common()
    small = [
        f"{entry.name} = {level.level} (n = {level.n})" for entry in facts for level in entry.levels if level.small
    ]
    return (
        *_cases_in_no_mean(scores, config, excluded),
        *_empty_predictions(scores),
        *(
            Alert(
                "cases", f"No label holds the region {region}; it counts as both empty wherever nothing is predicted."
            )
            for region in absent_regions(scores, config.protocol)
        ),
        *empty_label_alerts(scores, config),
        *(Alert("cases", f"{text} ({count} of {n_cases} cases)") for text, count in text_counts),
        *(
            [
                Alert(
                    "small",
                    f"Fewer than {config.min_cases} cases, too few to be judged by themselves: {', '.join(small)}.",
                )
            ]
            if small
            else []
        ),
        *absent_attribute_alerts(attributes, config),
        *(
            Alert("definition", f"Were NormHD defined as {definition.name}: {change}.")
            for definition in definitions
            for change in definition.changes
        ),
    )


def _cases_in_no_mean(scores: ScoreTable, config: AuditConfig, excluded: Mapping[str, str]) -> list[Alert]:
    """How many cases count with the worst score, taught the bins, could not be audited, or lack a metric."""
    found = []
    n_cases = len(scores.cases)
    if scores.penalised:
        found.append(
            Alert(
                "penalised",
                f"{len(scores.penalised)} of {n_cases} predictions could not be used and count with the worst score.",
            )
        )
    n_taught = sum(reason == TAUGHT_BINS for reason in excluded.values())
    if n_taught:
        found.append(
            Alert(
                "taught",
                f"{plural(n_taught, 'case')} taught the bins (--bins tree) and so are in no mean: bins that were "
                "chosen on the audited cases would find gaps where there are none.",
            )
        )
    if len(excluded) > n_taught:
        found.append(Alert("excluded", f"{plural(len(excluded) - n_taught, 'case')} could not be audited, in no mean."))
    for name in dict.fromkeys(("dsc", "normhd", *config.outcomes)):
        n_undefined = scores.n_undefined(name) if name in scores.names else 0
        if n_undefined:
            text = f"{n_undefined} of {n_cases} cases have no {metric_name(name)} and are in none of its means."
            found.append(Alert("undefined", text))
    return found


def _empty_predictions(scores: ScoreTable) -> list[Alert]:
    usable = [score.facts["prediction_voxels"] for score in scores.scores if "prediction_voxels" in score.facts]
    if not usable or any(usable):
        return []
    return [Alert("empty", "Every prediction that was scored is empty; equal failure of everybody is no finding.")]


def empty_label_alerts(scores: ScoreTable, config: AuditConfig) -> list[Alert]:
    """That some labels are empty, and what an empty prediction is then worth; empty where none is."""
    n_empty = sum(score.facts.get("label_voxels") == 0 for score in scores.scores)
    text = (
        f"{n_empty} of {len(scores)} labels are empty; an empty prediction then has a DSC of "
        f"{config.protocol.empty.both_dsc:g} under the protocol {config.protocol.name}."
    )
    return [Alert("empty", text)] if n_empty else []


def absent_attribute_alerts(attributes: AttributeTable, config: AuditConfig) -> list[Alert]:
    """Which attributes of the protocol cannot be examined, and why."""
    return [
        Alert("attribute", f"The protocol's attribute {name} is missing: {attributes.left_out[name]}.")
        for name in config.protocol.attributes
        if name in attributes.left_out
    ]


def versions() -> dict[str, str]:
    """Package -> version, of everything that can change a number."""
    found = {"segfair": __version__}
    for name in ("numpy", "scipy", "pandas", "nibabel", "SimpleITK", "scikit-learn"):
        found[name] = metadata.version(name)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class CellMeans:
    """Mean outcome of every combination of two attributes' levels.

    Attributes:
        row_attribute, column_attribute: Attribute names.
        row_levels, column_levels: Their levels.
        means: (n_rows, n_columns); nan where there is no case.
        counts: (n_rows, n_columns) number of cases.
    """

    row_attribute: str
    column_attribute: str
    row_levels: tuple[str, ...]
    column_levels: tuple[str, ...]
    means: NDArray[np.float64]
    counts: NDArray[np.intp]


def cell_means(
    panel: Panel, metric: str, rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]]
) -> CellMeans:
    """Means of a metric over the combinations of some levels of two attributes, each given as name and levels."""
    where, values = panel.defined(metric)
    places = [_places(panel.attributes[name], levels)[where] for name, levels in (rows, columns)]
    shape = len(rows[1]), len(columns[1])
    inside = (places[0] >= 0) & (places[1] >= 0)
    cell = places[0][inside] * shape[1] + places[1][inside]
    counts = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(cell, values[inside], minlength=shape[0] * shape[1]).reshape(shape)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    return CellMeans(rows[0], columns[0], tuple(rows[1]), tuple(columns[1]), means, counts)


def _places(attribute: Attribute, levels: Sequence[str]) -> NDArray[np.intp]:
    """(n_cases,) position of each case's level among some; -1 where it has none of them."""
    place_of = {attribute.levels.index(level): place for place, level in enumerate(levels)}
    return np.array([place_of.get(code, -1) for code in attribute.codes.tolist()], dtype=np.intp)
