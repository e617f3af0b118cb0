"""Probabilities of cases that change while other processes draw by them. Imports no torch and no nnU-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from multiprocessing import RawArray
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError

__all__ = ["SharedProbabilities", "weights_of"]


def weights_of(case_ids: Sequence[str], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """(n_cases,) the weights of cases in their order; those of further cases are not used.

    Raises:
        InputError: A case without a weight, or no case that would be drawn.
    """
    without = [case_id for case_id in case_ids if case_id not in weights]
    if without:
        raise InputError(
            f"weights: {len(without)} of {len(case_ids)} training cases have none, for example {without[0]}; "
            "make them for the training cases of this fold (segfair weights --cases splits_final.json:FOLD)"
        )
    found = np.array([weights[case_id] for case_id in case_ids], dtype=np.float64)
    if not found.any():
        raise InputError("weights: those of the training cases of this fold are all 0, so no case would be drawn")
    return found


class SharedProbabilities:
    """What `numpy.random.choice` takes as `p`, in memory that processes share.

    A loader's processes hold copies of their loader; of this they see every change. What is drawn by is read anew
    for each batch and scaled to a sum of 1 by who reads it, so that a draw in the middle of a change is one by some
    old and some new weights, not an error.

    Args:
        weights: (n_cases,) non-negative weights of any scale, at least one above 0.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self._shared = RawArray("d", len(weights))
        self.change(weights)

    def change(self, weights: NDArray[np.float64]) -> None:
        """Takes (n_cases,) other weights, for the batches that are drawn from now on."""
        np.frombuffer(self._shared)[:] = weights

    def __len__(self) -> int:
        return len(self._shared)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.float64]:
        """(n_cases,) the probabilities of this moment; always a copy."""
        weights = np.frombuffer(self._shared).copy()
        probabilities: NDArray[np.float64] = np.asarray(weights / weights.sum(), dtype=dtype)
        return probabilities
