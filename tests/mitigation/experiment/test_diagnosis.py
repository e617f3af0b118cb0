"""Why a gap remains: one hand-made subgroup for each answer, the thresholds, and the share of the draws."""

from __future__ import annotations

import json

import numpy as np
import pytest

from segfair.mitigation.experiment.diagnosis import (
    GAP,
    MIN_CASES,
    RARE,
    Part,
    diagnose,
    diagnose_models,
    drawn_share,
    part_of,
    pooled_parts,
    rule,
)

FITTED, MISSED = Part(4, 0.91, 0.93), Part(4, 0.20, 0.93)
FAILS = Part(5, 0.20, 0.90)


@pytest.mark.parametrize(
    ("training", "validation", "share", "kind"),
    [
        (MISSED, FAILS, 0.033, "rare and under-learned"),
        (FITTED, FAILS, 0.033, "learned but not generalising"),
        (FITTED, FAILS, 0.5, "learned but not generalising"),
        (MISSED, FAILS, 0.3, "hard in itself"),
        (MISSED, Part(5, 0.88, 0.90), 0.3, "no gap"),
        (MISSED, Part(5, 0.95, 0.90), 0.3, "no gap"),
        (Part(MIN_CASES - 1, 0.2, 0.9), FAILS, 0.3, "insufficient evidence"),
        (MISSED, Part(MIN_CASES - 1, 0.2, 0.9), 0.3, "insufficient evidence"),
        (Part(120, 0.9, None), Part(100, 0.9, None), 1.0, "insufficient evidence"),
    ],
)
def test_each_answer(training: Part, validation: Part, share: float, kind: str) -> None:
    found = diagnose(training, validation, share=share)
    assert found.kind == kind
    assert f"{100 * share:.1f} %" in found.sentence
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["kind"] == kind


def test_thresholds_belong_to_the_larger_side() -> None:
    assert diagnose(MISSED, FAILS, share=RARE).kind == "hard in itself"
    assert diagnose(MISSED, FAILS, share=np.nextafter(RARE, 0)).kind == "rare and under-learned"
    # 0.75 - 0.75 - GAP has no rounding: the gap is exactly the threshold or just below it.
    assert diagnose(Part(4, 0.0, GAP), Part(4, 0.0, GAP), share=0.5).kind == "hard in itself"
    assert diagnose(Part(4, 0.0, GAP), Part(4, 0.0, np.nextafter(GAP, 0)), share=0.5).kind == "no gap"


def test_a_training_gap_of_less_than_half_is_a_failure_to_generalise() -> None:
    held_out = Part(5, 0.0, 0.5)
    assert diagnose(Part(5, 0.5, 0.75), held_out, share=0.5).kind == "hard in itself"
    assert diagnose(Part(5, 0.5, 0.7421875), held_out, share=0.5).kind == "learned but not generalising"


def test_a_subgroup_that_gains_from_more_draws_is_not_hard_in_itself() -> None:
    often, seldom = (MISSED, FAILS, 0.3), (MISSED, FAILS, 0.03)
    assert [found.kind for found in diagnose_models([seldom, often])] == ["rare and under-learned", "hard in itself"]
    # Training gap .73 when drawn seldom, .25 when drawn ten times as often: the rest of the gap is under-learned too.
    better = (Part(4, 0.68, 0.93), Part(5, 0.5, 0.9), 0.3)
    assert [found.kind for found in diagnose_models([seldom, better])] == ["rare and under-learned"] * 2
    # Less than half of the gap has to be left, and the draws have to be clearly more.
    hardly = (Part(4, 0.56, 0.93), Part(5, 0.5, 0.9), 0.3)
    assert diagnose_models([seldom, hardly])[1].kind == "hard in itself"
    assert diagnose_models([(MISSED, FAILS, 0.25), better])[1].kind == "hard in itself"
    # Fewer draws that did better are no evidence for draws.
    assert diagnose_models([often, (Part(4, 0.68, 0.93), FAILS, 0.03)])[0].kind == "hard in itself"


def test_parts_by_hand() -> None:
    members = np.array([True, False, True, False])
    part = part_of(members, np.array([0.2, 0.8, 0.4, 1.0]))
    assert (part.n, part.dsc, part.rest) == (2, pytest.approx(0.3), pytest.approx(0.9))
    assert part.gap == pytest.approx(0.6)
    assert part_of(np.zeros(4, dtype=bool), np.ones(4)) == Part(0, None, 1.0)
    assert part_of(np.ones(4, dtype=bool), np.ones(4)).gap is None


def test_share_of_the_draws_by_hand() -> None:
    members = np.array([True, False, False, False])
    assert drawn_share(members) == 0.25
    assert drawn_share(members, np.zeros((0, 4))) == 0.25
    # 3/6 in the first epoch, 1/4 in the second.
    assert drawn_share(members, np.array([[3.0, 1, 1, 1], [1, 1, 1, 1]])) == pytest.approx(0.375)
    # The literal equations weigh nobody before the first validation: the loss is the plain term alone.
    assert drawn_share(members, np.array([[0.0, 0, 0, 0]])) == 0.25
    assert drawn_share(np.zeros(0, dtype=bool)) == 0.0


def test_folds_are_pooled_case_by_case() -> None:
    cases = ["a", "b", "c", "d"]
    members = np.array([True, False, True, False])
    # Three folds; nothing was ever learned from d.
    training = [
        (["a", "b"], np.array([0.9, 0.6])),
        (["c", "b"], np.array([0.5, 0.8])),
        (["a", "c"], np.array([0.7, 0.5])),
    ]
    held_out = np.array([[0.2, 0.9, 0.4, 0.7], [0.4, 0.9, 0.4, 0.7]])
    learned, out_of_fold = pooled_parts(cases, members, training=training, held_out=held_out)
    # a: (.9 + .7) / 2, c: .5; b: (.6 + .8) / 2.
    assert (learned.n, learned.dsc, learned.rest) == (2, pytest.approx(0.65), pytest.approx(0.7))
    assert (out_of_fold.n, out_of_fold.dsc, out_of_fold.rest) == (2, pytest.approx(0.35), pytest.approx(0.8))


def test_with_folds_the_words_are_of_cases_out_of_fold() -> None:
    found = diagnose(MISSED, FAILS, share=0.033, held_out="out-of-fold")
    assert found.kind == diagnose(MISSED, FAILS, share=0.033).kind
    assert "out-of-fold Dice 0.200" in found.sentence
    assert "validation" not in found.sentence
    assert diagnose_models([(MISSED, FAILS, 0.033)], held_out="out-of-fold") == (found,)
    assert "among the out-of-fold cases" in rule("out-of-fold")
    assert "validation" not in rule("out-of-fold")
    assert "among the validation cases" in rule()
