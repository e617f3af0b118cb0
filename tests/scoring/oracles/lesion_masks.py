"""Small masks of several lesions from a seed, made by integers alone so that every NumPy makes the same."""

from __future__ import annotations

import hashlib

import numpy as np

SHAPE = (26, 22, 18)
SPACINGS = ((1.0, 1.0, 1.0), (0.75, 1.0, 2.5))


def spacing_of(seed: int) -> tuple[float, ...]:
    """Voxel size of the masks of a seed."""
    return SPACINGS[seed % len(SPACINGS)]


def lesion_masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Label and prediction: balls of which some are kept, moved, missed, split, or joined, and some invented."""
    draw = np.random.RandomState(seed)
    label, prediction = np.zeros(SHAPE, dtype=np.uint8), np.zeros(SHAPE, dtype=np.uint8)
    for _ in range(draw.randint(0, 7)):
        centre, radius = [draw.randint(0, side) for side in SHAPE], draw.randint(1, 5)
        _ball(label, centre, radius)
        fate = draw.randint(0, 5)
        if fate < 2:
            _ball(prediction, [place + draw.randint(-2, 3) for place in centre], radius + draw.randint(-1, 2))
        elif fate == 2:
            _ball(prediction, centre, radius)
        elif fate == 3:
            _ball(prediction, centre, radius)
            prediction[centre[0]] = 0
    for _ in range(draw.randint(0, 3)):
        _ball(prediction, [draw.randint(0, side) for side in SHAPE], draw.randint(1, 3))
    return label, prediction


def digest(label: np.ndarray, prediction: np.ndarray) -> str:
    """SHA-256 of two masks."""
    return hashlib.sha256(label.tobytes() + prediction.tobytes()).hexdigest()


def _ball(mask: np.ndarray, centre: list[int], radius: int) -> None:
    squares = sum((axis - place) ** 2 for axis, place in zip(np.indices(mask.shape), centre, strict=True))
    mask[squares <= radius * radius] = 1
