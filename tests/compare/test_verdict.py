"""What a comparison says in one sentence: harm before gain, levelling down, and silence never alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.compare.models import change, cohort, noisy, scores_of
from tests.score_fixtures import with_scores

from segfair.audit.result import AuditResult
from segfair.compare.procedure import run_comparison


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
