"""Lesions by each rule, against what the tool it is named after says of the same masks; see `oracles/record_lesions`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.scoring.oracles.lesion_masks import digest, lesion_masks, spacing_of

from segfair.files.images.masks import read_mask
from segfair.protocol.rules import lesion_rule
from segfair.scoring.lesions.measures import Lesions, Place, find_lesions, lesion_scores

ORACLES = Path(__file__).resolve().parents[1] / "oracles"
REAL = ORACLES.parents[3] / "shared" / "real"
OF_PANOPTICA = {
    **{"rq": "lesion_f1", "sq": "lesion_sq", "pq": "lesion_pq", "sq_dsc": "lesion_dsc", "pq_dsc": "lesion_pq_dsc"},
    **{"sq_assd": "lesion_assd", "sq_hd95": "lesion_hd95"},
}


def recorded(name: str) -> list[dict[str, Any]]:
    """What a tool says, by case."""
    cases: list[dict[str, Any]] = json.loads((ORACLES / f"lesions_{name}.json").read_text("utf-8"))["cases"]
    return cases


def ours(
    rule: str, masks: tuple[np.ndarray, np.ndarray], spacing: tuple[float, ...], worst: float
) -> tuple[dict[str, float], Lesions]:
    place = Place(masks[0].shape, (0,) * masks[0].ndim, spacing, None, math.prod(spacing))
    lesions = find_lesions(*(mask > 0 for mask in masks), lesion_rule(rule), place)
    return lesion_scores(lesions, lesion_rule(rule), worst=worst, both_empty=1.0), lesions


def counts(lesions: Lesions) -> dict[str, int]:
    n_found = sum(lesion.found for lesion in lesions.found)
    return {"tp": n_found, "fp": lesions.n_false, "fn": len(lesions.found) - n_found}


def as_number(value: float | str | None) -> float:
    return math.nan if value is None else math.inf if value == "infinity" else float(value)


def agrees_with_panoptica(said: dict[str, Any], scores: dict[str, float], lesions: Lesions) -> None:
    assert counts(lesions) == {name: said[name] for name in ("tp", "fp", "fn")}
    expected = {ours: as_number(said[theirs]) for theirs, ours in OF_PANOPTICA.items() if theirs in said}
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("case", recorded("panoptica"), ids=lambda case: str(case["seed"]))
def test_panoptica(case: dict[str, Any]) -> None:
    masks = lesion_masks(case["seed"])
    assert digest(*masks) == case["digest"], "the masks are no longer those that the tool saw"
    agrees_with_panoptica(case["values"], *ours("panoptica", masks, spacing_of(case["seed"]), math.inf))


@pytest.mark.parametrize("case", recorded("brats"), ids=lambda case: str(case["seed"]))
def test_brats(case: dict[str, Any]) -> None:
    masks, said = lesion_masks(case["seed"]), case["values"]
    assert digest(*masks) == case["digest"]
    scores, lesions = ours("brats", masks, (1.0, 1.0, 1.0), lesion_rule("brats").penalty)
    assert counts(lesions) == {name: said[name] for name in ("tp", "fp", "fn")}
    assert scores["lesion_dsc"] == pytest.approx(said["dsc"], abs=1e-12)
    # Its own HD95 is that of surface elements; the rule around it is the same.
    assert scores["lesion_hd95"] == pytest.approx(said["hd95_by_faces"], abs=1e-9)
    assert scores["lesion_hd95"] == pytest.approx(said["hd95"], abs=1.0)


@pytest.mark.parametrize("case", recorded("voronoi"), ids=lambda case: str(case["seed"]))
def test_cc_metrics(case: dict[str, Any]) -> None:
    masks = lesion_masks(case["seed"])
    assert digest(*masks) == case["digest"]
    scores, _ = ours("voronoi", masks, (1.0, 1.0, 1.0), 30.0)
    found = {"dsc": scores["lesion_dsc"], "hd95": scores["lesion_hd95"]}
    assert found == pytest.approx(case["values"], abs=1e-5)  # it computes in single precision


def test_the_masks_hold_every_kind_of_case() -> None:
    """Else agreement would say little: found, missed, invented, joined lesions, and empty masks."""
    said = [case["values"] for case in recorded("panoptica")]
    for name in ("tp", "fp", "fn"):
        assert sum(values[name] > 0 for values in said) > 10
    assert any(values["rq"] is None for values in said)
    assert any(values["tp"] == 0 and values["rq"] == 0 for values in said)
    joined = [case for case in recorded("brats") if case["values"]["hd95"] != case["values"]["hd95_by_faces"]]
    assert joined


@pytest.mark.parametrize("case", recorded("real"), ids=lambda case: f"{case['folder']}/{case['case']}")
def test_panoptica_on_real_masks(case: dict[str, Any]) -> None:
    folder = REAL / case["folder"]
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    label, prediction = (read_mask(folder / role / case["case"]) for role in ("labels", "preds"))
    masks = (np.asarray(label.array), np.asarray(prediction.array))
    agrees_with_panoptica(case["values"], *ours("panoptica", masks, label.spacing_mm, math.inf))
