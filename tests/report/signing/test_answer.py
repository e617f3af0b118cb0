"""The answer of the summary: the report's verdict, group and numbers, in words that need no explanation."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from tests.audit.made_up_audits import changed
from tests.report_fixtures import make_result
from tests.score_fixtures import audit_of

from segfair.audit.judging.verdict import headline
from segfair.audit.panel import Panel
from segfair.audit.result import AuditResult, Cause
from segfair.handover.disclosure import share
from segfair.report.parts import Data
from segfair.report.signing.answer import answer_section, failed_cases, spoken_of
from segfair.report.signing.language import language_of

ENGLISH = language_of("en")
# What a reader would have to be told the meaning of.
TERMS = re.compile(r"diverg|shrink|simultan|\bp\b|family|signific|standing|adjusted p", re.IGNORECASE)


def answer(result: AuditResult, code: str = "en") -> Data:
    return answer_section(result, language_of(code))


def said(found: Data) -> str:
    return " ".join([found["title"], found["lead"], *found["reasons"], *found["meaning"], found["note"]])


def planted(gap: float, **settings: object) -> AuditResult:
    """Sixty cases of three sites; site B has so much less, and the same spread."""
    rng = np.random.default_rng(3)
    site = np.repeat(["A", "B", "C"], 20)
    dice = np.tile(0.7 + 0.1 * rng.standard_normal(20), 3) - gap * (site == "B")
    scores = {"dsc": dice.tolist(), "hd95_mm": (20 * (1 - dice)).tolist()}
    return audit_of(scores, {"site": site.tolist()}, adjust=(), **settings)


@pytest.fixture(scope="module")
def worse() -> AuditResult:
    return planted(0.3)


def test_it_says_who_how_much_and_how_sure(worse: AuditResult) -> None:
    row, found = spoken_of(worse), answer(worse)
    assert row is headline(worse)
    assert row is not None
    assert row.estimate is not None
    assert found["title"] == "A difference was found"
    assert found["tone"] == "worse"
    # 0.3 between B and the others, whose draws are the same.
    assert (
        f"The overlap is worse where site = B: on average {row.mean:.3f}, against {row.mean + 0.3:.3f}" in found["lead"]
    )
    assert found["lead"].endswith("(20 of 60 cases).")
    assert found["reasons"][0].startswith("The difference is 0.300; with 95 % certainty the true one lies between 0.2")
    low, high = row.estimate.ci or (0.0, 0.0)
    assert f"between {-high:.3f} and {-low:.3f}," in found["reasons"][0]
    n_tested = worse.subgroups.outcomes["dsc"].n_tested
    share = round(1000 * (row.estimate.p_adjusted or 0.0))
    assert f"one of the {n_tested} groups compared in about {share} of 1,000 such studies" in found["reasons"][1]


def test_it_counts_failures_and_measures_boundaries(worse: AuditResult) -> None:
    panel = Panel.of_result(worse)
    inside = np.array([case >= "p0020" and case < "p0040" for case in panel.case_ids])
    low = panel.scores["dsc"] < 0.5
    boundary = [float(np.median(panel.scores["hd95_mm"][who])) for who in (inside, ~inside)]
    found = answer(worse)["meaning"]
    assert found[0] == (
        f"Of these 20 cases {np.sum(low & inside)} failed, of the 40 others {np.sum(low & ~inside)} (failed: overlap "
        "below 0.5, or the lesion missed)."
    )
    assert np.sum(low & inside) > 10
    assert found[1].startswith(
        f"The boundary error of a typical case (the median) is {boundary[0]:.1f} mm, against {boundary[1]:.1f} mm"
    )


def test_failures_are_those_of_the_report() -> None:
    result = make_result()
    failed = failed_cases(Panel.of_result(result))
    assert failed is not None
    for entry in result.attributes.facts:
        column = np.array(result.cases.scores.column(entry.name))
        for level in entry.levels:
            assert failed[column == level.level].mean() == pytest.approx(level.failure_rate)


def test_a_missed_lesion_counts_as_failed_whatever_its_overlap() -> None:
    panel = dataclasses.replace(
        Panel.of_result(make_result(n_cases=20)),
        scores={"dsc": np.array([0.9, 0.4, 0.6]), "lesion_missed": np.array([1.0, 0.0, np.nan])},
    )
    assert failed_cases(panel).tolist() == [True, True, False]  # type: ignore[union-attr]
    assert failed_cases(dataclasses.replace(panel, scores={"nsd_1mm": np.ones(3)})) is None


def test_without_a_difference_it_says_what_would_have_been_found() -> None:
    result = planted(0.0)
    gaps = [entry.detectable_gap for entry in result.subgroups.power if entry.detectable_gap]
    found = answer(result)
    assert (found["title"], found["tone"]) == ("No difference was shown", "open")
    assert "3 groups were compared with all other cases, and none differs" in found["lead"]
    assert f"With 60 cases only differences above about {min(gaps):.2f} would have been found" in found["reasons"][0]


def test_three_things_have_three_wordings() -> None:
    few = audit_of({"dsc": [0.5, 0.6, 0.7, 0.8] * 3}, {"site": ["A", "B"] * 6})
    titles = [answer(result)["title"] for result in (planted(0.0), few, planted(0.04, margin={"dsc": 0.05}))]
    assert titles == ["No difference was shown", "Too few cases to judge", "Open at the margin"]
    assert answer(few)["lead"].startswith("No group has 10 cases and 10 others beside it")


def test_a_margin_that_everybody_keeps_is_said_to_be_kept() -> None:
    found = answer(planted(0.0, margin={"dsc": 0.5}))
    assert found["title"] == "No difference beyond the declared margin"
    assert "more than 0.5 behind all others" in found["lead"]


def test_lower_may_be_better_and_a_score_may_have_any_name() -> None:
    hours = np.tile(np.random.default_rng(0).gamma(2, 1, 20), 3)
    site = np.repeat(["A", "B", "C"], 20)
    result = audit_of({"hours": (hours + 4 * (site == "B")).tolist()}, {"site": site.tolist()}, lower=("hours",))
    found = answer(result)
    assert found["lead"].startswith("hours is worse where site = B")
    assert found["note"] == "hours: lower values are better."
    assert found["meaning"] == []


def test_the_rest_can_be_worse_off_than_one_group() -> None:
    rng = np.random.default_rng(0)
    site = np.repeat(["A", "B"], 30)
    dice = rng.normal(0.5, 0.05, 60) + 0.3 * (site == "B")
    sex = rng.choice(["f", "m"], 60)
    result = audit_of({"dsc": dice.tolist()}, {"site": site.tolist(), "sex": sex.tolist()})
    row = result.subgroups.find(
        next(group for group in (row.subgroup for row in result.subgroups["dsc"]) if group.name == "site = B")
    )
    assert row is not None
    only = changed(result, verdict={"groups": (row.subgroup,)})
    assert spoken_of(only) is row
    assert "is better where site = B" in answer(only)["lead"]
    assert "which are worse off" in answer(only)["lead"]


def test_what_the_answer_rests_on_is_said_first() -> None:
    cause = Cause("unusable predictions", 3, "no difference shown", "No difference.", True)
    found = answer(changed(planted(0.3), verdict={"causes": (cause, dataclasses.replace(cause, turns=False))}))
    assert found["reasons"][-1] == (
        "This answer rests on 3 unusable predictions; without them the answer is: No difference was shown."
    )


def test_a_hidden_group_is_not_told_and_no_other_takes_its_place() -> None:
    result = make_result(n_cases=120, levels={"sex": ("f", "m"), "site": ("A", "B", "C")})
    hidden = changed(share(result), verdict={"groups": ()})
    found = answer(hidden)
    assert spoken_of(hidden) is None
    assert found["lead"].startswith("The group that differs is not shown here")
    assert found["meaning"] == []
    assert not re.search(r"sex|site", said(found))


@pytest.mark.parametrize("code", ["en", "de"])
def test_no_term_has_to_be_looked_up(worse: AuditResult, code: str) -> None:
    for result in (worse, planted(0.0), make_result(primary=("site",)), make_result(margin=0.05)):
        assert not TERMS.search(said(answer(result, code)))


def test_german_says_the_same_numbers(worse: AuditResult) -> None:
    english, german = said(answer(worse)), said(answer(worse, "de"))
    assert german.startswith("Ein Unterschied wurde gefunden Die Überlappung ist schlechter bei Fällen mit site = B")
    numbers = re.compile(r"\d+[.,]\d+")
    assert sorted(text.replace(",", ".") for text in numbers.findall(german)) == sorted(
        text.replace(",", ".") for text in numbers.findall(english)
    )
