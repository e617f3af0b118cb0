"""Overlap and surface metrics: numbers by hand on unequal spacing, brute force, properties, real masks."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scoring.label_maps import label_maps

from segfair.errors import ConfigError, GeometryError, InputError
from segfair.scoring.metrics import (
    METRICS,
    MaskPair,
    SurfaceDistances,
    assd,
    dice,
    hausdorff,
    iou,
    lesion_missed,
    nsd,
    precision,
    relative_volume_error,
    sensitivity,
    surface_distances,
    volume,
)
from segfair.scoring.surfaces import distances_between, surface_of

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "real"


def pair_of(label: Any, prediction: Any, spacing_mm: tuple[float, ...] | None = None) -> MaskPair:
    return MaskPair(label=label, prediction=prediction, spacing_mm=spacing_mm or (1.0,) * np.asarray(label).ndim)


def box(shape: tuple[int, ...], *ranges: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*bounds) for bounds in ranges)] = True
    return mask


# --- overlap ---------------------------------------------------------------------------------------------------


def test_overlap_by_hand() -> None:
    label = box((6, 5, 4), (0, 2), (0, 2), (0, 2))  # 8 voxels
    prediction = box((6, 5, 4), (1, 4), (0, 2), (0, 2))  # 12 voxels, 4 shared
    pair = pair_of(label, prediction, (0.5, 2.0, 3.0))
    assert dice(pair) == 8 / 20
    assert iou(pair) == 4 / 16
    assert sensitivity(pair) == 4 / 8
    assert precision(pair) == 4 / 12
    assert relative_volume_error(pair) == (12 - 8) / 8
    assert volume(pair) == 8 * 3.0
    assert lesion_missed(pair) == 0.0
    assert lesion_missed(pair_of(label, box((6, 5, 4), (4, 6), (0, 2), (0, 2)))) == 1.0


def test_overlap_of_empty_masks() -> None:
    something, nothing = np.ones((3, 2)), np.zeros((3, 2))
    both, missed, invented = pair_of(nothing, nothing), pair_of(something, nothing), pair_of(nothing, something)
    assert math.isnan(dice(both)) and dice(missed) == dice(invented) == 0
    assert math.isnan(iou(both)) and iou(missed) == iou(invented) == 0
    assert math.isnan(sensitivity(both)) and sensitivity(missed) == 0 and math.isnan(sensitivity(invented))
    assert math.isnan(precision(both)) and math.isnan(precision(missed)) and precision(invented) == 0
    assert math.isnan(relative_volume_error(both))
    assert relative_volume_error(missed) == -1 and relative_volume_error(invented) == math.inf
    assert math.isnan(lesion_missed(both)) and lesion_missed(missed) == 1 and math.isnan(lesion_missed(invented))
    assert volume(both) == volume(invented) == 0


# --- surfaces --------------------------------------------------------------------------------------------------


def test_a_slice_stored_as_a_volume_scores_like_the_slice() -> None:
    label, prediction = box((12, 12), (2, 9), (2, 9)), box((12, 12), (3, 10), (2, 10))
    flat = surface_distances(pair_of(label, prediction, (1.0, 2.0)))
    stored = surface_distances(pair_of(label[..., None], prediction[..., None], (1.0, 2.0, 5.0)))
    np.testing.assert_array_equal(flat.label_to_prediction, stored.label_to_prediction)
    np.testing.assert_array_equal(flat.prediction_to_label, stored.prediction_to_label)


# --- distances -------------------------------------------------------------------------------------------------


def test_distances_by_hand_on_unequal_spacing() -> None:
    label, prediction = np.zeros((5, 5, 5)), np.zeros((5, 5, 5))
    label[0, 0, 0] = 1
    prediction[0, 0, 0] = prediction[3, 4, 0] = prediction[0, 0, 2] = 1
    pair = pair_of(label, prediction, (1.0, 1.0, 2.5))
    distances = surface_distances(pair)
    assert distances.label_to_prediction.tolist() == [0.0]
    assert sorted(distances.prediction_to_label.tolist()) == [0.0, 5.0, 5.0]
    assert hausdorff(distances, 100) == 5.0
    assert hausdorff(distances, 25) == 2.5  # a quarter of two steps between 0, 5 and 5
    assert assd(distances) == 10 / 4
    assert nsd(distances, 4.9) == 2 / 4
    assert nsd(distances, 5.0) == 1.0
    in_voxels = surface_distances(pair, unit="voxels")
    assert sorted(in_voxels.prediction_to_label.tolist()) == [0.0, 2.0, 5.0]


def test_hausdorff_is_the_larger_directed_percentile_and_not_the_pooled_one() -> None:
    distances = SurfaceDistances(np.zeros(1000), np.array([0.0] * 9 + [30.0]))
    assert hausdorff(distances) == pytest.approx(np.percentile(distances.prediction_to_label, 95)) == 16.5
    assert np.percentile(np.concatenate([np.zeros(1000), distances.prediction_to_label]), 95) == 0


def test_distances_of_empty_masks() -> None:
    something, nothing = box((5, 5), (1, 3), (1, 3)), np.zeros((5, 5))
    both = surface_distances(pair_of(nothing, nothing))
    assert both.empty == "both"
    assert math.isnan(hausdorff(both)) and math.isnan(assd(both)) and math.isnan(nsd(both, 1))
    for pair in (pair_of(something, nothing), pair_of(nothing, something)):
        one = surface_distances(pair)
        assert one.empty == "one"
        assert hausdorff(one) == assd(one) == math.inf
        assert nsd(one, 1) == 0
    assert surface_distances(pair_of(something, something)).empty == "none"


def test_a_mask_that_fills_the_image_has_no_surface_without_a_border() -> None:
    full, inner = np.ones((6, 6)), box((6, 6), (2, 4), (2, 4))
    assert surface_distances(pair_of(full, inner), image_border="none").empty == "one"
    assert surface_distances(pair_of(full, full), image_border="none").empty == "both"
    assert hausdorff(surface_distances(pair_of(full, inner))) == pytest.approx(math.hypot(2, 2))


def test_the_tolerance_of_nsd_forgives_rounding_only() -> None:
    # As out of a float32 header: neighbours are 1.0000001 mm apart.
    spacing = (1.0000001, 1.0, 1.0)
    first, second = box((8, 4, 4), (2, 3), (1, 2), (1, 2)), box((8, 4, 4), (3, 4), (1, 2), (1, 2))
    assert nsd(surface_distances(pair_of(first, second, spacing)), 1.0) == 1.0
    assert nsd(surface_distances(pair_of(first, second, (1.001, 1.0, 1.0))), 1.0) == 0.0


# --- properties ------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(label_maps())
def test_swapping_the_masks(maps: list[np.ndarray]) -> None:
    one, other = pair_of(*maps), pair_of(*maps[::-1])
    for metric in (dice, iou):
        np.testing.assert_equal(metric(one), metric(other))
    np.testing.assert_equal(sensitivity(one), precision(other))
    there, back = surface_distances(one), surface_distances(other)
    for reading in (hausdorff, lambda found: nsd(found, 1.0)):
        np.testing.assert_equal(reading(there), reading(back))
    np.testing.assert_allclose(assd(there), assd(back))


@settings(max_examples=60, deadline=None)
@given(label_maps(), st.sampled_from(["background", "none"]), st.data())
def test_background_around_and_axis_order_change_nothing(
    maps: list[np.ndarray], border: Any, data: st.DataObject
) -> None:
    # Padded first: the border rule must not see the difference between the image's edge and background.
    around = [np.pad(mask, 1) for mask in maps]
    spacing = (0.5, 1.0, 3.0)[: maps[0].ndim]
    far = [np.pad(mask, [(2, 5)] * mask.ndim) for mask in around]
    axes = data.draw(st.permutations(range(maps[0].ndim)))
    turned = [np.flip(mask.transpose(axes), 0) for mask in around]
    readings = []
    for masks, lengths in ((around, spacing), (far, spacing), (turned, [spacing[axis] for axis in axes])):
        pair = pair_of(*masks, tuple(lengths))
        found = surface_distances(pair, image_border=border)
        readings.append([dice(pair), hausdorff(found), assd(found), nsd(found, 1.0), volume(pair)])
    np.testing.assert_allclose(readings[0], readings[1], rtol=1e-12)
    np.testing.assert_allclose(readings[0], readings[2], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(label_maps(), st.sampled_from(["background", "none"]))
def test_the_box_gives_what_the_whole_image_gives(maps: list[np.ndarray], border: Any) -> None:
    label, prediction = (mask != 0 for mask in maps)
    boxed = surface_distances(pair_of(label, prediction), image_border=border, unit="voxels")
    whole = distances_between(
        surface_of(label, image_border=border),
        surface_of(prediction, image_border=border),
        spacing=(1.0,) * label.ndim,
    )
    np.testing.assert_allclose(boxed.label_to_prediction, whole.label_to_prediction)
    np.testing.assert_allclose(boxed.prediction_to_label, whole.prediction_to_label)


@settings(max_examples=40, deadline=None)
@given(label_maps(), st.floats(0.1, 20))
def test_larger_voxels_scale_the_distances(maps: list[np.ndarray], factor: float) -> None:
    unit = surface_distances(pair_of(*maps))
    scaled = surface_distances(pair_of(*maps, (factor,) * maps[0].ndim))
    np.testing.assert_allclose(hausdorff(scaled), hausdorff(unit) * factor, rtol=1e-9)
    np.testing.assert_allclose(assd(scaled), assd(unit) * factor, rtol=1e-9)
    np.testing.assert_equal(nsd(scaled, 2 * factor), nsd(unit, 2))


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "prediction", "spacing", "error", "message"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), (1, 1), GeometryError, "label is 2x3, prediction 3x2; resample"),
        (np.zeros(3), np.zeros(3), (1,), GeometryError, "masks are 1-D"),
        (np.zeros((0, 3)), np.zeros((0, 3)), (1, 1), InputError, "no voxel"),
        (np.zeros((2, 3)), np.zeros((2, 3)), (1, 1, 1), InputError, "one length for each of 2 axes"),
        (np.zeros((2, 3)), np.zeros((2, 3)), (1, 0), InputError, "expected positive numbers"),
        (np.zeros((2, 3)), np.zeros((2, 3)), (1, math.inf), InputError, "expected positive numbers"),
        (np.zeros((2, 3)), np.full((2, 3), math.nan), (1, 1), InputError, "prediction: holds nan"),
        (np.full((2, 3), 0.5), np.zeros((2, 3)), (1, 1), InputError, "label: holds fractions"),
        (np.full((2, 3), "x"), np.zeros((2, 3)), (1, 1), InputError, "label: holds values of type"),
    ],
)
def test_what_is_no_pair_of_masks_is_refused(
    label: Any, prediction: Any, spacing: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        MaskPair(label=label, prediction=prediction, spacing_mm=spacing)


def test_impossible_percentiles_and_tolerances_are_refused() -> None:
    distances = SurfaceDistances(np.zeros(1), np.zeros(1))
    with pytest.raises(ConfigError, match="percentile 101"):
        hausdorff(distances, 101)
    with pytest.raises(ConfigError, match="tolerance -1"):
        nsd(distances, -1)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, ">i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_kind_of_array_will_do(dtype: Any, order: Any) -> None:
    label, prediction = box((7, 6, 5), (1, 4), (1, 4), (1, 4)), box((7, 6, 5), (2, 6), (1, 4), (0, 4))
    expected = pair_of(label, prediction)
    arrays = [np.asarray(mask, dtype=dtype, order=order) for mask in (label, prediction)]
    for array in arrays:
        array.flags.writeable = False
    pair = pair_of(*arrays)
    assert (dice(pair), pair.box) == (dice(expected), expected.box)
    assert hausdorff(surface_distances(pair)) == hausdorff(surface_distances(expected))


# --- what the numbers mean -------------------------------------------------------------------------------------


def test_every_metric_says_what_it_is() -> None:
    assert list(METRICS) == [
        "dsc",
        "hd95_vox",
        "normhd",
        "volume",
        "lesion_missed",
        "iou",
        "sensitivity",
        "precision",
        "relative_volume_error",
        "hd95_mm",
        "assd_mm",
        "nsd_1mm",
        "nsd_2mm",
        "hd95_px",
        "assd_px",
        "nsd_1px",
        "nsd_2px",
        "area_px",
        "assd_vox",
        "nsd_1vox",
        "nsd_2vox",
        "size_vox",
        "area_mm2",
        "lesion_sensitivity",
        "false_lesions",
        "lesion_f1",
        "lesion_dsc",
        "lesion_hd95_mm",
        "lesion_hd95_vox",
        "lesion_hd95_px",
        "lesion_assd_mm",
        "lesion_assd_vox",
        "lesion_assd_px",
        "lesion_sq",
        "lesion_pq",
        "lesion_pq_dsc",
    ]
    assert len({metric.definition for metric in METRICS.values()}) == len(METRICS)
    assert all(metric.name == name and metric.empty_rule for name, metric in METRICS.items())
    better = {
        direction: {m.name for m in METRICS.values() if m.better == direction}
        for direction in ("lower", "neither", "signed")
    }
    distances = {f"{name}_{unit}" for name in ("hd95", "assd") for unit in ("mm", "px", "vox")}
    of_lesions = {f"lesion_{name}" for name in distances}
    assert better["lower"] == {"normhd", "lesion_missed", "false_lesions"} | distances | of_lesions
    assert better["neither"] == {"volume", "area_px", "size_vox", "area_mm2"}
    assert better["signed"] == {"relative_volume_error"}


# --- real masks ------------------------------------------------------------------------------------------------


def oracle_rows() -> list[Any]:
    rows = []
    for folder in ("panoptica_spine", "picai_eval_testmaps", "sct_spinalcord", "totalsegmentator"):
        path = REAL / folder / "oracle_per_case.csv"
        if path.is_file():
            with path.open(newline="") as stream:
                found = list(csv.DictReader(stream))
            for case, group in itertools.groupby(found, key=lambda row: row["patient_id"]):
                rows.append(pytest.param(folder, list(group), id=f"{folder}-{case}"))
    return rows or [pytest.param("", [], marks=pytest.mark.skip(reason="no real masks beside the checkout"))]


@pytest.mark.parametrize(("folder", "rows"), oracle_rows())
def test_real_masks_against_an_independent_reading(folder: str, rows: list[dict[str, str]]) -> None:
    from segfair.files.images.masks import align, read_mask

    name = f"{rows[0]['patient_id']}.nii.gz"
    label, prediction = read_mask(REAL / folder / "labels" / name), read_mask(REAL / folder / "preds" / name)
    aligned = align(prediction, label, tolerance=0.01)
    assert aligned is not None
    for row in rows:
        masks = [
            mask.array != 0 if row["label"] == "fg" else mask.array == int(row["label"]) for mask in (label, aligned)
        ]
        pair = pair_of(*masks, label.spacing_mm)
        assert (pair.n_label, pair.n_prediction) == (int(row["ref_vox"]), int(row["pred_vox"]))
        distances = surface_distances(pair)
        found = {
            "dice": dice(pair),
            "hd95_mm": hausdorff(distances),
            "hd100_mm": hausdorff(distances, 100),
            "hd95_vox": hausdorff(surface_distances(pair, unit="voxels")),
        }
        for column, value in found.items():
            expected = float(row[column] or "nan")
            assert value == pytest.approx(expected, rel=1e-6, nan_ok=True), (row["label"], column)


def test_masks_are_not_copied() -> None:
    label, prediction = np.zeros((2, 4, 5, 6), bool)
    label[1, 2, 3] = True
    pair = MaskPair(label=label, prediction=prediction, spacing_mm=(1.0, 1.0, 1.0))
    assert np.shares_memory(pair.label, label)
    assert np.shares_memory(pair.prediction, prediction)
