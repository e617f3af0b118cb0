"""The MAMA-MIA challenge's per-case scores, written down a second time and as plainly as possible.

Whole volumes, no boxes, nothing shared with segfair: SimpleITK's label contours, k-d trees over all surface voxels.
The challenge's rules: DSC on label 1 (both empty: 0); surfaces on any non-zero voxel that has a face neighbour of
another value, the image border being no neighbour; HD95 as the maximum of the two directed 95th percentiles in
voxels; NormHD = HD95 / 150, 1 where one mask has no surface, 0 where neither has.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MAX_HD = 150.0


def oracle_scores(label: NDArray[Any], prediction: NDArray[Any]) -> dict[str, float | None]:
    """`dsc`, `hd95_vox` (None where a mask has no surface and the other has) and `normhd`."""
    hd95 = hd95_voxels(contour(label), contour(prediction))
    return {
        "dsc": dsc(label, prediction),
        "hd95_vox": hd95,
        "normhd": 1.0 if hd95 is None else hd95 / MAX_HD,
    }


def dsc(label: NDArray[Any], prediction: NDArray[Any]) -> float:
    true_positive = int(np.sum((label == 1) & (prediction == 1)))
    false_positive = int(np.sum((label != 1) & (prediction == 1)))
    false_negative = int(np.sum((label == 1) & (prediction != 1)))
    total = 2 * true_positive + false_positive + false_negative
    return 2 * true_positive / total if total else 0.0


def hd95_voxels(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float | None:
    """From two contours over the whole volume."""
    if not first.any() and not second.any():
        return 0.0
    if not first.any() or not second.any():
        return None
    first_points, second_points = np.argwhere(first), np.argwhere(second)
    there, _ = cKDTree(second_points).query(first_points)
    back, _ = cKDTree(first_points).query(second_points)
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def contour(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Surface voxels by SimpleITK's label contour filter (face connectivity)."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(labels.astype(np.uint8))
    return SimpleITK.GetArrayFromImage(SimpleITK.LabelContour(image, False)) != 0


def contour_by_loops(labels: NDArray[Any], *, outside_is_background: bool) -> NDArray[np.bool_]:
    """Surface voxels one voxel and one neighbour at a time; for small arrays."""
    surface = np.zeros(labels.shape, dtype=bool)
    for voxel in itertools.product(*map(range, labels.shape)):
        if labels[voxel] == 0:
            continue
        for axis, step in itertools.product(range(labels.ndim), (-1, 1)):
            neighbour = list(voxel)
            neighbour[axis] += step
            inside = 0 <= neighbour[axis] < labels.shape[axis]
            if inside:
                surface[voxel] |= labels[tuple(neighbour)] != labels[voxel]
            elif outside_is_background:
                surface[voxel] = True
    return surface


def distances_of_all_pairs(
    points: NDArray[np.bool_], others: NDArray[np.bool_], spacing: tuple[float, ...]
) -> NDArray[np.float64]:
    """Distance of each voxel to the nearest of the others, every pair measured."""
    first, second = np.argwhere(points) * np.array(spacing), np.argwhere(others) * np.array(spacing)
    return np.sqrt(((first[:, None] - second[None]) ** 2).sum(axis=2)).min(axis=1)
