"""A mean over subjects and seeds: by hand, against textbook formulas, and by simulated trainings."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from segfair.stats import mean_over_seeds


def test_by_hand_two_seeds_and_three_subjects() -> None:
    # Seed means 0.2 and 0.4; cases average to 0, 0.2, 0.4, 0.6, in subjects 0, 0, 1, 2.
    differences = np.array([[-0.1, 0.1, 0.3, 0.5], [0.1, 0.3, 0.5, 0.7]])
    found = mean_over_seeds(differences, subjects=np.array([0, 0, 1, 2]))
    assert (found.n_seeds, found.n_cases, found.n_subjects) == (2, 4, 3)
    assert found.over == "subjects and seeds"
    assert found.value == pytest.approx(0.3)
    # Sums of subjects about 0.3: -0.4, 0.1, 0.3; their squares sum to 0.26, so 3/2 * 0.26 / 16 = 0.024375.
    # The variance of the seeds' means is 0.02, so 0.01 for two of them.
    variance = 0.024375 + 0.01
    freedom = variance**2 / (0.024375**2 / 2 + 0.01**2 / 1)
    assert freedom == pytest.approx(2.9759, abs=1e-4)
    reach = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    assert found.ci == pytest.approx((0.3 - reach, 0.3 + reach))


def test_one_seed_and_every_case_a_subject_is_student_s_interval() -> None:
    values = np.random.default_rng(0).normal(0.1, 1, 23)
    found = mean_over_seeds(values[None])
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.over == "subjects"
    assert found.ci == pytest.approx((expected.low, expected.high))


def test_names_of_subjects_and_the_order_of_cases_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    differences, subjects = rng.normal(size=(3, 30)), rng.integers(0, 9, 30)
    order = rng.permutation(30)
    first = mean_over_seeds(differences, subjects=subjects)
    second = mean_over_seeds(differences[::-1][:, order], subjects=100 - 7 * subjects[order])
    assert second.ci == pytest.approx(first.ci)
    assert second.n_subjects == len(np.unique(subjects))


def test_repeating_every_case_within_its_subject_adds_nothing() -> None:
    differences = np.random.default_rng(2).normal(size=(2, 12))
    once = mean_over_seeds(differences, subjects=np.arange(12))
    thrice = mean_over_seeds(np.repeat(differences, 3, axis=1), subjects=np.repeat(np.arange(12), 3))
    assert thrice.ci == pytest.approx(once.ci)
    # As cases of their own they would seem to.
    assert np.ptp(mean_over_seeds(np.repeat(differences, 3, axis=1)).ci) < np.ptp(once.ci)


def test_too_few_subjects_and_no_change() -> None:
    alone = mean_over_seeds(np.array([[0.1, 0.3], [0.2, 0.2]]), subjects=np.array([5, 5]))
    assert (alone.value, alone.ci, alone.n_subjects) == (pytest.approx(0.2), None, 1)
    nothing = mean_over_seeds(np.zeros((3, 8)))
    assert (nothing.value, nothing.ci) == (0.0, (0.0, 0.0))
    # Every case changes alike: no subject can tell otherwise, but the seeds may.
    assert mean_over_seeds(np.full((1, 8), 0.25)).ci == (0.25, 0.25)
    assert mean_over_seeds(np.array([[0.2] * 8, [0.3] * 8])).ci == pytest.approx(
        (0.25 - 12.706 * 0.05, 0.25 + 12.706 * 0.05), abs=1e-4
    )


@pytest.mark.parametrize(
    ("n_seeds", "seed_sd", "least"),
    [(2, 0.02, 0.93), (3, 0.02, 0.94), (5, 0.02, 0.94), (5, 0.05, 0.93), (2, 0.05, 0.87)],
)
def test_the_interval_covers_subjects_and_seeds(n_seeds: int, seed_sd: float, least: float) -> None:
    """Crossed effects: of the subject (two cases each), of the seed, and of both together."""
    rng = np.random.default_rng(7)
    n_subjects, trials = 40, 2000
    subjects = np.repeat(np.arange(n_subjects), 2)
    covered = of_subjects_only = 0
    for _ in range(trials):
        truth = (
            rng.normal(0, 0.1, n_subjects)[subjects]
            + rng.normal(0, seed_sd, (n_seeds, 1))
            + rng.normal(0, 0.1, (n_seeds, n_subjects))[:, subjects]
            + rng.normal(0, 0.05, (n_seeds, 2 * n_subjects))
        )
        low, high = mean_over_seeds(truth, subjects=subjects).ci
        covered += low <= 0 <= high
        low, high = mean_over_seeds(truth.mean(axis=0, keepdims=True), subjects=subjects).ci
        of_subjects_only += low <= 0 <= high
    assert least <= covered / trials <= 0.985
    # What it is for: an interval over subjects alone is too sure.
    assert of_subjects_only < covered - 0.02 * trials
