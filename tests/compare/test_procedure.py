"""Two audits of the same cases: what changed by hand, who is harmed, what is refused, and nothing found in nothing."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from tests.score_fixtures import audit_of, skewed_dice, with_scores

import segfair.compare.procedure
from segfair.audit.result import AuditResult
from segfair.compare.procedure import run_comparison
from segfair.compare.result import Comparison, SubgroupChange
from segfair.errors import ConfigError, InputError
from segfair.protocol.rules import LabelRule, NormHDRule, load_protocol

ROOT = Path(__file__).resolve().parents[2]
N = 240


def cohort(n: int = N, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "sex": rng.choice(["F", "M"], n),
        "site": rng.choice(["A", "B", "C"], n),
        "age": rng.choice(["young", "old"], n),
    }


def scores_of(dice: np.ndarray) -> dict[str, np.ndarray]:
    return {"dsc": dice, "normhd": 0.3 * (1 - dice), "hd95_mm": 45 * (1 - dice)}


@pytest.fixture(scope="module")
def dice() -> np.ndarray:
    """Women are served worse by 0.1."""
    values = 0.15 + 0.75 * skewed_dice(N, np.random.default_rng(1))
    return values - 0.1 * (cohort()["sex"] == "F")


@pytest.fixture(scope="module")
def first(dice: np.ndarray) -> AuditResult:
    return audit_of(scores_of(dice), cohort(), outcomes=("dsc", "hd95_mm"))


def change(comparison: Comparison, outcome: str = "dsc", **items: str) -> SubgroupChange:
    return next(entry for entry in comparison.subgroups[outcome] if entry.items == items)


def noisy(dice: np.ndarray, seed: int, spread: float = 0.03) -> np.ndarray:
    return dice + np.random.default_rng(seed).normal(0, spread, len(dice))


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


def test_the_harmed_are_named_first_and_with_their_numbers(first: AuditResult, dice: np.ndarray) -> None:
    who = (cohort()["site"] == "C") & (cohort()["age"] == "old")
    found = run_comparison(first, with_scores(first, scores_of(noisy(dice, 5) - 0.12 * who)))
    assert found.verdict.kind == "harm found"
    assert found.harmed[0].items == {"site": "C", "age": "old"} or set(found.harmed[0].items) >= {"site", "age"}
    assert change(found, site="C", age="old").standing == "harmed"
    assert f"{len(found.harmed)} of " in found.verdict.sentence and "harmed, most of all" in found.verdict.sentence
    assert change(found, sex="F", site="A").standing == "no change shown"


def test_of_a_distance_a_rise_is_harm(first: AuditResult, dice: np.ndarray) -> None:
    worse = scores_of(noisy(dice, 5) - 0.12 * (cohort()["site"] == "C"))
    found = run_comparison(first, with_scores(first, worse), outcome="hd95_mm")
    entry = change(found, "hd95_mm", site="C")
    assert found.better == "lower"
    assert entry.difference > 4 and entry.standing == "harmed"
    assert found.subgroups["hd95_mm"][0].standing == "harmed", "most harmed first"
    assert list(found.subgroups) == ["hd95_mm", "dsc"]
    assert change(found, "dsc", site="C").standing == "harmed"


def test_levelling_down_is_named(first: AuditResult, dice: np.ndarray) -> None:
    men = cohort()["sex"] == "M"
    found = run_comparison(first, with_scores(first, scores_of(noisy(dice, 6) - 0.06 * men)))
    assert found.verdict.kind == "levelling down"
    (entry,) = found.levelling_down
    assert (entry.name, entry.lost, entry.worst_before) == ("sex", ("M",), "F")
    assert entry.difference < 0 and entry.ci[1] < 0
    assert found.scores["FS"].difference > 0, "a fairness score alone would have called this an improvement"
    assert "Levelling down: between the levels of sex the gap narrowed" in found.verdict.sentence
    assert "because M lost" in found.verdict.sentence


@pytest.mark.parametrize(
    ("women", "men"), [(0.06, 0.0), (0.06, -0.06), (-0.06, -0.06), (-0.06, 0.0)], ids=["lift", "shift", "both", "worse"]
)
def test_other_changes_are_not_levelling_down(first: AuditResult, dice: np.ndarray, women: float, men: float) -> None:
    after = noisy(dice, 7) + np.where(cohort()["sex"] == "F", women, men)
    found = run_comparison(first, with_scores(first, scores_of(after)))
    assert not found.levelling_down
    assert found.verdict.kind != "levelling down"
    assert bool(found.harmed) == (min(women, men) < 0)


def test_nobody_harmed_never_stands_alone(first: AuditResult, dice: np.ndarray) -> None:
    found = run_comparison(first, with_scores(first, scores_of(noisy(dice, 8))))
    assert found.verdict.kind == "no change shown"
    assert re.search(r"is shown to have changed; losses of up to 0\.0\d\d cannot be excluded", found.verdict.sentence)


def test_chance_accuses_nobody_and_a_true_loss_is_found(first: AuditResult, dice: np.ndarray) -> None:
    plain = dataclasses.replace(first.config, outcomes=("dsc",), permutations=199, bootstrap=100)
    base = dataclasses.replace(first, config=plain)
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
    naive = audit_of({"dsc": dice}, metadata, **settings)
    proper = audit_of({"dsc": dice}, metadata, subject_column="patient", **settings)
    assert len(set(proper.case_scores.subjects)) == 24 and naive.case_scores.subjects == ()
    reloaded = AuditResult.from_dict(json.loads(json.dumps(proper.to_dict())))
    assert reloaded.case_scores.subjects == proper.case_scores.subjects
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
    assert (tiny.standing, tiny.significant, tiny.p_adjusted) == ("insufficient evidence", None, None)
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


def test_cases_and_values_of_one_audit_only_are_told(first: AuditResult, dice: np.ndarray) -> None:
    rows = first.case_scores
    fewer = dataclasses.replace(rows, rows=rows.rows[5:])
    second = with_scores(first, scores_of(noisy(dice, 10)))
    second = with_scores(second, {"hd95_mm": np.where(np.arange(N) < 20, np.nan, 45 * (1 - dice))})
    found = run_comparison(dataclasses.replace(first, case_scores=fewer), second, outcome="hd95_mm")
    assert found.n_paired == N - 5
    assert (len(found.only_before), len(found.only_after)) == (0, 5)
    assert found.metrics["hd95_mm"].n == N - 20 and found.metrics["dsc"].n == N - 5
    text = "\n".join(found.notices)
    assert "in the second audit only, so compared nowhere: 5 cases" in text
    assert "15 of 235 paired cases are left out" in text and "in the second only: 15" in text


def test_without_attributes_the_means_are_still_compared() -> None:
    rng = np.random.default_rng(0)
    dice = rng.normal(0.7, 0.1, 50)
    base = audit_of({"dsc": dice, "normhd": 1 - dice}, {"constant": ["x"] * 50})
    found = run_comparison(base, with_scores(base, {"dsc": dice + 0.05}))
    assert found.metrics["dsc"].p_value < 0.01
    assert found.attributes == () and found.subgroups == {"dsc": ()}
    assert set(found.scores) == {"PS"}
    assert "No subgroup is large enough to be judged" in found.verdict.sentence


def refuse(before: AuditResult, after: AuditResult, message: str, **options: Any) -> None:
    for one, other in ((before, after), (after, before)):
        with pytest.raises((InputError, ConfigError), match=message):
            run_comparison(one, other, **options)


def with_config(result: AuditResult, **changes: Any) -> AuditResult:
    return dataclasses.replace(result, config=dataclasses.replace(result.config, **changes))


def test_other_rules_are_refused(first: AuditResult) -> None:
    protocol = first.config.protocol
    clipped = protocol.replace(name="mine", normhd=NormHDRule("mm", 150.0, False))
    refuse(first, with_config(first, protocol=clipped), r"normhd\.clip is (True and False|False and True)")
    label = protocol.replace(label=LabelRule((2,)))
    refuse(first, with_config(first, protocol=label), r"label\.overlap is .*the same --label")
    regions = protocol.replace(regions={"tumour": (1, 2)})
    refuse(first, with_config(first, protocol=regions), r"regions\.tumour")
    turned = tuple(
        dataclasses.replace(metric, better="lower") if metric.name == "dsc" else metric for metric in first.metrics
    )
    refuse(first, dataclasses.replace(first, metrics=turned), "dsc: .* is better in one audit .*--lower-is-better")


def test_what_scores_nothing_is_no_other_rule(first: AuditResult) -> None:
    renamed = first.config.protocol.replace(name="ours", gates=("FS >= 0.8",), metrics=("dsc",))
    assert run_comparison(first, with_config(first, protocol=renamed)).verdict.kind == "nothing changed"


def test_another_meaning_of_unusable_predictions_is_refused_where_it_matters(first: AuditResult) -> None:
    drop = with_config(first, missing_prediction="drop")
    assert run_comparison(first, drop).verdict.kind == "nothing changed", "no prediction was unusable"
    counts = dataclasses.replace(first.cases, penalised={"p0003": "no prediction"})
    refuse(dataclasses.replace(first, cases=counts), drop, "the same --missing-prediction")


def test_other_labels_are_known_by_their_volumes(dice: np.ndarray) -> None:
    volumes = np.random.default_rng(0).lognormal(8, 1, N)
    base = audit_of({**scores_of(dice), "volume": volumes}, cohort())
    assert "volume" not in run_comparison(base, base).metrics, "a label's volume is no metric of a model"
    volumes = np.where(np.arange(N) == 17, 1.01 * volumes, volumes)
    refuse(base, with_scores(base, {"volume": volumes}), "case p0017: its label has .* other labels")


def with_digests(result: AuditResult, changed: dict[str, str], **inputs: str) -> AuditResult:
    digests = dict.fromkeys(result.case_scores.column("case"), "0" * 64) | changed
    return dataclasses.replace(
        result, cases=dataclasses.replace(result.cases, label_sha256=digests), inputs=inputs or {"labels": "labels"}
    )


def test_other_labels_of_the_same_volume_or_of_none_are_known_by_their_digests(first: AuditResult) -> None:
    one, other = with_digests(first, {}), with_digests(first, {"p0017": "1" * 64, "p0018": "2" * 64})
    assert run_comparison(one, one).notices == ()
    refuse(one, other, "case p0017: its label has other voxels .* 2 of 240 labels.* other labels")


def test_what_is_not_known_of_the_labels_is_told(first: AuditResult) -> None:
    one = with_digests(first, {})
    older = dataclasses.replace(one, cases=dataclasses.replace(one.cases, label_sha256={}))
    (notice,) = run_comparison(one, older).notices
    assert notice.startswith("for 240 of 240 paired cases the labels could not be compared")
    volumes = {"volume": np.random.default_rng(0).lognormal(8, 1, N)}
    base = dataclasses.replace(
        audit_of({**scores_of(np.linspace(0.2, 0.9, N)), **volumes}, cohort()), inputs=one.inputs
    )
    (notice,) = run_comparison(base, base).notices
    assert "only the volumes of the labels could be compared" in notice
    tables = dataclasses.replace(first, inputs={"scores": "scores.csv"})
    (notice,) = run_comparison(tables, tables).notices
    assert "whether both audits were made against the same labels is not known" in notice


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("threshold", (None, 0.5), "first audit scored masks, the second probabilities cut at 0.5"),
        ("threshold", (0.3, 0.5), "probabilities cut at 0.3, the second probabilities cut at 0.5"),
        ("stratify", ("site", None), "--stratify is site in the first audit and not given in the second"),
        ("subject_column", (None, "patient"), "--subject-column is not given in the first audit and patient in the"),
    ],
)
def test_settings_that_differ_are_told(first: AuditResult, name: str, values: tuple[Any, Any], words: str) -> None:
    one, other = (
        dataclasses.replace(first, config=dataclasses.replace(first.config, **{name: value})) for value in values
    )
    (notice,) = run_comparison(one, other).notices
    assert words in notice
    assert run_comparison(one, one).notices == ()


def test_other_bins_are_refused() -> None:
    rng = np.random.default_rng(0)
    dice, age = rng.normal(0.7, 0.1, 120), rng.uniform(20, 80, 120)
    audits = [
        audit_of({"dsc": dice}, {"age": age}, bins={"age": edges}) for edges in ((0.0, 40.0, 100.0), (0.0, 50.0, 100.0))
    ]
    refuse(*audits, r"attribute age: binned at .* give both the same --bins age=0,[45]0,100")
    sex = rng.choice(["F", "M"], 120)
    base = audit_of({"dsc": dice}, {"sex": sex})
    swapped = np.where(np.arange(120) == 9, np.where(sex == "F", "M", "F"), sex)
    refuse(base, audit_of({"dsc": dice}, {"sex": swapped}), "case p0009: sex is . in one audit and . in the other")
    refuse(base, audits[0], "no attribute in common")


def test_other_outcomes_are_refused_unless_one_is_chosen(first: AuditResult) -> None:
    other = with_config(first, outcomes=("hd95_mm",))
    refuse(first, other, "the primary outcomes differ: .* choose one with --outcome")
    assert run_comparison(first, other, outcome="hd95_mm").outcome == "hd95_mm"
    refuse(first, first, "--outcome iou: not a metric of both audits; these are dsc, normhd, hd95_mm", outcome="iou")


def test_no_case_in_common_is_refused(first: AuditResult) -> None:
    rows = first.case_scores
    renamed = dataclasses.replace(rows, rows=tuple(("q" + row[0], *row[1:]) for row in rows.rows))
    refuse(first, dataclasses.replace(first, case_scores=renamed), "no case in common")
    refuse(first, dataclasses.replace(first, case_scores=dataclasses.replace(rows, rows=())), "cannot be compared")


def test_masks_against_a_table_is_told(first: AuditResult) -> None:
    table = dataclasses.replace(first, inputs={"scores": "scores.csv", "metadata": "metadata.csv"})
    masks = dataclasses.replace(first, inputs={"predictions": "preds", "labels": "labels"})
    assert any("read a table of scores" in notice for notice in run_comparison(masks, table).notices)


def test_comparison_json_keeps_to_its_schema(first: AuditResult, dice: np.ndarray, tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "reference" / "comparison.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    after = with_scores(first, scores_of(noisy(dice, 11) - 0.06 * (cohort()["sex"] == "M")))
    for second in (first, after):
        run_comparison(first, second).save(tmp_path / "comparison.json")
        tree = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
        validator.validate(tree)
        assert set(tree) == set(schema["properties"]), "every key is described"
        for name, entry in (
            ("change", tree["metrics"]["dsc"]),
            ("subgroup", tree["subgroups"]["dsc"][0]),
            ("attribute", tree["attributes"][0]),
            ("audit", tree["audits"]["before"]),
        ):
            assert set(entry) == set(schema["$defs"][name]["properties"]), name
    tree["metrics"]["dsc"]["difference"] = "much"
    assert not validator.is_valid(tree), "the schema can fail"


def test_no_alert_is_shown_twice(first: AuditResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segfair.compare.procedure, "notices", lambda *_, **__: ("said", "also said", "said"))
    assert run_comparison(first, first).notices == ("said", "also said")


def test_the_stream_of_one_question_is_its_own(first: AuditResult, dice: np.ndarray) -> None:
    second = with_scores(first, scores_of(noisy(dice, 13)))
    one, other = run_comparison(first, second), run_comparison(first, second)
    assert one == other, "the same seed, the same comparison"
    alone = run_comparison(with_config(first, outcomes=("dsc",)), with_config(second, outcomes=("dsc",)))
    assert alone.subgroups["dsc"] == one.subgroups["dsc"], "another outcome beside it changes nothing"
