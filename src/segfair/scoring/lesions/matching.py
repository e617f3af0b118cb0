"""Which predicted parts belong to which lesion of the label: the whole difference between the rules of a protocol.

What touches the lesion once it is widened (BraTS), the one part that overlaps it by half (panoptica), what lies nearest
to it (Voronoi). One pass over each mask labels its parts; from then on only voxels that are not background are looked
at. Measures nothing.

References:
    Saluja et al. BraTS 2023 lesion-wise metrics. github.com/rachitsaluja/BraTS-2023-Metrics.
    Kofler et al. Panoptica: instance-wise evaluation of 3D semantic and instance segmentation maps. arXiv:2312.02608.
    Jaus et al. Every component counts: rethinking the measure of success for medical semantic segmentation in
    multi-instance segmentation tasks. AAAI 2025 (CC-Metrics).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segfair.protocol.rules import LesionRule
from segfair.scoring.lesions.parts import (
    Codes,
    Mask,
    Parts,
    Table,
    any_along,
    components,
    counts,
    n_without,
    parts_of,
    shared_voxels,
)

__all__ = ["Match", "match_lesions"]


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What belongs to what. Tables are sparse: noise has parts by the hundred thousand.

    Attributes:
        label: The lesions of the label.
        prediction: The predicted voxels, their parts as the rule has them.
        shared: (n_label, n_predicted parts) voxels in common.
        belongs: (n_label, n_predicted parts) 1 where a predicted part is of a lesion.
        is_found: (n_label,) whether a lesion was found.
        n_false: Predicted lesions that belong to none.
    """

    label: Parts
    prediction: Parts
    shared: Table
    belongs: Table
    is_found: Mask
    n_false: int


def _match_by_dilation(label: Mask, prediction: Mask, rule: LesionRule) -> Match:
    """BraTS: parts of the label that touch once widened are one lesion, found by whatever reaches its widened voxels.

    The box need not be wider than the masks: what is widened beyond it can be moved onto its faces without coming
    apart. A predicted part may be of several lesions, and is then of each of them as a whole.
    """
    regions, n = components(_widened(label, rule.dilation), rule.connectivity)
    lesions = parts_of(label, regions, n)
    predicted = parts_of(prediction, *components(prediction, rule.connectivity))
    # The lesion whose widened voxels a voxel is one of: a region holds one lesion.
    lesion_of = np.full(n + 1, -1, dtype=np.intp)
    lesion_of[regions[tuple(lesions.where.T)]] = lesions.codes
    reached = lesion_of[regions[tuple(predicted.where.T)]]
    belongs = counts(reached, predicted.codes, (lesions.n, predicted.n)).sign()
    return Match(
        lesions,
        predicted,
        shared_voxels(lesions, predicted, label.shape),
        belongs,
        any_along(belongs, 1),
        n_without(belongs),
    )


def _match_by_overlap(label: Mask, prediction: Mask, rule: LesionRule) -> Match:
    """Panoptica: the predicted lesion whose intersection over union reaches the threshold, at most one."""
    lesions = parts_of(label, *components(label, rule.connectivity))
    predicted = parts_of(prediction, *components(prediction, rule.connectivity))
    shared = shared_voxels(lesions, predicted, label.shape)
    pairs = shared.tocoo()
    union = lesions.sizes[pairs.row] + predicted.sizes[pairs.col] - pairs.data
    close = pairs.data >= rule.overlap * union
    belongs = counts(pairs.row[close], pairs.col[close], shared.shape).sign()
    return Match(lesions, predicted, shared, belongs, any_along(belongs, 1), n_without(belongs))


def _match_by_nearest(label: Mask, prediction: Mask, rule: LesionRule) -> Match:
    """CC-Metrics: each predicted voxel is of the lesion of the label that is nearest to it, in voxels.

    A lesion is found where a voxel of it is predicted, and a predicted part is false that has no voxel of the label.
    """
    from scipy import sparse

    lesions = parts_of(label, *components(label, rule.connectivity))
    predicted = parts_of(prediction, *components(prediction, rule.connectivity))
    touched = shared_voxels(lesions, predicted, label.shape)
    n = max(lesions.n, 1)
    regions = Parts(predicted.where, _nearest_lesion(lesions, predicted.where), n)
    return Match(
        lesions,
        regions,
        shared_voxels(lesions, regions, label.shape),
        sparse.eye_array(lesions.n, n, dtype=np.intp, format="csr"),
        any_along(touched, 1),
        n_without(touched),
    )


_MATCHES: dict[str, Callable[[Mask, Mask, LesionRule], Match]] = {
    "brats": _match_by_dilation,
    "panoptica": _match_by_overlap,
    "voronoi": _match_by_nearest,
}


def _widened(mask: Mask, steps: int) -> Mask:
    """A mask with the neighbours by a face or an edge of all its voxels, so many times over."""
    for _ in range(steps):
        wider = mask.copy(order="K")
        # A neighbour by an edge is one along two axes.
        for first, second in itertools.combinations(range(mask.ndim), 2):
            wider |= _widened_along(_widened_along(mask, first), second)
        mask = wider
    return mask


def _widened_along(mask: Mask, axis: int) -> Mask:
    wider = mask.copy(order="K")
    before, after = np.moveaxis(mask, axis, 0), np.moveaxis(wider, axis, 0)
    after[1:] |= before[:-1]
    after[:-1] |= before[1:]
    return wider


def _nearest_lesion(lesions: Parts, where: Codes) -> Codes:
    """(n,) the lesion that is nearest to each of some voxels; of several the first one. Without lesions: 0."""
    from scipy.spatial import cKDTree

    if lesions.n < 2 or not len(where):
        return np.zeros(len(where), dtype=np.intp)
    tree = cKDTree(lesions.where, balanced_tree=False)
    distances, nearest = map(np.asarray, tree.query(where))
    found: Codes = lesions.codes[nearest]
    # Voxels lie whole numbers apart, so that several are often equally near. The next distance that a grid knows is
    # further off than this.
    outside = np.flatnonzero(distances > 0)
    if outside.size:
        near = tree.query_ball_point(where[outside], distances[outside] * (1 + 1e-9))
        starts = np.cumsum([0, *(len(entry) for entry in near[:-1])])
        found[outside] = np.minimum.reduceat(lesions.codes[np.concatenate(near).astype(np.intp)], starts)
    return found


def match_lesions(label: Mask, prediction: Mask, rule: LesionRule) -> Match:
    """What belongs to what by the rule of a protocol, which is not "none".

    Args:
        label: Booleans, 2-D or 3-D: the box around all that is not background, or more.
        prediction: The same of the prediction.
        rule: The rule.
    """
    return _MATCHES[rule.rule](label, prediction, rule)
