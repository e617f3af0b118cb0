"""Where a strategy's weights come from: the divergences of training cases, or those of validation cases.

Training cases are followed through the batches that they are in; validation cases are scored after an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.mitigation.training.strategies.strategy import EpochScores, StrategyOptions, TrainingContext
from segfair.mitigation.weighting.reweighter import DivergenceReweighter, WeightRule
from segfair.mitigation.weighting.running import RunningScores
from segfair.mitigation.weighting.weights import CaseWeights

__all__ = ["Feedback"]


class Feedback:
    """Case weights that follow divergences.

    Args:
        context: Attributes of the cases.
        options: Whose divergences.
        rule: How they become weights. From training cases nothing is remembered of earlier epochs, for their running
            scores do.
    """

    def __init__(self, context: TrainingContext, options: StrategyOptions, rule: WeightRule) -> None:
        rule = replace(rule, **options.rule_changes)
        self.watches_dice = options.feedback != "validation"
        measured = context.training if self.watches_dice else context.validation
        self.reweighter = DivergenceReweighter(
            measured,
            context.training,
            min_support=context.min_support,
            rule=replace(rule, memory="none") if self.watches_dice else rule,
        )
        self._running = RunningScores(context.training.case_ids)

    @property
    def weights(self) -> CaseWeights:
        """Of the next epoch."""
        return self.reweighter.weights

    def observe(self, case_ids: Sequence[str], dice: NDArray[np.float64]) -> None:
        """Takes the Dice of the cases of a batch; see `RunningScores.observe`."""
        if self.watches_dice:
            self._running.observe(case_ids, dice)

    def update(self, scores: EpochScores) -> CaseWeights:
        """The weights after an epoch; those of before where it has shown nothing."""
        outcome = self._running.end_epoch() if self.watches_dice else scores.outcome
        return self.weights if outcome is None else self.reweighter.update_array(outcome)

    def remarks(self) -> tuple[str, ...]:
        """What the user should know, in words."""
        return self.reweighter.remarks()

    def state_dict(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return {"reweighter": self.reweighter.state_dict(), "running": self._running.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self.reweighter.load_state_dict(state["reweighter"])
        self._running.load_state_dict(state["running"])
