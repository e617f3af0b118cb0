"""A training step at the paper's size on one GPU, and whether precisions and processes agree. At most six minutes.

    python benchmarks/gpu.py [--minutes 6] [--network unet]... [--out FILE]
    python benchmarks/gpu.py --dry               # everything tiny and on the processor: does the program run?

Steps: UNet, SegResNet and SwinUNETR at the paper's widths and 3 x 320 x 320 x 128 voxels, batches of 1, in half
precision (bfloat16 where the card has it), with and without FairMedSeg, with and without `--compile`. Each cell is an
epoch of the training loop itself on made-up volumes, augmented and loaded as in a training; of its second half the
median step, and the share of the time in which the loop waits for volumes. Memory is the peak that torch has
allocated, beside the estimate that `segfair mitigate` checks.

Losses: the same small training in single precision, in float16, in bfloat16, on the processor, and by two processes
(gloo: they share one card), each against single precision on the card.

What time is left for is measured, the rest is named. Writes `benchmarks/results/gpu.json` and prints Markdown. Without
a GPU it says so and writes nothing; `--dry` writes only where `--out` says.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "gpu.json"
SOURCE = HERE.parent / "src"
PAPER_SIZE = (320, 320, 128)
STEPS = {"unet": 24, "segresnet": 16, "swinunetr": 10}
"""Steps of an epoch; the loader runs ahead by 8, so that the second half shows whether it keeps up."""
LOADERS = 4
DRY_SIZES = {"unet": (32, 32, 32), "segresnet": (32, 32, 32), "swinunetr": (64, 64, 64)}
STRATEGIES = ("erm", "fairmedseg")
TOLERANCES = {"fp32": 0.0, "processor": 0.02, "fp16": 0.05, "bf16": 0.05, "two processes": 0.02}
"""Largest difference of the last epoch's loss, relative to single precision on the card. Convolutions of single
precision use TF32, sums are taken in another order, and half precision has 8 or 11 bits."""
NO_TIME = "not run: no time left"
NO_HALF = "not run: half precision needs a GPU"

Row = dict[str, Any]
Task = Mapping[str, Any]


# In a process of its own: a task measures its cells, one line of JSON each


def measure(task: Task) -> Iterator[Row]:
    """The figures of a task's cells, as they come."""
    for cell in task["cells"]:
        yield attempt(partial(small_training if "mode" in cell else steps, task, cell))


def attempt(cell: Callable[[], Row]) -> Row:
    """The cell's row; that it failed, and of what, where it did."""
    try:
        return cell()
    except Exception as error:
        # Whatever a card, its driver or a compiler raises belongs into the table; the other cells are still measured.
        reason = next(iter(str(error).strip().splitlines()), "")
        return {"why": f"failed: {type(error).__name__}: {reason[:120]}"}


class Clock:
    """Hears the loop's steps, and adds up what it waits for its loader."""

    def __init__(self, *, gpu: bool) -> None:
        self.gpu = gpu
        self.waited = 0.0
        self.ticks: list[tuple[float, float]] = []

    def start(self, _n_steps: int, _done: int) -> None:
        """The first step begins."""
        self.step()

    def step(self) -> None:
        """A step is done, on the card as well."""
        if self.gpu:
            import torch

            torch.cuda.synchronize()
        self.ticks.append((time.perf_counter(), self.waited))

    def epoch(self, _record: Any) -> None:
        """The figures are those of steps."""

    def stop(self) -> None:
        """Nothing is shown."""

    def waits(self, load: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """The loop's loader, with a stop watch at its door."""

        def timed(*arguments: Any, **options: Any) -> Iterator[Any]:
            items = load(*arguments, **options)
            while True:
                start = time.perf_counter()
                try:
                    item = next(items)
                except StopIteration:
                    return
                self.waited += time.perf_counter() - start
                yield item

        return timed

    def figures(self) -> Row:
        """The first step (with compilation, and the start of the loader), and the second half's."""
        seconds = [after - before for (before, _), (after, _) in zip(self.ticks, self.ticks[1:], strict=False)]
        half = len(seconds) // 2
        (start, waited), (end, all_waited) = self.ticks[half], self.ticks[-1]
        return {
            "first_step_s": seconds[0],
            "step_s": statistics.median(seconds[half:]),
            "loader_wait": (all_waited - waited) / (end - start),
        }


def steps(task: Task, cell: Row) -> Row:
    """One epoch of a network at the paper's size."""
    import torch

    from segfair.mitigation.data.augmentation import Augmentation
    from segfair.mitigation.networks.backbones import NetworkConfig
    from segfair.mitigation.networks.memory import estimate_memory
    from segfair.mitigation.training import loop

    name, dry = cell["network"], task["dry"]
    size, n_steps = (DRY_SIZES[name], 2) if dry else (PAPER_SIZE, STEPS[name])
    config = NetworkConfig.small(name) if dry else NetworkConfig.paper(name)
    device = "cpu" if dry else "cuda"
    ids, data = made_up(n_steps, size)
    if not dry:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    clock = Clock(gpu=not dry)
    load, loop.load = loop.load, clock.waits(loop.load)
    try:
        train(
            config,
            cell["strategy"],
            ids,
            data.training(ids, Augmentation(size)),
            device=device,
            amp=not dry,
            compiled=cell["compiled"],
            batch_size=1,
            epochs=1,
            workers=0 if dry else LOADERS,
            progress=clock,
            out=training_folder(task),
        )
    finally:
        loop.load = load
    return {
        "peak_gb": None if dry else torch.cuda.max_memory_allocated() / 2**30,
        "estimate_gb": estimate_memory(config, size, amp=not dry, device=device) / 2**30,
        **clock.figures(),
    }


def small_training(task: Task, cell: Row) -> Row:
    """The loss of the last of three epochs on 12 volumes of the embedded cohort."""
    import torch

    from segfair.mitigation.data.augmentation import Augmentation
    from segfair.mitigation.data.datasets import from_arrays
    from segfair.mitigation.networks.backbones import NetworkConfig
    from segfair.mitigation.training import state
    from segfair.phantom import sample_cases

    mode, dry = cell["mode"], task["dry"]
    if mode == "two processes":
        # One card for both: NCCL wants one each. The loop joins a group that there is.
        torch.distributed.init_process_group("gloo")
    size = (16, 16, 16) if dry else (32, 32, 32)
    cases = list(sample_cases(12, rng=np.random.default_rng(0), size=size))
    ids = [case.id for case in cases]
    images, labels = [case.image for case in cases], [case.label for case in cases]
    data = from_arrays(ids, images, labels, spacing_mm=cases[0].spacing_mm)
    usual = state.half_precision
    if mode in ("fp16", "bf16"):
        state.half_precision = lambda _device: torch.float16 if mode == "fp16" else torch.bfloat16
    try:
        loss = train(
            NetworkConfig.small("unet", **({"channels": (4, 8)} if dry else {})),
            "erm",
            ids,
            data.training(ids, Augmentation(size, strength="light")),
            # With a number: two processes stay on one card.
            device="cpu" if dry or mode == "processor" else "cuda:0",
            amp=mode in ("fp16", "bf16"),
            compiled=False,
            batch_size=4,
            epochs=3,
            workers=0,
            progress=None,
            out=training_folder(task),
        )
    finally:
        state.half_precision = usual
        if mode == "two processes":
            torch.distributed.destroy_process_group()
    return {"loss": loss}


def training_folder(task: Task) -> Path:
    """Where a task trains: the same folder in each of its processes, and gone with its rows."""
    return Path(task["rows"]).parent / "training"


def train(
    config: Any,
    strategy: str,
    ids: Sequence[str],
    training: Any,
    *,
    epochs: int,
    progress: Any,
    out: Path,
    **settings: Any,
) -> float:
    """The loss of the last epoch of a training without validation."""
    import torch

    from segfair.attributes.fit import Attribute, AttributeTable
    from segfair.mitigation.networks.backbones import build_network
    from segfair.mitigation.prediction.volumes import WindowInferer
    from segfair.mitigation.training.loop import fit
    from segfair.mitigation.training.objectives import dice_ce
    from segfair.mitigation.training.state import FitSettings
    from segfair.mitigation.training.strategies.kinds import make_strategy
    from segfair.mitigation.training.strategies.strategy import StrategyOptions, TrainingContext
    from segfair.protocol.rules import load_protocol

    codes = np.arange(len(ids), dtype=np.int16) % 2
    table = AttributeTable(tuple(ids), (Attribute("site", ("A", "B"), codes, "site", "as they are"),), {})
    context = TrainingContext(table, table, dice_ce, epochs, volumes_mm3=dict.fromkeys(ids, 1.0), seed=0)
    torch.manual_seed(0)
    result = fit(
        build_network(config),
        make_strategy(strategy, context, StrategyOptions()),
        context,
        training=training,
        validation=None,
        settings=FitSettings(select="last", lr=1e-3, **settings),
        inferer=WindowInferer((32, 32, 32)),
        protocol=load_protocol("default"),
        out=out,
        progress=progress,
    )
    return result.history[-1].loss


def made_up(n_cases: int, size: Sequence[int]) -> tuple[list[str], Any]:
    """Noise with a bright box; all cases share the memory of two."""
    from segfair.mitigation.data.datasets import from_arrays

    rng = np.random.default_rng(0)
    label = np.zeros(size, np.uint8)
    label[tuple(slice(side // 3, side // 2) for side in size)] = 1
    images = [rng.standard_normal((3, *size), dtype=np.float32) + label for _ in range(2)]
    ids = [f"G{number:02d}" for number in range(n_cases)]
    return ids, from_arrays(
        ids, [images[number % 2] for number in range(n_cases)], [label] * n_cases, spacing_mm=(1.0, 1.0, 1.0)
    )


# The processes, one after the other while there is time


def plan(networks: Sequence[str], *, dry: bool) -> list[Task]:
    """What is measured, the most wanted first: a task is a process, and its cells."""
    losses: list[Row] = [{"mode": mode} for mode in ("fp32", "processor", *(() if dry else ("fp16", "bf16")))]
    plain, compiled = (
        [[{"network": name, "strategy": each, "compiled": compiled} for each in STRATEGIES] for name in networks]
        for compiled in (False, True)
    )
    together = {"cells": [{"mode": "two processes"}], "processes": 2, "dry": dry}
    if dry:
        # No memory is measured and nothing hangs: one process does for all that need no other.
        return [{"cells": list(chain(losses, *plain, *compiled)), "processes": 1, "dry": dry}, together]
    alone = [{"cells": cells, "processes": 1, "dry": dry} for cells in (losses, *plain, *compiled)]
    return [*alone[: 1 + len(plain)], together, *alone[1 + len(plain) :]]


def run(task: Task, seconds: float) -> list[Row]:
    """The rows of a task that came within so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        told = [str(Path(__file__).resolve()), "--task", json.dumps({**task, "rows": str(rows)})]
        several = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        process = subprocess.Popen(
            [sys.executable, *(several if task["processes"] > 1 else []), *told],
            env={**os.environ, **({"TORCHDYNAMO_DISABLE": "1"} if task["dry"] else {})},
            start_new_session=True,
        )
        try:
            process.wait(timeout=max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            end(process)
        return [json.loads(line) for line in rows.read_text("utf-8").splitlines()] if rows.is_file() else []


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and those that it has started; torchrun first gets the chance to end its own."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def measured(tasks: Sequence[Task], minutes: float) -> dict[str, list[Row]]:
    """Every cell of every task, with its figures or the reason why it has none."""
    deadline = time.monotonic() + 60 * minutes
    found: list[Row] = []
    for task in tasks:
        left = deadline - time.monotonic()
        rows = run(task, left) if left > 0 else []
        missing = NO_TIME if time.monotonic() >= deadline else "failed: the process ended without a figure"
        rows += [{"why": missing}] * (len(task["cells"]) - len(rows))
        found += [{**cell, **row} for cell, row in zip(task["cells"], rows, strict=True)]
    return {
        "steps": [row for row in found if "network" in row],
        "losses": compared([row for row in found if "mode" in row]),
    }


def compared(rows: Sequence[Row]) -> list[Row]:
    """Each loss against single precision on the card, in the order of `TOLERANCES`."""
    by = {row["mode"]: row for row in rows}
    reference = by.get("fp32", {}).get("loss")
    found = []
    for mode, tolerance in TOLERANCES.items():
        row = {**by.get(mode, {"mode": mode, "why": NO_HALF}), "tolerance": tolerance}
        if row.get("loss") is not None and reference is not None:
            row["difference"] = abs(row["loss"] - reference) / abs(reference)
            row["equal"] = row["difference"] <= tolerance
        found.append(row)
    return found


# What is written and shown


def markdown(found: Mapping[str, Sequence[Row]]) -> str:
    """Two tables."""
    lines = [
        "| network | strategy | compiled | first step, s | step, s | peak GB | estimate GB | waits for the loader |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found["steps"]:
        start = f"| {row['network']} | {row['strategy']} | {'yes' if row['compiled'] else 'no'} |"
        if "why" in row:
            lines.append(f"{start} {row['why']} | | | | |")
            continue
        peak = "-" if row["peak_gb"] is None else f"{row['peak_gb']:.1f}"
        lines.append(
            f"{start} {row['first_step_s']:.2f} | {row['step_s']:.3f} | {peak} | {row['estimate_gb']:.1f} | "
            f"{row['loader_wait']:.0%} |"
        )
    lines += ["", "| training | loss | difference | tolerance | equal |", "|---|---|---|---|---|"]
    for row in found["losses"]:
        if "equal" not in row:
            lines.append(
                f"| {row['mode']} | {row.get('why', 'nothing to compare with')} | | {row['tolerance']:.0%} | |"
            )
            continue
        lines.append(
            f"| {row['mode']} | {row['loss']:.4f} | {row['difference']:.2%} | {row['tolerance']:.0%} | "
            f"{'yes' if row['equal'] else 'no'} |"
        )
    return "\n".join(lines)


def about(*, dry: bool) -> Row:
    """The card and the versions."""
    import torch

    facts: Row = {"format": 1, "card": None, "torch": torch.__version__, "cuda": torch.version.cuda}
    if not dry:
        card = torch.cuda.get_device_properties(0)
        facts |= {"card": card.name, "card_gb": card.total_memory / 2**30}
        facts["half_precision"] = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return facts


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Writes the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", "utf-8")
    temporary.replace(path)


def work(task: Task) -> None:
    """A process of its own: measures, and appends each row to the task's file; of two the first writes."""
    import torch

    torch.set_num_threads(1)
    for row in measure(task):
        if os.environ.get("RANK", "0") == "0":
            with Path(task["rows"]).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")


def main() -> None:
    """Measures while there is time, writes the record and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0, help="after which nothing more is measured")
    parser.add_argument("--network", action="append", choices=list(STEPS), help="only these")
    parser.add_argument("--dry", action="store_true", help="tiny, on the processor, nothing compiled")
    parser.add_argument("--out", type=Path, help="file to write")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path.insert(0, str(SOURCE))
    if arguments.task:
        work(json.loads(arguments.task))
        return
    import torch

    if not arguments.dry and not torch.cuda.is_available():
        print("no GPU that torch can use: nothing is measured and nothing written (--dry tries the program)")
        return
    found = measured(plan(arguments.network or list(STEPS), dry=arguments.dry), arguments.minutes)
    record = {**about(dry=arguments.dry), "minutes": arguments.minutes, **found}
    path = arguments.out or (None if arguments.dry else RECORD)
    if path is not None:
        write(path, record)
    print(f"{record['card'] or 'a processor, tiny sizes: these figures mean nothing'}\n\n{markdown(found)}")


if __name__ == "__main__":
    main()
