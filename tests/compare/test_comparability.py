"""Which two audits may be compared, and what a reader is told where they differ."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tests.audit.made_up_audits import changed
from tests.compare.models import N, cohort, noisy, scores_of, with_config
from tests.score_fixtures import audit_of, with_scores

from segfair.attributes.joins import parse_join
from segfair.audit.result import AuditResult
from segfair.compare.procedure import run_comparison
from segfair.errors import ConfigError, InputError
from segfair.protocol.rules import LabelRule, NormHDRule


def test_cases_and_values_of_one_audit_only_are_told(first: AuditResult, dice: np.ndarray) -> None:
    rows = first.cases.scores
    fewer = dataclasses.replace(rows, rows=rows.rows[5:])
    second = with_scores(first, scores_of(noisy(dice, 10)))
    second = with_scores(second, {"hd95_mm": np.where(np.arange(N) < 20, np.nan, 45 * (1 - dice))})
    found = run_comparison(changed(first, cases={"scores": fewer}), second, outcome="hd95_mm")
    assert found.n_paired == N - 5
    assert (len(found.only_before), len(found.only_after)) == (0, 5)
    assert found.metrics["hd95_mm"].n == N - 20 and found.metrics["dsc"].n == N - 5
    text = "\n".join(found.notices)
    assert "in the second audit only, so compared nowhere: 5 cases" in text
    assert "15 of 235 paired cases are left out" in text and "in the second only: 15" in text


def refuse(before: AuditResult, after: AuditResult, message: str, **options: Any) -> None:
    for one, other in ((before, after), (after, before)):
        with pytest.raises((InputError, ConfigError), match=message):
            run_comparison(one, other, **options)


def test_other_rules_are_refused(first: AuditResult) -> None:
    protocol = first.about.config.protocol
    clipped = protocol.replace(name="mine", normhd=NormHDRule("mm", 150.0, False))
    refuse(first, with_config(first, protocol=clipped), r"normhd\.clip is (True and False|False and True)")
    label = protocol.replace(label=LabelRule((2,)))
    refuse(first, with_config(first, protocol=label), r"label\.overlap is .*the same --label")
    regions = protocol.replace(regions={"tumour": (1, 2)})
    refuse(first, with_config(first, protocol=regions), r"regions\.tumour")
    turned = tuple(
        dataclasses.replace(metric, better="lower") if metric.name == "dsc" else metric
        for metric in first.cases.metrics
    )
    refuse(first, changed(first, cases={"metrics": turned}), "dsc: .* is better in one audit .*--lower-is-better")


def test_what_scores_nothing_is_no_other_rule(first: AuditResult) -> None:
    renamed = first.about.config.protocol.replace(name="ours", gates=("FS >= 0.8",), metrics=("dsc",))
    assert run_comparison(first, with_config(first, protocol=renamed)).verdict.kind == "nothing changed"


def test_another_meaning_of_unusable_predictions_is_refused_where_it_matters(first: AuditResult) -> None:
    drop = with_config(first, missing_prediction="drop")
    assert run_comparison(first, drop).verdict.kind == "nothing changed", "no prediction was unusable"
    counts = dataclasses.replace(first.cases.counts, penalised={"p0003": "no prediction"})
    refuse(changed(first, cases={"counts": counts}), drop, "the same --missing-prediction")


def test_other_labels_are_known_by_their_volumes(dice: np.ndarray) -> None:
    volumes = np.random.default_rng(0).lognormal(8, 1, N)
    base = audit_of({**scores_of(dice), "volume": volumes}, cohort())
    assert "volume" not in run_comparison(base, base).metrics, "a label's volume is no metric of a model"
    volumes = np.where(np.arange(N) == 17, 1.01 * volumes, volumes)
    refuse(base, with_scores(base, {"volume": volumes}), "case p0017: its label has .* other labels")


def with_digests(result: AuditResult, others: dict[str, str], **inputs: str) -> AuditResult:
    digests = dict.fromkeys(result.cases.scores.column("case"), "0" * 64) | others
    return changed(
        result,
        cases={"counts": dataclasses.replace(result.cases.counts, label_sha256=digests)},
        about={"inputs": inputs or {"labels": "labels"}},
    )


def test_other_labels_of_the_same_volume_or_of_none_are_known_by_their_digests(first: AuditResult) -> None:
    one, other = with_digests(first, {}), with_digests(first, {"p0017": "1" * 64, "p0018": "2" * 64})
    assert run_comparison(one, one).notices == ()
    refuse(one, other, "case p0017: its label has other voxels .* 2 of 240 labels.* other labels")


def test_what_is_not_known_of_the_labels_is_told(first: AuditResult) -> None:
    one = with_digests(first, {})
    older = changed(one, cases={"counts": dataclasses.replace(one.cases.counts, label_sha256={})})
    (notice,) = run_comparison(one, older).notices
    assert notice.startswith("for 240 of 240 paired cases the labels could not be compared")
    volumes = {"volume": np.random.default_rng(0).lognormal(8, 1, N)}
    base = audit_of({**scores_of(np.linspace(0.2, 0.9, N)), **volumes}, cohort())
    base = changed(base, about={"inputs": one.about.inputs})
    (notice,) = run_comparison(base, base).notices
    assert "only the volumes of the labels could be compared" in notice
    tables = changed(first, about={"inputs": {"scores": "scores.csv"}})
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
        changed(first, about={"config": dataclasses.replace(first.about.config, **{name: value})}) for value in values
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


def test_other_outcomes_are_refused_unless_one_is_chosen(first: AuditResult, dice: np.ndarray) -> None:
    other = audit_of(scores_of(dice), cohort(), outcomes=("hd95_mm",))
    refuse(first, other, "the primary outcomes differ: .* choose one with --outcome")
    assert run_comparison(first, other, outcome="hd95_mm").outcome == "hd95_mm"
    refuse(first, first, "--outcome iou: not a metric of both audits; these are dsc, normhd, hd95_mm", outcome="iou")


def test_no_case_in_common_is_refused(first: AuditResult) -> None:
    rows = first.cases.scores
    renamed = dataclasses.replace(rows, rows=tuple(("q" + row[0], *row[1:]) for row in rows.rows))
    refuse(first, changed(first, cases={"scores": renamed}), "no case in common")
    refuse(first, changed(first, cases={"scores": dataclasses.replace(rows, rows=())}), "cannot be compared")


def test_masks_against_a_table_is_told(first: AuditResult) -> None:
    table = changed(first, about={"inputs": {"scores": "scores.csv", "metadata": "metadata.csv"}})
    masks = changed(first, about={"inputs": {"predictions": "preds", "labels": "labels"}})
    assert any("read a table of scores" in notice for notice in run_comparison(masks, table).notices)


def test_levels_joined_in_one_audit_only_are_refused_and_joined_in_both_are_not() -> None:
    dice = np.random.default_rng(3).uniform(0.5, 1, 60)
    menopause = ["pre", "pre (late)", "post"] * 20
    join = (parse_join("menopause: pre (late) = pre"),)
    apart, joined = (audit_of(scores_of(dice), {"menopause": menopause}, join=how) for how in ((), join))
    refuse(apart, joined, r"menopause is pre.* --join \(--join is .*menopause: pre \(late\) = pre")
    assert run_comparison(joined, joined).n_paired == 60
    mended = audit_of(scores_of(dice), {"menopause": ["pre", "pre", "post"] * 20})
    assert any(
        text.startswith("--join is menopause: pre (late) = pre in the first audit and not given in the second")
        for text in run_comparison(joined, mended).notices
    )
