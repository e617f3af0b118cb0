"""`FairnessAudit` for loops of MONAI and ignite: a handler like `TensorBoardStatsHandler` and `MLFlowHandler`.

    from segfair.handlers import FairnessAudit

    audit = FairnessAudit("metadata.csv", every=5)
    evaluator = SupervisedEvaluator(..., val_handlers=[audit, TensorBoardStatsHandler(...)])

For Lightning there is `segfair.callbacks.FairnessAudit`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from segfair.loops.audit import LoopAudit
from segfair.loops.epoch import EpochFairness, LoopOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FairnessAudit"]

_LOG = logging.getLogger(__name__)


class FairnessAudit:
    """Audits the cases of every N-th epoch of an engine, and puts what it finds into `engine.state.metrics`.

    There whatever logger the loop has finds `fairness/ps`, `fairness/fs`, `fairness/ts`, `fairness/worst_dsc` and
    `fairness/worst_n` (as far as they are defined), in the epochs that are audited and in no other, wherever it stands
    in the list of handlers. The name of the worst subgroup is `engine.state.worst_subgroup`, and stands in the log.

    Args:
        metadata: Table of the cases: a file or a data frame.
        every: Audits each N-th epoch; where that one is not validated, the next one that is. An evaluator that runs
            without a trainer is always in epoch 1.
        id_key: Key of a batch that holds the case ids; None: "id", "case" and the like, else the file that the label
            (or the image) was loaded from, without its ending.
        output_transform: Makes items with "pred" and "label" of `engine.state.output`; None: they are there.
            Predictions are masks, one-hot or of one channel (`AsDiscreted`).
        spacing: Lengths of a voxel's edges in mm; None: as MONAI's tensors say, and in voxels where they do not.
        **options: See `segfair.loops.epoch.LoopOptions`.

    Raises:
        MetadataError: A table that cannot be read.
        ConfigError: Settings that cannot be meant.
    """

    def __init__(
        self,
        metadata: str | PathLike[str] | pd.DataFrame,
        every: int = 5,
        *,
        id_key: str | None = None,
        output_transform: Callable[[Any], Any] | None = None,
        spacing: tuple[float, ...] | None = None,
        **options: Unpack[LoopOptions],
    ) -> None:
        self._audit = LoopAudit(
            metadata,
            every,
            id_key=id_key,
            output_transform=output_transform or (lambda output: output),
            spacing=spacing,
            options=options,
        )
        self._n_left: int | None = None

    @property
    def result(self) -> EpochFairness | None:
        """What the last audited epoch came to; None before it."""
        return self._audit.result

    def attach(self, engine: Any) -> None:
        """Attaches the audit to an evaluator, or to a trainer whose own cases are to be audited.

        Args:
            engine: An ignite engine.
        """
        from ignite.engine import Events

        engine.add_event_handler(Events.EPOCH_STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._conclude)

    def _begin(self, engine: Any) -> None:
        # What an earlier epoch came to is no news: loggers would tell it again.
        for name in [name for name in engine.state.metrics if name.startswith("fairness/")]:
            del engine.state.metrics[name]
        self._audit.begin(due=self._audit.schedule.is_due(engine.state.epoch))
        self._n_left = engine.state.epoch_length

    def _collect(self, engine: Any) -> None:
        self._audit.collect(engine.state.output, batch=engine.state.batch)
        if self._n_left is not None:
            self._n_left -= 1
            if self._n_left == 0:  # before the end of the epoch, when loggers look
                self._conclude(engine)

    def _conclude(self, engine: Any) -> None:
        found = self._audit.conclude()
        if found is None:
            return
        engine.state.metrics.update(found.numbers())
        engine.state.worst_subgroup = "" if found.worst is None else found.worst.name
        _LOG.info("epoch %d: %s", engine.state.epoch, found)
