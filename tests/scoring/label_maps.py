"""Label maps made of boxes, and the scores of a pair of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from segfair.protocol.rules import Protocol, load_protocol
from segfair.scoring.pairs import score_pair

DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")
SHAPE = (10, 12, 8)
SPACING = (0.5, 1.0, 3.0)


def boxes(*parts: tuple[int, tuple[tuple[int, int], ...]], shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A label map of boxes: (value, half-open range along each axis)."""
    labels = np.zeros(shape, dtype=np.uint8)
    for value, ranges in parts:
        labels[tuple(slice(*bounds) for bounds in ranges)] = value
    return labels


CUBE = ((2, 6), (2, 6), (2, 6))
EMPTY = boxes()


def values(label: np.ndarray, prediction: np.ndarray, protocol: Protocol, spacing: Any = None) -> Any:
    return score_pair(label, prediction, spacing_mm=spacing or (1.0,) * label.ndim, protocol=protocol).values


REGIONS = DEFAULT.replace(
    regions={"whole": (1, 2), "core": (2,)}, metrics=("dsc", "volume", "lesion_missed", "precision", "hd95_mm")
)
