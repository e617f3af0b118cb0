"""The loop: weights by id, resume bit for bit, interruptions, faults, several processes."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import (
    SIX,
    SIX_DICE,
    SIX_TABLE,
    Volumes,
    cohort_of,
    flat_state,
    make_table,
    tiny_network,
    whole,
)
from torch import nn

from segfair.errors import ConfigError, InputError
from segfair.mitigation.networks.checkpoints import load_checkpoint, save_checkpoint, trim_rows
from segfair.mitigation.training.batches import plan_epoch
from segfair.mitigation.training.evaluation import evaluate, foreground, total_scores, worst_subgroup
from segfair.mitigation.training.loop import FitResult, FitSettings, TrainingError, fit
from segfair.mitigation.training.objectives import dice_ce
from segfair.mitigation.training.strategies import make_strategy
from segfair.mitigation.training.strategy import EpochScores, Strategy, StrategyOptions, TrainingContext
from segfair.protocol.rules import load_protocol
from segfair.subgroups.lattice import mine_subgroups

PROTOCOL = load_protocol("default")
SETTINGS = FitSettings(batch_size=3, lr=0.02, min_cases=1)
TRAIN_IDS, TRAIN_TABLE = cohort_of(8, "t")
VAL_IDS, VAL_TABLE = cohort_of(8, "v")
FAINT = tuple(name for name in (*TRAIN_IDS, *VAL_IDS) if int(name[1:]) % 4 == 3)


def context(epochs: int = 4, **changes: Any) -> TrainingContext:
    base = TrainingContext(
        TRAIN_TABLE, VAL_TABLE, dice_ce, epochs, volumes_mm3=dict.fromkeys(TRAIN_IDS, 1.0), min_support=0.1, seed=7
    )
    return replace(base, **changes)


def train(
    out: Path,
    name: str = "divergence-sampling",
    *,
    ctx: TrainingContext | None = None,
    training: Any = None,
    network: nn.Module | None = None,
    settings: FitSettings = SETTINGS,
    strategy: Strategy | None = None,
    plain_training: Any = None,
    **more: Any,
) -> tuple[FitResult, nn.Module]:
    ctx = ctx or context()
    network = network or tiny_network(dropout=0.3)
    options = StrategyOptions(case_weights=dict.fromkeys(TRAIN_IDS, 1.0))
    result = fit(
        network,
        strategy or make_strategy(name, ctx, options),
        ctx,
        training=Volumes(TRAIN_IDS, noise=0.2, faint=FAINT) if training is None else training,
        validation=Volumes(VAL_IDS, faint=FAINT),
        plain_training=Volumes(TRAIN_IDS, faint=FAINT) if plain_training is None else plain_training,
        settings=settings,
        inferer=whole,
        protocol=PROTOCOL,
        out=out,
        **more,
    )
    return result, network


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def last_network(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(out / "checkpoint_last.pt")["network"])


def same_state(one: Path, other: Path) -> bool:
    a, b = last_network(one), last_network(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# What a training leaves


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
    quality = [record.quality for record in result.history]
    assert quality.index(max(quality)) + 1 == result.best_epoch
    assert best["scores"]["ts"] == result.history[result.best_epoch - 1].ts
    assert result.validation.dsc.mean() == pytest.approx(result.history[result.best_epoch - 1].dsc, abs=1e-12)


def test_learning_rate_falls_along_a_cosine_to_zero(tmp_path: Path) -> None:
    result, _ = train(tmp_path, "erm", ctx=context(4))
    steps = 3  # eight cases in batches of three
    expected = [0.01 * (1 + np.cos(np.pi * (steps * (epoch + 1) - 1) / (4 * steps))) for epoch in range(4)]
    assert [record.lr for record in result.history] == pytest.approx(expected)


def test_weights_csv_holds_the_weight_and_the_subgroup_that_set_it(tmp_path: Path) -> None:
    ctx = context(3)
    strategy = make_strategy("fairmedseg", ctx)
    train(tmp_path, ctx=ctx, strategy=strategy)
    written = rows(tmp_path / "weights.csv")
    assert [(int(row["epoch"]), row["case"]) for row in written] == [(e, c) for e in (1, 2, 3) for c in TRAIN_IDS]
    assert strategy.weights is not None
    for row in written[-8:]:
        assert float(row["weight"]) == strategy.weights[row["case"]]
        setter = strategy.weights.setter(row["case"])
        assert setter is not None
        assert row["subgroup"] == setter.name
    # The weight is the largest |divergence| of the case's own subgroups in that epoch's validation.
    gaps = np.abs([float(row["weight"]) for row in written])
    assert gaps.max() > 0


def test_plain_training_has_no_weights_file(tmp_path: Path) -> None:
    train(tmp_path, "erm", ctx=context(1))
    assert not (tmp_path / "weights.csv").exists()


def test_a_second_training_replaces_the_first(tmp_path: Path) -> None:
    train(tmp_path, ctx=context(2))
    train(tmp_path, "erm", ctx=context(1))
    assert len(rows(tmp_path / "history.csv")) == 1
    assert not (tmp_path / "weights.csv").exists()


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


class Spy(Volumes):
    """Notes which case was drawn with which label, and hands patches out if asked."""

    def __init__(self, *args: Any, patches: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patches = patches

    def __getitem__(self, draw: tuple[int, int]) -> Any:
        item = super().__getitem__(draw)
        # The case's number is written into a voxel, so that image and id can be checked against each other.
        item["image"] = item["image"].clone()
        item["image"][0, 0, 0, 0] = float(item["id"][1:])
        return [item] * self.patches if self.patches else item


@pytest.mark.parametrize(("patches", "workers"), [(0, 0), (2, 0), (2, 2)])
def test_ids_stay_with_their_images_through_shuffling_patches_and_workers(
    tmp_path: Path, patches: int, workers: int
) -> None:
    seen: list[tuple[str, float]] = []
    ctx = context(2)
    strategy = make_strategy("divergence-sampling", ctx)
    inner = strategy.objective

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = tiny_network()
            self.marks: list[float] = []

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            self.marks = image[:, 0, 0, 0, 0].tolist()
            return self.network(image)

    network = Watching()

    def objective(logits: Any, label: Any, case_ids: Any, *, batch_size: int | None = None) -> torch.Tensor:
        seen.extend(zip(case_ids, network.marks, strict=True))
        return inner(logits, label, case_ids, batch_size=batch_size)

    strategy.objective = objective
    spied = Spy(TRAIN_IDS, patches=patches)
    settings = replace(SETTINGS, workers=workers)
    train(tmp_path, ctx=ctx, strategy=strategy, network=network, training=spied, settings=settings)
    assert len(seen) == 2 * 8 * max(1, patches)
    assert all(float(case_id[1:]) == mark for case_id, mark in seen)


def test_patches_weigh_as_much_as_whole_cases(tmp_path: Path) -> None:
    # Two identical patches of each case have the gradient of the case itself.
    train(tmp_path / "whole", "erm", ctx=context(1), training=Spy(TRAIN_IDS), network=tiny_network())
    train(tmp_path / "patches", "erm", ctx=context(1), training=Spy(TRAIN_IDS, patches=2), network=tiny_network())
    a, b = last_network(tmp_path / "whole"), last_network(tmp_path / "patches")
    assert all(torch.allclose(a[key], b[key], atol=1e-6) for key in a)


def test_plan_follows_probabilities_and_seeds_every_draw_anew() -> None:
    weights = np.array([4.0, 1, 1, 1, 0.5, 0.5, 0, 0])
    plan = plan_epoch(weights, 8, batch_size=3, seed=1, epoch=2)
    assert [len(batch) for batch in plan] == [3, 3, 2]
    draws = [draw for batch in plan for draw in batch]
    assert sum(position == 0 for position, _ in draws) == 4
    assert all(position < 6 for position, _ in draws)
    assert len({seed for _, seed in draws}) == 8
    assert plan == plan_epoch(weights, 8, batch_size=3, seed=1, epoch=2)
    assert plan != plan_epoch(weights, 8, batch_size=3, seed=1, epoch=3)


# Going on


class StopsAt(Volumes):
    """Sends a signal to its own process when a certain draw is loaded."""

    def __init__(self, *args: Any, at: int, number: signal.Signals = signal.SIGINT, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.left, self.number = at, number

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return super().__getitem__(draw)


@pytest.mark.parametrize("name", ["erm", "fairmedseg", "divergence-sampling", "groupdro", "jtt", "adversarial"])
@pytest.mark.parametrize("at", [5, 8, 9, 20])
def test_ctrl_c_saves_and_resume_goes_on_bit_for_bit(tmp_path: Path, name: str, at: int) -> None:
    train(tmp_path / "straight", name)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", name, training=StopsAt(TRAIN_IDS, noise=0.2, faint=FAINT, at=at + 1))
    assert signal.getsignal(signal.SIGINT) is handler
    saved = load_checkpoint(tmp_path / "parts" / "checkpoint_last.pt")["training"]
    # One look at the data comes before the first draw. Draw `at` is in batch ceil(at / 3) of its epoch (3, 3 and 2
    # draws), and that step is finished first. A stop in an epoch's last step comes before its validation.
    epoch, draw = divmod(at - 1, 8)
    assert (saved["epoch"], saved["step"]) == (epoch, draw // 3 + 1)
    resumed, _ = train(tmp_path / "parts", name, network=tiny_network(seed=99, dropout=0.3), resume=True)
    assert same_state(tmp_path / "straight", tmp_path / "parts")
    for table in ("history.csv", "weights.csv"):
        straight = tmp_path / "straight" / table
        assert straight.exists() == (tmp_path / "parts" / table).exists()
        if straight.exists():
            assert straight.read_bytes() == (tmp_path / "parts" / table).read_bytes()
    assert len(resumed.history) == 4


def test_sigterm_saves_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, "erm", training=StopsAt(TRAIN_IDS, at=3, number=signal.SIGTERM))
    assert load_checkpoint(tmp_path / "checkpoint_last.pt")["training"]["step"] == 1


def test_ctrl_c_while_the_best_network_is_scored_stops_too(tmp_path: Path) -> None:
    straight, _ = train(tmp_path / "straight", "erm")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", "erm", plain_training=StopsAt(TRAIN_IDS, faint=FAINT, at=2))
    resumed, _ = train(tmp_path / "parts", "erm", resume=True)
    assert resumed.validation.dsc.tolist() == straight.validation.dsc.tolist()
    assert same_state(tmp_path / "straight", tmp_path / "parts")


def test_fit_outside_of_the_main_thread_leaves_signals_alone(tmp_path: Path) -> None:
    results: list[FitResult] = []
    thread = threading.Thread(target=lambda: results.append(train(tmp_path, "erm", ctx=context(1))[0]))
    thread.start()
    thread.join()
    assert len(results) == 1


def test_resuming_a_finished_training_only_reports(tmp_path: Path) -> None:
    first, _ = train(tmp_path)
    before = (tmp_path / "checkpoint_last.pt").stat().st_mtime_ns
    again, _ = train(tmp_path, resume=True)
    assert (tmp_path / "checkpoint_last.pt").stat().st_mtime_ns == before
    assert again.history == first.history
    np.testing.assert_array_equal(again.validation.dsc, first.validation.dsc)


def test_resuming_nothing_starts(tmp_path: Path) -> None:
    result, _ = train(tmp_path, ctx=context(1), resume=True)
    assert len(result.history) == 1


def test_resume_refuses_other_settings_by_name(tmp_path: Path) -> None:
    train(tmp_path, ctx=context(2))
    with pytest.raises(ConfigError, match="batch size 3, now it is 2"):
        train(tmp_path, ctx=context(2), settings=replace(SETTINGS, batch_size=2), resume=True)
    with pytest.raises(ConfigError, match="strategy DivergenceSampling, now it is Erm"):
        train(tmp_path, "erm", ctx=context(2), resume=True)
    ids, table = cohort_of(6, "v")
    with pytest.raises(ConfigError, match="8 cases, now it is 6 cases"):
        fit(
            tiny_network(),
            make_strategy("divergence-sampling", context(2, validation=table)),
            context(2, validation=table),
            training=Volumes(TRAIN_IDS),
            validation=Volumes(ids),
            settings=SETTINGS,
            inferer=whole,
            protocol=PROTOCOL,
            out=tmp_path,
            resume=True,
        )


KILLS = {"half a checkpoint": ("save_checkpoint", 4, 1), "between the tables": ("append_rows", 5, 2)}
"""What is being written -> the function during whose how-manieth call the process dies, and the epochs then saved."""

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import segfair.mitigation.training.state as run
from tests.mitigation.training.test_loop import KILLS, context, train

def die(out, function, last_call):
    real, calls = getattr(run, function), []
    def doomed(*arguments, **options):
        calls.append(1)
        if len(calls) == last_call:
            if function == "save_checkpoint":
                (out / ".checkpoint_last.pt.tmp").write_bytes(b"half a checkpoint")
                with (out / "history.csv").open("a") as stream:
                    stream.write("9,0.0")
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    setattr(run, function, doomed)
    train(out, ctx=context(3))

for name, (function, call, _) in KILLS.items():
    child = os.fork()
    if child == 0:
        die(Path({out!r}) / name, function, call)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, name
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings ended by SIGKILL, one folder each."""
    out = tmp_path_factory.mktemp("killed")
    code = KILLED.format(root=str(Path(__file__).resolve().parents[3]), out=str(out))
    subprocess.run([sys.executable, "-c", code], check=True)
    return out


@pytest.mark.parametrize("name", KILLS)
def test_kill_9_leaves_a_checkpoint_that_goes_on_bit_for_bit(tmp_path: Path, killed: Path, name: str) -> None:
    out = killed / name
    assert load_checkpoint(out / "checkpoint_last.pt")["epoch"] == KILLS[name][2]
    train(tmp_path / "straight", ctx=context(3))
    train(out, ctx=context(3), resume=True)
    assert same_state(tmp_path / "straight", out)
    assert (tmp_path / "straight" / "history.csv").read_bytes() == (out / "history.csv").read_bytes()
    assert (tmp_path / "straight" / "weights.csv").read_bytes() == (out / "weights.csv").read_bytes()


# Just train twice


def test_jtt_starts_its_second_network_from_the_initial_weights(tmp_path: Path) -> None:
    ctx = context(4)
    strategy = make_strategy("jtt", ctx, StrategyOptions(jtt_share=0.5))
    assert strategy.stages == (2, 2)
    network = tiny_network(dropout=0.3)
    initial = flat_state(network)
    starts: list[np.ndarray] = []
    plan = strategy.probabilities

    def probabilities() -> np.ndarray | None:
        starts.append(flat_state(network))
        return plan()

    strategy.probabilities = probabilities  # type: ignore[method-assign]
    result, _ = train(tmp_path, ctx=ctx, strategy=strategy, network=network)
    np.testing.assert_array_equal(starts[2], initial)
    assert not np.array_equal(starts[1], initial)
    assert not np.array_equal(starts[3], initial)
    assert result.best_epoch > 2
    assert result.history[0].lr == pytest.approx(result.history[2].lr)


# Checkpoints and tables


def test_checkpoints_load_without_running_code(tmp_path: Path) -> None:
    train(tmp_path, "adversarial", ctx=context(1))
    for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
        assert torch.load(tmp_path / name, weights_only=True)["format"] == 1


def test_unusable_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_checkpoint(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "text.pt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.pt")
    with pytest.raises(InputError, match="not written by segfair"):
        load_checkpoint(tmp_path / "foreign.pt")
    torch.save({"format": 99, "network": {}}, tmp_path / "newer.pt")
    with pytest.raises(InputError, match="format is 99"):
        load_checkpoint(tmp_path / "newer.pt")

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"format": 1, "network": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_last.pt"
    save_checkpoint(path, {"network": {}, "epoch": 1})
    with pytest.raises(Exception, match=r"pickle|local"):
        save_checkpoint(path, {"network": lambda: None, "epoch": 2})
    assert load_checkpoint(path)["epoch"] == 1


def test_trim_drops_later_epochs_and_a_broken_last_row(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,dsc\r\n1,0.5\r\n2,0.6\r\n3,0.7\r\n4")
    trim_rows(path, last_epoch=2)
    assert path.read_bytes() == b"epoch,dsc\r\n1,0.5\r\n2,0.6\r\n"
    trim_rows(tmp_path / "absent.csv", last_epoch=2)


# Faults


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


class Hungry(nn.Module):
    """Fails as an allocator does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.error = error

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_the_size_and_what_to_try(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(ConfigError, match=r"3 volumes of 1 x 8 x 8 x 8 at a time; try a smaller --batch-size"):
        train(tmp_path, "erm", network=Hungry(error))


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="something else"):
        train(tmp_path, "erm", network=Hungry(RuntimeError("something else")))


def test_data_in_another_order_than_the_attributes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training: the data has 8 cases and the attributes 8, .* position 0 on"):
        train(tmp_path, training=Volumes(TRAIN_IDS[::-1]))
    with pytest.raises(ConfigError, match="from position 5 on"):
        train(tmp_path, training=Volumes(TRAIN_IDS[:5]))
    with pytest.raises(ConfigError, match="training: no cases"):
        train(tmp_path, training=Volumes(()))


def test_unequal_shapes_in_a_batch_are_refused(tmp_path: Path) -> None:
    class Ragged(Volumes):
        def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
            item = super().__getitem__(draw)
            return {**item, "image": item["image"][..., : 8 - 2 * (draw[0] % 2)]}

    with pytest.raises(ConfigError, match="1 x 8 x 8 x 6, 1 x 8 x 8 x 8"):
        train(tmp_path, "erm", training=Ragged(TRAIN_IDS))


def test_one_level_only_in_validation_and_cases_without_metadata(tmp_path: Path) -> None:
    ctx = context(2, validation=make_table(VAL_IDS, {"sex": ["f"] * 8, "site": [None] * 8}))
    result, _ = train(tmp_path, ctx=ctx)
    assert [row["weight"] for row in rows(tmp_path / "weights.csv")] == ["1.0"] * 16
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
    strategy = make_strategy("divergence-sampling", ctx)
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


def test_without_any_attribute_the_best_epoch_is_the_one_of_best_ps(tmp_path: Path) -> None:
    ctx = context(3, training=make_table(TRAIN_IDS, {}), validation=make_table(VAL_IDS, {}))
    result, _ = train(tmp_path, ctx=ctx)
    assert all(record.ts is None and record.worst_subgroup is None for record in result.history)
    quality = [record.ps for record in result.history]
    assert quality.index(max(quality)) + 1 == result.best_epoch


def test_half_precision_needs_a_gpu() -> None:
    with pytest.raises(ConfigError, match="needs a GPU"):
        FitSettings(amp=True)
    with pytest.raises(ConfigError, match="batch size: at least 1"):
        FitSettings(batch_size=0)


# Evaluation


class Answer(nn.Module):
    """Marks what is brighter than a half."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image - 0.5


def test_evaluation_scores_cases_in_order_with_the_audit_s_scorer() -> None:
    dataset = Volumes(("x00", "x01", "x02"), faint=("x01",))
    scored = evaluate(Answer(), dataset, inferer=whole, protocol=PROTOCOL, batch_size=2)
    assert scored.case_ids == ("x00", "x01", "x02")
    assert scored.dsc.tolist() == [1.0, 0.0, 1.0]
    assert scored.normhd.tolist() == [0.0, 1.0, 0.0]
    assert scored.ps.tolist() == [1.0, 0.0, 1.0]


def test_evaluation_takes_volumes_of_several_shapes() -> None:
    class Ragged(Volumes):
        def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
            item = super().__getitem__(draw)
            crop = slice(0, 8 - 2 * (draw[0] % 2))
            return {**item, "image": item["image"][:, :, :, crop], "label": item["label"][:, :, :, crop]}

    scored = evaluate(Answer(), Ragged(SIX), inferer=whole, protocol=PROTOCOL, batch_size=4)
    assert scored.dsc.tolist() == [1.0] * 6


def test_foreground_of_one_and_of_several_channels() -> None:
    one = torch.tensor([-1.0, 0.0, 2.0]).reshape(1, 1, 3, 1, 1)
    assert foreground(one).flatten().tolist() == [0, 0, 1]
    three = torch.tensor([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 0.5]]).T.reshape(1, 3, 3, 1, 1)
    assert foreground(three).flatten().tolist() == (three.argmax(1) > 0).int().flatten().tolist()


def test_worst_subgroup_counts_only_large_enough_ones() -> None:
    membership = mine_subgroups(SIX_TABLE, min_support=0.1)
    worst = worst_subgroup(membership, SIX_DICE, min_cases=2)
    assert worst is not None
    assert (worst.name, worst.n, worst.dsc) == ("sex = m, site = 2", 2, pytest.approx(0.35))
    worst = worst_subgroup(membership, SIX_DICE, min_cases=3)
    assert worst is not None
    assert (worst.name, worst.n) == ("site = 2", 3)
    assert worst_subgroup(membership, SIX_DICE, min_cases=4) is None


def test_total_scores_follow_the_protocol() -> None:
    dataset = Volumes(SIX, faint=("E", "F"))
    scored = evaluate(Answer(), dataset, inferer=whole, protocol=PROTOCOL)
    total = total_scores(scored, SIX_TABLE, PROTOCOL, min_cases=1)
    # DSC and 1 - NormHD are 1 for four cases and 0 for two: PS 2/3. f 1, m 1/3; site 1: 1, site 2: 1/3. FS 1/3.
    assert total.ps == pytest.approx(2 / 3)
    assert total.fs == pytest.approx(1 / 3)
    assert total.ts == pytest.approx(0.5)
    assert total_scores(scored, SIX_TABLE, PROTOCOL, min_cases=4).fs is None


# Several processes

RANK = """
import atexit, os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import torch
def threads():
    names = [task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()]
    Path({out!r}, "threads-" + os.environ["RANK"]).write_text("".join(names))
atexit.register(threads)
torch.set_num_threads(1)
from tests.mitigation.training.test_loop import FloatingPoint64, SEVEN, context, train
for name in {names!r}:
    train(Path({out!r}) / name, name, ctx=context(2), network=FloatingPoint64(), settings=SEVEN)
"""


SEVEN = replace(SETTINGS, batch_size=7)
"""Eight cases in batches of seven: four and three for two processes, then one and none."""


class FloatingPoint64(nn.Module):
    """The toy network in double precision: sums in another order differ by 1e-16 and not by a voxel."""

    def __init__(self) -> None:
        super().__init__()
        self.network = tiny_network().double()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image.double())


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    names = ["fairmedseg", "divergence-sampling", "groupdro", "adversarial"]
    root = str(Path(__file__).resolve().parents[3])
    script = tmp_path / "rank.py"
    script.write_text(RANK.format(root=root, out=str(tmp_path / "two"), names=names))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in "01":
        # A thread of the group that outlives the interpreter aborts the process, now and then.
        assert "gloo" not in (tmp_path / "two" / f"threads-{rank}").read_text()
    for name in names:
        train(tmp_path / "one" / name, name, ctx=context(2), network=FloatingPoint64(), settings=SEVEN)
        one, two = last_network(tmp_path / "one" / name), last_network(tmp_path / "two" / name)
        for key in one:
            assert torch.allclose(one[key], two[key], atol=1e-5), (name, key)
        if name != "adversarial":
            weights = [rows(tmp_path / which / name / "weights.csv") for which in ("one", "two")]
            assert [row["case"] for row in weights[0]] == [row["case"] for row in weights[1]]
            for a, b in zip(*weights, strict=True):
                assert float(a["weight"]) == pytest.approx(float(b["weight"]), abs=1e-12)
        assert len(rows(tmp_path / "two" / name / "history.csv")) == 2


# Progress


class Notes:
    """Writes down what the loop tells."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self, n_steps: int, done: int) -> None:
        self.told.append(("start", n_steps, done))

    def step(self) -> None:
        self.told.append("step")

    def epoch(self, record: Any) -> None:
        self.told.append(("epoch", record.epoch))

    def stop(self) -> None:
        self.told.append("stop")


def test_progress_hears_every_step_and_epoch(tmp_path: Path) -> None:
    notes = Notes()
    train(tmp_path, "erm", ctx=context(2), progress=notes)
    steps = ["step"] * 3
    assert notes.told == [("start", 6, 0), *steps, ("epoch", 1), *steps, ("epoch", 2), "stop"]


def test_rich_progress_prints_mean_and_worst_subgroup(tmp_path: Path) -> None:
    import io

    from rich.console import Console

    from segfair.mitigation.training.progress import RichProgress

    stream = io.StringIO()
    progress = RichProgress("toy, erm", 2, console=Console(file=stream, width=200))
    result, _ = train(tmp_path, "erm", ctx=context(2), progress=progress)
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("toy, erm: epoch")]
    assert len(lines) == 2
    record = result.history[1]
    assert f"epoch 2/2  loss {record.loss:.4f}  validation Dice {record.dsc:.3f}" in lines[1]
    assert f"worst subgroup {record.worst_dsc:.3f} ({record.worst_subgroup}, n = {record.worst_n})" in lines[1]
