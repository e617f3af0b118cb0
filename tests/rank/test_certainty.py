"""Ranks on weighted cohorts: against the challenge's own scores, by hand, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.fairness import (
    JudgingRule,
    challenge_scores,
    fairness_score,
    stack_levels,
    total_score,
    weighted_level_means,
)
from segfair.rank.certainty import kendall_tau, leave_one_out_scores, rank_stability, rank_teams, told_apart

N_TEAMS, N_CASES = 6, 60
RULES = {"all": JudgingRule(), "min-cases": JudgingRule(12, 2)}


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(3)
    codes = np.array([rng.integers(-1, 5, N_CASES), rng.integers(0, 3, N_CASES), np.full(N_CASES, 2)], dtype=np.int16)
    codes[0, 7] = 5  # a level with one case
    return rng.beta(6, 2, (N_TEAMS, N_CASES)), rng.gamma(2, 0.2, (N_TEAMS, N_CASES)), codes


def level_means(dsc, normhd, codes, weights, rule: str = "all"):
    outcomes = np.stack([dsc, normhd], axis=1)
    return weighted_level_means(stack_levels(codes), outcomes, weights, rule=RULES[rule])


def mean_scores(values, weights):
    nothing = stack_levels(np.empty((0, values.shape[1]), dtype=int))
    return weighted_level_means(nothing, values[:, None], weights, rule=JudgingRule()).overall[..., 0]


def scores_by_challenge(dsc, normhd, codes, rule: str):
    """TS of each team by the module that scores a single one."""
    attributes = AttributeTable(
        tuple(map(str, range(codes.shape[1]))),
        tuple(Attribute(f"a{row}", tuple("abcdef"), code, "column", "") for row, code in enumerate(codes)),
        {},
    )
    found = [challenge_scores(a, b, attributes, rule=RULES[rule]) for a, b in zip(dsc, normhd, strict=True)]
    return np.array([entry.ts for entry in found])


@pytest.mark.parametrize("rule", RULES)
def test_unit_weights_give_the_challenges_scores(cohort, rule: str) -> None:
    dsc, normhd, codes = cohort
    ts = total_score(level_means(dsc, normhd, codes, np.ones((1, N_CASES)), rule), weight=0.5)
    np.testing.assert_allclose(ts[0], scores_by_challenge(dsc, normhd, codes, rule), rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_leaving_a_case_out_is_scoring_the_others(cohort, rule: str) -> None:
    dsc, normhd, codes = cohort
    patients, scores = leave_one_out_scores(
        lambda weights: total_score(level_means(dsc, normhd, codes, weights, rule), weight=0.5), n_cases=N_CASES
    )
    assert [cases.tolist() for cases in patients] == [[case] for case in range(N_CASES)]
    for case in range(N_CASES):
        rest = np.delete(np.arange(N_CASES), case)
        expected = scores_by_challenge(dsc[:, rest], normhd[:, rest], codes[:, rest], rule)
        np.testing.assert_allclose(scores[case], expected, rtol=1e-12)


def test_whole_weights_are_repeated_cases(cohort) -> None:
    dsc, normhd, codes = cohort
    repeats = np.random.default_rng(0).integers(0, 4, N_CASES)
    again = np.repeat(np.arange(N_CASES), repeats)
    ts = total_score(level_means(dsc, normhd, codes, repeats[None].astype(float)), weight=0.5)
    np.testing.assert_allclose(
        ts[0], scores_by_challenge(dsc[:, again], normhd[:, again], codes[:, again], "all"), rtol=1e-12
    )


def test_patients_leave_with_all_their_cases() -> None:
    values = np.array([[1.0, 0.0, 0.5, 0.5]])
    subjects = np.array([7, 7, 3, 5])
    patients, scores = leave_one_out_scores(lambda weights: mean_scores(values, weights), n_cases=4, subjects=subjects)
    assert [cases.tolist() for cases in patients] == [[2], [3], [0, 1]]
    np.testing.assert_allclose(scores[:, 0], [0.5, 0.5, 0.5])


@pytest.mark.parametrize("subjects", [None, np.array([4, 4, 4])])
def test_a_single_patient_cannot_be_left_out(subjects) -> None:
    n_cases = 1 if subjects is None else 3
    patients, scores = leave_one_out_scores(
        lambda weights: mean_scores(np.ones((2, n_cases)), weights), n_cases=n_cases, subjects=subjects
    )
    assert patients == []
    assert scores.shape == (0, 2)


def test_fairness_is_undefined_without_an_attribute_that_counts(cohort) -> None:
    dsc, normhd, codes = cohort
    means = weighted_level_means(
        stack_levels(codes), np.stack([dsc, normhd], axis=1), np.ones((1, N_CASES)), rule=JudgingRule(N_CASES, 2)
    )
    assert np.isnan(fairness_score(means)).all()
    assert np.isnan(total_score(means, weight=0.5)).all()


def test_ranks_by_hand() -> None:
    assert rank_teams(np.array([0.7, 0.9, 0.7, 0.1])).tolist() == [2, 1, 2, 4]
    assert rank_teams(np.array([0.3, 0.1 + 0.2])).tolist() == [1, 1], "rounding orders nobody"
    assert rank_teams(np.array([[1.0, 2.0], [2.0, 1.0]])).tolist() == [[2, 1], [1, 2]]


def stability(values, seed: int = 0, subjects=None):
    return rank_stability(
        lambda weights: mean_scores(values, weights),
        n_cases=values.shape[1],
        rng=np.random.default_rng(seed),
        draws=400,
        subjects=subjects,
    )


def test_rank_intervals_and_probabilities_belong_together(cohort) -> None:
    dsc = cohort[0]
    found = stability(dsc)
    ranks = rank_teams(dsc.mean(axis=1))
    assert ((found.low <= ranks) & (ranks <= found.high)).all()
    assert found.first.sum() == pytest.approx(1)
    assert (found.first[found.low > 1] <= 0.025).all()
    np.testing.assert_allclose(found.beats + found.beats.T, 1)


def test_all_teams_share_the_weights_of_a_cohort(cohort) -> None:
    dsc = cohort[0]
    order = np.array([3, 1, 5, 0, 4, 2])
    one, other = stability(dsc), stability(dsc[order])
    np.testing.assert_allclose(other.first, one.first[order])
    assert other.low.tolist() == one.low[order].tolist()
    ahead = np.vstack([dsc, dsc[2] + 1e-6])
    assert stability(ahead).beats[-1, 2] == 1.0, "better in every case is better in every cohort"


def test_equal_teams_share_first_place_evenly() -> None:
    values = np.tile(np.linspace(0, 1, 20), (4, 1))
    found = stability(values)
    np.testing.assert_allclose(found.first, 0.25)
    assert found.low.tolist() == found.high.tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(found.beats, 0.5)


def test_cases_of_one_patient_count_as_one() -> None:
    rng = np.random.default_rng(1)
    per_patient = rng.normal(0, 1, (2, 5))
    values = np.repeat(per_patient, 40, axis=1)
    subjects = np.repeat(np.arange(5), 40)
    apart, together = stability(values), stability(values, subjects=subjects)
    assert abs(together.first[0] - 0.5) < abs(apart.first[0] - 0.5), "five patients are less sure than 200 cases"


def test_tau_is_scipys() -> None:
    rng = np.random.default_rng(5)
    declared = rank_teams(rng.integers(0, 5, 8).astype(float))
    ranks = rank_teams(rng.integers(0, 4, (60, 8)).astype(float))
    expected = [kendalltau(declared, other).statistic for other in ranks]
    np.testing.assert_allclose(kendall_tau(declared, ranks), expected, atol=1e-12)


def test_tau_of_orders_by_hand() -> None:
    """One of three pairs turned round: (2 - 1) / 3. All tied: no order to agree with."""
    declared = np.array([1, 2, 3])
    found = kendall_tau(declared, np.array([[1, 2, 3], [2, 1, 3], [3, 2, 1], [1, 1, 1]]))
    np.testing.assert_allclose(found, [1, 1 / 3, -1, np.nan])
    assert np.isnan(kendall_tau(np.array([1]), np.array([[1]]))).all()


def resampled_means(values: np.ndarray, rng: np.random.Generator, draws: int = 500) -> np.ndarray:
    weights = rng.exponential(size=(draws, values.shape[1]))
    return (weights / weights.sum(axis=1, keepdims=True)) @ values.T


def test_equal_teams_are_hardly_ever_told_apart() -> None:
    """Six teams of the same quality, in 150 cohorts of 60 cases: at a level of 5 % at most 15 in all but 1 of 100."""
    wrong = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(6, 60))
        wrong += bool(told_apart(values.mean(axis=1), resampled_means(values, rng), n_units=60).any())
    assert wrong <= 15


def test_a_clear_difference_helps_to_see_the_next() -> None:
    """Told apart pairs leave the family: with a third team far behind, the other pair is judged nearly alone."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 200)) * 0.1
    values -= values.mean(axis=1, keepdims=True)
    values += np.array([[0.023], [0.0], [-5.0]])
    resampled = resampled_means(values, rng, draws=4000)
    found = told_apart(values.mean(axis=1), resampled, n_units=200)
    assert found[:, 2].tolist() == [True, True, False]
    pair = told_apart(values[:2].mean(axis=1), resampled[:, :2], n_units=200)
    assert found[0, 1] == pair[0, 1]
    assert not (found & found.T).any()


def test_what_no_cohort_changes_is_told_apart_and_one_patient_tells_nothing() -> None:
    same = np.tile([0.9, 0.8, 0.8], (50, 1))
    found = told_apart(np.array([0.9, 0.8, 0.8]), same, n_units=10)
    assert found.tolist() == [[False, True, True], [False] * 3, [False] * 3]
    moving = same + np.random.default_rng(0).normal(size=same.shape) * 1e-3
    assert not told_apart(np.array([0.9, 0.8, 0.8]), moving, n_units=1).any()
    assert not told_apart(np.array([0.9, 0.8, 0.8]), same, n_units=1).any(), "whose cohorts are all alike"
