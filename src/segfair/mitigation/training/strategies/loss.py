"""Strategies that act on the loss of a step. Every case is drawn once an epoch, but for Group DRO's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError
from segfair.mitigation.training.catalogue import Feedback as Source
from segfair.mitigation.training.objectives import (
    AdversarialObjective,
    FairMedSegObjective,
    FebsObjective,
    WeightedObjective,
    dice_focal,
)
from segfair.mitigation.training.strategies.feedback import Following
from segfair.mitigation.training.strategies.strategy import EpochScores, Strategy, StrategyOptions, TrainingContext
from segfair.mitigation.weighting.balance import balanced_weights
from segfair.mitigation.weighting.reweighter import LITERAL, WeightRule
from segfair.mitigation.weighting.tuning import AlphaTuner
from segfair.mitigation.weighting.weights import CaseWeights, joint_codes

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "Adversarial",
    "FairMedSeg",
    "FairMedSegMeanOne",
    "Febs",
    "Focal",
    "GroupDro",
    "Reweighing",
    "independence_weights",
]


class FairMedSeg(Following):
    """FairMedSeg: divergence weights in the loss (Eqs. 2-4), to the letter unless another rule is given."""

    follows: Source = "validation"

    @classmethod
    def rule_for(cls, source: Source) -> WeightRule:
        """Eq. 2."""
        return LITERAL

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self.tuner = AlphaTuner() if options.alpha == "auto" else None
        alpha = self.tuner.alpha if self.tuner is not None else float(options.alpha)
        self.objective: FairMedSegObjective = FairMedSegObjective(
            self.losses, self.weights, alpha=alpha, reduction=options.reduction
        )

    def update(self, scores: EpochScores) -> None:
        """New weights, and with alpha "auto" a new alpha."""
        self.feedback.update(scores)
        if self.tuner is not None and scores.total_score is not None:
            self.tuner.update(scores.total_score)
        self._renew()

    def _renew(self) -> None:
        self.weights = self.objective.weights = self.feedback.weights
        if self.tuner is not None:
            self.objective.alpha = self.tuner.alpha

    def facts(self) -> dict[str, float]:
        """The balance of Eq. 4."""
        return {"alpha": self.objective.alpha}

    def state_dict(self) -> dict[str, Any]:
        """Weights and tuner."""
        tuner = None if self.tuner is None else self.tuner.state_dict()
        return {"feedback": self.feedback.state_dict(), "tuner": tuner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Weights and tuner."""
        # A state of before held the weights of the validation cases under another name.
        self.feedback.load_state_dict(state.get("feedback", state.get("reweighter")))
        if self.tuner is not None and state["tuner"] is not None:
            self.tuner.load_state_dict(state["tuner"])
        self._renew()


class FairMedSegMeanOne(FairMedSeg):
    """FairMedSeg with |divergence| scaled to mean 1, so that the loss keeps its scale over the epochs."""

    @classmethod
    def rule_for(cls, source: Source) -> WeightRule:
        """Eq. 2, scaled."""
        return replace(LITERAL, normalise=True)


class Focal(Strategy):
    """Plain training on Dice plus focal loss, whatever the run's loss is."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(replace(context, loss=partial(dice_focal, gamma=options.focal_gamma)), options)


class Reweighing(Strategy):
    """Loss weights P(g) P(y) / P(g, y): joint cell g and lesion size y are independent under the weights."""

    weights: CaseWeights

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        ids = context.training.case_ids
        missing = [case_id for case_id in ids if case_id not in context.volumes_mm3]
        if missing:
            raise ConfigError(f"reweighing: the label volume of {missing[0]} and {len(missing) - 1} more is unknown")
        volumes = np.array([context.volumes_mm3[case_id] for case_id in ids])
        size = np.searchsorted(np.quantile(volumes, [1 / 3, 2 / 3]), volumes)
        self.weights = CaseWeights.of(ids, independence_weights(joint_codes(context.training), size))
        self.objective = WeightedObjective(self.losses, self.weights)


def independence_weights(groups: NDArray[np.intp], outcomes: NDArray[np.intp]) -> NDArray[np.float64]:
    """(n_cases,) Kamiran and Calders' P(g) P(y) / P(g, y) from (n_cases,) codes of group and outcome."""
    n_cases = len(groups)
    joint = np.zeros((int(groups.max(initial=0)) + 1, int(outcomes.max(initial=0)) + 1))
    np.add.at(joint, (groups, outcomes), 1.0)
    expected = joint.sum(axis=1)[groups] * joint.sum(axis=0)[outcomes] / max(1, n_cases)
    weights: NDArray[np.float64] = expected / joint[groups, outcomes]
    return weights


class GroupDro(Strategy):
    """Group DRO over the joint cells: groups of high loss gain weight exponentially.

    Batches are balanced: every group is drawn as often as any other, as the authors do it. Still a batch of few volumes
    misses most groups, so each group keeps a moving average of its loss, and a batch's loss is the mean of
    G q_g L_i over its cases, with G groups: in expectation the authors' sum over groups of q_g L_g.
    """

    weights: CaseWeights

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self._options = options
        self._groups = joint_codes(context.training)
        self._sizes = np.bincount(self._groups)
        self._even = balanced_weights(context.training, exponent=1.0, over="cells")
        ids = context.training.case_ids
        self._group_of = dict(zip(ids, self._groups.tolist(), strict=True))
        self._averages: NDArray[np.float64] = np.full(len(self._sizes), np.nan)
        self._log_q = np.zeros(len(self._sizes))
        self.weights = CaseWeights.of(ids, np.ones(len(ids)))
        self.objective: WeightedObjective = WeightedObjective(self.losses, self.weights)
        self._renew()

    def probabilities(self) -> NDArray[np.float64]:
        """Every group as often as any other."""
        return self._even

    def observe(self, case_ids: Sequence[str], losses: NDArray[np.float64]) -> None:
        """Renews the moving averages of the groups in the batch, then the weights of all groups."""
        groups = np.array([self._group_of[case_id] for case_id in case_ids], dtype=np.intp)
        for group in np.unique(groups):
            loss, old = float(losses[groups == group].mean()), self._averages[group]
            rate = 1.0 if np.isnan(old) else self._options.dro_average
            self._averages[group] = loss if rate == 1.0 else (1 - rate) * old + rate * loss
        # A group not met yet counts as average, neither favoured nor starved.
        averages = np.where(np.isnan(self._averages), np.nanmean(self._averages), self._averages)
        adjusted = averages + self._options.dro_adjustment / np.sqrt(self._sizes)
        self._log_q = self._log_q + self._options.dro_step * adjusted
        self._log_q -= self._log_q.max()
        self._renew()

    def _renew(self) -> None:
        q = np.exp(self._log_q) / np.exp(self._log_q).sum()
        values = len(self._sizes) * q[self._groups]
        self.objective.weights = CaseWeights.of(self.weights.case_ids, values)
        # What a case counts in an epoch: how often it is drawn, times its weight.
        self.weights = CaseWeights.of(self.weights.case_ids, self._even * values)

    def state_dict(self) -> dict[str, Any]:
        """Moving averages (None where a group was not met) and log weights."""
        averages = [None if np.isnan(value) else value for value in self._averages.tolist()]
        return {"averages": averages, "log_q": self._log_q.tolist(), "draws": "even"}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Moving averages and log weights.

        Raises:
            ConfigError: The training began with other draws.
        """
        if state.get("draws") != "even":
            raise ConfigError(
                "resume: this training of groupdro began in a version that drew every case once an epoch; start anew "
                "with --overwrite"
            )
        self._averages = np.array([np.nan if value is None else value for value in state["averages"]])
        self._log_q = np.array(state["log_q"])
        self._renew()


class Febs(Strategy):
    """Fair error-bound scaling over the joint cells.

    In the Dice term, what is predicted for a badly served group counts less, so that its error counts more.
    """

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        groups = joint_codes(context.training).tolist()
        self.objective: FebsObjective = FebsObjective(
            self.losses, dict(zip(context.training.case_ids, groups, strict=True)), gamma=options.febs_gamma
        )


class Adversarial(Strategy):
    """Gradient reversal at the bottleneck: features from which the attributes cannot be told."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        attributes = context.training.attributes
        if not attributes:
            raise ConfigError("adversarial: the metadata has no usable attribute to hide")
        codes = np.stack([attribute.codes for attribute in attributes], axis=1).tolist()
        self.objective: AdversarialObjective = AdversarialObjective(
            self.losses,
            dict(zip(context.training.case_ids, codes, strict=True)),
            [len(attribute.levels) for attribute in attributes],
            strength=options.adversarial_strength,
        )

    def prepare(self, network: nn.Module, example: Tensor) -> None:
        """Hooks the bottleneck and builds the classifiers."""
        self.objective.observe(network, example)
