"""Each strategy does something that plain training does not: to the draws, or to the gradient."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import SIX, SIX_DICE, SIX_TABLE, make_table, tiny_network

from segfair.errors import ConfigError
from segfair.mitigation.training.catalogue import STRATEGIES
from segfair.mitigation.training.objectives import dice_ce
from segfair.mitigation.training.strategies.kinds import Erm, make_strategy
from segfair.mitigation.training.strategies.loss import independence_weights
from segfair.mitigation.training.strategies.strategy import EpochScores, Strategy, StrategyOptions, TrainingContext
from segfair.mitigation.weighting.reweighter import LITERAL, WeightRule
from segfair.mitigation.weighting.weights import draw_cases

VOLUMES = dict(zip(SIX, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0], strict=True))
CONTEXT = TrainingContext(SIX_TABLE, SIX_TABLE, dice_ce, epochs=6, volumes_mm3=VOLUMES)
WEIGHTS = dict(zip(SIX, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], strict=True))


TOLD = {"sex": "m", "site": "2"}


def made(name: str, context: TrainingContext = CONTEXT, **options: object) -> Strategy:
    given = {"case_weights": WEIGHTS, "oracle": TOLD, **options}
    return make_strategy(name, context, StrategyOptions(**given))  # type: ignore[arg-type]


def watched(strategy: Strategy, dice: np.ndarray = SIX_DICE) -> None:
    """An epoch that drew every case once."""
    strategy.observe_dice(SIX, dice)


def scores(epoch: int, outcome: np.ndarray = SIX_DICE, **more: object) -> EpochScores:
    return EpochScores(epoch, outcome, **{"total_score": 0.7, **more})  # type: ignore[arg-type]


def counts(strategy: Strategy, n: int = 6) -> np.ndarray:
    """How often each case is drawn, on average over many epochs."""
    rng = np.random.default_rng(0)
    drawn = sum(np.bincount(draw_cases(strategy.probabilities(), n, rng), minlength=n) for _ in range(400))
    return np.asarray(drawn) / 400


def gradient(strategy: Strategy, seed: int = 5) -> np.ndarray:
    network = tiny_network(seed=seed)
    rng = torch.Generator().manual_seed(2)
    image = torch.randn(6, 1, 8, 8, 8, generator=rng)
    label = (torch.rand(6, 1, 8, 8, 8, generator=rng) > 0.7).float()
    strategy.prepare(network, image[:1])
    strategy.objective(network(image), label, SIX).backward()
    return np.concatenate([p.grad.numpy().ravel() for p in network.parameters() if p.grad is not None])


def acts_on_draws(strategy: Strategy) -> bool:
    return bool(np.abs(counts(strategy) - 1).max() > 0.2)


def acts_on_gradient(strategy: Strategy) -> bool:
    plain = gradient(made("erm"))
    return bool(np.abs(gradient(strategy) - plain).max() > 1e-4 * np.abs(plain).max())


# Of each attribute as many cases have one level as the other; here they do not.
UNEVEN = dataclasses.replace(CONTEXT, training=make_table(SIX, {"sex": list("ffmmmm"), "site": list("aaaaab")}))


def warmed(name: str) -> Strategy:
    """The strategy after an epoch in which the cases of m, site 2 did badly in every respect."""
    strategy = made(name, UNEVEN if "attributes" in name else CONTEXT)
    for _ in range(20):
        strategy.observe(SIX, np.array([0.2, 0.2, 0.2, 0.2, 2.0, 2.0]))
    watched(strategy)
    strategy.update(scores(1))
    watched(strategy)
    strategy.update(scores(2, training_dsc=SIX_DICE))
    return strategy


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_a_strategy_acts_on_draws_or_gradient_as_the_table_says(name: str) -> None:
    strategy, hook = warmed(name), STRATEGIES[name].hook
    # Group DRO's loss is over even draws, and one way to change images goes with others.
    both = {"groupdro": "loss", "augmented-balanced": "data"}
    assert acts_on_draws(strategy) == (hook == "sampling" or name in both)
    assert acts_on_gradient(strategy) == (hook == "loss")
    assert (strategy.augmentation is not None) == (hook == "data")


def test_plain_training_is_one_strategy_among_others() -> None:
    assert type(made("erm")) is Erm
    assert not any(isinstance(made(name), Erm) for name in STRATEGIES if name != "erm")


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_state_survives_json_and_goes_on_exactly(name: str) -> None:
    straight, first, second = warmed(name), warmed(name), made(name, UNEVEN if "attributes" in name else CONTEXT)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for strategy in (straight, second):
        strategy.observe(SIX[:3], np.array([0.4, 0.1, 0.9]))
        strategy.observe_dice(SIX[:3], np.array([0.4, 0.1, 0.9]))
        strategy.update(scores(3, SIX_DICE[::-1].copy(), total_score=0.8))
    assert second.facts() == straight.facts()
    np.testing.assert_array_equal(counts(second), counts(straight))
    if straight.weights is not None:
        assert second.weights is not None
        assert dict(second.weights) == dict(straight.weights)
    np.testing.assert_array_equal(gradient(second), gradient(straight))


def test_unknown_strategy_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"strategy fairness: unknown; known are erm, fairmedseg"):
        make_strategy("fairness", CONTEXT)


# FairMedSeg


def test_fairmedseg_before_the_first_validation_is_alpha_times_plain() -> None:
    assert gradient(made("fairmedseg")) == pytest.approx(0.2 * gradient(made("erm")), abs=1e-7)
    assert gradient(made("fairmedseg-mean1")) == pytest.approx(gradient(made("erm")), abs=1e-7)


def test_fairmedseg_weights_are_the_papers_after_each_validation() -> None:
    strategy = made("fairmedseg")
    strategy.update(scores(1))
    assert strategy.weights is not None
    assert strategy.weights.array == pytest.approx([0.2, 0.2, 0.55 / 3, 0.55 / 3, 0.3, 0.3])
    # No memory: equal scores leave no weight at all.
    strategy.update(scores(2, np.full(6, 0.8)))
    assert strategy.weights.array == pytest.approx(np.zeros(6), abs=1e-12)


def test_fairmedseg_mean_one_keeps_the_scale_of_the_loss() -> None:
    strategy = made("fairmedseg-mean1")
    strategy.update(scores(1))
    assert strategy.weights is not None
    assert strategy.weights.array.mean() == pytest.approx(1)
    literal = np.array([0.2, 0.2, 0.55 / 3, 0.55 / 3, 0.3, 0.3])
    assert strategy.weights.array == pytest.approx(literal / literal.mean())


def test_fairmedseg_takes_another_rule() -> None:
    rule = WeightRule(kind="deficit", certainty="raw", memory="none", temperature=None, normalise=False, cap=None)
    strategy = made("fairmedseg", rule=rule)
    strategy.update(scores(1))
    assert strategy.weights is not None
    assert strategy.weights.array == pytest.approx([0, 0, 0.55 / 3, 0.15, 0.3, 0.3])


def test_sum_weighs_the_divergence_term_batch_size_times_more() -> None:
    def term(reduction: str) -> np.ndarray:
        strategy = made("fairmedseg", reduction=reduction, alpha=0.0)
        strategy.update(scores(1))
        return gradient(strategy)

    assert term("sum") == pytest.approx(6 * term("mean"), rel=1e-4)


# Sampling


def learned(strategy: Strategy, feedback: str, epoch: int, dice: np.ndarray) -> None:
    """An epoch after which the cases of one kind have these Dice, and those of the other are all alike."""
    watched(strategy, dice if feedback == "training" else np.full(6, 0.5))
    strategy.update(scores(epoch, dice if feedback == "validation" else np.full(6, 0.5)))


@pytest.mark.parametrize("feedback", ["training", "validation"])
def test_divergence_sampling_draws_the_harmed_group_most_and_relaxes(feedback: str) -> None:
    strategy = made("divergence-sampling", feedback=feedback)
    assert counts(strategy).tolist() == [1.0] * 6
    learned(strategy, feedback, 1, np.array([0.9, 0.8, 0.9, 0.8, 0.1, 0.2]))
    drawn = counts(strategy)
    assert drawn[4] == pytest.approx(drawn[5], rel=0.05)
    # Half of their divergence is taken for noise with six cases; it still leads.
    assert drawn[4] > 1.2 * drawn[:4].max()
    assert strategy.weights is not None
    assert strategy.weights.setter("E") is not None
    for epoch in range(2, 30):
        learned(strategy, feedback, epoch, np.full(6, 0.9))
    assert counts(strategy) == pytest.approx(np.ones(6), abs=0.05)


def test_balanced_draws_each_joint_cell_equally() -> None:
    # Cells: f1 {A, B}, f2 {C}, m1 {D}, m2 {E, F}; six draws over four cells.
    assert counts(made("balanced")) == pytest.approx([0.75, 0.75, 1.5, 1.5, 0.75, 0.75], abs=0.05)


def test_tempered_balanced_goes_half_way() -> None:
    # Weights 1/sqrt 2 and 1 over four cells: 4/sqrt 2 + 2 = 4.828 in all, for six draws.
    expected = np.array([2**-0.5, 2**-0.5, 1, 1, 2**-0.5, 2**-0.5]) * 6 / (4 * 2**-0.5 + 2)
    assert made("balanced-tempered").probabilities() == pytest.approx(expected)


def test_balanced_over_attributes_averages_their_weights() -> None:
    # Three of f and three of m: 1 each. Sites: three 1s (A, B, D) and three 2s.
    assert made("balanced-attributes").probabilities() == pytest.approx(np.ones(6))
    # Sex: f 6/(2*2) = 1.5, m 6/(2*4) = .75; site: a 6/(2*5) = .6, b 3; the mean of the two.
    assert made("balanced-attributes", UNEVEN).probabilities() == pytest.approx(
        np.array([1.5 + 0.6, 1.5 + 0.6, 0.75 + 0.6, 0.75 + 0.6, 0.75 + 0.6, 0.75 + 3]) / 2
    )


def test_an_oracle_draws_who_it_is_told_four_times_as_often() -> None:
    weights = made("oracle").probabilities()
    assert weights is not None
    assert weights / weights[0] == pytest.approx([1, 1, 1, 1, 4, 4])
    with pytest.raises(ConfigError, match="no training case has sex = x"):
        made("oracle", oracle={"sex": "x"})
    with pytest.raises(ConfigError, match="has to be told a subgroup"):
        made("oracle", oracle={})


def test_adaptive_sampling_begins_balanced_and_says_who_is_not_judged() -> None:
    strategy = made("adaptive-sampling")
    assert strategy.probabilities() == pytest.approx(made("balanced-tempered").probabilities())
    watched(strategy)
    strategy.update(scores(1))
    (remark,) = strategy.remarks()
    assert remark.startswith("4 cells of the attributes with 6 cases of 6 are too small to be judged")


def test_feedback_of_training_cases_needs_no_validation() -> None:
    strategy = made("adaptive-sampling")
    watched(strategy, np.array([0.9, 0.9, 0.9, 0.9, 0.1, 0.1]))
    strategy.update(EpochScores(1, None))
    assert strategy.weights is not None
    assert strategy.weights["E"] > strategy.weights["A"]
    blind = made("fairmedseg")
    blind.update(EpochScores(1, None))
    assert blind.weights is not None
    assert not blind.weights.array.any()


def test_one_shot_draws_by_the_given_weights_from_the_start() -> None:
    assert counts(made("one-shot")) == pytest.approx(np.arange(1, 7) * 6 / 21, abs=0.05)


def test_one_shot_does_not_go_on_with_other_weights() -> None:
    state = made("one-shot").state_dict()
    made("one-shot").load_state_dict(state)
    with pytest.raises(ConfigError, match="the one-shot weights differ"):
        made("one-shot", case_weights=dict.fromkeys(WEIGHTS, 1.0)).load_state_dict(state)


def test_one_shot_names_a_case_without_a_weight() -> None:
    with pytest.raises(ConfigError, match="1 of 6 training cases have none, for example D"):
        made("one-shot", case_weights={key: value for key, value in WEIGHTS.items() if key != "D"})


def test_jtt_draws_failures_lambda_times_after_its_first_stage() -> None:
    strategy = made("jtt")
    assert strategy.stages == (2, 4)
    assert [strategy.needs_training_scores(epoch) for epoch in range(1, 5)] == [False, True, False, False]
    strategy.update(scores(1))
    assert counts(strategy).tolist() == [1.0] * 6
    strategy.update(scores(2, training_dsc=np.array([0.9, 0.8, 0.49, 0.5, 0.9, 0.9])))
    assert strategy.probabilities() == pytest.approx([1, 1, 20, 1, 1, 1])


def test_jtt_without_failures_stays_plain() -> None:
    strategy = made("jtt")
    strategy.update(scores(2, training_dsc=np.full(6, 0.9)))
    assert counts(strategy).tolist() == [1.0] * 6


def test_jtt_needs_two_epochs() -> None:
    with pytest.raises(ConfigError, match="at least 2 epochs"):
        made("jtt", dataclasses.replace(CONTEXT, epochs=1))


# Loss weights


def test_reweighing_makes_group_and_outcome_independent() -> None:
    groups = np.array([0, 0, 0, 0, 1, 1])
    outcomes = np.array([0, 0, 0, 1, 1, 1])
    # P(g=0) = 4/6, P(y=0) = 3/6, P(0,0) = 3/6: w = 2/3; (0,1): 4/6 * 3/6 / (1/6) = 2; (1,1): 2/6 * 3/6 / (2/6) = 1/2.
    weights = independence_weights(groups, outcomes)
    assert weights == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2, 0.5, 0.5])


def test_reweighing_uses_thirds_of_the_lesion_volume() -> None:
    strategy = made("reweighing")
    # Cells f1 {A, B}, f2 {C}, m1 {D}, m2 {E, F}; thirds {A, B}, {C, D}, {E, F}: every cell lies within one third, so
    # w = n_g n_y / (N n_gy) = n_y / N for each case.
    assert strategy.weights is not None
    assert strategy.weights.array == pytest.approx(np.full(6, 2 / 6))


def test_reweighing_names_a_case_without_a_volume() -> None:
    with pytest.raises(ConfigError, match="label volume of A"):
        made("reweighing", dataclasses.replace(CONTEXT, volumes_mm3={}))


def test_groupdro_by_hand() -> None:
    strategy = made("groupdro", dro_step=0.5, dro_average=0.1)
    assert strategy.weights is not None
    # Groups f1 {A, B}, f2 {C}, m1 {D}, m2 {E, F}, drawn alike; q starts even, so the loss of a case weighs G q = 4/4,
    # and in an epoch it counts N q / n = 6/4/n.
    assert counts(strategy) == pytest.approx([0.75, 0.75, 1.5, 1.5, 0.75, 0.75], abs=0.05)
    assert list(strategy.objective.weights.values()) == pytest.approx(np.ones(6))  # type: ignore[attr-defined]
    assert strategy.weights.array == pytest.approx([0.75, 0.75, 1.5, 1.5, 0.75, 0.75])
    strategy.observe(("A", "E"), np.array([1.0, 3.0]))
    # Groups not met count as the mean of those met, 2.
    q = np.exp(0.5 * np.array([1.0, 2.0, 2.0, 3.0]))
    q /= q.sum()
    assert list(strategy.objective.weights.values()) == pytest.approx(  # type: ignore[attr-defined]
        4 * q[[0, 0, 1, 2, 3, 3]]
    )
    assert strategy.weights.array == pytest.approx(6 * q[[0, 0, 1, 2, 3, 3]] / [2, 2, 1, 1, 2, 2])
    strategy.observe(("B", "E"), np.array([2.0, 1.0]))
    again = np.exp(0.5 * np.array([1.0 + 1.1, 2 + (1.1 + 2.8) / 2, 2 + (1.1 + 2.8) / 2, 3.0 + 2.8]))
    again /= again.sum()
    assert strategy.weights.array == pytest.approx(6 * again[[0, 0, 1, 2, 3, 3]] / [2, 2, 1, 1, 2, 2])


def test_groupdro_adjustment_favours_small_groups() -> None:
    strategy = made("groupdro", dro_step=0.5, dro_adjustment=1.0)
    strategy.observe(SIX, np.ones(6))
    assert strategy.weights is not None
    # Equal losses: f2 and m1, of one case each, gain on f1 and m2, of two.
    assert strategy.weights["C"] / strategy.weights["A"] == pytest.approx(2 * np.exp(0.5 * (1 - np.sqrt(0.5))))


def test_focal_uses_its_own_loss() -> None:
    strategy = made("focal")
    easy = torch.full((1, 1, 4, 4, 4), 8.0)
    label = torch.ones_like(easy)
    assert strategy.losses(easy, label).item() < made("erm").losses(easy, label).item()


def test_adversarial_needs_an_attribute() -> None:
    bare = dataclasses.replace(CONTEXT, training=make_table(SIX, {}))
    with pytest.raises(ConfigError, match="no usable attribute"):
        made("adversarial", bare)


# Strategies without attributes or with one level only


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"adversarial", "oracle"}))
@pytest.mark.parametrize("columns", [{}, {"sex": ["f"] * 6}])
def test_nothing_to_tell_cases_apart_is_no_failure(name: str, columns: Mapping[str, list[str]]) -> None:
    table = make_table(SIX, columns)
    strategy = made(name, dataclasses.replace(CONTEXT, training=table, validation=table))
    strategy.observe(SIX, np.ones(6))
    strategy.update(scores(1))
    strategy.update(scores(2, training_dsc=SIX_DICE))
    if name not in ("one-shot", "jtt"):
        assert counts(strategy).tolist() == [1.0] * 6
    assert np.isfinite(gradient(strategy)).all()


# alpha auto


def test_fairmedseg_auto_uses_the_tuners_alpha() -> None:
    strategy = made("fairmedseg", alpha="auto")
    used = []
    for epoch in range(1, 8):
        used.append(strategy.facts()["alpha"])
        strategy.update(scores(epoch, total_score=0.5 + 0.01 * epoch))
    assert used[0] == 0.2
    assert len(set(used)) > 1
    undefined = made("fairmedseg", alpha="auto")
    undefined.update(scores(1, total_score=None))
    assert undefined.facts() == {"alpha": 0.2}


def test_literal_rule_is_the_default_of_fairmedseg_only() -> None:
    assert made("fairmedseg").feedback.reweighter.rule == LITERAL  # type: ignore[attr-defined]
    assert made("divergence-sampling").feedback.reweighter.rule != LITERAL  # type: ignore[attr-defined]
