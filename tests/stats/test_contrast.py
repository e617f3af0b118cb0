"""The one formula against its special cases: Welch, Student, strata by hand, least squares."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from segfair.stats.contrast import families, prepare_contrast, quantile_blocks
from segfair.stats.permutation import max_t


@pytest.fixture
def cohort() -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(5)
    members = rng.random((4, 60)) < np.array([[0.2], [0.5], [0.4], [0.7]])
    return members, rng.beta(4, 1.3, 60), rng


def t_of(members: np.ndarray, outcome: np.ndarray, **options: object) -> np.ndarray:
    prepared = prepare_contrast(members, **options)  # type: ignore[arg-type]
    return prepared.t(prepared.residual(outcome)[None])[:, 0]


def test_without_prior_it_is_welch(cohort: tuple[np.ndarray, np.ndarray, np.random.Generator]) -> None:
    members, outcome, _ = cohort
    expected = [scipy.stats.ttest_ind(outcome[row], outcome[~row], equal_var=False).statistic for row in members]
    np.testing.assert_allclose(t_of(members, outcome, prior_df=0.0), expected, rtol=1e-10)


def test_with_an_overwhelming_prior_it_is_student(
    cohort: tuple[np.ndarray, np.ndarray, np.random.Generator],
) -> None:
    members, outcome, _ = cohort
    expected = [scipy.stats.ttest_ind(outcome[row], outcome[~row]).statistic for row in members]
    np.testing.assert_allclose(t_of(members, outcome, prior_df=1e12), expected, rtol=1e-8)


def test_moderated_variance_by_hand() -> None:
    # Members 0, 2; rest 4, 6, 8: sums of squares 2 and 8, pooled variance 10 / 3. With 3 prior degrees of freedom the
    # variances are (10 + 2) / 4 = 3 and (10 + 8) / 5 = 3.6; the squared error is 3 / 2 + 3.6 / 3 = 2.7.
    outcome = np.array([0.0, 2.0, 4.0, 6.0, 8.0])
    members = np.array([[1, 1, 0, 0, 0]], dtype=bool)
    prepared = prepare_contrast(members, prior_df=3.0)
    difference, error = prepared.compare(prepared.residual(outcome)[None])
    assert difference[0, 0] == pytest.approx(-5.0)
    assert error[0, 0] == pytest.approx(np.sqrt(2.7))


def test_within_strata_by_hand() -> None:
    # Stratum 0: members 1, 3, other 5; stratum 1: member 10, others 11, 12. Differences -3 and -1.5, both with weight
    # n_members n_rest / n = 2 / 3.
    outcome = np.array([1.0, 3.0, 5.0, 10.0, 11.0, 12.0])
    members = np.array([[1, 1, 0, 1, 0, 0]], dtype=bool)
    prepared = prepare_contrast(members, strata=np.array([0, 0, 0, 1, 1, 1]))
    difference, _ = prepared.compare(prepared.residual(outcome)[None])
    assert difference[0, 0] == pytest.approx(-2.25)


def test_adjusted_difference_is_the_least_squares_coefficient(
    cohort: tuple[np.ndarray, np.ndarray, np.random.Generator],
) -> None:
    members, outcome, rng = cohort
    covariates, strata = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    blocks = strata * 2 + rng.integers(0, 2, 60)
    prepared = prepare_contrast(members, strata=strata, covariates=covariates, blocks=blocks)
    difference, _ = prepared.compare(prepared.residual(outcome)[None])
    for row, found in zip(members, difference[:, 0], strict=True):
        design = np.column_stack([row, covariates, strata == 0, strata == 1, strata == 2]).astype(float)
        assert found == pytest.approx(np.linalg.lstsq(design, outcome)[0][0])


def test_refitting_removes_what_a_rearrangement_leaves_on_the_covariates(
    cohort: tuple[np.ndarray, np.ndarray, np.random.Generator],
) -> None:
    members, outcome, rng = cohort
    covariates = rng.normal(size=(60, 2))
    prepared = prepare_contrast(members, covariates=covariates)
    rearranged = prepared.refit(rng.permuted(prepared.residual(outcome)[None], axis=1))
    columns = covariates[prepared.cells.order]
    np.testing.assert_allclose(rearranged @ (columns - columns.mean(axis=0)), 0, atol=1e-12)
    np.testing.assert_allclose(rearranged.sum(axis=1), 0, atol=1e-12)


def test_what_strata_or_covariates_determine_cannot_be_compared() -> None:
    site = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    members = np.array([site == 0, site != 1, np.arange(9) % 2 == 0, np.ones(9, bool), np.zeros(9, bool)])
    assert prepare_contrast(members, strata=site).identified.tolist() == [False, False, True, False, False]
    assert prepare_contrast(members, covariates=(site == 0)[:, None].astype(float)).identified[0] == False  # noqa: E712


def test_a_constant_outcome_has_no_difference() -> None:
    members = np.array([[1, 1, 0, 0, 0, 0]], dtype=bool)
    assert t_of(members, np.full(6, 0.1 + 0.2)).tolist() == [0.0]


def test_two_constant_groups_have_a_finite_t() -> None:
    members = np.array([[1, 1, 1, 0, 0, 0]], dtype=bool)
    t = t_of(members, np.array([0.5, 0.5, 0.5, 0.8, 0.8, 0.8]))
    assert np.isfinite(t).all()
    assert t[0] < -1e3


def test_quantile_blocks_hold_at_least_ten_cases_of_one_stratum() -> None:
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1, 2], [100, 34, 6])
    values = rng.normal(size=140)
    blocks = quantile_blocks(values, strata, n_blocks=10)
    sizes = {stratum: sorted(np.unique(blocks[strata == stratum], return_counts=True)[1]) for stratum in range(3)}
    assert sizes == {0: [10] * 10, 1: [11, 11, 12], 2: [6]}
    assert np.unique(blocks).tolist() == [*range(10), 10, 11, 12, 20]
    assert quantile_blocks(values, strata, n_blocks=1).tolist() == strata.tolist()
    # Of 28 cases three blocks would have fewer than ten.
    assert np.bincount(quantile_blocks(values[:28], strata[:28], n_blocks=10)).tolist() == [14, 14]
    first = blocks == blocks[np.argmin(np.where(strata == 0, values, np.inf))]
    assert values[first].max() <= values[(strata == 0) & ~first].min()


def test_subjects_decide_the_units() -> None:
    # Subjects 0, 1, 2 with 2, 1 and 2 cases. The first subgroup holds whole subjects, the second divides subject 0.
    subjects = np.array([0, 0, 1, 2, 2])
    outcome = np.array([1.0, 3.0, 8.0, 4.0, 6.0])
    members = np.array([[1, 1, 0, 0, 0], [1, 0, 0, 0, 0]], dtype=bool)
    between, within = families(members, outcome, subjects=subjects, min_divided=1)
    assert between.rows.tolist() == [0]
    assert between.contrast.n.tolist() == [1.0]
    assert (between.evidence.tolist(), within.evidence.tolist()) == ([1.0], [1.0])
    # Subject means 2, 8, 5, around the mean 4.4 of all cases.
    np.testing.assert_allclose(between.outcome, [-2.4, 3.6, 0.6])
    assert within.rows.tolist() == [1]
    difference, _ = within.contrast.compare(within.contrast.residual(outcome)[None])
    assert difference[0, 0] == pytest.approx(-2.0)


def test_a_few_divided_subjects_are_compared_by_their_share() -> None:
    # Ten subjects of two cases; the subgroup holds subjects 0 to 3 and one case of subject 4.
    subjects = np.repeat(np.arange(10), 2)
    outcome = np.random.default_rng(0).normal(size=20)
    members = (np.arange(20) < 9)[None]
    (family,) = families(members, outcome, subjects=subjects, min_divided=2)
    share = np.array([1, 1, 1, 1, 0.5, 0, 0, 0, 0, 0])
    assert family.contrast.n.tolist() == [4.5]
    assert family.evidence.tolist() == [5.0]
    difference, _ = family.contrast.compare(family.contrast.residual(family.outcome)[None])
    slope = np.polyfit(share, outcome.reshape(10, 2).mean(axis=1), 1)[0]
    assert difference[0, 0] == pytest.approx(slope)


def test_one_discordant_patient_does_not_decide_about_a_level() -> None:
    # 200 patients, the last 40 of a level that is worse by 0.2; one of them also has a row of the other level.
    rng = np.random.default_rng(1)
    subjects = np.append(np.arange(200), 199)
    level = np.append(np.arange(200) >= 160, False)
    outcome = 0.8 - 0.2 * level + rng.normal(0, 0.05, 201)
    outcome[-1] = outcome[-2] - 0.3
    test = max_t(level[None], outcome, rng=rng, subjects=subjects, permutations=199)
    assert test.difference[0] == pytest.approx(-0.2, abs=0.03)
    assert test.p_adjusted[0] == pytest.approx(1 / 200)


@pytest.mark.filterwarnings("error")
def test_where_there_is_nobody_else_nothing_moves() -> None:
    contrast = prepare_contrast(np.array([[True] * 4, [True, True, False, False]]))
    residual = contrast.residual(np.array([0.1, 0.2, 0.5, 0.9]))
    weights = np.array([[1.0, 0.0, 0.0, 0.0]])[:, contrast.cells.order]
    moved = contrast.influence(residual, contrast.cells.sums(weights * residual), contrast.cells.sums(weights))
    assert not np.isfinite(moved[0, 0])
    assert np.isfinite(moved[1, 0])
