"""How long other tools take for Dice and HD95 of the same mask files, beside segfair, in alternating runs.

    python benchmarks/peers.py [--peers-python PYTHON] [--repeats 5]

segfair scores the thirteen metrics of its default protocol, the others Dice and HD95 (panoptica its case as one
instance). surface-distance, MedPy and panoptica need another NumPy than segfair: make an environment for them

    python -m venv peers && peers/bin/pip install "numpy<2" nibabel surface-distance-based-measures MedPy panoptica

and name its interpreter. What is not installed is left out, in words. Each tool runs in a process of its own, one
thread, and is asked in turn; CPU time, medians, reading included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy is there

HERE = Path(__file__).resolve().parent
RADII = (8, 16, 24)
OWN = ("segfair", "MONAI")
OTHERS = ("surface-distance", "MedPy", "panoptica")

Score = Callable[[str, str], float]


# In a process of its own


def serve(tool: str) -> None:
    """Answers each line of two paths with the CPU time that the tool took for them and its HD95."""
    # What a tool prints is none of its answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        score = SCORERS[tool]()
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers)
        return
    print(json.dumps({"ready": tool}), file=answers)
    for line in sys.stdin:
        label, prediction = json.loads(line)
        score(label, prediction)  # while the others had their turns, memory grew cold
        started = time.process_time()
        hd95 = score(label, prediction)
        print(json.dumps({"ms": (time.process_time() - started) * 1e3, "hd95": hd95}), file=answers)


def segfair() -> Score:
    from segfair.cases import Case
    from segfair.protocol.rules import load_protocol
    from segfair.scoring.cohort import score_case

    protocol = load_protocol("default")
    return lambda label, prediction: score_case(Case("case", Path(label), Path(prediction)), protocol).values["hd95_mm"]


def monai() -> Score:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance

    torch.set_num_threads(1)

    def score(label: str, prediction: str) -> float:
        (first, spacing), (second, _) = read(label), read(prediction)
        tensors = [torch.from_numpy(array[None, None]) for array in (second, first)]
        compute_dice(*tensors)
        return float(compute_hausdorff_distance(*tensors, include_background=True, percentile=95, spacing=spacing))

    return score


def surface_distance() -> Score:
    import numpy as np
    from surface_distance import metrics

    np.bool = bool  # the name that it knows it by; numpy 1.24 took it away

    def score(label: str, prediction: str) -> float:
        (first, spacing), (second, _) = read(label), read(prediction)
        metrics.compute_dice_coefficient(first, second)
        return float(metrics.compute_robust_hausdorff(metrics.compute_surface_distances(first, second, spacing), 95))

    return score


def medpy() -> Score:
    from medpy.metric import binary

    def score(label: str, prediction: str) -> float:
        (first, spacing), (second, _) = read(label), read(prediction)
        binary.dc(second, first)
        return float(binary.hd95(second, first, voxelspacing=spacing))

    return score


def panoptica() -> Score:
    from panoptica import InputType, Metric, Panoptica_Evaluator

    evaluator: Any = Panoptica_Evaluator(
        expected_input=InputType.MATCHED_INSTANCE, instance_metrics=[Metric.DSC, Metric.HD95], global_metrics=[]
    )

    def score(label: str, prediction: str) -> float:
        (first, spacing), (second, _) = read(label), read(prediction)
        arrays = [array.astype("uint8") for array in (second, first)]
        (found,) = evaluator.evaluate(*arrays, voxelspacing=spacing, verbose=False).values()
        return float(found.sq_hd95)

    return score


def read(path: str) -> tuple[Any, list[float]]:
    """A mask as booleans, and its voxel size."""
    import nibabel
    import numpy as np

    image: Any = nibabel.load(path)
    return np.asanyarray(image.dataobj) > 0, [float(length) for length in image.header.get_zooms()]


SCORERS: dict[str, Callable[[], Score]] = {
    "segfair": segfair,
    "MONAI": monai,
    "surface-distance": surface_distance,
    "MedPy": medpy,
    "panoptica": panoptica,
}


# Here


class Tool:
    """A tool's process."""

    def __init__(self, name: str, python: str) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [python, str(HERE / "peers.py"), "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        self.missing = json.loads(first).get("missing") if first else "does not start"

    def ask(self, *paths: str) -> dict[str, float]:
        """Milliseconds and HD95 of two masks."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(paths) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name}: ended at {paths}")
        return dict(json.loads(answer))

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()


def write_masks(radius: float, folder: Path) -> list[str]:
    """A rough lesion and a prediction of it."""
    import numpy as np

    from scoring import SHAPE, SPACING, rough_lesion
    from segfair.files.images.masks import write_mask

    rng = np.random.default_rng(int(radius))
    paths = []
    for name, size in (("label", radius), ("prediction", radius * 0.95)):
        path = folder / f"{name}-{radius}.nii.gz"
        write_mask(path, rough_lesion(SHAPE, size, rng), affine=np.diag([*SPACING, 1.0]))
        paths.append(str(path))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", default=os.environ.get("SEGFAIR_PEERS_PYTHON"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--serve", choices=SCORERS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    others = OTHERS if given.peers_python else ()
    tools = [Tool(name, given.peers_python if name in OTHERS else sys.executable) for name in (*OWN, *others)]
    for tool in tools:
        if tool.missing:
            print(f"{tool.name}: not installed ({tool.missing})")
    if not given.peers_python:
        print(f"{', '.join(OTHERS)}: left out, see --peers-python")
    tools = [tool for tool in tools if not tool.missing]
    print(f"\nms a case, reading included, median of {given.repeats} alternating runs; in brackets HD95 in mm\n")
    print("| radius | " + " | ".join(tool.name for tool in tools) + " |")
    print("|---|" + "---|" * len(tools))
    with tempfile.TemporaryDirectory() as folder:
        for radius in RADII:
            paths = write_masks(radius, Path(folder))
            runs = [[tool.ask(*paths) for tool in tools] for _ in range(given.repeats + 1)][1:]
            medians = [statistics.median(run[index]["ms"] for run in runs) for index in range(len(tools))]
            cells = [
                f"{ms:.0f} ({run['hd95']:.2f})" + (f", {ms / medians[0]:.0f} x" if index else "")
                for index, (ms, run) in enumerate(zip(medians, runs[0], strict=True))
            ]
            print(f"| {radius} voxels | " + " | ".join(cells) + " |", flush=True)
    for tool in tools:
        tool.close()


if __name__ == "__main__":
    main()
