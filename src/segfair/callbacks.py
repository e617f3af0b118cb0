"""`FairnessAudit` for Lightning: a callback that logs through the loop's own loggers.

    from segfair.callbacks import FairnessAudit

    trainer = Trainer(callbacks=[FairnessAudit("metadata.csv", every=5)], logger=TensorBoardLogger("logs"))

It is a callback of `lightning.pytorch`, or of `pytorch_lightning` where that is what the program has imported, or all
there is. For MONAI's engines there is `segfair.handlers.FairnessAudit`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from segfair.errors import ConfigError
from segfair.loops.audit import LoopAudit
from segfair.loops.epoch import EpochFairness, LoopOptions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FairnessAudit"]

_LOG = logging.getLogger(__name__)
_LIGHTNINGS = ("lightning.pytorch", "pytorch_lightning")


def _callback() -> Any:
    """The base class of the Lightning that the program uses: it comes under two names, whose classes are strangers."""
    loaded = [name for name in _LIGHTNINGS if name in sys.modules]
    there = loaded or [name for name in _LIGHTNINGS if find_spec(name.partition(".")[0]) is not None]
    if not there:
        raise ConfigError("segfair.callbacks: needs Lightning; pip install lightning")
    return import_module(there[0]).Callback


class FairnessAudit(_callback()):  # type: ignore[misc]
    """Audits the validation cases of every N-th epoch, and logs what it finds with `pl_module.log_dict`.

    Each of the loop's loggers is told `fairness/ps`, `fairness/fs`, `fairness/ts`, `fairness/worst_dsc` and
    `fairness/worst_n`, as far as they are defined. The name of the worst subgroup goes to TensorBoard as a text, to
    MLflow as a tag, and stands in the log.

    Args:
        metadata: Table of the cases: a file or a data frame.
        every: Audits each N-th epoch; where that one is not validated, the next one that is. `Trainer.validate` is
            always audited, the check before a training never.
        id_key: Key of a batch that holds the case ids; None: "id", "case" and the like, else the file that the label
            (or the image) was loaded from, without its ending.
        output_transform: Makes "pred" and "label" of what `validation_step` returns, and of the batch; None: the step
            returns a dictionary with "pred" (or the predictions alone), and labels stand in it or in the batch.
            Predictions are masks, one-hot or of one channel.
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
        output_transform: Callable[[Any, Any], Any] | None = None,
        spacing: tuple[float, ...] | None = None,
        **options: Unpack[LoopOptions],
    ) -> None:
        super().__init__()
        self._audit = LoopAudit(
            metadata,
            every,
            id_key=id_key,
            output_transform=output_transform or (lambda output, batch: output),
            spacing=spacing,
            options=options,
        )

    @property
    def result(self) -> EpochFairness | None:
        """What the last audited epoch came to; None before it."""
        return self._audit.result

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Settles whether this epoch is audited."""
        due = not trainer.sanity_checking
        if due and trainer.state.fn == "fit":
            due = self._audit.schedule.is_due(trainer.current_epoch + 1)
        self._audit.begin(due=due)

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Scores the cases of a batch; of the very first says whether the table knows them."""
        self._audit.collect(outputs, batch, batch=batch)

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Tells the loggers."""
        found = self._audit.conclude()
        if found is None:
            return
        # All processes have the same numbers: there is nothing to reduce.
        pl_module.log_dict(found.numbers(), on_step=False, on_epoch=True, batch_size=1, rank_zero_only=False)
        if trainer.is_global_zero:
            _LOG.info("epoch %d: %s", trainer.current_epoch + 1, found)
            _tell_name(trainer.loggers, found, trainer.global_step)


def _tell_name(loggers: Any, result: EpochFairness, step: int) -> None:
    """The worst subgroup's name, for loggers that take texts."""
    name = "none large enough" if result.worst is None else result.worst.name
    for logger in loggers:
        experiment = logger.experiment
        if hasattr(experiment, "add_text"):
            experiment.add_text("fairness/worst_subgroup", name, step)
        elif hasattr(experiment, "set_tag"):
            experiment.set_tag(logger.run_id, "fairness/worst_subgroup", name)
