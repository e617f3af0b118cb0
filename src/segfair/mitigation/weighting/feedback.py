"""Weights of training cases from their own Dice in the batches: `RunningScores` into a `DivergenceReweighter`.

For any training loop; imports no torch.

    feedback = BatchFeedback(training_table)
    for epoch in range(epochs):
        ...draw cases by feedback.weights, and after each batch feedback.observe(its ids, its Dice)...
        feedback.end_epoch()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.errors import ConfigError
from segfair.mitigation.weighting.reweighter import ADAPTIVE, DivergenceReweighter, WeightRule
from segfair.mitigation.weighting.running import RunningScores
from segfair.mitigation.weighting.weights import CaseWeights

__all__ = ["BatchFeedback"]


class BatchFeedback:
    """Case weights that follow each training case's Dice in the batches that it is in.

    Args:
        attributes: Attributes of the training cases.
        rule: From the divergences of subgroups to weights. Nothing is remembered of earlier epochs, for the running
            scores do.
        min_support: Smallest share of the cases a subgroup needs.
    """

    def __init__(self, attributes: AttributeTable, *, rule: WeightRule = ADAPTIVE, min_support: float = 0.001) -> None:
        self.reweighter = DivergenceReweighter(
            attributes, attributes, min_support=min_support, rule=replace(rule, memory="none")
        )
        self._case_ids = attributes.case_ids
        self._running = RunningScores(self._case_ids)
        self.scores: NDArray[np.float64] | None = None

    @property
    def weights(self) -> CaseWeights:
        """Of the next epoch."""
        return self.reweighter.weights

    def observe(self, case_ids: Sequence[str], dice: NDArray[np.float64]) -> None:
        """Takes the (B,) Dice of the items of a batch, nan where one has none, and the cases they are of."""
        self._running.observe(case_ids, dice)

    def end_epoch(self) -> CaseWeights:
        """The weights of the next epoch; those of this one where no item had a Dice yet."""
        self.scores = self._running.end_epoch()
        return self.weights if self.scores is None else self.reweighter.update_array(self.scores)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on: plain lists and numbers."""
        return {
            "case_ids": list(self._case_ids),
            "running": self._running.state_dict(),
            "reweighter": self.reweighter.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`.

        Raises:
            ConfigError: It is of other cases.
            InputError: It is of other subgroups.
        """
        if tuple(state["case_ids"]) != self._case_ids:
            raise ConfigError(
                f"resume: the training began with {len(state['case_ids'])} training cases, and now has other ones "
                f"({len(self._case_ids)}); resume with the same split"
            )
        self._running.load_state_dict(state["running"])
        self.reweighter.load_state_dict(state["reweighter"])
