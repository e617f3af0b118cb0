"""Out-of-fold scores with gaps and gains put in by hand: evidence without a training."""

from __future__ import annotations

import numpy as np

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.mitigation.experiment.evidence import PooledScores

N_CASES = 200
SEX = np.arange(N_CASES) % 4 == 0
"""Women, a quarter."""
SITE = np.arange(N_CASES) % 4 < 2
"""Holds all women, so that women of a site are all women, and no half of them is worse by chance."""
FOLDS = np.arange(N_CASES) // 4 % 5
"""Five folds with ten women each."""


def attribute(name: str, codes: np.ndarray, *levels: str) -> Attribute:
    return Attribute(name, levels, codes.astype(np.int16), name, "as they are")


def table(*attributes: Attribute, n: int = N_CASES) -> AttributeTable:
    return AttributeTable(tuple(f"c{index:04d}" for index in range(n)), attributes, {})


ATTRIBUTES = table(attribute("sex", ~SEX, "F", "M"), attribute("site", ~SITE, "A", "B"))


def pooled(dsc: np.ndarray) -> PooledScores:
    """(n_seeds, n_cases) Dice; NormHD falls with it."""
    return PooledScores(ATTRIBUTES.case_ids[: dsc.shape[1]], dsc, 0.3 * (1 - dsc))


def plain_dice(n_seeds: int, *, women: float = 0.7, noise: float = 0.05, seed_noise: float = 0.02) -> np.ndarray:
    """(n_seeds, n_cases): women worse, each case of its own difficulty, each seed with noise of its own."""
    rng = np.random.default_rng(3)
    means = np.where(SEX, women, 0.9) + noise * rng.standard_normal(N_CASES)
    return means + seed_noise * rng.standard_normal((n_seeds, N_CASES))


def trained(n_seeds: int, *, gain: float = 0.0, rest: float = 0.0, seed_noise: float = 0.02) -> np.ndarray:
    """Another model: women gain, the rest change, seeds have noise of their own."""
    rng = np.random.default_rng(8)
    return (
        plain_dice(n_seeds, seed_noise=0.0)
        + np.where(SEX, gain, rest)
        + seed_noise * rng.standard_normal((n_seeds, N_CASES))
    )
