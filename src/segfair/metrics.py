"""The audit's scores in MONAI's metric interface: called on batches, aggregated after an epoch, reset before the next.

    from segfair.metrics import FairnessScore

    fairness = FairnessScore("metadata.csv")
    for batch in loader:
        fairness(y_pred=predict(batch["image"]), y=batch["label"])
    fs = fairness.aggregate().item()
    fairness.reset()

Masks come as MONAI hands them over: batch-first tensors or lists of channel-first ones, on any device, with one channel
or one-hot with the background first. Values are those of `segfair.audit` of the same masks, in double precision.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from monai.metrics.metric import CumulativeIterationMetric

from segfair.errors import ConfigError, close_names
from segfair.loops.batches import cases_of_masks
from segfair.loops.epoch import Epoch, EpochFairness, LoopOptions
from segfair.scoring.scores import CaseScore

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CaseMetric", "FairnessScore", "PerformanceScore", "TotalScore"]

_OF_CASE = ("dsc", "normhd")
_NAMES = {"hd95": ("hd95_mm", "hd95_px", "hd95_vox")}
"""Metric -> what it is called in the units that there may be, the first that is known."""


class _EpochMetric(CumulativeIterationMetric):
    """What all have in common: they score each case once, and keep its DSC and NormHD.

    A call takes `y_pred` and `y`, and may be told

    - `ids`: the case ids; without them the files that MONAI's tensors were loaded from (`filename_or_obj`);
    - `levels`: attribute -> a level each (or a dictionary a case), where there is no table;
    - `spacing`: lengths of a voxel's edges in mm, for all or one each; without it as MONAI's tensors say, and in voxels
      where they do not;

    and returns the DSC and NormHD of its cases, (n_cases, 2) float64.
    """

    def __init__(self, metadata: Any, options: LoopOptions) -> None:
        self._epoch = Epoch(metadata, options)
        self._meta_levels = () if metadata is not None else tuple(self._epoch.attributes)
        super().__init__()

    def reset(self) -> None:
        """Forgets the cases."""
        super().reset()  # type: ignore[no-untyped-call]
        self._epoch.clear()

    def _compute_tensor(self, y_pred: Any, y: Any = None, **told: Any) -> torch.Tensor:
        spacing = told.pop("spacing", None)
        cases = cases_of_masks(y_pred, y, meta_levels=self._meta_levels, **told)
        scores = self._epoch.add(cases, spacing=spacing)
        return torch.tensor([self._row(score) for score in scores], dtype=torch.float64)

    def _compute_list(self, y_pred: Any, y: Any = None, **told: Any) -> torch.Tensor:
        return self._compute_tensor(y_pred, y, **told)

    def _row(self, score: CaseScore) -> list[float]:
        values = (score.values[name] for name in _OF_CASE)
        return [float("nan") if value is None else value for value in values]

    def conclude(self) -> EpochFairness:
        """PS, FS, TS, the disparities and the worst subgroup of all cases so far."""
        return self._epoch.conclude()


class CaseMetric(_EpochMetric):
    """One metric of each case, and its mean.

    Args:
        metric: "dsc", "normhd" or "hd95" (in mm where the size of a voxel is known, else in voxels or pixels).
        **options: `protocol` and `label`, see `segfair.loops.epoch.LoopOptions`.

    Raises:
        ConfigError: Another metric.

    Examples:
        >>> import torch
        >>> from segfair.metrics import CaseMetric
        >>> label, prediction = torch.zeros(2, 1, 1, 8, 8)
        >>> label[..., 2:6, 2:6], prediction[..., 2:6, 3:7] = 1, 1
        >>> dice = CaseMetric("dsc")
        >>> dice(y_pred=prediction, y=label).tolist(), dice.aggregate().item()
        ([[0.75]], 0.75)
    """

    def __init__(self, metric: str = "dsc", **options: Unpack[LoopOptions]) -> None:
        known = (*_OF_CASE, "hd95")
        if metric not in known:
            raise ConfigError(
                f"metric={metric!r}: no such metric{close_names(metric, known)}; there are {', '.join(known)}"
            )
        self._metric = metric
        super().__init__(None, options)

    def _row(self, score: CaseScore) -> list[float]:
        names = _NAMES.get(self._metric, (self._metric,))
        value = next(score.values[name] for name in names if name in score.values)
        return [float("nan") if value is None else value]

    def aggregate(self) -> torch.Tensor:
        """The mean over the cases of all processes with a value; nan without any."""
        values = np.array([self._row(score)[0] for score in self._epoch.scores().values()], dtype=np.float64)
        found = values[np.isfinite(values)]
        return torch.tensor(found.mean() if len(found) else float("nan"), dtype=torch.float64)


class PerformanceScore(_EpochMetric):
    """PS, 0.5 (DSC + 1 - NormHD) of the means over the cases of all processes.

    Args:
        **options: `protocol` and `label`, see `segfair.loops.epoch.LoopOptions`.
    """

    def __init__(self, **options: Unpack[LoopOptions]) -> None:
        super().__init__(None, options)

    def aggregate(self) -> torch.Tensor:
        """PS; nan without a case."""
        return _scalar(self.conclude().challenge.ps)


class FairnessScore(_EpochMetric):
    """FS, 1 minus the mean over attributes of D_v, by the groups of a table or of levels that come with the cases.

    Args:
        metadata: Table of the cases: a file or a data frame. None: levels are handed in with a batch, or stand in the
            meta dictionaries of the labels under the names in `attributes`.
        **options: See `segfair.loops.epoch.LoopOptions`.

    Raises:
        MetadataError: A table that cannot be read.
        ConfigError: Settings that cannot be meant.
    """

    def __init__(
        self, metadata: str | PathLike[str] | pd.DataFrame | None = None, **options: Unpack[LoopOptions]
    ) -> None:
        super().__init__(metadata, options)

    def aggregate(self) -> torch.Tensor:
        """FS; nan where no attribute can be judged."""
        return _scalar(self.conclude().challenge.fs)


class TotalScore(FairnessScore):
    """TS, PS and FS weighted as the protocol says; otherwise as `FairnessScore`."""

    def aggregate(self) -> torch.Tensor:
        """TS; nan where FS is."""
        return _scalar(self.conclude().challenge.ts)


def _scalar(value: float | None) -> torch.Tensor:
    return torch.tensor(float("nan") if value is None else value, dtype=torch.float64)
