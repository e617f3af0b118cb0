"""The Dice of each patch of a batch, from what the network says of it anyway. Knows torch, and no nnU-Net."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segfair.mitigation.data.outputs import batch_dice, classes_of

__all__ = ["patch_dice"]


@torch.no_grad()
def patch_dice(
    logits: Tensor, target: Tensor, *, regions: bool = False, ignore_label: int | None = None
) -> NDArray[np.float64]:
    """The Dice of the predicted voxels of each patch, in the mean of the foreground classes.

    Args:
        logits: (B, C, ...) the network's finest output. C counts the background, or with `regions` the regions alone.
        target: (B, 1, ...) label values. With `regions` (B, C, ...), one where a voxel is in the region; with an
            ignore label a last channel more, one where a voxel is ignored.
        regions: Whether classes may overlap.
        ignore_label: Its voxels count nowhere; None: all count.

    Returns:
        (B,) a class that is not in the label counts nowhere; nan for a patch without any.
    """
    if regions:
        ignored = target[:, -1:].bool() if ignore_label is not None else None
        labelled = target[:, : logits.shape[1]].bool()
        predicted = logits > 0
    else:
        ignored = target == ignore_label if ignore_label is not None else None
        classes = torch.arange(1, logits.shape[1], device=logits.device).view(1, -1, *[1] * (logits.ndim - 2))
        labelled = target == classes
        predicted = classes_of(logits)
    if ignored is not None:
        labelled, predicted = labelled & ~ignored, predicted & ~ignored
    dice: NDArray[np.float64] = batch_dice(predicted, labelled).cpu().double().numpy()
    return dice
