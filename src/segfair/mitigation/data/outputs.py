"""What a network's output means: logits -> masks and probabilities of regions, and label maps on the grid of a file.

Training validates by it and prediction writes by it, so that both judge and write the same voxels. Never scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nan, uint8, where

from segfair.mitigation.data.boxes import BreastBox
from segfair.mitigation.data.preprocessing import Grid, restore
from segfair.mitigation.data.regions import Regions

__all__ = ["Reference", "batch_dice", "classes_of", "foreground", "label_map", "put_back", "region_probabilities"]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What a case on disk is scored against: the label as its file stores it, on the file's own grid.

    Attributes:
        label: The label's file.
        white_is_one: Whether it is one of black and white pictures, so that 255 means 1.
        grid: The network's grid.
        source: The grid of the image file, on which predictions are written.
        box: The part of the image in which a lesion can lie; None: all of it.
    """

    label: Path
    white_is_one: bool
    grid: Grid
    source: Grid
    box: BreastBox | None = None


def classes_of(logits: Tensor) -> Tensor:
    """(B, C, ...) logits of background and C - 1 classes -> (B, C - 1, ...) which class wins; a tie is background."""
    # Not argmax: over the channels of a volume it takes longer than the network itself.
    top = logits[:, 1:].amax(1, keepdim=True)
    return (logits[:, 1:] == top) & (top > logits[:, :1])


def batch_dice(predicted: Tensor, labelled: Tensor) -> Tensor:
    """(B, K, ...) masks of what is predicted and labelled -> (B,) Dice, the mean over the K classes of the label.

    nan where the label has none: what is found in a patch beside the lesion says nothing of how the lesion is found.
    """
    overlap, found, there = (mask.flatten(2).sum(2) for mask in (predicted & labelled, predicted, labelled))
    return where(there > 0, 2 * overlap / (found + there), nan).nanmean(1)


def foreground(logits: Tensor, n_regions: int = 1) -> Tensor:
    """(B, C, X, Y, Z) logits -> (B, n_regions, X, Y, Z) uint8 masks.

    As many channels as regions: where the logit is above 0. Several channels for one region: where another than 0, the
    background, has the largest.
    """
    if logits.shape[1] == n_regions:
        return (logits > 0).to(uint8)
    # Not argmax: over the channels of a volume it takes longer than the network itself.
    return (logits[:, 1:].amax(1, keepdim=True) > logits[:, :1]).to(uint8)


def region_probabilities(logits: Tensor, n_regions: int = 1) -> Tensor:
    """(C, X, Y, Z) logits -> (n_regions, X, Y, Z), above 0.5 where the network says that a voxel is of a region.

    As many channels as regions: their sigmoids. Several channels for one region: the largest other class against the
    background alone, so that 0.5 is where the background stops being the likeliest.
    """
    if logits.shape[0] == n_regions:
        return logits.sigmoid()
    return (logits[1:].amax(dim=0, keepdim=True) - logits[:1]).sigmoid()


def put_back(
    probabilities: NDArray[np.float32], grid: Grid, source: Grid, box: BreastBox | None = None
) -> NDArray[np.bool_]:
    """(R, X, Y, Z) probabilities on the network's grid -> (R, ...) masks on the grid of the image file.

    Args:
        probabilities: Of each region.
        grid: The network's grid.
        source: The file's grid.
        box: Outside of it nothing is lesion; None: no box.
    """
    masks = np.stack([restore(values, grid, source) for values in probabilities])
    return masks if box is None else np.stack([box.restrict(mask) for mask in masks])


def label_map(probabilities: NDArray[np.float32], reference: Reference, regions: Regions) -> NDArray[np.integer[Any]]:
    """The label map that a prediction of this case is written as, on the grid of its image file."""
    return regions.decode(put_back(probabilities, reference.grid, reference.source, reference.box))
