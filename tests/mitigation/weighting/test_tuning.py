"""The tuner of alpha: starts at the paper's value, and stays with what gains most."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from segfair.mitigation.weighting.tuning import AlphaTuner


def simulate(response: Mapping[float, float], epochs: int) -> list[float]:
    """A learning curve whose slope depends on alpha, and the alphas the tuner chose."""
    tuner, score, used = AlphaTuner(), 0.5, []
    for epoch in range(epochs):
        tuner.update(score)
        used.append(tuner.alpha)
        score += (0.2 + response[tuner.alpha]) / (epoch + 2)
    return used


def test_alpha_tuner_starts_at_the_papers_value() -> None:
    assert AlphaTuner().alpha == 0.2


@pytest.mark.parametrize("best", AlphaTuner().arms)
def test_alpha_tuner_prefers_the_alpha_that_gains_most(best: float) -> None:
    used = simulate({alpha: 0.1 * (alpha == best) for alpha in AlphaTuner().arms}, 60)
    assert set(used[:5]) == set(AlphaTuner().arms)
    assert used[20:].count(best) > max(used[20:].count(alpha) for alpha in AlphaTuner().arms if alpha != best)
