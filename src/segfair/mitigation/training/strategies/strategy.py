"""What a strategy is: the three things it decides, what it may look at, and its settings. Never trains by itself.

A strategy decides what a training step minimises (`objective`), how often each case is drawn in the next epoch
(`probabilities`), and what it learns from an epoch's scores (`update`). The loop asks for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.mitigation.training.objectives import CaseLoss, MeanObjective, Objective, RecordedLoss
from segfair.mitigation.weighting.reweighter import WeightRule
from segfair.mitigation.weighting.weights import CaseWeights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from segfair.mitigation.data.augmentation import Strength

__all__ = ["EpochScores", "Strategy", "StrategyOptions", "TrainingContext"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingContext:
    """What every strategy may look at.

    Attributes:
        training: Attributes of the training cases, in the training data's order.
        validation: Attributes of the validation cases, in the validation data's order.
        loss: Per-case segmentation loss.
        epochs: Epochs of the whole training.
        min_support: Smallest share of validation cases a subgroup needs.
        volumes_mm3: Training case id -> volume of its label (reweighing's outcome).
        seed: Seed of the run.
    """

    training: AttributeTable
    validation: AttributeTable
    loss: CaseLoss
    epochs: int
    min_support: float = 0.001
    volumes_mm3: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class StrategyOptions:
    """Settings of the strategies; each reads its own.

    Attributes:
        alpha: FairMedSeg's balance of Eq. 4, or "auto".
        reduction: Whether Eq. 3 is a sum over the cases of a batch or their mean.
        rule: How divergences become weights; None for the strategy's own.
        rule_changes: Field of `WeightRule` -> value: what differs from that rule.
        focal_gamma: Exponent of the focal loss.
        dro_step, dro_adjustment: Group DRO's eta and C.
        dro_average: Share of a new batch in a group's moving average of the loss.
        jtt_share, jtt_factor, jtt_failure: Share of the epochs that find the failures, how often a failure is drawn
            for once of another case, and the Dice below which a training case failed.
        adversarial_strength: Weight of the reversed gradient.
        febs_gamma: Exponent of fair error-bound scaling.
        case_weights: Weights from an earlier audit, case id -> weight ("one-shot").
        feedback: Whose divergences are followed: of "training" cases, from the batches they are in, or of
            "validation" cases; None: whom the strategy follows by itself.
        oracle, oracle_factor: Attribute -> level of the subgroup that "oracle" is told, and how many times as often it
            draws its cases.
    """

    alpha: float | Literal["auto"] = 0.2
    reduction: Literal["mean", "sum"] = "mean"
    rule: WeightRule | None = None
    rule_changes: Mapping[str, Any] = field(default_factory=dict)
    focal_gamma: float = 2.0
    dro_step: float = 0.01
    dro_adjustment: float = 0.0
    dro_average: float = 0.1
    jtt_share: float = 1 / 3
    jtt_factor: float = 20.0
    jtt_failure: float = 0.5
    adversarial_strength: float = 0.1
    febs_gamma: float = 1.0
    case_weights: Mapping[str, float] = field(default_factory=dict)
    feedback: Literal["training", "validation"] | None = None
    oracle: Mapping[str, str] = field(default_factory=dict)
    oracle_factor: float = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class EpochScores:
    """What an epoch's validation found.

    Attributes:
        epoch: From 1.
        outcome: (n_validation,) finite, higher is better, in the order of the validation table; None in an epoch that
            was not validated.
        total_score: TS on the validation cases; None where undefined.
        training_dsc: (n_training,) Dice of the training cases without augmentation, in epochs of
            `needs_training_scores`; None in others.
    """

    epoch: int
    outcome: NDArray[np.float64] | None
    total_score: float | None = None
    training_dsc: NDArray[np.float64] | None = None


class Strategy:
    """A way to mitigate. As it stands it changes nothing; a subclass overrides what it does differently.

    Attributes:
        losses: The per-case loss, with the last batch's values.
        objective: What a step minimises.
        stages: Epochs of each stage; at the start of a stage the network is back at its initial weights.
        weights: Case weights of the next epoch for the record; None where cases have none.
        watches_dice: Whether `observe_dice` wants the Dice of the cases of each batch.
        augmentation: How images are changed in training, where that is what the strategy does; None: as for all.
    """

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        self.losses = RecordedLoss(context.loss)
        self.objective: Objective = MeanObjective(self.losses)
        self.stages: tuple[int, ...] = (context.epochs,)
        self.weights: CaseWeights | None = None
        self.watches_dice = False
        self.augmentation: Strength | None = None

    def prepare(self, network: nn.Module, example: Tensor) -> None:
        """Looks at the network once, before the optimiser is built; `example` is one input of the training size."""

    def probabilities(self) -> NDArray[np.float64] | None:
        """(n_training,) sampling weights of the next epoch; None for every case once."""
        return None

    def observe(self, case_ids: Sequence[str], losses: NDArray[np.float64]) -> None:
        """Takes the per-case losses of the batch just trained on, of all processes."""

    def observe_dice(self, case_ids: Sequence[str], dice: NDArray[np.float64]) -> None:
        """Takes the (B,) Dice of the batch just trained on, of all processes, if the strategy watches it; nan: none."""

    def needs_training_scores(self, epoch: int) -> bool:
        """Whether `update` wants the training cases scored after this epoch."""
        return False

    def update(self, scores: EpochScores) -> None:
        """Takes an epoch's scores and sets objective and probabilities for the next."""

    def facts(self) -> dict[str, float]:
        """Numbers of the next epoch for the history."""
        return {}

    def remarks(self) -> tuple[str, ...]:
        """What the user should know of the training, in words."""
        return ()

    def state_dict(self) -> dict[str, Any]:
        """State beyond the constructor's: plain dicts, lists and numbers."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict` of the same strategy on the same cases."""
