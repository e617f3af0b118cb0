"""What an audit of a wide clinical sheet costs: time and peak memory of the whole command, report included.

    python benchmarks/wide.py [--cases 1506] [--columns 10 50 200]

The sheet has what such sheets have: an id, cohorts, sites and scanners that follow from each other, numbers, codes with
many missing values, columns that hardly vary, dates, free text, and beyond fifty columns further ones that follow from
the others for four cases in five. One cohort's scanner is served worse. Each row is a process of its own with one
thread: CPU seconds, and the highest resident memory, imports included. `searched` are levels and combinations; `of` is
how many there are in all, estimated.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from cohorts import cost_of_audit, skewed_dice

from segfair.audit.result import AuditResult

_HEADS = (
    "columns",
    "attributes",
    "searched",
    "of",
    "items",
    "support",
    "tested",
    "CPU s",
    "peak GB",
    "page",
    "audit.json",
)


def draw_sheet(n_cases: int, n_columns: int, rng: np.random.Generator) -> tuple[dict[str, list[Any]], np.ndarray]:
    """Columns by name, `None` where a value is missing, and Dice."""
    cohort = rng.choice(4, n_cases, p=[0.65, 0.19, 0.12, 0.04])
    site = np.where(cohort == 0, rng.integers(0, 18, n_cases), 17 + cohort)
    scanner = np.where(rng.random(n_cases) < 0.15, rng.integers(0, 12, n_cases), site * 7 % 12)
    maker = np.where(rng.random(n_cases) < 0.03, rng.integers(0, 3, n_cases), scanner % 3)
    age = np.clip(rng.normal(50, 11, n_cases), 21, 80).round()
    sheet: dict[str, list[Any]] = {
        "patient": [f"P{index:05d}" for index in range(n_cases)],
        "cohort": [f"cohort {code}" for code in cohort],
        "maker": [f"maker {code}" for code in maker],
        "scanner": [f"scanner {code}" for code in scanner],
        "age": age.tolist(),
        "menopause": _with_gaps(np.where(age + rng.normal(0, 4, n_cases) < 50, "pre", "post"), 0.27, rng),
        "field_tesla": np.where(scanner % 2, 1.5, 3.0).tolist(),
        "scan_date": [f"20{10 + index % 12}-{1 + index % 12:02d}-{1 + index % 28:02d}" for index in range(n_cases)],
        "implant": (rng.random(n_cases) < 0.005).astype(int).tolist(),
        "remarks": [f"seen by reader {value}" for value in rng.integers(0, 10 * n_cases, n_cases)],
    }
    kinds = 0
    while len(sheet) < min(n_columns, 50):
        kinds += 1
        missing = float(rng.choice([0.0, 0.01, 0.15, 0.35, 0.65, 0.8, 0.95]))
        if kinds % 3 == 0:
            sheet[f"measure_{kinds}"] = _with_gaps(rng.normal(70, 15, n_cases).round(3), missing, rng)
        elif kinds % 3 == 1:
            sheet[f"code_{kinds}"] = _with_gaps(rng.integers(0, rng.integers(2, 8), n_cases), missing, rng)
        else:
            noise = rng.random(n_cases) < 0.05
            sheet[f"protocol_{kinds}"] = np.where(noise, rng.integers(0, 3, n_cases), (cohort + kinds) % 3).tolist()
    sources = [name for name in sheet if name not in ("patient", "scan_date", "remarks")]
    while len(sheet) < n_columns:
        values = sheet[sources[len(sheet) % len(sources)]]
        moved = rng.permutation(n_cases)
        keep = rng.random(n_cases) < 0.8
        sheet[f"further_{len(sheet)}"] = [values[row if keep[row] else moved[row]] for row in range(n_cases)]
    dice = np.clip(skewed_dice(rng, n_cases) - 0.1 * ((cohort == 1) & (maker == 1)), 0, 1)
    return dict(list(sheet.items())[:n_columns]), dice


def _with_gaps(values: np.ndarray, missing: float, rng: np.random.Generator) -> list[Any]:
    gaps = rng.random(len(values)) < missing
    return [None if gap else value for value, gap in zip(values.tolist(), gaps, strict=True)]


def measure(n_cases: int, n_columns: int) -> list[str]:
    """One row of the table."""
    sheet, dice = draw_sheet(n_cases, n_columns, np.random.default_rng(7))
    cost = cost_of_audit({"patient": sheet["patient"], "dsc": dice.tolist()}, sheet)
    result = AuditResult.from_dict(cost.tree)
    search = result.subgroups.search
    assert search is not None
    return [
        str(n_columns),
        str(len(result.attributes.facts)),
        f"{search.n_searched:,}",
        "all" if search.n_estimated is None else f"{search.n_estimated:.2g}",
        "any" if search.max_items is None else f"up to {search.max_items}",
        f"{search.min_support:.3f}",
        f"{search.n_tested:,}",
        f"{cost.cpu_s:.1f}",
        f"{cost.peak_gb:.2f}",
        f"{cost.page_mb:.1f} MB",
        f"{cost.json_mb:.1f} MB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=1506)
    parser.add_argument("--columns", type=int, nargs="+", default=[10, 50, 200])
    options = parser.parse_args()
    print(f"audit-scores of {options.cases:,} cases, one thread, each in a process of its own")
    print(" ".join(f"{head:>10}" for head in _HEADS))
    for n_columns in options.columns:
        print(" ".join(f"{cell:>10}" for cell in measure(options.cases, n_columns)), flush=True)


if __name__ == "__main__":
    main()
