"""Many cases: what a second process gains, how much memory two of them take, and what kept scores save.

    python benchmarks/many.py [--cases 100] [--repeats 3]

Rough lesions in volumes of 320 x 320 x 128 voxels (for memory 512 x 512 x 160), written as .nii.gz and read from the
page cache; the protocol is mama-mia. Runs with one process and with two alternate, each in a new Python that has
imported what it scores with. Beside the time on the clock stands what counts on a machine that has something else to
do: the processor time of the first process and the mean of that of its workers, one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from benchmarks.scoring import MAMA_MIA, SHAPE, SPACING, rough_lesion

from segfair.cases import Case, Cohort
from segfair.files.images.masks import write_mask
from segfair.scoring.cohort import score_case, score_cohort
from segfair.scoring.score_cache import ScoreCache

LARGE = (512, 512, 160)
RADII = (5, 8, 11, 14, 17, 20, 24, 28)


def write_cases(folder: Path, shape: tuple[int, ...]) -> None:
    """A pair of masks for each radius."""
    rng = np.random.default_rng(0)
    for radius in RADII:
        for role, size in (("label", radius), ("prediction", radius * 0.95)):
            write_mask(folder / f"{role}{radius}.nii.gz", rough_lesion(shape, size, rng), affine=np.diag([*SPACING, 1]))


def cohort_of(folder: Path, n_cases: int) -> Cohort:
    """So many cases; the files serve in turn."""
    radii = [RADII[index % len(RADII)] for index in range(n_cases)]
    return Cohort(
        tuple(
            Case(f"P{index}", *(folder / f"{role}{radius}.nii.gz" for role in ("label", "prediction")))
            for index, radius in enumerate(radii)
        )
    )


def processor_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def memory_mib() -> float:
    """What this process and its children hold, what they share counted once."""
    own = os.getpid()
    children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
    found = 0
    for pid in (own, *children):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        found += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return found / 1024


@contextmanager
def watched() -> Iterator[list[float]]:
    """The memory held from time to time while the block runs."""
    held, ended = [memory_mib()], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            held.append(memory_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield held
    ended.set()
    watcher.join()


def score_here(folder: Path, n_cases: int, workers: int, cache: Path | None) -> dict[str, float]:
    """Scores a cohort in this process or its workers, and says what that took."""
    cohort = cohort_of(folder, n_cases)
    score_case(cohort.cases[0], MAMA_MIA)
    own, start = processor_s(resource.RUSAGE_SELF), time.perf_counter()
    with ProcessPoolExecutor(workers) if workers > 1 else nullcontext() as executor:
        score_cohort(cohort, MAMA_MIA, executor=executor, cache=None if cache is None else ScoreCache(cache))
    return {
        "clock": time.perf_counter() - start,
        "processor": processor_s(resource.RUSAGE_SELF) - own + processor_s(resource.RUSAGE_CHILDREN) / workers,
    }


def score_in_a_new_process(folder: Path, n_cases: int, workers: int, cache: Path | None = None) -> dict[str, float]:
    arguments = [str(folder), str(n_cases), str(workers), *([str(cache)] if cache else [])]
    done = subprocess.run([sys.executable, __file__, "--one", *arguments], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def gain(folder: Path, n_cases: int, repeats: int) -> None:
    runs = [[score_in_a_new_process(folder, n_cases, workers) for workers in (1, 2)] for _ in range(repeats)]
    for kind in ("clock", "processor"):
        one, two = (median(run[place][kind] for run in runs) for place in (0, 1))
        efficiency = median(run[0][kind] / run[1][kind] / 2 for run in runs)
        print(
            f"{n_cases} cases, {kind:>9}: 1 process {one:.2f} s, 2 processes {two:.2f} s, efficiency {efficiency:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        folder, n_cases, workers, *cache = options.one
        print(json.dumps(score_here(Path(folder), int(n_cases), int(workers), Path(cache[0]) if cache else None)))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_cases(folder, SHAPE)
        for n_cases in (options.cases, 3 * options.cases):
            gain(folder, n_cases, options.repeats)
        runs = [score_in_a_new_process(folder, options.cases, 1, folder / "kept") for _ in range(2)]
        print(
            f"{options.cases} cases, 1 process, processor: {runs[0]['processor']:.2f} s with {len(RADII)} of them to "
            f"score, {runs[1]['processor']:.2f} s with none"
        )
    with tempfile.TemporaryDirectory() as place:
        write_cases(Path(place), LARGE)
        for n_cases in (16, 64):
            with watched() as held, ProcessPoolExecutor(2) as executor:
                score_cohort(cohort_of(Path(place), n_cases), MAMA_MIA, executor=executor)
            print(f"{n_cases} cases of {'x'.join(map(str, LARGE))}, 2 processes: {max(held):.0f} MiB at most")


if __name__ == "__main__":
    main()
