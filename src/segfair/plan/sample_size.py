"""How many cases a plan takes: how wide the interval of each primary difference will be, before anything is scored."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np

from segfair import stats
from segfair.attributes.fit import fit_attributes
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError
from segfair.intake.where import fulfilled
from segfair.plan.study_plan import StudyPlan
from segfair.subgroups.lattice import level_membership

__all__ = ["ExpectedLevel", "ExpectedWidths", "expected_widths"]

_UNPLANNED = 1000
"""Cases for which the critical value is taken where no number of cases is planned; it hardly depends on it."""


@dataclass(frozen=True, slots=True)
class ExpectedLevel:
    """What a study will know of a level of a primary attribute, in a normal approximation.

    Attributes:
        attribute, level: Which.
        share: Share of the cases.
        n: Cases that are expected; None where no number of cases is planned.
        width: Width of the simultaneous interval of the difference to everybody else; None as above, or with too few.
        margin_met: Probability that the interval excludes a deficit of the margin, where there is no difference; None
            without a margin.
        cases_needed: Cases of the whole study for the width that will do; None where none was named.
    """

    attribute: str
    level: str
    share: float
    n: int | None
    width: float | None
    margin_met: float | None
    cases_needed: int | None


@dataclass(frozen=True, slots=True)
class ExpectedWidths:
    """What a planned number of cases comes to.

    Attributes:
        n_cases: Cases that are planned; None: not fixed.
        critical: Critical |t| of the family of primary levels; None: no level is large enough.
        levels: Each level of each primary attribute.
    """

    n_cases: int | None
    critical: float | None
    levels: tuple[ExpectedLevel, ...]

    @property
    def cases_needed(self) -> int | None:
        """Cases for the width that will do, in every level; None where no width was named."""
        needed = [entry.cases_needed for entry in self.levels if entry.cases_needed is not None]
        return max(needed, default=None)


def expected_widths(plan: StudyPlan, patients: Cohort | None = None) -> ExpectedWidths:
    """How wide the intervals of a plan's primary differences will be.

    Args:
        plan: With a `sample_size`.
        patients: A table of patients such as those of the study, whose shares are taken; None: the plan's `shares`,
            attributes independent of each other.

    Raises:
        ConfigError: No sample size is planned, no attribute is primary, nothing says how large its levels are, or no
            patient is one of those that count.
    """
    size = plan.sample_size
    if size is None:
        raise ConfigError("[plan]: there is no [plan.sample_size]; it takes sd, and cases or width")
    if not plan.config.primary:
        raise ConfigError("[plan.sample_size]: takes primary attributes, whose levels are compared; name them")
    patients = _made_up(plan, size.cases or _UNPLANNED) if patients is None else _chosen(patients, plan.where)
    edges = {name: edges for name, edges in plan.config.bins.items() if edges != "tree"}
    fitted = fit_attributes(patients, protocol=plan.config.protocol, chosen=plan.config.primary, edges=edges)
    levels = level_membership(fitted.apply(patients), plan.config.primary)
    shares = levels.sizes / len(patients)
    planned = size.cases or _UNPLANNED
    least = plan.config.min_cases
    tested = (shares * planned >= least) & ((1 - shares) * planned >= least)
    critical = (
        stats.null_critical(
            levels.matrix[tested],
            rng=plan.config.resampling.stream("power"),
            min_cases=2,
            permutations=plan.config.permutations,
            level=plan.config.level,
        )
        if tested.any()
        else None
    )
    margin = plan.config.margin.get(plan.config.outcomes[0])
    return ExpectedWidths(
        size.cases,
        critical,
        tuple(
            _expected(plan, subgroup.items, float(share), critical, margin)
            for subgroup, share in zip(levels.subgroups, shares, strict=True)
        ),
    )


def _expected(
    plan: StudyPlan, items: frozenset[tuple[str, str]], share: float, critical: float | None, margin: float | None
) -> ExpectedLevel:
    size = plan.sample_size
    assert size is not None
    ((attribute, level),) = items
    n = None if size.cases is None else round(share * size.cases)
    if critical is None or not 0 < share < 1:
        return ExpectedLevel(attribute, level, share, n, None, None, None)
    width = met = needed = None
    least = plan.config.min_cases
    if n is not None and size.cases is not None and least <= n <= size.cases - least:
        width = float(stats.interval_width(np.array(n), size.cases, sd=size.sd, critical=critical))
        met = None if margin is None else stats.chance_to_exclude(margin, width, critical=critical)
    if size.width is not None:
        needed = int(stats.cases_for_width(size.width, np.array(share), sd=size.sd, critical=critical))
    return ExpectedLevel(attribute, level, share, n, width, met, needed)


def _chosen(patients: Cohort, where: str | None) -> Cohort:
    """Those that count."""
    if where is None:
        return patients
    holds = fulfilled(where, [case.metadata for case in patients], columns=patients.columns)
    if not any(holds):
        raise ConfigError(f"where {where}: no patient of the table fulfils it")
    return dataclasses.replace(patients, cases=tuple(itertools.compress(patients.cases, holds)))


def _made_up(plan: StudyPlan, n_cases: int) -> Cohort:
    """Patients with the planned shares, attributes independent of each other."""
    size = plan.sample_size
    shares = {} if size is None else size.shares
    absent = [name for name in plan.config.primary if name not in shares]
    if absent:
        raise ConfigError(
            f"[plan.sample_size.shares]: nothing says how large the levels of {', '.join(absent)} are; add their "
            "shares, or hand in a table of patients: segfair plan STUDY METADATA"
        )
    columns: dict[str, list[str]] = {}
    for name in plan.config.primary:
        ends = np.round(np.cumsum([0, *shares[name].values()]) * n_cases).astype(int)
        values = np.repeat(list(shares[name]), np.diff(ends))
        columns[name] = [str(value) for value in plan.config.resampling.stream(f"plan/{name}").permutation(values)]
    cases = tuple(
        Case(f"patient {row + 1}", metadata={name: values[row] for name, values in columns.items()})
        for row in range(n_cases)
    )
    return Cohort(cases, columns=plan.config.primary)
