"""What MONAI, nnU-Net, panoptica, MetricsReloaded, surface-distance and medpy would say of a pair of masks.

Written here once more and held against those tools by the tests (`tests/scoring/definitions`), so that none of them
has to be installed. Each is taken with its defaults, but for the voxel size, which it is told, and a tolerance of 1
where it has none of its own. Knows no protocol.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from segfair.scoring import metrics
from segfair.scoring.definitions.surface_elements import element_areas, surface_elements, weighted_percentile
from segfair.scoring.metrics import MaskPair
from segfair.scoring.surfaces import SurfaceDistances, distances_between, surface_of

__all__ = ["TOOLS", "Measure", "Tool", "measures_of_tools", "plain_spacing", "values_of_tools"]

Measure = Literal["dsc", "hd95", "nsd"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
_PERCENTILE = 95
# Distances along an axis are multiples of a voxel's edge, and stand exactly at a tolerance all the time; those that are
# found by another way of adding are beyond it by the last bits.
_LAST_BITS = 1e-12


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool, and how its definitions differ.

    Attributes:
        name: As its authors write it.
        version: Of which the tests know that it says the same.
        rules: Measure -> its rule in words; one that it does not have is left out.
        empty: Measure -> what it is where a mask is empty.
    """

    name: str
    version: str
    rules: Mapping[Measure, str]
    empty: Mapping[Measure, str]


_OVERLAP = "2TP / (2TP + FP + FN)"
_DIRECTED = "the larger of the two directed 95th percentiles, centre to centre of surface voxels"
_POOLED = "the 95th percentile of the distances of both directions together, centre to centre of surface voxels"
_SHARE = "share of all surface voxels within {} of the other surface"
_REFUSED = "one or both empty: it raises an error, left out"
TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        "monai": Tool(
            "MONAI",
            "1.6.1",
            {
                "dsc": _OVERLAP,
                "hd95": f"{_DIRECTED}; without spacing= it counts voxels",
                "nsd": f"{_SHARE.format('the tolerance')}; without spacing= it counts voxels",
            },
            {
                "dsc": "label empty: undefined and left out, whatever was predicted",
                "hd95": "one or both empty: undefined and left out",
                "nsd": "both empty: undefined and left out; one empty: 0",
            },
        ),
        "nnunet": Tool("nnU-Net", "2.8.1", {"dsc": _OVERLAP}, {"dsc": "both empty: undefined and left out"}),
        "panoptica": Tool(
            "panoptica",
            "2.1.7",
            {
                "dsc": f"{_OVERLAP} of the whole mask as one matched instance",
                "hd95": f"{_POOLED}; without voxelspacing= it counts voxels",
                "nsd": "mean of the two shares of surface voxels within the shortest edge of a voxel",
            },
            {
                "dsc": "both empty: undefined and left out; one empty: 0",
                "hd95": _REFUSED,
                "nsd": _REFUSED,
            },
        ),
        "metrics_reloaded": Tool(
            "MetricsReloaded",
            "0.1.0",
            {
                "dsc": _OVERLAP,
                "hd95": f"{_DIRECTED}; without pixdim= it counts voxels",
                "nsd": f"{_SHARE.format('the tolerance')}; without pixdim= it counts voxels",
            },
            {
                "dsc": "both empty: 1",
                "hd95": "both empty: 0; one empty: undefined and left out",
                "nsd": "both empty: 1; one empty: 0",
            },
        ),
        "surface_distance": Tool(
            "surface-distance",
            "0.1",
            {
                "dsc": _OVERLAP,
                "hd95": "the larger of the two directed 95th percentiles of surface elements by area, corner to corner",
                "nsd": "share of the area of all surface elements within the tolerance of the other surface",
            },
            {
                "dsc": "both empty: undefined and left out",
                "hd95": "one or both empty: infinite",
                "nsd": "both empty: undefined and left out; one empty: 0",
            },
        ),
        "medpy": Tool(
            "medpy",
            "0.5.2",
            {"dsc": _OVERLAP, "hd95": f"{_POOLED}; without voxelspacing= it counts voxels"},
            {"dsc": "both empty: undefined and left out", "hd95": _REFUSED},
        ),
    }
)


def measures_of_tools() -> tuple[tuple[str, Measure], ...]:
    """Each tool with each measure that it has, by measure."""
    return tuple((tool, measure) for measure in MEASURES for tool, entry in TOOLS.items() if measure in entry.rules)


def plain_spacing(spacing: Sequence[float]) -> tuple[float, ...]:
    """The size of a voxel to six figures, as a tool is told it.

    An affine in single precision makes 0.50000003 mm of 0.5 mm, so that two voxels would not be within 1 mm.
    """
    return tuple(float(f"{length:.6g}") for length in spacing)


def values_of_tools(
    pair: MaskPair, *, spacing: Sequence[float], tolerance: float = 1.0, compiled: bool = False
) -> dict[str, float]:
    """What each tool says of a pair of masks.

    Args:
        pair: The masks; that their axes may not be at right angles is known to none of the tools.
        spacing: Length of a voxel along each axis, in the unit that distances shall have.
        tolerance: Of NSD, in that unit; panoptica takes the shortest edge instead.
        compiled: Whether distances are found by compiled loops.

    Returns:
        "TOOL MEASURE" -> value, of each of `measures_of_tools`. Empty masks: as the tool has it; nan where it gives no
        value. Of one empty mask MetricsReloaded's NSD is 0 but for voxels in the first corner of the image, which it
        takes to be near the other surface; that is not imitated.
    """
    spacing = tuple(map(float, spacing))
    n_empty = (pair.n_label == 0) + (pair.n_prediction == 0)
    box = pair.box or (slice(0, 1),) * pair.label.ndim
    masks = [np.ascontiguousarray(mask[box]) for mask in (pair.label, pair.prediction)]
    found = _overlaps(pair, n_empty=n_empty) | _of_elements(masks, spacing, tolerance, compiled=compiled)
    # With background around it every mask has a surface at the border of the image, and a single slice is all surface.
    label, prediction = (surface_of(np.pad(mask, 1), compiled=compiled) for mask in masks)
    found |= _of_voxels(distances_between(label, prediction, spacing=spacing), min(spacing), tolerance)
    return {f"{tool} {measure}": found[f"{tool} {measure}"] for tool, measure in measures_of_tools()}


def _overlaps(pair: MaskPair, *, n_empty: int) -> dict[str, float]:
    found = {f"{tool} dsc": metrics.dice(pair) for tool in TOOLS}
    if not pair.n_label:
        found["monai dsc"] = math.nan
    if n_empty == 2:
        found["metrics_reloaded dsc"] = 1.0
    return found


def _of_voxels(distances: SurfaceDistances, shortest: float, tolerance: float) -> dict[str, float]:
    """HD95 and NSD of the tools that count surface voxels."""
    n_empty = {"none": 0, "one": 1, "both": 2}[distances.empty]
    there, back = distances.label_to_prediction, distances.prediction_to_label
    directed = pooled = math.nan
    single = nsd = 0.0 if n_empty == 1 else math.nan
    both_within = math.nan
    if n_empty == 0:
        directed = metrics.hausdorff(distances, _PERCENTILE)
        pooled = float(np.percentile(np.concatenate([there, back]), _PERCENTILE))
        nsd = _share_within(there, back, tolerance)
        # MONAI keeps distances in single precision.
        single = _share_within(there.astype(np.float32), back.astype(np.float32), tolerance)
        both_within = (_within(there, shortest).mean() + _within(back, shortest).mean()) / (2.0 + sys.float_info.min)
    return {
        "monai hd95": directed,
        "monai nsd": single,
        "panoptica hd95": pooled,
        "panoptica nsd": float(both_within),
        "metrics_reloaded hd95": 0.0 if n_empty == 2 else directed,
        "metrics_reloaded nsd": 1.0 if n_empty == 2 else nsd,
        "medpy hd95": pooled,
    }


def _of_elements(
    masks: Sequence[NDArray[np.bool_]], spacing: tuple[float, ...], tolerance: float, *, compiled: bool
) -> dict[str, float]:
    """HD95 and NSD of surface-distance, which counts surface elements by their area."""
    (label, of_label), (prediction, of_prediction) = (surface_elements(mask, compiled=compiled) for mask in masks)
    found = distances_between(label, prediction, spacing=spacing)
    there, back = found.label_to_prediction, found.prediction_to_label
    areas = element_areas(spacing)
    there_areas, back_areas = areas[of_label[label.voxels]], areas[of_prediction[prediction.voxels]]
    hd95 = math.inf
    if found.empty == "none":
        ways = ((there, there_areas), (back, back_areas))
        hd95 = max(weighted_percentile(distances, of, _PERCENTILE) for distances, of in ways)
    whole = np.sum(there_areas) + np.sum(back_areas)
    within = np.sum(there_areas[_within(there, tolerance)]) + np.sum(back_areas[_within(back, tolerance)])
    return {
        "surface_distance hd95": hd95,
        "surface_distance nsd": float(within / whole) if whole else math.nan,
    }


def _share_within(there: NDArray[np.floating], back: NDArray[np.floating], tolerance: float) -> float:
    n_within = np.count_nonzero(_within(there, tolerance)) + np.count_nonzero(_within(back, tolerance))
    return float(n_within / (there.size + back.size))


def _within(distances: NDArray[np.floating], tolerance: float) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = distances <= distances.dtype.type(tolerance * (1 + _LAST_BITS))
    return within
