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
from segfair.scoring.boxes import box_around
from segfair.scoring.pairs import with_sets
from segfair.scoring.scores import counted_values

__all__ = ["label_digest"]


def label_digest(label: Mask, protocol: Protocol) -> str:
    """SHA-256 of what counts of a label: its values, where they are, and the size of the image.

    Args:
        label: The label.
        protocol: The rules; values that score nothing under them do not change the digest.

    Returns:
        64 hexadecimal digits. Voxel sizes are no part of it, because formats round them differently.
    """
    scored = _closest_to_patient_axes(label).mapped(lambda values: _that_score(values, protocol, label))
    found = hashlib.sha256(repr(scored.shape).encode("ascii"))
    # Only the box around the lesion is looked at voxel by voxel; where it lies is part of the digest.
    box = box_around(scored)
    if box is not None:
        found.update(repr([(side.start, side.stop - side.start) for side in box]).encode("ascii"))
        found.update(np.ascontiguousarray(scored.cut(box)).tobytes())
    return found.hexdigest()


def _that_score(values: NDArray[Any], protocol: Protocol, label: Mask) -> NDArray[np.signedinteger[Any]]:
    """The values of a label with those that score nothing as background, and those that score alike as one."""
    counted = counted_values(protocol)
    if protocol.label.surface == "any" and not protocol.regions:
        kept = values  # borders between any two values are surface
    elif counted == "any":
        kept = values != 0
    else:
        kept = np.where(np.isin(values, with_sets(counted, label.sets)), values if protocol.regions else 1, 0)
    # One byte a voxel wherever that is enough, so that the digest depends on values and not on how they are stored.
    narrow = kept.min() >= 0 and kept.max() <= np.iinfo(np.int8).max
    stored: NDArray[Any] = kept.astype(np.int8 if narrow else np.dtype("<i8"))
    return stored if protocol.ignore_label is None else np.where(values == protocol.ignore_label, -1, stored)


def _closest_to_patient_axes(label: Mask) -> Mask:
    """The label with its axes in the order and direction of the patient's; as it is where they are not told apart."""
    if label.ndim != 3:
        return label
    directions = np.asarray(label.affine, dtype=float)[:3, :3]
    axes = np.abs(directions).argmax(axis=0)
    if sorted(axes.tolist()) != [0, 1, 2]:
        return label
    order = np.argsort(axes)
    backwards = [bool(directions[axes[axis], axis] < 0) for axis in order]
    return label.turned(tuple(order.tolist()), tuple(backwards))
