"""How long scoring takes: segfair, a literal reading of the challenge's scorer, and MONAI, on the same masks.

    python benchmarks/scoring.py [--repeats 5]

Prints the median of alternating runs, one thread. Rough lesions in volumes of 320 x 320 x 128 voxels, spacing
0.7 x 0.7 x 2 mm, written as .nii.gz.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from scipy import ndimage
from tests.mama_mia_oracle import oracle_scores

from segfair.cases import Case
from segfair.files.images.masks import write_mask
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_case
from segfair.scoring.pairs import score_pair

SHAPE = (320, 320, 128)
SPACING = (0.7, 0.7, 2.0)
RADII = (5, 8, 12, 16, 20, 24, 28)
"""Voxels, of lesions as small and large as tumours are."""
DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")


def rough_lesion(shape: tuple[int, ...], radius: float, rng: np.random.Generator) -> np.ndarray:
    """A ball with a rough border, off centre."""
    half = int(radius * 1.6) + 2
    axis = np.arange(-half, half + 1)
    distance = np.sqrt(sum(part**2 for part in np.meshgrid(axis, axis, axis, indexing="ij")))
    noise = ndimage.gaussian_filter(rng.standard_normal(distance.shape), 3)
    lesion = np.zeros(shape, np.uint8)
    corner = [length // 2 - half + int(rng.integers(-1, 2)) for length in shape]
    window = tuple(slice(start, start + 2 * half + 1) for start in corner)
    lesion[window] = distance < radius * (1 + 0.15 * noise / noise.std())
    return lesion


def medians_ms(functions: list[Callable[[], object] | None], repeats: int) -> list[float]:
    """Median CPU time of each, run in turns, so that what else the machine does falls on all; nan for None."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for function, found in zip(functions, times, strict=True):
            start = time.process_time()
            if function is not None:
                function()
            if turn:  # the first one warms up
                found.append(time.process_time() - start)
    return [
        float(np.median(found)) * 1e3 if function else float("nan")
        for function, found in zip(functions, times, strict=True)
    ]


def read_and_follow_the_scorer(case: Case) -> object:
    import SimpleITK

    return oracle_scores(
        *(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))) for path in (case.label, case.prediction))
    )


def monai_hd95(label: np.ndarray, prediction: np.ndarray) -> Callable[[], object] | None:
    """MONAI's HD95 in mm alone; None where it is not installed."""
    try:
        import torch
        from monai.metrics import compute_hausdorff_distance
    except ImportError:
        return None
    warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
    torch.set_num_threads(1)
    tensors = [torch.from_numpy(mask[None, None]) for mask in (prediction, label)]
    options = {"include_background": True, "percentile": 95, "spacing": list(SPACING)}
    return lambda: compute_hausdorff_distance(*tensors, **options)


def time_row(radius: float, rng: np.random.Generator, repeats: int) -> list[float]:
    """Milliseconds of one size of lesion; the two readings of the rules have to agree first."""
    label, prediction = (rough_lesion(SHAPE, size, rng) for size in (radius, radius * 0.95))
    found = score_pair(label, prediction, spacing_mm=SPACING, protocol=MAMA_MIA).values
    expected = oracle_scores(label, prediction)
    assert all(abs(found[name] - expected[name]) < 1e-9 for name in expected), (found, expected)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("label.nii.gz", "prediction.nii.gz")]
        for path, mask in zip(paths, (label, prediction), strict=True):
            write_mask(path, mask, affine=np.diag([*SPACING, 1.0]))
        case = Case("case", *paths)
        rivals: list[Callable[[], object] | None] = [
            lambda: score_case(case, MAMA_MIA),
            lambda: score_case(case, DEFAULT),
            lambda: read_and_follow_the_scorer(case),
            monai_hd95(label, prediction),
        ]
        return medians_ms(rivals, repeats)


def print_table(repeats: int) -> None:
    rng = np.random.default_rng(0)
    print(f"ms a case, {'x'.join(map(str, SHAPE))} voxels, median of {repeats} alternating runs, one thread")
    print("read: the two files are read each time; ratio: the scorer's time over that of mama-mia\n")
    print("| radius | mama-mia, read | default, read | public scorer, read | ratio | MONAI HD95 alone |")
    print("|---|---|---|---|---|---|")
    rows = []
    for radius in RADII:
        row = time_row(radius, rng, repeats)
        rows.append(row)
        mama_mia, default, scorer, monai = (f"{ms:.1f}" for ms in row)
        print(f"| {radius} | {mama_mia} | {default} | {scorer} | {row[2] / row[0]:.0f} x | {monai} |", flush=True)
    times = np.array(rows)
    ratios = times[:, 2] / times[:, 0]
    print(
        f"\nratio: median {np.median(ratios):.0f} x, in total {times[:, 2].sum() / times[:, 0].sum():.0f} x, smallest "
        f"{ratios.min():.0f} x; default in total {times[:, 1].sum() / times[:, 0].sum():.1f} x the time of mama-mia"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print_table(repeats)
    label, prediction = (rough_lesion((32, 32, 32), size, np.random.default_rng(0)) for size in (4, 3.8))
    for protocol in (MAMA_MIA, DEFAULT):
        (ms,) = medians_ms(
            [lambda rules=protocol: score_pair(label, prediction, spacing_mm=(1.0, 1.0, 1.0), protocol=rules)],
            20 * repeats,
        )
        print(f"in memory, 32x32x32, lesion radius 4, {protocol.name}: {ms:.2f} ms a case")


if __name__ == "__main__":
    main()
