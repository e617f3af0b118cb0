"""The embedded cohort in memory: deterministic, with the quotas and the deficit that it claims."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.phantom.draws import SMALL, draw

from segfair.errors import ConfigError
from segfair.phantom import (
    Mechanism,
    PhantomCase,
    predict_weakly,
    sample_cases,
)

ATTRIBUTES = ("age_group", "breast_density", "menopause", "site")
PLANTED = frozenset({("age_group", "41-50"), ("breast_density", "d")})


def dice(prediction: NDArray[np.uint8], label: NDArray[np.uint8]) -> float:
    return float(2 * np.count_nonzero(prediction & label) / (np.count_nonzero(prediction) + label.sum()))


def scores(cases: list[PhantomCase], *, bias: bool, seed: int = 0) -> NDArray[np.float64]:
    streams = np.random.default_rng([seed, 1]).spawn(len(cases))
    return np.array(
        [dice(predict_weakly(case, rng=rng, bias=bias), case.label) for case, rng in zip(cases, streams, strict=True)]
    )


def same(one: PhantomCase, other: PhantomCase) -> bool:
    return (
        one.id == other.id
        and one.metadata == other.metadata
        and one.planted == other.planted
        and one.image.tobytes() == other.image.tobytes()
        and one.label.tobytes() == other.label.tobytes()
    )


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = draw(3, seed=5), draw(3, seed=5), draw(3, seed=6)
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a.image, b.image) for a, b in zip(first, other, strict=True))


def test_one_generator_gives_new_cases_at_each_call_in_the_order_of_the_calls() -> None:
    rng = np.random.default_rng(3)
    first = sample_cases(2, rng=rng, size=SMALL, prefix="TR")
    second = list(sample_cases(2, rng=rng, size=SMALL, prefix="TE"))
    assert [case.id for case in second] == ["TE0001", "TE0002"]
    rng = np.random.default_rng(3)
    expected = list(sample_cases(2, rng=rng, size=SMALL, prefix="TR"))
    assert all(same(a, b) for a, b in zip(first, expected, strict=True))
    assert not np.array_equal(expected[0].image, second[0].image)


def test_a_case_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = draw(2, seed=8), draw(5, seed=8)
    assert all(same(a, b) for a, b in zip(few, many, strict=False))
    quota_of_five = draw(5, seed=8, planted_cases=2)
    quota_of_seven = draw(7, seed=8, planted_cases=2)
    alike = [(a, b) for a, b in zip(quota_of_five, quota_of_seven, strict=False) if a.planted == b.planted]
    assert len(alike) >= 3
    assert all(same(a, b) for a, b in alike)


def test_the_bias_changes_nothing_but_the_look_of_planted_tumours() -> None:
    biased, fair = draw(6, planted_cases=2), draw(6, planted_cases=2, bias=False)
    assert [case.planted for case in biased] == [case.planted for case in fair]
    for one, other in zip(biased, fair, strict=True):
        assert one.metadata == other.metadata
        assert np.array_equal(one.label, other.label)
        assert np.array_equal(one.image, other.image) == (not one.planted)


def test_predictions_are_deterministic_and_biased_only_in_the_planted_subgroup() -> None:
    for case in draw(6, planted_cases=3):
        biased = predict_weakly(case, rng=np.random.default_rng(2), bias=True)
        again = predict_weakly(case, rng=np.random.default_rng(2), bias=True)
        fair = predict_weakly(case, rng=np.random.default_rng(2), bias=False)
        assert biased.dtype == np.uint8
        assert set(np.unique(biased)) <= {0, 1}
        assert np.array_equal(biased, again)
        assert np.array_equal(biased, fair) == (not case.planted)


def test_the_training_cohort_is_frozen() -> None:
    """What strategies were compared on: whoever changes these numbers measures every comparison again."""
    cases = draw(4, seed=10, size=(32, 32, 32), planted_cases=2)
    assert [case.planted for case in cases] == [False, True, False, True]
    assert [case.metadata["breast_density"] for case in cases] == ["d", "d", "a", "d"]
    assert [case.label.sum() for case in cases] == pytest.approx([460, 280, 262, 447], abs=2)
    means = [[phase[case.label == 1].mean() for phase in case.image] for case in cases]
    expected = [[1.147, 4.533, 3.840], [1.325, 1.005, 0.991], [1.868, 5.417, 4.396], [1.495, 1.041, 1.052]]
    assert np.array(means) == pytest.approx(np.array(expected), abs=0.02)


def test_the_deficit_is_there_with_a_bias_and_gone_without() -> None:
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(3):
        cases = draw(60, seed, planted_cases=20)
        planted = np.array([case.planted for case in cases])
        for bias, found in gaps.items():
            dsc = scores(cases, bias=bias, seed=seed)
            rest = dsc[~planted]
            found.append(dsc[planted].mean() - rest.mean())
            assert 0.75 < rest.mean() < 0.9
            if bias:
                assert dsc[planted].std() > 0.05
                # The distributions overlap: no threshold separates the groups.
                assert dsc[planted].max() > np.percentile(rest, 10)
    assert max(gaps[True]) < -0.12
    # Without a bias the gap is noise: three standard errors of the mean of three gaps, sd .12, 20 and 40 cases.
    assert abs(np.mean(gaps[False])) < 3 * 0.12 * np.sqrt((1 / 20 + 1 / 40) / 3)


def harm_ranking(cases: list[PhantomCase], dsc: NDArray[np.float64]) -> list[frozenset[tuple[str, str]]]:
    """Subgroups of one or two attributes and at least 10 cases, by Welch's t against everybody else."""
    columns = [
        {(name, str(case.metadata[name])) for name in ATTRIBUTES if case.metadata[name] is not None} for case in cases
    ]
    items = sorted(set().union(*columns))
    found = []
    for subgroup in itertools.chain(itertools.combinations(items, 1), itertools.combinations(items, 2)):
        inside = np.array([column >= set(subgroup) for column in columns])
        if 10 <= inside.sum() <= len(cases) - 2:
            one, other = dsc[inside], dsc[~inside]
            error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
            found.append(((one.mean() - other.mean()) / error, frozenset(subgroup)))
    return [subgroup for _, subgroup in sorted(found, key=lambda pair: pair[0])]


@pytest.mark.parametrize("seed", range(10))
def test_the_planted_subgroup_leads_a_ranking_made_by_hand(seed: int) -> None:
    cases = draw(60, seed, planted_cases=12)
    first = harm_ranking(cases, scores(cases, bias=True, seed=seed))[0]
    assert first <= PLANTED or first >= PLANTED, first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (64, 64, 8)}, "size 64 x 64 x 8: three sides of at least 16"),
        ({"size": (64, 64)}, "three sides"),
        ({"n_cases": 3, "planted_cases": 4}, "got 4, expected 0 to 3"),
        ({"n_cases": -1}, "expected 0 or more"),
        ({"mechanism": "fading"}, "not one of faint, moderate, texture, three-attribute, rim, hidden"),
        ({"mechanism": Mechanism("x", {"site": "Z"}, "hidden", "")}, "match nobody or all"),
        ({"mechanism": Mechanism("x", {}, "hidden", "")}, "match nobody or all"),
    ],
)
def test_impossible_settings_are_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sample_cases(**{"n_cases": 2, "rng": np.random.default_rng(0), **options})
