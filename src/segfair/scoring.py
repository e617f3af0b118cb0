"""From masks to per-case scores under a protocol: which voxels count, what an empty or unusable mask is worth.

The only place that turns the nan and inf of `metrics` into values or None; neither gets out. Aggregates nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from segfair import metrics
from segfair.cases import Case, Cohort
from segfair.errors import AuditError, ConfigError, InputError
from segfair.io.masks import Mask, align, describe_difference, read_image, read_mask
from segfair.label_digest import label_digest
from segfair.metrics import METRICS, MaskPair
from segfair.protocol import Protocol, format_label_values
from segfair.scores import (
    DISTANCE_UNIT,
    OF_ALL_REGIONS,
    TOLERANCE_MM,
    CaseScore,
    LabelValues,
    ScoreTable,
    counted_values,
    protocol_metrics,
)
from segfair.surfaces import SurfaceDistances, distances_between, joint_box, surface_voxels

__all__ = [
    "CaseScore",
    "ScoreTable",
    "protocol_metrics",
    "read_label",
    "read_pair",
    "score_against",
    "score_case",
    "score_cohort",
    "score_pair",
    "worst_score",
]

NO_PREDICTION = "no prediction"

Values = dict[str, float | None]
LabelMap = NDArray[Any]

_OVERLAP: dict[str, Callable[[MaskPair], float]] = {
    "dsc": metrics.dice,
    "iou": metrics.iou,
    "sensitivity": metrics.sensitivity,
    "precision": metrics.precision,
    "relative_volume_error": metrics.relative_volume_error,
    "lesion_missed": metrics.lesion_missed,
    "volume": metrics.volume,
}


def score_pair(
    label: ArrayLike, prediction: ArrayLike, *, spacing_mm: tuple[float, ...], protocol: Protocol, case: str = ""
) -> CaseScore:
    """Scores one prediction against its label, both in memory.

    Args:
        label: Label map (whole numbers or booleans), 2-D or 3-D.
        prediction: Label map of the same shape, on the same grid.
        spacing_mm: Voxel size along each axis.
        protocol: The rules. Voxels where the label has the ignore label become background in both masks; where a
            lesion reaches them, the cut is surface in both. With regions each region has its own surface, and
            the plain metric is the mean over the regions with a value (None without any), except for the volume
            and the missed lesion, which are those of all regions together.
        case: Case id to put into the result.

    Returns:
        The scores. Empty masks: as the protocol says; never nan or inf.

    Raises:
        ConfigError: A metric that does not exist.
        GeometryError: Shapes that differ, or neither 2-D nor 3-D.
        InputError: Values that are no mask, or an impossible spacing.
    """
    _check_metrics(protocol)
    labels, predictions = (
        metrics.check_mask(label, name="label"),
        metrics.check_mask(prediction, name="prediction"),
    )
    spacing = metrics.check_grid(labels.shape, predictions.shape, spacing_mm)
    shape = labels.shape
    # From here on only the box around everything non-zero: no metric depends on the rest.
    box = joint_box(labels, predictions) or (slice(1),) * len(shape)
    labels, predictions = _drop_ignored(labels[box], predictions[box], protocol.ignore_label)

    def select(values: LabelValues) -> MaskPair:
        return MaskPair(label=_lesion(labels, values), prediction=_lesion(predictions, values), spacing_mm=spacing)

    whole = select(counted_values(protocol))
    by_region = {}
    for region, values in _regions(protocol).items():
        pair = select(values) if protocol.regions else whole
        surfaces = None
        if protocol.label.surface == "any" and not protocol.regions:
            surfaces = (labels, predictions)
        by_region[region] = _finite(_measure(pair, surfaces, protocol), protocol, shape, spacing)
    alerts = [
        f"the {role} is empty under this protocol: it holds the values {_some_values(found)}, and only "
        f"{format_label_values(counted_values(protocol))} counts"
        for role, found, n_voxels in (
            ("label", labels, whole.n_label),
            ("prediction", predictions, whole.n_prediction),
        )
        if n_voxels == 0 and found.any()
    ]
    total = _finite({name: _OVERLAP[name](whole) for name in OF_ALL_REGIONS}, protocol, shape, spacing)
    return CaseScore(
        case,
        _columns(by_region, total, protocol),
        {**_label_facts(whole), "prediction_voxels": whole.n_prediction},
        tuple(alerts),
    )


def worst_score(
    label: ArrayLike, *, spacing_mm: tuple[float, ...], protocol: Protocol, reason: str, case: str = ""
) -> CaseScore:
    """What a prediction gets that cannot be used, whatever is wrong with it.

    That of an empty prediction where there is a lesion: DSC, IoU, sensitivity and NSD 0, NormHD 1, distances as the
    protocol has them for one empty mask, relative volume error -1, precision None. Without a lesion the same, so
    that an unusable file never scores as "both empty"; what has no meaning without a lesion (sensitivity, relative
    volume error, a missed lesion) is None for any prediction, and so here.

    Args:
        label: Label map, 2-D or 3-D.
        spacing_mm: Voxel size along each axis.
        protocol: The rules.
        reason: Why the prediction cannot be used.
        case: Case id to put into the result.

    Raises:
        ConfigError: A metric that does not exist.
        GeometryError: A label that is neither 2-D nor 3-D.
        InputError: Values that are no mask, or an impossible spacing.
    """
    _check_metrics(protocol)
    labels = metrics.check_mask(label, name="label")
    spacing = metrics.check_grid(labels.shape, labels.shape, spacing_mm)
    shape = labels.shape
    box = joint_box(labels, labels) or (slice(1),) * len(shape)
    labels, nothing = _drop_ignored(labels[box], np.zeros_like(labels[box]), protocol.ignore_label)

    def worst(values: LabelValues) -> tuple[MaskPair, Values]:
        pair = MaskPair(label=_lesion(labels, values), prediction=nothing, spacing_mm=spacing)
        scores: dict[str, float] = dict.fromkeys((*DISTANCE_UNIT, "normhd"), math.inf)
        scores |= dict.fromkeys(("dsc", "iou", *TOLERANCE_MM), 0.0)
        scores |= {name: _OVERLAP[name](pair) for name in _OVERLAP if name not in scores}
        return pair, _finite(scores, protocol, shape, spacing)

    whole, total = worst(counted_values(protocol))
    by_region = {region: worst(values)[1] for region, values in _regions(protocol).items()}
    return CaseScore(case, _columns(by_region, total, protocol), _label_facts(whole), (), reason)


def score_case(case: Case, protocol: Protocol, *, threshold: float | None = None) -> CaseScore:
    """Reads the two masks of a case and scores them.

    A prediction that is absent, unreadable, no mask or on another grid has the worst score and a reason.

    Args:
        case: The case.
        protocol: The rules.
        threshold: The predictions are probability maps, and lesion is where they reach this value; None: masks.

    Raises:
        InputError: The label cannot be used.
        ConfigError: A metric that does not exist, or a threshold where several label values are told apart.
    """
    label = read_label(case)
    score = score_against(label, case, protocol, threshold=threshold)
    return dataclasses.replace(score, label_sha256=label_digest(label, protocol))


def read_label(case: Case) -> Mask:
    """Reads the label of a case.

    Raises:
        InputError: It cannot be used.
    """
    if case.label is None:
        raise InputError(f"no label for case {case.id}")
    return _read(case.label)


def read_pair(case: Case, protocol: Protocol, *, threshold: float | None = None) -> tuple[Mask, MaskPair]:
    """The label of a case as it is stored, and both masks as they are scored, on the label's grid.

    Every voxel of a label value that counts is true; voxels to be ignored are background in both.

    Raises:
        InputError: The label or the prediction cannot be used.
        ConfigError: A threshold where several label values are told apart.
    """
    _check_threshold(threshold, protocol)
    label = read_label(case)
    prediction, _ = _read_prediction(case, label, protocol, threshold)
    labels, predictions = _drop_ignored(label.array, prediction.array, protocol.ignore_label)
    values = counted_values(protocol)
    pair = MaskPair(label=_lesion(labels, values), prediction=_lesion(predictions, values), spacing_mm=label.spacing_mm)
    return label, pair


def score_against(label: Mask, case: Case, protocol: Protocol, *, threshold: float | None = None) -> CaseScore:
    """Reads the prediction of a case and scores it against a label in memory, so that several share one reading.

    Args:
        label: The case's label.
        case: Says where the prediction lies.
        protocol: The rules.
        threshold: See `score_case`.

    Raises:
        ConfigError: A metric that does not exist, or a threshold where several label values are told apart.
    """
    _check_threshold(threshold, protocol)
    try:
        prediction, alerts = _read_prediction(case, label, protocol, threshold)
    except InputError as error:
        return worst_score(label.array, spacing_mm=label.spacing_mm, protocol=protocol, reason=str(error), case=case.id)
    score = score_pair(label.array, prediction.array, spacing_mm=label.spacing_mm, protocol=protocol, case=case.id)
    return dataclasses.replace(score, alerts=(*alerts, *score.alerts))


def score_cohort(
    cohort: Cohort,
    protocol: Protocol,
    *,
    threshold: float | None = None,
    executor: Executor | None = None,
    on_done: Callable[[str], None] | None = None,
    strict: bool = False,
) -> ScoreTable:
    """Scores every case of a cohort; one bad file costs that case only.

    Args:
        cohort: The cases that count.
        protocol: The rules.
        threshold: See `score_case`.
        executor: Where cases are scored (processes, threads, a cluster); None: one after the other, here. The
            result is the same.
        on_done: Called here with each case id, in cohort order, once it has been scored or excluded.
        strict: Whether the first penalised or excluded case is an error.

    Returns:
        The scores in cohort order; a case with an unusable label is in `excluded`.

    Raises:
        InputError: `strict`, and a file is unusable.
        ConfigError: A metric that does not exist, or a threshold where several label values are told apart.
        AuditError: A worker process died.
    """
    columns = protocol_metrics(protocol)
    _check_threshold(threshold, protocol)
    # A worker needs the files of its case, not the patient's metadata.
    cases = [Case(case.id, case.label, case.prediction) for case in cohort]
    waiting = [executor.submit(_try_case, case, protocol, threshold) for case in cases] if executor is not None else []
    scores: list[CaseScore] = []
    excluded: dict[str, str] = {}
    try:
        for index, case in enumerate(cases):
            outcome = waiting[index].result() if waiting else _try_case(case, protocol, threshold)
            reason = outcome if isinstance(outcome, str) else outcome.penalised
            if strict and reason is not None:
                raise InputError(f"case {case.id}: {reason}; mend or remove it, or leave out --strict")
            if isinstance(outcome, str):
                excluded[case.id] = outcome
            else:
                scores.append(outcome)
            if on_done is not None:
                on_done(case.id)
    except BrokenExecutor as error:
        raise AuditError(
            f"case {case.id} or one scored beside it ended its worker process (out of memory?); use fewer workers"
        ) from error
    finally:
        for future in waiting:
            future.cancel()
    return ScoreTable(columns, tuple(scores), excluded)


def _try_case(case: Case, protocol: Protocol, threshold: float | None) -> CaseScore | str:
    """The score, or why there is none."""
    try:
        return score_case(case, protocol, threshold=threshold)
    except InputError as error:
        return str(error)


def _read_prediction(
    case: Case, label: Mask, protocol: Protocol, threshold: float | None
) -> tuple[Mask, tuple[str, ...]]:
    """The prediction on the label's axes, and alerts.

    Raises:
        InputError: It cannot be used; the message says why.
    """
    if case.prediction is None:
        raise InputError(NO_PREDICTION)
    if threshold is None:
        prediction = _read(case.prediction)
    else:
        prediction = _read_thresholded(case.prediction, threshold, protocol)
    aligned = align(prediction, label, tolerance=protocol.grid.tolerance)
    if aligned is not None:
        return aligned, ()
    difference = describe_difference(label, prediction)
    if protocol.grid.match == "shape" and prediction.array.shape == label.array.shape:
        return prediction, (f"scored voxel by voxel although the grids differ: {difference}",)
    raise InputError(f"another grid: {difference}")


def _read(path: Path) -> Mask:
    try:
        return read_mask(path)
    except MemoryError as error:
        raise InputError(f"{path}: too large for the memory of this machine; crop it or store it smaller") from error


def _read_thresholded(path: Path, threshold: float, protocol: Protocol) -> Mask:
    """A probability map as a mask of the first label value that counts."""
    probabilities, affine = read_image(path)
    if not np.isfinite(probabilities).all():
        raise InputError(f"{path}: holds nan or infinity, which are no probabilities")
    counted = protocol.label.overlap
    value = 1 if counted == "any" else counted[0]
    return Mask(np.where(probabilities >= threshold, np.min_scalar_type(value).type(value), 0), affine)


def _measure(pair: MaskPair, surface_maps: tuple[LabelMap, LabelMap] | None, protocol: Protocol) -> dict[str, float]:
    """The protocol's metrics of one pair, with nan and inf; surfaces of the label maps, else of the pair itself."""
    names = protocol.metrics
    scores = {name: _OVERLAP[name](pair) for name in names if name in _OVERLAP}
    unit_of = {**DISTANCE_UNIT, "normhd": protocol.normhd.unit}
    units = {unit_of[name] for name in names if name in unit_of}
    if not units:
        return scores
    distances = _distances(pair, surface_maps, units, protocol)
    hd95 = {unit: metrics.hausdorff(found) for unit, found in distances.items()}
    for name in names:
        if name in ("hd95_vox", "hd95_mm"):
            scores[name] = hd95[unit_of[name]]
        elif name == "assd_mm":
            scores[name] = metrics.assd(distances["mm"])
        elif name in TOLERANCE_MM:
            scores[name] = metrics.nsd(distances["mm"], TOLERANCE_MM[name])
        elif name == "normhd":
            norm = hd95[protocol.normhd.unit] / protocol.normhd.scale
            scores[name] = min(norm, 1.0) if protocol.normhd.clip and math.isfinite(norm) else norm
    return scores


def _distances(
    pair: MaskPair, surface_maps: tuple[LabelMap, LabelMap] | None, units: set[str], protocol: Protocol
) -> dict[str, SurfaceDistances]:
    """Surface distances in each unit; the surfaces are taken once, and cubic voxels are searched once."""
    if surface_maps is None:
        box = pair.box or (slice(0),) * pair.label.ndim
        surface_maps = (pair.label[box], pair.prediction[box])
    surfaces = [surface_voxels(found, image_border=protocol.surface.image_border) for found in surface_maps]
    spacing = pair.spacing_mm
    cubic = len(set(spacing)) == 1
    found = {}
    if "voxels" in units or cubic:
        found["voxels"] = distances_between(surfaces[0], surfaces[1], spacing=(1.0,) * len(spacing))
    if "mm" in units:
        found["mm"] = (
            found["voxels"].scaled(spacing[0])
            if cubic
            else distances_between(surfaces[0], surfaces[1], spacing=spacing)
        )
    return {unit: found[unit] for unit in units}


def _finite(
    scores: Mapping[str, float], protocol: Protocol, shape: tuple[int, ...], spacing_mm: tuple[float, ...]
) -> Values:
    """Nan (both masks empty) and inf (one is) replaced by what the protocol says they are worth."""
    values: Values = {}
    for name, score in scores.items():
        if math.isfinite(score):
            values[name] = float(score)
        elif name in ("dsc", "iou", *TOLERANCE_MM):
            values[name] = protocol.empty.both_dsc
        elif name == "normhd":
            values[name] = 0.0 if math.isnan(score) else 1.0
        elif name not in DISTANCE_UNIT:
            values[name] = None
        elif math.isnan(score):
            values[name] = 0.0
        elif protocol.empty.one_distance == "diagonal":
            lengths = spacing_mm if DISTANCE_UNIT[name] == "mm" else (1.0,) * len(shape)
            values[name] = math.hypot(*(n * length for n, length in zip(shape, lengths, strict=True)))
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


def _label_facts(pair: MaskPair) -> dict[str, float]:
    spacing = pair.spacing_mm
    inside = pair.label[pair.box] if pair.box else pair.label
    n_lesions = ndimage.label(inside, structure=np.ones((3,) * inside.ndim))[1] if pair.n_label else 0
    return {
        "label_voxels": pair.n_label,
        "voxel_volume_mm3": math.prod(spacing),
        **{f"spacing_{axis}_mm": length for axis, length in zip("xyz", spacing, strict=False)},
        "spacing_min_mm": min(spacing),
        "spacing_max_mm": max(spacing),
        "anisotropy": max(spacing) / min(spacing),
        "n_lesions": int(n_lesions),
    }


def _regions(protocol: Protocol) -> Mapping[str, LabelValues]:
    return protocol.regions or {"": protocol.label.overlap}


def _lesion(labels: LabelMap, values: LabelValues) -> NDArray[np.bool_]:
    lesion: NDArray[np.bool_]
    if values == "any":
        lesion = labels != 0
        return lesion
    lesion = labels == values[0]
    for value in values[1:]:
        lesion |= labels == value
    return lesion


def _drop_ignored(labels: LabelMap, predictions: LabelMap, ignore_label: int | None) -> tuple[LabelMap, LabelMap]:
    if ignore_label is None:
        return labels, predictions
    ignored = labels == ignore_label
    return np.where(ignored, 0, labels), np.where(ignored, 0, predictions)


def _some_values(labels: LabelMap) -> str:
    found = [f"{value:g}" for value in np.unique(labels) if value]
    return ", ".join(found[:5]) + (" and others" if len(found) > 5 else "")


def _check_metrics(protocol: Protocol) -> None:
    if not METRICS.keys() >= set(protocol.metrics):
        protocol_metrics(protocol)


def _check_threshold(threshold: float | None, protocol: Protocol) -> None:
    if threshold is not None and protocol.regions:
        raise ConfigError(
            f"threshold {threshold}: a probability map has one region, the protocol {protocol.name} has "
            f"{len(protocol.regions)} ({', '.join(protocol.regions)}); hand in label maps"
        )
