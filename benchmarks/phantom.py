"""How long the embedded cohort takes, how large its planted deficit is, and how often the planted subgroup leads.

    python benchmarks/phantom.py [--seeds 10]

Times are CPU seconds of one process and depend on the machine. Ranking: every subgroup of one or two attributes with
at least 10 cases, by Welch's t of its Dice against everybody else's; "leads" means that the planted subgroup, a parent
or a child of it comes first.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segfair.phantom import MECHANISMS, PhantomCase, predict_weakly, sample_cases, write_phantom
from segfair.scoring.metrics import MaskPair, dice

ATTRIBUTES = ("age_group", "breast_density", "menopause", "site")
N_CASES = 60
SIZES = ((32, 32, 32), (64, 64, 48), (96, 96, 64))


def time_drawing() -> None:
    print(f"{'size':>12}  {'draw a case':>12}  {'predict it':>12}")
    for size in SIZES:
        n_cases = 10
        start = time.process_time()
        cases = list(sample_cases(n_cases, rng=np.random.default_rng(0), size=size, planted_cases=2))
        drawn = time.process_time()
        for case in cases:
            predict_weakly(case, rng=np.random.default_rng(0))
        predicted = time.process_time()
        name = " x ".join(map(str, size))
        print(f"{name:>12}  {(drawn - start) / n_cases * 1e3:>9.1f} ms  {(predicted - drawn) / n_cases * 1e3:>9.1f} ms")


def time_writing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        write_phantom(Path(folder) / "cohort", n_cases=N_CASES)
        elapsed = time.process_time() - start
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.*"))
    print(f"\n{N_CASES} cases of 64 x 64 x 48 written in {elapsed:.1f} s of CPU time ({size / 1e6:.0f} MB)")


def score(cases: Sequence[PhantomCase], *, bias: bool, seed: int) -> NDArray[np.float64]:
    streams = np.random.default_rng([seed, 1]).spawn(len(cases))
    return np.array(
        [
            dice(
                MaskPair(
                    label=case.label.astype(bool),
                    prediction=predict_weakly(case, rng=stream, bias=bias).astype(bool),
                    spacing_mm=case.spacing_mm,
                )
            )
            for case, stream in zip(cases, streams, strict=True)
        ]
    )


def worst_subgroup(cases: Sequence[PhantomCase], dsc: NDArray[np.float64]) -> frozenset[tuple[str, object]]:
    held = [{(name, case.metadata[name]) for name in ATTRIBUTES} for case in cases]
    items = sorted({item for one in held for item in one if item[1] is not None}, key=str)
    worst, lowest = frozenset[tuple[str, object]](), np.inf
    for size in (1, 2):
        for subgroup in itertools.combinations(items, size):
            inside = np.array([one >= set(subgroup) for one in held])
            if 10 <= inside.sum() <= len(cases) - 2:
                one, other = dsc[inside], dsc[~inside]
                t = (one.mean() - other.mean()) / np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
                if t < lowest:
                    worst, lowest = frozenset(subgroup), t
    return worst


def rank(n_seeds: int) -> None:
    planted_items = frozenset(MECHANISMS["faint"].items.items())
    print(f"\n{N_CASES} cases of 64 x 64 x 48, {N_CASES // 5} planted, {n_seeds} seeds: DSC of the weak model")
    print(f"{'':>9}  {'rest':>14}  {'planted':>14}  {'gap (range)':>24}  {'overlap':>8}  leads")
    found: dict[bool, list[tuple[NDArray[np.float64], NDArray[np.float64], bool]]] = {True: [], False: []}
    for seed in range(n_seeds):
        cases = list(sample_cases(N_CASES, rng=np.random.default_rng(seed), planted_cases=N_CASES // 5))
        planted = np.array([case.planted for case in cases])
        for bias, rows in found.items():
            dsc = score(cases, bias=bias, seed=seed)
            worst = worst_subgroup(cases, dsc)
            rows.append((dsc[~planted], dsc[planted], worst <= planted_items or worst >= planted_items))
    for bias, rows in found.items():
        rest, inside = (np.concatenate(part) for part in list(zip(*rows, strict=True))[:2])
        gaps = [float(planted.mean() - others.mean()) for others, planted, _ in rows]
        # The chance that a planted case scores above a case of the rest; one half means no difference.
        overlap = float(np.mean(inside[:, None] > rest[None]))
        print(
            f"{'bias' if bias else 'no bias':>9}  {rest.mean():.3f} sd {rest.std():.3f}  {inside.mean():.3f} "
            f"sd {inside.std():.3f}  {np.mean(gaps):+.3f} ({min(gaps):+.3f}, {max(gaps):+.3f})  {overlap:>8.2f}  "
            f"{sum(leads for *_, leads in rows)} of {n_seeds}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    time_drawing()
    time_writing()
    rank(arguments.seeds)


if __name__ == "__main__":
    main()
