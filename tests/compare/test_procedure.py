"""Two audits of the same cases: what changed by hand, who is harmed, what is refused, and nothing found in nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from tests.audit.made_up_audits import changed
from tests.compare.models import N, change, cohort, noisy, scores_of, with_config
from tests.score_fixtures import audit_of, with_scores

from segfair.audit.result import AuditResult
from segfair.compare import procedure
from segfair.compare.procedure import run_comparison
from segfair.protocol.rules import load_protocol


@pytest.mark.parametrize("outcome", [None, "dsc", "hd95_mm", "normhd"])
def test_an_audit_against_itself_finds_nothing(first: AuditResult, outcome: str | None) -> None:
    found = run_comparison(first, first, outcome=outcome)
    assert found.verdict.kind == "nothing changed"
    assert found.harmed == found.gained == found.levelling_down == found.notices == ()
    for entry in (*found.metrics.values(), *found.scores.values()):
        assert (entry.difference, entry.ci, entry.p_value) == (0.0, (0.0, 0.0), 1.0)
    for entry in found.subgroups[found.outcome]:
        assert (entry.difference, entry.ci, entry.p_adjusted) == (0.0, (0.0, 0.0), 1.0)
        assert entry.standing == "no change shown"
    for attribute in found.attributes:
        assert attribute.difference == 0.0 and attribute.ci == (0.0, 0.0)


def test_differences_are_those_of_the_means(first: AuditResult, dice: np.ndarray) -> None:
    after = noisy(dice, 2) + 0.02 * (cohort()["site"] == "B")
    found = run_comparison(first, with_scores(first, scores_of(after)))
    members = (cohort()["site"] == "B") & (cohort()["sex"] == "F")
    entry = change(found, sex="F", site="B")
    assert entry.n == members.sum()
    assert entry.before == pytest.approx(dice[members].mean())
    assert entry.after == pytest.approx(after[members].mean())
    assert entry.difference == pytest.approx((after - dice)[members].mean())
    assert entry.ci[0] < entry.difference < entry.ci[1]
    assert entry.ci_simultaneous[0] < entry.ci[0] and entry.ci[1] < entry.ci_simultaneous[1]
    assert found.metrics["dsc"].difference == pytest.approx((after - dice).mean())
    assert found.metrics["hd95_mm"].difference == pytest.approx(-45 * (after - dice).mean())
    gap = next(entry for entry in found.attributes if entry.name == "sex")
    women = cohort()["sex"] == "F"
    assert gap.before == pytest.approx(dice[~women].mean() - dice[women].mean())
    assert gap.worst_before == "F"


def test_scores_are_those_of_the_two_audits(first: AuditResult, dice: np.ndarray) -> None:
    after = np.clip(noisy(dice, 3, 0.1), 0, 1)
    found = run_comparison(first, with_scores(first, scores_of(after)))
    for which, values in (("before", dice), ("after", after)):
        audited = audit_of(scores_of(values), cohort())
        for name in ("PS", "FS", "TS"):
            assert getattr(found.scores[name], which) == pytest.approx(audited.scores[name].value), name
    assert found.scores["PS"].p_adjusted is not None and found.scores["FS"].p_adjusted is None


@pytest.mark.parametrize(
    ("levels", "before", "after"),
    [
        # D of menopause is half of the gap in DSC: 0.1 and 0.05. Every woman has density a: as the challenge has it one
        # level has no gap, so D is 0; where a level has to be compared with another it says nothing.
        ("all", (0.9 + 1) / 2, (0.95 + 1) / 2),
        ("min-cases", 0.9, 0.95),
    ],
)
@pytest.mark.parametrize("min_cases", [1, 5])
def test_an_attribute_of_one_level_counts_in_a_comparison_as_in_its_audits(
    levels: str, before: float, after: float, min_cases: int
) -> None:
    protocol = load_protocol("mama-mia")
    protocol = protocol.replace(fairness=dataclasses.replace(protocol.fairness, levels=levels))
    metadata = {"menopause": ["pre"] * 20 + ["post"] * 20, "breast_density": ["a"] * 40}
    audits = [
        audit_of(
            {"dsc": [0.9] * 20 + [worse] * 20, "normhd": [0.1] * 40}, metadata, protocol=protocol, min_cases=min_cases
        )
        for worse in (0.7, 0.8)
    ]
    assert [result.scores["FS"].value for result in audits] == pytest.approx([before, after])
    found = run_comparison(*audits)
    assert (found.scores["FS"].before, found.scores["FS"].after) == pytest.approx((before, after))
    ps = [0.5 * (0.8 + 0.9), 0.5 * (0.85 + 0.9)]
    assert (found.scores["TS"].before, found.scores["TS"].after) == pytest.approx(
        (0.5 * (ps[0] + before), 0.5 * (ps[1] + after))
    )


def test_the_other_way_round_is_the_mirror_image(first: AuditResult, dice: np.ndarray) -> None:
    women = cohort()["sex"] == "F"
    second = with_scores(first, scores_of(noisy(dice, 4) + np.where(women, 0.06, -0.06)))
    there, back = run_comparison(first, second), run_comparison(second, first)
    assert {entry.name for entry in there.harmed} == {entry.name for entry in back.gained}
    assert there.verdict.kind == back.verdict.kind == "gains and harm found"
    for entry in there.subgroups["dsc"]:
        mirrored = change(back, **entry.items)
        assert mirrored.difference == pytest.approx(-entry.difference)
        assert mirrored.p_value == pytest.approx(entry.p_value, abs=0.1)
    for name in ("PS", "FS", "TS"):
        assert there.scores[name].difference == pytest.approx(-back.scores[name].difference)


def test_chance_accuses_nobody_and_a_true_loss_is_found(first: AuditResult, dice: np.ndarray) -> None:
    plain = dataclasses.replace(first.about.config, outcomes=("dsc",), permutations=199, bootstrap=100)
    base = changed(first, about={"config": plain})
    rng = np.random.default_rng(12)
    accused = cried_wolf = found = 0
    who = (cohort()["site"] == "C") & (cohort()["age"] == "old")
    for _ in range(40):
        after = dice + rng.choice([-1.0, 1.0], N) * rng.gamma(1.0, 0.04, N)
        comparison = run_comparison(base, with_scores(base, scores_of(after)))
        accused += bool(comparison.harmed or comparison.gained)
        cried_wolf += comparison.scores["FS"].p_value <= 0.05
        comparison = run_comparison(base, with_scores(base, scores_of(after - 0.08 * who)))
        found += change(comparison, site="C", age="old").standing == "harmed"
    bound = 40 * 0.05 + 3 * np.sqrt(40 * 0.05 * 0.95)
    assert accused <= bound
    assert cried_wolf <= bound
    assert found >= 32


def test_patients_not_cases_are_the_witnesses() -> None:
    """Ten cases of each patient: what happened to one patient is no evidence about a group."""
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(24), 10)
    sex = np.repeat(np.where(np.arange(24) < 12, "F", "M"), 10)
    dice = np.repeat(rng.normal(0.7, 0.05, 24), 10)
    after = dice + np.repeat(rng.normal(0, 0.05, 24), 10) + rng.normal(0, 0.005, 240)
    metadata = {"sex": sex, "patient": [f"s{code}" for code in patients]}
    settings: dict[str, Any] = {"attributes": ("sex",)}
    naive = audit_of({"dsc": dice}, metadata, subject_column="none", **settings)
    proper = audit_of({"dsc": dice}, metadata, subject_column="patient", **settings)
    assert len(set(proper.cases.scores.subjects)) == 24 and naive.cases.scores.subjects == ()
    reloaded = AuditResult.from_dict(json.loads(json.dumps(proper.to_dict())))
    assert reloaded.cases.scores.subjects == proper.cases.scores.subjects
    by_case = run_comparison(naive, with_scores(naive, {"dsc": after}))
    by_patient = run_comparison(reloaded, with_scores(reloaded, {"dsc": after}))
    assert change(by_case, sex="M").p_value < 0.05 or change(by_case, sex="F").p_value < 0.05
    for who in "FM":
        narrow, wide = change(by_case, sex=who), change(by_patient, sex=who)
        assert np.ptp(wide.ci) > 2 * np.ptp(narrow.ci)
        assert wide.p_value > narrow.p_value
    assert "the cases of a patient (patient) together" in by_patient.method


def test_every_level_is_listed_however_rare() -> None:
    rng = np.random.default_rng(0)
    site = np.repeat(["big", "rare", "tiny"], [280, 12, 3])
    dice = rng.normal(0.7, 0.1, 295)
    base = audit_of({"dsc": dice}, {"site": site}, min_support=0.1)
    found = run_comparison(base, with_scores(base, {"dsc": dice - 0.1 * (site == "rare")}))
    assert change(found, site="rare").standing == "harmed"
    tiny = change(found, site="tiny")
    assert (tiny.standing, tiny.significant, tiny.p_adjusted) == ("too few cases", None, None)
    (attribute,) = found.attributes
    assert [level.items["site"] for level in attribute.levels] == ["big", "rare", "tiny"]


def test_primary_attributes_are_a_family_of_their_own(dice: np.ndarray) -> None:
    base = audit_of(scores_of(dice), cohort(), primary=("sex",))
    other = audit_of(scores_of(dice), cohort(), primary=("sex", "site"))
    after = with_scores(other, scores_of(noisy(dice, 9)))
    found = run_comparison(base, after)
    assert {tuple(entry.items) for entry in found.primary} == {("sex",)}
    for entry in found.primary:
        assert entry.p_adjusted <= change(found, **entry.items).p_adjusted + 0.05
    assert any(notice.startswith("primary is ('sex',) in the first audit") for notice in found.notices)


def test_without_attributes_the_means_are_still_compared() -> None:
    rng = np.random.default_rng(0)
    dice = rng.normal(0.7, 0.1, 50)
    base = audit_of({"dsc": dice, "normhd": 1 - dice}, {"constant": ["x"] * 50})
    found = run_comparison(base, with_scores(base, {"dsc": dice + 0.05}))
    assert found.metrics["dsc"].p_value < 0.01
    assert found.attributes == () and found.subgroups == {"dsc": ()}
    assert set(found.scores) == {"PS"}
    assert "No subgroup is large enough to be judged" in found.verdict.sentence


def test_no_alert_is_shown_twice(first: AuditResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procedure, "notices", lambda *_, **__: ("said", "also said", "said"))
    assert run_comparison(first, first).notices == ("said", "also said")


def test_the_stream_of_one_question_is_its_own(first: AuditResult, dice: np.ndarray) -> None:
    second = with_scores(first, scores_of(noisy(dice, 13)))
    one, other = run_comparison(first, second), run_comparison(first, second)
    assert one == other, "the same seed, the same comparison"
    alone = run_comparison(with_config(first, outcomes=("dsc",)), with_config(second, outcomes=("dsc",)))
    assert alone.subgroups["dsc"] == one.subgroups["dsc"], "another outcome beside it changes nothing"


def test_one_loss_is_one_finding_however_many_rows_it_shows_in(first: AuditResult, dice: np.ndarray) -> None:
    columns = cohort()
    inside = np.array(columns["sex"]) == "F"
    found = run_comparison(first, with_scores(first, scores_of(noisy(dice, 3) - 0.1 * inside)))
    assert [finding.items for finding in found.findings] == [{"sex": "F"}]
    (finding,) = found.findings
    assert finding.estimate.value == pytest.approx(-0.1, abs=0.02)
    assert "goes back to 1 finding: sex = F" in found.verdict.sentence
    assert run_comparison(first, first).findings == ()
