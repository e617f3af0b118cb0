"""Each training case's score, followed through the batches that it is in. Costs no pass of its own; imports no torch.

A fifth of the cases as validation holds a handful of a rare subgroup; the training cases are four times as many, and
the network predicts each of them anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RunningScores"]


class RunningScores:
    """A moving average of each case's score over the epochs that drew it.

    A case that an epoch did not draw is taken to have moved as those that it drew, though not beyond all of them: its
    old score would be that of a network that had learned less, and being drawn rarely would look like being served
    badly.

    Args:
        case_ids: The cases.
        rate: Share of an epoch's score in the average.
    """

    def __init__(self, case_ids: Sequence[str], *, rate: float = 0.4) -> None:
        self._position = {case_id: place for place, case_id in enumerate(case_ids)}
        self._rate = rate
        self._averages: NDArray[np.float64] = np.full(len(case_ids), np.nan)
        self._sums = np.zeros(len(case_ids))
        self._counts = np.zeros(len(case_ids))

    def observe(self, case_ids: Sequence[str], scores: NDArray[np.float64]) -> None:
        """Takes the scores of a batch.

        Args:
            case_ids: B ids; one may stand there several times, as patches of one case do.
            scores: (B,) higher is better; nan counts nowhere (a patch without a lesion has no Dice).
        """
        for case_id, score in zip(case_ids, scores.tolist(), strict=True):
            if np.isfinite(score):
                self._sums[self._position[case_id]] += score
                self._counts[self._position[case_id]] += 1

    def end_epoch(self) -> NDArray[np.float64] | None:
        """Moves the averages by what the epoch has shown.

        Returns:
            (n_cases,) the averages; a case that was never drawn has the mean of the others. None while no case has a
            score.
        """
        drawn = self._counts > 0
        if drawn.any():
            scores = self._sums[drawn] / self._counts[drawn]
            before = self._averages[drawn]
            known = np.isfinite(before)
            moved = np.where(known, before + self._rate * (scores - before), scores)
            drift = float((moved - before)[known].mean()) if known.any() else 0.0
            # Not beyond the others: no case is taken for better than all that were seen because they have improved.
            old = self._averages[~drawn]
            low, high = np.minimum(old, moved.min()), np.maximum(old, moved.max())
            self._averages[~drawn] = np.clip(old + drift, low, high)
            self._averages[drawn] = moved
            self._sums[:], self._counts[:] = 0.0, 0.0
        known = np.isfinite(self._averages)
        if not known.any():
            return None
        return np.where(known, self._averages, self._averages[known].mean())

    def state_dict(self) -> dict[str, Any]:
        """Plain lists, nan as None; also of an epoch at hand."""
        averages = [None if np.isnan(value) else value for value in self._averages.tolist()]
        return {"averages": averages, "sums": self._sums.tolist(), "counts": self._counts.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict` of the same cases."""
        self._averages = np.array([np.nan if value is None else value for value in state["averages"]], dtype=np.float64)
        self._sums, self._counts = np.array(state["sums"]), np.array(state["counts"])
