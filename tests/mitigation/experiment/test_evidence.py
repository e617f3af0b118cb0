"""Evidence on made-up scores: who is judged, against what chance, and that noise is no gain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from tests.mitigation.toy_folds import (
    ATTRIBUTES,
    FOLDS,
    N_CASES,
    SEX,
    SITE,
    attribute,
    plain_dice,
    pooled,
    table,
    trained,
)
from tests.score_fixtures import audit_of

from segfair import stats
from segfair.compare.procedure import run_comparison
from segfair.errors import AuditError
from segfair.fairness import JudgingRule, challenge_scores
from segfair.mitigation.experiment.evidence import choose_worst, find_evidence, null_spread
from segfair.mitigation.experiment.gains import Evidence
from segfair.protocol.rules import load_protocol
from segfair.subgroups.lattice import Membership, Subgroup
from segfair.subgroups.search import SearchBounds, search_subgroups

DEFAULT = load_protocol("default")


def find(plain: np.ndarray, other: np.ndarray, **settings: Any) -> Evidence:
    given: dict[str, Any] = {"folds": FOLDS, "attributes": ATTRIBUTES, "subjects": None, "min_cases": 10} | settings
    return find_evidence(pooled(plain), pooled(other), protocol=DEFAULT, seed=0, **given)


def lattice(n_cases: int, *rows: np.ndarray) -> Membership:
    subgroups = tuple(Subgroup(frozenset({("group", str(number))})) for number in range(len(rows)))
    return Membership(subgroups, np.array(rows, dtype=bool).reshape(len(rows), n_cases), {}, ())


def test_the_worst_subgroup_s_change_by_hand() -> None:
    plain, other = plain_dice(3), trained(3, gain=0.1)
    found = find(plain, other)
    assert found.items == {"sex": "F"}
    assert [(choice.fold, choice.items, choice.n) for choice in found.choices] == [
        (str(fold), {"sex": "F"}, 10) for fold in range(5)
    ]
    assert found.n_agreeing == found.n_folds == 5
    assert found.worst is not None
    assert found.worst.mean.ci == pytest.approx(stats.mean_over_seeds((other - plain)[:, SEX]).ci)
    assert (found.worst.before, found.worst.after) == pytest.approx((plain[:, SEX].mean(), other[:, SEX].mean()))
    assert found.rest is not None
    for part, members in ((found.mean, SEX | ~SEX), (found.rest, ~SEX)):
        expected = stats.mean_over_seeds((other - plain)[:, members])
        assert (part.mean.value, part.mean.n_cases) == (pytest.approx(expected.value), expected.n_cases)
        assert part.mean.ci == pytest.approx(expected.ci)
    assert (found.worst_word, found.mean_word) == ("gain", "risen")


def test_subjects_are_the_units() -> None:
    subjects = np.arange(N_CASES) // 8  # two women each
    found = find(plain_dice(2), trained(2, gain=0.1), subjects=subjects)
    assert found.worst is not None
    assert (found.worst.mean.n_cases, found.worst.mean.n_subjects) == (50, 25)
    assert found.mean.mean.n_subjects == 25


def test_a_fold_s_own_scores_have_no_part_in_its_choice() -> None:
    rng = np.random.default_rng(0)
    rows = lattice(60, *(rng.random((6, 60)) < 0.4))
    folds = np.repeat([0, 1, 2], 20)
    dsc = rng.normal(0.8, 0.1, 60)
    before, _ = choose_worst(dsc, folds, rows, min_cases=5)
    changed = dsc.copy()
    changed[folds == 1] = rng.normal(0.2, 0.1, 20)
    after, chosen = choose_worst(changed, folds, rows, min_cases=5)
    assert [entry.items for entry in after if entry.fold == "1"] == [
        entry.items for entry in before if entry.fold == "1"
    ]
    # And each fold is judged on the members of its own choice.
    for entry in after:
        here = folds == int(entry.fold)
        assert (chosen & here).tolist() == (rows.matrix[int(entry.items["group"])] & here).tolist()
        assert entry.n == (chosen & here).sum()


def test_shrinkage_keeps_a_small_unlucky_group_from_being_chosen() -> None:
    rng = np.random.default_rng(4)
    dsc = 0.85 + 0.1 * rng.standard_normal(300)
    large, small = np.arange(300) < 100, np.arange(300) >= 294
    dsc[large] -= 0.08
    # A little lower still, as six cases may be by chance.
    dsc[small] = dsc[large].mean() - 0.01
    folds = np.arange(300) % 3
    choices, _ = choose_worst(dsc, folds, lattice(300, large, small), min_cases=3)
    assert [choice.items["group"] for choice in choices] == ["0"] * 3
    assert all(choice.divergence < 0 for choice in choices)


def test_noise_is_no_gain_because_the_choice_is_cross_fitted() -> None:
    """Two models that are alike: the group that is low by chance recovers in the other one, unless it is chosen elsewhere."""
    rng = np.random.default_rng(11)
    codes = [rng.integers(0, 3, N_CASES) for _ in range(4)]
    attributes = table(*(attribute(f"a{number}", entry, "x", "y", "z") for number, entry in enumerate(codes)))
    rows, _ = search_subgroups(attributes, SearchBounds(0.05, 10, None, 20_000))
    naive, fitted, gains = [], [], 0
    for _ in range(60):
        plain, other = 0.8 + 0.1 * rng.standard_normal((2, 1, N_CASES))
        worst = rows.matrix[int(np.argmin(np.where(rows.sizes >= 10, rows.matrix @ plain[0] / rows.sizes, np.inf)))]
        naive.append((other - plain)[0, worst].mean())
        found = find(plain, other, attributes=attributes)
        assert found.worst is not None
        fitted.append(found.worst.mean.value)
        gains += found.worst_word == "gain"
    assert np.mean(naive) > 0.04
    assert abs(np.mean(fitted)) < 2.5 * np.std(fitted) / np.sqrt(60)
    assert gains <= 6  # 2.5 % of 60 are 1.5


def test_the_null_s_spread_by_hand() -> None:
    # Fold 0 (3 of 4 cases): means .5 and .7, variance .02; fold 1 (1 of 4): .4 and .5, variance .005.
    dsc = np.array([[0.4, 0.5, 0.6, 0.4], [0.6, 0.7, 0.8, 0.5]])
    parts = np.array([9 / 16 * 0.02, 1 / 16 * 0.005])
    freedom = parts.sum() ** 2 / (parts**2).sum()
    expected = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(2 / 2 * parts.sum())
    assert null_spread(dsc, np.array([0, 0, 0, 1])) == pytest.approx(expected)
    assert null_spread(dsc[:1], np.array([0, 0, 0, 1])) is None
    assert null_spread(dsc[:, :0], np.array([])) is None
    assert null_spread(np.full((3, 4), 0.5), np.zeros(4)) == 0.0


@pytest.mark.parametrize(("n_seeds", "n_folds"), [(2, 5), (3, 5), (5, 3)])
def test_95_percent_of_seeds_differ_by_less_than_the_null_s_spread(n_seeds: int, n_folds: int) -> None:
    rng = np.random.default_rng(2)
    folds = np.arange(30) % n_folds
    below = 0
    for _ in range(1000):
        # A training moves all cases of its fold, and each of them.
        first, second = rng.normal(0, 0.05, (2, n_seeds, n_folds))[:, :, folds] + rng.normal(0, 0.05, (2, n_seeds, 30))
        spread = null_spread(first, folds)
        assert spread is not None
        below += abs(second.mean() - first.mean()) <= spread
    # Rather too wide where seeds are few.
    assert 0.94 <= below / 1000 <= 0.99


def test_a_change_within_the_null_s_spread_is_no_gain() -> None:
    # Only the women depend on the seed.
    plain = plain_dice(1, seed_noise=0.0) + np.array([[-0.03], [0.03]]) * SEX
    # The same luck of the seeds in both: the differences alone show nothing of it.
    found = find(plain, plain + np.where(SEX, 0.02, 0.0))
    assert found.worst is not None
    assert found.worst.mean.ci == pytest.approx((0.02, 0.02))
    assert found.null is not None
    assert found.null.worst_subgroup is not None
    assert found.null.worst_subgroup > 0.02
    assert found.null.rest == 0.0
    assert found.null.mean == pytest.approx(found.null.worst_subgroup / 4)
    assert found.worst_word == "open"
    assert find(plain, plain + np.where(SEX, 0.2, 0.0)).worst_word == "gain"
    assert find(plain, plain - np.where(SEX, 0.2, 0.0)).worst_word == "loss"


def test_with_one_seed_the_interval_says_that_it_is_over_subjects() -> None:
    found = find(plain_dice(1), trained(1, gain=0.1))
    assert found.null is None
    assert found.mean.mean.over == "subjects"
    assert found.to_dict()["over"] == "subjects"
    assert find(plain_dice(2), trained(2)).to_dict()["over"] == "subjects and seeds"


def test_fairness_is_averaged_over_seeds() -> None:
    plain, other = plain_dice(3), trained(3, gain=0.1)
    found = find(plain, other)
    rule = JudgingRule.of(DEFAULT.fairness.levels, min_cases=10)

    def fs(dice: np.ndarray) -> float:
        values = [challenge_scores(row, 0.3 * (1 - row), ATTRIBUTES, rule=rule).fs for row in dice]
        return float(np.mean([value for value in values if value is not None]))

    assert found.fairness is not None
    assert (found.fairness.before, found.fairness.after) == pytest.approx((fs(plain), fs(other)))
    assert found.fairness.value == pytest.approx(fs(other) - fs(plain))
    assert found.fairness.ci is not None
    assert 0 < found.fairness.ci[0] < found.fairness.value < found.fairness.ci[1]


def test_with_one_seed_fairness_is_that_of_a_comparison() -> None:
    plain, other = plain_dice(1), trained(1, gain=0.1)
    metadata = {"sex": np.where(SEX, "F", "M").tolist(), "site": np.where(SITE, "A", "B").tolist()}
    before, after = (
        audit_of({"dsc": rows[0].tolist(), "normhd": (0.3 * (1 - rows[0])).tolist()}, metadata)
        for rows in (plain, other)
    )
    expected = run_comparison(before, after, outcome="dsc").scores["FS"]
    found = find(plain, other).fairness
    assert found is not None
    assert found.value == pytest.approx(expected.difference)
    # Another stream of resamples, and fewer of them.
    assert found.ci == pytest.approx(expected.ci, abs=0.01)


def test_without_a_subgroup_to_judge_it_says_why() -> None:
    dice = plain_dice(2)
    nobody = find(dice, dice, min_cases=150)
    assert nobody.reason == "no subgroup of at least 150 cases lies below the plain model's mean"
    told = nobody.to_dict()
    assert told["worst_subgroup"] is None
    assert told["reason"] == nobody.reason
    assert nobody.items == {}
    assert nobody.rest is None
    assert nobody.mean.mean.ci == (0.0, 0.0)
    assert nobody.null is not None
    assert (nobody.null.worst_subgroup, nobody.null.rest) == (None, None)
    assert nobody.null.mean is not None
    assert nobody.fairness is None
    assert "no subgroup" in find(dice, dice, folds=np.zeros(N_CASES)).reason
    assert "no subgroup" in find(dice, dice, attributes=table()).reason
    assert "no subgroup" in find(np.full((1, N_CASES), 0.5), dice[:1]).reason
    one = find(dice, dice, subjects=np.where(SEX, 0, np.arange(N_CASES)))
    assert one.reason == "the chosen subgroups have one subject in the folds that judge them"
    # All women but five are in one fold: the others choose them and hold five.
    folds = np.where(SEX & (np.arange(N_CASES) >= 20), 0, 1 + np.arange(N_CASES) % 2)
    few = find(dice, dice, folds=folds, attributes=table(ATTRIBUTES["sex"]))
    assert few.reason == "the chosen subgroups have 5 cases in the folds that judge them, fewer than 10"
    assert [choice.fold for choice in few.choices] == ["1", "2"]
    with pytest.raises(AuditError, match="there is no case"):
        find(dice[:, :0], dice[:, :0], attributes=table(n=0), folds=np.zeros(0))
