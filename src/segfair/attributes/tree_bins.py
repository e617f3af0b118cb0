"""Bin edges of numbers learned from the outcome by a tree, on cases that are then never audited.

Bins that were chosen because outcomes differ between them would make any test accuse somebody; hence the split: one
half of the cases (or patients) teaches the edges, the other half is audited.

References:
    Pastor, Baralis, de Alfaro. A Hierarchical Approach to Anomalous Subgroup Discovery (H-DivExplorer). ICDE 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError

__all__ = ["MAX_BINS", "learn_edges", "split_halves"]

MAX_BINS = 4


def split_halves(
    n_cases: int, *, rng: np.random.Generator, subjects: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Splits cases into a half to learn from and a half to audit; the cases of one subject stay together.

    Args:
        n_cases: Number of cases.
        rng: Source of randomness.
        subjects: (n_cases,) codes of patients; None: every case is one.

    Returns:
        Indices of both halves, each in order.
    """
    unit = np.arange(n_cases) if subjects is None else np.unique(subjects, return_inverse=True)[1]
    n_units = int(unit.max(initial=-1)) + 1
    learning = np.zeros(n_units, dtype=bool)
    learning[rng.permutation(n_units)[: n_units // 2]] = True
    return np.flatnonzero(learning[unit]), np.flatnonzero(~learning[unit])


def learn_edges(
    values: Sequence[float | None], outcome: NDArray[np.float64], *, min_cases: int, name: str
) -> tuple[float, ...]:
    """Edges between which the outcome differs most, by a regression tree.

    Args:
        values: (n_cases,) numbers; None where missing.
        outcome: (n_cases,) finite.
        min_cases: Smallest number of cases of a bin.
        name: Column, for the message.

    Returns:
        Edges from -inf to inf, `MAX_BINS` bins at most; (-inf, inf) if no split is worth making.

    Raises:
        ConfigError: Not a numeric column.
    """
    from sklearn.tree import DecisionTreeRegressor

    known = np.array([value is not None for value in values], dtype=bool)
    numbers = np.array([value for value in values if value is not None], dtype=float)
    if len(numbers) < 2:
        raise ConfigError(
            f"bins {name}=tree: the column has fewer than two numbers; bins are learned from numbers only"
        )
    tree = DecisionTreeRegressor(max_leaf_nodes=MAX_BINS, min_samples_leaf=min_cases, random_state=0)
    tree.fit(numbers[:, None], outcome[known])
    thresholds = tree.tree_.threshold[tree.tree_.feature >= 0]
    return (-np.inf, *sorted({float(threshold) for threshold in thresholds}), np.inf)
