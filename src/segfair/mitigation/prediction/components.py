"""What may be left of a predicted mask: its largest connected part. Knows nothing of networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["largest_component"]


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of a mask; voxels that touch at a corner are connected.

    Args:
        mask: Of any shape; an empty one stays empty. Of several largest parts the first is kept.

    Returns:
        A mask of the same shape.
    """
    labels, n_parts = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    if n_parts < 2:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest: NDArray[np.bool_] = labels == sizes.argmax()
    return largest
