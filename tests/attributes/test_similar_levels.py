"""Names of levels that may be one; above all those that must not be taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.attributes.fit import Attribute
from segfair.attributes.similar_levels import are_similar, same_when_cut, similar_levels


def attribute(levels: list[str], counts: list[int]) -> Attribute:
    return Attribute("a", tuple(levels), np.repeat(np.arange(len(levels)), counts).astype(np.int16), "a", "as given")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pre (<6 months since LMP)", "pre (< 6 months since LMP)"),
        ("hawaian", "hawaiian"),
        ("hawaian", "hawaiian/pacific islander"),
        ("hawaiian", "hawaiian/pacific islander"),
        ("sagittal", "sagital"),
        ("sagittal", "sagitatl"),
        ("type a, cribriform", "type a, cribiform"),
        ("HER-2 positive", "HER2 positive"),
        ("non - invasive", "noninvasive"),
        ("GE Logiq 7", "GE_Logiq-7"),
        ("T 1", "T1"),
        ("Müller", "Muller"),
    ],
)
def test_names_that_are_nearly_the_same(one: str, other: str) -> None:
    assert are_similar(one, other) and are_similar(other, one)


@pytest.mark.parametrize(
    "levels",
    [
        ["T1", "T2", "T3", "T4a", "T4b"],
        ["1", "2", "3", "12", "1.2", "1/2"],
        ["a", "b", "c", "d"],
        ["A", "B", "AB", "A/B", "0"],
        ["left", "right", "left/right"],
        ["positive", "negative", "equivocal"],
        ["DUKE", "NACT", "ISPY1", "ISPY2", "I-SPY"],
        ["0", "1+", "2+", "3+"],
        ["ER+", "ER-", "ER+/PR+", "ER+/PR-", "ER-/PR+", "ER-/PR-"],
        ["HER2 +", "HER2 -", "HER2+ (IHC 3+)", "HER2+ (IHC 2+)"],
        ["luminal", "luminal_a", "luminal_b", "her2_pure", "her2_enriched", "triple_negative"],
        ["0-40", "41-50", "51-60", "61-70", "71+"],
        ["≤ 40", "< 40", "> 40", "41-60", "≥ 60", "≠ 40", "= 40"],
        ["stage i", "stage ii", "stage iii", "stage iiia"],
        ["stagei", "stageii", "stageiii"],
        ["obesity_class_1", "obesity_class_2", "obesity_class_3", "underweight", "overweight"],
        ["symptomatic", "asymptomatic"],
        ["hypothyroid", "hyperthyroid", "abduction", "adduction", "dysphagia", "dysphasia"],
        ["myoma", "myxoma", "chondroma", "chordoma", "medial", "medical", "patella", "patellar"],
        ["ductal", "lobular", "ductal/lobular"],
        ["invasive", "invasive/in situ", "micropapillary/mucinous"],
        ["intradural", "extradural", "unilateral", "bilateral"],
        ["male", "female", "yes", "yes?", "no", "*", "**", "***"],
        ["GE Logiq 7", "GE Logiq 5", "Toshiba Aplio 300", "U-Systems"],
        ["cohort A", "cohort B", "maker a", "maker b"],
        ["drug a + drug b", "drug b + drug c", "drug a", "drug b"],
    ],
)
def test_names_that_tell_levels_apart(levels: list[str]) -> None:
    assert similar_levels(attribute(levels, [5] * len(levels)), {level.casefold() for level in levels}) == ()


def test_a_group_begins_with_its_most_frequent_level() -> None:
    levels = ["asian", "hawaian", "hawaiian", "hawaiian/pacific islander"]
    assert similar_levels(attribute(levels, [9, 2, 3, 7]), set(levels)) == (
        ("hawaiian/pacific islander", "hawaiian", "hawaian"),
    )


def test_levels_without_a_case_and_levels_that_are_no_text_of_the_column_are_passed_over() -> None:
    levels = ["saggital", "sagital"]
    assert similar_levels(attribute(levels, [3, 3]), set(levels)) == (("saggital", "sagital"),)
    assert similar_levels(attribute(levels, [3, 0]), set(levels)) == ()
    assert similar_levels(attribute(levels, [3, 3]), {"sagital"}) == ()


def test_levels_that_are_cut_to_the_same_label() -> None:
    levels = ["abcdef 1", "abcdef 2", "abc", "abcdef 3"]
    assert same_when_cut(attribute(levels, [1, 1, 1, 0]), lambda level: level[:6]) == (("abcdef 1", "abcdef 2"),)
