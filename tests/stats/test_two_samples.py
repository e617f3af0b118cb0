"""Two independent cohorts: by hand, against textbook intervals, and how often nothing is taken for something."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from segfair.stats.two_samples import Sample, effective_size, rake, standardised_means, two_sample_test


def sample(
    values: list[float] | np.ndarray, *rows: list[int] | np.ndarray, subjects: list[int] | None = None
) -> Sample:
    members = np.array(rows if rows else [np.ones(len(values))], dtype=bool)
    return Sample(members, np.array(values, dtype=float), None if subjects is None else np.array(subjects))


def test_differences_are_those_of_the_means() -> None:
    """Members 1, 2 (mean 1.5) and everybody 2 against 5 and 4.5; against the rest 1.5 - 3 and 5 - 4."""
    first = sample([1, 2, 3], [1, 1, 0], [1, 1, 1])
    second = sample([5, 4], [1, 0], [1, 1])
    rng = np.random.default_rng(0)
    plain = two_sample_test(first, second, rng=rng, draws=50, min_cases=1)
    assert plain.difference == pytest.approx([3.5, 2.5])
    assert plain.tested.tolist() == [False, True], "a row of one case in a cohort is not tested"
    rest = two_sample_test(first, second, rng=rng, draws=50, min_cases=1, against_rest=True)
    assert rest.difference[0] == pytest.approx(1 - (-1.5))
    assert np.isnan(rest.difference[1]), "nobody is left outside of everybody"
    assert not rest.tested.any()
    assert np.isnan(rest.simultaneous).all() and np.isnan(rest.p_adjusted).all()


def test_a_single_comparison_has_the_interval_of_welch() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(0, 1, 80), rng.normal(0.4, 1.5, 120)
    test = two_sample_test(sample(one), sample(other), rng=rng, draws=4000)
    low, high = scipy.stats.ttest_ind(other, one, equal_var=False).confidence_interval()
    assert test.simultaneous[0] == pytest.approx([low, high], abs=0.06)
    assert test.p_value[0] == test.p_adjusted[0]


def test_nothing_is_found_where_there_is_nothing() -> None:
    """Twelve rows of cohorts of 40 and 70 alike: beyond chance at most as often as the level allows."""
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(150):
        sides = []
        for n in (40, 70):
            codes = rng.integers(0, 4, (3, n))
            members = np.concatenate([code == np.arange(4)[:, None] for code in codes])
            sides.append(Sample(members, rng.beta(8, 2, n)))
        test = two_sample_test(sides[0], sides[1], rng=rng, draws=199)
        found += bool(np.nanmin(np.append(test.p_adjusted, 1.0)) <= 0.05)
    assert found <= 150 * 0.05 + 3 * np.sqrt(150 * 0.05 * 0.95)


def test_a_subgroup_that_changed_is_found_and_its_interval_excludes_nothing() -> None:
    rng = np.random.default_rng(3)
    half = np.arange(100) < 50
    before, after = rng.normal(0.8, 0.05, 100), rng.normal(0.8, 0.05, 100) - 0.1 * half
    rows = np.array([half, ~half])
    test = two_sample_test(Sample(rows, before), Sample(rows, after), rng=rng, draws=500)
    assert test.p_adjusted[0] < 0.01 < 0.05 < test.p_adjusted[1]
    assert test.simultaneous[0, 1] < 0 < test.simultaneous[1, 1]


def test_cases_of_one_patient_tell_less() -> None:
    rng = np.random.default_rng(4)
    of_patient = rng.normal(0, 1, 20)
    values = np.repeat(of_patient, 5) + rng.normal(0, 0.1, 100)
    subjects = np.repeat(np.arange(20), 5).tolist()
    other = sample(rng.normal(0, 1, 100))
    alone = two_sample_test(sample(values), other, rng=rng, draws=800)
    together = two_sample_test(sample(values, subjects=subjects), other, rng=rng, draws=800)
    widths = [float(np.diff(test.simultaneous[0])[0]) for test in (alone, together)]
    assert widths[1] > 1.5 * widths[0]


def test_outcomes_that_never_vary() -> None:
    same = two_sample_test(sample([0.5] * 12), sample([0.5] * 12), rng=np.random.default_rng(0), draws=50)
    assert same.difference[0] == 0 and same.p_adjusted[0] == 1
    other = two_sample_test(sample([0.5] * 12), sample([0.7] * 12), rng=np.random.default_rng(0), draws=50)
    assert other.p_adjusted[0] == pytest.approx(1 / 51)


def test_raking_gives_the_wanted_shares() -> None:
    """Two attributes: 4 of 6 and 3 of 6 cases, all four combinations; wanted are halves of both."""
    pair = [np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])]
    weights = rake(np.ones((1, 6)), pair, [np.array([0.5, 0.5]), np.array([0.5, 0.5])])[0]
    for code in pair:
        assert np.bincount(code, weights=weights) == pytest.approx([0.5, 0.5], abs=1e-6)
    assert weights[0] == weights[1] == weights[2], "cases of one cell count alike"
    codes = [np.array([0, 0, 0, 1])]
    single = rake(np.ones((1, 4)), codes, [np.array([0.25, 0.75])])[0]
    assert single == pytest.approx([1 / 12, 1 / 12, 1 / 12, 0.75])
    assert effective_size(single) == pytest.approx(1 / (3 / 144 + 0.5625))
    assert effective_size(np.ones(7)) == 7


def test_a_standardised_mean_by_hand() -> None:
    """Levels with means 1 and 3, half each wanted: 2, whatever their shares; the interval is about that."""
    values = np.array([1.0] * 30 + [3.0] * 10)
    codes = [np.array([0] * 30 + [1] * 10)]
    mean, resampled, effective = standardised_means(
        values, codes, [np.array([0.5, 0.5])], rng=np.random.default_rng(0), draws=60
    )
    assert mean == pytest.approx(2.0)
    assert resampled == pytest.approx(np.full(60, 2.0)), "levels do not vary, so that nothing is left to chance"
    assert effective == pytest.approx(1 / (30 * (0.5 / 30) ** 2 + 10 * (0.5 / 10) ** 2))
