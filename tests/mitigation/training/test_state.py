"""The state of a training and its files: what is written, what resuming takes back and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import (
    PROTOCOL,
    SETTINGS,
    TRAIN_IDS,
    VAL_IDS,
    Volumes,
    cohort_of,
    context,
    flat_state,
    make_table,
    rows,
    same_state,
    tiny_network,
    train,
    whole,
)

from segfair.errors import ConfigError
from segfair.mitigation.networks.checkpoints import load_checkpoint
from segfair.mitigation.training.loop import FitSettings, fit
from segfair.mitigation.training.strategies.kinds import make_strategy
from segfair.mitigation.training.strategies.strategy import StrategyOptions


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
    assert [(int(row["epoch"]), row["case"]) for row in written] == [(e, c) for e in range(4) for c in TRAIN_IDS]
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


KILLS = {"half a checkpoint": ("save_checkpoint", 4, 1), "between the tables": ("append_rows", 6, 2)}
"""What is being written -> the function during whose how-manieth call the process dies, and the epochs then saved."""


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
import segfair.mitigation.training.state as run
from tests.mitigation.training.test_state import KILLS
from tests.mitigation.toy_training import context, train

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


def test_checkpoints_load_without_running_code(tmp_path: Path) -> None:
    train(tmp_path, "adversarial", ctx=context(1))
    for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
        assert torch.load(tmp_path / name, weights_only=True)["format"] == 1


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
