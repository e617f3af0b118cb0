"""Several processes train what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.mitigation.toy_training import (
    SETTINGS,
    context,
    last_network,
    rows,
    tiny_network,
    train,
)
from torch import nn

RANK = """
import atexit, os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import torch
def threads():
    names = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
    Path({out!r}, "threads-" + os.environ["RANK"]).write_text("".join(names))
atexit.register(threads)
torch.set_num_threads(1)
from tests.mitigation.training.test_ranks import FloatingPoint64, SEVEN
from tests.mitigation.toy_training import context, train
for name in {names!r}:
    train(Path({out!r}) / name, name, ctx=context(2), network=FloatingPoint64(), settings=SEVEN)
"""


SEVEN = replace(SETTINGS, batch_size=7)
"""Eight cases in batches of seven: four and three for two processes, then one and none."""


class FloatingPoint64(nn.Module):
    """The toy network in double precision: sums in another order differ by 1e-16 and not by a voxel."""

    def __init__(self) -> None:
        super().__init__()
        self.network = tiny_network().double()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image.double())


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    names = ["fairmedseg", "divergence-sampling", "groupdro", "adversarial"]
    root = str(Path(__file__).resolve().parents[3])
    script = tmp_path / "rank.py"
    script.write_text(RANK.format(root=root, out=str(tmp_path / "two"), names=names))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in "01":
        # A thread of the group that outlives the interpreter aborts the process, now and then.
        assert "gloo" not in (tmp_path / "two" / f"threads-{rank}").read_text()
    for name in names:
        train(tmp_path / "one" / name, name, ctx=context(2), network=FloatingPoint64(), settings=SEVEN)
        one, two = last_network(tmp_path / "one" / name), last_network(tmp_path / "two" / name)
        for key in one:
            assert torch.allclose(one[key], two[key], atol=1e-5), (name, key)
        if name != "adversarial":
            weights = [rows(tmp_path / which / name / "weights.csv") for which in ("one", "two")]
            assert [row["case"] for row in weights[0]] == [row["case"] for row in weights[1]]
            for a, b in zip(*weights, strict=True):
                assert float(a["weight"]) == pytest.approx(float(b["weight"]), abs=1e-12)
        assert len(rows(tmp_path / "two" / name / "history.csv")) == 2
