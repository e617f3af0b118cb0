"""What an audit of many cases costs, and how far the limit distribution is from permutations of every case.

    python benchmarks/scale.py [--cases 1000 10000 30000 100000 1000000] [--attributes 3] [--permutations 20000]

Each cohort is a table of scores and a table of three attributes (or more); one pair of their levels is served worse.
Each row is `segfair audit-scores` in a process of its own with one thread, from tables to a written report: CPU
seconds, imports and pages included, and the highest resident memory. `p` says how sums over large groups were drawn.

`dp` is the largest difference in p, alone or adjusted, between the limit and permutations of every case, over all
tested groups; `chance` is what 99 of 100 such differences stay below where both have the same distribution. The limit
is drawn ten times as often as cases are permuted, so nearly all of that is the permutations' own chance. Smaller
cohorts know no limit; permutations of more than `--compare-up-to` cases take too long to be compared.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from cohorts import skewed_dice

from segfair import stats
from segfair.stats.limit import LEAST_CASES

_HEADS = ("cases", "attributes", "tested", "CPU s", "peak GB", "audit.json", "p", "dp", "chance")
_LEVELS = (4, 3, 6, 2, 5, 3, 4, 2, 3)


def draw_cohort(n_cases: int, n_attributes: int, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """(n_cases,) level of each case in each attribute, and Dice."""
    shares = [rng.dirichlet(np.full(_LEVELS[index % len(_LEVELS)], 3.0)) for index in range(n_attributes)]
    codes = [rng.choice(len(share), n_cases, p=share) for share in shares]
    dice = skewed_dice(rng, n_cases) - 0.05 * ((codes[0] == 1) & (codes[1] == 1))
    return codes, np.clip(dice, 0, 1)


def write_tables(folder: Path, n_cases: int, n_attributes: int) -> tuple[Path, Path]:
    """scores.csv and metadata.csv."""
    rng = np.random.default_rng(7)
    codes, dice = draw_cohort(n_cases, n_attributes, rng)
    ids = [f"P{index:07d}" for index in range(n_cases)]
    tables = {
        "scores.csv": {"patient": ids, "dsc": dice.tolist(), "normhd": rng.gamma(1.5, 0.06, n_cases).tolist()},
        "metadata.csv": {
            "patient": ids,
            **{f"attribute_{index}": [f"level {code}" for code in column] for index, column in enumerate(codes)},
        },
    }
    for name, columns in tables.items():
        with (folder / name).open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(columns)
            rows.writerows(zip(*columns.values(), strict=True))
    return folder / "scores.csv", folder / "metadata.csv"


def measure(n_cases: int, n_attributes: int) -> list[str]:
    """What the command costs."""
    with tempfile.TemporaryDirectory() as folder:
        tables = write_tables(Path(folder), n_cases, n_attributes)
        out = Path(folder) / "report"
        command = [sys.executable, "-m", "segfair", "audit-scores", *map(str, tables), "--out", str(out)]
        child = subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        message = child.stderr.read().decode() if child.stderr else ""
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{n_cases} cases: {message}")
        size = (out / "audit.json").stat().st_size / 1e6
        outcome = json.loads((out / "audit.json").read_text("utf-8"))["outcomes"]["dsc"]
    return [
        f"{n_cases:,}",
        str(n_attributes),
        f"{outcome['n_tested']:,}",
        f"{used.ru_utime + used.ru_stime:.1f}",
        f"{used.ru_maxrss / 2**20:.2f}",
        f"{size:.1f} MB",
        "limit" if "joint limit" in outcome["method"] else "cases",
    ]


def compare(n_cases: int, n_attributes: int, permutations: int) -> list[str]:
    """Largest difference in p of any group, and what chance would leave."""
    codes, dice = draw_cohort(n_cases, n_attributes, np.random.default_rng(7))
    single = [column == level for column in codes for level in range(int(column.max()) + 1)]
    pairs = [
        (codes[one] == first) & (codes[other] == second)
        for one in range(n_attributes)
        for other in range(one)
        for first in range(int(codes[one].max()) + 1)
        for second in range(int(codes[other].max()) + 1)
    ]
    members = np.array([*single, *pairs])
    drawn = stats.max_t(members, dice, rng=np.random.default_rng(1), permutations=10 * permutations)
    if not drawn.from_limit:
        return ["-", "-"]
    cases = stats.max_t(members, dice, rng=np.random.default_rng(2), permutations=permutations, method="cases")
    found, chance = [], []
    for name in ("p_value", "p_adjusted"):
        expected = getattr(cases, name)[cases.tested]
        found.append(np.abs(getattr(drawn, name)[cases.tested] - expected).max())
        chance.append(2.58 * np.sqrt(1.1 * expected * (1 - expected) / permutations).max())
    return [f"{max(found):.4f}", f"{max(chance):.4f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[1000, 10_000, 30_000, 100_000, 1_000_000])
    parser.add_argument("--attributes", type=int, default=3)
    parser.add_argument("--permutations", type=int, default=20_000)
    parser.add_argument("--compare-up-to", type=int, default=30_000)
    options = parser.parse_args()
    print(f"audit-scores, one thread, each in a process of its own; dp over {options.permutations:,} permutations")
    print(" ".join(f"{head:>10}" for head in _HEADS))
    for n_cases in options.cases:
        row = measure(n_cases, options.attributes)
        comparable = LEAST_CASES <= n_cases <= options.compare_up_to
        row += compare(n_cases, options.attributes, options.permutations) if comparable else ["-", "-"]
        print(" ".join(f"{cell:>10}" for cell in row), flush=True)


if __name__ == "__main__":
    main()
