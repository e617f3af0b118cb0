"""The loop: a training learns, repeats itself, weighs by id, and stops at what is not a number."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import (
    FAINT,
    PROTOCOL,
    SETTINGS,
    TRAIN_IDS,
    VAL_IDS,
    Volumes,
    context,
    last_network,
    make_table,
    rows,
    same_state,
    tiny_network,
    train,
    whole,
)
from torch import nn

from segfair.errors import ConfigError
from segfair.mitigation.networks.checkpoints import load_checkpoint
from segfair.mitigation.training.batches import plan_epoch
from segfair.mitigation.training.loop import FitResult, TrainingError, fit
from segfair.mitigation.training.progress import TrainingProgress
from segfair.mitigation.training.state import EpochRecord
from segfair.mitigation.training.strategies.kinds import make_strategy
from segfair.mitigation.training.strategies.strategy import EpochScores, StrategyOptions
from segfair.mitigation.weighting.reweighter import TILTED, DivergenceReweighter


def test_a_training_learns_and_writes_its_files(tmp_path: Path) -> None:
    result, network = train(tmp_path, ctx=context(12), description={"backbone": "toy"})
    history = rows(tmp_path / "history.csv")
    assert [int(row["epoch"]) for row in history] == list(range(1, 13))
    assert result.history[-1].loss < result.history[0].loss
    assert float(history[-1]["dsc"]) == result.history[-1].dsc
    assert result.validation.case_ids == VAL_IDS
    assert result.training is not None
    assert result.training.case_ids == TRAIN_IDS
    best = load_checkpoint(tmp_path / "checkpoint_best.pt")
    assert best["epoch"] == result.best_epoch
    assert best["description"] == {"backbone": "toy"}
    assert "training" not in best
    assert all(torch.equal(value, best["network"][key]) for key, value in network.state_dict().items())
    quality = [record.quality("ts") for record in result.history]
    assert quality.index(max(quality)) + 1 == result.best_epoch
    assert best["scores"]["ts"] == result.history[result.best_epoch - 1].ts
    assert result.validation.dsc.mean() == pytest.approx(result.history[result.best_epoch - 1].dsc, abs=1e-12)


def test_same_seed_same_training_other_seed_another(tmp_path: Path) -> None:
    train(tmp_path / "a")
    train(tmp_path / "b")
    train(tmp_path / "c", ctx=context(seed=8))
    assert same_state(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "history.csv").read_bytes() == (tmp_path / "b" / "history.csv").read_bytes()
    assert not same_state(tmp_path / "a", tmp_path / "c")


def test_loader_workers_change_nothing(tmp_path: Path) -> None:
    train(tmp_path / "a", ctx=context(1))
    train(tmp_path / "b", ctx=context(1), settings=replace(SETTINGS, workers=2))
    assert same_state(tmp_path / "a", tmp_path / "b")


def test_fairmedseg_with_alpha_one_is_plain_training(tmp_path: Path) -> None:
    ctx = context(3)
    train(tmp_path / "plain", "erm", ctx=ctx)
    strategy = make_strategy("fairmedseg", ctx, StrategyOptions(alpha=1.0))
    train(tmp_path / "fair", ctx=ctx, strategy=strategy)
    a, b = last_network(tmp_path / "plain"), last_network(tmp_path / "fair")
    assert all(torch.allclose(a[key], b[key], atol=1e-6) for key in a)


class Poisoned(Volumes):
    """One case whose image is not a number."""

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
        item = super().__getitem__(draw)
        if item["id"] == "t05":
            item["image"] = item["image"] * float("nan")
        return item


def test_nan_loss_stops_with_the_case_and_its_batch(tmp_path: Path) -> None:
    plan = plan_epoch(None, 8, batch_size=3, seed=7, epoch=1)
    position = next(i for i, batch in enumerate(plan) if any(p == 5 for p, _ in batch))
    others = ", ".join(TRAIN_IDS[p] for p, _ in plan[position])
    with pytest.raises(TrainingError) as error:
        train(tmp_path, "erm", training=Poisoned(TRAIN_IDS))
    assert f"epoch 1, step {position + 1}: the loss of t05 is not a number (batch: {others})" in str(error.value)


class Steep(nn.Module):
    """A finite answer whose gradient is infinite: the square root of 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.weight.sqrt()


def test_a_gradient_that_is_no_number_stops_with_its_own_batch(tmp_path: Path) -> None:
    network = Steep()
    with pytest.raises(TrainingError, match="epoch 1, step 1: the gradient is not a number although the loss is"):
        train(tmp_path, "erm", network=network)
    assert network.weight.item() == 0, "nothing was stepped"


def test_one_level_only_in_validation_and_cases_without_metadata(tmp_path: Path) -> None:
    ctx = context(2, validation=make_table(VAL_IDS, {"sex": ["f"] * 8, "site": [None] * 8}))
    result, _ = train(tmp_path, ctx=ctx)
    assert [row["weight"] for row in rows(tmp_path / "weights.csv")] == ["1.0"] * 24
    assert result.history[-1].worst_subgroup == "sex = f"


def test_labels_of_one_class_only_in_validation(tmp_path: Path) -> None:
    class Background(Volumes):
        def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
            item = super().__getitem__(draw)
            return {**item, "label": torch.zeros_like(item["label"])}

    ctx = context(2)
    result = fit(
        tiny_network(),
        make_strategy("divergence-sampling", ctx),
        ctx,
        training=Background(TRAIN_IDS),
        validation=Background(VAL_IDS),
        settings=SETTINGS,
        inferer=whole,
        protocol=PROTOCOL,
        out=tmp_path,
    )
    assert set(np.unique(result.validation.dsc)) <= {0.0, 1.0}
    assert all(np.isfinite(record.loss) for record in result.history)
    assert result.training is None


@pytest.mark.parametrize("outcome", ["dsc", "ps"])
def test_the_chosen_outcome_drives_the_strategy(tmp_path: Path, outcome: Any) -> None:
    ctx = context(2)
    strategy = make_strategy("divergence-sampling", ctx, StrategyOptions(feedback="validation"))
    seen: list[EpochScores] = []
    strategy.update = seen.append  # type: ignore[method-assign]
    result, _ = train(tmp_path, ctx=ctx, strategy=strategy, settings=replace(SETTINGS, outcome=outcome))
    best = seen[result.best_epoch - 1]
    expected = result.validation.dsc if outcome == "dsc" else result.validation.ps
    np.testing.assert_array_equal(best.outcome, expected)
    assert best.total_score == result.history[result.best_epoch - 1].ts


def test_strategies_that_look_at_training_scores_need_the_plain_cases(tmp_path: Path) -> None:
    ctx = context(3)
    with pytest.raises(ValueError, match="Jtt needs plain_training"):
        fit(
            tiny_network(),
            make_strategy("jtt", ctx),
            ctx,
            training=Volumes(TRAIN_IDS),
            validation=Volumes(VAL_IDS),
            settings=SETTINGS,
            inferer=whole,
            protocol=PROTOCOL,
            out=tmp_path,
        )


STRONG = replace(SETTINGS, optimiser="adamw", schedule="one-cycle", weight_decay=0.01, average=0.1, select="ema")


def test_the_average_of_the_weights_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    result, network = train(tmp_path, "erm", ctx=context(6), settings=STRONG)
    assert result.best_epoch == 6
    last = load_checkpoint(tmp_path / "checkpoint_last.pt")
    average, raw = last["training"]["average"]["network"], last["training"]["module"]
    kept = network.state_dict()
    assert all(torch.equal(kept[key], average[key]) for key in kept)
    assert any(not torch.equal(kept[key], raw[f"network.{key}"]) for key in kept)
    assert result.validation is not None
    assert result.validation.dsc.mean() == pytest.approx(result.history[-1].dsc, abs=1e-12)


@pytest.mark.parametrize("select", ["dice", "ps", "worst", "last"])
def test_the_kept_epoch_is_the_one_that_was_asked_for(tmp_path: Path, select: Any) -> None:
    result, _ = train(tmp_path, "erm", ctx=context(8), settings=replace(SETTINGS, lr=0.1, select=select))
    column = {"dice": "dsc", "ps": "ps", "worst": "worst_dsc", "last": "epoch"}[select]
    values = [getattr(record, column) for record in result.history]
    assert result.best_epoch == values.index(max(values)) + 1
    kept = load_checkpoint(tmp_path / "checkpoint_best.pt")
    assert kept["epoch"] == result.best_epoch


def test_validation_now_and_then_and_always_at_the_end(tmp_path: Path) -> None:
    result, _ = train(tmp_path, ctx=context(5), settings=replace(SETTINGS, validate_every=2))
    assert [record.dsc is not None for record in result.history] == [False, True, False, True, True]
    history = rows(tmp_path / "history.csv")
    assert [bool(row["dsc"]) for row in history] == [False, True, False, True, True]
    # Weights stand until the next validation.
    table = rows(tmp_path / "weights.csv")
    first, second = ([row["weight"] for row in table if row["epoch"] == epoch] for epoch in "23")
    assert first == second
    assert result.best_epoch in (2, 4, 5)


def test_weights_follow_the_dice_of_the_batches_without_a_validation_case(tmp_path: Path) -> None:
    ctx = context(3)
    strategy = make_strategy("divergence-sampling", ctx)
    seen: list[tuple[tuple[str, ...], np.ndarray]] = []
    observed = strategy.observe_dice

    def observe_dice(case_ids: Any, dice: np.ndarray) -> None:
        seen.append((tuple(case_ids), dice))
        observed(case_ids, dice)

    strategy.observe_dice = observe_dice  # type: ignore[method-assign]
    settings = replace(STRONG, average=0.0, select="last")
    result = fit(
        tiny_network(),
        strategy,
        ctx,
        training=Volumes(TRAIN_IDS, noise=0.2, faint=FAINT),
        validation=None,
        settings=settings,
        inferer=whole,
        protocol=PROTOCOL,
        out=tmp_path,
    )
    assert len(seen) == 9, "three batches an epoch"
    assert sorted(name for ids, _ in seen[:3] for name in ids) == sorted(TRAIN_IDS), "every case once before any weight"
    assert all(((dice >= 0) & (dice <= 1)).all() for _, dice in seen)
    by_hand = DivergenceReweighter(
        ctx.training, ctx.training, min_support=ctx.min_support, rule=replace(TILTED, memory="none")
    )
    first = {name: dice for ids, values in seen[:3] for name, dice in zip(ids, values.tolist(), strict=True)}
    expected = by_hand.update(first)
    written = {row["case"]: float(row["weight"]) for row in rows(tmp_path / "weights.csv") if row["epoch"] == "1"}
    assert written == pytest.approx(dict(expected))
    assert result.validation is None


def test_a_training_that_follows_its_cases_goes_on_bit_for_bit_within_an_epoch(tmp_path: Path) -> None:
    def follow(out: Path, **more: Any) -> FitResult:
        return train(out, "adaptive-sampling", ctx=context(4), feedback="training", **more)[0]

    class Stop(TrainingProgress):
        def __init__(self) -> None:
            self.steps = 0

        def step(self) -> None:
            self.steps += 1
            if self.steps == 5:
                os.kill(os.getpid(), signal.SIGINT)

    straight = follow(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        follow(tmp_path / "parts", progress=Stop())
    parts = follow(tmp_path / "parts", resume=True)
    assert same_state(tmp_path / "whole", tmp_path / "parts")
    assert (tmp_path / "whole" / "weights.csv").read_bytes() == (tmp_path / "parts" / "weights.csv").read_bytes()
    assert parts.remarks == straight.remarks


def test_without_validation_cases_the_end_is_kept(tmp_path: Path) -> None:
    ctx = context(3)
    result = fit(
        tiny_network(),
        make_strategy("balanced", ctx),
        ctx,
        training=Volumes(TRAIN_IDS),
        validation=None,
        settings=STRONG,
        inferer=whole,
        protocol=PROTOCOL,
        out=tmp_path,
    )
    assert result.validation is None
    assert result.best_epoch == 3
    assert all(record.dsc is None and record.loss > 0 for record in result.history)
    # A choice by validation needs some: nothing could be chosen.
    with pytest.raises(ConfigError, match="--select ts: chooses by validation cases, and there are none"):
        fit(
            tiny_network(),
            make_strategy("erm", ctx),
            ctx,
            training=Volumes(TRAIN_IDS),
            validation=None,
            settings=SETTINGS,
            inferer=whole,
            protocol=PROTOCOL,
            out=tmp_path / "ts",
        )


def test_a_strong_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole_run, _ = train(tmp_path / "whole", ctx=context(4), settings=STRONG)

    class Stop(TrainingProgress):
        def epoch(self, record: EpochRecord) -> None:
            if record.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", ctx=context(4), settings=STRONG, progress=Stop())
    parts, _ = train(tmp_path / "parts", ctx=context(4), settings=STRONG, resume=True)
    assert same_state(tmp_path / "whole", tmp_path / "parts")
    assert whole_run.history == parts.history
    with pytest.raises(ConfigError, match="trained with optimiser adamw, now it is adam"):
        train(tmp_path / "parts", ctx=context(4), settings=replace(STRONG, optimiser="adam"), resume=True)


class TwoHeads(nn.Module):
    """A network with deep supervision: two heads in training, the first alone otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.body = tiny_network()
        self.coarse = nn.Conv3d(1, 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        fine = self.body(image)
        return torch.stack([fine, self.coarse(image)], dim=1) if self.training else fine


def test_networks_with_deep_supervision_train_all_their_heads(tmp_path: Path) -> None:
    network = TwoHeads()
    before = network.coarse.weight.clone()
    result, _ = train(tmp_path, "erm", ctx=context(6), network=network, settings=STRONG)
    assert result.history[-1].loss < result.history[0].loss
    assert not torch.equal(before, network.coarse.weight)


def test_a_compiled_network_trains_to_the_same_weights(tmp_path: Path) -> None:
    if shutil.which("g++") is None and shutil.which("gcc") is None:
        pytest.skip("compiling needs a C++ compiler")
    plain, network = train(tmp_path / "plain", "erm", ctx=context(1))
    compiled, other = train(tmp_path / "compiled", "erm", ctx=context(1), settings=replace(SETTINGS, compiled=True))
    assert compiled.history[0].loss == pytest.approx(plain.history[0].loss, rel=1e-4)
    assert network.state_dict().keys() == other.state_dict().keys()
