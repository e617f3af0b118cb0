"""One label and one prediction as arrays: against the challenge's own code, by hand, and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from scipy.spatial import cKDTree
from tests.mama_mia_oracle import contour, contour_by_loops, oracle_scores
from tests.scoring.label_maps import CUBE, DEFAULT, EMPTY, MAMA_MIA, REGIONS, SHAPE, SPACING, boxes, values

from segfair.errors import GeometryError, InputError
from segfair.protocol.rules import EmptyRule, LabelRule, NormHDRule, Protocol
from segfair.scoring.metrics import METRICS
from segfair.scoring.pairs import score_pair, worst_score
from segfair.scoring.scores import protocol_metrics

WORKED_CASES = [
    (boxes((1, CUBE)), boxes((1, ((3, 7), (2, 6), (2, 6)))), 0.75, 1.0, 1 / 150),
    (boxes((1, ((0, 3),) * 3)), boxes((1, ((0, 4), (0, 3), (0, 3)))), 6 / 7, 1.0, 1 / 150),
    (boxes((1, CUBE)), boxes((1, CUBE), (1, ((9, 10), (11, 12), (7, 8)))), 128 / 129, 0.0, 0.0),
    (np.ones(SHAPE, np.uint8), boxes((1, CUBE)), 0.125, None, 1.0),
    (boxes((1, CUBE)), boxes((2, CUBE)), 0.0, 0.0, 0.0),
    (boxes((1, CUBE)), boxes((1, ((2, 4), *CUBE[1:])), (2, ((4, 6), *CUBE[1:]))), 2 / 3, 1.0, 1 / 150),
    (boxes((1, CUBE)), EMPTY, 0.0, None, 1.0),
    (EMPTY, EMPTY, 0.0, 0.0, 0.0),
]


@pytest.mark.parametrize(("label", "prediction", "dsc", "hd95", "normhd"), WORKED_CASES)
def test_worked_cases_of_the_challenge(
    label: np.ndarray, prediction: np.ndarray, dsc: float, hd95: float | None, normhd: float
) -> None:
    expected = {"dsc": dsc, "hd95_vox": hd95, "normhd": normhd}
    for found in (values(label, prediction, MAMA_MIA, SPACING), oracle_scores(label, prediction)):
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-10)


def assert_equals_oracle(label: np.ndarray, prediction: np.ndarray) -> None:
    found, expected = values(label, prediction, MAMA_MIA), oracle_scores(label, prediction)
    for name, value in expected.items():
        if value is None:
            assert found[name] is None
        else:
            assert found[name] == pytest.approx(value, abs=1e-9), name


def masks_of_all_kinds(shape: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(len(shape))
    grid = np.indices(shape)
    centre = np.array(shape).reshape(-1, *[1] * len(shape))
    blob = (((grid - centre / 2) / (centre / 3)) ** 2).sum(axis=0) < 1
    at_border = (((grid - centre / 8) / (centre / 3)) ** 2).sum(axis=0) < 1
    two_labels = np.where(blob, 1 + (grid[0] > shape[0] // 2), 0)
    return [
        np.zeros(shape),
        np.ones(shape),
        np.full(shape, 2),
        blob,
        np.roll(blob, 2, axis=-1),
        at_border,
        two_labels,
        np.where(at_border, 3, blob),
        rng.random(shape) < 0.02,
        rng.integers(0, 4, shape),
    ]


@pytest.mark.parametrize("shape", [(17, 12, 9), (20, 23)])
def test_equal_to_the_oracle_on_masks_of_all_kinds(shape: tuple[int, ...]) -> None:
    masks = [mask.astype(np.uint8) for mask in masks_of_all_kinds(shape)]
    for label in masks:
        for prediction in masks:
            assert_equals_oracle(label, prediction)


SHAPES = st.lists(st.integers(1, 7), min_size=2, max_size=3).map(tuple)


@settings(max_examples=80, deadline=None)
@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, (2, *shape), elements=st.integers(0, 3))))
def test_equal_to_the_oracle_on_any_mask(pair: np.ndarray) -> None:
    assert_equals_oracle(*pair)
    # And SimpleITK's contour is the rule in words, so that the oracle is not only its filter.
    np.testing.assert_array_equal(contour(pair[0]), contour_by_loops(pair[0], outside_is_background=False))


def test_default_protocol_by_hand() -> None:
    label, prediction = boxes((1, ((3, 4), (2, 3), (2, 3)))), boxes((1, ((3, 5), (2, 3), (2, 3))))
    found = values(label, prediction, DEFAULT, SPACING)
    assert found == pytest.approx(
        {
            "dsc": 2 / 3,
            "hd95_vox": 0.95,
            "normhd": 0.475 / 150,
            "volume": 1.5,
            "lesion_missed": 0.0,
            "iou": 0.5,
            "sensitivity": 1.0,
            "precision": 0.5,
            "relative_volume_error": 1.0,
            "hd95_mm": 0.475,
            "assd_mm": 0.5 / 3,
            "nsd_1mm": 1.0,
            "nsd_2mm": 1.0,
        }
    )
    assert list(found) == list(DEFAULT.metrics)


def test_empty_masks_under_the_default_protocol() -> None:
    lesion = boxes((1, CUBE))
    diagonal_mm = math.sqrt(5**2 + 12**2 + 24**2)
    diagonal_voxels = math.sqrt(10**2 + 12**2 + 8**2)
    both = values(EMPTY, EMPTY, DEFAULT, SPACING)
    assert [both[name] for name in ("dsc", "iou", "nsd_1mm", "nsd_2mm")] == [1.0] * 4
    assert [both[name] for name in ("normhd", "hd95_vox", "hd95_mm", "assd_mm", "volume")] == [0.0] * 5
    for name in ("sensitivity", "precision", "relative_volume_error", "lesion_missed"):
        assert both[name] is None
    missed, invented = values(lesion, EMPTY, DEFAULT, SPACING), values(EMPTY, lesion, DEFAULT, SPACING)
    for one in (missed, invented):
        assert [one[name] for name in ("dsc", "iou", "nsd_1mm", "nsd_2mm")] == [0.0] * 4
        assert one["normhd"] == 1.0
        assert one["hd95_mm"] == one["assd_mm"] == pytest.approx(diagonal_mm)
        assert one["hd95_vox"] == pytest.approx(diagonal_voxels)
    assert (missed["lesion_missed"], missed["sensitivity"], missed["precision"]) == (1.0, 0.0, None)
    assert missed["relative_volume_error"] == -1.0
    assert (invented["lesion_missed"], invented["sensitivity"], invented["precision"]) == (None, None, 0.0)
    assert invented["relative_volume_error"] is None


def test_distances_can_be_left_undefined_and_both_empty_can_be_worth_nothing() -> None:
    protocol = DEFAULT.replace(empty=EmptyRule(both_dsc=0.0, one_distance="undefined"))
    one = values(boxes((1, CUBE)), EMPTY, protocol)
    assert one["hd95_mm"] is one["hd95_vox"] is one["assd_mm"] is None
    assert one["normhd"] == 1.0
    both = values(EMPTY, EMPTY, protocol)
    assert both["dsc"] == both["iou"] == both["nsd_1mm"] == 0.0


def test_normhd_unit_scale_and_clip() -> None:
    label, prediction = np.zeros((1, 40)), np.zeros((1, 40))
    label[0, 0] = prediction[0, 30] = 1
    for rule, expected in (
        (NormHDRule("mm", 150.0, True), 60 / 150),
        (NormHDRule("voxels", 150.0, True), 30 / 150),
        (NormHDRule("mm", 50.0, True), 1.0),
        (NormHDRule("mm", 50.0, False), 1.2),
    ):
        found = values(label, prediction, DEFAULT.replace(normhd=rule, metrics=("normhd",)), (1.0, 2.0))
        assert found == {"normhd": pytest.approx(expected)}


def test_which_label_values_count() -> None:
    label, prediction = boxes((2, CUBE)), boxes((1, ((2, 4), *CUBE[1:])), (3, ((4, 6), *CUBE[1:])))
    for overlap, expected in (("any", 1.0), ((2,), 0.0), ((1,), 0.0), ((1, 2), 64 / 96), ((1, 2, 3), 1.0)):
        found = values(label, prediction, DEFAULT.replace(label=LabelRule(overlap)))
        assert found["dsc"] == pytest.approx(expected), overlap


def test_the_surface_of_what_overlaps_does_not_see_other_values() -> None:
    cube, beside = (1, CUBE), (2, ((2, 6), (6, 8), (2, 6)))
    label, prediction = boxes(cube, beside), boxes(cube)
    found = values(label, prediction, DEFAULT.replace(label=LabelRule((1,), surface="overlap")))
    assert (found["hd95_mm"], found["assd_mm"]) == (0.0, 0.0)
    found = values(label, prediction, DEFAULT.replace(label=LabelRule((1,), surface="any")))
    assert found["assd_mm"] > 0


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5), (0.8, 1.0, 1.5)])
def test_a_mean_distance_of_large_masks_is_that_of_all_of_their_voxels(spacing: tuple[float, float, float]) -> None:
    # Large enough for HD95 to be found without the small distances: a mean needs them.
    grid = np.indices((64, 64, 65))
    ball, other = (
        ((grid - np.reshape(centre, (3, 1, 1, 1))) ** 2).sum(axis=0) < 24**2 for centre in ((31, 31, 32), (35, 31, 32))
    )
    points = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * np.array(spacing) for mask in (ball, other)]
    distances = np.concatenate([cKDTree(points[1]).query(points[0])[0], cKDTree(points[0]).query(points[1])[0]])
    protocol = DEFAULT.replace(metrics=("assd_mm", "nsd_2mm"))
    found = values(ball.astype(np.uint8), other.astype(np.uint8), protocol, spacing)
    assert found["assd_mm"] == pytest.approx(distances.mean())
    assert found["nsd_2mm"] == pytest.approx(np.mean(distances <= 2.0))


def test_a_mask_with_other_values_only_is_empty_and_says_so() -> None:
    score = score_pair(255 * boxes((1, CUBE)), boxes((1, CUBE)), spacing_mm=(1, 1, 1), protocol=DEFAULT)
    assert score.values["dsc"] == 0.0
    assert score.alerts == ("the label is empty under this protocol: it holds the values 255, and only 1 counts",)
    assert not score_pair(EMPTY, boxes((1, CUBE)), spacing_mm=(1, 1, 1), protocol=DEFAULT).alerts
    for n, said in ((5, "11, 12, 13, 14, 15"), (6, "11, 12, 13, 14, 15 and others")):
        label = np.zeros(SHAPE, np.uint8)
        label[0, 0, :n] = np.arange(11, 11 + n)
        (alert,) = score_pair(label, boxes((1, CUBE)), spacing_mm=(1, 1, 1), protocol=DEFAULT).alerts
        assert f"holds the values {said}, and only 1 counts" in alert


def test_facts_of_a_case() -> None:
    # Two cubes that touch at a corner are one lesion; a third lies apart.
    label = boxes((1, ((1, 3),) * 3), (1, ((3, 5),) * 3), (1, ((8, 9),) * 2 + ((7, 8),)), (2, ((0, 1),) * 3))
    prediction = boxes((1, ((1, 3),) * 3))
    facts = score_pair(label, prediction, spacing_mm=SPACING, protocol=DEFAULT).facts
    assert facts == pytest.approx(
        {
            "label_voxels": 17,
            "prediction_voxels": 8,
            "voxel_volume_mm3": 1.5,
            "spacing_x_mm": 0.5,
            "spacing_y_mm": 1.0,
            "spacing_z_mm": 3.0,
            "spacing_min_mm": 0.5,
            "spacing_max_mm": 3.0,
            "anisotropy": 6.0,
            "n_lesions": 2,
        }
    )


@settings(max_examples=80, deadline=None)
@given(
    SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, (2, *shape), elements=st.integers(0, 3))),
    st.sampled_from([DEFAULT, MAMA_MIA.replace(metrics=DEFAULT.metrics), DEFAULT.replace(label=LabelRule("any"))]),
    st.sampled_from([None, 3]),
)
def test_neither_nan_nor_infinity_comes_out_and_no_prediction_is_worse_than_the_worst(
    pair: np.ndarray, protocol: Protocol, ignore: int | None
) -> None:
    protocol = protocol.replace(ignore_label=ignore)
    spacing = SPACING[: pair[0].ndim]
    score = score_pair(*pair, spacing_mm=spacing, protocol=protocol)
    worst = worst_score(pair[0], spacing_mm=spacing, protocol=protocol, reason="unusable")
    for found in (score, worst):
        assert all(value is None or math.isfinite(value) for value in found.values.values())
        assert all(math.isfinite(value) for value in found.facts.values())
    for name, value in score.values.items():
        if value is not None and worst.values[name] is not None:
            direction = {"higher": 1, "lower": -1, "neither": 0, "signed": 0}[METRICS[name].better]
            assert direction * value >= direction * worst.values[name], name


def test_arrays_that_are_no_pair_are_refused() -> None:
    with pytest.raises(GeometryError, match="label is 2x2, prediction 2x3"):
        score_pair(np.zeros((2, 2)), np.zeros((2, 3)), spacing_mm=(1, 1), protocol=DEFAULT)
    with pytest.raises(InputError, match="prediction: holds fractions"):
        score_pair(np.zeros((2, 2)), np.full((2, 2), 0.4), spacing_mm=(1, 1), protocol=DEFAULT)


def test_regions_are_scored_one_by_one_and_averaged() -> None:
    label = boxes((1, CUBE), (2, ((2, 4), *CUBE[1:])))  # 64 voxels, 32 of them core
    prediction = boxes((1, CUBE), (2, ((3, 4), *CUBE[1:])))  # 16 of core
    found = values(label, prediction, REGIONS)
    assert found["dsc_whole"] == 1.0
    assert found["dsc_core"] == 2 * 16 / 48
    assert found["dsc"] == (1.0 + 2 / 3) / 2
    assert (found["volume_whole"], found["volume_core"], found["volume"]) == (64.0, 32.0, 64.0)
    assert found["hd95_mm_whole"] == 0.0
    assert found["hd95_mm"] == found["hd95_mm_core"] / 2 > 0
    assert list(found) == [metric.name for metric in protocol_metrics(REGIONS)]


def test_a_region_without_a_value_leaves_the_mean_to_the_others() -> None:
    label, prediction = boxes((1, CUBE), (2, ((2, 4), *CUBE[1:]))), boxes((1, CUBE))
    found = values(label, prediction, REGIONS)
    assert (found["precision_whole"], found["precision_core"], found["precision"]) == (1.0, None, 1.0)
    assert (found["lesion_missed_whole"], found["lesion_missed_core"], found["lesion_missed"]) == (0.0, 1.0, 0.0)
    nothing = values(label, EMPTY, REGIONS)
    assert nothing["precision"] is None
    assert nothing["lesion_missed"] == 1.0
    worst = worst_score(label, spacing_mm=(1, 1, 1), protocol=REGIONS, reason="")
    assert worst.values == nothing


def test_ignored_voxels_count_nowhere() -> None:
    protocol = DEFAULT.replace(ignore_label=4)
    label = boxes((1, CUBE), (4, ((4, 6), *CUBE[1:])), (4, ((8, 10), (0, 3), (0, 3))))
    # Lesion predicted over both ignored blocks: neither right nor wrong.
    prediction = boxes((1, CUBE), (1, ((8, 10), (0, 3), (0, 3))))
    found = values(label, prediction, protocol)
    assert found["dsc"] == found["precision"] == found["nsd_1mm"] == 1.0
    assert found["volume"] == 32.0
    assert found["hd95_mm"] == 0.0
    assert values(label, prediction, DEFAULT)["dsc"] < 0.6
    any_lesion = protocol.replace(label=LabelRule("any"))
    assert values(label, prediction, any_lesion)["volume"] == 32.0
    assert worst_score(label, spacing_mm=(1, 1, 1), protocol=any_lesion, reason="").values["volume"] == 32.0
