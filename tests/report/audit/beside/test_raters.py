"""Several raters on the page: how far they agree, and the model's gaps under each of them."""

from __future__ import annotations

from typing import Any

from tests.report.hand_made import small, texts

from segfair.audit.result.second_labels import CaseAgreement, RaterGap, RaterGroup, RaterPair, Raters, Ruler
from segfair.report.audit.beside.raters import rater_section
from segfair.subgroups.lattice import Subgroup

WOMEN = RaterGroup(
    Subgroup(frozenset({("sex", "f")})),
    RaterGap(4, 0.7, -0.05, (-0.09, -0.01), 0.001, 0.004, True),
    {
        "majority": RaterGap(4, 0.6, -0.1, (-0.15, -0.05), 0.01, 0.02, True),
        "anna": RaterGap(4, 0.62, -0.08, None, 0.2, 0.4, False),
    },
)
TINY = RaterGroup(Subgroup(frozenset({("site", "B")})), None, {"anna": RaterGap(1, 0.5, -0.2)})


def section(*groups: RaterGroup, **facts: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"agreement": 0.8, "agreement_ci": (0.75, 0.85), "cases": (), "left_out": {}, **facts}
    raters = Raters(
        "dsc", "majority", ("anna", "bert"), sentence="They agree.", pairs=(RaterPair("anna", "bert", 8, 0.8),),
        rulers=(Ruler("majority", 8, 0.7), Ruler("anna", 7, 0.69)), groups=groups, **told,
    )  # fmt: skip
    found = rater_section(small(raters=raters))
    assert found is not None
    return found


def test_without_raters_there_is_no_section() -> None:
    assert rater_section(small(raters=None)) is None


def test_a_group_has_the_gap_of_the_raters_beside_those_of_the_model() -> None:
    assert texts(section(WOMEN, TINY)["table"]) == [
        ["sex = f", "4", "0.700", "−0.050 (−0.090 to −0.010; beyond chance)", "0.004",
         "−0.100 (−0.150 to −0.050; beyond chance)", "−0.080"],
        ["site = B", "1", "–", "–", "– (too few cases)", "–", "−0.200"],
    ]  # fmt: skip
    assert texts(section()["pairs"]) == [["anna", "bert", "8", "0.800"]]


def test_what_was_measured_with_and_what_is_amiss() -> None:
    first, agreement = section()["about"]
    assert first == (
        "Mean DSC of the model: 0.700 under majority (8 cases), 0.690 under anna (7 cases). "
        "The first is what this audit measured with."
    )
    assert agreement.endswith("over the pairs of a case and then over cases: 0.800 (0.750 to 0.850).")
    cases = (CaseAgreement("a", 1, None), CaseAgreement("b", 2, 0.7, tied=3), CaseAgreement("c", 2, 0.9, tied=1))
    assert section(cases=cases, left_out={"bert": {"a": "gone"}}, agreement=None)["about"][1:] == [
        "1 case labelled by fewer than 2 raters; what there is counts.",
        "The majority leaves to the background what raters are tied about: 4 voxels in 2 cases.",
        "1 label left out, for it cannot be used; audit.json says why.",
    ]


def test_of_many_groups_forty_are_printed_and_the_rest_counted() -> None:
    found = section(*[TINY] * 42)["table"]
    assert (len(found["rows"]), found["note"]) == (40, "and 2 more, in audit.json")
