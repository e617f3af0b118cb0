"""Where a strategy's weights come from: the divergences of training cases, or those of validation cases.

Training cases are followed through the batches that they are in; validation cases are scored after an epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError
from segfair.mitigation.training.catalogue import Feedback as Source
from segfair.mitigation.training.strategies.strategy import EpochScores, Strategy, StrategyOptions, TrainingContext
from segfair.mitigation.weighting.feedback import BatchFeedback
from segfair.mitigation.weighting.reweighter import DivergenceReweighter, WeightRule
from segfair.mitigation.weighting.weights import CaseWeights

__all__ = ["Feedback", "Following"]


class Feedback:
    """Case weights that follow divergences.

    Args:
        context: Attributes of the cases.
        options: Changes of the rule.
        source: Whose divergences.
        rule: How they become weights.
    """

    def __init__(self, context: TrainingContext, options: StrategyOptions, source: Source, rule: WeightRule) -> None:
        rule = replace(rule, **options.rule_changes)
        self.source = source
        self._batches: BatchFeedback | None = None
        if source == "training":
            self._batches = BatchFeedback(context.training, rule=rule, min_support=context.min_support)
            self.reweighter = self._batches.reweighter
        else:
            self.reweighter = DivergenceReweighter(
                context.validation, context.training, min_support=context.min_support, rule=rule
            )

    @property
    def weights(self) -> CaseWeights:
        """Of the next epoch."""
        return self.reweighter.weights

    def observe(self, case_ids: Sequence[str], dice: NDArray[np.float64]) -> None:
        """Takes the Dice of the cases of a batch; see `RunningScores.observe`."""
        if self._batches is not None:
            self._batches.observe(case_ids, dice)

    def update(self, scores: EpochScores) -> CaseWeights:
        """The weights after an epoch; those of before where it has shown nothing."""
        if self._batches is not None:
            return self._batches.end_epoch()
        return self.weights if scores.outcome is None else self.reweighter.update_array(scores.outcome)

    def remarks(self) -> tuple[str, ...]:
        """What the user should know, in words."""
        return self.reweighter.remarks()

    def state_dict(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        followed = self.reweighter if self._batches is None else self._batches
        return {"source": self.source, "followed": followed.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`.

        Raises:
            ConfigError: Other cases were followed.
        """
        # Versions before this choice followed the validation cases, and their state says nothing of it.
        was = state.get("source", "validation")
        if was != self.source:
            raise ConfigError(
                f"resume: the training began with weights from the divergences of {was} cases, now they are to follow "
                f"{self.source} cases; give --feedback {was}, or start anew with --overwrite"
            )
        followed = self.reweighter if self._batches is None else self._batches
        followed.load_state_dict(state["followed"] if "source" in state else state)


class Following(Strategy):
    """A strategy whose weights follow divergences; a subclass says what becomes of them.

    Attributes:
        follows: Whose divergences, unless the options say it.
        feedback: Where the weights come from.
    """

    follows: Source

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        source = options.feedback or self.follows
        self.feedback = Feedback(context, options, source, options.rule or self.rule_for(source))
        self.watches_dice = source == "training"
        self.weights: CaseWeights = self.feedback.weights

    @classmethod
    def rule_for(cls, source: Source) -> WeightRule:
        """How divergences of those cases become weights, unless the options say it."""
        raise NotImplementedError

    def observe_dice(self, case_ids: Sequence[str], dice: NDArray[np.float64]) -> None:
        """Follows the training cases."""
        self.feedback.observe(case_ids, dice)

    def remarks(self) -> tuple[str, ...]:
        """Which cells of attributes are too small to be judged."""
        return self.feedback.remarks()
