"""From validation scores to case weights: the paper's equations by hand, rules, the sampler, and the state."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from tests.mitigation.toy_training import SIX, SIX_DICE, SIX_TABLE, make_table

from segfair.attributes.fit import AttributeTable
from segfair.errors import ConfigError, InputError
from segfair.mitigation.weighting.reweighter import (
    ADAPTIVE,
    CONFIDENT,
    LITERAL,
    TILTED,
    CaseSampler,
    DivergenceReweighter,
    WeightRule,
)
from segfair.subgroups.lattice import Subgroup


def group(**items: str) -> Subgroup:
    return Subgroup(frozenset(items.items()))


def test_literal_weights_of_six_cases_by_hand() -> None:
    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=LITERAL)
    weights = reweighter.update(dict(zip(SIX, SIX_DICE.tolist(), strict=True)))
    by_hand = {"A": 0.2, "B": 0.2, "C": 0.55 / 3, "D": 0.55 / 3, "E": 0.3, "F": 0.3}
    assert dict(weights) == pytest.approx(by_hand, abs=1e-12)
    assert weights.setter("A") == group(sex="f", site="1")
    assert weights.setter("C") == group(site="2")
    assert weights.setter("D") == group(site="1")
    assert weights.setter("E") == group(sex="m", site="2")


def test_deficits_of_six_cases_by_hand() -> None:
    rule = WeightRule(kind="deficit", certainty="raw", memory="none", temperature=None, normalise=False, cap=None)
    weights = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=rule).update_array(SIX_DICE)
    by_hand = {"A": 0, "B": 0, "C": 0.55 / 3, "D": 0.15, "E": 0.3, "F": 0.3}
    assert dict(weights) == pytest.approx(by_hand, abs=1e-12)


def test_training_cases_belong_by_their_items_not_by_their_position() -> None:
    training = make_table(["t1", "t2", "t3"], {"site": ["2", "2", "1"], "sex": ["m", "f", "x"]})
    weights = DivergenceReweighter(SIX_TABLE, training, rule=LITERAL).update_array(SIX_DICE)
    # t3 has a sex that validation never saw: only its site counts.
    assert dict(weights) == pytest.approx({"t1": 0.3, "t2": 0.55 / 3, "t3": 0.55 / 3}, abs=1e-12)


def test_an_alias_on_validation_is_a_subgroup_of_its_own_in_training() -> None:
    # On the validation cases {a = x} and {b = y} have the same two members, so one row of the membership.
    validation = make_table(["v1", "v2", "v3"], {"a": ["x", "x", "w"], "b": ["y", "y", "z"]})
    training = make_table(["only a", "only b"], {"a": ["x", "w"], "b": ["z", "y"]})
    weights = DivergenceReweighter(validation, training, rule=LITERAL).update_array(np.array([0.1, 0.1, 0.7]))
    # Mean .3: {a = x} and {b = y} -.2, {a = w} and {b = z} +.4.
    assert dict(weights) == pytest.approx({"only a": 0.4, "only b": 0.4}, abs=1e-12)
    deficit = WeightRule(certainty="raw", memory="none", temperature=None, normalise=False, cap=None)
    weights = DivergenceReweighter(validation, training, rule=deficit).update_array(np.array([0.1, 0.1, 0.7]))
    assert dict(weights) == pytest.approx({"only a": 0.2, "only b": 0.2}, abs=1e-12)
    assert weights.setter("only b") == group(b="y")


@pytest.mark.parametrize(("rule", "value"), [(LITERAL, 0.0), (TILTED, 1.0)])
def test_weights_before_the_first_validation(rule: WeightRule, value: float) -> None:
    weights = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=rule).weights
    assert dict(weights) == dict.fromkeys(SIX, value)
    assert weights.setters == (None,) * 6


@pytest.mark.parametrize(("rule", "value"), [(LITERAL, 0.0), (TILTED, 1.0)])
def test_a_case_in_no_subgroup(rule: WeightRule, value: float) -> None:
    training = make_table(["in", "out"], {"sex": ["m", None], "site": ["2", "unknown"]})
    weights = DivergenceReweighter(SIX_TABLE, training, rule=rule).update_array(SIX_DICE)
    assert weights["out"] == value
    assert weights.setter("out") is None
    assert weights["in"] > 0


def test_a_subgroup_without_a_training_case_weighs_nobody() -> None:
    validation = make_table(("a", "b", "c", "d"), {"site": list("1122")})
    training = make_table(("p", "q"), {"site": list("11")})
    for rule in (LITERAL, TILTED, CONFIDENT, WeightRule(aggregate="mean"), WeightRule(aggregate="shapley")):
        weights = DivergenceReweighter(validation, training, rule=rule).update_array(np.array([0.9, 0.8, 0.1, 0.2]))
        assert np.isfinite(weights.array).all()
        assert weights["p"] == weights["q"]
        assert all(setter is None or setter.name == "site = 1" for setter in weights.setters)
        if rule.normalise:
            assert weights["p"] == 1


def test_without_subgroups_training_is_plain() -> None:
    empty = make_table(SIX, {})
    weights = DivergenceReweighter(empty, empty).update_array(SIX_DICE)
    assert dict(weights) == dict.fromkeys(SIX, 1.0)


def test_no_disparity_gives_equal_weights() -> None:
    weights = DivergenceReweighter(SIX_TABLE, SIX_TABLE).update_array(np.full(6, 0.8))
    assert weights.array == pytest.approx(np.ones(6), abs=1e-12)


def test_missing_or_undefined_scores_are_refused_by_name() -> None:
    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE)
    scores = dict(zip(SIX, SIX_DICE.tolist(), strict=True))
    with pytest.raises(InputError, match="1 of 6 validation cases have no finite score, for example D"):
        reweighter.update({**scores, "D": math.nan})
    del scores["B"]
    with pytest.raises(InputError, match="for example B"):
        reweighter.update(scores)


def test_contradictory_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match="normalise = true"):
        WeightRule(normalise=False)
    with pytest.raises(ConfigError, match="needs a cap"):
        WeightRule(temperature="auto", cap=None)


def test_a_bound_keeps_a_clear_deficit_that_shrinking_all_alike_would_not() -> None:
    # One harmed cell among many even ones, the noise small.
    rng = np.random.default_rng(0)
    ids = tuple(map(str, range(100)))
    table = make_table(ids, {"a": [str(i % 5) for i in range(100)], "b": [str(i // 5 % 4) for i in range(100)]})
    harmed = np.array([i % 5 == 0 and i // 5 % 4 == 0 for i in range(100)])
    outcome = 0.9 - 0.2 * harmed + 0.03 * rng.standard_normal(100)

    def ratio(rule: WeightRule) -> float:
        weights = DivergenceReweighter(table, table, rule=rule).update_array(outcome).array
        return float(weights[harmed].mean() / np.median(weights))

    fixed = ratio(WeightRule())
    bound = ratio(WeightRule(certainty="bound", temperature="auto"))
    assert fixed < 3
    assert bound == pytest.approx(8, rel=0.01)


def test_sampler_follows_the_weights_and_depends_on_seed_and_epoch_only() -> None:
    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE)
    sampler = reweighter.sampler(seed=3)
    assert len(sampler) == 6
    first = list(sampler)
    assert sorted(first) == list(range(6))
    reweighter.update_array(np.array([0.9, 0.9, 0.9, 0.9, 0.1, 0.1]))
    second = list(sampler)
    assert np.bincount(second, minlength=6)[4:].sum() > 2
    again = CaseSampler(lambda: reweighter.weights.array, 6, seed=3)
    again.epoch = 1
    assert list(again) == second


@pytest.mark.parametrize("aggregate", ["max", "mean", "shapley"])
@pytest.mark.parametrize("memory", ["none", "ema", "sum"])
def test_state_goes_on_exactly(aggregate: str, memory: str) -> None:
    rule = WeightRule(memory=memory, aggregate=aggregate, temperature="auto")  # type: ignore[arg-type]
    outcomes = [SIX_DICE, SIX_DICE[::-1].copy(), np.linspace(0.2, 0.9, 6)]
    straight = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=rule)
    for outcome in outcomes:
        straight.update_array(outcome)
    first = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=rule)
    for outcome in outcomes[:2]:
        first.update_array(outcome)
    second = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=rule)
    second.load_state_dict(first.state_dict())
    assert dict(second.weights) == dict(first.weights)
    assert second.weights.setters == first.weights.setters
    second.update_array(outcomes[2])
    assert dict(second.weights) == dict(straight.weights)


def test_state_of_other_cases_is_refused() -> None:
    state = DivergenceReweighter(SIX_TABLE, SIX_TABLE).state_dict()
    fewer = make_table(SIX[:3], {"sex": list("fff")})
    with pytest.raises(InputError, match="6 training cases, this run 3"):
        DivergenceReweighter(SIX_TABLE, fewer).load_state_dict(state)


def test_weights_follow_ids_whatever_the_order() -> None:
    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=LITERAL)
    in_order = dict(reweighter.update(dict(zip(SIX, SIX_DICE.tolist(), strict=True))))
    for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 97):
        shuffled = {SIX[i]: float(SIX_DICE[i]) for i in order}
        assert dict(DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=LITERAL).update(shuffled)) == in_order


# Balance where nothing can be judged


def cells(sizes: list[int]) -> AttributeTable:
    levels = [name for name, size in zip("abcd", sizes, strict=False) for _ in range(size)]
    return make_table([f"{i:03d}" for i in range(len(levels))], {"site": levels})


def test_a_small_cell_is_drawn_more_and_a_large_one_by_its_scores_alone() -> None:
    table = cells([300, 4])
    reweighter = DivergenceReweighter(table, table, rule=ADAPTIVE)
    # Nothing is known: n^-1/2 for both.
    begun = reweighter.weights.array
    assert begun[-1] / begun[0] == pytest.approx((300 / 4) ** 0.5)
    rng = np.random.default_rng(0)
    weights = reweighter.update_array(rng.normal(0.8, 0.1, 304)).array
    # No gap: the few are still drawn more often, the many as ever.
    assert 1.5 < weights[-1] / weights[0] < begun[-1] / begun[0]


def test_a_rare_group_with_a_gap_is_drawn_more_than_balance_alone_would() -> None:
    table = cells([300, 60, 20])
    rng = np.random.default_rng(1)
    scores = rng.normal(0.85, 0.08, 380) - 0.25 * (np.arange(380) >= 360)
    weights = DivergenceReweighter(table, table, rule=ADAPTIVE).update_array(scores).array
    assert weights[-1] > 3 * weights[0]
    assert weights[310] == pytest.approx(weights[0], rel=0.25)


def test_who_is_not_judged_is_remembered() -> None:
    table = cells([300, 4])
    first, second = (DivergenceReweighter(table, table, rule=ADAPTIVE) for _ in range(2))
    first.update_array(np.random.default_rng(0).normal(0.8, 0.1, 304))
    second.load_state_dict(first.state_dict())
    assert second.remarks() == first.remarks()
    assert first.remarks()[0].startswith("1 cell of the attributes with 4 cases of 304 are too small")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cap": 0.5}, "cap has to be at least 1"),
        ({"rate": 5.0}, "rate has to be above 0 and at most 1"),
        ({"hottest": 0.0}, "hottest has to be above 0"),
        ({"deviations": -1.0}, "deviations has to be at least 0"),
        ({"temperature": "spread", "cap": None}, "needs a cap"),
    ],
)
def test_rules_that_could_never_work(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WeightRule(**values)
