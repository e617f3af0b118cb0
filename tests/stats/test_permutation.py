"""Max-T against plain enumeration, its degenerate cases, and how often it cries wolf."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.stats

import segfair.stats.permutation as module
from segfair.stats import cells
from segfair.stats.contrast import PRIOR_DF
from segfair.stats.intervals.bootstrap import subgroup_intervals
from segfair.stats.permutation import false_discovery, max_t
from segfair.stats.shrinkage import shrink

SEVEN = np.array([[1, 1, 0, 0, 0, 1, 0], [0, 1, 1, 0, 0, 0, 0], [1, 0, 0, 1, 1, 1, 0]], dtype=bool)


def plain_t(members: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """The statistic, written without any matrix."""
    found = []
    for row in members:
        inside, outside = outcome[row], outcome[~row]
        pooled = (inside.var() * len(inside) + outside.var() * len(outside)) / (len(outcome) - 2)
        squared_error = sum(
            (PRIOR_DF * pooled + group.var() * len(group)) / (PRIOR_DF + len(group) - 1) / len(group)
            for group in (inside, outside)
        )
        found.append((inside.mean() - outside.mean()) / np.sqrt(squared_error))
    return np.array(found)


def draw_codes(rng: np.random.Generator, n_cases: int) -> np.ndarray:
    return np.stack([rng.choice(len(p), n_cases, p=p) for p in ((0.2, 0.3, 0.5), (0.4, 0.6), (0.25,) * 4)])


def lattice(codes: np.ndarray, min_cases: int) -> np.ndarray:
    """All conjunctions of levels with enough cases."""
    rows = []
    levels = [[None, *range(attribute.max() + 1)] for attribute in codes]
    for chosen in itertools.product(*levels):
        members = np.ones(codes.shape[1], dtype=bool)
        for attribute, level in zip(codes, chosen, strict=True):
            if level is not None:
                members &= attribute == level
        if min_cases <= members.sum() < codes.shape[1]:
            rows.append(members)
    return np.array(rows)


def skewed(rng: np.random.Generator, n_cases: int) -> np.ndarray:
    dice = rng.beta(4, 1.3, n_cases)
    dice[rng.random(n_cases) < 0.04] = 0
    return dice


@pytest.mark.parametrize("ties", [False, True])
def test_a_cohort_of_seven_is_enumerated(ties: bool) -> None:
    rng = np.random.default_rng(0)
    outcome = rng.integers(0, 3, 7) / 2 if ties else rng.random(7)
    test = max_t(SEVEN, outcome, rng=rng, min_cases=2)
    assert test.exact
    assert test.n_permutations == 5040
    observed = np.abs(plain_t(SEVEN, outcome))
    drawn = np.abs([plain_t(SEVEN, outcome[list(order)]) for order in itertools.permutations(range(7))])
    slack = 1e-9 * (1 + observed)
    np.testing.assert_allclose(test.p_value, (drawn >= observed - slack).mean(axis=0))
    np.testing.assert_allclose(test.p_single_step, (drawn.max(axis=1)[:, None] >= observed - slack).mean(axis=0))
    adjusted, largest = np.empty(3), 0.0
    order = np.argsort(-observed)
    for position, row in enumerate(order):
        rivals = drawn[:, order[position:]].max(axis=1)
        largest = max(largest, float((rivals >= observed[row] - slack[row]).mean()))
        adjusted[row] = largest
    np.testing.assert_allclose(test.p_adjusted, adjusted)
    np.testing.assert_allclose(test.t, plain_t(SEVEN, outcome))


def test_drawn_p_is_near_the_exact_one() -> None:
    rng = np.random.default_rng(1)
    outcome = rng.random(7)
    exact = max_t(SEVEN, outcome, rng=rng, min_cases=2)
    drawn = max_t(SEVEN, outcome, rng=rng, min_cases=2, permutations=4000, method="random")
    assert not drawn.exact
    np.testing.assert_allclose(drawn.p_adjusted, exact.p_adjusted, atol=4 * 0.5 / np.sqrt(4000))
    assert drawn.p_value.min() >= 1 / 4001


def test_strata_are_enumerated_within() -> None:
    rng = np.random.default_rng(2)
    outcome, strata = rng.random(8), np.repeat([0, 1], 4)
    members = np.array([[1, 1, 0, 0, 1, 0, 0, 0]], dtype=bool)
    test = max_t(members, outcome, rng=rng, min_cases=2, strata=strata)
    assert test.exact
    assert test.n_permutations == 24 * 24
    centred = outcome - np.repeat([outcome[:4].mean(), outcome[4:].mean()], 4)

    def statistic(values: np.ndarray) -> float:
        # Residual membership is 1/2 in the first stratum, 3/4 and -1/4 in the second.
        inside, outside = values[members[0]], values[~members[0]]
        a, b = 2 / 4 + 9 / 16, 2 / 4 + 3 / 16
        pooled = (inside.var() * 3 + outside.var() * 5) / 6
        spread = [
            (PRIOR_DF * pooled + group.var() * len(group)) / (PRIOR_DF + len(group) - 1) for group in (inside, outside)
        ]
        return abs(inside.sum()) / np.sqrt(a * spread[0] + b * spread[1])

    drawn = [
        statistic(np.array([*first, *second]))
        for first in itertools.permutations(centred[:4])
        for second in itertools.permutations(centred[4:])
    ]
    assert test.p_value[0] == pytest.approx(np.mean(np.array(drawn) >= statistic(centred) - 1e-9))


def test_a_subgroup_and_everybody_else_are_one_question() -> None:
    rng = np.random.default_rng(3)
    first = rng.random(60) < 0.4
    second = rng.random(60) < 0.3
    outcome = rng.random(60)
    test = max_t(np.array([first, ~first, second, first]), outcome, rng=rng, permutations=199)
    assert test.n_tests == 2
    assert test.question.tolist() == [0, 0, 1, 0]
    assert test.t[0] == pytest.approx(-test.t[1]) == pytest.approx(test.t[3])
    assert test.p_adjusted[0] == test.p_adjusted[1] == test.p_adjusted[3]
    assert test.rest_share[0] == pytest.approx(1 - test.rest_share[1]) == pytest.approx((~first).mean())
    np.testing.assert_allclose(
        test.difference * test.rest_share,
        [outcome[row].mean() - outcome.mean() for row in (first, ~first, second, first)],
    )


def test_one_sided_tests_look_one_way() -> None:
    rng = np.random.default_rng(4)
    members = np.array([np.arange(60) < 20, np.arange(60) >= 20])
    outcome = rng.normal(size=60) - 2.0 * members[0]
    below, above = (
        max_t(members, outcome, rng=rng, permutations=199, alternative=side) for side in ("less", "greater")
    )
    assert below.p_value.tolist() == [1 / 200, 1.0]
    assert above.p_value.tolist() == [1.0, 1 / 200]


def test_a_constant_outcome_accuses_nobody() -> None:
    members = lattice(draw_codes(np.random.default_rng(0), 80), 10)
    test = max_t(members, np.full(80, 0.7), rng=np.random.default_rng(0), permutations=99)
    assert np.all(test.t == 0)
    assert np.all(test.p_value[test.tested] == 1)
    assert np.all(test.p_adjusted[test.tested] == 1)


@pytest.mark.parametrize("n_cases", [0, 1, 2, 19])
def test_too_few_cases_test_nothing(n_cases: int) -> None:
    members = np.array([np.arange(n_cases) % 2 == 0, np.ones(n_cases, bool), np.zeros(n_cases, bool)])
    test = max_t(members, np.random.default_rng(0).random(n_cases), rng=np.random.default_rng(0))
    assert test.n_tests == 0
    assert not test.tested.any()
    assert np.isnan(test.p_adjusted).all()
    assert np.isnan(test.simultaneous()).all()
    assert test.critical() is None
    assert not test.significant().any()
    assert np.isnan(test.false_discovery()).all()


def test_no_subgroups() -> None:
    test = max_t(np.zeros((0, 30), dtype=bool), np.arange(30.0), rng=np.random.default_rng(0))
    assert len(test.t) == test.n_tests == 0


def test_step_down_is_never_above_single_step_and_keeps_the_order() -> None:
    rng = np.random.default_rng(6)
    members = lattice(draw_codes(rng, 200), 10)
    outcome = skewed(rng, 200) - 0.15 * members[3]
    test = max_t(members, outcome, rng=rng, permutations=300)
    assert np.all(test.p_adjusted <= test.p_single_step)
    assert np.all(test.p_value <= test.p_adjusted)
    order = np.argsort(-np.abs(test.t))
    assert np.all(np.diff(test.p_adjusted[order]) >= 0)
    strongest = order[0]
    assert test.p_adjusted[strongest] == test.p_single_step[strongest]


def test_the_critical_value_and_the_intervals_decide_as_the_test_does() -> None:
    rng = np.random.default_rng(7)
    members = lattice(draw_codes(rng, 300), 10)
    outcome = skewed(rng, 300) - 0.25 * members[2]
    test = max_t(members, outcome, rng=rng, permutations=400)
    decided = test.p_single_step <= 0.05
    assert decided.any()
    assert not decided.all()
    critical = test.critical()
    assert critical is not None
    np.testing.assert_array_equal(np.abs(test.t) > critical, decided)
    bounds = test.simultaneous()
    np.testing.assert_array_equal((bounds[:, 0] > 0) | (bounds[:, 1] < 0), decided)
    np.testing.assert_allclose(test.simultaneous_difference() * test.rest_share[:, None], bounds)
    # Where every draw may be exceeded the smallest of them is left.
    assert test.critical(1.0) == test.null_max.min()


def test_too_few_permutations_for_the_level_have_no_critical_value() -> None:
    rng = np.random.default_rng(0)
    test = max_t(lattice(draw_codes(rng, 60), 10), rng.random(60), rng=rng, permutations=10)
    assert test.critical(0.05) is None
    assert np.isnan(test.simultaneous(0.05)).all()


def test_neither_blocks_nor_the_number_at_once_change_a_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    members, outcome = lattice(draw_codes(rng, 120), 10), skewed(rng, 120)
    at_once = max_t(members, outcome, rng=np.random.default_rng(9), permutations=150)
    monkeypatch.setattr(module, "_STEP_ELEMENTS", 7 * len(members))
    in_blocks = max_t(members, outcome, rng=np.random.default_rng(9), permutations=150)
    np.testing.assert_array_equal(at_once.p_adjusted, in_blocks.p_adjusted)
    np.testing.assert_allclose(at_once.null_max, in_blocks.null_max)


def test_noise_attributes_leave_a_family_of_its_own_unchanged() -> None:
    rng = np.random.default_rng(10)
    codes = draw_codes(rng, 150)
    outcome = skewed(rng, 150)
    primary = np.array([codes[0] == level for level in range(3)])
    alone = max_t(primary, outcome, rng=np.random.default_rng(1), permutations=200)
    noise = rng.integers(0, 3, (20, 150))
    max_t(lattice(noise[:3], 10), outcome, rng=np.random.default_rng(2), permutations=200)
    beside = max_t(primary, outcome, rng=np.random.default_rng(1), permutations=200)
    np.testing.assert_array_equal(alone.p_adjusted, beside.p_adjusted)


def rate_within(count: int, n: int, expected: float) -> bool:
    """Whether a count is within three binomial standard errors above the expected rate."""
    return count <= n * expected + 3 * np.sqrt(n * expected * (1 - expected))


@pytest.mark.parametrize(("doubled", "aim"), [(False, 0.05), (True, 0.10)])
def test_few_false_alarms(doubled: bool, aim: float) -> None:
    rng = np.random.default_rng(11)
    alarms = usual = 0
    for _ in range(100):
        codes = draw_codes(rng, 120)
        outcome = skewed(rng, 120)
        if doubled:
            wide = codes[2] == 0
            outcome[wide] = 0.724 + 2 * (outcome[wide] - 0.724)
        members = lattice(codes, 10)
        test = max_t(members, outcome, rng=rng, permutations=119)
        alarms += bool(test.significant().any())
        n = members.sum(axis=1)
        means = members @ outcome / n
        error = np.array([outcome[row].var() for row in members]) / n + outcome.var() / 120
        usual += bool((np.abs(means - outcome.mean()) / np.sqrt(error) > 2).any())
    assert rate_within(alarms, 100, aim)
    # The same data under the rule that is in use: the check above can fail.
    assert not rate_within(usual, 100, aim)


def test_a_planted_deficit_is_found() -> None:
    rng = np.random.default_rng(12)
    found = 0
    for _ in range(40):
        codes = draw_codes(rng, 300)
        codes[2, (codes[0] == 0) & (codes[2] == 0)] = 1
        codes[0, :30], codes[2, :30] = 0, 0
        members = lattice(codes, 10)
        planted = np.arange(300) < 30
        row = int(np.flatnonzero((members == planted).all(axis=1))[0])
        test = max_t(members, skewed(rng, 300) - 0.20 * planted, rng=rng, permutations=199)
        found += bool(test.significant()[row])
    assert found >= 40 * 0.8 - 3 * np.sqrt(40 * 0.8 * 0.2)


def test_a_confounded_site_is_nobodys_fault_within_strata() -> None:
    rng = np.random.default_rng(13)
    alarms = {"plain": 0, "stratified": 0}
    found = 0
    for _ in range(60):
        codes = draw_codes(rng, 200)
        site = (rng.random(200) < np.where(codes[1] == 0, 0.8, 0.2)).astype(int)
        outcome = skewed(rng, 200) - 0.25 * site
        members = lattice(codes, 10)
        alarms["plain"] += bool(max_t(members, outcome, rng=rng, permutations=119).significant().any())
        test = max_t(members, outcome, rng=rng, permutations=119, strata=site)
        alarms["stratified"] += bool(test.significant().any())
        planted = codes[0] == 0
        row = int(np.flatnonzero((members == planted).all(axis=1))[0])
        test = max_t(members, outcome - 0.25 * planted, rng=rng, permutations=119, strata=site)
        found += bool(test.significant()[row])
    assert rate_within(alarms["stratified"], 60, 0.05)
    assert alarms["plain"] > 40
    assert found > 45


def test_a_subgroup_made_of_strata_is_not_tested_within_them() -> None:
    rng = np.random.default_rng(14)
    site = np.repeat([0, 1, 2], 20)
    test = max_t(np.array([site == 1, rng.random(60) < 0.5]), rng.random(60), rng=rng, strata=site, permutations=99)
    assert test.tested.tolist() == [False, True]
    assert np.isnan(test.t[0])


def test_subjects_are_the_units_of_subject_level_attributes() -> None:
    """Four studies a patient, alike within a patient: cases are no evidence, patients are."""
    rng = np.random.default_rng(15)
    subjects = np.repeat(np.arange(40), 4)
    alarms = {"cases": 0, "subjects": 0}
    for _ in range(80):
        patient = np.array([rng.random(40) < share for share in (0.3, 0.5)])
        members = patient[:, subjects]
        outcome = rng.normal(size=40)[subjects] + 0.2 * rng.normal(size=160)
        for name, codes in (("cases", None), ("subjects", subjects)):
            test = max_t(members, outcome, rng=rng, permutations=119, subjects=codes)
            alarms[name] += bool(test.significant().any())
    assert rate_within(alarms["subjects"], 80, 0.05)
    assert not rate_within(alarms["cases"], 80, 0.05)


def test_study_level_attributes_are_tested_within_subjects() -> None:
    """Half of each patient's studies come from another scanner; between patients scores differ a lot."""
    rng = np.random.default_rng(16)
    subjects = np.repeat(np.arange(30), 4)
    scanner = np.tile([True, True, False, False], 30)
    patient_level = (np.arange(30) < 12)[subjects]
    level = 3.0 * rng.normal(size=30)[subjects]
    outcome = level + 0.3 * rng.normal(size=120) - 0.4 * scanner
    members = np.array([scanner, patient_level])
    plain = max_t(members, outcome, rng=rng, permutations=199)
    aware = max_t(members, outcome, rng=rng, permutations=199, subjects=subjects)
    assert plain.p_value[0] > 0.05
    assert aware.p_adjusted[0] <= 0.05
    assert aware.difference[0] == pytest.approx(outcome[scanner].mean() - outcome[~scanner].mean())
    means = np.array([outcome[subjects == index].mean() for index in range(30)])
    assert aware.difference[1] == pytest.approx(means[:12].mean() - means[12:].mean())
    assert not aware.exact


def test_subjects_with_one_case_each_change_nothing() -> None:
    rng = np.random.default_rng(17)
    members, outcome = lattice(draw_codes(rng, 90), 10), skewed(rng, 90)
    plain = max_t(members, outcome, rng=np.random.default_rng(1), permutations=99)
    aware = max_t(members, outcome, rng=np.random.default_rng(1), permutations=99, subjects=np.arange(90))
    np.testing.assert_allclose(plain.t, aware.t)


def test_false_discovery_keeps_untested_apart_and_counts_questions_once() -> None:
    p = np.array([0.01, np.nan, 0.02, 0.03])
    np.testing.assert_allclose(false_discovery(p), [0.03, np.nan, 0.03, 0.03])
    np.testing.assert_allclose(false_discovery(p, method="by")[[0, 2, 3]], 0.03 * (1 + 1 / 2 + 1 / 3))
    rng = np.random.default_rng(18)
    first = np.arange(60) < 25
    outcome = rng.normal(size=60) - 0.8 * first
    once = max_t(first[None], outcome, rng=np.random.default_rng(0), permutations=99)
    twice = max_t(np.array([first, ~first]), outcome, rng=np.random.default_rng(0), permutations=99)
    assert twice.false_discovery().tolist() == [once.p_value[0]] * 2


@pytest.mark.parametrize("method", ["bh", "by"])
def test_false_discovery_is_scipys(method: Any) -> None:
    rng = np.random.default_rng(4)
    for size in range(1, 20):
        p = rng.random(size).round(1 + size % 3)
        np.testing.assert_allclose(
            false_discovery(p, method=method), scipy.stats.false_discovery_control(p, method=method), rtol=1e-15
        )


def test_all_nan_p_values() -> None:
    assert np.isnan(false_discovery(np.array([np.nan, np.nan]))).all()


def test_the_matrix_is_never_turned_into_floats_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "_ROW_BLOCK_BYTES", 1 << 19)
    rng = np.random.default_rng(19)
    members = rng.random((1000, 3000)) < 0.05
    outcome = rng.random(3000)
    as_floats = members.size * 8
    for work in (
        lambda: max_t(members, outcome, rng=rng, permutations=4),
        lambda: subgroup_intervals(members, outcome, rng=rng, draws=4),
        lambda: shrink(members, outcome),
    ):
        tracemalloc.start()
        try:
            work()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 0.6 * as_floats


def test_estimate_intervals_leave_out_zero_just_where_the_step_down_test_is_significant() -> None:
    between = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        codes = draw_codes(rng, 120)
        members = lattice(codes, 10)
        outcome = skewed(rng, 120) - 0.25 * (codes[0] == 0)
        test = max_t(members, outcome, rng=rng, permutations=199, strata=codes[1] if seed % 2 else None)
        low, high = test.estimate_interval().T
        kept = test.tested
        np.testing.assert_array_equal((low > 0)[kept] | (high < 0)[kept], test.significant()[kept])
        assert (low[kept] <= test.difference[kept]).all() and (test.difference[kept] <= high[kept]).all()
        between += np.count_nonzero(test.significant() & (test.p_single_step > 0.05))
    assert between  # the step-down test did show more than the single-step one


def judge(counts: dict[str, int], members: np.ndarray, outcome: np.ndarray, effect: np.ndarray, **options: Any) -> None:
    """Adds whether all intervals hold what they would hold without noise, and how many significant signs are right."""
    test = max_t(members, outcome, permutations=199, **options)
    truth = max_t(members, effect, permutations=1, **options).difference
    low, high = test.estimate_interval().T
    shown = test.significant()
    counts["covered"] += bool(((low <= truth) & (truth <= high))[test.tested].all())
    counts["shown"] += int(shown.sum())
    counts["right"] += int((np.sign(test.difference) == np.sign(truth))[shown].sum())
    counts["cohorts"] += 1


def test_within_strata_estimates_have_the_true_sign_where_the_raw_one_is_reversed() -> None:
    rng = np.random.default_rng(40)
    counts = dict.fromkeys(("covered", "shown", "right", "cohorts", "reversed"), 0)
    for _ in range(60):
        codes = draw_codes(rng, 400)
        harmed = codes[1] == 0
        site = np.where(harmed, *(rng.choice(3, 400, p=p) for p in ((0.75, 0.2, 0.05), (0.1, 0.2, 0.7))))
        outcome = skewed(rng, 400) - 0.15 * site - 0.16 * harmed
        counts["reversed"] += bool(outcome[harmed].mean() > outcome[~harmed].mean())
        judge(counts, lattice(codes, 10), outcome, -0.16 * harmed, rng=rng, strata=site)
    assert counts["reversed"] > 40
    assert counts["shown"] > 60
    assert counts["right"] >= 0.99 * counts["shown"]
    assert rate_within(60 - counts["covered"], 60, 0.05)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6])
def test_intervals_hold_where_cases_repeat(correlation: float) -> None:
    """Attributes of the subject, of the case, and one whose level divides three of sixty subjects."""
    rng = np.random.default_rng(41)
    counts = dict.fromkeys(("covered", "shown", "right", "cohorts"), 0)
    alarms = 0
    for _ in range(60):
        subjects = np.repeat(np.arange(60), rng.integers(2, 9, 60))
        codes = draw_codes(rng, 60)[:, subjects]
        codes[2] = rng.integers(0, 2, len(subjects))
        odd = np.unique(subjects, return_index=True)[1][rng.choice(60, 3, replace=False)]
        codes[1, odd] = 1 - codes[1, odd]
        own, shared = skewed(rng, len(subjects)), skewed(rng, 60)[subjects]
        outcome = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * shared
        effect = -0.15 * (codes[1] == 0) - 0.08 * (codes[2] == 0)
        members = lattice(codes, 10)
        alarms += bool(max_t(members, outcome, rng=rng, permutations=119, subjects=subjects).significant().any())
        judge(counts, members, outcome + effect, effect, rng=rng, subjects=subjects)
    assert rate_within(alarms, 60, 0.05)
    assert rate_within(60 - counts["covered"], 60, 0.05)
    assert counts["shown"] > 60
    assert counts["right"] >= 0.99 * counts["shown"]
