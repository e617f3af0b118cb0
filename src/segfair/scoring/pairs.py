"""Two masks in memory -> their scores under a protocol: which voxels count, what an empty or unusable mask is worth.

The only place that turns the nan and inf of `metrics` into values or None; neither gets out. Reads no file.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segfair.errors import ConfigError
from segfair.files.images.grids import Mask
from segfair.protocol.rules import Protocol, format_label_values
from segfair.scoring import metrics
from segfair.scoring.boxes import box_around, joint_box
from segfair.scoring.definitions.tools import measures_of_tools, plain_spacing, values_of_tools
from segfair.scoring.lesions.cases import lesions_of
from segfair.scoring.metrics import METRICS, MaskPair
from segfair.scoring.scores import (
    DISTANCE_UNIT,
    LESION_UNIT,
    MOST_VALUES,
    OF_ALL_REGIONS,
    TOLERANCE,
    CaseScore,
    LabelValues,
    counted_values,
    protocol_metrics,
)
from segfair.scoring.surfaces import (
    Surface,
    SurfaceDistances,
    count_components,
    distances_between,
    surface_of,
    worth_compiling,
)

__all__ = ["SHEARED", "drop_ignored", "lesion_of", "score_masks", "score_pair", "with_sets", "worst_score"]

Values = dict[str, float | None]
LabelMap = NDArray[Any]
Sets = Mapping[int, frozenset[int]]

_OVERLAP: dict[str, Callable[[MaskPair], float]] = {
    "dsc": metrics.dice,
    "iou": metrics.iou,
    "sensitivity": metrics.sensitivity,
    "precision": metrics.precision,
    "relative_volume_error": metrics.relative_volume_error,
    "lesion_missed": metrics.lesion_missed,
    "volume": metrics.volume,
    "area_mm2": metrics.volume,
    "area_px": metrics.label_size,
    "size_vox": metrics.label_size,
}
_IN_MM = {
    *(name for name, unit in {**DISTANCE_UNIT, **LESION_UNIT}.items() if unit == "mm"),
    "volume",
    "area_mm2",
}
_FEW_VALUES = 16
SHEARED = (
    "the axes of the voxel grid are not at right angles (gantry tilt): volumes and distances follow them as they are, "
    "pictures show voxels with right angles"
)


@dataclass(frozen=True, slots=True, eq=False)
class _Size:
    """How large a voxel is; without a known size edges of length 1."""

    spacing: tuple[float, ...]
    axes: NDArray[np.float64] | None
    known: bool

    def diagonal(self, shape: tuple[int, ...], unit: str) -> float:
        """The longest diagonal of an image of this shape."""
        if unit == "voxels":
            return math.hypot(*(float(n) for n in shape))
        if self.axes is None:
            return math.hypot(*(n * length for n, length in zip(shape, self.spacing, strict=True)))
        signs = np.array(list(itertools.product((1, -1), repeat=len(shape))))
        return float(np.linalg.norm((signs * shape) @ self.axes.T, axis=1).max())


def score_pair(
    label: ArrayLike,
    prediction: ArrayLike,
    *,
    spacing_mm: tuple[float, ...] | None,
    protocol: Protocol,
    case: str = "",
    axes_mm: NDArray[np.float64] | None = None,
) -> CaseScore:
    """Scores one prediction against its label, both in memory.

    Args:
        label: Label map (whole numbers or booleans), 2-D or 3-D.
        prediction: Label map of the same shape, on the same grid.
        spacing_mm: Length of a voxel's edge along each axis; None: not known, so that no metric can be in mm.
        protocol: The rules. Voxels where the label has the ignore label become background in both masks; where a
            lesion reaches them, the cut is surface in both. With regions each region has its own surface, and
            the plain metric is the mean over the regions with a value (None without any), except for the volume
            and the missed lesion, which are those of all regions together.
        case: Case id to put into the result.
        axes_mm: Steps along the axes where these are not at right angles, see `metrics.MaskPair`; None: they
            are.

    Returns:
        The scores. Empty masks: as the protocol says; never nan or inf.

    Raises:
        ConfigError: A metric that does not exist, or one in mm where the voxel size is not known.
        GeometryError: Shapes that differ, or neither 2-D nor 3-D.
        InputError: Values that are no mask, or an impossible spacing.
    """
    labels, predictions = (
        metrics.check_mask(label, name="label"),
        metrics.check_mask(prediction, name="prediction"),
    )
    shape = labels.shape
    size = _check_size(shape, predictions.shape, spacing_mm, axes_mm, protocol)
    # From here on only the box around everything non-zero: no metric depends on the rest.
    box = joint_box(labels, predictions) or (slice(1),) * len(shape)
    # Copied, so that what follows runs along memory, in one order for both.
    labels = labels[box].copy(order="K")
    predictions = predictions[box].copy(order="F" if labels.flags.f_contiguous else "C")
    return _score_box(labels, predictions, shape, box, size, protocol, case)


def score_masks(
    label: Mask,
    prediction: Mask,
    *,
    has_size: bool = True,
    protocol: Protocol,
    case: str = "",
    other_tools: bool = False,
) -> CaseScore:
    """Scores one prediction against its label, both read from files and on one grid; otherwise as `score_pair`.

    Args:
        label: The label; its voxel size counts.
        prediction: The prediction.
        has_size: Whether the label's voxel size is known.
        protocol: The rules.
        case: Case id to put into the result.
        other_tools: Whether to score by the definitions of other tools as well.
    """
    spacing_mm, axes_mm = (label.spacing_mm, label.axes_mm) if has_size else (None, None)
    size = _check_size(label.shape, prediction.shape, spacing_mm, axes_mm, protocol)
    box = box_around(label, prediction) or (slice(0, 1),) * label.ndim
    sets = (label.sets, prediction.sets)
    cut = label.cut(box), prediction.cut(box)
    return _score_box(*cut, label.shape, box, size, protocol, case, sets, other_tools=other_tools)


def _score_box(
    labels: LabelMap,
    predictions: LabelMap,
    shape: tuple[int, ...],
    box: tuple[slice, ...],
    size: _Size,
    protocol: Protocol,
    case: str,
    sets: tuple[Sets, Sets] = ({}, {}),
    *,
    other_tools: bool = False,
) -> CaseScore:
    """The scores of what lies in the box around everything non-zero of an image of a shape."""
    _check_metrics(protocol)
    compiled = worth_compiling(shape)
    found_values = (_told_apart(_values_of(labels), sets[0]), _told_apart(_values_of(predictions), sets[1]))
    labels, predictions = drop_ignored(labels, predictions, protocol.ignore_label)

    def select(values: LabelValues) -> MaskPair:
        return MaskPair(
            label=lesion_of(labels, with_sets(values, sets[0])),
            prediction=lesion_of(predictions, with_sets(values, sets[1])),
            spacing_mm=size.spacing,
            axes_mm=size.axes,
        )

    whole = select(counted_values(protocol))
    lesions = lesions_of(whole, protocol, shape=shape, box=box, diagonal=size.diagonal)
    by_region, pairs = {}, []
    equal = whole.n_label > 0
    for region, values in _regions(protocol).items():
        pair = select(values) if protocol.regions else whole
        pairs.append(pair)
        equal = equal and pair.n_label == pair.n_prediction == pair.n_both
        surfaces = None
        if protocol.label.surface == "any" and not protocol.regions:
            surfaces = (labels, predictions)
        scores = _measure(pair, surfaces, protocol, compiled=compiled)
        if protocol.regions:
            scores |= lesions_of(pair, protocol, shape=shape, box=box, diagonal=size.diagonal).scores()
        else:
            scores |= lesions.scores()
        by_region[region] = _finite(scores, protocol, shape, size)
    alerts = [
        f"the {role} is empty under this protocol: it holds the values {_some_values(found)}, and only "
        f"{format_label_values(counted_values(protocol))} counts"
        for role, found, n_voxels in (
            ("label", labels, whole.n_label),
            ("prediction", predictions, whole.n_prediction),
        )
        if n_voxels == 0 and found.any()
    ]
    total = _finite({name: _OVERLAP[name](whole) for name in _of_all(protocol)}, protocol, shape, size)
    return CaseScore(
        case,
        _columns(by_region, total, protocol),
        {**_label_facts(whole, size, compiled=compiled), "prediction_voxels": whole.n_prediction},
        (*([SHEARED] if size.axes is not None else []), *alerts),
        values_found=found_values,
        equals_label=equal,
        lesions=lesions.told,
        by_tools=_by_tools(pairs, protocol, compiled=compiled) if other_tools else {},
    )


def worst_score(
    label: ArrayLike,
    *,
    spacing_mm: tuple[float, ...] | None,
    protocol: Protocol,
    reason: str,
    case: str = "",
    axes_mm: NDArray[np.float64] | None = None,
    sets: Sets | None = None,
    other_tools: bool = False,
) -> CaseScore:
    """What a prediction gets that cannot be used, whatever is wrong with it.

    That of an empty prediction where there is a lesion: DSC, IoU, sensitivity and NSD 0, NormHD 1, distances as the
    protocol has them for one empty mask, relative volume error -1, precision None. Without a lesion the same, so
    that an unusable file never scores as "both empty"; what has no meaning without a lesion (sensitivity, relative
    volume error, a missed lesion) is None for any prediction, and so here.

    Args:
        label: Label map, 2-D or 3-D.
        spacing_mm: See `score_pair`.
        protocol: The rules.
        reason: Why the prediction cannot be used.
        case: Case id to put into the result.
        axes_mm: See `score_pair`.
        sets: Values of voxels that are of several structures, see `segfair.files.images.grids.Mask`.
        other_tools: Whether to say as well what other tools would give an empty prediction.

    Raises:
        ConfigError: A metric that does not exist, or one in mm where the voxel size is not known.
        GeometryError: A label that is neither 2-D nor 3-D.
        InputError: Values that are no mask, or an impossible spacing.
    """
    _check_metrics(protocol)
    labels = metrics.check_mask(label, name="label")
    shape = labels.shape
    size = _check_size(shape, shape, spacing_mm, axes_mm, protocol)
    box = joint_box(labels, labels) or (slice(1),) * len(shape)
    labels = labels[box]
    found_values = (_told_apart(_values_of(labels), sets or {}), ())
    labels, nothing = drop_ignored(labels, np.zeros_like(labels), protocol.ignore_label)

    def worst(values: LabelValues) -> tuple[MaskPair, Values]:
        lesion = lesion_of(labels, with_sets(values, sets or {}))
        pair = MaskPair(label=lesion, prediction=nothing, spacing_mm=size.spacing, axes_mm=size.axes)
        scores: dict[str, float] = dict.fromkeys((*DISTANCE_UNIT, "normhd"), math.inf)
        scores |= dict.fromkeys(("dsc", "iou", *TOLERANCE), 0.0)
        scores |= {name: _OVERLAP[name](pair) for name in _OVERLAP if name not in scores}
        scores |= lesions_of(pair, protocol, shape=shape, box=box, diagonal=size.diagonal).worst_scores()
        return pair, _finite(scores, protocol, shape, size)

    whole, total = worst(counted_values(protocol))
    worsts = {region: worst(values) for region, values in _regions(protocol).items()}
    by_region, pairs = {region: scores for region, (_, scores) in worsts.items()}, [pair for pair, _ in worsts.values()]
    compiled = worth_compiling(shape)
    return CaseScore(
        case,
        _columns(by_region, total, protocol),
        _label_facts(whole, size, compiled=compiled),
        (SHEARED,) if size.axes is not None else (),
        reason,
        values_found=found_values,
        by_tools=_by_tools(pairs, protocol, compiled=compiled) if other_tools else {},
        lesions=lesions_of(whole, protocol, shape=shape, box=box, diagonal=size.diagonal).told,
    )


def _by_tools(pairs: Sequence[MaskPair], protocol: Protocol, *, compiled: bool) -> Values:
    """What other tools say, lengths in the unit of the protocol's NormHD; of regions the mean of those with a value."""
    said = []
    for pair in pairs:
        spacing = plain_spacing(pair.spacing_mm) if protocol.normhd.unit == "mm" else (1.0,) * len(pair.spacing_mm)
        said.append(values_of_tools(pair, spacing=spacing, compiled=compiled))
    values: Values = {}
    for tool, measure in measures_of_tools():
        name = f"{tool} {measure}"
        found = [value for of_pair in said if not math.isnan(value := of_pair[name])]
        values[name] = sum(found) / len(found) if found else None
    return values


def _measure(
    pair: MaskPair, surface_maps: tuple[LabelMap, LabelMap] | None, protocol: Protocol, *, compiled: bool
) -> dict[str, float]:
    """The protocol's metrics of one pair, with nan and inf; surfaces of the label maps, else of the pair itself."""
    names = protocol.metrics
    scores = {name: _OVERLAP[name](pair) for name in names if name in _OVERLAP}
    unit_of = {**DISTANCE_UNIT, "normhd": "mm" if protocol.normhd.unit == "mm" else "voxels"}
    distant = [name for name in names if name in unit_of]
    if not distant:
        return scores
    if surface_maps is None:
        box = pair.box or (slice(0),) * pair.label.ndim
        surface_maps = (pair.label[box], pair.prediction[box])
    border = protocol.surface.image_border
    label, prediction = (surface_of(found, image_border=border, compiled=compiled) for found in surface_maps)
    units = {unit_of[name] for name in distant}
    whole = {unit_of[name] for name in distant if not (name.startswith("hd95_") or name == "normhd")}
    distances = _distances(label, prediction, pair, units, whole)
    hd95 = {unit: metrics.hausdorff(found) for unit, found in distances.items()}
    for name in distant:
        if name.startswith("hd95_"):
            scores[name] = hd95[unit_of[name]]
        elif name.startswith("assd_"):
            scores[name] = metrics.assd(distances[unit_of[name]])
        elif name in TOLERANCE:
            scores[name] = metrics.nsd(distances[unit_of[name]], TOLERANCE[name])
        elif name == "normhd":
            norm = hd95[unit_of[name]] / protocol.normhd.scale
            scores[name] = min(norm, 1.0) if protocol.normhd.clip and math.isfinite(norm) else norm
    return scores


def _distances(
    label: Surface, prediction: Surface, pair: MaskPair, units: set[str], whole: set[str]
) -> dict[str, SurfaceDistances]:
    """Surface distances in each unit, those not in `whole` for HD95 alone; cubic voxels are searched once."""
    spacing = pair.spacing_mm
    if len(set(spacing)) == 1 and pair.axes_mm is None:
        found = distances_between(label, prediction, spacing=(1.0,) * len(spacing), percentile=None if whole else 95)
        return {unit: found if unit == "voxels" else found.scaled(spacing[0]) for unit in units}
    return {
        unit: distances_between(
            label,
            prediction,
            spacing=spacing if unit == "mm" else (1.0,) * len(spacing),
            axes=pair.axes_mm if unit == "mm" else None,
            percentile=None if unit in whole else 95,
        )
        for unit in units
    }


def _finite(scores: Mapping[str, float], protocol: Protocol, shape: tuple[int, ...], size: _Size) -> Values:
    """Nan (both masks empty) and inf (one is) replaced by what the protocol says they are worth."""
    values: Values = {}
    for name, score in scores.items():
        if math.isfinite(score):
            values[name] = float(score)
        elif name in ("dsc", "iou", *TOLERANCE):
            values[name] = protocol.empty.both_dsc
        elif name == "normhd":
            values[name] = 0.0 if math.isnan(score) else 1.0
        elif name not in DISTANCE_UNIT:
            values[name] = None
        elif math.isnan(score):
            values[name] = 0.0
        elif protocol.empty.one_distance == "diagonal":
            values[name] = size.diagonal(shape, DISTANCE_UNIT[name])
        else:
            values[name] = None
    return values


def _columns(by_region: Mapping[str, Values], total: Values, protocol: Protocol) -> Values:
    """All columns in the order of `protocol_metrics`."""
    if not protocol.regions:
        return {name: by_region[""][name] for name in protocol.metrics}
    columns: Values = {}
    for name in protocol.metrics:
        found = [value for values in by_region.values() if (value := values[name]) is not None]
        mean = sum(found) / len(found) if found else None
        columns[name] = total[name] if name in OF_ALL_REGIONS else mean
    for region, values in by_region.items():
        columns |= {f"{name}_{region}": values[name] for name in protocol.metrics}
    return columns


def _label_facts(pair: MaskPair, size: _Size, *, compiled: bool) -> dict[str, float]:
    spacing = pair.spacing_mm
    inside = pair.label[pair.box] if pair.box else pair.label
    n_lesions = count_components(inside, compiled=compiled) if pair.n_label else 0
    sizes = {
        "voxel_volume_mm3": pair.voxel_mm3,
        **{f"spacing_{axis}_mm": length for axis, length in zip("xyz", spacing, strict=False)},
        "spacing_min_mm": min(spacing),
        "spacing_max_mm": max(spacing),
        "anisotropy": max(spacing) / min(spacing),
    }
    return {"label_voxels": pair.n_label, **(sizes if size.known else {}), "n_lesions": n_lesions}


def _of_all(protocol: Protocol) -> tuple[str, ...]:
    """The metrics of a protocol that describe the lesion as a whole, not region by region."""
    return tuple(name for name in OF_ALL_REGIONS if name in protocol.metrics)


def _values_of(labels: LabelMap) -> tuple[int, ...]:
    """The non-zero values of a label map, rising, the first `MOST_VALUES`."""
    lowest, highest = int(labels.min()), int(labels.max())
    if highest - lowest < _FEW_VALUES:
        # Looking for each of a few values takes a hundredth of the time of sorting all voxels.
        return tuple(value for value in range(lowest, highest + 1) if value and (labels == value).any())
    return tuple(int(value) for value in np.unique(labels[labels != 0])[:MOST_VALUES])


def _regions(protocol: Protocol) -> Mapping[str, LabelValues]:
    return protocol.regions or {"": protocol.label.overlap}


def lesion_of(labels: LabelMap, values: LabelValues) -> NDArray[np.bool_]:
    """Where a label map has one of some values; "any" is every value but 0."""
    lesion: NDArray[np.bool_]
    if values == "any":
        lesion = labels != 0
        return lesion
    lesion = labels == values[0]
    for value in values[1:]:
        lesion |= labels == value
    return lesion


def with_sets(values: LabelValues, sets: Sets) -> LabelValues:
    """Some values, and those of voxels that are of one of these structures beside others."""
    if values == "any" or not sets:
        return values
    return (*values, *(code for code, members in sets.items() if members.intersection(values)))


def _told_apart(found: tuple[int, ...], sets: Sets) -> tuple[int, ...]:
    """Values of a mask, those of several structures as the structures that they are."""
    if not sets:
        return found
    return tuple(sorted({value for code in found for value in sets.get(code, (code,))}))


def drop_ignored(labels: LabelMap, predictions: LabelMap, ignore_label: int | None) -> tuple[LabelMap, LabelMap]:
    """Both maps with background where the label has the ignore label."""
    if ignore_label is None:
        return labels, predictions
    ignored = labels == ignore_label
    return np.where(ignored, 0, labels), np.where(ignored, 0, predictions)


def _some_values(labels: LabelMap) -> str:
    found = [f"{value:g}" for value in np.unique(labels) if value]
    return ", ".join(found[:5]) + (" and others" if len(found) > 5 else "")


def _check_size(
    label_shape: tuple[int, ...],
    prediction_shape: tuple[int, ...],
    spacing_mm: tuple[float, ...] | None,
    axes_mm: NDArray[np.float64] | None,
    protocol: Protocol,
) -> _Size:
    if spacing_mm is None:
        in_mm = [name for name in protocol.metrics if name in _IN_MM]
        if "normhd" in protocol.metrics and protocol.normhd.unit == "mm":
            in_mm.append("normhd")
        if in_mm:
            raise ConfigError(
                f"{in_mm[0]}: is in mm, and the size of a voxel is not known; give it (--spacing), or score in pixels "
                "or voxels"
            )
    spacing = metrics.check_grid(label_shape, prediction_shape, spacing_mm or (1.0,) * len(label_shape))
    return _Size(spacing, axes_mm if spacing_mm is not None else None, spacing_mm is not None)


def _check_metrics(protocol: Protocol) -> None:
    if not METRICS.keys() >= set(protocol.metrics):
        protocol_metrics(protocol)
