"""NormHD under other definitions: by hand, and what changes by them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.audit.definitions import compare_definitions, normhd_variants
from segfair.protocol.rules import load_protocol
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

PROTOCOL = load_protocol("default")


def case(name: str, mm: float | None, voxels: float | None, normhd: float, **facts: float) -> CaseScore:
    values = {"dsc": 0.5, "normhd": normhd, "hd95_mm": mm, "hd95_vox": voxels}
    return CaseScore(name, values, {"label_voxels": 9, "prediction_voxels": 9, **facts})


def table(*scores: CaseScore) -> ScoreTable:
    return ScoreTable(tuple(METRICS[name] for name in ("dsc", "normhd", "hd95_mm", "hd95_vox")), scores)


SCORES = table(
    case("a", 15.0, 30.0, 0.1),
    case("b", 30.0, 15.0, 0.2),
    case("c", 300.0, 60.0, 1.0),
    # A missed lesion: 1 by rule, however far away a diagonal is.
    case("d", 40.0, 40.0, 1.0, prediction_voxels=0),
)


def test_distances_over_the_scale_in_each_unit_clipped_and_not() -> None:
    found = {name: values.tolist() for name, values in normhd_variants(SCORES, protocol=PROTOCOL).items()}
    assert found == {
        "mm, clipped": pytest.approx([0.1, 0.2, 1.0, 1.0]),
        "mm, not clipped": pytest.approx([0.1, 0.2, 2.0, 1.0]),
        "voxels, clipped": pytest.approx([0.2, 0.1, 0.4, 1.0]),
        "voxels, not clipped": pytest.approx([0.2, 0.1, 0.4, 1.0]),
    }


def test_an_unusable_prediction_stays_as_the_rule_has_it() -> None:
    penalised = dataclasses.replace(SCORES.scores[0], penalised="no prediction")
    values = normhd_variants(table(penalised), protocol=PROTOCOL)
    assert all(found.tolist() == [0.1] for found in values.values())


def test_the_used_definition_comes_first_and_a_turned_order_is_told() -> None:
    sex = Attribute("sex", ("f", "m"), np.array([0, 1, 0, 1], dtype=np.int16), "sex", "as given")
    attributes = AttributeTable(("a", "b", "c", "d"), (sex,), {})
    found = compare_definitions(SCORES, attributes, protocol=PROTOCOL, min_cases=1)
    assert [(entry.name, entry.used) for entry in found] == [
        ("mm, clipped", True),
        ("mm, not clipped", False),
        ("voxels, clipped", False),
        ("voxels, not clipped", False),
    ]
    # In mm, clipped: f (0.1 + 1) / 2, m (0.2 + 1) / 2. Not clipped f has 1.05; in voxels f 0.3, m 0.55.
    assert found[0].normhd == pytest.approx(2.3 / 4)
    assert found[1].changes == (
        "sex: the level with the highest NormHD is f (n = 2), not m (n = 2)",
        "sex: the level with the lowest NormHD is m (n = 2), not f (n = 2)",
    )
    assert found[2].changes == ()
    assert found[2].fs == pytest.approx(1 - 0.5 * 0.25)


def test_without_distances_there_is_nothing_to_compare() -> None:
    nothing = AttributeTable(("a",), (), {})
    only = ScoreTable((METRICS["dsc"],), (CaseScore("a", {"dsc": 0.5}),))
    assert compare_definitions(only, nothing, protocol=PROTOCOL, min_cases=1) == ()
    undefined = table(dataclasses.replace(SCORES.scores[0], values={**SCORES.scores[0].values, "normhd": None}))
    assert compare_definitions(undefined, nothing, protocol=PROTOCOL, min_cases=1) == ()
