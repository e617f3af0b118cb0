"""Segmentation metrics of one pair of masks: arrays in, numbers out.

Knows no file and no protocol. The dear thing, `surface_distances`, is computed once; `hausdorff`, `assd` and `nsd`
are cheap readings of it. Where a metric has no value it is nan (both masks empty) or inf (one is); what that is
worth is for the caller to decide (`segfair.scoring.pairs` applies a protocol).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segfair.errors import ConfigError, GeometryError, InputError
from segfair.scoring.boxes import joint_box
from segfair.scoring.surfaces import (
    Border,
    SurfaceDistances,
    distances_between,
    surface_of,
    worth_compiling,
)

__all__ = [
    "METRICS",
    "MaskPair",
    "Metric",
    "SurfaceDistances",
    "assd",
    "dice",
    "hausdorff",
    "iou",
    "label_size",
    "lesion_missed",
    "nsd",
    "precision",
    "relative_volume_error",
    "sensitivity",
    "surface_distances",
    "volume",
    "voxel_volume",
]

Unit = Literal["mm", "voxels"]
Mask = NDArray[np.bool_]

# Spacings come out of float32 headers: without this, 1.0000001 mm would not be "within 1 mm".
TOLERANCE_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number means.

    Attributes:
        name: Column name.
        unit: Unit of the value; empty for a plain number.
        better: Whether higher or lower values are better; "signed" where the value is best at zero, "neither" where
            it does not rate a prediction.
        definition: Id of the exact definition; two numbers with the same id can be compared.
        empty_rule: What the value is where a mask is empty.
    """

    name: str
    unit: str
    better: Literal["higher", "lower", "signed", "neither"]
    definition: str
    empty_rule: str


_DISTANCE_EMPTY = "both empty: nan; one empty: inf"
_LESION_EMPTY = "as the rule of lesions says"
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("dsc", "", "higher", "dsc/2tp-over-2tp+fp+fn", "both empty: nan; one empty: 0"),
            Metric("hd95_vox", "voxels", "lower", "hd95/max-of-directed-p95/face-6/voxels", _DISTANCE_EMPTY),
            Metric("normhd", "", "lower", "normhd/hd95-over-scale", _DISTANCE_EMPTY),
            Metric("volume", "mm³", "neither", "volume/label/mm3", "label empty: 0"),
            Metric("lesion_missed", "", "lower", "lesion-missed/no-true-positive-voxel", "label empty: nan"),
            Metric("iou", "", "higher", "iou/tp-over-tp+fp+fn", "both empty: nan; one empty: 0"),
            Metric("sensitivity", "", "higher", "sensitivity/tp-over-tp+fn", "label empty: nan"),
            Metric("precision", "", "higher", "precision/tp-over-tp+fp", "prediction empty: nan"),
            Metric(
                "relative_volume_error",
                "",
                "signed",
                "relative-volume-error/prediction-minus-label-over-label",
                "both empty: nan; label empty: inf; prediction empty: -1",
            ),
            Metric("hd95_mm", "mm", "lower", "hd95/max-of-directed-p95/face-6/mm", _DISTANCE_EMPTY),
            Metric("assd_mm", "mm", "lower", "assd/mean-over-both-surfaces/face-6/mm", _DISTANCE_EMPTY),
            Metric("nsd_1mm", "", "higher", "nsd/surface-voxels/face-6/1mm", "both empty: nan; one empty: 0"),
            Metric("nsd_2mm", "", "higher", "nsd/surface-voxels/face-6/2mm", "both empty: nan; one empty: 0"),
            # Of masks whose voxels have no known size (see audit.choices.units), and of pictures that are given one.
            Metric("hd95_px", "px", "lower", "hd95/max-of-directed-p95/face-6/px", _DISTANCE_EMPTY),
            Metric("assd_px", "px", "lower", "assd/mean-over-both-surfaces/face-6/px", _DISTANCE_EMPTY),
            Metric("nsd_1px", "", "higher", "nsd/surface-voxels/face-6/1px", "both empty: nan; one empty: 0"),
            Metric("nsd_2px", "", "higher", "nsd/surface-voxels/face-6/2px", "both empty: nan; one empty: 0"),
            Metric("area_px", "px²", "neither", "area/label/px", "label empty: 0"),
            Metric("assd_vox", "voxels", "lower", "assd/mean-over-both-surfaces/face-6/voxels", _DISTANCE_EMPTY),
            Metric("nsd_1vox", "", "higher", "nsd/surface-voxels/face-6/1-voxel", "both empty: nan; one empty: 0"),
            Metric("nsd_2vox", "", "higher", "nsd/surface-voxels/face-6/2-voxels", "both empty: nan; one empty: 0"),
            Metric("size_vox", "voxels", "neither", "size/label/voxels", "label empty: 0"),
            Metric("area_mm2", "mm²", "neither", "area/label/mm2", "label empty: 0"),
            # Of lesions, by the rule of a protocol (see segfair.scoring.lesions), whose id joins their definition.
            Metric("lesion_sensitivity", "", "higher", "lesion-sensitivity/found-over-label", "no lesion: nan"),
            Metric("false_lesions", "lesions", "lower", "false-lesions/predicted-and-no-lesion", "none predicted: 0"),
            Metric("lesion_f1", "", "higher", "lesion-f1/2tp-over-2tp+fp+fn", "no lesion, none predicted: nan"),
            Metric("lesion_dsc", "", "higher", "lesion-dsc/mean", _LESION_EMPTY),
            Metric("lesion_hd95_mm", "mm", "lower", "lesion-hd95/mean/mm", _LESION_EMPTY),
            Metric("lesion_hd95_vox", "voxels", "lower", "lesion-hd95/mean/voxels", _LESION_EMPTY),
            Metric("lesion_hd95_px", "px", "lower", "lesion-hd95/mean/px", _LESION_EMPTY),
            Metric("lesion_assd_mm", "mm", "lower", "lesion-assd/mean-of-matched/mm", _LESION_EMPTY),
            Metric("lesion_assd_vox", "voxels", "lower", "lesion-assd/mean-of-matched/voxels", _LESION_EMPTY),
            Metric("lesion_assd_px", "px", "lower", "lesion-assd/mean-of-matched/px", _LESION_EMPTY),
            Metric("lesion_sq", "", "higher", "lesion-sq/mean-iou-of-matched", _LESION_EMPTY),
            Metric("lesion_pq", "", "higher", "lesion-pq/mean-iou-of-matched-times-f1", _LESION_EMPTY),
            Metric("lesion_pq_dsc", "", "higher", "lesion-pq-dsc/mean-dsc-of-matched-times-f1", _LESION_EMPTY),
        )
    }
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MaskPair:
    """A label and a prediction on one grid, checked once.

    Attributes:
        label, prediction: Masks of one 2-D or 3-D shape; any non-zero value is lesion. Booleans after checking.
        spacing_mm: Length of a voxel's edge along each axis.
        axes_mm: (n, n) where the axes are not at right angles (gantry tilt): column k is the step along axis k, of
            the length `spacing_mm[k]`. None: they are.
        box: Joint bounding box of both masks with one voxel around it, cut at the image; None if both are empty.
            Every metric of the box equals that of the whole image, whatever the border rule: an edge of the box
            is either the image's own edge or holds background only.
        n_label, n_prediction, n_both: Lesion voxels in the label, in the prediction, and in both.

    Raises:
        GeometryError: Shapes that differ, or neither 2-D nor 3-D.
        InputError: Values that are no mask (nan, fractions, text), or an impossible spacing.
    """

    label: Mask
    prediction: Mask
    spacing_mm: tuple[float, ...]
    axes_mm: NDArray[np.float64] | None = None
    box: tuple[slice, ...] | None = field(init=False)
    n_label: int = field(init=False)
    n_prediction: int = field(init=False)
    n_both: int = field(init=False)

    def __post_init__(self) -> None:
        label, prediction = check_mask(self.label, name="label"), check_mask(self.prediction, name="prediction")
        spacing_mm = check_grid(label.shape, prediction.shape, self.spacing_mm)
        label, prediction = label.astype(np.bool_, copy=False), prediction.astype(np.bool_, copy=False)
        box = joint_box(label, prediction)
        inside = box or (slice(0),) * label.ndim
        values = {
            "label": label,
            "prediction": prediction,
            "spacing_mm": spacing_mm,
            "box": box,
            "n_label": int(np.count_nonzero(label[inside])),
            "n_prediction": int(np.count_nonzero(prediction[inside])),
            "n_both": int(np.count_nonzero(label[inside] & prediction[inside])),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel in mm³ (in 2-D its area in mm²): at right angles the product of its edges."""
        return voxel_volume(self.spacing_mm, self.axes_mm)


def dice(pair: MaskPair) -> float:
    """Dice similarity coefficient, 2 TP / (2 TP + FP + FN). Empty masks: both nan, one 0."""
    return _ratio(2 * pair.n_both, pair.n_label + pair.n_prediction)


def iou(pair: MaskPair) -> float:
    """Intersection over union, TP / (TP + FP + FN). Empty masks: both nan, one 0."""
    return _ratio(pair.n_both, pair.n_label + pair.n_prediction - pair.n_both)


def sensitivity(pair: MaskPair) -> float:
    """TP / (TP + FN). Empty masks: nan without a label, 0 without a prediction."""
    return _ratio(pair.n_both, pair.n_label)


def precision(pair: MaskPair) -> float:
    """TP / (TP + FP). Empty masks: nan without a prediction, 0 without a label."""
    return _ratio(pair.n_both, pair.n_prediction)


def relative_volume_error(pair: MaskPair) -> float:
    """(V_prediction - V_label) / V_label. Empty masks: both nan, only the label inf, only the prediction -1."""
    return _ratio(pair.n_prediction - pair.n_label, pair.n_label)


def lesion_missed(pair: MaskPair) -> float:
    """1 where the label has a lesion and no voxel of it was predicted (TP = 0), else 0.

    Without a label nothing can be missed: nan, so that the mean is a share of the lesions and not of the cases.
    """
    return float(pair.n_both == 0) if pair.n_label else math.nan


def volume(pair: MaskPair) -> float:
    """Volume of the label in mm³ (in 2-D its area in mm²). Empty: 0."""
    return pair.n_label * pair.voxel_mm3


def voxel_volume(spacing_mm: Sequence[float], axes_mm: NDArray[np.float64] | None = None) -> float:
    """Volume (in 2-D the area) of a voxel with these edges, or with these steps where they are not at right angles."""
    return math.prod(spacing_mm) if axes_mm is None else abs(float(np.linalg.det(axes_mm)))


def label_size(pair: MaskPair) -> float:
    """Voxels (in 2-D pixels) of the label. Empty: 0."""
    return float(pair.n_label)


def surface_distances(pair: MaskPair, *, image_border: Border = "background", unit: Unit = "mm") -> SurfaceDistances:
    """Distances between the surfaces of the two masks, centre to centre of their surface voxels.

    Args:
        pair: The masks.
        image_border: Whether the outside of the image is background or no neighbour, see `surfaces.surface_voxels`.
        unit: "mm", or "voxels" (spacing ignored).

    Returns:
        The directed distances. Empty masks: a mask without surface voxels has an empty array, and the other
        mask's distances are inf.
    """
    if pair.box is None:
        return SurfaceDistances(np.empty(0), np.empty(0))
    compiled = worth_compiling(pair.label.shape)
    return distances_between(
        surface_of(pair.label[pair.box], image_border=image_border, compiled=compiled),
        surface_of(pair.prediction[pair.box], image_border=image_border, compiled=compiled),
        spacing=pair.spacing_mm if unit == "mm" else (1.0,) * len(pair.spacing_mm),
        axes=pair.axes_mm if unit == "mm" else None,
    )


def hausdorff(distances: SurfaceDistances, percentile: float = 95) -> float:
    """Maximum of the two directed percentiles (numpy's linear interpolation); 100 is the Hausdorff distance.

    Other tools pool both directions before taking the percentile, or weigh by surface area; those differ.
    Empty masks: both nan, one inf.

    Raises:
        ConfigError: A percentile outside [0, 100].
    """
    if not 0 <= percentile <= 100:
        raise ConfigError(f"percentile {percentile}: expected a number from 0 to 100")
    if distances.empty != "none":
        return _undefined_distance(distances)
    return max(
        float(np.percentile(distances.label_to_prediction, percentile)),
        float(np.percentile(distances.prediction_to_label, percentile)),
    )


def assd(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance: mean over the surface voxels of both masks together.

    (Not the mean of the two directed means, which weighs the smaller surface more.) Empty masks: both nan, one inf.
    """
    if distances.empty != "none":
        return _undefined_distance(distances)
    there, back = distances.label_to_prediction, distances.prediction_to_label
    return float((there.sum() + back.sum()) / (there.size + back.size))


def nsd(distances: SurfaceDistances, tolerance_mm: float) -> float:
    """Normalised surface Dice: share of the surface voxels of both masks within the tolerance of the other surface.

    (|S_L within t of S_P| + |S_P within t of S_L|) / (|S_L| + |S_P|), counted in surface voxels rather than in
    surface area. A distance that exceeds the tolerance by rounding (one part in a million) counts as within.
    Empty masks: both nan, one 0.

    Args:
        distances: In mm.
        tolerance_mm: t, not negative.

    Raises:
        ConfigError: A negative tolerance.

    References:
        Nikolov et al. Clinically Applicable Segmentation of Head and Neck Anatomy for Radiotherapy. JMIR 2021
        (there on surface elements).
    """
    if not tolerance_mm >= 0:
        raise ConfigError(f"tolerance {tolerance_mm} mm: expected a number from 0 up")
    limit = tolerance_mm * (1 + TOLERANCE_SLACK)
    there, back = distances.label_to_prediction, distances.prediction_to_label
    within = int(np.count_nonzero(there <= limit)) + int(np.count_nonzero(back <= limit))
    return _ratio(within, there.size + back.size)


def check_mask(array: ArrayLike, *, name: str) -> NDArray[Any]:
    """The array, if it can be a mask: booleans or whole numbers.

    Raises:
        InputError: Another kind of value, nan, infinity or fractions (a probability map).
    """
    values = np.asarray(array)
    if values.dtype.kind in "biu":
        return values
    if values.dtype.kind != "f":
        raise InputError(f"{name}: holds values of type {values.dtype}; expected booleans or whole numbers")
    if not np.isfinite(values).all():
        raise InputError(f"{name}: holds nan or infinity; expected booleans or whole numbers")
    if (values != np.floor(values)).any():
        raise InputError(f"{name}: holds fractions; a probability map has to be thresholded first")
    return values


def check_grid(
    label_shape: tuple[int, ...], prediction_shape: tuple[int, ...], spacing_mm: Sequence[float]
) -> tuple[float, ...]:
    """The spacing as plain floats, if shapes and spacing fit each other.

    Raises:
        GeometryError: Shapes that differ, or neither 2-D nor 3-D.
        InputError: An impossible spacing, or no voxel at all.
    """
    if label_shape != prediction_shape:
        shapes = "label is {}, prediction {}".format(*(_format_shape(s) for s in (label_shape, prediction_shape)))
        raise GeometryError(f"{shapes}; resample one onto the other")
    if len(label_shape) not in (2, 3):
        raise GeometryError(f"masks are {len(label_shape)}-D ({_format_shape(label_shape)}); expected 2-D or 3-D")
    if 0 in label_shape:
        raise InputError(f"masks are {_format_shape(label_shape)}: they have no voxel")
    spacing = tuple(float(length) for length in spacing_mm)
    if len(spacing) != len(label_shape):
        raise InputError(f"spacing {spacing} mm: expected one length for each of {len(label_shape)} axes")
    if not all(math.isfinite(length) and length > 0 for length in spacing):
        raise InputError(f"spacing {spacing} mm: expected positive numbers")
    return spacing


def _undefined_distance(distances: SurfaceDistances) -> float:
    return math.nan if distances.empty == "both" else math.inf


def _ratio(numerator: float, denominator: float) -> float:
    if denominator:
        return float(numerator / denominator)
    return math.inf if numerator else math.nan


def _format_shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
