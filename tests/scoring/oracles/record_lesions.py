"""Records what other tools say of the masks of `lesion_masks`: `python record_lesions.py TOOL FILE [CHECKOUT]`.

Each tool in an environment of its own, for they disagree about NumPy:

- panoptica: `pip install panoptica==2.1.7`; `python record_lesions.py real FILE FOLDER...` records what it says of masks
  in `FOLDER/labels` and `FOLDER/preds`, any value but 0 being lesion.
- brats: CHECKOUT of github.com/rachitsaluja/BraTS-2023-Metrics at 43c9052, `pip install connected-components-3d nibabel
  scipy pandas`.
- voronoi: CHECKOUT of github.com/alexanderjaus/CC-Metrics at 20a704b, `pip install connected-components-3d monai`.

Voxels have an edge of 1 mm but for panoptica: BraTS assumes it, CC-Metrics cannot be told another.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from lesion_masks import digest, lesion_masks, spacing_of

SEEDS = range(60)


def panoptica_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    from panoptica import InputType, Panoptica_Evaluator
    from panoptica.instance_approximator import ConnectedComponentsInstanceApproximator
    from panoptica.instance_matcher import NaiveThresholdMatching
    from panoptica.metrics import Metric

    def evaluate(*measured: Metric) -> Any:
        evaluator = Panoptica_Evaluator(
            expected_input=InputType.SEMANTIC,
            instance_approximator=ConnectedComponentsInstanceApproximator(),
            instance_matcher=NaiveThresholdMatching(),
            instance_metrics=list(measured),
        )
        return evaluator.evaluate(prediction, label, verbose=False, voxelspacing=spacing)["ungrouped"]

    result = evaluate(Metric.DSC, Metric.IOU, Metric.ASSD)
    names = ("tp", "fp", "fn", "rq", "sq", "pq", "sq_dsc", "pq_dsc", "sq_assd")
    found = {name: float(getattr(result, name)) for name in names}
    if found["tp"]:  # without a match it refuses HD95
        found["sq_hd95"] = float(evaluate(Metric.IOU, Metric.HD95).sq_hd95)
    return found


def brats_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    """Twice: as it is, and with the HD95 of face neighbours in place of that of surface elements."""
    import metrics
    import nibabel
    import pandas

    # Written for an older pandas, which had the one, and whose other took arrays in cells for unequal.
    pandas.DataFrame.append = lambda self, other: pandas.concat([self, other])
    pandas.DataFrame.replace = _replace
    of_elements = metrics.surface_distance.compute_surface_distances, metrics.surface_distance.compute_robust_hausdorff
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, mask in (("prediction", prediction), ("label", label)):
            paths.append(str(Path(folder) / f"{name}.nii.gz"))
            # Enhancing tumour is 3.
            nibabel.save(nibabel.Nifti1Image(mask * np.uint8(3), np.eye(4)), paths[-1])
        for suffix, distances in (("", of_elements), ("_by_faces", (_by_faces, lambda found, _: found))):
            metrics.surface_distance.compute_surface_distances, metrics.surface_distance.compute_robust_hausdorff = (
                distances
            )
            rows = metrics.get_LesionWiseResults(*paths, "BraTS-GLI")
            row = rows[rows.Labels == "ET"].iloc[0]
            found[f"hd95{suffix}"] = float(row.LesionWise_Score_HD95)
    names = {"Num_TP": "tp", "Num_FP": "fp", "Num_FN": "fn", "LesionWise_Score_Dice": "dsc"}
    return found | {ours: float(row[theirs]) for theirs, ours in names.items()}


def _replace(frame: Any, old: float, new: float, inplace: bool = False) -> Any:
    for name in frame.select_dtypes("number").columns:
        frame[name] = frame[name].where(frame[name] != old, new)
    return frame


def _by_faces(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> float:
    from scipy import ndimage

    masks = [np.asarray(mask, dtype=bool) for mask in (label, prediction)]
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in masks]
    if not all(surface.any() for surface in surfaces):
        return math.inf
    ways = (surfaces, surfaces[::-1])
    return max(
        float(np.percentile(ndimage.distance_transform_edt(~end, sampling=spacing)[start], 95)) for start, end in ways
    )


def voronoi_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    import torch
    from CCMetrics import CCDiceMetric, CCHausdorffDistance95Metric

    masks = [torch.from_numpy(np.stack([1 - mask, mask])[None]) for mask in (prediction, label)]
    found = {}
    for name, metric in (
        ("dsc", CCDiceMetric(use_caching=False)),
        ("hd95", CCHausdorffDistance95Metric(use_caching=False, metric_worst_score=30)),
    ):
        metric(y_pred=masks[0], y=masks[1])
        found[name] = float(metric.cc_aggregate().mean())
    return found


TOOLS = {
    "panoptica": (panoptica_says, lambda: f"panoptica {metadata.version('panoptica')}"),
    "brats": (brats_says, lambda: "BraTS-2023-Metrics 43c9052"),
    "voronoi": (voronoi_says, lambda: "CC-Metrics 0.0.2 (20a704b)"),
}


def main(tool: str, file: str, checkout: str = "") -> None:
    """Writes the values of all seeds."""
    if checkout:
        sys.path.insert(0, checkout)
    say, version = TOOLS[tool]
    cases = []
    for seed in SEEDS:
        label, prediction = lesion_masks(seed)
        values = _plain(say(label, prediction, spacing_of(seed)))
        cases.append({"seed": seed, "digest": digest(label, prediction), "values": values})
    _write(file, version(), cases)


def real(file: str, *folders: str) -> None:
    """Writes what panoptica says of the masks of some folders."""
    import nibabel

    say, version = TOOLS["panoptica"]
    cases = []
    for folder in map(Path, folders):
        for path in sorted((folder / "labels").glob("*.nii.gz")):
            label = nibabel.load(path)
            prediction = nibabel.load(folder / "preds" / path.name)
            masks = [(np.asarray(image.dataobj) > 0).astype(np.uint8) for image in (label, prediction)]
            spacing = tuple(map(float, label.header.get_zooms()))
            cases.append({"folder": folder.name, "case": path.name, "values": _plain(say(*masks, spacing))})
    _write(file, version(), cases)


def _plain(values: dict[str, float]) -> dict[str, float | str | None]:
    """Values that JSON can hold."""
    return {
        name: None if math.isnan(value) else "infinity" if value == math.inf else value
        for name, value in values.items()
    }


def _write(file: str, tool: str, cases: list[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    Path(file).write_text(f'{{"tool": "{tool}", "script": "{Path(__file__).name}", "cases": [\n{lines}\n]}}\n', "utf-8")


if __name__ == "__main__":
    (real if sys.argv[1] == "real" else main)(*sys.argv[2 if sys.argv[1] == "real" else 1 :])
