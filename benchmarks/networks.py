"""Time and memory of a training step: each backbone, small sizes and the paper's, against the memory estimate.

    python benchmarks/networks.py                # sizes that fit a laptop
    python benchmarks/networks.py --full         # only a UNet step at the paper's 3 x 320 x 320 x 128 (5 GB)

Each row is a process of its own with one thread, so that its peak memory is its own: the highest resident memory
above what the imports take. The step is the second of two (the first also warms up): forward, Dice-CE, backward, Adam,
in CPU seconds, which other work on the machine hardly changes. On a GPU: `benchmarks/gpu.py`.
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


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _in_a_process(row: tuple[str, str, tuple[int, int, int], int]) -> dict[str, float] | None:
    """The row's figures; None where the process did not survive (out of memory)."""
    done = subprocess.run(
        [sys.executable, __file__, "--row", json.dumps(row)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr.strip().splitlines()[-1:], file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="only the paper's size")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        print(json.dumps(one_step(*json.loads(arguments.row))))
        return
    print("| network | widths | size | batch | seconds | GB | estimate GB | estimate / measured |")
    print("|---|---|---|---|---|---|---|---|")
    for row in FULL if arguments.full else ROWS:
        name, widths, size, batch_size = row
        found = _in_a_process(row)
        start = f"| {name} | {widths} | {' x '.join(map(str, size))} | {batch_size} |"
        if found is None:
            print(f"{start} failed | | | |", flush=True)
            continue
        ratio = found["estimate"] / found["gigabytes"]
        figures = f"{found['seconds']:.2f} | {found['gigabytes']:.2f} | {found['estimate']:.2f} | {ratio:.2f} |"
        print(f"{start} {figures}", flush=True)


if __name__ == "__main__":
    main()
