"""Two masks -> the parts that their deficit, 1 - DSC, is made of. Arrays only; reads no file, aggregates nothing.

A lesion is a connected component (voxels that share a face, an edge or a corner). It was found where the prediction
has a voxel of it; a component of the prediction without a voxel of the label is a false positive. Both are counted
voxels, so what the DSC would be without them follows from sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segfair.audit.result.subgroups import PartName
from segfair.protocol.rules import SurfaceRule
from segfair.scoring.boxes import joint_box
from segfair.scoring.metrics import MaskPair, assd, surface_distances

__all__ = ["Compared", "boundary_error", "compare", "moved_deficit", "take_apart"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A label and a prediction of one region, with what belongs to what.

    Attributes:
        pair: The two masks.
        found: The components of the label that the prediction has a voxel of.
        finding: The components of the prediction that have a voxel of the label.
    """

    pair: MaskPair
    found: Mask
    finding: Mask

    @property
    def n_missed(self) -> int:
        """Voxels of the label whose component the prediction has nothing of."""
        return self.pair.n_label - int(np.count_nonzero(self.found))

    @property
    def n_invented(self) -> int:
        """Voxels of the prediction whose component has nothing of the label."""
        return self.pair.n_prediction - int(np.count_nonzero(self.finding))


def compare(pair: MaskPair) -> Compared:
    """Says which components of two masks belong to which. Empty masks: nothing is found."""
    found, finding = (np.zeros(pair.label.shape, dtype=np.bool_) for _ in range(2))
    if pair.box is not None and pair.n_both:
        label, prediction = pair.label[pair.box], pair.prediction[pair.box]
        found[pair.box] = _touched(label, prediction)
        finding[pair.box] = _touched(prediction, label)
    return Compared(pair, found, finding)


def _touched(mask: Mask, other: Mask) -> Mask:
    """The components of a mask that share a voxel with another mask."""
    components, number = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    if number < 2:
        return mask
    is_touched = np.zeros(number + 1, dtype=np.bool_)
    is_touched[components[other & mask]] = True
    touched: Mask = is_touched[components]
    return touched


def boundary_error(compared: Compared, rule: SurfaceRule) -> float | None:
    """How far the outlines of what was found lie apart on average (ASSD), in the unit of the spacing.

    Missed lesions and false positives have no outline to compare, and would each add their distance to the next one.

    Returns:
        None where nothing was found.
    """
    if not compared.pair.n_both:
        return None
    pair = MaskPair(
        label=compared.found,
        prediction=compared.finding,
        spacing_mm=compared.pair.spacing_mm,
        axes_mm=compared.pair.axes_mm,
    )
    value = assd(surface_distances(pair, image_border=rule.image_border))
    return value if np.isfinite(value) else None  # a mask that fills the image may have no surface


def moved_deficit(
    label: Mask, found: Mask, spacing: Sequence[float], reach: float, *, counted: Mask | None = None
) -> float:
    """The deficit that a boundary error makes by itself: the lesions that were found, moved out and in by a length.

    The mean of 1 - DSC of the label against itself with these lesions moved outwards, and moved inwards. A voxel that
    the moved boundary crosses counts by the part that it has passed, along the axis in which the nearest voxel of the
    other side is farthest: on a grid a boundary could otherwise only be moved by whole voxels. (Of discs and balls
    that is 4 to 7 % more than it ought to be on average, whatever their size.) A lesion thinner than twice the length
    vanishes inwards, which costs all of it. Nothing moves beyond the edge of the image, where a lesion that is cut by
    it has no boundary. (Axes that are not at right angles are taken to be.)

    Args:
        label: All lesions, not empty.
        found: Those that are moved.
        spacing: Length of a voxel's edge along each axis.
        reach: How far, in the unit of the spacing.
        counted: Voxels that count; None: all.
    """
    box = joint_box(found, found)
    if box is None or reach <= 0:
        return 0.0
    wide = tuple(
        slice(max(0, side.start - steps), min(length, side.stop + steps))
        for side, length, steps in zip(box, label.shape, (int(reach / s) + 2 for s in spacing), strict=True)
    )
    moved, others = found[wide], label[wide]
    free = ~others if counted is None else ~others & counted[wide]
    grown = float(_passed(~moved, spacing, reach)[free].sum())
    shrunken = float(_passed(moved, spacing, reach).sum())
    n_label = int(np.count_nonzero(label))
    left = n_label - shrunken
    outwards = grown / (2 * n_label + grown)
    inwards = shrunken / (n_label + left)
    return (outwards + inwards) / 2


def _passed(mask: Mask, spacing: Sequence[float], reach: float) -> NDArray[np.float64]:
    """How much of each voxel of a mask a boundary passes that moves into it from all sides, from 0 to 1."""
    if mask.all():
        return np.zeros(mask.shape)
    distance, nearest = ndimage.distance_transform_edt(mask, sampling=spacing, return_indices=True)
    longest, edge = np.full(mask.shape, -1.0), np.ones(mask.shape)
    for axis, (indices, side) in enumerate(zip(nearest, spacing, strict=True)):
        along = np.arange(mask.shape[axis]).reshape([-1 if other == axis else 1 for other in range(mask.ndim)])
        away = np.abs(indices - along) * side
        edge[away > longest] = side
        np.maximum(longest, away, out=longest)
    # Between neighbours the boundary begins half an edge before the voxel, and ends half an edge behind it.
    passed: NDArray[np.float64] = np.where(mask, np.clip((reach - distance) / edge + 1, 0.0, 1.0), 0.0)
    return passed


def take_apart(compared: Compared, size_and_shape: float, *, both_empty: float) -> Mapping[PartName, float]:
    """The deficit of one region as a sum.

    Args:
        compared: The two masks.
        size_and_shape: What `moved_deficit` says; ignored where the label is empty.
        both_empty: DSC of two empty masks.

    Returns:
        Part -> its share of 1 - DSC; what is not there has none. Missed lesions and false positives are what the DSC
        would gain without them, averaged over both orders of mending the two. Where the label is empty, what is left
        is the protocol's rule.
    """
    pair, missed, invented = compared.pair, compared.n_missed, compared.n_invented

    def dice(n_missed: int, n_invented: int) -> float:
        """The DSC with so many voxels still missed and invented, of those that are."""
        both = pair.n_both + missed - n_missed
        total = pair.n_label + both - pair.n_both + pair.n_prediction - invented + n_invented
        return 2 * both / total if total else both_empty

    now, clean = dice(missed, invented), dice(0, 0)
    without_missed, without_invented = dice(0, invented), dice(missed, 0)
    parts: dict[PartName, float] = {
        "missed": ((without_missed - now) + (clean - without_invented)) / 2,
        "false_positives": ((without_invented - now) + (clean - without_missed)) / 2,
    }
    if not pair.n_label:
        return parts | {"empty_rule": 1 - clean}
    return parts | {"size_and_shape": size_and_shape, "boundary": 1 - clean - size_and_shape}
