"""What an audit cannot say, and its gates, in words."""

from __future__ import annotations

import dataclasses

import pytest
from tests.audit.made_up_audits import changed
from tests.report_fixtures import make_result

from segfair.audit.result import AuditResult, GateFacts, MetricFacts, PowerFacts
from segfair.handover.disclosure import share
from segfair.report.signing.language import language_of
from segfair.report.signing.limits import gate_section, limit_section

ENGLISH = language_of("en")


def limits(result: AuditResult) -> str:
    return "\n".join(limit_section(result, ENGLISH))


def test_small_groups_are_named_with_their_cases() -> None:
    result = make_result(n_cases=60, min_cases=10)
    small = {
        f"{entry.name.replace('_', ' ')} = {level.level} ({level.n})"
        for entry in result.attributes.facts
        for level in entry.levels
        if level.n < 10
    }
    (text,) = [text for text in limit_section(result, ENGLISH) if text.startswith("Too few cases (under 10)")]
    assert small
    assert sum(name in text for name in small) == min(6, len(small))


def test_the_smallest_gap_is_that_of_groups_that_were_judged() -> None:
    power = tuple(
        PowerFacts("sex", level, n, gap, needed)
        for level, n, gap, needed in (("f", 40, 0.1, 90), ("m", 20, 0.14, 120), ("x", 3, 0.4, 900))
    )
    text = limits(changed(make_result(), subgroups={"power": power}))
    assert (
        "0.10 in the largest group, 0.14 in the smallest. To find one of 0.05 such a group needs up to 120 cases"
        in text
    )
    assert "8 of 10" in text
    alike = changed(make_result(), subgroups={"power": (PowerFacts("sex", "f", 40, 0.1, 90),)})
    assert "(in 8 of 10 such studies): 0.10. To find one" in limits(alike)


def test_the_gap_of_interest_is_left_out_for_scores_without_bounds() -> None:
    result = make_result(outcomes=("hd95_mm",))
    assert "Smallest difference" in limits(result)
    assert "To find one" not in limits(result)


def test_cases_left_out_are_counted_with_their_reasons() -> None:
    text = limits(make_result())
    assert (
        "2 predictions could not be used and count with the worst score (not on the label's grid; no prediction)."
        in text
    )
    assert "1 case could not be audited and is left out (label: not a mask)." in text
    counts = dataclasses.replace(
        make_result().cases.counts, penalised={f"c{n}": f"reason {n % 4}" for n in range(40)}, excluded={}
    )
    text = limits(changed(make_result(), cases={"counts": counts}))
    assert "40 predictions could not be used" in text
    assert "(reason 0; reason 1; …)" in text
    assert "could not be audited" not in text


def test_bins_that_were_learned_leave_cases_out() -> None:
    from segfair.audit.result import TAUGHT_BINS

    counts = dataclasses.replace(make_result().cases.counts, excluded=dict.fromkeys("abc", TAUGHT_BINS))
    text = limits(changed(make_result(), cases={"counts": counts}))
    assert "3 cases were used to choose the groups and are left out." in text
    assert "could not be audited" not in text


@pytest.mark.parametrize(("name", "unit"), [("hd95_px", "pixels"), ("hd95_vox", "voxels"), ("hd95_mm", "")])
def test_lengths_in_pixels_are_said_to_be_no_millimetres(name: str, unit: str) -> None:
    metric = MetricFacts(name, "", "lower", "as given", "", 0)
    text = limits(changed(make_result(), cases={"metrics": (metric,)}))
    assert (f"Lengths are in {unit}, not in millimetres" in text) == bool(unit)
    assert ("Lengths are in" in text) == bool(unit)


def test_columns_and_alerts_are_pointed_to() -> None:
    text = limits(make_result())
    assert "Columns that were not used: patient name and scanner." in text
    assert "The report raises 4 alerts; read them before you sign." in text
    bare = changed(make_result(), attributes={"left_out": {}}, verdict={"alerts": ()})
    assert "Columns that were not used" not in limits(bare)
    assert "alert" not in limits(bare)


def test_a_search_that_was_cut_is_said_to_be() -> None:
    result = make_result()
    assert "Not every combination" not in limits(result)
    search = dataclasses.replace(result.subgroups.search, budget=10, n_searched=10, n_estimated=4000.0)  # type: ignore[type-var]
    cut = changed(result, subgroups={"search": search})
    assert ("Not every combination" in limits(cut)) == search.is_cut  # type: ignore[union-attr]
    assert search.is_cut  # type: ignore[union-attr]


def test_a_shared_copy_tells_totals_and_no_reason() -> None:
    text = limits(share(make_result(n_cases=120, levels={"sex": ("f", "m"), "site": ("A", "B")})))
    assert "This copy was made to be handed on" in text
    assert "2 of 120 predictions could not be used" in text
    assert "grid" not in text


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("FS >= 0.85", "the fairness score (FS, 1 if the levels of each attribute fare alike) is at least 0.85."),
        ("NormHD < 0.2", "the mean boundary error (NormHD) is below 0.2."),
        ("worst.dsc > 0.5", "in every group that can be judged the mean DSC is above 0.5."),
        ("within_margin(breast_density)", "no group of breast density is more than 0.05 behind all others."),
        ("significant(dsc) == 0", "no group differs in DSC, and one that does would be found."),
        ("coverage >= 0.98", "the share of cases with a usable prediction is at least 0.98."),
    ],
)
def test_every_form_of_a_gate_is_put_into_words(gate: str, words: str) -> None:
    result = changed(make_result(margin=0.05), verdict={"gates": (GateFacts(gate, "pass", "because"),)})
    (found,) = gate_section(result, ENGLISH)
    assert found["condition"] == f"Required: {words}"
    assert found["state"] == "passed"


def test_an_undecided_gate_is_no_failed_one() -> None:
    gates = tuple(GateFacts("coverage >= 0.98", state, "") for state in ("pass", "fail", "undecided"))
    found = gate_section(changed(make_result(), verdict={"gates": gates}), ENGLISH)
    assert [entry["state"] for entry in found] == ["passed", "failed", "not decided: too little is known"]
    assert [entry["tone"] for entry in found] == ["better", "worse", "open"]


def test_a_score_stands_beside_what_chance_would_give() -> None:
    result = changed(make_result(), verdict={"gates": (GateFacts("FS >= 0.85", "pass", ""),)})
    (found,) = gate_section(result, ENGLISH)
    score = result.scores["FS"]
    assert score.chance is not None
    assert f"Found: {score.value:.3f}, with 95 % certainty" in found["found"]
    assert found["found"].endswith(f"If no group differed, it would be about {score.chance.mean:.3f} here.")
