"""Strategies that act on the images of every case: a gap between scanners is a gap between appearances.

What an image is changed by stands in `data.augmentation`; here is who asks for it.
"""

from __future__ import annotations

from segfair.mitigation.training.strategies.sampling import TemperedBalanced
from segfair.mitigation.training.strategies.strategy import Strategy, StrategyOptions, TrainingContext

__all__ = ["Augmented", "AugmentedBalanced", "Randomised"]


class Augmented(Strategy):
    """Plain training on images that are changed as strongly as nnU-Net does."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self.augmentation = "strong"


class AugmentedBalanced(TemperedBalanced):
    """Tempered balanced draws of such images."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self.augmentation = "strong"


class Randomised(Strategy):
    """Plain training on images whose grey values and texture are drawn anew, and whose shapes hardly change."""

    def __init__(self, context: TrainingContext, options: StrategyOptions) -> None:
        super().__init__(context, options)
        self.augmentation = "appearance"
