"""What the definitions of other tools cost: scoring with and without them, in alternating runs.

    python benchmarks/other_tools.py [--repeats 5]

Prints medians of CPU time, one thread, and their ratio. Masks of 320 x 320 x 128 voxels of 0.8 x 0.8 x 2 mm with a
lesion of a radius, whose prediction is a voxel off, and an island of false positives.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from segfair.files.images.grids import Mask
from segfair.protocol.rules import load_protocol
from segfair.scoring.pairs import score_masks

SHAPE, SPACING = (320, 320, 128), (0.8, 0.8, 2.0)
RADII_MM = (8, 25, 60)


def mask(radius: float, *, moved: bool) -> Mask:
    """A ball in the middle; moved by a voxel, and with an island."""
    squares = sum(
        ((axis - side // 2 - moved) * step) ** 2
        for axis, side, step in zip(np.ogrid[tuple(map(slice, SHAPE))], SHAPE, SPACING, strict=True)
    )
    found = (squares <= radius**2).astype(np.uint8)
    if moved:
        found[20:26, 20:26, 20:23] = 1
    return Mask(found, np.diag([*SPACING, 1.0]))


def main() -> None:
    """Prints a line a radius."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    protocol = load_protocol("default")
    for radius in RADII_MM:
        pair = mask(radius, moved=False), mask(radius, moved=True)
        times: dict[bool, list[float]] = {False: [], True: []}
        for run in range(repeats + 1):
            for other_tools, found in times.items():
                started = time.process_time()
                score_masks(*pair, protocol=protocol, other_tools=other_tools)
                if run:  # the first compiles
                    found.append((time.process_time() - started) * 1e3)
        without, asked = (statistics.median(times[other_tools]) for other_tools in (False, True))
        print(f"radius {radius} mm: {without:.0f} ms, with other tools {asked:.0f} ms ({asked / without:.2f})")


if __name__ == "__main__":
    main()
