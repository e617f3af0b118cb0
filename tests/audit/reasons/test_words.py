"""A gap in one sentence: the largest part first, what goes against it last."""

from __future__ import annotations

import pytest

from segfair.audit.reasons.words import PART_NAMES, gap_sentence
from segfair.audit.result.subgroups import PARTS, Part
from segfair.subgroups.lattice import Subgroup

SITE = Subgroup(frozenset({("site", "B")}))


@pytest.mark.parametrize(
    ("value", "parts", "told"),
    [
        (
            -0.1,
            {"size_and_shape": -0.02, "boundary": -0.09, "missed": 0.01},
            "Of the −0.100 of site = B, −0.090 is made by more error at the boundary and −0.020 by the size and shape of "
            "lesions alone; +0.010 by fewer missed lesions goes against it.",
        ),
        (
            0.04,
            {"boundary": 0.06, "missed": -0.005, "false_positives": -0.015, "no_prediction": 0.0001},
            "Of the +0.040 of site = B, +0.060 is made by less error at the boundary; −0.015 by more false positives and "
            "−0.005 by more missed lesions go against it.",
        ),
        (-0.0002, {"boundary": -0.0002}, "Of the 0.000 of site = B no single part makes more than 0.000."),
    ],
)
def test_sentences(value: float, parts: dict, told: str) -> None:
    assert gap_sentence(SITE, value, [Part(name, part) for name, part in parts.items()]) == told


def test_every_part_has_a_name() -> None:
    assert set(PART_NAMES) == {*PARTS, "else"}
