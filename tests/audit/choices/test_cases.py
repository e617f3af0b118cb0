"""Which cases are audited, and what becomes of predictions that cannot be used."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, made_up

import segfair
from segfair.audit.choices.cases import check_columns, score_cases, settle
from segfair.cases import Case, Cohort
from segfair.errors import AuditError, ConfigError, InputError
from segfair.intake.cohorts import penalised_notice
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable


def test_no_case_is_an_error() -> None:
    with pytest.raises(AuditError, match="no case can be scored: a: broken label"):
        segfair.run_audit(Cohort((), excluded={"a": "broken label"}), DEFAULT, scores=ScoreTable((METRICS["dsc"],), ()))


def three_with_one_unusable() -> tuple[Cohort, ScoreTable]:
    scores = (
        CaseScore("a", {"dsc": 0.8}),
        CaseScore("b", {"dsc": 0.0}, penalised="no prediction"),
        CaseScore("c", {"dsc": 0.7}),
    )
    return Cohort(tuple(Case(score.case) for score in scores)), ScoreTable((METRICS["dsc"],), scores)


def test_what_an_unusable_prediction_means_is_for_the_user_to_say() -> None:
    cohort, scores = three_with_one_unusable()
    for rule in (None, "worst"):
        config = dataclasses.replace(DEFAULT, missing_prediction=rule)
        _, kept = score_cases(cohort, config, labels_named=True, scores=scores)
        assert kept.column("dsc") == [0.8, 0.0, 0.7]
    config = dataclasses.replace(DEFAULT, missing_prediction="drop")
    _, kept = score_cases(cohort, config, labels_named=True, scores=scores)
    assert (kept.cases, kept.excluded) == (("a", "c"), {"b": "dropped: no prediction"})
    config = dataclasses.replace(DEFAULT, missing_prediction="error")
    with pytest.raises(InputError, match="1 predictions cannot be used, the first is case b: no prediction"):
        score_cases(cohort, config, labels_named=True, scores=scores)


def test_a_case_that_turned_out_to_have_no_label_is_told_as_excluded_only() -> None:
    cohort, scores = three_with_one_unusable()
    cohort = dataclasses.replace(
        cohort,
        cases=tuple(dataclasses.replace(case, prediction=None if case.id < "c" else Path("c")) for case in cohort),
        notices=("read well", penalised_notice(["a", "b"])),
    )
    without = dataclasses.replace(scores, scores=scores.scores[1:], excluded={"a": "label: not a mask"})
    told, _ = score_cases(cohort, DEFAULT, labels_named=True, scores=without)
    assert told.notices == ("read well", penalised_notice(["b"]))
    told, _ = score_cases(cohort, DEFAULT, labels_named=True, scores=scores)
    assert told.notices == cohort.notices


def test_what_was_left_open_is_settled_before_anything_is_scored() -> None:
    cohort, scores = made_up(np.array([0.5, 0.75]), patient=["p", "p"])
    cohort = dataclasses.replace(cohort, subject_column="patient")
    config, same, notices = settle(dataclasses.replace(DEFAULT, outcomes=("DSC",)), cohort, scores)
    assert (config.outcomes, config.subject_column) == (("dsc",), "patient")
    assert (same.cases, notices) == (cohort.cases, ())


@pytest.mark.parametrize(
    ("option", "settings"),
    [
        ("--primary colour", {"primary": ("sex", "colour")}),
        ("--stratify colour", {"stratify": "colour"}),
        ("--adjust colour", {"adjust": ("age", "colour")}),
        ("--subject-column colour", {"subject_column": "colour"}),
    ],
)
def test_a_column_that_is_not_there_is_told_before_anything_is_scored(option: str, settings: dict[str, object]) -> None:
    cohort = Cohort((Case("a", metadata={"age": 50, "sex": "f"}),), columns=("age", "sex"))
    with pytest.raises(ConfigError, match=f"{option}: no such metadata column; there are age, sex"):
        check_columns(cohort, dataclasses.replace(DEFAULT, **settings))


def test_what_masks_say_is_no_column_and_can_be_meant() -> None:
    cohort = Cohort((Case("a", metadata={"age": 50}),), columns=("age",))
    named = dataclasses.replace(DEFAULT, adjust=("lesion_volume", "age"))
    check_columns(cohort, named)
    check_columns(cohort, dataclasses.replace(named, derive=True, primary=("n_lesions",), stratify="lesion_volume"))
    with pytest.raises(ConfigError, match="--primary n_lesions"):
        check_columns(cohort, dataclasses.replace(named, primary=("n_lesions",)))
