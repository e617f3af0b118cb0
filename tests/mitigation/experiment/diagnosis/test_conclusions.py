"""What follows from a diagnosis: each reason with its advice, several at once, and what goes into `comparison.json`."""

from __future__ import annotations

import json

import pytest

from segfair.mitigation.experiment.diagnosis.conclusions import diagnose, diagnose_models
from segfair.mitigation.experiment.diagnosis.deficit import AdjustedGap, Deficit, Failures, Left
from segfair.mitigation.experiment.diagnosis.learning import Part

FITTED, MISSED, FAILS = Part(4, 0.91, 0.93), Part(4, 0.20, 0.93), Part(5, 0.20, 0.90)
PLAIN = (Part(12, 0.20, 0.93), Part(10, 0.20, 0.90), 0.03)
"""The plain model misses a rare subgroup, in enough cases to ask others."""
MEDIANS = {"volume_mm3": 1120.0, "contrast": -0.8, "edge_sharpness": 0.4}


def gap(left: Left, *covariates: str) -> AdjustedGap:
    return AdjustedGap(covariates, -0.093, -0.042, (-0.08, 0.01), left, 139, 72)


def deficit(*, size: Left = "remains", looks: Left = "remains", few: bool = False) -> Deficit:
    failures = Failures(139, 10, 11, few, tuple(f"bus_{index}" for index in range(10)))
    rest = {"volume_mm3": 1251.0, "contrast": -1.2, "edge_sharpness": 0.5}
    return Deficit(gap(size, "volume"), gap(looks, "volume", "contrast", "edge sharpness"), failures, MEDIANS, rest)


@pytest.mark.parametrize(
    ("training", "share", "kind", "advice"),
    [
        (MISSED, 0.033, "rare and under-learned", "Draw it more often, or train longer."),
        (FITTED, 0.5, "learned but not generalising", "Collect more cases of it, or augment more strongly"),
        (MISSED, 0.3, "not fitted", "Train a model that draws it more often, such as balanced, and see"),
        (Part(4, 0.5, 0.52), 0.3, "too little trained", "Train longer, or a larger network"),
        (Part(2, 0.5, 0.52), 0.3, "insufficient evidence", "More cases of it are needed"),
    ],
)
def test_each_answer_has_its_advice(training: Part, share: float, kind: str, advice: str) -> None:
    found = diagnose(training, FAILS, share=share)
    assert found.kind == kind
    assert [cause.kind for cause in found.causes] == [kind]
    assert found.recommendation.startswith(advice)
    assert f"{100 * share:.1f} %" in found.sentence
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["kind"] == kind


def test_fitted_is_relative_and_a_low_training_dice_is_called_low() -> None:
    low = diagnose(Part(9, 0.68, 0.72), FAILS, share=0.3)
    assert low.kind == "learned but not generalising"
    assert low.causes[0].sentence == (
        "the network fits its training cases about as well as others, and fails on new ones "
        "(a training Dice of 0.680 is low in itself)"
    )
    assert "low in itself" in diagnose(MISSED, FAILS, share=0.3).sentence
    assert "low in itself" not in diagnose(FITTED, FAILS, share=0.3).sentence
    # Of both it is said already.
    assert "low in itself" not in diagnose(Part(4, 0.5, 0.52), FAILS, share=0.3).sentence


def test_several_reasons_hold_at_once_and_what_leads_away_from_the_group_comes_first() -> None:
    found = diagnose(FITTED, FAILS, share=0.07, deficit=deficit(looks="gone", few=True))
    assert [cause.kind for cause in found.causes] == [
        "a few failures",
        "contrast or sharpness",
        "learned but not generalising",
    ]
    assert found.recommendation == (
        "Look at these cases first: bus_0, bus_1, bus_2, bus_3, bus_4, bus_5, bus_6, bus_7, bus_8, bus_9. "
        "The group is no cause by itself: look at lesions that look like its own (contrast median −0.80, others −1.20; "
        "edge sharpness median 0.40, others 0.50), of whichever group. "
        "Collect more cases of it, or augment more strongly."
    )
    assert found.causes[0].sentence == "10 of 139 cases hold two thirds of the deficit"
    assert found.causes[1].sentence == (
        "at equal size, contrast and edge sharpness the gap is gone: −0.093 becomes −0.042 "
        "(95% interval −0.080 to +0.010, 72 patients)"
    )


@pytest.mark.parametrize(
    ("size", "looks", "kind"),
    [
        ("gone", "gone", "size"),
        ("less than half is left", "less than half is left", "size"),
        ("less than half is left", "remains", "size"),
        ("less than half is left", "gone", "contrast or sharpness"),
        ("remains", "less than half is left", "contrast or sharpness"),
        ("open", "gone", "contrast or sharpness"),
    ],
)
def test_the_simplest_that_explains_most_is_told(size: Left, looks: Left, kind: str) -> None:
    found = diagnose(FITTED, FAILS, share=0.07, deficit=deficit(size=size, looks=looks))
    assert [cause.kind for cause in found.causes] == [kind, "learned but not generalising"]


def test_what_is_not_gone_leaves_the_group_a_part_of_the_cause() -> None:
    found = diagnose(FITTED, FAILS, share=0.07, deficit=deficit(size="less than half is left"))
    assert "at equal size less than half of the gap is left" in found.causes[0].sentence
    assert "The group is the smaller part of the cause: look at lesions of its size" in found.causes[0].advice
    assert "median 1,120, others 1,251" in found.causes[0].advice


@pytest.mark.parametrize("left", ["remains", "open", "no gap", "insufficient evidence"])
def test_a_gap_that_lesions_do_not_explain_is_no_reason(left: Left) -> None:
    found = diagnose(FITTED, FAILS, share=0.07, deficit=deficit(size=left, looks=left))
    assert [cause.kind for cause in found.causes] == ["learned but not generalising"]


def test_what_is_not_known_is_no_reason_beside_what_is() -> None:
    known = diagnose(Part(2, 0.2, 0.9), FAILS, share=0.07, deficit=deficit(few=True))
    assert known.kind == "insufficient evidence"
    assert [cause.kind for cause in known.causes] == ["a few failures"]


def test_more_failures_than_are_named_are_counted() -> None:
    many = Failures(600, 45, 50, True, tuple(f"c{index}" for index in range(20)))
    found = diagnose(FITTED, FAILS, share=0.07, deficit=Deficit(gap("remains"), gap("remains"), many, MEDIANS, MEDIANS))
    assert found.recommendation.split(".")[0].endswith("c18, c19 and 25 more")


def test_what_falls_behind_less_than_on_new_cases_is_not_called_fitted() -> None:
    # Gaps .10 and .30.
    behind = diagnose(Part(20, 0.80, 0.90), Part(20, 0.60, 0.90), share=0.3)
    assert behind.kind == "learned but not generalising"
    assert behind.causes[0].sentence == (
        "the network falls behind on its training cases by less than half as much as on new ones"
    )
    fitted = diagnose(Part(20, 0.87, 0.90), Part(20, 0.60, 0.90), share=0.3)
    assert fitted.causes[0].sentence.startswith("the network fits its training cases about as well as others")


def test_what_nobody_drew_more_often_is_not_called_hard() -> None:
    many, few = diagnose(*PLAIN[:2], share=0.3), diagnose(MISSED, FAILS, share=0.3)
    assert many.kind == few.kind == "not fitted"
    assert "is not tested: no model of this run drew them much more often" in many.sentence
    assert "they are too few to tell by other models" in few.sentence


NOT_FITTED = "the network does not fit its training cases as well as others"


@pytest.mark.parametrize(
    ("training", "held_out", "kind", "sentence"),
    [
        (
            0.68,
            0.60,
            "rare and under-learned",
            "balanced, which saw them more often (30.0 % of what it was trained on), has less than half of the plain "
            "model's gap, among new cases as well",
        ),
        (
            0.68,
            0.30,
            "learned but not generalising",
            "balanced, which saw them more often (30.0 % of what it was trained on), has less than half of the plain "
            "model's gap among them, but not among new ones",
        ),
        (
            0.20,
            0.20,
            "hard in itself",
            "no model that saw them more often (balanced: 30.0 % of what it was trained on) has less than half of the "
            "plain model's gap among them",
        ),
    ],
)
def test_the_model_that_shows_it_is_named(training: float, held_out: float, kind: str, sentence: str) -> None:
    more = (Part(12, training, 0.93), Part(10, held_out, 0.90), 0.3)
    found = diagnose_models({"erm": PLAIN, "balanced": more}, plain="erm")["erm"]
    assert found.kind == kind
    assert found.causes[0].sentence.removesuffix(" (a training Dice of 0.200 is low in itself)") == (
        f"{NOT_FITTED}; {sentence}"
    )


def test_models_of_a_run_are_told_what_the_others_show() -> None:
    models = {"erm": PLAIN, "balanced": (*PLAIN[:2], 0.3)}
    both = diagnose_models(models, plain="erm")
    assert [found.kind for found in both.values()] == ["hard in itself"] * 2
    assert both["erm"].recommendation == "Drawing it more often has not helped: look at its images and labels."
    # Without a plain model there is none that was drawn more often than it.
    alone = diagnose_models(models, plain=None)
    assert [found.kind for found in alone.values()] == ["rare and under-learned", "not fitted"]
    better = {"erm": PLAIN, "balanced": (Part(12, 0.68, 0.93), Part(10, 0.60, 0.90), 0.3)}
    found = diagnose_models(better, plain="erm", held_out="out-of-fold", deficits={"erm": deficit(few=True)})
    assert [entry.kind for entry in found.values()] == ["rare and under-learned"] * 2
    assert "out-of-fold Dice 0.200" in found["erm"].sentence
    assert (found["erm"].deficit is None, found["balanced"].deficit is None) == (False, True)
    assert found["erm"].held_out == "out-of-fold"
