"""One kernel: a cohort, its resamples, shuffles and swaps, and many teams, against the formulas written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fairness.worked_cohort import DSC, NORMHD

from segfair import fairness as d
from segfair.attributes.fit import Attribute, AttributeTable
from segfair.fairness import (
    JudgingRule,
    bootstrap_level_means,
    challenge_scores,
    fairness_score,
    judged,
    observed_level_means,
    performance_score,
    permuted_level_means,
    stack_levels,
    total_score,
    weighted_level_means,
)

WEIGHT = 0.4


def written_out(dsc, normhd, codes, rule: JudgingRule, weights=None) -> tuple[float, float | None, float | None]:
    """PS, FS and TS as the challenge states them, one case after the other."""
    weights = [1.0] * len(dsc) if weights is None else weights

    def mean(values, cases) -> float:
        return sum(weights[case] * values[case] for case in cases) / sum(weights[case] for case in cases)

    everybody = [case for case in range(len(dsc)) if weights[case] > 0]
    disparities = []
    for attribute in codes:
        groups = {code: [case for case in everybody if attribute[case] == code] for code in set(attribute) - {-1}}
        counted = [cases for cases in groups.values() if len(cases) >= rule.min_cases]
        if len(counted) < rule.min_levels:
            continue
        gaps = [
            max(mean(values, cases) for cases in counted) - min(mean(values, cases) for cases in counted)
            for values in (dsc, normhd)
        ]
        disparities.append((gaps[0] + gaps[1]) / 2)
    ps = (mean(dsc, everybody) + 1 - mean(normhd, everybody)) / 2
    if not disparities:
        return ps, None, None
    fs = sum(1 - disparity for disparity in disparities) / len(disparities)
    return ps, fs, (1 - WEIGHT) * ps + WEIGHT * fs


shares = st.floats(0, 1, width=32)


@st.composite
def cohorts(draw):
    n_cases, n_attributes = draw(st.integers(1, 12)), draw(st.integers(0, 3))
    rows = st.lists(shares, min_size=n_cases, max_size=n_cases)
    codes = [draw(st.lists(st.integers(-1, 2), min_size=n_cases, max_size=n_cases)) for _ in range(n_attributes)]
    rule = JudgingRule(draw(st.integers(1, 4)), draw(st.integers(1, 2)))
    return draw(rows), draw(rows), codes, rule


def table_of(codes, n_cases: int) -> AttributeTable:
    attributes = tuple(
        Attribute(f"a{row}", ("x", "y", "z"), np.array(code, dtype=np.int16), "column", "")
        for row, code in enumerate(codes)
    )
    return AttributeTable(tuple(map(str, range(n_cases))), attributes, {})


def approx(value):
    return None if value is None else pytest.approx(value, abs=1e-9)


@given(cohorts())
def test_a_cohort_scores_what_the_formulas_say(cohort) -> None:
    dsc, normhd, codes, rule = cohort
    scores = challenge_scores(np.array(dsc), np.array(normhd), table_of(codes, len(dsc)), rule=rule, weight=WEIGHT)
    ps, fs, ts = written_out(dsc, normhd, codes, rule)
    assert (scores.ps, scores.fs, scores.ts) == (approx(ps), approx(fs), approx(ts))
    assert sum(entry.value is not None for entry in scores.disparities) == len(
        judged(table_of(codes, len(dsc)).attributes, rule)
    )


@given(cohorts(), st.data())
def test_teams_in_weighted_cohorts_score_what_the_formulas_say(cohort, data) -> None:
    dsc, normhd, codes, rule = cohort
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(dsc), max_size=len(dsc)).filter(any))
    outcomes = np.array([[dsc, normhd], [normhd, dsc]])
    levels = stack_levels(table_of(codes, len(dsc)).codes)
    means = weighted_level_means(levels, outcomes, np.array([weights], dtype=float), rule=rule)
    for team, (first, second) in enumerate(((dsc, normhd), (normhd, dsc))):
        ps, fs, ts = written_out(first, second, codes, rule, weights)
        assert performance_score(means)[0, team] == approx(ps)
        if fs is None:
            assert np.isnan([fairness_score(means)[0, team], total_score(means, weight=WEIGHT)[0, team]]).all()
        else:
            assert fairness_score(means)[0, team] == approx(fs)
            assert total_score(means, weight=WEIGHT)[0, team] == approx(ts)


@given(cohorts())
def test_resamples_and_shuffles_are_scored_by_the_same_formulas(cohort) -> None:
    """A bootstrap replicate is a cohort with weights, and a shuffle one with the rows of attributes rearranged."""
    dsc, normhd, codes, rule = cohort
    table, outcomes = table_of(codes, len(dsc)), np.array([dsc, normhd])
    counted = judged(table.attributes, rule)
    if not counted:
        return
    levels = stack_levels(np.array([entry.codes for entry in counted]), min_cases=rule.min_cases)
    observed = observed_level_means(levels, outcomes)
    assert fairness_score(observed)[0] == approx(written_out(dsc, normhd, codes, rule)[1])
    drawn = bootstrap_level_means(levels, outcomes, rng=np.random.default_rng(0), draws=3)
    shuffled = permuted_level_means(levels, outcomes, rng=np.random.default_rng(0), permutations=3)
    for means in (drawn, shuffled):
        for replicate in range(3):
            by_hand = []
            for attribute in np.unique(levels.attribute):
                rows = np.flatnonzero(levels.attribute == attribute)
                values = means.means[replicate][:, rows]
                by_hand.append(1 - float(np.mean(values.max(axis=1) - values.min(axis=1))))
            assert fairness_score(means)[replicate] == approx(sum(by_hand) / len(by_hand))


def test_an_empty_cohort_has_no_scores() -> None:
    scores = challenge_scores(np.array([]), np.array([]), table_of([], 0))
    assert (scores.ps, scores.fs, scores.ts, scores.disparities) == (None, None, None, ())


def test_scores_by_hand(worked: d.LevelMeans) -> None:
    np.testing.assert_allclose(d.gap(worked)[0], [0.2, 0.2 / 3])
    np.testing.assert_allclose(d.gap(worked, outcome=1)[0], [0.3, 0.0], atol=1e-15)
    np.testing.assert_allclose(d.lowest(worked)[0], [0.6, 1.7 / 3])
    np.testing.assert_allclose(d.highest(worked)[0], [0.8, 1.9 / 3])
    np.testing.assert_allclose(d.attribute_disparity(worked)[0], [0.25, 0.1 / 3])
    assert d.fairness_score(worked)[0] == pytest.approx(1 - (0.25 + 0.1 / 3) / 2)
    np.testing.assert_allclose(d.level_sd(worked)[0], [np.std([0.8, 0.6, 0.6]), 0.1 / 3])
    np.testing.assert_allclose(
        d.level_sd(worked, variant="sample")[0], [np.std([0.8, 0.6, 0.6], ddof=1), np.std([1.7, 1.9], ddof=1) / 3]
    )
    np.testing.assert_allclose(d.error_ratio(worked)[0], [0.4 / 0.2, 1.3 / 1.1])
    np.testing.assert_allclose(d.equity_scaled(worked)[0], 0.6 / (1 + np.array([np.std([0.8, 0.6, 0.6]), 0.1 / 3])))
    np.testing.assert_allclose(
        d.equity_scaled(worked, variant="sum")[0], 0.6 / (1 + np.array([0.2, 0.1 / 3 + 0.1 / 3]))
    )
    np.testing.assert_allclose(
        d.equity_scaled(worked, variant="sd-sample")[0], 0.6 / (1 + d.level_sd(worked, variant="sample")[0])
    )


def test_small_levels_and_empty_attributes() -> None:
    levels = d.stack_levels(np.array([[0, 0, 1, 1, 2, 0], [-1, -1, -1, -1, -1, -1], [0, 0, 0, 0, 0, 0]]), min_cases=2)
    assert levels.level.tolist() == [0, 1, 0]
    assert levels.counts.tolist() == [3, 2, 6]
    means = d.observed_level_means(levels, np.stack([DSC, NORMHD]))
    gaps = d.gap(means)[0]
    assert np.isnan(gaps[1])
    assert gaps[2] == 0.0
    assert d.fairness_score(means)[0] == pytest.approx(1 - (d.attribute_disparity(means)[0, 0] + 0) / 2)
    assert np.isnan(d.level_sd(means, variant="sample")[0, 2])
    nothing = d.observed_level_means(d.stack_levels(np.full((1, 6), -1)), np.stack([DSC, NORMHD]))
    assert np.isnan(d.fairness_score(nothing)).all()


def test_an_error_ratio_without_errors() -> None:
    levels = d.stack_levels(np.array([[0, 0, 1, 1]]))
    some = d.observed_level_means(levels, np.array([[1.0, 1.0, 0.5, 0.5]]))
    none = d.observed_level_means(levels, np.ones((1, 4)))
    assert np.isinf(d.error_ratio(some)[0, 0])
    assert np.isnan(d.error_ratio(none)[0, 0])


@pytest.mark.filterwarnings("error")
def test_the_spread_of_one_level_is_undefined_without_a_word() -> None:
    means = d.observed_level_means(d.stack_levels(np.array([[0, 0, 0], [0, 0, 1]])), np.array([[0.5, 0.7, 0.9]]))
    spread = d.level_sd(means, variant="sample")[0]
    assert np.isnan(spread[0])
    # Levels of means .6 and .9: each .15 from the middle.
    assert spread[1] == pytest.approx((2 * 0.15**2) ** 0.5)


def test_the_weight_of_fairness_is_named(worked: d.LevelMeans) -> None:
    """Whose weight it is nobody could tell from a number alone."""
    with pytest.raises(TypeError):
        d.total_score(worked, 0.5)  # type: ignore[misc]
    assert d.total_score(worked, weight=0.0) == d.performance_score(worked)
    assert d.total_score(worked, weight=1.0) == d.fairness_score(worked)
