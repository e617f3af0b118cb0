"""Which subgroups are named, and how seldom one too many."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from segfair.stats import limit
from segfair.stats.findings import Named, _owners, explain, worst_off
from segfair.stats.permutation import max_t

SHARES = ((0.2, 0.3, 0.3, 0.2), (0.3, 0.4, 0.3), (0.4, 0.35, 0.25))
PAIR = ((0, 1), (1, 2))


def named(
    members: np.ndarray, outcome: np.ndarray, lengths: list[int], harm: int = -1, **options: Any
) -> tuple[Named, ...]:
    settings = {"rng": np.random.default_rng(0), "draws": 60, "permutations": 199} | options
    return explain(members, outcome, lengths=np.array(lengths), harm=harm, **settings)


def noise(n_cases: int, sd: float = 0.1) -> np.ndarray:
    """The same numbers for every group of ten cases, so that groups of whole tens differ by their gaps alone."""
    ten = np.linspace(-1.5, 1.5, 10)
    return sd * np.tile(ten[np.random.default_rng(4).permutation(10)], n_cases // 10)


def group(n_cases: int, *ranges: tuple[int, int]) -> np.ndarray:
    member = np.zeros(n_cases, dtype=bool)
    for first, last in ranges:
        member[first:last] = True
    return member


@pytest.mark.parametrize("harm", [-1, 1])
def test_the_harmed_side_is_named_not_the_others(harm: int) -> None:
    first = group(100, (0, 50))
    outcome = noise(100) + 0.2 * harm * first
    for members in (np.array([first, ~first]), np.array([~first, first])):
        (only,) = named(members, outcome, [1, 1], harm)
        assert (members[only.row] == first).all()
        # Read the other way round, the others are the ones who are worse.
        (other,) = named(members, outcome, [1, 1], -harm)
        assert (members[other.row] == ~first).all()


def test_of_two_descriptions_of_the_same_cases_the_shorter_is_named() -> None:
    members = np.repeat(group(100, (0, 30))[None], 3, axis=0)
    (only,) = named(members, noise(100) - 0.2 * members[0], [3, 1, 2])
    assert only.row == 1
    assert only.explains.tolist() == [0, 1, 2]


def test_a_corner_with_hardly_more_evidence_is_not_named_and_one_with_much_more_is() -> None:
    level, corner = group(200, (0, 60)), group(200, (0, 40))
    members = np.array([level, corner])

    def outcome(corner_gap: float, rest_gap: float) -> np.ndarray:
        return noise(200) - corner_gap * corner - rest_gap * (level & ~corner)

    near, far = outcome(0.13, 0.05), outcome(0.13, 0.0)
    t = [np.abs(max_t(members, values, rng=np.random.default_rng(0), permutations=99).t) for values in (near, far)]
    assert t[0][0] < t[0][1] < t[0][0] + 0.75
    assert t[1][1] > t[1][0] + 0.75
    assert named(members, near, [1, 2])[0].row == 0
    assert [one.row for one in named(members, far, [1, 2])] == [1]


def test_two_gaps_are_named_one_after_the_other_each_within_the_first() -> None:
    # The first 50 are worse by .3, every fifth ten by .2: the second gap is the same within both parts.
    first, second = group(200, (0, 50)), group(200, *((50 * k, 50 * k + 10) for k in range(4)))
    members = np.array([first & second, second, first])
    steps = named(members, noise(200) - 0.3 * first - 0.2 * second, [2, 1, 1])
    assert [one.row for one in steps] == [2, 1]
    assert steps[0].test.difference[2] == pytest.approx(-0.3)
    assert steps[1].test.difference[1] == pytest.approx(-0.2)
    # The corner that both share is significant, and belongs to one of them; nobody is explained twice.
    assert steps[0].test.significant().all()
    assert sorted(np.concatenate([one.explains for one in steps])) == [0, 1, 2]
    assert all(one.row in one.explains for one in steps)


def test_two_strong_gaps_of_half_the_cohort_are_named_not_the_corner_that_they_share() -> None:
    # Halves that cross: the corner of both has the largest t, 1.15 times theirs.
    first, second = group(200, (0, 100)), group(200, (50, 150))
    corners = [a & b for a in (first, ~first) for b in (second, ~second)]
    members = np.array([*corners, first, ~first, second, ~second])
    steps = named(members, noise(200) - 0.15 * first - 0.14 * second, [2] * 4 + [1] * 4)
    assert np.argmax(np.abs(steps[0].test.t)) == 0
    assert [one.row for one in steps] == [4, 6]
    # Only the corner itself is worse: it is named, although halves are significant too.
    steps = named(members, noise(200) - 0.15 * corners[0], [2] * 4 + [1] * 4)
    assert steps[0].test.significant()[[4, 6]].all()
    assert [one.row for one in steps] == [0]


def test_shares_of_resamples_sum_to_one() -> None:
    members = np.array([group(200, (0, 60)), group(200, (0, 40)), group(200, (100, 160)), group(200, (0, 4))])
    outcome = noise(200) - 0.12 * members[0] - 0.07 * members[2]
    steps = named(members, outcome, [1, 2, 1, 2])
    assert len(steps) == 2
    for one in steps:
        assert one.lead.shape == (4,)
        assert one.lead.sum() == pytest.approx(1)
        assert one.lead[3] == 0  # too small to be judged
    test = max_t(members, outcome, rng=np.random.default_rng(0), permutations=99)
    row, lead = worst_off(
        members, outcome, test, lengths=np.array([1, 2, 1, 2]), harm=-1, rng=np.random.default_rng(0), draws=60
    ) or (None, np.zeros(4))
    assert row == steps[0].row
    assert lead.sum() == pytest.approx(1)


def test_nothing_is_named_without_evidence() -> None:
    members = np.array([group(100, (0, 50)), group(100, (20, 40)), group(100, (0, 5))])
    assert named(members, np.full(100, 0.7), [1, 1, 1]) == ()
    assert named(members, noise(100), [1, 1, 1]) == ()
    # A gap of five cases is below `min_cases`.
    assert named(members[2:], noise(100) - 0.5 * members[2], [1]) == ()
    assert named(np.zeros((0, 100), dtype=bool), noise(100), []) == ()


def test_no_worst_where_nobody_stands_behind() -> None:
    members = group(100, (0, 30))[None]
    outcome = noise(100) + 0.2 * members[0]
    test = max_t(members, outcome, rng=np.random.default_rng(0), permutations=99)
    options = {"lengths": np.array([1]), "rng": np.random.default_rng(0), "draws": 10}
    assert worst_off(members, outcome, test, harm=-1, **options) is None
    assert (worst_off(members, outcome, test, harm=1, **options) or (None,))[0] == 0
    # Hardly better is not worse either.
    outcome = noise(100) + 0.001 * members[0]
    test = max_t(members, outcome, rng=np.random.default_rng(0), permutations=99)
    assert 0 < test.t[0] < 0.5
    assert worst_off(members, outcome, test, harm=-1, **options) is None


def test_a_patient_with_many_cases_is_one_patient() -> None:
    # Twelve patients of ten cases; four of them, by chance alike, would be a finding as forty cases.
    subjects = np.repeat(np.arange(12), 10)
    members = (subjects < 4)[None]
    outcome = np.array([0.0, -0.2, -0.1, 0.2, 0.2, 0.1, 0.0, 0.2, -0.1, 0.1, 0.2, 0.0])[subjects] + noise(120, 0.02)
    assert [one.row for one in named(members, outcome, [1], min_cases=4)] == [0]
    assert named(members, outcome, [1], min_cases=4, subjects=subjects) == ()


def test_strata_take_the_blame_of_a_site() -> None:
    site = group(200, (0, 100))
    members = group(200, (20, 100), (180, 200))[None]
    outcome = noise(200) - 0.3 * site
    assert len(named(members, outcome, [1])) == 1
    assert named(members, outcome, [1], strata=site.astype(int)) == ()


# ------------------------------------------------------------------------------------------------- simulated cohorts


def cohort(rng: np.random.Generator, n_cases: int) -> tuple[np.ndarray, np.ndarray]:
    """Attributes of which the third follows the first in 60 % of cases, and scores as models give them."""
    codes = np.stack([rng.choice(len(p), n_cases, p=p) for p in SHARES])
    codes[2] = np.where(rng.random(n_cases) < 0.6, np.minimum(codes[0], 2), codes[2])
    dice = rng.beta(4, 1.3, n_cases)
    dice[rng.random(n_cases) < 0.04] = 0
    return codes, dice


def lattice(codes: np.ndarray) -> tuple[np.ndarray, list[tuple[tuple[int, int], ...]]]:
    found = {}
    for levels in itertools.product(*([None, *range(row.max() + 1)] for row in codes)):
        items = tuple((k, level) for k, level in enumerate(levels) if level is not None)
        members = np.all([codes[k] == level for k, level in items], axis=0) if items else np.zeros(codes.shape[1], bool)
        if members.sum() >= 10:
            found[items] = members
    return np.array(list(found.values())), list(found)


def names_of(
    rng: np.random.Generator, codes: np.ndarray, dice: np.ndarray
) -> tuple[set[tuple[tuple[int, int], ...]], int]:
    """What is named, and how many subgroups are significant."""
    members, items = lattice(codes)
    steps = explain(
        members, dice, lengths=np.array([len(one) for one in items]), harm=-1, rng=rng, draws=1, permutations=119
    )
    return {items[one.row] for one in steps}, int(steps[0].test.significant().sum()) if steps else 0


def test_few_cohorts_without_a_gap_have_a_finding() -> None:
    rng = np.random.default_rng(30)
    false = sum(bool(names_of(rng, *cohort(rng, 200))[0]) for _ in range(80))
    assert false <= 80 * 0.05 + 3 * np.sqrt(80 * 0.05 * 0.95)


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param({PAIR: 0.36}, id="a pair, its site confounded"),
        pytest.param({((1, 2),): 0.18, ((2, 2),): 0.18}, id="two that cross"),
        pytest.param({((1, 2),): 0.17, PAIR: 0.30}, id="one in another"),
    ],
)
def test_planted_gaps_are_named_and_nothing_else(planted: dict[tuple[tuple[int, int], ...], float]) -> None:
    rng = np.random.default_rng(31)
    exact = rows = findings = 0
    for _ in range(30):
        codes, dice = cohort(rng, 400)
        for items, gap in planted.items():
            dice = dice - gap * np.all([codes[k] == level for k, level in items], axis=0)
        found, significant = names_of(rng, codes, dice)
        exact += found == set(planted)
        rows += significant
        findings += len(found)
    assert exact >= 30 * 0.8 - 3 * np.sqrt(30 * 0.8 * 0.2)
    assert findings < 0.6 * rows


def test_shares_of_a_large_cohort_are_those_of_weights_of_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    n_cases = 4000
    members = np.array([np.arange(n_cases) % 2 == 0, np.arange(n_cases) % 3 == 0, np.arange(n_cases) < 2000])
    # Two groups that are worse by nearly the same: which of them leads is open.
    outcome = rng.normal(0.8, 0.1, n_cases) - 0.02 * members[0] - 0.021 * members[1]

    def leads() -> list[np.ndarray]:
        return [one.lead for one in named(members, outcome, [1, 1, 1], draws=1500)]

    by_weights = leads()
    monkeypatch.setattr(limit, "LEAST_CASES", 1000)
    monkeypatch.setattr(limit, "LEAST_INFORMATION", 100.0)
    drawn, resampled = [], limit.Limit.resampled
    monkeypatch.setattr(
        limit.Limit, "resampled", lambda *given, **options: drawn.append(1) or resampled(*given, **options)
    )
    by_limit = leads()
    assert drawn
    assert len(by_weights) == len(by_limit) == 2
    assert 0.1 < by_weights[0].max() < 0.9
    for ours, theirs in zip(by_limit, by_weights, strict=True):
        # Three standard errors of a difference of two shares of 1,500 draws.
        np.testing.assert_allclose(ours, theirs, atol=3 * (2 * 0.25 / 1500) ** 0.5)


def test_a_test_without_steps_owes_nothing_to_any() -> None:
    members = group(100, (0, 50))[None]
    test = max_t(members, noise(100), rng=np.random.default_rng(0), permutations=49)
    assert _owners([test], [], 0.05).tolist() == [-1]
