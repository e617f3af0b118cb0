"""What other tools would say, against what they say: recorded (`oracles/record_tools`), or asked here (MONAI, nnU-Net)."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from tests.scoring.oracles.lesion_masks import digest
from tests.scoring.oracles.tool_masks import KINDS, tool_masks

from segfair.files.images.masks import read_mask
from segfair.scoring.definitions.surface_elements import element_areas, surface_elements
from segfair.scoring.definitions.tools import TOOLS, measures_of_tools, plain_spacing, values_of_tools
from segfair.scoring.metrics import MaskPair

ORACLES = Path(__file__).resolve().parents[1] / "oracles"
REAL = ORACLES.parents[3] / "shared" / "real"
RECORDED = ("medpy", "surface_distance", "metrics_reloaded", "panoptica")


def ours(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], **how: Any) -> dict[str, float]:
    pair = MaskPair(label=label > 0, prediction=prediction > 0, spacing_mm=spacing)
    return values_of_tools(pair, spacing=spacing, **how)


def as_number(value: float | str | None) -> float:
    return math.nan if value in (None, "refused") else math.inf if value == "infinity" else float(value)


def recorded(tool: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ORACLES / f"tools_{tool}.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("compiled", [False, True], ids=["numpy", "compiled"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tool", RECORDED)
def test_a_tool_that_was_asked_elsewhere(tool: str, kind: str, compiled: bool) -> None:
    cases = [case for case in recorded(tool)["cases"] if case["kind"] == kind]
    assert len(cases) == 24
    for case in cases:
        label, prediction, spacing = tool_masks(kind, case["seed"])
        assert digest(label, prediction) == case["digest"], "the masks are no longer those that the tool saw"
        expected = {f"{tool} {name}": as_number(value) for name, value in case["values"].items()}
        found = ours(label, prediction, spacing, compiled=compiled)
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert {name for name in found if name.startswith(f"{tool} ")} == set(expected)


@pytest.mark.parametrize("tool", RECORDED)
def test_the_recorded_masks_hold_every_kind_of_case(tool: str) -> None:
    """Else agreement would say little."""
    found = recorded(tool)
    assert found["tool"].split()[:2] == [TOOLS[tool].name, TOOLS[tool].version]
    n_empty = [0, 0, 0]
    for case in found["cases"]:
        label, prediction, _ = tool_masks(case["kind"], case["seed"])
        n_empty[(not label.any()) + (not prediction.any())] += 1
    assert min(n_empty) >= 2
    assert len({case["values"]["hd95"] for case in found["cases"]}) > 30


def test_noise_has_every_neighbourhood() -> None:
    codes = [surface_elements(tool_masks("noise", seed)[0] > 0)[1] for seed in range(24)]
    assert len(np.unique(np.concatenate([found.ravel() for found in codes]))) == 256


def monai_says(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> dict[str, float]:
    torch, of = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    masks = [torch.from_numpy(np.stack([mask == 0, mask > 0])[None].astype(np.float32)) for mask in (prediction, label)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "monai dsc": float(of.compute_dice(*masks, include_background=False)),
            "monai hd95": float(of.compute_hausdorff_distance(*masks, percentile=95, spacing=spacing)),
            "monai nsd": float(of.compute_surface_dice(*masks, class_thresholds=[1.0], spacing=spacing)),
        }


def agrees_with_monai(label: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...]) -> None:
    expected, found = monai_says(label, prediction, spacing), ours(label, prediction, spacing)
    # It computes in single precision. The place of the percentile among up to 216 distances is right to 216 * 6e-8, and
    # so is its share of the gap of a few mm there.
    percentile = {"monai hd95": expected.pop("monai hd95")}
    assert {name: found[name] for name in percentile} == pytest.approx(percentile, rel=1e-5, abs=1e-4, nan_ok=True)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("kind", KINDS)
def test_monai(kind: str) -> None:
    for seed in range(24):
        agrees_with_monai(*tool_masks(kind, seed))


@st.composite
def any_masks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    shape = draw(array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=6))
    label, prediction = (draw(arrays(np.bool_, shape)) for _ in range(2))
    spacing = draw(st.lists(st.sampled_from([0.5, 0.8, 1.0, 3.0]), min_size=len(shape), max_size=len(shape)))
    return label, prediction, tuple(spacing)


@given(any_masks())
def test_monai_of_any_masks(masks: tuple[np.ndarray, np.ndarray, tuple[float, ...]]) -> None:
    agrees_with_monai(*masks)


@given(any_masks())
def test_surface_elements_are_those_that_monai_has_with_subvoxels(
    masks: tuple[np.ndarray, np.ndarray, tuple[float, ...]],
) -> None:
    """Its table is that of surface-distance."""
    utils, torch = pytest.importorskip("monai.metrics.utils"), pytest.importorskip("torch")
    spacing = masks[2]
    table, _ = utils.get_code_to_measure_table(spacing)
    assert element_areas(spacing) == pytest.approx(table.numpy(), rel=1e-6)
    of = pytest.importorskip("monai.metrics")
    found = ours(*masks)["surface_distance nsd"]
    both = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (masks[1], masks[0])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = of.compute_surface_dice(*both, [1.0], True, spacing=spacing, use_subvoxels=True)
    assert found == pytest.approx(float(said), rel=1e-5, nan_ok=True)


@given(any_masks())
def test_nnunet_of_any_masks(masks: tuple[np.ndarray, np.ndarray, tuple[float, ...]]) -> None:
    evaluation = pytest.importorskip("nnunetv2.evaluation.evaluate_predictions")
    label, prediction, _ = masks

    class Reader:
        def read_seg(self, name: str) -> tuple[np.ndarray, dict[str, Any]]:
            return {"label": label, "prediction": prediction}[name][None].astype(np.uint8), {}

    said = evaluation.compute_metrics("label", "prediction", Reader(), [1])["metrics"][1]["Dice"]
    assert ours(*masks)["nnunet dsc"] == pytest.approx(float(said), nan_ok=True)


def real_masks() -> list[Any]:
    pairs = [
        pytest.param(path, folder / "preds" / path.name, id=f"{folder.name}/{path.name}")
        for folder in sorted(REAL.glob("*"))
        for path in sorted((folder / "labels").glob("*.nii.gz"))[:2]
        if (folder / "preds" / path.name).is_file()
    ]
    return pairs or [pytest.param(None, None, marks=pytest.mark.skip(reason=f"no masks in {REAL}"))]


@pytest.mark.parametrize(("label", "prediction"), real_masks())
def test_monai_of_real_masks(label: Path, prediction: Path) -> None:
    masks = [read_mask(path) for path in (label, prediction)]
    if masks[0].array.shape != masks[1].array.shape:
        pytest.skip("on other grids")
    agrees_with_monai(*(np.asarray(mask.array) > 0 for mask in masks), masks[0].spacing_mm)


@pytest.mark.parametrize("tool", RECORDED)
def test_a_tool_that_was_asked_elsewhere_of_real_masks(tool: str) -> None:
    cases = [case for case in recorded(f"{tool}_real")["cases"] if (REAL / case["folder"]).is_dir()]
    if not cases:
        pytest.skip(f"no masks in {REAL}")
    for case in cases:
        masks = [read_mask(REAL / case["folder"] / role / case["case"]) for role in ("labels", "preds")]
        expected = {f"{tool} {name}": as_number(value) for name, value in case["values"].items()}
        found = ours(*(np.asarray(mask.array) for mask in masks), plain_spacing(masks[0].spacing_mm))
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5, nan_ok=True), case["case"]


def test_the_last_bits_of_a_header_are_not_told() -> None:
    assert plain_spacing((np.float32(0.2), 0.50000003, 2.9999998)) == (0.2, 0.5, 3.0)


def test_every_rule_is_told_in_words() -> None:
    for tool, measure in measures_of_tools():
        assert TOOLS[tool].rules[measure]
        assert TOOLS[tool].empty[measure]
