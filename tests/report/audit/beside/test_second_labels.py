"""Two sets of labels on the page: both gaps, their difference, and how far the labels agree."""

from __future__ import annotations

from typing import Any

from tests.report.hand_made import small, texts

from segfair.audit.result.second_labels import RulerGroup, TwoRulers
from segfair.report.audit.beside.second_labels import ruler_section
from segfair.subgroups.lattice import Subgroup

WOMEN = Subgroup(frozenset({("sex", "f")}))
TESTED = RulerGroup(WOMEN, 4, 0.6, 0.65, -0.1, -0.04, 0.06, (0.01, 0.11), 0.01, 0.03, True, 0.9, 0.0, (0.85, 0.95))
TINY = RulerGroup(Subgroup(frozenset({("site", "B")})), 1, 0.5, 0.5, -0.2, -0.19, 0.01)


def section(*groups: RulerGroup, **facts: Any) -> dict[str, Any]:
    told = {"agreement": None, "agreement_ci": None, "only_first": 0, "only_second": 0, "labels": "second", **facts}
    rulers = TwoRulers("dsc", n_paired=8, mean_first=0.7, mean_second=0.69, sentence="One gap.", groups=groups, **told)
    found = ruler_section(small(two_rulers=rulers))
    assert found is not None
    return found


def test_without_second_labels_there_is_no_section() -> None:
    assert ruler_section(small(two_rulers=None)) is None


def test_a_group_has_both_gaps_and_an_untested_one_says_so() -> None:
    assert texts(section(TESTED, TINY)["table"]) == [
        ["sex = f", "4", "−0.100 (mean 0.600)", "−0.040 (mean 0.650)", "+0.060 (0.010 to 0.110)", "0.030",
         "0.900 (0.850 to 0.950)"],
        ["site = B", "1", "−0.200 (mean 0.500)", "−0.190 (mean 0.500)", "+0.010", "– (too few cases)", "–"],
    ]  # fmt: skip


def test_who_was_compared_and_who_was_not() -> None:
    about = "8 cases scored under both sets of labels; mean DSC is 0.700 under the first and 0.690 under the second."
    assert section()["about"] == [about]
    assert section(only_first=2, only_second=1, agreement=0.9, agreement_ci=(0.85, 0.95))["about"] == [
        about,
        "Left out: 2 cases under the first only and 1 case under the second only.",
        "Mean DSC of the two labels of a case: 0.900 (0.850 to 0.950).",
    ]
    assert section(only_second=3, agreement=0.9)["about"][1:] == [
        "Left out: 3 cases under the second only.",
        "Mean DSC of the two labels of a case: 0.900.",
    ]


def test_of_many_groups_forty_are_printed_and_the_rest_counted() -> None:
    found = section(*[TINY] * 42)["table"]
    assert len(found["rows"]) == 40
    assert found["note"] == "and 2 more, in audit.json"
    assert section(*[TINY] * 40)["table"]["note"] == ""


def test_a_path_that_was_taken_out_stays_out() -> None:
    assert section(labels="")["labels"] == ""
    assert section()["labels"] == "second"
