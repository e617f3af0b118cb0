"""Whether a subgroup was learned: one hand-made subgroup for each answer, the thresholds, the share of the draws."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from segfair.mitigation.experiment.diagnosis.learning import (
    GAP,
    LOW,
    MIN_ASKED,
    MIN_CASES,
    RARE,
    Change,
    Learning,
    ModelParts,
    Part,
    Response,
    drawn_share,
    is_low,
    learning_of,
    learning_rule,
    learning_sentence,
    part_of,
    pooled_parts,
    response_of,
)

FITTED, MISSED = Part(4, 0.91, 0.93), Part(4, 0.20, 0.93)
FAILS = Part(5, 0.20, 0.90)


@pytest.mark.parametrize(
    ("training", "held_out", "share", "kind"),
    [
        (MISSED, FAILS, 0.033, "rare and under-learned"),
        (FITTED, FAILS, 0.033, "learned but not generalising"),
        (FITTED, FAILS, 0.5, "learned but not generalising"),
        # Nobody drew it more often: that it would not help is not known.
        (MISSED, FAILS, 0.3, "not fitted"),
        (MISSED, Part(5, 0.88, 0.90), 0.3, "no gap"),
        (MISSED, Part(5, 0.95, 0.90), 0.3, "no gap"),
        (Part(MIN_CASES - 1, 0.2, 0.9), FAILS, 0.3, "insufficient evidence"),
        (MISSED, Part(MIN_CASES - 1, 0.2, 0.9), 0.3, "insufficient evidence"),
        (Part(120, 0.9, None), Part(100, 0.9, None), 1.0, "insufficient evidence"),
        # As good as the others, who are not fitted either.
        (Part(4, 0.50, 0.52), FAILS, 0.3, "too little trained"),
        (Part(4, 0.20, 0.52), FAILS, 0.03, "too little trained"),
        # Low in itself, beside others that are fitted.
        (Part(4, 0.68, 0.72), FAILS, 0.3, "learned but not generalising"),
    ],
)
def test_each_answer(training: Part, held_out: Part, share: float, kind: Learning) -> None:
    assert learning_of(training, held_out, share=share) == kind


def test_thresholds_belong_to_the_larger_side() -> None:
    assert learning_of(MISSED, FAILS, share=RARE) == "not fitted"
    assert learning_of(MISSED, FAILS, share=np.nextafter(RARE, 0)) == "rare and under-learned"
    # 1 - .95 is the threshold and a bit more, one step less of it is below.
    assert 1 - 0.95 >= GAP > 1 - np.nextafter(0.95, 1)
    gap, less = Part(4, 0.95, 1.0), Part(4, np.nextafter(0.95, 1), 1.0)
    assert learning_of(gap, gap, share=0.5) == "not fitted"
    assert learning_of(gap, less, share=0.5) == "no gap"
    assert learning_of(less, gap, share=0.5) == "learned but not generalising"
    low = np.nextafter(LOW, 0)
    assert learning_of(Part(4, low, low), FAILS, share=0.5) == "too little trained"
    assert learning_of(Part(4, low, LOW), FAILS, share=0.5) == "learned but not generalising"


def test_a_training_gap_of_less_than_half_is_a_failure_to_generalise() -> None:
    held_out = Part(5, 0.0, 0.5)
    assert learning_of(Part(5, 0.5, 0.75), held_out, share=0.5) == "not fitted"
    assert learning_of(Part(5, 0.5, 0.7421875), held_out, share=0.5) == "learned but not generalising"


def parts(training: float, held_out: float, share: float, *, n: int = MIN_ASKED) -> ModelParts:
    """Dice of the subgroup; the others have .93 where the model trained and .90 where not."""
    return Part(n, training, 0.93), Part(n, held_out, 0.90), share


SELDOM = parts(0.20, 0.20, 0.03)
"""Training gap .73, held-out gap .70."""
CLOSES = parts(0.68, 0.60, 0.2)
"""Gaps .25 and .30: less than half of both."""
STAYS = parts(0.56, 0.60, 0.3)
"""A training gap of .37 is more than half of .73."""


@pytest.mark.parametrize(
    ("more", "change", "kind"),
    [
        (CLOSES, "closes", "rare and under-learned"),
        # .25 and .40: fitted, and new cases fail all the same.
        (parts(0.68, 0.50, 0.3), "is learned alone", "learned but not generalising"),
        (STAYS, "stays", "hard in itself"),
        # More often, and still rare: that it stays tells nothing, and by its share it is rare.
        (parts(0.56, 0.20, 0.09), None, "rare and under-learned"),
        # Hardly more often.
        (parts(0.68, 0.60, 0.04), None, "rare and under-learned"),
    ],
)
def test_models_that_saw_it_more_often_decide(more: ModelParts, change: Change | None, kind: Learning) -> None:
    response = response_of(SELDOM, {"balanced": more})
    assert response == (None if change is None else Response(change, "balanced", more[2]))
    training, held_out, share = SELDOM
    assert learning_of(training, held_out, share=share, response=response) == kind


def test_one_model_that_fits_shows_that_it_can_be_fitted_and_is_named() -> None:
    often = parts(0.20, 0.20, 0.4)
    assert response_of(SELDOM, {"jtt": STAYS, "balanced": often}) == Response("stays", "balanced", 0.4)
    assert response_of(SELDOM, {"balanced": often, "tempered": CLOSES}) == Response("closes", "tempered", 0.2)
    assert response_of(SELDOM, {}) is None


def test_models_are_held_against_the_plain_one_alone() -> None:
    # Between these two the gap closes, and neither is the plain model, which saw the subgroup as often.
    plain = parts(0.20, 0.20, 0.3)
    assert response_of(plain, {"seldom": SELDOM, "often": CLOSES}) is None
    # A gap that closes with fewer draws says nothing about draws.
    assert response_of(plain, {"seldom": parts(0.68, 0.60, 0.03)}) is None
    fitted = parts(0.91, 0.20, 0.03)
    assert response_of(fitted, {"often": CLOSES, "balanced": STAYS}) is None, "nothing was missed that could close"


@pytest.mark.parametrize("few", ["training", "held out"])
@pytest.mark.parametrize("more", [CLOSES, STAYS])
def test_of_a_few_cases_other_models_are_not_asked(few: str, more: ModelParts) -> None:
    training, held_out, share = SELDOM
    part = dataclasses.replace(training if few == "training" else held_out, n=MIN_ASKED - 1)
    plain = (part, held_out, share) if few == "training" else (training, part, share)
    assert response_of(SELDOM, {"balanced": more}) is not None
    assert response_of(plain, {"balanced": more}) is None


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


def test_a_case_that_only_trains_is_passed_over() -> None:
    members = np.array([True, False])
    # "extra" has no metadata: every fold learns from it, and none tests it.
    training = [(["extra", "a"], np.array([0.1, 0.9])), (["b", "extra"], np.array([0.5, 0.3]))]
    learned, out_of_fold = pooled_parts(["a", "b"], members, training=training, held_out=np.array([[0.2, 0.7]]))
    assert learned == Part(1, 0.9, 0.5)
    assert out_of_fold == Part(1, 0.2, 0.7)


def test_the_sentence_has_the_numbers() -> None:
    told = learning_sentence(Part(4, 0.2, 0.93), Part(5, 0.25, 0.9), 0.033, "out-of-fold")
    assert told == (
        "training Dice 0.200 (others 0.930, 4 cases); out-of-fold Dice 0.250 (others 0.900, 5 cases); "
        "3.3 % of what was trained on"
    )
    assert [is_low(dsc) for dsc in (None, np.nextafter(LOW, 0), LOW)] == [False, True, False]


def test_the_rule_is_of_the_cases_that_are_held_out() -> None:
    assert "among the out-of-fold cases" in learning_rule("out-of-fold")
    assert "validation" not in learning_rule("out-of-fold")
    assert "among the validation cases" in learning_rule()
