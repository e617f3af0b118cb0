"""Records what other tools say of the masks of `tool_masks`: `python record_tools.py TOOL FILE [CHECKOUT]`.

Each tool in an environment of its own where they disagree about NumPy:

- medpy: `pip install medpy==0.5.2`.
- surface_distance: `pip install surface-distance==0.1 "numpy<2.5"`.
- metrics_reloaded: CHECKOUT of github.com/Project-MONAI/MetricsReloaded at cb38dfc, `pip install scikit-image pandas`.
- panoptica: `pip install panoptica==2.1.7`.

MONAI and nnU-Net are asked by the tests themselves. Values are HD95 in the unit of the voxel size, and NSD within 1
(of panoptica within its own default).
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.scoring.oracles.lesion_masks import digest
from tests.scoring.oracles.tool_masks import KINDS, tool_masks

SEEDS = range(24)
_Values = dict[str, Callable[[], Any]]


def medpy_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> _Values:
    from medpy.metric import binary

    return {
        "dsc": lambda: binary.dc(prediction, label),
        "hd95": lambda: binary.hd95(prediction, label, voxelspacing=spacing),
    }


def surface_distance_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> _Values:
    vars(np).update(Inf=np.inf, NaN=np.nan)  # it was written for a NumPy that had them
    import surface_distance

    masks = label.astype(bool), prediction.astype(bool)
    found = surface_distance.compute_surface_distances(*masks, spacing)
    return {
        "dsc": lambda: surface_distance.compute_dice_coefficient(*masks),
        "hd95": lambda: surface_distance.compute_robust_hausdorff(found, 95),
        "nsd": lambda: surface_distance.compute_surface_dice_at_tolerance(found, 1.0),
    }


def metrics_reloaded_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> _Values:
    from MetricsReloaded.metrics.pairwise_measures import BinaryPairwiseMeasures

    said = BinaryPairwiseMeasures(
        prediction.astype(int), label.astype(int), pixdim=spacing, dict_args={"nsd": 1, "hd_perc": 95}
    )
    return {
        "dsc": said.dsc,
        "hd95": said.measured_hausdorff_distance_perc,
        "nsd": said.normalised_surface_distance,
    }


def panoptica_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> _Values:
    from panoptica import InputType, Panoptica_Evaluator
    from panoptica.metrics import Metric

    def evaluate(measured: Metric) -> float:
        evaluator = Panoptica_Evaluator(
            expected_input=InputType.MATCHED_INSTANCE, instance_metrics=[measured], global_metrics=[]
        )
        result = evaluator.evaluate(prediction, label, verbose=False, voxelspacing=spacing)["ungrouped"]
        return float(getattr(result, f"sq_{measured.name.lower()}"))

    return {
        name: lambda measured=measured: evaluate(measured)
        for name, measured in (("dsc", Metric.DSC), ("hd95", Metric.HD95), ("nsd", Metric.NSD))
    }


TOOLS = {
    "medpy": (medpy_says, lambda: f"medpy {metadata.version('medpy')}"),
    "surface_distance": (surface_distance_says, lambda: f"surface-distance {metadata.version('surface-distance')}"),
    "metrics_reloaded": (metrics_reloaded_says, lambda: "MetricsReloaded 0.1.0 (cb38dfc)"),
    "panoptica": (panoptica_says, lambda: f"panoptica {metadata.version('panoptica')}"),
}


def main(tool: str, file: str, checkout: str = "") -> None:
    """Writes the values of all kinds and seeds."""
    if checkout:
        sys.path.insert(0, checkout)
    warnings.simplefilter("ignore")
    say, version = TOOLS[tool]
    cases = []
    for kind in KINDS:
        for seed in SEEDS:
            label, prediction, spacing = tool_masks(kind, seed)
            values = {name: _plain(ask) for name, ask in say(label, prediction, spacing).items()}
            cases.append({"kind": kind, "seed": seed, "digest": digest(label, prediction), "values": values})
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    Path(file).write_text(
        f'{{"tool": "{version()}", "script": "{Path(__file__).name}", "cases": [\n{lines}\n]}}\n', "utf-8"
    )


def _plain(ask: Callable[[], Any]) -> float | str | None:
    """A value that JSON can hold; "refused" where the tool raises an error."""
    try:
        value = float(ask())
    except (RuntimeError, NotImplementedError):
        return "refused"
    return None if math.isnan(value) else "infinity" if value == math.inf else value


if __name__ == "__main__":
    main(*sys.argv[1:])
