"""For whom: levels with their standing, what sets D_v, whose items make up a gap, and what could have been found."""

from __future__ import annotations

import dataclasses

import pytest
from tests.report.hand_made import attribute, lattice, level, row, small, texts, titles, with_facts

from segfair.audit.result import Chance, PowerFacts
from segfair.fairness.challenge import Disparity, Extreme
from segfair.report.audit.groups import attribute_section, power_section, why_section

OLD, YOUNG = Extreme("old", 4, 0.6), Extreme("young", 3, 0.8)
FAR, NEAR = Extreme("old", 4, 0.3), Extreme("young", 3, 0.2)
D_V = Disparity("age", 0.15, 0.2, 0.1, OLD, YOUNG, NEAR, FAR, n_levels=2, n_small=1)
"""Half of (0.8 - 0.6) + (0.3 - 0.2)."""


def test_a_level_stands_with_its_test_and_a_small_one_with_its_size() -> None:
    tested = row({"age": "old"}, 4, 0.6, significant=True, p_adjusted=0.02)
    levels = (
        level("old", 4, 0.6, ci={"dsc": (0.5, 0.7)}, failure_rate=0.25, failure_ci=(0.05, 0.7)),
        level("young", 3, 0.8),
        level("unborn", 1, 0.9),
    )
    (section,) = attribute_section(small(attributes=(attribute("age", *levels),), subgroups={"dsc": lattice(tested)}))
    assert titles(section["table"]) == ["Level", "n", "Mean DSC", "Median", "Failed", "Standing"]
    assert texts(section["table"]) == [
        ["old", "4", "0.600 (0.500 to 0.700)", "0.600", "25% (5% to 70%)", "significantly worse (adjusted p 0.020)"],
        ["young", "3", "0.800", "0.800", "–", "–"],
        ["unborn", "1", "0.900", "0.900", "–", "too few cases (fewer than 2 cases)"],
    ]
    assert "old (n 4) 0.600; young (n 3) 0.800; unborn (n 1) 0.900" in section["figure"]["label"]
    assert section["disparity"] == [], "without D_v nothing is said of it"


def test_what_sets_the_disparity_is_told() -> None:
    chance = Chance(0.05, (0.01, 0.09), 0.0004)
    facts = attribute("age", level("old", 4, 0.6), disparity=D_V, disparity_ci=(0.1, 0.2), disparity_chance=chance)
    (section,) = attribute_section(small(attributes=(facts,)))
    assert section["disparity"] == [
        "D_v 0.150 (95% interval 0.100 to 0.200); with shuffled metadata it would be 0.050 (0.010 to 0.090), p <0.001.",
        "Set by DSC: old (0.600, n = 4) to young (0.800, n = 3), gap 0.200.",
        "Set by NormHD: young (0.200, n = 3) to old (0.300, n = 4), gap 0.100.",
        "1 small level did not count.",
    ]
    unknown = dataclasses.replace(D_V, value=None)
    (section,) = attribute_section(small(attributes=(attribute("age", level("old", 4, 0.6), disparity=unknown),)))
    assert section["disparity"] == ["D_v: too few cases; fewer than two levels have enough cases."]


def with_global(*shares: tuple[str, str, float]):
    made = small(subgroups={"dsc": lattice()})
    return with_facts(
        made, outcomes={"dsc": dataclasses.replace(made.subgroups.outcomes["dsc"], global_divergence=shares)}
    )


def test_the_items_of_a_harmed_combination_stand_most_harmful_first_beyond_chance_before_the_rest() -> None:
    """Only combinations that do worse and are large enough are explained; a single level explains itself."""
    shares = {("age", "old"): 0.05, ("sex", "f"): -0.25}
    open_ = row({"age": "old", "sex": "f"}, 3, 0.5, significant=False, shapley=shares)
    sure = row(
        {"age": "old", "sex": "m"}, 3, 0.55, significant=True, shapley={("age", "old"): -0.1, ("sex", "m"): -0.05}
    )
    better = row({"age": "young", "sex": "m"}, 3, 0.9, shapley={("age", "young"): 0.1, ("sex", "m"): 0.1})
    tiny = row({"age": "young", "sex": "f"}, 1, 0.1, shapley={("age", "young"): -0.3, ("sex", "f"): -0.3})
    alone = row({"sex": "f"}, 4, 0.6, shapley={("sex", "f"): -0.1})
    made = with_global()
    found = why_section(with_facts(made, subgroups={"dsc": lattice(tiny, open_, sure, alone, better)}))
    assert found is not None
    assert [entry["divergence"] for entry in found["reasons"]] == ["−0.150", "−0.200"]
    assert texts(found["reasons"][1]["data"]) == [["sex = f", "−0.250"], ["age = old", "+0.050"]]
    assert found["overall"] is None


def test_of_the_whole_lattice_the_largest_shares_are_drawn_in_their_order() -> None:
    shares = [("a", f"level {index:02d}", (index - 9) / 100) for index in range(18)]
    found = why_section(with_global(*shares))
    assert found is not None
    kept = [cells[0] for cells in texts(found["overall"]["data"])]
    # 0 and one of the two shares of 0.01 are the smallest of 18.
    assert len(kept) == 16
    assert kept == sorted(kept)
    assert "a = level 09" not in kept
    assert found["overall_note"] == "The 16 largest of 18 items."
    assert why_section(with_global()) is None


@pytest.mark.parametrize(
    ("gap", "n", "words"),
    [
        (0.05, 6, "such a difference would be found"),
        (0.051, 6, "only larger differences would be found"),
        (None, 6, "too few cases"),
        (0.01, 1, "too few cases"),
    ],
)
def test_power_is_said_in_words(gap: float | None, n: int, words: str) -> None:
    """The gap asked about is 0.05, and a group of fewer than two cases is not judged."""
    found = power_section(small(power=(PowerFacts("sex", "f", n, gap, 1200),)))
    assert found is not None
    (cells,) = texts(found["table"])
    assert cells[4:] == ["1,200", words]
    assert power_section(small(power=())) is None
