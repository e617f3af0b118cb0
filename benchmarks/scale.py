"""What an audit of many cases costs, and how far the limit distribution is from permutations of every case.

    python benchmarks/scale.py [--cases 1000 10000 30000 100000 1000000] [--attributes 3] [--permutations 100000]

Each cohort is a table of scores and a table of three attributes (or more); one pair of their levels is served worse.
Each row is `segfair audit-scores` in a process of its own with one thread, from tables to a written report: CPU
seconds, imports and pages included, and the highest resident memory. `p` says how sums over large groups were drawn.

Below the table: p of 21,000 cases in five equal levels, one of them served worse, by permutations of every case and by
the limit; much smaller cohorts or levels know none at this skewness. `dp` is the largest difference, alone or adjusted;
`chance` is what 99 of 100 such differences stay below where both have the same distribution. The limit is drawn ten
times as often as cases are permuted, so nearly all of that is the permutations' own chance.
"""

from __future__ import annotations

import argparse

import numpy as np
from cohorts import cost_of_audit, skewed_dice

from segfair import stats

_HEADS = ("cases", "attributes", "tested", "CPU s", "peak GB", "audit.json", "p")
_LEVELS = (4, 3, 6, 2, 5, 3, 4, 2, 3)
_COMPARED = 21_000


def draw_cohort(n_cases: int, n_attributes: int, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """(n_cases,) level of each case in each attribute, and Dice."""
    shares = [rng.dirichlet(np.full(_LEVELS[index % len(_LEVELS)], 3.0)) for index in range(n_attributes)]
    codes = [rng.choice(len(share), n_cases, p=share) for share in shares]
    dice = skewed_dice(rng, n_cases) - 0.05 * ((codes[0] == 1) & (codes[1] == 1))
    return codes, np.clip(dice, 0, 1)


def measure(n_cases: int, n_attributes: int) -> list[str]:
    """One row of the table."""
    rng = np.random.default_rng(7)
    codes, dice = draw_cohort(n_cases, n_attributes, rng)
    ids = [f"P{index:07d}" for index in range(n_cases)]
    names = {f"attribute_{index}": [f"level {code}" for code in column] for index, column in enumerate(codes)}
    cost = cost_of_audit(
        {"patient": ids, "dsc": dice.tolist(), "normhd": rng.gamma(1.5, 0.06, n_cases).tolist()},
        {"patient": ids, **names},
    )
    outcome = cost.tree["outcomes"]["dsc"]
    return [
        f"{n_cases:,}",
        str(n_attributes),
        f"{outcome['n_tested']:,}",
        f"{cost.cpu_s:.1f}",
        f"{cost.peak_gb:.2f}",
        f"{cost.json_mb:.1f} MB",
        "limit" if "joint limit" in outcome["method"] else "cases",
    ]


def compare(permutations: int) -> str:
    """Largest difference in p of any level, and what chance would leave."""
    members = np.arange(_COMPARED) % 5 == np.arange(5)[:, None]
    dice = skewed_dice(np.random.default_rng(7), _COMPARED) - 0.013 * members[0]
    limit = stats.max_t(members, dice, rng=np.random.default_rng(1), permutations=10 * permutations)
    if not limit.from_limit:
        raise SystemExit("the cohort of the comparison knows no limit: nothing to compare")
    cases = stats.max_t(members, dice, rng=np.random.default_rng(2), permutations=permutations, method="cases")
    expected = np.array([cases.p_value, cases.p_adjusted])
    found = np.abs(np.array([limit.p_value, limit.p_adjusted]) - expected)
    chance = 2.58 * np.sqrt(1.1 * expected * (1 - expected) / permutations)
    rare = expected < 0.1
    return (
        f"{_COMPARED:,} cases, {permutations:,} permutations, p from {expected.min():.4f} to {expected.max():.2f}:"
        f" dp {found.max():.4f}, chance {chance.max():.4f};"
        f" of p below .1 dp {found[rare].max():.4f}, chance {chance[rare].max():.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, nargs="*", default=[1000, 10_000, 30_000, 100_000, 1_000_000])
    parser.add_argument("--attributes", type=int, default=3)
    parser.add_argument("--permutations", type=int, default=100_000)
    options = parser.parse_args()
    print("audit-scores, one thread, each in a process of its own")
    print(" ".join(f"{head:>10}" for head in _HEADS))
    for n_cases in options.cases:
        print(" ".join(f"{cell:>10}" for cell in measure(n_cases, options.attributes)), flush=True)
    print(compare(options.permutations))


if __name__ == "__main__":
    main()
