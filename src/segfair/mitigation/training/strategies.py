"""The strategies, one small class each; `catalogue` says in words what each does and by whom.

Each overrides what it does differently from plain training, `Erm`, and nothing else. Never trains and never scores:
the loop does both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError
from segfair.mitigation.training.catalogue import STRATEGIES
from segfair.mitigation.training.objectives import (
    AdversarialObjective,
    FairMedSegObjective,
    WeightedObjective,
    dice_focal,
)
from segfair.mitigation.training.strategy import EpochScores, Strategy, StrategyOptions, TrainingContext
from segfair.mitigation.weighting.reweighter import CONFIDENT, LITERAL, TILTED, DivergenceReweighter, WeightRule
from segfair.mitigation.weighting.tuning import AlphaTuner
from segfair.mitigation.weighting.weights import CaseWeights, joint_codes

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Erm", "make_strategy"]


class Erm(Strategy):
    """Plain training (empirical risk minimisation): the mean loss, every case once an epoch."""


class Focal(Strategy):
    """Plain training on Dice plus focal loss, whatever the run's loss is."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(replace(context, loss=partial(dice_focal, gamma=options.focal_gamma)), options)


class FairMedSeg(Strategy):
    """FairMedSeg: divergence weights in the loss (Eqs. 2-4), to the letter unless another rule is given."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self.reweighter = _reweighter(context, options.rule or LITERAL)
        self.tuner = AlphaTuner() if options.alpha == "auto" else None
        alpha = self.tuner.alpha if self.tuner is not None else float(options.alpha)
        self.weights = self.reweighter.weights
        self.objective: FairMedSegObjective = FairMedSegObjective(
            self.losses, self.weights, alpha=alpha, reduction=options.reduction
        )

    def update(self, scores: EpochScores) -> None:
        """New weights, and with alpha "auto" a new alpha."""
        if scores.outcome is None:
            return
        self.reweighter.update_array(scores.outcome)
        if self.tuner is not None and scores.total_score is not None:
            self.tuner.update(scores.total_score)
        self._renew()

    def _renew(self) -> None:
        self.weights = self.objective.weights = self.reweighter.weights
        if self.tuner is not None:
            self.objective.alpha = self.tuner.alpha

    def facts(self) -> dict[str, float]:
        """The balance of Eq. 4."""
        return {"alpha": self.objective.alpha}

    def state_dict(self) -> dict[str, Any]:
        """Weights and tuner."""
        tuner = None if self.tuner is None else self.tuner.state_dict()
        return {"reweighter": self.reweighter.state_dict(), "tuner": tuner}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Weights and tuner."""
        self.reweighter.load_state_dict(state["reweighter"])
        if self.tuner is not None and state["tuner"] is not None:
            self.tuner.load_state_dict(state["tuner"])
        self._renew()


class FairMedSegMeanOne(FairMedSeg):
    """FairMedSeg with |divergence| scaled to mean 1, so that the loss keeps its scale over the epochs."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        rule = options.rule or replace(LITERAL, normalise=True)
        super().__init__(context, replace(options, rule=rule))


class DivergenceSampling(Strategy):
    """Tilted shrunken deficits as sampling probabilities; the loss stays the plain mean."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self.reweighter = _reweighter(context, options.rule or TILTED)
        self.weights: CaseWeights = self.reweighter.weights

    def probabilities(self) -> NDArray[np.float64]:
        """The current weights."""
        return self.weights.array

    def update(self, scores: EpochScores) -> None:
        """New weights."""
        if scores.outcome is not None:
            self.weights = self.reweighter.update_array(scores.outcome)

    def facts(self) -> dict[str, float]:
        """The temperature, once there is one."""
        return {} if self.reweighter.temperature is None else {"temperature": self.reweighter.temperature}

    def state_dict(self) -> dict[str, Any]:
        """The weights."""
        return self.reweighter.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The weights."""
        self.reweighter.load_state_dict(state)
        self.weights = self.reweighter.weights


class AdaptiveSampling(DivergenceSampling):
    """Divergence sampling for gaps of any size: confident deficits, and a temperature that sets itself."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, replace(options, rule=options.rule or CONFIDENT))


class _FixedSampling(Strategy):
    """Sampling probabilities that never change."""

    weights: CaseWeights

    def probabilities(self) -> NDArray[np.float64]:
        return self.weights.array


class Balanced(_FixedSampling):
    """Draws evenly over the joint cells of all attributes, whatever their sizes."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        cells = joint_codes(context.training)
        sizes = np.bincount(cells)
        values = len(cells) / (len(sizes) * sizes[cells])
        self.weights = CaseWeights.of(context.training.case_ids, values)


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

    Batches of few volumes miss most groups, so each group keeps a moving average of its loss, and a batch's loss is
    the mean of N q_g / n_g L_i over its cases: in expectation the authors' sum over groups of q_g L_g.
    """

    weights: CaseWeights

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self._options = options
        self._groups = joint_codes(context.training)
        self._sizes = np.bincount(self._groups)
        ids = context.training.case_ids
        self._group_of = dict(zip(ids, self._groups.tolist(), strict=True))
        self._averages: NDArray[np.float64] = np.full(len(self._sizes), np.nan)
        self._log_q = np.zeros(len(self._sizes))
        self.weights = CaseWeights.of(ids, np.ones(len(ids)))
        self.objective: WeightedObjective = WeightedObjective(self.losses, self.weights)
        self._renew()

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
        values = len(self._groups) * q[self._groups] / self._sizes[self._groups]
        self.weights = self.objective.weights = CaseWeights.of(self.weights.case_ids, values)

    def state_dict(self) -> dict[str, Any]:
        """Moving averages (None where a group was not met) and log weights."""
        averages = [None if np.isnan(value) else value for value in self._averages.tolist()]
        return {"averages": averages, "log_q": self._log_q.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Moving averages and log weights."""
        self._averages = np.array([np.nan if value is None else value for value in state["averages"]])
        self._log_q = np.array(state["log_q"])
        self._renew()


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


def _reweighter(context: TrainingContext, rule: WeightRule) -> DivergenceReweighter:
    return DivergenceReweighter(context.validation, context.training, min_support=context.min_support, rule=rule)


_KINDS: Mapping[str, type[Strategy]] = {
    "erm": Erm,
    "fairmedseg": FairMedSeg,
    "fairmedseg-mean1": FairMedSegMeanOne,
    "divergence-sampling": DivergenceSampling,
    "adaptive-sampling": AdaptiveSampling,
    "balanced": Balanced,
    "reweighing": Reweighing,
    "groupdro": GroupDro,
    "focal": Focal,
    "jtt": Jtt,
    "adversarial": Adversarial,
    "one-shot": OneShot,
}
"""Name of `STRATEGIES` -> class."""


def make_strategy(name: str, context: TrainingContext, options: StrategyOptions | None = None) -> Strategy:
    """The strategy of that name.

    Raises:
        ConfigError: No such strategy, or one that cannot be used on these cases.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"strategy {name}: unknown; known are {', '.join(STRATEGIES)}")
    return _KINDS[name](context, options or StrategyOptions())
