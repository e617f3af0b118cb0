"""The audit of a loop, whichever loop it is: which epochs, whose cases, what they came to. Knows no engine."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any

from segfair.loops.batches import cases_of_batch
from segfair.loops.epoch import Epoch, EpochFairness, LoopOptions
from segfair.loops.schedule import Schedule

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LoopAudit"]


class LoopAudit:
    """What a handler and a callback have in common; see `segfair.handlers.FairnessAudit` for the arguments.

    Attributes:
        schedule: Which epochs are audited.
        due: Whether the epoch at hand is.
        result: What the last audited epoch came to; None before it.

    Raises:
        MetadataError: A table that cannot be read.
        ConfigError: Settings that cannot be meant.
    """

    def __init__(
        self,
        metadata: str | PathLike[str] | pd.DataFrame,
        every: int,
        *,
        id_key: str | None,
        output_transform: Callable[..., Any],
        spacing: tuple[float, ...] | None,
        options: LoopOptions,
    ) -> None:
        self._epoch = Epoch(metadata, options)
        self.schedule = Schedule(every)
        self._id_key, self._transform, self._spacing = id_key, output_transform, spacing
        self._is_first = True
        self.due = False
        self.result: EpochFairness | None = None

    def begin(self, *, due: bool) -> None:
        """Begins an epoch, audited or not."""
        self._epoch.clear()
        self.due = due

    def collect(self, *output: Any, batch: Any) -> None:
        """Scores the cases of a batch; of the very first, audited or not, says whether the table knows them.

        Args:
            output: What `output_transform` is given.
            batch: What went into the step.
        """
        if not (self.due or self._is_first):
            return
        self._is_first = False
        cases = cases_of_batch(self._transform(*output), batch, id_key=self._id_key)
        self._epoch.check(cases)
        if self.due:
            self._epoch.add(cases, spacing=self._spacing)

    def conclude(self) -> EpochFairness | None:
        """What the cases came to; None in an epoch that is not audited, or was concluded."""
        if not self.due:
            return None
        self.due = False
        self.result = self._epoch.conclude()
        return self.result
