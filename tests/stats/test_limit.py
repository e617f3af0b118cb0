import numpy as np
import pytest

from segfair.stats import limit as limits
from segfair.stats import max_t, permutation
from segfair.stats.cells import collapse
from segfair.stats.contrast import prepare_contrast
from segfair.stats.intervals import bootstrap
from segfair.stats.limit import Limit, information_of, limit_of
from segfair.stats.resampling import every_rearrangement


@pytest.fixture
def eager(monkeypatch):
    """The limit from a thousand cases on, so that permutations of all cases can be compared with it."""
    monkeypatch.setattr(limits, "LEAST_CASES", 1000)
    monkeypatch.setattr(limits, "LEAST_INFORMATION", 100.0)


def _dice(rng, n_cases):
    return 1 / (1 + np.exp(-rng.normal(1.8, 0.9, n_cases)))


@pytest.mark.parametrize("alone", [(), (0, 3), (0, 1, 2, 3, 4)])
def test_moments_of_rearranged_sums_are_those_of_all_rearrangements(alone):
    block = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1])
    level = np.array([0, 0, 1, 1, 1, 2, 0, 1, 1])
    cells = collapse(np.array([level == code for code in range(3)]), blocks=block)
    values = np.array([[1.0, 2.0, 4.0, 8.0, 3.0, 9.0, 0.0, 5.0, 6.0], [0.5, 0.1, 0.2, 0.9, 0.4, 0.3, 0.8, 0.7, 0.6]])
    every = np.concatenate(list(every_rearrangement(np.repeat(cells.blocks, cells.sizes), step=500)))
    exact = np.stack([cells.sums(row[every]) for row in values], axis=1).reshape(len(every), -1)
    which = np.isin(np.arange(len(cells.sizes)), alone)
    draws = Limit(cells, which).rearranged(values, rng=np.random.default_rng(1), count=50_000)
    drawn = np.concatenate(list(draws)).reshape(50_000, -1)
    spread = np.sqrt(exact.var(axis=0))
    assert np.allclose(drawn.mean(axis=0), exact.mean(axis=0), atol=4 * spread.max() / 50_000**0.5)
    assert np.allclose(
        np.cov(drawn.T, bias=True), np.cov(exact.T, bias=True), atol=0.05 * np.outer(spread, spread).max()
    )
    # Together the cells of a block hold what the block holds, whatever was drawn.
    totals = drawn.reshape(50_000, 2, -1)[:, :, cells.blocks == 1].sum(axis=2)
    assert np.allclose(totals, values[:, block == 1].sum(axis=1))


def test_third_moments_of_rearranged_sums_are_those_of_all_rearrangements():
    cells = collapse(np.array([[1, 1, 0, 0, 0, 0, 0]], dtype=bool))
    values = np.array([[0.0, 0.0, 1.0, 1.0, 2.0, 3.0, 12.0]])
    every = np.concatenate(list(every_rearrangement(np.zeros(7, dtype=int), step=6000)))
    draws = Limit(cells, np.zeros(2, dtype=bool)).rearranged(values, rng=np.random.default_rng(2), count=100_000)
    for drawn, exact in zip(np.concatenate(list(draws))[:, 0].T, cells.sums(values[0][every]).T, strict=True):
        third = np.mean((exact - exact.mean()) ** 3)
        assert np.mean((drawn - drawn.mean()) ** 3) == pytest.approx(third, rel=0.08)


@pytest.mark.parametrize("alone", [(), (1,)])
def test_resampled_sums_spread_as_those_of_exponential_weights_do(alone):
    rng = np.random.default_rng(3)
    cells = collapse(np.repeat(np.eye(3, dtype=bool), 60, axis=1))
    values = _dice(rng, 180)[None]
    which = np.isin(np.arange(3), alone)
    found = [
        np.concatenate([mass, sums[:, 0]], axis=1)
        for mass, sums in Limit(cells, which).resampled(values, rng=rng, count=40_000)
    ]
    weights = np.concatenate(list(bootstrap.exponential_weights(180, rng=rng, draws=40_000)))
    expected = np.concatenate([cells.sums(weights), cells.sums(weights * values)], axis=1)
    drawn = np.concatenate(found)
    assert np.allclose(drawn[:, :3].sum(axis=1), 180)
    assert np.allclose(drawn.mean(axis=0), expected.mean(axis=0), rtol=0.005)
    assert np.allclose(np.cov(drawn.T), np.cov(expected.T), atol=0.04 * expected.var(axis=0).max())


def test_third_cumulants_of_few_cases_by_hand():
    # Around 1: -1, -1 and 2, whose cubes sum to 6; times n / ((n - 1) (n - 2)) = 3 / 2.
    assert limits._third_cumulants(np.array([[0.0, 1.0], [0.0, 1.0], [3.0, 1.0]])).tolist() == [9.0, 0.0]
    assert limits._third_cumulants(np.array([[0.0], [3.0]])).tolist() == [0.0]


def test_small_cohorts_few_values_and_many_cells_are_drawn_case_by_case():
    rng = np.random.default_rng(4)
    halves = collapse(rng.integers(0, 2, (1, 20_000)).astype(bool))
    large = np.array([5000.0])
    assert limit_of(halves, large, _dice(rng, 20_000)[None]) is not None
    fewer = collapse(rng.integers(0, 2, (1, 19_999)).astype(bool))
    assert limit_of(fewer, large, _dice(rng, 19_999)[None]) is None
    assert limit_of(halves, large, rng.integers(0, 2, (1, 20_000)).astype(float)) is None
    assert limit_of(halves, large, np.ones((1, 20_000))) is not None  # nothing varies, so nothing is wrong
    many = collapse(rng.integers(0, 2, (18, 20_000)).astype(bool))
    assert limit_of(many, np.full(18, 5000.0), _dice(rng, 20_000)[None]) is None


def test_cases_of_small_subgroups_or_of_small_rests_are_drawn_one_by_one():
    rng = np.random.default_rng(5)
    members = np.zeros((3, 20_000), dtype=bool)
    members[0, :50], members[1, :10_000], members[2, 100:] = True, True, True
    cells = collapse(members)
    n = members.sum(axis=1)
    found = limit_of(cells, n * (1 - n / 20_000), _dice(rng, 20_000)[None])
    assert cells.sizes[found.alone].sum() == 100
    assert limit_of(cells, np.array([49.0, 10.0, 10.0]), _dice(rng, 20_000)[None]) is None  # half of the cases


def test_information_is_what_differences_within_blocks_rest_on():
    rng = np.random.default_rng(15)
    stratum = rng.integers(0, 3, 5000)
    members = np.array([rng.random(5000) < 0.3, stratum == 1, (stratum == 1) ^ (rng.random(5000) < 0.01)])
    compared = prepare_contrast(members, strata=stratum)
    assert np.allclose(information_of(compared.cells), compared.inside + compared.outside)
    # A level that a stratum decides is not large, whatever its share of the cohort.
    assert (information_of(compared.cells)[1:] < [1e-9, 60]).all()


def _cohort(rng, n_cases):
    levels = [rng.integers(0, 3, n_cases), rng.integers(0, 2, n_cases)]
    single = [code == value for code in levels for value in range(code.max() + 1)]
    rare = rng.random(n_cases) < 0.01
    members = np.array([*single, single[0] & single[3], single[1] & single[4], rare])
    return members, _dice(rng, n_cases) - 0.02 * (single[0] & single[3])


def test_p_values_of_the_limit_are_those_of_20000_permutations(eager):
    """Planted, null and rare subgroups; what chance leaves of 20,000 permutations and as many draws, and .002."""
    members, dice = _cohort(np.random.default_rng(6), 4000)
    settings = {"permutations": 20_000, "min_cases": 10}
    limit = max_t(members, dice, rng=np.random.default_rng(7), **settings)
    cases = max_t(members, dice, rng=np.random.default_rng(8), method="cases", **settings)
    assert (limit.from_limit, cases.from_limit) == (True, False)
    assert np.array_equal(limit.t, cases.t)
    assert cases.significant().any() and not cases.significant().all()
    for name in ("p_value", "p_adjusted", "p_single_step"):
        expected = getattr(cases, name)
        chance = 3.5 * np.sqrt(2 * expected * (1 - expected) / 20_000)
        assert (np.abs(getattr(limit, name) - expected) <= 0.002 + chance).all(), name


def test_strata_and_subjects_keep_to_the_limit_of_their_own_rearrangements(eager):
    rng = np.random.default_rng(9)
    members, dice = _cohort(rng, 3000)
    strata = rng.integers(0, 3, 3000)
    dice = dice - 0.1 * strata
    for design in ({"strata": strata}, {"subjects": np.arange(3000), "strata": strata}):
        settings = {"permutations": 5000, "min_cases": 10, **design}
        limit = max_t(members, dice, rng=np.random.default_rng(7), **settings)
        cases = max_t(members, dice, rng=np.random.default_rng(8), method="cases", **settings)
        assert limit.from_limit
        chance = 3.5 * np.sqrt(2 * cases.p_value * (1 - cases.p_value) / 5000)
        assert (np.abs(limit.p_value - cases.p_value) <= 0.002 + chance).all()


def test_below_the_rule_every_case_is_rearranged_to_the_last_digit():
    members, dice = _cohort(np.random.default_rng(10), 500)
    auto = max_t(members, dice, rng=np.random.default_rng(11), permutations=300)
    cases = max_t(members, dice, rng=np.random.default_rng(11), permutations=300, method="cases")
    assert not auto.from_limit
    assert np.array_equal(auto.null_max, cases.null_max)


def test_a_large_cohort_is_never_rearranged_case_by_case(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("every case was touched")

    monkeypatch.setattr(permutation, "random_rearrangements", refuse)
    monkeypatch.setattr(bootstrap, "exponential_weights", refuse)
    members, dice = _cohort(np.random.default_rng(12), 30_000)
    assert max_t(members, dice, rng=np.random.default_rng(13)).from_limit
    intervals = bootstrap.subgroup_intervals(members, dice, rng=np.random.default_rng(14))
    assert np.isfinite(intervals.mean).all()
    one_sided = {"alternative": "less", "permutations": 5}
    with pytest.raises(AssertionError, match="every case"):  # skewness moves one tail long before both
        max_t(members, dice, rng=np.random.default_rng(13), **one_sided)


def test_without_any_gap_one_test_in_twenty_errs_at_the_level(eager):
    rng = np.random.default_rng(15)
    members, _ = _cohort(rng, 2000)
    errs = [max_t(members, _dice(rng, 2000), rng=rng, permutations=199).significant(0.05).any() for _ in range(200)]
    assert 2 <= sum(errs) <= 20  # 10 expected; beyond these in one of a thousand


def test_intervals_of_large_groups_are_as_wide_as_standard_errors_say():
    rng = np.random.default_rng(16)
    members, dice = _cohort(rng, 40_000)
    found = bootstrap.subgroup_intervals(members, dice, rng=rng, draws=4000).mean
    for inside, (low, high) in zip(members, found, strict=True):
        values = dice[inside]
        assert high - low == pytest.approx(2 * 1.96 * values.std(ddof=1) / len(values) ** 0.5, rel=0.06)
        assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.1 * (high - low))
