"""What telling lesions apart costs: scoring with and without each rule, in alternating runs, and the parts of a mask.

    python benchmarks/lesions.py [--repeats 5]

Prints medians of CPU time, one thread, and their ratios. Labels of 240 x 240 x 155 voxels of 1 mm, the size of a BraTS
case, with so many balls of 2 to 9 mm; the prediction moves each by a voxel and misses one in ten.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from segfair.protocol.rules import LESION_RULES, load_protocol
from segfair.scoring.lesions import parts
from segfair.scoring.pairs import score_pair

SHAPE = (240, 240, 155)
LESIONS = (1, 20, 200)


def masks(n_lesions: int) -> tuple[np.ndarray, np.ndarray]:
    """Label and prediction."""
    draw = np.random.default_rng(n_lesions)
    label, prediction = np.zeros((2, *SHAPE), dtype=np.uint8)
    for _ in range(n_lesions):
        radius = int(draw.integers(2, 10))
        centre = draw.integers(20, [side - 20 for side in SHAPE])
        around = np.indices((2 * radius + 1,) * 3) - radius
        ball = (around**2).sum(axis=0) <= radius * radius
        for mask, place in ((label, centre), (prediction, centre + draw.integers(-1, 2, 3))):
            if mask is label or draw.random() > 0.1:
                part = mask[tuple(slice(low - radius, low + radius + 1) for low in place)]
                part[ball] = 1
    return label, prediction


def milliseconds(call: Callable[[], object]) -> float:
    """CPU time of one call."""
    started = time.process_time()
    call()
    return (time.process_time() - started) * 1e3


def main() -> None:
    """Prints a line a rule and number of lesions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    plain = load_protocol("default")
    protocols = {"without": plain, **{rule: plain.with_lesions(rule) for rule in LESION_RULES}}
    for n_lesions in LESIONS:
        label, prediction = masks(n_lesions)

        def score(name: str) -> object:
            return score_pair(label, prediction, spacing_mm=(1.0, 1.0, 1.0), protocol=protocols[name])  # noqa: B023

        for name in protocols:
            score(name)
        times: dict[str, list[float]] = {name: [] for name in protocols}
        for _ in range(repeats):
            for name, found in times.items():
                found.append(milliseconds(lambda name=name: score(name)))
        median = {name: statistics.median(found) for name, found in times.items()}
        told = ", ".join(f"{name} {value:.0f} ms ({value / median['without']:.2f})" for name, value in median.items())
        print(f"{n_lesions} lesions: {told}")
        mask = label.astype(bool)
        by_cc3d = statistics.median(milliseconds(lambda: parts.components(mask, 26)) for _ in range(repeats))  # noqa: B023
        has = parts._has_cc3d
        parts._has_cc3d = lambda: False
        by_scipy = statistics.median(milliseconds(lambda: parts.components(mask, 26)) for _ in range(repeats))  # noqa: B023
        parts._has_cc3d = has
        print(f"  parts of a mask: {by_cc3d:.0f} ms by connected-components-3d, {by_scipy:.0f} ms by SciPy")


if __name__ == "__main__":
    main()
