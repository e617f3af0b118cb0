"""The lesions of a case under a protocol: units, regions, unusable predictions, and what cannot be asked for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from segfair.cases import Case
from segfair.errors import ConfigError
from segfair.files.images.masks import write_mask
from segfair.protocol.rules import LESION_RULES, Protocol, load_protocol
from segfair.scoring.cohort import score_predictions
from segfair.scoring.pairs import score_pair, worst_score
from segfair.scoring.score_cache import Rules, ScoreCache
from segfair.scoring.scores import OF_LESIONS, protocol_metrics

DEFAULT = load_protocol("default")
SPACING = (1.0, 1.0, 3.0)


def masks() -> tuple[np.ndarray, np.ndarray]:
    """Two lesions of 27 voxels, one outlined exactly and one missed, and one that is invented."""
    label, prediction = np.zeros((2, 30, 30, 9), dtype=np.uint8)
    label[1:4, 1:4, 1:4] = label[20:23, 20:23, 5:8] = 1
    prediction[1:4, 1:4, 1:4] = prediction[1:3, 25:28, 5:8] = 1
    return label, prediction


def values(protocol: Protocol, **settings: object) -> dict[str, float | None]:
    found = score_pair(*masks(), spacing_mm=SPACING, protocol=protocol, **settings)
    return {name: value for name, value in found.values.items() if name in OF_LESIONS}


def test_a_protocol_without_a_rule_is_what_it_was() -> None:
    assert "lesions" not in DEFAULT.to_dict()
    plain = score_pair(*masks(), spacing_mm=SPACING, protocol=DEFAULT)
    assert plain.lesions == ()
    for rule in LESION_RULES:
        found = score_pair(*masks(), spacing_mm=SPACING, protocol=DEFAULT.with_lesions(rule))
        assert {name: found.values[name] for name in plain.values} == plain.values
        assert found.facts == plain.facts


def test_metrics_of_a_case() -> None:
    diagonal = float(np.hypot(np.hypot(30, 30), 27))
    found = values(DEFAULT.with_lesions("voronoi"))
    assert found == {
        **{"lesion_sensitivity": 0.5, "false_lesions": 1.0, "lesion_f1": 0.5},
        **{"lesion_dsc": found["lesion_dsc"], "lesion_hd95_mm": found["lesion_hd95_mm"]},
    }
    assert found["lesion_dsc"] == pytest.approx(27 * 2 / (27 + 45) / 2, abs=0.2)
    brats = values(DEFAULT.with_lesions("brats"))
    assert brats["lesion_dsc"] == pytest.approx(1 / 3)
    assert brats["lesion_hd95_mm"] == pytest.approx(374 * 2 / 3)
    lesions = DEFAULT.with_lesions("brats").lesions
    by_diagonal = DEFAULT.with_lesions("brats").replace(lesions=dataclasses.replace(lesions, penalty="diagonal"))
    assert values(by_diagonal)["lesion_hd95_mm"] == pytest.approx(diagonal * 2 / 3)


def test_each_lesion_stands_in_the_score() -> None:
    found = score_pair(*masks(), spacing_mm=SPACING, protocol=DEFAULT.with_lesions("panoptica")).lesions
    assert [(lesion.size, lesion.found, lesion.dsc, lesion.depth) for lesion in found] == [
        (81.0, True, 1.0, 2.5),
        (81.0, False, 0.0, 7.5),
    ]
    assert found[1].hd95 == pytest.approx(float(np.hypot(np.hypot(30, 30), 27)))


@pytest.mark.parametrize("rule", LESION_RULES)
def test_an_unusable_prediction_misses_every_lesion(rule: str) -> None:
    protocol = DEFAULT.with_lesions(rule)
    label, _ = masks()
    found = worst_score(label, spacing_mm=SPACING, protocol=protocol, reason="broken")
    nothing = score_pair(label, np.zeros_like(label), spacing_mm=SPACING, protocol=protocol)
    for name in set(found.values) & set(OF_LESIONS) - {"false_lesions"}:
        assert found.values[name] == nothing.values[name], name
    assert found.values["false_lesions"] is None, "what it invented nobody knows"
    assert [lesion.found for lesion in found.lesions] == [False, False]
    empty = worst_score(np.zeros_like(label), spacing_mm=SPACING, protocol=protocol, reason="broken")
    assert (empty.values["lesion_dsc"], empty.values["lesion_sensitivity"]) == (0.0, None)
    assert empty.values["lesion_hd95_mm"] > 0


def test_regions_have_lesions_of_their_own() -> None:
    label, prediction = masks()
    label[20:23, 20:23, 5:8] = 2
    prediction[1:3, 25:28, 5:8] = 2
    protocol = DEFAULT.with_lesions("panoptica").replace(regions={"core": (1,), "rim": (2,)})
    found = score_pair(label, prediction, spacing_mm=SPACING, protocol=protocol)
    assert found.values["lesion_f1_core"] == 1.0
    assert found.values["lesion_f1_rim"] == 0.0
    assert found.values["lesion_f1"] == 0.5
    assert len(found.lesions) == 2


def test_definitions_name_the_rule_and_its_numbers() -> None:
    protocol = DEFAULT.with_lesions("brats")
    protocol = protocol.replace(lesions=dataclasses.replace(protocol.lesions, connectivity=6, min_size=2.0))
    told = {metric.name: metric for metric in protocol_metrics(protocol)}
    rule = "brats/dilation-3/over-2-mm3/connectivity-6"
    assert told["lesion_dsc"].definition == f"lesion-dsc/mean/{rule}/label-1"
    assert told["lesion_hd95_mm"].definition == (
        f"lesion-hd95/mean/mm/{rule}/max-of-directed-p95/face-6/worst-374.0/label-1"
    )
    assert "374" in told["lesion_hd95_mm"].empty_rule
    panoptica = {metric.name: metric for metric in protocol_metrics(DEFAULT.with_lesions("panoptica"))}
    assert panoptica["lesion_pq"].definition.startswith("lesion-pq/mean-iou-of-matched-times-f1/panoptica/iou-from-0.5")


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        (DEFAULT.replace(metrics=("dsc", "lesion_f1")), "no rule by which they are found"),
        (DEFAULT.with_lesions("brats").replace(metrics=("lesion_pq",)), "which only the rule panoptica has"),
        (DEFAULT.with_lesions("brats").replace(metrics=("lesion_hd95_mm", "lesion_hd95_vox")), "leave out one unit"),
    ],
)
def test_what_cannot_be_scored(protocol: Protocol, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        protocol_metrics(protocol)


def test_lesions_without_a_size_are_in_voxels() -> None:
    protocol = DEFAULT.with_lesions("voronoi").replace(metrics=("lesion_hd95_vox", "lesion_dsc"))
    found = score_pair(*masks(), spacing_mm=None, protocol=protocol)
    same = score_pair(*masks(), spacing_mm=(2.0, 2.0, 2.0), protocol=protocol)
    assert found.values == same.values
    with pytest.raises(ConfigError, match="lesion_hd95_mm: is in mm"):
        score_pair(*masks(), spacing_mm=None, protocol=protocol.replace(metrics=("lesion_hd95_mm",)))


def test_kept_scores_keep_their_lesions(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.nii.gz" for name in ("label", "prediction")]
    for path, mask in zip(paths, masks(), strict=True):
        write_mask(path, mask, affine=np.diag((*SPACING, 1.0)))
    case, rules = Case("a", *paths), Rules(DEFAULT.with_lesions("voronoi"))
    cache = ScoreCache(tmp_path / "cache")
    first = score_predictions(case, [case], rules, cache)
    again = score_predictions(case, [case], rules, cache)
    assert (first.n_found, again.n_found) == (0, 1)
    assert again.scores == first.scores
    assert len(again.scores[0].lesions) == 2
    assert cache.key(case, rules, "x", "y") != cache.key(case, Rules(DEFAULT.with_lesions("brats")), "x", "y")
    assert json.dumps(dataclasses.asdict(first.scores[0]), allow_nan=False)
