"""PS, FS and TS on a cohort small enough for pencil and paper."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.fairness import JudgingRule, challenge_scores

DSC = np.array([0.9, 0.7, 0.8, 0.6, 0.5, 0.9, 1.0, 0.2])
NORMHD = np.array([0.1, 0.2, 0.0, 0.3, 0.4, 0.1, 0.0, 0.9])
#      age:      a    a    b    b    b    c    c    c
#      menop.:   p    q    p    q    p    q    p    q
#      density:  d    d    -    d    e    e    -    e      (- drops out of density only)


def attribute(name: str, codes: list[int], levels: str) -> Attribute:
    return Attribute(name, tuple(levels), np.array(codes, dtype=np.int16), name, "as given", ())


ATTRIBUTES = AttributeTable(
    tuple("ABCDEFGH"),
    (
        attribute("age", [0, 0, 1, 1, 1, 2, 2, 2], "abc"),
        attribute("menopause", [0, 1, 0, 1, 0, 1, 0, 1], "pq"),
        attribute("density", [0, 0, -1, 0, 1, 1, -1, 1], "de"),
    ),
    {},
)


def test_a_cohort_of_eight_by_hand() -> None:
    scores = challenge_scores(DSC, NORMHD, ATTRIBUTES)
    # PS: mean DSC 5.6/8 = .7, mean NormHD 2/8 = .25
    assert scores.dsc == pytest.approx(0.7)
    assert scores.normhd == pytest.approx(0.25)
    assert scores.ps == pytest.approx(0.725)
    # age: DSC .8, 1.9/3, .7 -> .8 - .6333; NormHD .15, .7/3, 1/3 -> .3333 - .15
    # menopause: DSC .8, .6 -> .2; NormHD .125, .375 -> .25
    # density: DSC 2.2/3, 1.6/3 -> .2; NormHD .2, 1.4/3 -> .26667
    values = [0.5 * ((0.8 - 1.9 / 3) + (1 / 3 - 0.15)), 0.5 * (0.2 + 0.25), 0.5 * (0.2 + 1.4 / 3 - 0.2)]
    assert [entry.value for entry in scores.disparities] == pytest.approx(values)
    assert scores.fs == pytest.approx(1 - sum(values) / 3)
    assert scores.ts == pytest.approx(0.5 * 0.725 + 0.5 * (1 - sum(values) / 3))
    age = scores.disparities[0]
    assert (age.dsc_low.level, age.dsc_low.n, age.dsc_high.level) == ("b", 3, "a")
    assert (age.normhd_low.level, age.normhd_high.level, age.normhd_high.n) == ("a", "c", 3)


def test_one_level_has_no_disparity_where_all_levels_count() -> None:
    table = AttributeTable(tuple("ABCDEFGH"), (attribute("sex", [0] * 8, "f"),), {})
    scores = challenge_scores(DSC, NORMHD, table)
    assert scores.disparities[0].value == 0
    assert scores.fs == 1


def test_small_levels_neither_set_nor_flatter_the_score() -> None:
    scores = challenge_scores(DSC, NORMHD, ATTRIBUTES, rule=JudgingRule(min_cases=3, min_levels=2))
    age, menopause, density = scores.disparities
    assert (age.n_levels, age.n_small) == (2, 1)
    assert age.gap_dsc == pytest.approx(0.7 - 1.9 / 3)
    assert scores.fs == pytest.approx(1 - np.mean([age.value, menopause.value, density.value]))

    nothing = challenge_scores(DSC, NORMHD, ATTRIBUTES, rule=JudgingRule(min_cases=5, min_levels=2))
    assert [entry.value for entry in nothing.disparities] == [None, None, None]
    assert (nothing.fs, nothing.ts) == (None, None)
    assert nothing.ps == pytest.approx(0.725)


def test_weight_moves_the_total_from_performance_to_fairness() -> None:
    scores = {weight: challenge_scores(DSC, NORMHD, ATTRIBUTES, weight=weight) for weight in (0.0, 0.5, 1.0)}
    assert scores[0.0].ts == pytest.approx(scores[0.5].ps)
    assert scores[1.0].ts == pytest.approx(scores[0.5].fs)


def test_no_cases_and_no_attributes() -> None:
    empty = challenge_scores(np.array([]), np.array([]), AttributeTable((), (), {}))
    assert (empty.dsc, empty.ps, empty.fs, empty.ts) == (None, None, None, None)
    bare = challenge_scores(DSC, NORMHD, AttributeTable(tuple("ABCDEFGH"), (), {}))
    assert bare.ps == pytest.approx(0.725)
    assert (bare.fs, bare.ts) == (None, None)
