"""Probabilities of voxels and which of them are lesion -> calibration, as pure functions of arrays.

All take arrays of the same voxels; which voxels these are is decided elsewhere.

References:
    Brier. Verification of forecasts expressed in terms of probability. Monthly Weather Review 1950.
    Naeini et al. Obtaining well calibrated probabilities using Bayesian binning. AAAI 2015 (ECE).
    Bröcker, Smith. Increasing the reliability of reliability diagrams. Weather and Forecasting 2007; Vaicenavicius et
    al. Evaluating model calibration in classification. AISTATS 2019 (what a calibrated model shows by chance).
    Li et al. Estimating model performance under domain shifts with class-specific confidence scores. MICCAI 2022 (the
    DSC that probabilities expect).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DRAWS",
    "N_BINS",
    "BinSums",
    "bin_sums",
    "brier_score",
    "calibration_error",
    "chance_error",
    "expected_dice",
]

N_BINS = 15
"""Bins of equal width; a value on an edge is in the upper one, and 1 in the last."""
DRAWS = 200
"""Simulated labels of a case, from which its chance level is averaged."""
# Parts of a bin whose voxels are drawn together, as if all had the mean probability of the part.
_PARTS = 256

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BinSums:
    """What the bins of one case hold.

    Attributes:
        n: (N_BINS,) voxels.
        probability: (N_BINS,) sum of their probabilities.
        lesion: (N_BINS,) how many of them are lesion.
    """

    n: Floats
    probability: Floats
    lesion: Floats


def bin_sums(probabilities: Floats, lesion: NDArray[np.bool_]) -> BinSums:
    """The voxels of each bin; no voxels: zeros."""
    place = _bins(probabilities, N_BINS)
    return BinSums(
        np.bincount(place, minlength=N_BINS).astype(np.float64),
        np.bincount(place, probabilities, minlength=N_BINS).astype(np.float64),
        np.bincount(place, lesion, minlength=N_BINS).astype(np.float64),
    )


def calibration_error(sums: BinSums) -> float:
    """Expected calibration error (ECE): mean over voxels of |mean probability - share of lesion| of their bin.

    Empty: without a voxel nan.
    """
    total = float(sums.n.sum())
    return float(np.abs(sums.probability - sums.lesion).sum()) / total if total else float("nan")


def chance_error(probabilities: Floats, *, draws: int = DRAWS) -> float:
    """The ECE that a perfectly calibrated model with these probabilities shows: each voxel lesion by a draw of its own.

    Not 0, for a bin of few voxels is off by chance. Voxels of nearly one probability (a 256th of a bin) are drawn
    together, which makes the cost independent of how many there are. Neighbouring voxels are not independent, so that
    the true chance level is higher. The same probabilities have the same level. Empty: without a voxel nan.
    """
    if not len(probabilities):
        return float("nan")
    part = _bins(probabilities, N_BINS * _PARTS)
    n = np.bincount(part, minlength=N_BINS * _PARTS)
    total = np.bincount(part, probabilities, minlength=N_BINS * _PARTS)
    held = np.flatnonzero(n)
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(probabilities).tobytes()))
    drawn = rng.binomial(n[held], np.clip(total[held] / n[held], 0, 1), size=(draws, len(held))) - total[held]
    first = np.flatnonzero(np.diff(held // _PARTS, prepend=-1))
    off = np.add.reduceat(drawn, first, axis=1)
    return float(np.abs(off).sum(axis=1).mean()) / len(probabilities)


def brier_score(probabilities: Floats, lesion: NDArray[np.bool_]) -> float:
    """Mean squared difference of probability and label. Empty: without a voxel nan."""
    return float(((probabilities - lesion) ** 2).mean()) if len(probabilities) else float("nan")


def expected_dice(probabilities: NDArray[np.floating[Any]], mask: NDArray[np.bool_], *, both_empty: float) -> float:
    """The DSC that a mask has if the probabilities are right and voxels are independent of each other.

    With labels y ~ Bernoulli(p) the DSC of a mask m is 2 sum(m y) / (sum m + sum y). Its expectation is that ratio with
    both sums replaced by their own expectations, 2 sum(m p) / (sum m + sum p), up to terms of the order
    Var(sum y) / (sum m + sum p)^2, which vanish with the number of voxels (first-order delta method).

    Empty: an empty mask has the DSC `both_empty` where the label is empty too, and 0 elsewhere, so that its expectation
    is exactly `both_empty` times the product of 1 - p.
    """
    if not mask.any():
        with np.errstate(divide="ignore"):
            return both_empty * float(np.exp(np.log1p(-probabilities).sum(dtype=np.float64)))
    hit, total = (float(part.sum(dtype=np.float64)) for part in (probabilities[mask], probabilities))
    return 2 * hit / (float(mask.sum()) + total)


def _bins(probabilities: Floats, n_bins: int) -> NDArray[np.intp]:
    edges = np.arange(1, n_bins) / n_bins
    return np.searchsorted(edges, probabilities, side="right")
