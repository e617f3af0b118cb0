"""Strategies that act on the draws: how often each training case is seen. The loss stays the plain mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError
from segfair.mitigation.training.catalogue import Feedback as Source
from segfair.mitigation.training.strategies.feedback import Following
from segfair.mitigation.training.strategies.strategy import EpochScores, Strategy, StrategyOptions, TrainingContext
from segfair.mitigation.weighting.balance import Over, balanced_weights, members_of
from segfair.mitigation.weighting.reweighter import ADAPTIVE, CONFIDENT, TILTED, WeightRule
from segfair.mitigation.weighting.weights import CaseWeights

__all__ = [
    "AdaptiveSampling",
    "Balanced",
    "BalancedOverAttributes",
    "DivergenceSampling",
    "Jtt",
    "OneShot",
    "Oracle",
    "TemperedBalanced",
    "TemperedOverAttributes",
]


class DivergenceSampling(Following):
    """Tilted shrunken deficits as sampling probabilities."""

    follows: Source = "training"

    @classmethod
    def rule_for(cls, source: Source) -> WeightRule:
        """The same for all cases."""
        return TILTED

    def probabilities(self) -> NDArray[np.float64]:
        """The current weights."""
        return self.weights.array

    def update(self, scores: EpochScores) -> None:
        """New weights."""
        self.weights = self.feedback.update(scores)

    def facts(self) -> dict[str, float]:
        """The temperature, once there is one."""
        temperature = self.feedback.reweighter.temperature
        return {} if temperature is None else {"temperature": temperature}

    def state_dict(self) -> dict[str, Any]:
        """The weights."""
        return self.feedback.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The weights."""
        self.feedback.load_state_dict(state)
        self.weights = self.feedback.weights


class AdaptiveSampling(DivergenceSampling):
    """Divergence sampling for gaps of any size: its temperature follows the spread of divergences that is beyond noise.

    From training cases, cells of attributes that are too small to be judged are drawn as tempered balanced sampling
    draws them. From validation cases, deficits are lower confidence limits.
    """

    @classmethod
    def rule_for(cls, source: Source) -> WeightRule:
        """Another one for validation cases: a rare subgroup has a handful there."""
        return ADAPTIVE if source == "training" else CONFIDENT


class _FixedSampling(Strategy):
    """Sampling probabilities that never change."""

    weights: CaseWeights

    def probabilities(self) -> NDArray[np.float64]:
        return self.weights.array


class Balanced(_FixedSampling):
    """Draws evenly over the joint cells of all attributes, whatever their sizes."""

    exponent = 1.0
    over: Over = "cells"

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        values = balanced_weights(context.training, exponent=self.exponent, over=self.over)
        self.weights = CaseWeights.of(context.training.case_ids, values)


class TemperedBalanced(Balanced):
    """Half way to even draws over the joint cells: a case of a cell of n cases weighs n^-1/2."""

    exponent = 0.5


class BalancedOverAttributes(Balanced):
    """Draws evenly over the levels of each attribute, averaged over the attributes."""

    over: Over = "attributes"


class TemperedOverAttributes(Balanced):
    """Half way to even draws over the levels of each attribute."""

    exponent = 0.5
    over: Over = "attributes"


class Oracle(_FixedSampling):
    """Is told a subgroup and draws its cases so many times as often: to compare with, no remedy."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        if not options.oracle:
            raise ConfigError("oracle: has to be told a subgroup; name it with --oracle COLUMN=LEVEL")
        members = members_of(context.training, options.oracle)
        if not members.any():
            told = ", ".join(f"{name} = {level}" for name, level in options.oracle.items())
            raise ConfigError(f"oracle: no training case has {told}")
        values = np.where(members, options.oracle_factor, 1.0)
        self.weights = CaseWeights.of(context.training.case_ids, values / values.mean())


class OneShot(_FixedSampling):
    """Draws by weights handed in, for example from the audit of an earlier model, from the first epoch on."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        ids = context.training.case_ids
        missing = [case_id for case_id in ids if case_id not in options.case_weights]
        if missing:
            raise ConfigError(
                f"one-shot weights: {len(missing)} of {len(ids)} training cases have none, "
                f"for example {missing[0]}; make them for the same cases"
            )
        self.weights = CaseWeights.of(ids, np.array([options.case_weights[case_id] for case_id in ids]))

    def state_dict(self) -> dict[str, Any]:
        """The weights, so that a training cannot go on with others."""
        return {"weights": self.weights.array.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Compares the weights."""
        if state["weights"] != self.weights.array.tolist():
            raise ConfigError("resume: the one-shot weights differ from those the training began with; give the same")


class Jtt(Strategy):
    """Just train twice: a first network finds the training cases it fails on, a second one sees them more often.

    Both share the run's epochs, so that the budget equals that of the other strategies.
    """

    weights: CaseWeights

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        first = max(1, round(options.jtt_share * context.epochs))
        if first >= context.epochs:
            raise ConfigError(f"jtt: needs at least 2 epochs for its two trainings, got {context.epochs}")
        self.stages = (first, context.epochs - first)
        self._options = options
        ids = context.training.case_ids
        self.weights = CaseWeights.of(ids, np.ones(len(ids)))

    def probabilities(self) -> NDArray[np.float64]:
        """1, and `jtt_factor` for a failure."""
        return self.weights.array

    def needs_training_scores(self, epoch: int) -> bool:
        """After the last epoch of the first network."""
        return epoch == self.stages[0]

    def update(self, scores: EpochScores) -> None:
        """Finds the failures after the first stage."""
        if scores.epoch == self.stages[0] and scores.training_dsc is not None:
            failed = scores.training_dsc < self._options.jtt_failure
            values = np.where(failed, self._options.jtt_factor, 1.0)
            self.weights = CaseWeights.of(self.weights.case_ids, values)

    def state_dict(self) -> dict[str, Any]:
        """The weights."""
        return {"weights": self.weights.array.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The weights."""
        self.weights = CaseWeights.of(self.weights.case_ids, np.array(state["weights"]))
