"""Adjustment: the spline, least squares as oracle, and lesion size as the whole or a part of the story."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

from segfair.stats.adjustment import adjusted_max_t, log_volume, spline_basis
from segfair.stats.contrast import PRIOR_DF, quantile_blocks
from segfair.stats.permutation import max_t


def test_log_volume_of_an_empty_label() -> None:
    np.testing.assert_allclose(log_volume(np.array([0.0, 7.0]), voxel=1.0), [0.0, np.log(8.0)])
    np.testing.assert_allclose(log_volume(np.array([0.0, 6.0]), voxel=np.array([0.5, 2.0])), np.log([0.5, 8.0]))


def test_the_spline_is_smooth_and_straight_outside() -> None:
    values = np.linspace(-3.0, 3.0, 2001)
    basis = spline_basis(values)
    assert basis.shape == (2001, 4)
    assert np.linalg.matrix_rank(np.column_stack([np.ones(2001), basis])) == 5
    curvature = np.diff(basis, n=2, axis=0) / np.diff(values)[0] ** 2
    outside = (values[1:-1] < np.quantile(values, 0.05) - 0.01) | (values[1:-1] > np.quantile(values, 0.95) + 0.01)
    np.testing.assert_allclose(curvature[outside], 0.0, atol=1e-3)
    # Two continuous derivatives: no step of the curvature is out of line with its slope.
    assert np.abs(np.diff(curvature, axis=0)).max() < 0.05 * np.abs(curvature).max()


def test_the_spline_follows_a_curve() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=400)
    design = np.column_stack([np.ones(400), spline_basis(values)])
    curve = np.tanh(values)
    left = curve - design @ np.linalg.lstsq(design, curve)[0]
    assert left.std() < 0.05 * curve.std()


def test_degenerate_covariates() -> None:
    assert spline_basis(np.full(5, 2.0)).shape == (5, 0)
    assert spline_basis(np.array([0.0, 1.0, 1.0, 0.0])).tolist() == [[0.0], [1.0], [1.0], [0.0]]
    assert spline_basis(np.array([])).shape == (0, 0)


def test_adjusted_difference_is_least_squares() -> None:
    rng = np.random.default_rng(1)
    members = rng.random((3, 200)) < 0.4
    covariates = rng.normal(size=(200, 2))
    outcome = rng.random(200) + 0.1 * covariates[:, 0]
    found = adjusted_max_t(members, outcome, covariates, rng=rng, permutations=99)
    columns = [np.ones(200), *spline_basis(covariates[:, 0]).T, *spline_basis(covariates[:, 1]).T]
    for row in range(3):
        design = np.column_stack([members[row], *columns]).astype(float)
        assert found.test.difference[row] == pytest.approx(np.linalg.lstsq(design, outcome)[0][0])
    np.testing.assert_allclose(found.raw_difference, [outcome[row].mean() - outcome[~row].mean() for row in members])
    np.testing.assert_allclose(found.share_explained, 1 - found.test.difference / found.raw_difference)
    assert np.all((found.interval[:, 0] < found.test.difference) & (found.test.difference < found.interval[:, 1]))
    assert np.all(found.simultaneous[:, 0] < found.interval[:, 0])


def test_complements_are_mirrored() -> None:
    rng = np.random.default_rng(2)
    row = rng.random(100) < 0.4
    found = adjusted_max_t(np.array([row, ~row]), rng.random(100), rng.random((100, 1)), rng=rng, permutations=99)
    assert found.test.difference[0] == pytest.approx(-found.test.difference[1])
    assert found.raw_difference[0] == pytest.approx(-found.raw_difference[1])
    np.testing.assert_allclose(found.interval[0], -found.interval[1][::-1])


def lesions(rng: np.random.Generator, n_cases: int, deficit: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group, log volume and Dice; the group's lesions are smaller, Dice falls and spreads where lesions are small."""
    group = rng.random(n_cases) < 0.5
    radius = 8 * np.exp(0.4 * rng.normal(size=n_cases)) * np.where(group, 0.7, 1.0)
    spread = 0.6 / radius
    dice = np.clip(1 - 1.1 / radius - deficit * group + spread * rng.normal(size=n_cases), 0, 1)
    return group, np.log(4 / 3 * np.pi * radius**3 + 1), dice


def test_size_alone_is_explained_and_a_deficit_survives() -> None:
    rng = np.random.default_rng(3)
    raw_found = adjusted_found = survived = covered = 0
    estimates = []
    for _ in range(60):
        group, size, dice = lesions(rng, 300, 0.0)
        members = np.array([group, rng.random(300) < 0.3])
        raw_found += bool(max_t(members, dice, rng=rng, permutations=99).significant()[0])
        result = adjusted_max_t(members, dice, size[:, None], rng=rng, permutations=99)
        adjusted_found += bool(result.test.significant().any())
        estimates.append(result.test.difference[0])
        covered += bool(result.interval[0, 0] <= 0 <= result.interval[0, 1])
        group, size, dice = lesions(rng, 300, 0.06)
        result = adjusted_max_t(np.array([group]), dice, size[:, None], rng=rng, permutations=99)
        survived += bool(result.test.significant()[0])
    assert raw_found > 40
    assert adjusted_found <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)
    assert abs(np.mean(estimates)) < 0.01
    assert survived > 50
    assert covered >= 60 * 0.95 - 3 * np.sqrt(60 * 0.05 * 0.95)


def test_averaging_residuals_would_understate() -> None:
    """The true difference is 1; membership and covariate are related."""
    rng = np.random.default_rng(4)
    covariate = rng.normal(size=2000)
    group = covariate + rng.normal(size=2000) > 0
    outcome = 1.0 * group + covariate + 0.1 * rng.normal(size=2000)
    found = adjusted_max_t(group[None], outcome, covariate[:, None], rng=rng, permutations=99)
    assert found.test.difference[0] == pytest.approx(1.0, abs=0.03)
    design = np.column_stack([np.ones(2000), covariate])
    residual = outcome - design @ np.linalg.lstsq(design, outcome)[0]
    assert residual[group].mean() - residual[~group].mean() < 0.9


def test_what_the_covariate_determines_is_not_tested() -> None:
    rng = np.random.default_rng(5)
    covariate = np.repeat([0.0, 1.0], 30)
    members = np.array([covariate == 1, rng.random(60) < 0.5])
    found = adjusted_max_t(members, rng.random(60), covariate[:, None], rng=rng, permutations=99)
    assert found.test.tested.tolist() == [False, True]
    assert np.isnan(found.interval[0]).all()
    assert np.isfinite(found.raw_difference).all()


def test_a_constant_covariate_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    members, outcome = rng.random((2, 60)) < 0.4, rng.random(60)
    found = adjusted_max_t(members, outcome, np.ones((60, 1)), rng=np.random.default_rng(0), permutations=99)
    plain = max_t(members, outcome, rng=np.random.default_rng(0), permutations=99)
    np.testing.assert_allclose(found.test.t, plain.t)
    np.testing.assert_allclose(found.share_explained, 0.0, atol=1e-9)
    assert adjusted_max_t(members, outcome, np.empty((60, 0)), rng=rng, permutations=99).test.n_tests == 2


def test_strata_and_subjects_are_heeded() -> None:
    rng = np.random.default_rng(7)
    strata = np.repeat([0, 1], 60)
    members = rng.random((1, 120)) < np.where(strata == 0, 0.3, 0.7)
    covariate = rng.normal(size=120)
    outcome = rng.random(120) + strata + 0.2 * covariate
    found = adjusted_max_t(members, outcome, covariate[:, None], rng=rng, permutations=99, strata=strata)
    design = np.column_stack([members[0], strata == 0, strata == 1, spline_basis(covariate)]).astype(float)
    assert found.test.difference[0] == pytest.approx(np.linalg.lstsq(design, outcome)[0][0])
    subjects = np.repeat(np.arange(60), 2)
    whole = np.repeat(rng.random(60) < 0.5, 2)[None]
    found = adjusted_max_t(whole, outcome, covariate[:, None], rng=rng, permutations=99, subjects=subjects)
    means = np.stack([outcome, covariate, whole[0]]).reshape(3, 60, 2).mean(axis=2)
    expected = found.raw_difference[0]
    assert expected == pytest.approx(means[0][means[2] == 1].mean() - means[0][means[2] == 0].mean())
    assert found.test.rest_share[0] == pytest.approx(1 - means[2].mean())
    constant = adjusted_max_t(whole, outcome, np.ones((120, 1)), rng=rng, permutations=99, subjects=subjects)
    assert constant.test.difference[0] == pytest.approx(expected), "nothing is held equal"


def test_too_few_cases() -> None:
    for n_cases in (0, 1, 5):
        members = np.ones((2, n_cases), dtype=bool)
        members[0, :1] = False
        found = adjusted_max_t(
            members, np.arange(n_cases, dtype=float), np.ones((n_cases, 1)), rng=np.random.default_rng(0)
        )
        assert found.test.n_tests == 0
        assert np.isnan(found.simultaneous).all()


def test_the_order_of_the_table_does_not_split_ties() -> None:
    """A covariate of two values: who may change places with whom is decided by the value, not by the row."""
    blocks = quantile_blocks(np.repeat([0.0, 1.0], 50), np.zeros(100, dtype=np.intp), n_blocks=10)
    assert len(np.unique(blocks[:50])) == len(np.unique(blocks[50:])) == 1
    assert blocks[0] != blocks[99]
    # Cases sorted by group: were ties split, nobody could leave its block and no difference could be told from chance.
    rng = np.random.default_rng(0)
    group = np.repeat([True, False, True, False], 25)
    outcome = rng.normal(size=100) - 2.0 * group
    found = adjusted_max_t(group[None], outcome, np.repeat([[0.0], [1.0]], 50, axis=0), rng=rng, permutations=199)
    assert found.test.p_adjusted[0] == pytest.approx(1 / 200)


def test_an_interval_has_the_degrees_of_freedom_of_the_smaller_side() -> None:
    rng = np.random.default_rng(6)
    members = np.array([np.arange(40) < n for n in (1, 2, 12, 30)])
    found = adjusted_max_t(
        members,
        rng.normal(0.8, 0.1, 40),
        rng.normal(size=(40, 1)),
        rng=rng,
        permutations=49,
        min_cases=1,
        confidence=0.9,
    )
    half = (found.interval[:, 1] - found.interval[:, 0]) / 2 / found.test.standard_error
    # One case has as many as two.
    expected = [stdtrit(PRIOR_DF + n - 1, 0.95) for n in (2, 2, 12, 10)]
    np.testing.assert_allclose(half, expected, rtol=1e-9)
