"""Small masks from a seed, made by integers alone: balls in space, the same as planes and as single slices, and noise."""

from __future__ import annotations

import numpy as np
from tests.scoring.oracles.lesion_masks import lesion_masks, spacing_of

KINDS = ("balls", "plane", "slice", "noise")


def tool_masks(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Label, prediction and voxel size; some masks are empty, some reach the border of the image."""
    if kind == "noise":  # has each of the 256 neighbourhoods
        draw = np.random.RandomState(seed)
        sparse = draw.randint(1, 9)
        label, prediction = (draw.randint(0, 10, size=(9, 8, 7)) < sparse for _ in range(2))
        return label.astype(np.uint8), prediction.astype(np.uint8), spacing_of(seed)
    label, prediction = lesion_masks(seed)
    spacing = spacing_of(seed)
    if kind == "plane":
        return label[:, :, 9].copy(), prediction[:, :, 9].copy(), spacing[:2]
    if kind == "slice":
        return label[:, :, 9:10].copy(), prediction[:, :, 9:10].copy(), spacing
    return label, prediction, spacing
