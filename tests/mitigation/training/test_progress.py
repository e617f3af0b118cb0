"""What a training shows while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.mitigation.toy_training import (
    context,
    train,
)


class Notes:
    """Writes down what the loop tells."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self, n_steps: int, done: int) -> None:
        self.told.append(("start", n_steps, done))

    def step(self) -> None:
        self.told.append("step")

    def epoch(self, record: Any) -> None:
        self.told.append(("epoch", record.epoch))

    def stop(self) -> None:
        self.told.append("stop")


def test_progress_hears_every_step_and_epoch(tmp_path: Path) -> None:
    notes = Notes()
    train(tmp_path, "erm", ctx=context(2), progress=notes)
    steps = ["step"] * 3
    assert notes.told == [("start", 6, 0), *steps, ("epoch", 1), *steps, ("epoch", 2), "stop"]


def test_rich_progress_prints_mean_and_worst_subgroup(tmp_path: Path) -> None:
    import io

    from rich.console import Console

    from segfair.mitigation.training.progress import RichProgress

    stream = io.StringIO()
    progress = RichProgress("toy, erm", 2, console=Console(file=stream, width=200))
    result, _ = train(tmp_path, "erm", ctx=context(2), progress=progress)
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("toy, erm: epoch")]
    assert len(lines) == 2
    record = result.history[1]
    assert f"epoch 2/2  loss {record.loss:.4f}  validation Dice {record.dsc:.3f}" in lines[1]
    assert f"worst subgroup {record.worst_dsc:.3f} ({record.worst_subgroup}, n = {record.worst_n})" in lines[1]
