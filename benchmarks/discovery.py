"""Who finds a planted gap, and what else do they make a reader read? segfair beside others on the same cohorts.

    pip install divexplorer sliceline fairlearn scikit-learn
    python benchmarks/discovery.py [--cohorts 40] [--fairlearn 2] [--only segfair] [--seed 0]

Prints the tables of docs/benchmarks.md. The others are no dependencies of segfair; who is not installed is left out and
named. Every method sees the same four attributes and reports subgroups of at least ten cases.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cohorts
import numpy as np
import scipy.stats
from calibration import share, table, welch_p
from numpy.typing import NDArray

from segfair import stats

LEAST = 10
PERMUTATIONS = 1000
BOOTSTRAPS = 100
Masks = NDArray[np.bool_]
Method = Callable[[cohorts.Planted, np.random.Generator], Masks]


def segfair_rows(cohort: cohorts.Planted, rng: np.random.Generator) -> Masks:
    test = stats.max_t(cohort.members, cohort.dice, rng=rng, permutations=PERMUTATIONS)
    return cohort.members[test.significant()]


def segfair_findings(cohort: cohorts.Planted, rng: np.random.Generator) -> Masks:
    named = cohorts.explained(cohort, rng, PERMUTATIONS)
    return cohort.members[[items in named for items in cohort.items]]


def welch_bh(cohort: cohorts.Planted, rng: np.random.Generator) -> Masks:
    """The patterns that DivExplorer mines, by Welch's p against the rest and Benjamini-Hochberg."""
    adjusted = scipy.stats.false_discovery_control(welch_p(cohort.members, cohort.dice))
    return cohort.members[adjusted <= 0.05]


def divexplorer(cohort: cohorts.Planted, rng: np.random.Generator) -> Masks:
    """Its patterns with t > 2 against the whole cohort."""
    import pandas as pd
    from divexplorer import DivergenceExplorer

    frame = pd.DataFrame({str(k): codes.astype(str) for k, codes in enumerate(cohort.codes)})
    explorer = DivergenceExplorer(frame.assign(dice=cohort.dice))
    patterns = explorer.get_pattern_divergence(
        min_support=LEAST / len(frame), attributes=list(frame), quantitative_outcomes=["dice"]
    )
    shown = patterns[(patterns["dice_t"] > 2) & (patterns["length"] > 0)]
    return _held(cohort, ([tuple(map(int, item.split("="))) for item in items] for items in shown["itemset"]))


def sliceline(alpha: float) -> Method:
    """Its four best slices; its weight of the error against the size is `alpha` (the package's own: 0.6)."""

    def slices(cohort: cohorts.Planted, rng: np.random.Generator) -> Masks:
        from sliceline.slicefinder import Slicefinder

        finder = Slicefinder(alpha=alpha, k=4, min_sup=LEAST, verbose=False)
        found = finder.fit(cohort.codes.T.astype(str).astype(object), 1 - cohort.dice).top_slices_
        return _held(cohort, ([(k, int(level)) for k, level in enumerate(row) if level is not None] for row in found))

    return slices


def fairlearn(cohort: cohorts.Planted, rng: np.random.Generator) -> Masks:
    """Frames over each attribute and each pair: groups whose bootstrapped 95 % interval leaves out the mean."""
    import pandas as pd
    from fairlearn.metrics import MetricFrame, mean_prediction

    frame = pd.DataFrame({str(k): codes for k, codes in enumerate(cohort.codes)})
    found = []
    for names in (*itertools.combinations(frame, 1), *itertools.combinations(frame, 2)):
        judged = MetricFrame(
            metrics=mean_prediction,
            y_true=np.zeros(len(frame)),
            y_pred=cohort.dice,
            sensitive_features=frame[list(names)],
            n_boot=BOOTSTRAPS,
            ci_quantiles=[0.025, 0.975],
            random_state=int(rng.integers(2**31)),
        )
        low, high = judged.by_group_ci
        outside = low.index[(low > judged.overall) | (high < judged.overall)]
        found.extend(list(zip(map(int, names), np.atleast_1d(levels), strict=True)) for levels in outside)
    masks = _held(cohort, found)
    return masks[masks.sum(axis=1) >= LEAST]


def tree(cohort: cohorts.Planted, rng: np.random.Generator) -> Masks:
    """Leaves of a regression tree on the levels, pruned by five-fold cross-validation."""
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.tree import DecisionTreeRegressor

    levels = np.array([codes == level for codes in cohort.codes for level in range(codes.max() + 1)]).T
    grown = DecisionTreeRegressor(min_samples_leaf=LEAST, random_state=0)
    alphas = grown.cost_complexity_pruning_path(levels, cohort.dice).ccp_alphas
    folds = KFold(5, shuffle=True, random_state=int(rng.integers(2**31)))
    search = GridSearchCV(grown, {"ccp_alpha": np.unique(np.quantile(alphas, np.linspace(0, 1, 12)))}, cv=folds)
    leaf = search.fit(levels, cohort.dice).best_estimator_.apply(levels)
    leaves = np.unique(leaf)
    return np.array([leaf == one for one in leaves]) if len(leaves) > 1 else np.zeros((0, len(leaf)), dtype=bool)


def _held(cohort: cohorts.Planted, found: Iterator[list[tuple[int, int]]] | list[list[tuple[int, int]]]) -> Masks:
    """(n_found, n_cases) members of described subgroups."""
    masks = [np.all([cohort.codes[k] == level for k, level in items], axis=0) for items in found]
    return np.array(masks, dtype=bool).reshape(len(masks), cohort.codes.shape[1])


METHODS: dict[str, tuple[str, Method]] = {
    "DivExplorer, t > 2": ("divexplorer", divexplorer),
    "the same patterns, Welch and Benjamini-Hochberg": ("scipy", welch_bh),
    "SliceLine, 4 slices, alpha .6": ("sliceline", sliceline(0.6)),
    "SliceLine, 4 slices, alpha .95": ("sliceline", sliceline(0.95)),
    "Fairlearn, bootstrapped frames": ("fairlearn", fairlearn),
    "regression tree": ("sklearn", tree),
    "segfair: rows": ("segfair", segfair_rows),
    "segfair: findings": ("segfair", segfair_findings),
}


@dataclass(slots=True)
class Record:
    """What one method did."""

    alarms: list[bool] = field(default_factory=list)
    found: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))
    just: list[bool] = field(default_factory=list)
    rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    seconds: list[float] = field(default_factory=list)

    def note(self, scenario: str, cohort: cohorts.Planted, masks: Masks) -> None:
        """Adds one cohort."""
        if not cohort.planted:
            self.alarms.append(len(masks) > 0)
        worse = {mask.tobytes() for mask in masks if cohort.dice[mask].mean() < cohort.dice.mean()}
        planted = {mask.tobytes() for mask in _held(cohort, [list(items) for items in cohort.planted])}
        self.rows[scenario].append(sum(mask.tobytes() in worse for mask in masks))
        if planted:
            self.found[scenario].extend(mask in worse for mask in planted)
            self.just.append(worse == planted)


def percent(values: list[bool]) -> str:
    return share(values) if values else "-"


def simulate(n_cohorts: int, n_fairlearn: int, seed: int, only: str) -> dict[str, Record]:
    records = {
        name: Record()
        for name, (module, _) in METHODS.items()
        if importlib.util.find_spec(module) and only in name and (n_fairlearn or module != "fairlearn")
    }
    for index, ((scenario, gaps), confounded) in enumerate(itertools.product(cohorts.GAPS.items(), (False, True))):
        times = 1 if gaps.planted else 5
        for repeat in range(times * n_cohorts):
            cohort = cohorts.plant_gaps(np.random.default_rng([seed, index, repeat]), gaps, confounded=confounded)
            for name, record in records.items():
                if name.startswith("Fairlearn") and repeat >= times * n_fairlearn:
                    continue
                start = time.process_time()
                masks = METHODS[name][1](cohort, np.random.default_rng([seed, index, repeat, 1]))
                record.seconds.append(time.process_time() - start)
                record.note(scenario, cohort, masks)
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cohorts", type=int, default=40, help="of each kind of planted gaps; five times as many without"
    )
    parser.add_argument("--fairlearn", type=int, default=2, help="the same for Fairlearn, which takes seconds each")
    parser.add_argument("--only", default="", help="methods whose name contains this; the cohorts stay the same")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    records = simulate(chosen.cohorts, chosen.fairlearn, chosen.seed, chosen.only)
    scenarios = [name for name, gaps in cohorts.GAPS.items() if gaps.planted]
    rows = []
    for name, record in records.items():
        found = [entry for scenario in scenarios for entry in record.found[scenario]]
        read = [count for scenario in scenarios for count in record.rows[scenario]]
        rows.append(
            (
                name,
                f"{len(record.alarms)} + {len(record.just)}",
                *map(percent, (record.alarms, found, record.just)),
                f"{np.mean(read):.1f}",
                f"{1000 * np.median(record.seconds):.0f}",
            )
        )
    table(
        "Without a gap, and with one to three",
        ("method", "cohorts", "false alarms, %", "gaps found, %", "just the gaps, %", "rows to read", "ms a cohort"),
        rows,
    )
    table(
        "Gaps found, % (and rows to read)",
        ("method", *scenarios),
        [
            (name, *(f"{percent(record.found[k])} ({np.mean(record.rows[k]):.1f})" for k in scenarios))
            for name, record in records.items()
        ],
    )
    missing = sorted({module for module, _ in METHODS.values() if not importlib.util.find_spec(module)})
    if missing:
        print(f"Not installed, so left out: {', '.join(missing)}")


if __name__ == "__main__":
    main()
