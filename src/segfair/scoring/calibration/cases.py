"""The probability map of a case on its label's grid -> the values that are added to its score. Aggregates nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import Mask, align, describe_difference
from segfair.files.images.probabilities import read_probabilities
from segfair.protocol.rules import Protocol
from segfair.scoring.calibration.measures import (
    DRAWS,
    N_BINS,
    bin_sums,
    brier_score,
    calibration_error,
    chance_error,
    expected_dice,
)
from segfair.scoring.metrics import Metric
from segfair.scoring.pairs import lesion_of, with_sets
from segfair.scoring.reading import OTHER_GRID, Prediction
from segfair.scoring.scores import CaseScore, counted_values, protocol_metrics

__all__ = ["MARGIN_MM", "MARGIN_VOXELS", "SOFT_METRICS", "metrics_of", "with_probabilities", "without_probabilities"]

MARGIN_MM = 5.0
"""How far beyond the box of the lesion voxels are looked at: background far away is easy, and would make any ECE 0."""
MARGIN_VOXELS = 5
"""The same where the size of a voxel is not known."""
NO_MAP = "no probabilities"
_BOX = f"box-of-label+{MARGIN_MM:g}mm"
SOFT_METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("ece", "", "lower", f"ece/{N_BINS}-equal-bins/{_BOX}", "label empty: undefined"),
            Metric(
                "ece_chance",
                "",
                "neither",
                f"ece/of-labels-drawn-from-the-probabilities/{DRAWS}-draws/{N_BINS}-equal-bins/{_BOX}",
                "label empty: undefined",
            ),
            Metric("brier", "", "lower", f"brier/mean-squared/{_BOX}", "label empty: undefined"),
            Metric(
                "expected_dsc",
                "",
                "neither",
                "expected-dsc/2-sum-mp-over-sum-m+sum-p/whole-image",
                "prediction empty: that of two empty masks, times the probability of an empty label",
            ),
            Metric(
                "overconfidence",
                "",
                "signed",
                "overconfidence/expected-dsc-minus-dsc/whole-image",
                "as expected_dsc and dsc",
            ),
        )
    }
)
"""What probabilities add to the metrics of a protocol."""


def metrics_of(cohort: Cohort, protocol: Protocol) -> tuple[Metric, ...]:
    """The columns of a cohort's scores: the protocol's, and with probability maps what these add.

    Raises:
        ConfigError: A metric that does not exist, or several regions, of which one map tells nothing.
    """
    columns = protocol_metrics(protocol)
    if not cohort.has_probabilities:
        return columns
    if protocol.regions:
        raise ConfigError(
            f"probabilities: a map has one region, the protocol {protocol.name} has {len(protocol.regions)} "
            f"({', '.join(protocol.regions)}); name the values that count together, such as --label 1,2"
        )
    return (*columns, *SOFT_METRICS.values())


def without_probabilities(score: CaseScore, reason: str = "") -> CaseScore:
    """A score without a value of its probabilities; `reason` says what is wrong with the map, where something is."""
    return dataclasses.replace(score, values={**score.values, **dict.fromkeys(SOFT_METRICS)}, no_probabilities=reason)


def with_probabilities(
    score: CaseScore, case: Case, label: Mask, prediction: Prediction, protocol: Protocol, *, has_size: bool
) -> CaseScore:
    """A score with the values of the case's probability map; a map that cannot be used is named, and has none.

    Args:
        score: What its mask scored.
        case: Says where the map lies.
        label: The label.
        prediction: The mask, and how it is stored: a map without a geometry of its own lies as its mask does.
        protocol: The rules.
        has_size: Whether the label's voxel size is known.
    """
    if case.probabilities is None:
        return without_probabilities(score, NO_MAP)
    values = counted_values(protocol)
    try:
        map_ = _placed(read_probabilities(case.probabilities, values), label, prediction.stored, protocol)
    except InputError as error:
        return without_probabilities(score, str(error))
    probabilities = map_.array
    lesion = lesion_of(label.array, with_sets(values, label.sets))
    mask = lesion_of(prediction.mask.array, with_sets(values, prediction.mask.sets))
    counted = None if protocol.ignore_label is None else label.array != protocol.ignore_label
    if counted is not None:  # what is ignored is no lesion, for sure
        probabilities, lesion, mask = probabilities * counted, lesion & counted, mask & counted
    expected = expected_dice(probabilities, mask, both_empty=protocol.empty.both_dsc)
    n_voxels = int(lesion.sum()) + int(mask.sum())
    real = 2 * int((lesion & mask).sum()) / n_voxels if n_voxels else protocol.empty.both_dsc
    found: dict[str, float | None] = {**dict.fromkeys(SOFT_METRICS), "expected_dsc": expected}
    found["overconfidence"] = expected - real
    calibration: tuple[tuple[float, float, float], ...] = ()
    if lesion.any():
        box = _box(lesion, label.spacing_mm if has_size else None)
        inside = ... if counted is None else counted[box]
        near, hit = probabilities[box][inside].ravel().astype(np.float64), lesion[box][inside].ravel()
        sums = bin_sums(near, hit)
        calibration = tuple(zip(sums.n.tolist(), sums.probability.tolist(), sums.lesion.tolist(), strict=True))
        found["ece"], found["ece_chance"] = calibration_error(sums), chance_error(near)
        found["brier"] = brier_score(near, hit)
    return dataclasses.replace(score, values={**score.values, **found}, calibration=calibration)


def _placed(map_: Mask, label: Mask, stored: Mask, protocol: Protocol) -> Mask:
    """The map on the label's axes.

    Raises:
        InputError: It lies on another grid.
    """
    while map_.ndim > stored.ndim and map_.shape[-1] == 1:
        map_ = map_.reshaped(map_.shape[:-1])
    if not map_.has_size and map_.shape == stored.shape:
        # Its file does not say where it lies: where its mask does.
        map_ = dataclasses.replace(stored, part=map_.array, place=None, sets={})
    aligned = align(map_, label, tolerance=protocol.grid.tolerance)
    if aligned is not None:
        return aligned
    if protocol.grid.match == "shape" and map_.shape == label.shape:
        return map_
    raise InputError(f"{OTHER_GRID}: {describe_difference(label, map_, names=('label', 'map'))}")


def _box(lesion: NDArray[np.bool_], spacing_mm: tuple[float, ...] | None) -> tuple[slice, ...]:
    """The box of a lesion and what lies around it, within the image."""
    sides = []
    for axis, length in enumerate(lesion.shape):
        hit = np.flatnonzero(lesion.any(axis=tuple(other for other in range(lesion.ndim) if other != axis)))
        margin = MARGIN_VOXELS if spacing_mm is None else max(1, math.ceil(MARGIN_MM / spacing_mm[axis]))
        sides.append(slice(max(0, int(hit[0]) - margin), min(length, int(hit[-1]) + 1 + margin)))
    return tuple(sides)
