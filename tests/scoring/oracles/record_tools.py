"""Records what other tools say of the masks of `tool_masks`: `python record_tools.py TOOL FILE [CHECKOUT]`.

`python record_tools.py TOOL FILE CHECKOUT FOLDER...` records (CHECKOUT may be "") what it says of the masks in
`FOLDER/labels` and `FOLDER/preds`, any value but 0 being lesion; this takes nibabel. Each tool in an environment of its own where they disagree about NumPy:

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
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.scoring.oracles.lesion_masks import digest
from tests.scoring.oracles.tool_masks import KINDS, tool_masks

SEEDS = range(24)
Masks = tuple[np.ndarray, np.ndarray, tuple[float, ...]]
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


def main(tool: str, file: str, checkout: str = "", *folders: str) -> None:
    """Writes the values of all kinds and seeds, or of all masks in some folders."""
    if checkout:
        sys.path.insert(0, checkout)
    warnings.simplefilter("ignore")
    say, version = TOOLS[tool]
    cases = []
    for named, masks in map(_real_masks, _files(folders)) if folders else _made_masks():
        values = {name: _plain(ask) for name, ask in say(*masks).items()}
        cases.append({**named, "values": values})
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    Path(file).write_text(
        f'{{"tool": "{version()}", "script": "{Path(__file__).name}", "cases": [\n{lines}\n]}}\n', "utf-8"
    )


def _made_masks() -> Iterator[tuple[dict[str, Any], Masks]]:
    for kind in KINDS:
        for seed in SEEDS:
            masks = tool_masks(kind, seed)
            yield {"kind": kind, "seed": seed, "digest": digest(*masks[:2])}, masks


def _files(folders: Sequence[str]) -> list[Path]:
    return [path for folder in folders for path in sorted((Path(folder) / "labels").glob("*.nii.gz"))]


def _real_masks(path: Path) -> tuple[dict[str, Any], Masks]:
    import nibabel

    images = nibabel.load(path), nibabel.load(path.parents[1] / "preds" / path.name)
    label, prediction = ((np.asarray(image.dataobj) > 0).astype(np.uint8) for image in images)
    spacing = tuple(map(float, images[0].header.get_zooms()))
    return {"folder": path.parents[1].name, "case": path.name}, (label, prediction, spacing)


def _plain(ask: Callable[[], Any]) -> float | str | None:
    """A value that JSON can hold; "refused" where the tool raises an error."""
    try:
        value = float(ask())
    except (RuntimeError, NotImplementedError):
        return "refused"
    return None if math.isnan(value) else "infinity" if value == math.inf else value


if __name__ == "__main__":
    main(*sys.argv[1:])
