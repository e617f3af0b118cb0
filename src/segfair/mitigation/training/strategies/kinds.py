"""Which class a strategy's name means. Says nothing of what it does; `catalogue` does."""

from __future__ import annotations

from collections.abc import Mapping

from segfair.errors import ConfigError
from segfair.mitigation.training.catalogue import STRATEGIES, Feedback
from segfair.mitigation.training.strategies.data import Augmented, AugmentedBalanced, Randomised
from segfair.mitigation.training.strategies.feedback import Following
from segfair.mitigation.training.strategies.loss import (
    Adversarial,
    FairMedSeg,
    FairMedSegMeanOne,
    Febs,
    Focal,
    GroupDro,
    Reweighing,
)
from segfair.mitigation.training.strategies.sampling import (
    AdaptiveSampling,
    Balanced,
    BalancedOverAttributes,
    DivergenceSampling,
    Jtt,
    OneShot,
    Oracle,
    TemperedBalanced,
    TemperedOverAttributes,
)
from segfair.mitigation.training.strategies.strategy import Strategy, StrategyOptions, TrainingContext
from segfair.mitigation.weighting.reweighter import WeightRule

__all__ = ["Erm", "make_strategy", "rule_of"]


class Erm(Strategy):
    """Plain training (empirical risk minimisation): the mean loss, every case once an epoch."""


_KINDS: Mapping[str, type[Strategy]] = {
    "erm": Erm,
    "fairmedseg": FairMedSeg,
    "fairmedseg-mean1": FairMedSegMeanOne,
    "divergence-sampling": DivergenceSampling,
    "adaptive-sampling": AdaptiveSampling,
    "balanced": Balanced,
    "balanced-tempered": TemperedBalanced,
    "balanced-attributes": BalancedOverAttributes,
    "balanced-attributes-tempered": TemperedOverAttributes,
    "reweighing": Reweighing,
    "groupdro": GroupDro,
    "febs": Febs,
    "focal": Focal,
    "jtt": Jtt,
    "adversarial": Adversarial,
    "augmented": Augmented,
    "augmented-balanced": AugmentedBalanced,
    "randomised": Randomised,
    "one-shot": OneShot,
    "oracle": Oracle,
}
"""Name of `STRATEGIES` -> class."""


def rule_of(name: str, feedback: Feedback | None = None) -> WeightRule | None:
    """How a strategy makes weights of divergences, if nothing else is said; None for one that follows nobody's."""
    kind = _KINDS[name]
    return kind.rule_for(feedback or kind.follows) if issubclass(kind, Following) else None


def make_strategy(name: str, context: TrainingContext, options: StrategyOptions | None = None) -> Strategy:
    """The strategy of that name.

    Raises:
        ConfigError: No such strategy, or one that cannot be used on these cases.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"strategy {name}: unknown; known are {', '.join(STRATEGIES)}")
    return _KINDS[name](context, options or StrategyOptions())
