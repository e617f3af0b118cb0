"""Tunes FairMedSeg's alpha during training, from the validation total score. Knows no network.

References:
    Poeta et al. 2025 (FairMedSeg), Limitations: "automatic tuning could further enhance generalization".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["AlphaTuner"]


class AlphaTuner:
    """A bandit over values of alpha, rewarded by the gain in validation TS of the epochs that used them.

    Gains fall along every training curve, so an arm is judged by its gain beyond the running mean of all gains.
    Each arm is tried once, starting from the paper's alpha; then the arm of the highest discounted upper confidence
    bound is used, so that an arm can win late in training too. Needs no epoch beyond the run's own.

    References:
        Garivier, Moulines. On Upper-Confidence Bound Policies for Switching Bandit Problems. ALT 2011.
    """

    def __init__(
        self,
        arms: tuple[float, ...] = (0.2, 0.5, 0.8, 0.05),
        *,
        discount: float = 0.9,
        exploration: float = 0.5,
    ) -> None:
        self.arms = arms
        self.discount = discount
        self.exploration = exploration
        self._arm = 0
        self._counts = [0.0] * len(arms)
        self._gains = [0.0] * len(arms)
        self._previous: float | None = None
        self._mean_gain: float | None = None
        self._spread = 0.0

    @property
    def alpha(self) -> float:
        """The alpha to use in the next epoch."""
        return self.arms[self._arm]

    def update(self, total_score: float) -> None:
        """Takes the validation TS after an epoch with the current alpha and chooses the next one."""
        if self._previous is None:
            # The first epoch has no gain to judge by, and no weights to balance either.
            self._previous = total_score
            return
        gain = total_score - self._previous
        self._previous = total_score
        beyond = 0.0 if self._mean_gain is None else gain - self._mean_gain
        self._mean_gain = gain if self._mean_gain is None else 0.5 * (self._mean_gain + gain)
        self._spread = max(abs(beyond), self.discount * self._spread)
        self._counts = [self.discount * count for count in self._counts]
        self._gains = [self.discount * total for total in self._gains]
        self._counts[self._arm] += 1.0
        self._gains[self._arm] += beyond
        self._arm = max(range(len(self.arms)), key=self._bound)

    def _bound(self, arm: int) -> float:
        if self._counts[arm] == 0.0:
            return math.inf
        total = max(math.e, sum(self._counts))
        mean = self._gains[arm] / self._counts[arm]
        return mean + self.exploration * self._spread * math.sqrt(math.log(total) / self._counts[arm])

    def state_dict(self) -> dict[str, Any]:
        """Plain lists and numbers."""
        return {
            "arm": self._arm,
            "counts": list(self._counts),
            "gains": list(self._gains),
            "previous": self._previous,
            "mean_gain": self._mean_gain,
            "spread": self._spread,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self._arm = state["arm"]
        self._counts, self._gains = list(state["counts"]), list(state["gains"])
        self._previous, self._mean_gain, self._spread = state["previous"], state["mean_gain"], state["spread"]
