"""Two-attribute heat maps: which pairs are drawn, and what stands in their cells."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from segfair.audit.describe import CellMeans, cell_means
from segfair.audit.panel import Panel
from segfair.audit.result import AttributeFacts, AuditResult
from segfair.audit.words import clean, format_number, metric_name
from segfair.report.audit.summary import judged, outcome_digits
from segfair.report.figures import heat_map
from segfair.report.parts import Data, cell, figure, number_column, table

__all__ = ["heat_map_section"]

_MAX_MAPS = 6
_MAP_ROWS, _MAP_COLUMNS = 14, 9


def heat_map_section(
    result: AuditResult, *, like: AuditResult | None = None, key: str = "map", coloured: float = 1.0
) -> Data | None:
    """Maps of the pairs of attributes that the most divergent subgroups name; of all pairs where they are few.

    Args:
        result: The audit.
        like: Another audit of the same cases whose pairs, levels and colours hold, so that its maps and these can be
            put side by side; None: its own.
        key: Beginning of the figures' ids, unique in the page.
        coloured: Share of the judged cells that the colour scale tells apart; what lies beyond has the colour of its
            end, so that one cell does not flatten all others.
    """
    outcome = result.subgroups.primary_outcome
    base = like or result
    facts = base.subgroups.outcomes[outcome]
    # An audit that was made to be shared has no rows of cases to average.
    pairs = _pairs(base) if base.cases.scores.rows and result.cases.scores.rows else []
    if not pairs or facts.mean is None:
        return None
    maps = _maps(result, pairs)
    digits = outcome_digits(base.subgroups[outcome])
    deviations = [
        np.abs(cells.means[enough] - facts.mean)
        for cells in (maps if like is None else _maps(base, pairs))
        if (enough := cells.counts >= base.about.config.min_cases).any()
    ]
    span = float(np.quantile(np.concatenate(deviations), coloured, method="lower")) if deviations else 0.0
    figures = []
    for index, cells in enumerate(maps):
        names = [clean(name, length=40) for name in (cells.row_attribute, cells.column_attribute)]
        drawing = heat_map(
            cells,
            better=facts.better,
            overall=facts.mean,
            span=span or 0.1,
            min_cases=base.about.config.min_cases,
            digits=digits,
        )
        figures.append(
            {
                "title": f"{names[0]} × {names[1]}",
                **figure(
                    drawing,
                    key=f"{key}{index}",
                    label=(
                        f"Heat map of mean {metric_name(outcome)} by {names[0]} and {names[1]}. "
                        f"{_extreme_cells(cells, facts.better, result.about.config.min_cases, digits)} "
                        "The table below holds every cell."
                    ),
                    caption="",
                    data=_cell_table(cells, outcome, digits),
                ),
            }
        )
    n_pairs = len(list(itertools.combinations(result.attributes.facts, 2)))
    return {
        "figures": figures,
        "note": f"{len(maps)} of {n_pairs} pairs of attributes: those that the most divergent subgroups name."
        if n_pairs > len(maps)
        else "",
        "min_cases": result.about.config.min_cases,
        "outcome": metric_name(outcome),
    }


def _pairs(result: AuditResult) -> list[tuple[AttributeFacts, AttributeFacts]]:
    by_name = {
        attribute.name: attribute for attribute in result.attributes.facts if attribute.name in result.attributes.bins
    }
    every = list(itertools.combinations(by_name, 2))
    if len(every) > _MAX_MAPS:
        rows = result.subgroups[result.subgroups.primary_outcome]
        named: dict[tuple[str, str], None] = {}
        for row in rows.worst(len(rows)):
            if len(row.subgroup) > 1 and judged(row, result.about.config, rows.n_cases):
                names = {name for name, _ in row.subgroup.items}
                named.update(dict.fromkeys(pair for pair in every if names.issuperset(pair)))
            if len(named) >= _MAX_MAPS:
                break
        every = list({**named, **dict.fromkeys(every)})[:_MAX_MAPS]
    pairs = [(by_name[first], by_name[second]) for first, second in every]
    # Levels across are dear: the attribute with fewer of them goes there.
    return [(b, a) if len(a.levels) < len(b.levels) else (a, b) for a, b in pairs]


def _maps(result: AuditResult, pairs: Sequence[tuple[AttributeFacts, AttributeFacts]]) -> list[CellMeans]:
    panel = Panel.of_result(result)
    return [
        cell_means(
            panel,
            result.subgroups.primary_outcome,
            (rows.name, _most_populous(rows, _MAP_ROWS)),
            (columns.name, _most_populous(columns, _MAP_COLUMNS)),
        )
        for rows, columns in pairs
    ]


def _most_populous(attribute: AttributeFacts, limit: int) -> tuple[str, ...]:
    kept = {level.level for level in sorted(attribute.levels, key=lambda level: -level.n)[:limit]}
    return tuple(level.level for level in attribute.levels if level.level in kept)


def _extreme_cells(cells: CellMeans, better: str, min_cases: int, digits: int) -> str:
    if not (cells.counts >= min_cases).any():
        return f"No cell has {min_cases} cases."
    means = np.where(cells.counts >= min_cases, cells.means, np.nan)
    row, column = np.unravel_index(np.nanargmin(means) if better == "higher" else np.nanargmax(means), means.shape)
    levels = f"{clean(cells.row_levels[row], length=30)} and {clean(cells.column_levels[column], length=30)}"
    return f"Worst cell: {levels}, {format_number(float(means[row, column]), digits)}, n {cells.counts[row, column]}."


def _cell_table(cells: CellMeans, outcome: str, digits: int) -> Data:
    names = [clean(name, length=40) for name in (cells.row_attribute, cells.column_attribute)]
    return table(
        f"Mean {metric_name(outcome)} (n) by {names[0]} and {names[1]}",
        [
            names[0],
            *(number_column(clean(level, length=40)) for level in cells.column_levels),
        ],
        [
            [
                cell(clean(level, length=60)),
                *(
                    cell(format_number(float(mean), digits), sub=f"n = {count:,}")
                    for mean, count in zip(cells.means[row], cells.counts[row], strict=True)
                ),
            ]
            for row, level in enumerate(cells.row_levels)
        ],
    )
