"""The metrics say what the audit says of the same masks, to the last digit, whatever form the masks come in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import Cumulative
from tests.loops.conftest import SETTINGS, ValidationSet

from segfair.errors import ConfigError, GeometryError, InputError
from segfair.metrics import CaseMetric, FairnessScore, PerformanceScore, TotalScore

METRICS = (FairnessScore, TotalScore, PerformanceScore)


def made(kind: Any, validation: ValidationSet) -> Any:
    return kind() if kind is PerformanceScore else kind(validation.table, **SETTINGS)


def one_hot(mask: torch.Tensor) -> torch.Tensor:
    return torch.cat([1 - mask, mask], dim=1).float()


@pytest.mark.parametrize("form", ["label maps", "one-hot", "list"])
def test_scores_are_those_of_the_audit(validation: ValidationSet, form: str) -> None:
    metrics = [made(kind, validation) for kind in METRICS]
    for batch in validation.loader():
        prediction, label = batch["image"], batch["label"]
        if form == "one-hot":
            prediction, label = one_hot(prediction), one_hot(label)
        elif form == "list":
            prediction, label = list(prediction), list(label)
        ids = [name.split("/")[-1] for name in batch["label"].meta["filename_or_obj"]]
        for metric in metrics:
            metric(
                y_pred=prediction, y=label, ids=[name.removesuffix(".nii.gz") for name in ids], spacing=(1, 1.5, 2.5)
            )
    wanted = validation.audit.scores
    assert [metric.aggregate().item() for metric in metrics] == [wanted[name].value for name in ("FS", "TS", "PS")]


def test_ids_and_spacing_come_from_the_meta_data(validation: ValidationSet) -> None:
    metric = FairnessScore(validation.folder / "metadata.csv", **SETTINGS)
    for batch in validation.loader(shuffle=True):
        values = metric(batch["image"], batch["label"])
        assert values.shape == (len(batch["label"]), 2)
    assert metric.aggregate().item() == validation.audit.scores["FS"].value
    assert len(metric) == 24


def test_metrics_of_cases_are_the_columns_of_the_audit(validation: ValidationSet) -> None:
    scores = validation.audit.cases.scores
    for name, column in (("dsc", "dsc"), ("hd95", "hd95_mm"), ("normhd", "normhd")):
        metric = CaseMetric(name)
        for batch in validation.loader():
            metric(batch["image"], batch["label"])
        wanted = scores.column(column)
        assert metric.get_buffer()[:, 0].tolist() == wanted
        assert metric.aggregate().item() == np.mean(wanted)
        assert isinstance(metric, Cumulative)


def test_levels_come_with_the_batch_or_with_the_meta_data(validation: ValidationSet) -> None:
    given, from_meta = FairnessScore(**SETTINGS), FairnessScore(**SETTINGS)
    row = validation.table.set_index("patient_id")
    for batch in validation.loader(batch_size=1):
        name = batch["label"].meta["filename_or_obj"][0].split("/")[-1].removesuffix(".nii.gz")
        levels = {"site": [row.loc[name, "site"]], "sex": [row.loc[name, "sex"]]}
        given(batch["image"], batch["label"], levels=levels)
        label = batch["label"][0]
        label.meta |= {"site": row.loc[name, "site"], "sex": row.loc[name, "sex"]}
        from_meta([batch["image"][0]], [label])
    assert given.aggregate().item() == from_meta.aggregate().item() == validation.audit.scores["FS"].value


def test_reset_forgets(validation: ValidationSet) -> None:
    metric = PerformanceScore()
    label = torch.zeros(1, 1, 6, 6)
    label[..., 2:4, 2:4] = 1
    metric(torch.zeros_like(label), label)
    assert metric.aggregate().item() == 0
    metric.reset()
    assert math.isnan(metric.aggregate().item())
    metric(label, label)
    assert metric.aggregate().item() == 1


def test_a_case_that_comes_twice_counts_once() -> None:
    label = torch.zeros(2, 1, 6, 6)
    label[..., 2:4, 2:4] = 1
    prediction = label.clone()
    prediction[1] = 0
    metric = PerformanceScore()
    metric(prediction, label, ids=["a", "b"])
    metric(prediction[1:], label[1:], ids=["b"])
    assert metric.aggregate().item() == 0.5


def test_what_is_no_mask_is_refused_in_a_sentence() -> None:
    label = torch.zeros(1, 1, 6, 6)
    metric = PerformanceScore()
    with pytest.raises(InputError, match="its 3 channels are not one-hot"):
        metric(torch.rand(1, 3, 6, 6), label)
    with pytest.raises(GeometryError, match="the label is 6 x 6, the prediction 5 x 6"):
        metric(torch.zeros(1, 1, 5, 6), label, ids=["P1"])
    with pytest.raises(InputError, match="labels: there are 1, and 2 predictions"):
        metric(torch.zeros(2, 1, 6, 6), label)
    with pytest.raises(ConfigError, match="metric='dice': no such metric; there are dsc, normhd, hd95"):
        CaseMetric("dice")
    with pytest.raises(TypeError, match=r"no setting 'min_case' \(did you mean min_cases"):
        FairnessScore(min_case=3)
    with pytest.raises(ConfigError, match="spacing: there are 3 sizes, and 1 cases"):
        metric(label, label, spacing=[(1, 1)] * 3)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float64])
def test_masks_of_any_type(dtype: torch.dtype) -> None:
    label, prediction = torch.zeros(2, 1, 1, 8, 8)
    label[..., 2:6, 2:6], prediction[..., 2:6, 3:7] = 1, 1
    assert CaseMetric("dsc")(prediction.to(dtype), label.to(dtype)).tolist() == [[0.75]]


def test_each_case_may_have_a_voxel_size_of_its_own() -> None:
    label, prediction = torch.zeros(2, 2, 1, 8, 8)
    label[..., 2:6, 2:6], prediction[..., 2:6, 3:7] = 1, 1
    metric = CaseMetric("hd95")
    values = metric(prediction, label, spacing=[(0.5, 0.5), (2.0, 2.0)])
    assert values[:, 0].tolist() == [0.5, 2.0]
    assert CaseMetric("hd95")(prediction, label)[:, 0].tolist() == [1.0, 1.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_masks_may_lie_on_a_gpu(validation: ValidationSet) -> None:
    metric = FairnessScore(validation.table, **SETTINGS)
    for batch in validation.loader():
        metric(batch["image"].cuda(), batch["label"].cuda())
    assert metric.aggregate().item() == validation.audit.scores["FS"].value
