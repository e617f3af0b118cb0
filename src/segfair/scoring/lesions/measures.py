"""How well each lesion of a label is outlined, and what that makes of a case. Arrays in, numbers out; knows no file.

Of a protocol it knows the rule of lesions alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.protocol.rules import LesionRule
from segfair.scoring.lesions.matching import Match, match_lesions
from segfair.scoring.lesions.parts import Mask, Parts
from segfair.scoring.surfaces import Border, Surface, distances_between, surface_of, worth_compiling

__all__ = ["Lesion", "Lesions", "Place", "find_lesions", "lesion_scores"]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion of a label, and what was predicted of it.

    Attributes:
        size: Its size in mm³, in 2-D in mm²; in voxels where their size is not known.
        depth: How far its centre lies from the nearest face of the image, in the unit of length.
        found: Whether the rule says that it was found.
        dsc, iou: Overlap with what the rule counts as its prediction; 0 without any.
        hd95, assd: Distances of the two outlines in the unit of length; inf where nothing was predicted of it. ASSD
            by panoptica's rule alone, else None.
    """

    size: float
    depth: float
    found: bool
    dsc: float
    iou: float
    hd95: float
    assd: float | None = None


@dataclass(frozen=True, slots=True)
class Lesions:
    """What came of the lesions of a case.

    Attributes:
        found: Each lesion of the label that counts, in the order of their first voxels.
        n_false: Predicted lesions that belong to none of the label's.
    """

    found: tuple[Lesion, ...]
    n_false: int


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where the masks lie, and how large a voxel is.

    Attributes:
        shape: Of the whole image.
        start: Index in it of the masks' first voxel.
        spacing: Length of a voxel's edge along each axis.
        axes: (n, n) the steps along the axes, where these are not at right angles.
        voxel: Size of a voxel.
    """

    shape: tuple[int, ...]
    start: tuple[int, ...]
    spacing: tuple[float, ...]
    axes: NDArray[np.float64] | None
    voxel: float


def find_lesions(
    label: Mask, prediction: Mask, rule: LesionRule, place: Place, *, image_border: Border = "background"
) -> Lesions:
    """The lesions of a label, each with what was predicted of it, by the rule of a protocol.

    Args:
        label: Booleans, 2-D or 3-D: the box around all that is not background, one voxel wider within the image.
        prediction: The same of the prediction.
        rule: The rule; not "none".
        place: Where the box lies in the image.
        image_border: See `segfair.scoring.surfaces.surface_voxels`.

    Returns:
        The lesions that count. An empty label has none, and every predicted lesion is false.
    """
    match = match_lesions(label, prediction, rule)
    sizes = match.label.sizes * place.voxel
    counted = sizes > rule.min_size if rule.rule == "brats" else np.ones(match.label.n, dtype=bool)
    depths = _depths(match.label, place)
    both = np.asarray(match.shared.multiply(match.belongs).sum(axis=1)).ravel()
    total = match.label.sizes + match.belongs @ match.prediction.sizes
    found = []
    for index in np.flatnonzero(counted).tolist():
        outlines = _outlines(match, index, label.shape, image_border)
        found.append(
            Lesion(
                size=float(sizes[index]),
                depth=float(depths[index]),
                found=bool(match.is_found[index]),
                # A lesion has voxels, so that no sum is zero.
                dsc=float(2 * both[index] / total[index]),
                iou=float(both[index] / (total[index] - both[index])),
                **_MEASURES[rule.rule](outlines, place),
            )
        )
    return Lesions(tuple(found), match.n_false)


def lesion_scores(lesions: Lesions, rule: LesionRule, *, worst: float, both_empty: float) -> dict[str, float]:
    """The metrics of a case by name, those of distances without their unit.

    Args:
        lesions: Its lesions.
        rule: The rule they were found by.
        worst: What a distance is worth where nothing was predicted of a lesion, and that of an invented one.
        both_empty: Overlap where no lesion counts and none is invented.

    Returns:
        Metric -> value. Nan where there is none: the sensitivity without a lesion that counts, F1 where there is
        no lesion at all, and then, by panoptica's rule, every mean over matched lesions.
    """
    found = lesions.found
    n_found = sum(lesion.found for lesion in found)
    n_all = len(found) + lesions.n_false
    scores = {
        "lesion_sensitivity": n_found / len(found) if found else math.nan,
        "false_lesions": float(lesions.n_false),
        "lesion_f1": 2 * n_found / (n_found + n_all) if n_all else math.nan,
    }
    if rule.rule == "panoptica":
        return scores | _of_matched(found, n_all, scores["lesion_f1"], worst)
    return scores | _of_all(lesions, rule, worst, both_empty)


def _of_all(lesions: Lesions, rule: LesionRule, worst: float, both_empty: float) -> dict[str, float]:
    """Means over the label's lesions; by BraTS' rule a false lesion counts as one more, with the worst score."""
    dsc = [lesion.dsc for lesion in lesions.found]
    hd95 = [worst if math.isinf(lesion.hd95) else lesion.hd95 for lesion in lesions.found]
    n_false = lesions.n_false if rule.rule == "brats" or not dsc else 0
    dsc += [0.0] * n_false
    hd95 += [worst] * n_false
    return {
        "lesion_dsc": sum(dsc) / len(dsc) if dsc else both_empty,
        "lesion_hd95": sum(hd95) / len(hd95) if hd95 else 0.0,
    }


def _of_matched(found: Sequence[Lesion], n_all: int, f1: float, worst: float) -> dict[str, float]:
    """Means over the matched lesions, and these times F1 (recognition quality)."""
    matched = [lesion for lesion in found if lesion.found]

    def mean(name: str, of_none: float) -> float:
        if not n_all:
            return math.nan
        return sum(getattr(lesion, name) for lesion in matched) / len(matched) if matched else of_none

    dsc, iou = mean("dsc", 0.0), mean("iou", 0.0)
    return {
        "lesion_dsc": dsc,
        "lesion_sq": iou,
        "lesion_pq": iou * f1,
        "lesion_pq_dsc": dsc * f1,
        "lesion_hd95": mean("hd95", worst),
        "lesion_assd": mean("assd", worst),
    }


def _depths(label: Parts, place: Place) -> NDArray[np.float64]:
    """How far the centre of each lesion lies from the nearest face of the image; an axis of one voxel has no faces."""
    depths = np.full(label.n, np.inf)
    for axis, (length, start, step) in enumerate(zip(place.shape, place.start, place.spacing, strict=True)):
        if length > 1:
            centre = np.bincount(label.codes, label.where[:, axis] + (start + 0.5), minlength=label.n) / label.sizes
            depths = np.minimum(depths, np.minimum(centre, length - centre) * step)
    return np.where(np.isfinite(depths), depths, 0.0)


def _outlines(match: Match, index: int, shape: tuple[int, ...], image_border: Border) -> tuple[Surface, Surface] | None:
    """Of a lesion and of all that belongs to it; None where nothing does."""
    belongs = match.belongs
    of_lesion = belongs.indices[belongs.indptr[index] : belongs.indptr[index + 1]]
    of_lesion = of_lesion[match.prediction.sizes[of_lesion] > 0]
    if not len(of_lesion):
        return None
    parts = match.label.voxels(np.array([index])), match.prediction.voxels(of_lesion)
    # One voxel wider within the image: an edge is then the image's own, or holds background only.
    low = np.maximum(np.minimum(*(part.min(axis=0) for part in parts)) - 1, 0)
    high = np.minimum(np.maximum(*(part.max(axis=0) for part in parts)) + 2, shape)
    compiled = worth_compiling(tuple(high - low))
    masks = np.zeros((2, *(high - low)), dtype=bool)
    for mask, part in zip(masks, parts, strict=True):
        mask[tuple((part - low).T)] = True
    label, prediction = (surface_of(mask, image_border=image_border, compiled=compiled) for mask in masks)
    return label, prediction


def _directed_percentile(outlines: tuple[Surface, Surface] | None, place: Place) -> dict[str, float]:
    """HD95 as `segfair.scoring.metrics.hausdorff` has it."""
    if outlines is None:
        return {"hd95": math.inf}
    distances = distances_between(*outlines, spacing=place.spacing, axes=place.axes, percentile=95)
    sides = distances.label_to_prediction, distances.prediction_to_label
    return {"hd95": max((float(np.percentile(side, 95)) for side in sides if side.size), default=0.0)}


def _pooled_percentile(outlines: tuple[Surface, Surface] | None, place: Place) -> dict[str, float]:
    """HD95 and ASSD as panoptica has them: the percentile of both directions together, the mean of the two means."""
    if outlines is None:
        return {"hd95": math.inf, "assd": math.inf}
    distances = distances_between(*outlines, spacing=place.spacing, axes=place.axes)
    there, back = distances.label_to_prediction, distances.prediction_to_label
    return {
        "hd95": float(np.percentile(np.concatenate([there, back]), 95)),
        "assd": float((there.mean() + back.mean()) / 2),
    }


_MEASURES: dict[str, Callable[[tuple[Surface, Surface] | None, Place], dict[str, float]]] = {
    "brats": _directed_percentile,
    "panoptica": _pooled_percentile,
    "voronoi": _directed_percentile,
}
