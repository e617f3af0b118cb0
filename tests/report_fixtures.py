"""Made-up audits for the tests of the report: random cohorts whose facts are counted and averaged here.

Means, divergences and Shapley values are those of the random cohort; p values and intervals are plain normal
approximations, good enough to be drawn.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np

from segfair.audit.result import (
    About,
    Alert,
    AttributeFacts,
    Attributes,
    AuditConfig,
    AuditResult,
    Bins,
    CaseCounts,
    Cases,
    CaseScores,
    Chance,
    Definition,
    Explained,
    FairnessScore,
    Finding,
    GateFacts,
    LevelFacts,
    MetricFacts,
    OutcomeFacts,
    PowerFacts,
    Score,
    Scores,
    Stability,
    Subgroups,
    Verdict,
)
from segfair.fairness.challenge import Disparity, Extreme
from segfair.protocol.rules import load_protocol
from segfair.subgroups.lattice import Adjusted, Divergence, Estimate, Subgroup, SubgroupTable
from segfair.subgroups.search import LeftOut, Search

LEVELS = {
    "age_group": ("0-40", "41-50", "51-60", "61-70", "71+"),
    "menopause": ("pre", "post", "unknown"),
    "breast_density": ("a", "b", "c", "d"),
    "site": ("Duke", "ISPY1", "ISPY2", "NACT"),
}
CHANGE = "age_group: the level with the highest NormHD is 71+"
HOSTILE = {
    "<script>alert(1)</script>": ("\"quoted'", "<img src=x onerror=alert(2)>", "</script><b>"),
    "rtl \u202ereversed\u2066": ("\u200fعربى", "a\u2028b", "tab\tnew\nline"),
    "long " + "x" * 10_000: ("y" * 10_000, "$\\frac{1}{0}$", "&amp; \x00\x1b[31m"),
}


def make_result(
    *,
    n_cases: int = 300,
    levels: dict[str, tuple[str, ...]] | None = None,
    seed: int = 0,
    inference: bool = True,
    margin: float | None = None,
    primary: tuple[str, ...] = (),
    outcomes: tuple[str, ...] = ("dsc",),
    min_support: float = 0.02,
    max_items: int = 3,
    min_cases: int = 10,
) -> AuditResult:
    """An audit of a random cohort with a planted deficit in the second level of two attributes."""
    levels = LEVELS if levels is None else levels
    rng = np.random.default_rng(seed)
    codes = {name: rng.integers(0, len(names), n_cases) for name, names in levels.items()}
    dsc = np.clip(rng.beta(4, 1.3, n_cases), 0, 1)
    planted = np.logical_and.reduce([codes[name] == 1 for name in list(levels)[:: max(1, len(levels) - 1)]])
    dsc[planted] *= 0.6
    dsc[rng.random(n_cases) < 0.03] = 0.0
    values = {
        "dsc": dsc,
        "normhd": np.clip(0.35 * (1 - dsc) + 0.05 * rng.random(n_cases), 0, 1),
        "hd95_mm": 150 * np.clip(0.35 * (1 - dsc) + 0.05 * rng.random(n_cases), 0, 1),
        "volume": np.exp(rng.normal(8, 1, n_cases)),
    }
    config = AuditConfig(
        load_protocol("default"),
        outcomes=outcomes,
        min_support=min_support,
        max_items=max_items,
        min_cases=min_cases,
        margin={} if margin is None else {outcomes[0]: margin},
        primary=primary,
    )
    members = _lattice(codes, levels, n_cases, min_support, max_items)
    tables = {
        name: _table(name, values[name], members, inference=inference, margin=margin, config=config)
        for name in outcomes
    }
    penalised = {"case003": "not on the label's grid", "case010": "no prediction"}
    attributes = tuple(_attribute(name, codes[name], levels[name], values, inference, primary) for name in levels)
    rows = tuple(
        (
            f"case{index:03d}",
            *(float(values[name][index]) for name in values),
            penalised.get(f"case{index:03d}", ""),
            *(levels[name][codes[name][index]] for name in levels),
        )
        for index in range(n_cases)
    )
    worst = next(iter(tables[outcomes[0]]), None)
    clause = f"mean DSC is {worst.mean:.3f} for {worst.subgroup.name}" if worst else "nothing"
    groups = (worst.subgroup,) if worst else ()
    return AuditResult(
        About(
            config=config,
            inputs={"predictions": "cohort/preds", "labels": "cohort/labels", "metadata": "cohort/metadata.csv"},
            versions={"segfair": "0.1.0", "numpy": "2.4.0"},
            notices=("Labels: cohort/labels (300 files); predictions: cohort/preds (299 files).",),
            record={"model": {"name": "nnU-Net", "version": "2.1"}, "approver": "N. N."},
        ),
        Cases(
            counts=CaseCounts(n_cases, penalised, ("case010",), {"case999": "label: not a mask"}),
            scores=CaseScores(("case", *values, "penalised", *levels), rows, tuple(values), tuple(levels)),
            metrics=tuple(
                MetricFacts(name, unit, better, f"{name}/as-tested", "both empty: 1", 0)
                for name, unit, better in (
                    ("dsc", "", "higher"),
                    ("normhd", "", "lower"),
                    ("hd95_mm", "mm", "lower"),
                    ("volume", "mm³", "neither"),
                )
            ),
        ),
        Attributes(
            bins={name: Bins(name, "as given", (), names) for name, names in levels.items()},
            left_out={"patient_name": "300 different texts; an id or free text", "scanner": "one value only"},
            facts=attributes,
        ),
        Scores(
            by_name=_scores(dsc, values["normhd"], inference),
            definitions=(
                Definition("mm, clipped", 0.11, 0.81, 0.93, 0.87, (), True),
                Definition(
                    "voxels, clipped",
                    0.14,
                    0.79,
                    0.92,
                    0.86,
                    ("age_group: the level with the highest NormHD is 71+",),
                    False,
                ),
            ),
            variants=tuple(
                FairnessScore(
                    "gap",
                    "maximum - minimum",
                    name,
                    "max_g D_g - min_g D_g",
                    "MAMA-MIA (2025)",
                    0.12,
                    (0.02, 0.2),
                    Chance(0.07, (0.02, 0.13), 0.04),
                )
                for name in levels
            )
            if inference
            else (),
        ),
        Subgroups(
            outcomes={
                name: OutcomeFacts(
                    better=table.better,
                    n_cases=n_cases,
                    mean=table.mean,
                    primary=name == outcomes[0],
                    n_tested=sum(row.significant is not None for row in table) if inference else 0,
                    critical=3.4 if inference else None,
                    method="Westfall-Young step-down max-T (2,000 permutations), family-wise level 0.05"
                    if inference
                    else "not corrected for multiple testing",
                    global_divergence=tuple(
                        (*next(iter(row.subgroup.items)), row.divergence / 3) for row in table if len(row.subgroup) == 1
                    ),
                )
                for name, table in tables.items()
            },
            tables=tables,
            search=Search(
                max_items=max_items,
                min_support=min_support,
                n_tested=sum(row.significant is not None for row in tables[outcomes[0]]) if inference else 0,
                left_out=(LeftOut(f"combinations of more than {max_items} attributes", "as asked for"),),
                min_count=max(1, math.ceil(min_support * n_cases)),
                n_searched=len(members),
                n_alone=0,
                n_estimated=None,
                budget=config.max_subgroups,
            ),
            findings=_findings(tables[outcomes[0]]),
            primary_levels=_primary(tables[outcomes[0]], primary) if primary else None,
            power=tuple(
                PowerFacts(
                    entry.name, level.level, level.n, 1.4 / math.sqrt(level.n) if level.n else None, 40 * n_cases
                )
                for entry in attributes
                for level in entry.levels
            )
            if inference
            else (),
        ),
        Verdict(
            "disparity found" if inference else "not tested",
            f"Disparity found: {clause}.",
            groups,
            alerts=(
                Alert("penalised", f"2 of {n_cases} predictions could not be used and count with the worst score."),
                Alert("excluded", "1 cases could not be audited and are in no mean."),
                Alert("small", "Fewer than 10 cases, too few to be judged by themselves: site = NACT (n = 7)."),
                Alert(
                    "definition",
                    "Were NormHD defined as voxels, clipped: age_group: the level with the highest NormHD is 71+.",
                ),
            ),
            gates=(
                GateFacts("FS >= 0.85", "pass", "lower limit 0.87"),
                GateFacts("significant(dsc) == 0", "fail", "3 found"),
            ),
        ),
    )


def _lattice(codes, levels, n_cases, min_support, max_items):
    """Subgroup -> members."""
    items = {(name, level): codes[name] == code for name in levels for code, level in enumerate(levels[name])}
    found = {}
    for size in range(1, max_items + 1):
        for names in itertools.combinations(levels, size):
            for combination in itertools.product(*(levels[name] for name in names)):
                chosen = tuple(zip(names, combination, strict=True))
                who = np.logical_and.reduce([items[item] for item in chosen])
                if who.sum() >= max(1, min_support * n_cases):
                    found[frozenset(chosen)] = who
    return found


def _table(outcome, values, members, *, inference, margin, config) -> SubgroupTable:
    better = "higher" if outcome == "dsc" else "lower"
    sign = 1 if better == "higher" else -1
    mean, sd, n_cases = float(values.mean()), float(values.std()), len(values)
    gaps = {items: float(values[who].mean()) - mean for items, who in members.items()}
    rows = []
    for items, who in members.items():
        n = int(who.sum())
        gap = gaps[items]
        error = sd / math.sqrt(n)
        p = math.erfc(abs(gap) / error / math.sqrt(2))
        tested = inference and min(n, n_cases - n) >= config.min_cases
        wide = (gap - 3.4 * error, gap + 3.4 * error)
        standing = None
        if margin is not None:
            harm = (wide[0], wide[1]) if sign > 0 else (-wide[1], -wide[0])
            standing = (
                "open"
                if not tested
                else "within margin"
                if harm[0] > -margin
                else "beyond margin"
                if harm[1] < -margin
                else "open"
            )
        adjusted_p = min(1.0, p * len(members))
        rows.append(
            Divergence(
                subgroup=Subgroup(items),
                aliases=(),
                n=n,
                support=n / n_cases,
                mean=mean + gap,
                rest_mean=mean - gap * n / (n_cases - n) if n < n_cases else None,
                divergence=gap,
                t=abs(gap) / error,
                redundant=len(items) > 1 and any(abs(gap - gaps.get(items - {item}, 9)) < 0.05 * sd for item in items),
                shapley={item: gap / len(items) for item in sorted(items)},
                divergence_shrunk=gap * 0.8 if inference else None,
                ci=(gap - 1.96 * error, gap + 1.96 * error) if inference else None,
                ci_simultaneous=wide if inference else None,
                p_value=p if inference else None,
                p_adjusted=adjusted_p if tested else None,
                significant=(adjusted_p <= 0.05) if tested else None,
                margin=standing,
                estimate=Estimate(
                    "difference",
                    gap / (1 - n / n_cases),
                    (wide[0] / (1 - n / n_cases), wide[1] / (1 - n / n_cases)) if tested else None,
                    p if tested else None,
                    adjusted_p if tested else None,
                    n,
                )
                if n < n_cases
                else None,
                adjusted=Adjusted(
                    ("lesion_volume",),
                    gap * 1.1,
                    gap * 0.9,
                    (gap - error, gap + error),
                    p,
                    adjusted_p,
                    adjusted_p <= 0.05,
                    0.18 if adjusted_p <= 0.05 else None,
                )
                if tested
                else None,
            )
        )
    rows.sort(key=lambda row: sign * (row.divergence_shrunk if inference else row.divergence))
    return SubgroupTable(outcome, better, n_cases, mean, tuple(rows))


def _primary(table: SubgroupTable, names: tuple[str, ...]) -> SubgroupTable:
    rows = [row for row in table if len(row.subgroup) == 1 and next(iter(row.subgroup.items))[0] in names]
    return dataclasses.replace(table, rows=tuple(rows))


def _attribute(name, codes, levels, values, inference, primary) -> AttributeFacts:
    facts = []
    for code, level in enumerate(levels):
        who = codes == code
        n = int(who.sum())
        mean = {metric: float(column[who].mean()) if n else None for metric, column in values.items()}
        median = {metric: float(np.median(column[who])) if n else None for metric, column in values.items()}
        ci = {}
        if inference and n > 1:
            for metric in ("dsc", "normhd"):
                error = 1.96 * float(values[metric][who].std()) / math.sqrt(n)
                ci[metric] = (mean[metric] - error, mean[metric] + error)
        failed = float((values["dsc"][who] < 0.5).mean()) if n else None
        facts.append(
            LevelFacts(
                level,
                n,
                n < 10,
                mean,
                median,
                ci,
                failed,
                (max(0.0, failed - 0.1), min(1.0, failed + 0.1)) if failed is not None else None,
            )
        )
    full = [level for level in facts if level.n]
    low, high = min(full, key=lambda level: level.mean["dsc"]), max(full, key=lambda level: level.mean["dsc"])
    ends = [Extreme(level.level, level.n, level.mean["dsc"]) for level in (low, high)]
    hd = [Extreme(level.level, level.n, level.mean["normhd"]) for level in (high, low)]
    disparity = Disparity(
        name,
        0.5 * (ends[1].mean - ends[0].mean + hd[1].mean - hd[0].mean),
        ends[1].mean - ends[0].mean,
        hd[1].mean - hd[0].mean,
        *ends,
        *hd,
        len(full),
        1,
    )
    return AttributeFacts(
        name,
        disparity,
        tuple(facts),
        (0.01, 0.12) if inference else None,
        Chance(0.05, (0.02, 0.09), 0.2) if inference else None,
        name in primary,
    )


def _scores(dsc, normhd, inference) -> dict[str, Score]:
    ps = 0.5 * (dsc.mean() + 1 - normhd.mean())
    found = {}
    for name, value in {
        "DSC": dsc.mean(),
        "NormHD": normhd.mean(),
        "PS": ps,
        "FS": 0.93,
        "TS": (ps + 0.93) / 2,
    }.items():
        value = float(value)
        found[name] = Score(
            value,
            (value - 0.02, min(1.0, value + 0.02)) if inference else None,
            Chance(0.962, (0.941, 0.979), 0.004) if inference and name == "FS" else None,
            value + (0.004 if name != "NormHD" else -0.004),
            0.91 if name == "FS" else None,
        )
    return found


def _findings(table: SubgroupTable) -> tuple[Finding, ...]:
    """One finding that explains all significant rows: the first of them that is not redundant."""
    significant = [row for row in table if row.significant]
    first = next((row for row in significant if not row.redundant), None)
    if first is None or first.estimate is None:
        return ()
    explains = tuple(Explained(row.subgroup) for row in significant)
    inside = "no part of it is significantly worse still"
    return (Finding(first.subgroup, first.estimate, explains, inside, Stability(0.9, explains[:2])),)
