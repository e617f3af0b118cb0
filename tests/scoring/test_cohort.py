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
from tests.scoring.label_maps import CUBE, DEFAULT, EMPTY, MAMA_MIA, REGIONS, SHAPE, SPACING, boxes, values

from segfair.cases import Case, Cohort
from segfair.errors import AuditError, ConfigError, InputError
from segfair.files.images.masks import write_image, write_mask
from segfair.protocol.rules import Protocol
from segfair.scoring.cohort import score_case, score_cohort
from segfair.scoring.pairs import worst_score

# --- the challenge ---------------------------------------------------------------------------------------------


# --- the default protocol --------------------------------------------------------------------------------------


# --- regions and ignored voxels --------------------------------------------------------------------------------


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
