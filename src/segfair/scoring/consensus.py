"""The labels of several raters -> what they mark in common: the majority, or STAPLE. Reads no file, scores nothing.

References:
    Warfield, Zou, Wells. Simultaneous truth and performance level estimation (STAPLE). IEEE TMI 23(7), 2004.
    Rohlfing, Russakoff, Maurer. Performance-based classifier combination in atlas-based image segmentation using
    expectation-maximization parameter estimation. IEEE TMI 23(8), 2004 (several label values).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["RULES", "Rule", "consensus", "majority", "staple"]

Rule = Literal["majority", "staple"]
RULES: tuple[Rule, ...] = ("majority", "staple")
LabelMap = NDArray[np.integer[Any]]

_LIKELY = 0.5
"""Probability from which on STAPLE's voxel is one of the lesion."""


def consensus(rule: Rule, labels: Sequence[LabelMap]) -> LabelMap:
    """What several label maps of one grid have in common, by a rule."""
    return majority(labels)[0] if rule == "majority" else staple(labels)


def majority(labels: Sequence[LabelMap]) -> tuple[LabelMap, int]:
    """The value that more raters gave a voxel than any other; a tie is background.

    Args:
        labels: Label maps of one shape, at least one; values from 0 on.

    Returns:
        The map, and how many voxels were tied between values.
    """
    values = sorted(set().union(*(np.unique(label).tolist() for label in labels)))
    most = np.zeros(labels[0].shape, np.intp)
    chosen = np.zeros_like(labels[0])
    tied = np.zeros(labels[0].shape, bool)
    for value in values:
        votes = np.sum([label == value for label in labels], axis=0)
        tied = (tied & (votes <= most)) | ((votes == most) & (votes > 0))
        chosen = np.where(votes > most, np.asarray(value, chosen.dtype), chosen)
        most = np.maximum(votes, most)
    return np.where(tied, np.zeros_like(chosen), chosen), int(tied.sum())


def staple(labels: Sequence[LabelMap]) -> LabelMap:
    """The maps as one, each rater weighed by how well it agrees with what is estimated to be true.

    With one value beside the background SimpleITK's STAPLE with its own settings, lesion from a probability of .5 on;
    with several its MultiLabelSTAPLE, voxels that stay undecided being background. Where all raters are alike (all
    empty, for one), of which STAPLE makes no number, theirs is the answer.

    Args:
        labels: Label maps of one shape, at least one; values from 0 on.
    """
    first = labels[0]
    if all(np.array_equal(first, label) for label in labels[1:]):
        return first
    import SimpleITK

    values = sorted(set().union(*(np.unique(label).tolist() for label in labels)) - {0})
    itk: Any = SimpleITK
    images = [itk.GetImageFromArray(np.ascontiguousarray(label)) for label in labels]
    if len(values) > 1:
        return np.asarray(itk.GetArrayFromImage(itk.MultiLabelSTAPLE(images, 0))).astype(first.dtype)
    probability = itk.GetArrayFromImage(itk.STAPLE(images, 1.0, float(values[0])))
    return np.where(probability >= _LIKELY, values[0], 0).astype(first.dtype)
