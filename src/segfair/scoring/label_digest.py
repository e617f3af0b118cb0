"""A label -> a digest of its voxels that count: equal digests, equal labels. Compares no audits itself.

Hashes voxels, not files: a label that was compressed again, or stored on axes in another order, has the same digest.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.files.images.masks import Mask
from segfair.protocol.rules import Protocol
from segfair.scoring.scores import counted_values
from segfair.scoring.surfaces import joint_box

__all__ = ["label_digest"]


def label_digest(label: Mask, protocol: Protocol) -> str:
    """SHA-256 of what counts of a label: its values, where they are, and the size of the image.

    Args:
        label: The label.
        protocol: The rules; values that score nothing under them do not change the digest.

    Returns:
        64 hexadecimal digits. Voxel sizes are no part of it, because formats round them differently.
    """
    array = _closest_to_patient_axes(label.array, label.affine)
    found = hashlib.sha256(repr(array.shape).encode("ascii"))
    nothing = np.zeros((1,) * array.ndim, dtype=bool)
    box = joint_box(array, nothing)
    if box is not None:
        # Only the box around the lesion is looked at voxel by voxel; where it lies is part of the digest.
        values = _that_score(array[box], protocol)
        inner = joint_box(values, nothing)
        if inner is not None:
            places = [
                (outer.start + part.start, part.stop - part.start) for outer, part in zip(box, inner, strict=True)
            ]
            found.update(repr(places).encode("ascii"))
            found.update(np.ascontiguousarray(values[inner]).tobytes())
    return found.hexdigest()


def _that_score(values: NDArray[Any], protocol: Protocol) -> NDArray[np.signedinteger[Any]]:
    """The values of a label with those that score nothing as background, and those that score alike as one."""
    counted = counted_values(protocol)
    ignored = values == protocol.ignore_label if protocol.ignore_label is not None else np.zeros(values.shape, bool)
    if protocol.label.surface == "any" and not protocol.regions:
        kept = values  # borders between any two values are surface
    elif counted == "any":
        kept = values != 0
    else:
        kept = np.where(np.isin(values, counted), values if protocol.regions else 1, 0)
    # One byte a voxel wherever that is enough, so that the digest depends on values and not on how they are stored.
    narrow = kept.min() >= 0 and kept.max() <= np.iinfo(np.int8).max
    return np.where(ignored, -1, kept.astype(np.int8 if narrow else np.dtype("<i8")))


def _closest_to_patient_axes(array: NDArray[Any], affine: NDArray[np.float64]) -> NDArray[Any]:
    """The array with its axes in the order and direction of the patient's; as it is where they are not told apart."""
    if array.ndim != 3:
        return array
    directions = np.asarray(affine, dtype=float)[:3, :3]
    axes = np.abs(directions).argmax(axis=0)
    if sorted(axes.tolist()) != [0, 1, 2]:
        return array
    backwards = [axis for axis in range(3) if directions[axes[axis], axis] < 0]
    return np.flip(array, tuple(backwards)).transpose(np.argsort(axes))
