"""Time and memory of a training step: each backbone, small sizes and the paper's, against the memory estimate.

    python benchmarks/networks.py                # sizes that fit a laptop
    python benchmarks/networks.py --full         # only a UNet step at the paper's 3 x 320 x 320 x 128 (5 GB)
    python benchmarks/networks.py --gpu          # one epoch of each backbone at the paper's size, on 8 phantom volumes

Each row is a process of its own with one thread, so that its peak memory is its own: the highest resident memory
above what the imports take. The step is the second of two (the first also warms up): forward, Dice-CE, backward, Adam,
in CPU seconds, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

PAPER_SIZE = (320, 320, 128)
ROWS: list[tuple[str, str, tuple[int, int, int], int]] = [
    ("unet", "small", (32, 32, 32), 1),
    ("unet", "small", (32, 32, 32), 4),
    ("unet", "paper", (64, 64, 64), 1),
    ("unet", "paper", (96, 96, 96), 1),
    ("segresnet", "small", (32, 32, 32), 1),
    ("segresnet", "small", (32, 32, 32), 4),
    ("segresnet", "paper", (64, 64, 64), 1),
    ("segresnet", "paper", (96, 96, 96), 1),
    ("swinunetr", "small", (64, 64, 64), 1),
    ("swinunetr", "paper", (64, 64, 64), 1),
]
FULL: list[tuple[str, str, tuple[int, int, int], int]] = [("unet", "paper", PAPER_SIZE, 1)]


def one_step(name: str, widths: str, size: list[int], batch_size: int) -> dict[str, float]:
    """Two training steps in this process; the second is timed."""
    import torch

    from segfair.mitigation.networks.backbones import NetworkConfig, build_network
    from segfair.mitigation.networks.memory import estimate_memory
    from segfair.mitigation.training.objectives import case_loss

    torch.set_num_threads(1)
    config = NetworkConfig.paper(name) if widths == "paper" else NetworkConfig.small(name)
    estimate = estimate_memory(config, size, batch_size=batch_size)
    before = _resident()
    torch.manual_seed(0)
    network = build_network(config).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    image = torch.randn((batch_size, config.in_channels, *size))
    label = (torch.rand((batch_size, 1, *size)) < 0.05).to(torch.uint8)
    seconds = 0.0
    for _ in range(2):
        start = time.process_time()
        optimiser.zero_grad(set_to_none=True)
        case_loss("dice-ce")(network(image), label).mean().backward()
        optimiser.step()
        seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "gigabytes": (peak - before) / 2**30, "estimate": estimate / 2**30}


def one_epoch(name: str) -> dict[str, float]:
    """An epoch over 8 phantom volumes of the paper's size on the GPU, with mixed precision."""
    import numpy as np
    import torch

    from segfair.mitigation.data.augmentation import Augmentation
    from segfair.mitigation.data.datasets import from_arrays
    from segfair.mitigation.networks.backbones import NetworkConfig, build_network
    from segfair.mitigation.networks.memory import estimate_memory
    from segfair.mitigation.training.objectives import case_loss
    from segfair.phantom import sample_cases

    cases = list(sample_cases(8, rng=np.random.default_rng(0), size=PAPER_SIZE))
    data = from_arrays(
        [case.id for case in cases],
        [case.image for case in cases],
        [case.label for case in cases],
        spacing_mm=cases[0].spacing_mm,
    )
    volumes = data.training([case.id for case in cases], Augmentation(PAPER_SIZE))
    config = NetworkConfig.paper(name)
    torch.manual_seed(0)
    network = build_network(config).cuda().train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    scaler = torch.amp.GradScaler("cuda")
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for position in range(len(volumes)):
        item = volumes[(position, position)]
        image, label = item["image"][None].cuda(), item["label"][None].cuda()
        with torch.autocast("cuda", torch.float16):
            logits = network(image)
        loss = case_loss("dice-ce")(logits, label).mean()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad(set_to_none=True)
    torch.cuda.synchronize()
    return {
        "seconds": time.perf_counter() - start,
        "gigabytes": torch.cuda.max_memory_allocated() / 2**30,
        "estimate": estimate_memory(config, PAPER_SIZE, amp=True, device="cuda") / 2**30,
    }


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _in_a_process(task: dict[str, object]) -> dict[str, float] | None:
    """The task's figures; None where the process did not survive (out of memory)."""
    done = subprocess.run(
        [sys.executable, __file__, "--task", json.dumps(task)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="only the paper's size on the processor")
    parser.add_argument("--gpu", action="store_true", help="only the paper's size on the GPU")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        task = json.loads(arguments.task)
        print(json.dumps(one_epoch(task["name"]) if task["gpu"] else one_step(*task["row"])))
        return
    print("| network | widths | size | batch | what | seconds | GB | estimate GB | estimate / measured |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = FULL if arguments.full else [] if arguments.gpu else ROWS
    tasks = [(row, {"gpu": False, "row": row}) for row in rows]
    if arguments.gpu:
        names = ("unet", "segresnet", "swinunetr")
        tasks += [((name, "paper", PAPER_SIZE, 1), {"gpu": True, "name": name}) for name in names]
    for (name, widths, size, batch_size), task in tasks:
        found = _in_a_process(task)
        what = "epoch of 8, GPU, AMP" if task["gpu"] else "step"
        start = f"| {name} | {widths} | {' x '.join(map(str, size))} | {batch_size} | {what} |"
        if found is None:
            print(f"{start} failed | | | |", flush=True)
            continue
        ratio = found["estimate"] / found["gigabytes"]
        figures = f"{found['seconds']:.2f} | {found['gigabytes']:.2f} | {found['estimate']:.2f} | {ratio:.2f} |"
        print(f"{start} {figures}", flush=True)


if __name__ == "__main__":
    main()
