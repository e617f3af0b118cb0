"""A verdict that rests on unusable predictions, or on labels without a lesion, says so first."""

from __future__ import annotations

import dataclasses

import numpy as np
from tests.audit.made_up_audits import DEFAULT, made_up

import segfair
from segfair.audit.judging.gates import check_gates
from segfair.audit.result import AuditConfig, AuditResult
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable


def lost_at_one_site(config: AuditConfig = DEFAULT, *, effect: float = 0.0) -> AuditResult:
    """Of 40 predictions of site A the first 16 are unusable; those that remain differ from site B by `effect`."""
    rng = np.random.default_rng(3)
    dsc = rng.normal(0.8, 0.05, 80) - effect * (np.arange(80) < 40)
    dsc[:16] = 0.0
    cohort, table = made_up(dsc=dsc, site=["A"] * 40 + ["B"] * 40)
    scores = tuple(
        dataclasses.replace(score, penalised="no prediction") if index < 16 else score
        for index, score in enumerate(table.scores)
    )
    return segfair.run_audit(cohort, config, scores=dataclasses.replace(table, scores=scores))


def test_the_first_sentence_names_what_the_verdict_rests_on() -> None:
    result = lost_at_one_site(dataclasses.replace(DEFAULT, missing_prediction="worst"))
    (cause,) = result.verdict.causes
    assert (cause.what, cause.n_cases, cause.turns) == ("unusable predictions", 16, True)
    assert cause.kind == "no difference shown"
    assert result.verdict.sentence.startswith(
        "The verdict rests on 16 unusable predictions; without them it is: no difference shown (FS 0."
    )
    assert cause.fs is not None
    assert cause.fs_without is not None
    assert cause.fs < 0.9 < cause.fs_without


def test_a_verdict_that_stands_without_them_says_nothing() -> None:
    result = lost_at_one_site(dataclasses.replace(DEFAULT, missing_prediction="worst"), effect=0.2)
    assert [cause.turns for cause in result.verdict.causes] == [False]
    assert result.verdict.sentence.startswith("Disparity found")


def test_a_gate_on_it_is_undecided_unless_somebody_chose() -> None:
    chosen = lost_at_one_site(dataclasses.replace(DEFAULT, missing_prediction="worst"))
    (gate,) = check_gates(chosen, ["significant(dsc) == 0"])
    assert gate.state == "fail"
    config = dataclasses.replace(chosen.about.config, missing_prediction=None)
    unchosen = dataclasses.replace(chosen, about=dataclasses.replace(chosen.about, config=config))
    (gate,) = check_gates(unchosen, ["significant(dsc) == 0"])
    assert gate.state == "undecided"
    assert "the verdict rests on 16 unusable predictions" in gate.reason


def test_empty_labels_can_be_the_whole_gap() -> None:
    """Of 60 benign and 60 malign cases the benign ones have empty labels, and DSC 0 wherever anything is predicted."""
    rng = np.random.default_rng(4)
    benign = np.arange(120) < 60
    dsc = np.where(benign, (rng.random(120) < 0.5).astype(float), rng.normal(0.8, 0.05, 120))
    cohort, _ = made_up(dsc=dsc, pathology=np.where(benign, "benign", "malign").tolist())
    scores = tuple(
        CaseScore(case, {"dsc": float(score), "normhd": 1.0 - float(score), "volume": 0.0 if empty else 900.0})
        for case, score, empty in zip(cohort.ids, dsc, benign, strict=True)
    )
    table = ScoreTable((METRICS["dsc"], METRICS["normhd"], METRICS["volume"]), scores)
    result = segfair.run_audit(cohort, DEFAULT, scores=table)
    assert result.verdict.kind == "disparity found"
    assert "rests on 60 cases with an empty label" in result.verdict.sentence
    (gate,) = check_gates(result, ["significant(dsc) == 0"])
    assert gate.state == "undecided"
