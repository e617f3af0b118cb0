"""Scores under a protocol: the challenge's worked cases and oracle, empty and unusable masks, regions, cohorts."""

from __future__ import annotations

import dataclasses
import gzip
import math
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.mama_mia_oracle import contour, contour_by_loops, oracle_scores

from segfair.cases import Case, Cohort
from segfair.errors import AuditError, ConfigError, GeometryError, InputError
from segfair.files.images.masks import write_image, write_mask
from segfair.protocol.rules import EmptyRule, LabelRule, NormHDRule, Protocol, load_protocol
from segfair.scoring.cohort import (
    CaseScore,
    ScoreTable,
    protocol_metrics,
    score_case,
    score_cohort,
    score_pair,
    worst_score,
)
from segfair.scoring.metrics import METRICS

DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")
SHAPE = (10, 12, 8)
SPACING = (0.5, 1.0, 3.0)


def boxes(*parts: tuple[int, tuple[tuple[int, int], ...]], shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """A label map of boxes: (value, half-open range along each axis)."""
    labels = np.zeros(shape, dtype=np.uint8)
    for value, ranges in parts:
        labels[tuple(slice(*bounds) for bounds in ranges)] = value
    return labels


CUBE = ((2, 6), (2, 6), (2, 6))
EMPTY = boxes()


def values(label: np.ndarray, prediction: np.ndarray, protocol: Protocol, spacing: Any = None) -> Any:
    return score_pair(label, prediction, spacing_mm=spacing or (1.0,) * label.ndim, protocol=protocol).values


# --- the challenge ---------------------------------------------------------------------------------------------

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


# --- the default protocol --------------------------------------------------------------------------------------


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


def test_a_mask_with_other_values_only_is_empty_and_says_so() -> None:
    score = score_pair(255 * boxes((1, CUBE)), boxes((1, CUBE)), spacing_mm=(1, 1, 1), protocol=DEFAULT)
    assert score.values["dsc"] == 0.0
    assert score.alerts == ("the label is empty under this protocol: it holds the values 255, and only 1 counts",)
    assert not score_pair(EMPTY, boxes((1, CUBE)), spacing_mm=(1, 1, 1), protocol=DEFAULT).alerts


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


# --- regions and ignored voxels --------------------------------------------------------------------------------

REGIONS = DEFAULT.replace(
    regions={"whole": (1, 2), "core": (2,)}, metrics=("dsc", "volume", "lesion_missed", "precision", "hd95_mm")
)


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


# --- unusable predictions --------------------------------------------------------------------------------------

AFFINE = np.diag([*SPACING, 1.0])


def make_case(
    folder: Path, label: np.ndarray, prediction: np.ndarray | None, *, name: str = "P1", affine: Any = AFFINE
) -> Case:
    for role in ("labels", "preds"):
        (folder / role).mkdir(exist_ok=True, parents=True)
    write_mask(folder / "labels" / f"{name}.nii.gz", label, affine=AFFINE)
    path = folder / "preds" / f"{name}.nii.gz"
    if prediction is not None:
        write_mask(path, prediction, affine=affine)
    return Case(name, folder / "labels" / f"{name}.nii.gz", path if prediction is not None else None)


def spoil_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def spoil_rubbish(path: Path) -> None:
    path.write_bytes(b"no mask at all")


def spoil_nothing_inside(path: Path) -> None:
    path.write_bytes(b"")


def spoil_probabilities(path: Path) -> None:
    write_image(path, np.full(SHAPE, 0.3), affine=AFFINE)


def spoil_nan(path: Path) -> None:
    write_image(path, np.full(SHAPE, np.nan), affine=AFFINE)


def spoil_four_axes(path: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(np.zeros((*SHAPE, 2), np.uint8), AFFINE), path)


def spoil_shape(path: Path) -> None:
    write_mask(path, np.ones((10, 12, 7), np.uint8), affine=AFFINE)


def spoil_gone(path: Path) -> None:
    path.unlink()


def spoil_gzip_of_rubbish(path: Path) -> None:
    path.write_bytes(gzip.compress(b"no mask at all"))


SPOILS: list[Callable[[Path], None]] = [
    spoil_truncated,
    spoil_rubbish,
    spoil_nothing_inside,
    spoil_probabilities,
    spoil_nan,
    spoil_four_axes,
    spoil_shape,
    spoil_gone,
    spoil_gzip_of_rubbish,
]


@pytest.mark.parametrize("protocol", [DEFAULT, MAMA_MIA, REGIONS], ids=["default", "mama-mia", "regions"])
@pytest.mark.parametrize("label", [boxes((1, CUBE), (2, ((2, 3),) * 3)), EMPTY, np.ones(SHAPE, np.uint8)])
def test_corrupt_off_grid_and_absent_predictions_score_the_same(
    tmp_path: Path, protocol: Protocol, label: np.ndarray
) -> None:
    absent = score_case(make_case(tmp_path, label, None), protocol)
    assert absent.penalised == "no prediction"
    assert absent.values["dsc"] == 0.0
    if "normhd" in absent.values:
        assert absent.values["normhd"] == 1.0
    reasons = set()
    for spoil in SPOILS:
        case = make_case(tmp_path, label, label)
        spoil(case.prediction)
        spoiled = score_case(case, protocol)
        assert (spoiled.values, spoiled.facts, spoiled.alerts) == (absent.values, absent.facts, ()), spoil.__name__
        assert spoiled.penalised
        reasons.add(spoiled.penalised)
    assert len(reasons) >= 8  # each says what is wrong with it
    if protocol.grid.match == "affine":
        off_grid = score_case(
            make_case(tmp_path, label, label, affine=AFFINE @ np.diag([1.1, 1.1, 1.1, 1.0])), protocol
        )
        assert (off_grid.values, off_grid.facts) == (absent.values, absent.facts)
        assert off_grid.penalised.startswith("another grid: label is 10x12x8, 0.5x1x3 mm, RAS; prediction is")


@pytest.mark.parametrize("protocol", [DEFAULT, MAMA_MIA, REGIONS], ids=["default", "mama-mia", "regions"])
def test_an_unusable_prediction_scores_like_an_empty_one_where_there_is_a_lesion(protocol: Protocol) -> None:
    label = boxes((1, CUBE), (2, ((2, 3),) * 3))
    worst = worst_score(label, spacing_mm=SPACING, protocol=protocol, reason="gone")
    assert worst.values == values(label, EMPTY, protocol, SPACING)
    assert worst.penalised == "gone"


def test_an_unusable_prediction_is_never_both_empty() -> None:
    worst = worst_score(EMPTY, spacing_mm=SPACING, protocol=DEFAULT, reason="gone").values
    assert [worst[name] for name in ("dsc", "iou", "nsd_1mm", "nsd_2mm", "normhd")] == [0, 0, 0, 0, 1]
    assert worst["hd95_mm"] == pytest.approx(math.sqrt(5**2 + 12**2 + 24**2))
    assert worst["sensitivity"] is worst["lesion_missed"] is worst["relative_volume_error"] is None


# --- grids -----------------------------------------------------------------------------------------------------


def test_the_same_grid_in_another_orientation_is_turned(tmp_path: Path) -> None:
    label = boxes((1, ((1, 4), (2, 9), (3, 5))))
    expected = values(label, label, DEFAULT, SPACING)
    turned = AFFINE @ np.array([[0, -1, 0, 9], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    # Voxel (i, j, k) of the stored array is voxel (9 - j, i, k) of the label.
    stored = label[::-1].transpose(1, 0, 2)
    for protocol in (DEFAULT, MAMA_MIA):
        score = score_case(make_case(tmp_path, label, stored, affine=turned), protocol)
        assert score.penalised is None
        assert not score.alerts
        assert score.values["dsc"] == expected["dsc"] == 1.0


def test_affines_that_differ_by_rounding_are_the_same_grid(tmp_path: Path) -> None:
    label = boxes((1, CUBE))
    # The shortest edge is 0.5 mm, of which a hundredth is rounding.
    for shift, same in ((4.9e-3, True), (5.1e-3, False)):
        affine = AFFINE.copy()
        affine[0, 3] += shift
        score = score_case(make_case(tmp_path, label, label, affine=affine), DEFAULT)
        assert (score.penalised is None) == same


def test_equal_shape_is_enough_for_the_challenge_but_is_told(tmp_path: Path) -> None:
    label = boxes((1, CUBE))
    score = score_case(make_case(tmp_path, label, label, affine=np.eye(4)), MAMA_MIA)
    assert score.values["dsc"] == 1.0
    assert len(score.alerts) == 1
    assert score.alerts[0].startswith("scored voxel by voxel although the grids differ: label is 10x12x8, 0.5x1x3")


def test_probability_maps_need_a_threshold(tmp_path: Path) -> None:
    label = boxes((1, CUBE))
    case = make_case(tmp_path, label, label)
    write_image(case.prediction, np.where(label, 0.7, 0.2), affine=AFFINE)
    assert "probability map" in score_case(case, DEFAULT).penalised
    assert score_case(case, DEFAULT, threshold=0.5).values["dsc"] == 1.0
    assert score_case(case, DEFAULT, threshold=0.8).values["dsc"] == 0.0
    assert score_case(case, DEFAULT, threshold=0.5).penalised is None
    with pytest.raises(ConfigError, match="probability map has one region"):
        score_case(case, REGIONS, threshold=0.5)
    spoil_nan(case.prediction)
    assert "holds nan" in score_case(case, DEFAULT, threshold=0.5).penalised


# --- cohorts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """P0 and P5 good, P1 shifted, P2 without prediction, P3 with a damaged label, P4 with a damaged prediction."""
    label = boxes((1, CUBE))
    cases = [
        make_case(tmp_path, label, np.roll(label, shift, axis=0), name=f"P{index}")
        for index, shift in enumerate((0, 1, 0, 0, 0, 0))
    ]
    cases[2] = Case("P2", cases[2].label)
    spoil_truncated(cases[3].label)
    spoil_rubbish(cases[4].prediction)
    # A worker is sent paths only: this could not be pickled.
    return Cohort(tuple(dataclasses.replace(case, metadata={"age": lambda: 50}) for case in cases))


def test_one_bad_file_costs_one_case(cohort: Cohort) -> None:
    done: list[str] = []
    table = score_cohort(cohort, DEFAULT, on_done=done.append)
    assert done == ["P0", "P1", "P2", "P3", "P4", "P5"]
    assert table.cases == ("P0", "P1", "P2", "P4", "P5")
    assert table.column("dsc") == [1.0, 0.75, 0.0, 0.0, 1.0]
    assert list(table.penalised) == ["P2", "P4"]
    assert table.penalised["P2"] == "no prediction"
    assert list(table.excluded) == ["P3"]
    assert "P3.nii.gz" in table.excluded["P3"]
    assert table.scores[2].values == table.scores[3].values


def test_any_executor_gives_the_same_table(cohort: Cohort) -> None:
    expected = score_cohort(cohort, MAMA_MIA)
    with ProcessPoolExecutor(2) as processes, ThreadPoolExecutor(2) as threads:
        for executor in (processes, threads):
            done: list[str] = []
            assert score_cohort(cohort, MAMA_MIA, executor=executor, on_done=done.append) == expected
            assert done == list(cohort.ids)


def test_strict_stops_at_the_first_unusable_file(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="case P2: no prediction"):
        score_cohort(cohort, DEFAULT, strict=True)
    without = Cohort(tuple(case for case in cohort if case.id != "P2"))
    with ThreadPoolExecutor(2) as threads, pytest.raises(InputError, match=r"case P3: .*P3\.nii\.gz"):
        score_cohort(without, DEFAULT, strict=True, executor=threads)


def test_a_case_without_a_label_is_excluded(cohort: Cohort) -> None:
    table = score_cohort(Cohort((Case("X"), *cohort.cases[:1])), DEFAULT)
    assert table.excluded == {"X": "no label for case X"}
    assert table.cases == ("P0",)


def test_a_worker_that_dies_is_told(cohort: Cohort) -> None:
    class Dying(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenExecutor("killed"))
            return future

    with pytest.raises(AuditError, match=r"case P0 .* use fewer workers"):
        score_cohort(cohort, DEFAULT, executor=Dying())


def test_an_empty_cohort_is_an_empty_table() -> None:
    table = score_cohort(Cohort(()), DEFAULT)
    assert len(table) == 0
    assert table.names == DEFAULT.metrics
    where, found = table.defined("dsc")
    assert where.shape == found.shape == (0,)
    assert list(table.to_frame().columns) == ["case", *DEFAULT.metrics, "penalised"]


# --- tables and definitions ------------------------------------------------------------------------------------


def test_a_table_counts_what_is_undefined() -> None:
    table = ScoreTable(
        (METRICS["dsc"], METRICS["precision"]),
        (
            CaseScore("a", {"dsc": 0.5, "precision": None}),
            CaseScore("b", {"dsc": 0.0, "precision": 0.25}, penalised="gone"),
        ),
    )
    where, found = table.defined("precision")
    assert (where.tolist(), found.tolist()) == ([1], [0.25])
    assert (where.dtype, found.dtype) == (np.intp, np.float64)
    assert (table.n_undefined("dsc"), table.n_undefined("precision")) == (0, 1)
    frame = table.to_frame()
    assert frame["case"].tolist() == ["a", "b"]
    assert frame["precision"].isna().tolist() == [True, False]
    assert str(frame["precision"].dtype) == str(frame["dsc"].dtype) == "Float64"
    assert frame["penalised"].tolist() == ["", "gone"]


def test_definitions_follow_the_protocol() -> None:
    ours, challenge = ({metric.name: metric for metric in protocol_metrics(p)} for p in (DEFAULT, MAMA_MIA))
    assert tuple(ours) == DEFAULT.metrics
    assert ours["hd95_mm"].definition == "hd95/max-of-directed-p95/face-6/mm/border-background/label-1"
    assert challenge["hd95_vox"].definition == (
        "hd95/max-of-directed-p95/face-6/voxels/border-no-neighbour/every-label-border"
    )
    assert challenge["normhd"].definition.startswith("normhd/over-150/not-clipped/hd95/max-of-directed-p95")
    assert ours["dsc"].empty_rule == "both empty: 1; one empty: 0"
    assert challenge["dsc"].empty_rule == "both empty: 0; one empty: 0"
    assert "diagonal" in ours["hd95_mm"].empty_rule
    assert challenge["hd95_vox"].empty_rule.endswith("one has none: undefined")
    regions = {metric.name: metric for metric in protocol_metrics(REGIONS)}
    assert regions["dsc"].definition == "mean-over-regions[whole,core]/dsc/2tp-over-2tp+fp+fn"
    assert regions["dsc_core"].definition == "dsc/2tp-over-2tp+fp+fn/label-2"
    assert regions["volume"].definition == "volume/label/mm3/label-1,2"
    assert regions["dsc_core"].better == "higher"


def test_an_unknown_metric_is_refused() -> None:
    protocol = DEFAULT.replace(metrics=("dsc", "dice"))
    for call in (
        lambda: protocol_metrics(protocol),
        lambda: score_cohort(Cohort(()), protocol),
        lambda: values(EMPTY, EMPTY, protocol),
    ):
        with pytest.raises(ConfigError, match="no metric dice; known are dsc, hd95_vox"):
            call()
