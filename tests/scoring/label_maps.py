"""Label maps made of boxes and drawn by hypothesis, and the scores of a pair of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segfair.protocol.rules import Protocol, load_protocol
from segfair.scoring.pairs import score_pair

DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")
SHAPE = (10, 12, 8)
SPACING = (0.5, 1.0, 3.0)


SHAPES = st.lists(st.integers(1, 6), min_size=2, max_size=3).map(tuple)


@st.composite
def label_maps(draw: st.DrawFn, n: int = 2) -> list[np.ndarray]:
    """Several sparse label maps of one 2-D or 3-D shape."""
    shape = draw(SHAPES)
    return [
        draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3), fill=st.sampled_from([0, 1]))) for _ in range(n)
    ]


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
