"""Strategies, selections and recipes by name: rule, paper and hook, in words. Imports no torch and builds nothing.

Help texts, the documentation and the page of a mitigation say what stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from segfair.mitigation.data.augmentation import Strength

__all__ = [
    "BASELINE",
    "RECIPES",
    "SELECTIONS",
    "STRATEGIES",
    "Feedback",
    "OptimiserName",
    "Recipe",
    "RecipeName",
    "ScheduleName",
    "Selection",
    "StrategyEntry",
]


Feedback = Literal["training", "validation"]


@dataclass(frozen=True, slots=True)
class StrategyEntry:
    """One row of the table.

    Attributes:
        rule: What it does, in one sentence.
        hook: Where it takes hold: in how often cases are drawn, in the loss of a step, in how images are changed, or
            nowhere.
        paper: Who proposed it; empty for plain training and for what began here.
        feedback: Whose divergences it follows unless told otherwise; None: nobody's. Where no strategy follows the
            validation cases, these can train as well.
    """

    rule: str
    hook: Literal["sampling", "loss", "data", "none"]
    paper: str = ""
    feedback: Feedback | None = None

    def validates(self, feedback: Feedback | None = None) -> bool:
        """Whether it learns from scores of validation cases, where `feedback` is what the user chose."""
        return self.feedback is not None and (feedback or self.feedback) == "validation"


BASELINE = "erm"
"""The plain model that every other one is compared with."""

STRATEGIES: Mapping[str, StrategyEntry] = {
    "erm": StrategyEntry("plain training: the mean loss, every case once an epoch", "none"),
    "fairmedseg": StrategyEntry(
        "weights the loss of a case by the largest absolute divergence among its subgroups (Eqs. 2-4)",
        "loss",
        "Poeta et al. 2025",
        feedback="validation",
    ),
    "fairmedseg-mean1": StrategyEntry(
        "the weights of fairmedseg scaled to a mean of 1, so that the loss keeps its scale over the epochs",
        "loss",
        feedback="validation",
    ),
    "divergence-sampling": StrategyEntry(
        "draws harmed cases more often: exp(5 x the largest shrunken deficit of its subgroups), from running scores of "
        "the training cases, mean 1, at most 8",
        "sampling",
        feedback="training",
    ),
    "adaptive-sampling": StrategyEntry(
        "divergence sampling whose temperature follows the spread of the divergences beyond noise; cells too small to "
        "be judged are drawn as by balanced-tempered",
        "sampling",
        feedback="training",
    ),
    "balanced": StrategyEntry(
        "draws evenly over the joint cells of all attributes, whatever their sizes",
        "sampling",
        "Puyol-Anton et al. MICCAI 2021",
    ),
    "balanced-tempered": StrategyEntry(
        "draws a case of a joint cell of n cases n^-1/2 times as often: half way to even draws", "sampling"
    ),
    "balanced-attributes": StrategyEntry(
        "draws evenly over the levels of each attribute, averaged over the attributes", "sampling"
    ),
    "balanced-attributes-tempered": StrategyEntry(
        "half way to even draws over the levels of each attribute, averaged over the attributes", "sampling"
    ),
    "reweighing": StrategyEntry(
        "loss weights P(g) P(y) / P(g, y): joint cell g and third y of the lesion sizes are independent under them",
        "loss",
        "Kamiran, Calders 2012",
    ),
    "groupdro": StrategyEntry(
        "loss weights of joint cells grow exponentially with their loss, over draws that are even over the cells",
        "loss",
        "Sagawa et al. ICLR 2020",
    ),
    "febs": StrategyEntry(
        "fair error-bound scaling: in the Dice term what is predicted for a badly served joint cell counts less",
        "loss",
        "Tian et al. ICLR 2024",
    ),
    "focal": StrategyEntry("Dice plus focal loss, whatever --loss says", "loss", "Lin et al. ICCV 2017"),
    "jtt": StrategyEntry(
        "a first network finds the training cases it fails on, a second one sees them 20 times as often; both share "
        "the epochs",
        "sampling",
        "Liu et al. ICML 2021",
    ),
    "adversarial": StrategyEntry(
        "gradient reversal at the bottleneck: features from which the attributes cannot be told",
        "loss",
        "Ganin et al. JMLR 2016",
    ),
    "augmented": StrategyEntry("plain training on images that are changed as strongly as nnU-Net does", "data"),
    "augmented-balanced": StrategyEntry("the draws of balanced-tempered, and such images", "data"),
    "randomised": StrategyEntry(
        "plain training on images whose grey values, contrast and texture are drawn anew each time", "data"
    ),
    "one-shot": StrategyEntry("draws by weights made beforehand (segfair weights, --weights)", "sampling"),
    "oracle": StrategyEntry(
        "is told a subgroup (--oracle) and draws it 4 times as often: to compare with, no remedy",
        "sampling",
    ),
}
"""Name on the command line -> what it is; `strategies.kinds` has the class of each."""

Selection = Literal["ema", "last", "dice", "ps", "ts", "worst"]

_CHOSEN = "; validation cases do not train, and the choice follows their noise"
SELECTIONS: Mapping[Selection, str] = {
    "ema": "the average of the weights over the end of the training; costs nothing",
    "last": "the weights of the last step; costs nothing",
    "dice": f"the epoch of the best mean validation Dice{_CHOSEN}",
    "ps": f"the epoch of the best validation PS{_CHOSEN}",
    "ts": f"the epoch of the best validation TS{_CHOSEN}: on real MRI it cost plain training .053 Dice [.028, .080] "
    "against the last epoch",
    "worst": f"the epoch of the best worst subgroup of the validation cases{_CHOSEN}, most of all the few of that "
    "subgroup",
}
"""Name on the command line -> which weights of a training are kept, and at what price."""

OptimiserName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["cosine", "one-cycle", "poly"]
RecipeName = Literal["paper", "strong"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained, whatever the data and whatever the strategy.

    Attributes:
        optimiser, schedule, weight_decay, average: See `FitSettings`.
        lr: The largest learning rate; `lr_transformer` that of swinunetr.
        select: Which weights are kept.
        augmentation: How strongly images are changed; None: by the number of epochs.
        test_flips: Whether test images are predicted with flips as well.
    """

    optimiser: OptimiserName
    schedule: ScheduleName
    weight_decay: float
    average: float
    lr: float
    lr_transformer: float
    select: Selection
    augmentation: Strength | None
    test_flips: bool


RECIPES: Mapping[RecipeName, Recipe] = {
    "paper": Recipe("adam", "cosine", 0.0, 0.0, 1e-4, 1e-4, "ts", "paper", test_flips=False),
    "strong": Recipe("adamw", "one-cycle", 0.01, 0.02, 3e-3, 5e-4, "ema", None, test_flips=True),
}
"""Name on the command line -> recipe: that of FairMedSeg's paper, and one that is the default on a data set."""
