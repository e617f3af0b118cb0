"""What a probability map adds to the score of its case, and what becomes of one that cannot be used."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from segfair.cases import Case, Cohort
from segfair.errors import ConfigError
from segfair.files.images.masks import write_image, write_mask
from segfair.protocol.rules import load_protocol
from segfair.scoring.calibration.cases import SOFT_METRICS, metrics_of
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import ScoreCache

DEFAULT = load_protocol("default").replace(metrics=("dsc",))
SHAPE = (24, 6, 4)
LABEL, MASK = np.zeros((2, *SHAPE), np.uint8)
LABEL[2:4, 2:4, 1:3], MASK[2:4, 2:4, 1:3], MASK[20, 0, 0] = 1, 1, 1
MAP = np.where(MASK == 1, 0.8, 0.1).astype(np.float32)
NEAR = np.s_[0:9, :, :]
"""The box of the label, 5 voxels of 1 mm wider on each side, within the image."""


def case(folder: Path, map_: Path | None, *, label=LABEL, mask=MASK, edges=(1.0, 1.0, 1.0)) -> Case:
    affine = np.diag([*edges, 1.0])
    write_mask(folder / "label.nii.gz", label, affine=affine)
    write_mask(folder / "pred.nii.gz", mask, affine=affine)
    return Case("P1", folder / "label.nii.gz", folder / "pred.nii.gz", probabilities=map_)


def scored(found: Case, protocol=DEFAULT, other: Path | None = None):
    """The score of a case in a cohort in which at least one case has a map."""
    cases = (found,) if other is None else (found, Case("P2", found.label, found.prediction, probabilities=other))
    return score_cohort(Cohort(cases), protocol).scores[0]


def nifti(path: Path, array=MAP, edges=(1.0, 1.0, 1.0)) -> Path:
    write_image(path, array, affine=np.diag([*edges, 1.0]))
    return path


def test_the_values_of_a_map_by_hand(tmp_path: Path) -> None:
    score = scored(case(tmp_path, nifti(tmp_path / "map.nii.gz")))
    n_near, n_all = 9 * 6 * 4, 24 * 6 * 4
    # Within the box eight voxels have .8 and are lesion, all others .1 and are not: off by .2 and by .1.
    assert score.values["ece"] == pytest.approx((8 * 0.2 + (n_near - 8) * 0.1) / n_near)
    assert score.values["brier"] == pytest.approx((8 * 0.04 + (n_near - 8) * 0.01) / n_near)
    expected = 2 * 9 * 0.8 / (9 + 9 * 0.8 + (n_all - 9) * 0.1)
    assert score.values["dsc"] == pytest.approx(16 / 17)
    assert score.values["expected_dsc"] == pytest.approx(expected)
    assert score.values["overconfidence"] == pytest.approx(expected - 16 / 17)
    assert 0 < score.values["ece_chance"] < score.values["ece"]
    assert sum(n for n, _, _ in score.calibration) == n_near
    assert sum(lesion for _, _, lesion in score.calibration) == 8
    assert not score.no_probabilities


def test_the_margin_is_in_millimetres(tmp_path: Path) -> None:
    edges = (2.5, 1.0, 1.0)  # 5 mm are two voxels: 0 to 5
    score = scored(case(tmp_path, nifti(tmp_path / "map.nii.gz", edges=edges), edges=edges))
    assert sum(n for n, _, _ in score.calibration) == 6 * 6 * 4


def test_nnunets_classes_lie_as_the_mask_beside_them(tmp_path: Path) -> None:
    found = case(tmp_path, tmp_path / "map.npz")
    first, last = np.zeros(SHAPE, np.float32), MAP  # classes 1 and 2
    np.savez(tmp_path / "map.npz", probabilities=np.stack([m.transpose(2, 1, 0) for m in (1 - MAP, last, first)]))
    of_map = scored(dataclasses.replace(found, probabilities=nifti(tmp_path / "map.nii.gz")))
    assert dict(scored(found).values) == pytest.approx(dict(of_map.values))


def test_a_map_on_turned_axes_is_turned(tmp_path: Path) -> None:
    found = case(tmp_path, nifti(tmp_path / "map.nii.gz"))
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[0, 3] = SHAPE[0] - 1
    write_image(tmp_path / "turned.nii.gz", MAP[::-1], affine=affine)
    turned = scored(dataclasses.replace(found, probabilities=tmp_path / "turned.nii.gz"))
    assert turned.values == scored(found).values


@pytest.mark.parametrize("both_empty", [1.0, 0.0])
def test_without_a_lesion_there_is_no_calibration_but_an_expectation(tmp_path: Path, both_empty: float) -> None:
    protocol = dataclasses.replace(DEFAULT, empty=dataclasses.replace(DEFAULT.empty, both_dsc=both_empty))
    nothing = np.zeros_like(LABEL)
    low = nifti(tmp_path / "map.nii.gz", np.full(SHAPE, 0.001, np.float32))
    score = scored(case(tmp_path, low, label=nothing, mask=nothing), protocol)
    assert [score.values[name] for name in ("ece", "ece_chance", "brier")] == [None] * 3
    expected = both_empty * 0.999**LABEL.size
    assert score.values["expected_dsc"] == pytest.approx(expected, rel=1e-4)
    assert score.values["overconfidence"] == pytest.approx(expected - both_empty, abs=1e-4)


def test_ignored_voxels_count_nowhere(tmp_path: Path) -> None:
    label = LABEL.copy()
    label[20, 0, 0] = 9  # the false positive is not to be judged
    protocol = dataclasses.replace(DEFAULT, ignore_label=9)
    score = scored(case(tmp_path, nifti(tmp_path / "map.nii.gz"), label=label), protocol)
    assert score.values["dsc"] == 1.0
    total = 8 * 0.8 + (LABEL.size - 9) * 0.1
    assert score.values["expected_dsc"] == pytest.approx(2 * 8 * 0.8 / (8 + total))


def test_a_map_that_cannot_be_used_is_named_and_costs_no_score(tmp_path: Path) -> None:
    good = nifti(tmp_path / "good.nii.gz")
    small = nifti(tmp_path / "small.nii.gz", MAP[:-1])
    for map_, told in ((None, "no probabilities"), (tmp_path / "absent.nii.gz", "absent.nii.gz"),
                       (small, "another grid"), (nifti(tmp_path / "l.nii.gz", MAP * 9 - 4), "logits")):  # fmt: skip
        score = scored(case(tmp_path, map_), other=good)
        assert told in score.no_probabilities
        assert score.penalised is None
        assert score.values["dsc"] == pytest.approx(16 / 17)
        assert all(score.values[name] is None for name in SOFT_METRICS)


def test_without_a_prediction_there_is_nothing_to_be_sure_of(tmp_path: Path) -> None:
    found = dataclasses.replace(case(tmp_path, nifti(tmp_path / "map.nii.gz")), prediction=None)
    score = scored(found)
    assert score.penalised
    assert not score.no_probabilities
    assert all(score.values[name] is None for name in SOFT_METRICS)


def test_without_maps_there_are_no_columns(tmp_path: Path) -> None:
    table = score_cohort(Cohort((case(tmp_path, None),)), DEFAULT)
    assert table.names == ("dsc",)
    assert list(table.scores[0].values) == ["dsc"]


def test_regions_are_refused(tmp_path: Path) -> None:
    cohort = Cohort((case(tmp_path, nifti(tmp_path / "map.nii.gz")),))
    with pytest.raises(ConfigError, match="a map has one region"):
        metrics_of(cohort, DEFAULT.replace(regions={"a": (1,), "b": (2,)}))


def test_a_kept_score_is_that_of_the_same_map(tmp_path: Path) -> None:
    cohort = Cohort((case(tmp_path, nifti(tmp_path / "map.nii.gz")),))

    def found() -> tuple[int, int]:
        cache = ScoreCache(tmp_path / "kept")
        assert score_cohort(cohort, DEFAULT, cache=cache) == score_cohort(cohort, DEFAULT)
        return cache.n_scored, cache.n_found

    assert found() == (1, 0)
    assert found() == (0, 1)
    nifti(tmp_path / "map.nii.gz", MAP * 0.9)
    assert found() == (1, 0)
    bare = Cohort((dataclasses.replace(cohort.cases[0], probabilities=None),))
    cache = ScoreCache(tmp_path / "kept")
    assert "ece" not in score_cohort(bare, DEFAULT, cache=cache).scores[0].values
