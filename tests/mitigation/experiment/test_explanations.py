"""The cases whose gaps are explained: how lesions look in prepared volumes, and what a deficit is made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import make_table

from segfair.errors import InputError
from segfair.mitigation.data.datasets import PreparedCase, PreparedData, from_arrays
from segfair.mitigation.data.regions import IGNORED
from segfair.mitigation.experiment.diagnosis import appearance_of
from segfair.mitigation.experiment.explanations import JudgedCases, lesions_of

SPACING = (1.0, 1.0, 2.0)


def volumes() -> PreparedData:
    rng = np.random.default_rng(2)
    labels = [np.zeros((12, 12, 8), dtype=np.uint8) for _ in range(3)]
    labels[0][4:7, 4:7, 3:5] = 1
    labels[1][5:9, 5:9, 2:6] = 1
    images = [rng.standard_normal((2, 12, 12, 8)).astype(np.float32) + 3 * label for label in labels]
    return from_arrays(["a", "b", "empty"], images, labels, spacing_mm=SPACING)


def test_volumes_and_looks_are_those_of_the_prepared_cases() -> None:
    prepared = volumes()
    found = lesions_of(prepared, ["empty", "b", "a"], subjects=np.array([0, 1, 1]))
    assert found.case_ids == ("empty", "b", "a")
    assert found.volume_mm3.tolist() == [0.0, 64 * 2.0, 18 * 2.0]
    assert found.voxel_mm3.tolist() == [2.0] * 3
    assert found.subjects is not None
    image, label = prepared.cases["b"].load()
    alone = appearance_of(image.numpy(), label[0].numpy() == 1, SPACING)
    assert alone is not None
    assert (found.contrast[1], found.edge_sharpness[1]) == (alone.contrast, alone.edge_sharpness)
    assert np.isnan([found.contrast[0], found.edge_sharpness[0]]).all()


def test_ignored_voxels_are_no_surroundings_and_any_region_is_lesion() -> None:
    rng = np.random.default_rng(3)
    image = rng.standard_normal((1, 12, 12, 1)).astype(np.float32)
    label = np.zeros((2, 12, 12, 1), dtype=np.uint8)
    label[0, 3:6, 3:6], label[1, 6:8, 3:6] = 1, 1
    label[:, 9:] = IGNORED
    image[:, 9:] = 900
    case = PreparedCase(
        "c", (12, 12, 1), (1.0, 1.0, 1.0), 15, tensors=(torch.from_numpy(image), torch.from_numpy(label))
    )
    found = lesions_of(PreparedData({"c": case}, (1.0, 1.0, 1.0)), ["c"])
    expected = appearance_of(image[:, :9, :, 0], label[:, :9, :, 0].any(axis=0), (1.0, 1.0))
    assert expected is not None
    assert found.contrast[0] == pytest.approx(expected.contrast)


def test_a_cached_volume_that_has_gone_is_named(tmp_path) -> None:
    case = PreparedCase("gone", (4, 4, 4), SPACING, 3, path=tmp_path / "gone.pt")
    with pytest.raises(InputError, match="gone"):
        lesions_of(PreparedData({"gone": case}, SPACING), ["gone"])


def test_the_deficit_is_that_of_the_model_and_the_subgroup() -> None:
    table = make_table(["a", "b", "empty"], {"site": ["x", "y", "x"]})
    judged = JudgedCases(table, lesions_of(volumes(), table.case_ids), "validation", {"erm": np.array([0.1, 0.9, 0.2])})
    found = judged.deficit("erm", {"site": "x"})
    assert found.subgroup["volume_mm3"] == 36.0
    assert found.rest["volume_mm3"] == 128.0
    assert (found.size.left, found.failures) == ("insufficient evidence", None)
