"""What a training shows while it runs: one bar with the time left, one line an epoch. Never changes the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from segfair.mitigation.training.state import EpochRecord

__all__ = ["RichProgress", "TrainingProgress"]


class TrainingProgress:
    """What the loop tells. This one shows nothing."""

    def start(self, n_steps: int, done: int) -> None:
        """A training of `n_steps` steps begins, `done` of which an earlier run has made."""

    def step(self) -> None:
        """A training step is done."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done and validated."""

    def stop(self) -> None:
        """The training has ended, for whatever reason."""


class RichProgress(TrainingProgress):
    """A progress bar on a terminal, plain lines elsewhere.

    Args:
        title: What is being trained, for example "unet, divergence-sampling".
        n_epochs: Epochs of the whole training.
        console: Where to write.
    """

    def __init__(self, title: str, n_epochs: int, *, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        self._title = title
        self._n_epochs = n_epochs
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None)

    def start(self, n_steps: int, done: int) -> None:
        """Shows the bar."""
        self._bar.update(self._task, total=n_steps, completed=done)
        self._bar.start()

    def step(self) -> None:
        """Moves the bar."""
        self._bar.advance(self._task)

    def epoch(self, record: EpochRecord) -> None:
        """Prints mean and worst-subgroup validation Dice, where the epoch was validated."""
        start = f"{self._title}: epoch {record.epoch}/{self._n_epochs}  loss {record.loss:.4f}"
        if record.dsc is None:
            self._console.print(start, highlight=False, markup=False, soft_wrap=True)
            return
        worst = (
            f"worst subgroup {record.worst_dsc:.3f} ({record.worst_subgroup}, n = {record.worst_n})"
            if record.worst_dsc is not None
            else "no subgroup large enough to judge"
        )
        total = "undefined" if record.ts is None else f"{record.ts:.3f}"
        self._console.print(
            f"{start}  validation Dice {record.dsc:.3f}, {worst}, TS {total}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    def stop(self) -> None:
        """Takes the bar away."""
        self._bar.stop()
