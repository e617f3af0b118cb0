"""How long scoring takes: segfair, a literal reading of the challenge's scorer, and MONAI, on the same masks.

    python benchmarks/scoring.py [--repeats 5]

Prints the best time of several runs, one thread. Rough lesions in volumes of 320 x 320 x 128 voxels, spacing
0.7 x 0.7 x 2 mm, written as .nii.gz; "read" is included where it says so.
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
from segfair.protocol.rules import Protocol, load_protocol
from segfair.scoring.cohort import CaseScore, score_case, score_pair

SHAPE = (320, 320, 128)
SPACING = (0.7, 0.7, 2.0)
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


def best_ms(function: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


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


def time_row(radius: float, rng: np.random.Generator, repeats: int) -> list[str]:
    """One line of the table; the two readings of the rules have to agree first."""
    label, prediction = (rough_lesion(SHAPE, size, rng) for size in (radius, radius * 0.95))

    def score(protocol: Protocol) -> CaseScore:
        return score_pair(label, prediction, spacing_mm=SPACING, protocol=protocol)

    found, expected = score(MAMA_MIA).values, oracle_scores(label, prediction)
    assert all(abs(found[name] - expected[name]) < 1e-9 for name in expected), (found, expected)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("label.nii.gz", "prediction.nii.gz")]
        for path, mask in zip(paths, (label, prediction), strict=True):
            write_mask(path, mask, affine=np.diag([*SPACING, 1.0]))
        case = Case("case", *paths)
        with_reading = best_ms(lambda: score_case(case, MAMA_MIA), repeats)
        scorer_with_reading = best_ms(lambda: read_and_follow_the_scorer(case), repeats)
    ours = best_ms(lambda: score(MAMA_MIA), repeats)
    scorer = best_ms(lambda: oracle_scores(label, prediction), repeats)
    monai = monai_hd95(label, prediction)
    return [
        f"{radius} voxels",
        *(f"{ms:.1f}" for ms in (with_reading, scorer_with_reading)),
        f"{scorer_with_reading / with_reading:.0f} x",
        *(f"{ms:.1f}" for ms in (ours, best_ms(lambda: score(DEFAULT), repeats), scorer)),
        f"{scorer / ours:.0f} x",
        f"{best_ms(monai, repeats):.1f}" if monai else "-",
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    print(f"ms a case, {'x'.join(map(str, SHAPE))} voxels, best of {repeats}, one thread")
    columns = (
        "radius",
        "read+mama-mia",
        "read+scorer",
        "ratio",
        "mama-mia",
        "default",
        "scorer",
        "ratio",
        "MONAI HD95",
    )
    for cells in (columns, *(time_row(radius, rng, repeats) for radius in (6, 12, 20, 30))):
        print(" ".join(f"{cell:>13}" for cell in cells), flush=True)

    label, prediction = (rough_lesion((32, 32, 32), size, rng) for size in (4, 3.8))
    for protocol in (MAMA_MIA, DEFAULT):
        ms = best_ms(
            lambda rules=protocol: score_pair(label, prediction, spacing_mm=(1.0, 1.0, 1.0), protocol=rules),
            20 * repeats,
        )
        print(f"in memory, 32x32x32, lesion radius 4, {protocol.name}: {ms:.2f} ms a case")


if __name__ == "__main__":
    main()
