"""The whole audit on scores made up for a purpose, and on the embedded cohort."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit, made_up, planted

import segfair
from segfair.audit.judging.gates import check_gates
from segfair.audit.result import AuditResult
from segfair.cases import Cohort
from segfair.phantom import write_phantom
from segfair.report.audit import page_data
from segfair.report.audit.lattice import subgroup_section
from segfair.report.audit.summary import worst_section
from segfair.report.files import render_page


def test_a_planted_deficit_is_found_named_and_explained() -> None:
    result = audit(**planted(np.random.default_rng(0), 300, 0.12))
    worst = result.subgroups["dsc"].rows[0]
    assert worst.subgroup.items == {("sex", "f"), ("site", "B")}
    assert worst.significant
    assert worst.p_adjusted is not None
    assert worst.p_adjusted <= 0.05
    assert worst.ci_simultaneous is not None
    assert worst.ci_simultaneous[0] < worst.divergence < worst.ci_simultaneous[1] < 0
    assert sum(worst.shapley.values()) == pytest.approx(worst.divergence)
    assert abs(worst.divergence_shrunk or 0) < abs(worst.divergence)
    assert result.verdict.kind == "disparity found"
    assert "site = B" in result.verdict.sentence


def test_without_a_deficit_nothing_is_claimed_and_nothing_is_called_fair() -> None:
    result = audit(**planted(np.random.default_rng(1), 200, 0.0))
    assert result.verdict.kind == "no difference shown"
    assert "with 200 cases only gaps above about 0." in result.verdict.sentence
    assert result.subgroups.findings == ()
    assert "fair" not in result.verdict.sentence.lower()
    chance = result.scores["FS"].chance
    assert chance is not None
    assert chance.p_value > 0.01
    assert chance.mean < 1


def test_the_worst_group_is_one_that_can_be_judged() -> None:
    rng = np.random.default_rng(2)
    dsc = rng.normal(0.8, 0.05, 120)
    site = ["A"] * 57 + ["B"] * 57 + ["tiny"] * 6
    dsc[-6:] = 0.3
    result = audit(dsc=dsc, site=site)
    rows = result.subgroups["dsc"].rows
    assert rows[0].n >= 10
    tiny = next(row for row in rows if row.subgroup.items == {("site", "tiny")})
    assert (tiny.significant, tiny.p_value) == (None, None)
    assert any("site = tiny (n = 6)" in alert.text for alert in result.verdict.alerts)


def test_a_level_below_the_support_is_seen_when_it_has_enough_cases() -> None:
    """18 of 600 are 3 %: too few to combine, and more than enough to be found."""
    rng = np.random.default_rng(21)
    site = np.array(["A"] * 300 + ["B"] * 282 + ["rare"] * 18)
    dsc = np.clip(rng.normal(0.8, 0.08, 600), 0, 1)
    dsc[site == "rare"] = np.clip(rng.normal(0.1, 0.05, 18), 0, 1)
    result = audit(dsc=dsc, site=site.tolist(), sex=rng.choice(["f", "m"], 600).tolist())
    rows = {row.subgroup.items: row for row in result.subgroups["dsc"]}
    rare = rows[frozenset({("site", "rare")})]
    assert rare is result.subgroups["dsc"].rows[0]
    assert rare.n == 18
    assert rare.significant
    assert sum(rare.shapley.values()) == pytest.approx(rare.divergence)
    assert result.subgroups.outcomes["dsc"].n_tested > len(rows) / 2
    assert "site = rare" in result.verdict.sentence
    assert {level for _, level, _ in result.subgroups.outcomes["dsc"].global_divergence} == {"A", "B", "f", "m"}, (
        "as mined"
    )
    (gate,) = check_gates(result, ["worst.dsc > 0.5"])
    assert (gate.state, "site = rare (n = 18)" in gate.reason) == ("fail", True)
    worst = worst_section(result)
    assert worst is not None
    assert worst["findings"][0]["items"] == [{"attribute": "site", "level": "rare"}]
    assert "or a single level of at least 10 cases" in subgroup_section(result)["count"]


def test_twenty_noise_attributes_leave_the_primary_family_unchanged() -> None:
    rng = np.random.default_rng(4)
    made = planted(rng, 150, 0.06)
    config = dataclasses.replace(DEFAULT, primary=("sex", "site"), attributes=("sex", "site"))
    alone = audit(config, **made)
    noise = {f"noise{index}": rng.choice(["x", "y"], 150).tolist() for index in range(20)}
    names = ("sex", "site", *noise)
    crowd = audit(dataclasses.replace(config, attributes=names, min_support=0.2), **made, **noise)
    assert alone.subgroups.primary_levels is not None
    assert crowd.subgroups.primary_levels is not None
    assert [(row.subgroup, row.p_adjusted) for row in alone.subgroups.primary_levels] == [
        (row.subgroup, row.p_adjusted) for row in crowd.subgroups.primary_levels
    ]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"dsc": np.full(40, 0.8), "sex": ["f", "m"] * 20}, "same value"),
        ({"dsc": np.array([0.8]), "sex": ["f"]}, "no subgroup"),
        ({"dsc": np.linspace(0, 1, 6), "sex": ["f", "m"] * 3}, "too few cases"),
        ({"dsc": np.linspace(0, 1, 30), "sex": ["f"] * 30}, "no subgroup"),
        ({"dsc": np.linspace(0, 1, 30), "sex": [None] * 30}, "no subgroup"),
        ({"dsc": np.linspace(0, 1, 30)}, "no subgroup"),
    ],
)
def test_data_that_cannot_answer_get_a_plain_sentence(made: dict[str, object], words: str, tmp_path: Path) -> None:
    result = audit(**made)
    assert any(words in note for note in result.subgroups.outcomes["dsc"].notes), result.subgroups.outcomes["dsc"].notes
    assert result.verdict.kind == ("no difference shown" if words == "same value" else "too few cases")
    page = segfair.write_report(result, tmp_path / "report")
    assert page.stat().st_size > 10_000
    AuditResult.load(tmp_path / "report" / "audit.json")


def test_undefined_scores_leave_their_outcome_only() -> None:
    cohort, scores = made_up(**planted(np.random.default_rng(6), 60, 0.1))  # type: ignore[arg-type]
    broken = dataclasses.replace(scores.scores[0], values={"dsc": 0.5, "normhd": None})
    table = dataclasses.replace(scores, scores=(broken, *scores.scores[1:]))
    result = segfair.run_audit(cohort, dataclasses.replace(DEFAULT, outcomes=("dsc", "normhd")), scores=table)
    assert (result.subgroups.outcomes["dsc"].n_cases, result.subgroups.outcomes["normhd"].n_cases) == (60, 59)
    assert list(result.scores) == ["DSC", "NormHD"], "PS, FS and TS need both for every case"
    assert any("1 of 60 cases have no NormHD" in alert.text for alert in result.verdict.alerts)
    assert next(metric for metric in result.cases.metrics if metric.name == "normhd").n_undefined == 1


def read_embedded(folder: Path, *, seed: int, bias: bool) -> Cohort:
    write_phantom(folder, n_cases=60, size=(40, 40, 32), seed=seed, bias=bias)
    return segfair.load_cohort(*(folder / name for name in ("preds", "labels", "metadata.csv")))


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_embedded_cohorts_planted_subgroup_leads(seed: int, tmp_path: Path) -> None:
    """The planted subgroup, a parent or a child of it, is the first row; the defaults decide everything else.

    tests/phantom ranks ten cohorts by hand; here masks, files and the audit stand between.
    """
    cohort = read_embedded(tmp_path, seed=seed, bias=True)
    result = segfair.run_audit(cohort, dataclasses.replace(DEFAULT, bootstrap=100))
    truth = frozenset({("age_group", "41-50"), ("breast_density", "d")})
    leader = result.subgroups["dsc"].rows[0].subgroup.items
    assert leader <= truth or leader >= truth, leader
    assert result.subgroups["dsc"].worst(1)[0].subgroup.items == leader


def test_an_unbiased_embedded_cohort_is_not_accused(tmp_path: Path) -> None:
    cohort = read_embedded(tmp_path, seed=3, bias=False)
    assert segfair.run_audit(cohort, DEFAULT).verdict.kind == "no difference shown"


def test_no_alert_is_shown_twice() -> None:
    cohort, scores = made_up(**planted(np.random.default_rng(0), 60, 0.0))  # type: ignore[arg-type]
    said = "the folders look swapped"
    result = segfair.run_audit(dataclasses.replace(cohort, notices=(said, "read well", said)), DEFAULT, scores=scores)
    assert [alert.text for alert in result.verdict.alerts].count(said) == 1
    html = render_page(page_data(result, written=""))
    assert html.count(said) == 1, "what is an alert is no notice as well"
    assert html.count("read well") == 1


def test_an_attribute_given_twice_is_one_question() -> None:
    made = planted(np.random.default_rng(14), 120, 0.06)
    alone = audit(dataclasses.replace(DEFAULT, attributes=("sex", "site")), **made)
    twice = audit(dataclasses.replace(DEFAULT, attributes=("sex", "site", "copy")), **made, copy=made["sex"])
    assert twice.subgroups.outcomes["dsc"].n_tested == alone.subgroups.outcomes["dsc"].n_tested
    found = {row.subgroup.items: (row.p_value, row.p_adjusted, row.p_bh, row.p_by) for row in twice.subgroups["dsc"]}
    for row in alone.subgroups["dsc"]:
        assert found[row.subgroup.items] == (row.p_value, row.p_adjusted, row.p_bh, row.p_by)
    assert len(found) == len(alone.subgroups["dsc"])


def test_one_group_alone_is_one_group() -> None:
    """Men are everybody else to women: one contrast."""
    result = audit(dsc=np.tile([0.7, 0.8, 0.9], 20), sex=["f", "m"] * 30)
    assert "between the one group that was tested and everybody else;" in result.verdict.sentence
