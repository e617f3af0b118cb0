"""Before a study: which gaps a cohort of these patients could show, from its metadata alone."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np

from segfair import stats
from segfair.attributes.binning import as_number
from segfair.attributes.fit import fit_attributes
from segfair.audit.result import AuditConfig, PowerFacts
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, close_names
from segfair.files.tables import load_table
from segfair.subgroups.lattice import Membership, level_membership, with_levels
from segfair.subgroups.search import Search, search_subgroups

__all__ = ["load_patients", "pilot_spread", "plan_power", "power_of_levels"]


def load_patients(metadata: Path, *, sheet: str | None = None) -> Cohort:
    """Every row of a metadata table as a case without masks.

    Raises:
        InputError: The table cannot be read.
    """
    table = load_table(metadata, sheet=sheet)
    rows = range(len(table.column(table.columns[0])))
    columns = {name: table.column(name) for name in table.columns}
    cases = tuple(
        Case(f"row {row + 1}", metadata={name: values[row] for name, values in columns.items()}) for row in rows
    )
    return Cohort(cases, columns=tuple(table.columns), notices=table.notices, inputs={"metadata": metadata})


def pilot_spread(scores: Path, *, outcome: str) -> float:
    """Standard deviation over cases of one column of a table of scores.

    Raises:
        InputError: The table cannot be read.
        ConfigError: No such column, or fewer than two numbers in it.
    """
    table = load_table(scores)
    if outcome not in table.columns:
        raise ConfigError(
            f"{scores}: no column {outcome}{close_names(outcome, table.columns)}; there are {', '.join(table.columns)}"
        )
    values = [number for value in table.column(outcome) if (number := as_number(value)) is not None]
    if len(values) < 2:
        raise ConfigError(f"{scores}, column {outcome}: {len(values)} numbers, a spread takes two")
    return statistics.stdev(values)


def plan_power(
    cohort: Cohort, config: AuditConfig, *, sd: float
) -> tuple[tuple[PowerFacts, ...], float | None, Search]:
    """What a cohort could show about each level of each attribute, at the family-wise level of all its subgroups.

    Args:
        cohort: The patients.
        config: Attributes, smallest group, level, gap of interest.
        sd: Standard deviation of the outcome over cases (0.18 is common for DSC).

    Returns:
        One entry a level; the critical value of the largest statistic under no difference, None where no subgroup is
        large enough to be tested; and which subgroups an audit would search.
    """
    edges = {name: edges for name, edges in config.bins.items() if edges != "tree"}
    plan = fit_attributes(cohort, protocol=config.protocol, chosen=config.attributes, edges=edges)
    attributes = plan.apply(cohort)
    lattice, search = search_subgroups(attributes, config.bounds)
    lattice = with_levels(lattice, attributes, min_cases=config.min_cases)
    critical = (
        stats.null_critical(
            lattice.matrix,
            rng=config.resampling.stream("power"),
            min_cases=config.min_cases,
            permutations=config.permutations,
            level=config.level,
        )
        if len(lattice)
        else None
    )
    levels = level_membership(attributes, [entry.name for entry in attributes.attributes])
    return power_of_levels(levels, n_cases=len(cohort), sd=sd, config=config, critical=critical), critical, search


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
