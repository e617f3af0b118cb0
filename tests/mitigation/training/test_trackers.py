"""What trackers are told, read back from disk; and that none of them can end a training."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.mitigation.toy_training import context, rows, train

from segfair.errors import ConfigError
from segfair.mitigation.training import trackers
from segfair.mitigation.training.progress import TrainingProgress
from segfair.mitigation.training.state import EpochRecord
from segfair.mitigation.training.trackers import TrackedProgress, TrackedRun, Trackers, check_trackers

FACTS: Mapping[str, str | int] = {"backbone": "toy", "strategy": "erm", "fold": 1, "seed": 7}
PLACE = "erm/fold-1"


def run(*, resumed: bool = False, place: str = PLACE) -> TrackedRun:
    return TrackedRun("toy, erm, fold 1 of 2", place, FACTS, resumed)


def tracked(out: Path, *names: str, n_epochs: int = 3, resumed: bool = False, told: list[str] | None = None) -> Any:
    """A progress that shows nothing and tells these trackers."""
    tell = (told if told is not None else []).append
    found = Trackers(names, out, run(resumed=resumed), tell=tell)
    return TrackedProgress(TrainingProgress(), found, n_epochs=n_epochs, history=out / PLACE / "history.csv")


class StopAt(TrainingProgress):
    """Interrupts a training, as Ctrl-C does, once an epoch has been told."""

    def __init__(self, inner: TrackedProgress, epoch: int) -> None:
        self.inner, self.at = inner, epoch

    def start(self, n_steps: int, done: int) -> None:
        self.inner.start(n_steps, done)

    def epoch(self, record: Any) -> None:
        self.inner.epoch(record)
        if record.epoch == self.at:
            os.kill(os.getpid(), signal.SIGINT)

    def stop(self) -> None:
        self.inner.stop()


def numbers(history: Path) -> dict[str, list[tuple[int, float]]]:
    """Column -> (epoch, number) of a `history.csv`: what every tracker has to hold."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows(history):
        for name, value in row.items():
            if value and name not in ("epoch", "worst_subgroup"):
                found.setdefault(name, []).append((int(row["epoch"]), float(value)))
    return found


def in_tensorboard(out: Path, place: str = PLACE) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out / "tensorboard" / place))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def mlflow_client(out: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=(out / "mlruns").resolve().as_uri())


def mlflow_runs(out: Path) -> list[Any]:
    client = mlflow_client(out)
    experiment = client.get_experiment_by_name("segfair")
    return list(client.search_runs([experiment.experiment_id]))


def in_mlflow(out: Path) -> dict[str, list[tuple[int, float]]]:
    (only,) = mlflow_runs(out)
    client = mlflow_client(out)
    return {
        name: [(point.step, point.value) for point in client.get_metric_history(only.info.run_id, name)]
        for name in only.data.metrics
    }


def same(
    found: Mapping[str, list[tuple[int, float]]], wanted: Mapping[str, list[tuple[int, float]]], rel: float
) -> None:
    assert found.keys() == wanted.keys()
    for name, points in wanted.items():
        assert [step for step, _ in found[name]] == [step for step, _ in points], name
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in points], rel=rel), name


@pytest.fixture(autouse=True)
def no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


def test_tensorboard_and_mlflow_hold_the_numbers_of_history_csv(tmp_path: Path) -> None:
    progress = tracked(tmp_path, "tensorboard", "mlflow")
    train(tmp_path / PLACE, "erm", ctx=context(3), progress=progress)
    wanted = numbers(tmp_path / PLACE / "history.csv")
    assert {"loss", "lr", "dsc", "fs", "worst_n"} <= wanted.keys()
    # Event files hold single precision; MLflow's store every digit.
    same(in_tensorboard(tmp_path), wanted, rel=1e-6)
    same(in_mlflow(tmp_path), wanted, rel=1e-15)
    (only,) = mlflow_runs(tmp_path)
    assert only.info.run_name == "toy, erm, fold 1 of 2"
    assert only.data.params == {name: str(fact) for name, fact in FACTS.items()}
    assert only.info.status == "FINISHED"


def test_an_epoch_that_was_not_validated_has_its_training_alone(tmp_path: Path) -> None:
    progress = tracked(tmp_path, "mlflow", n_epochs=1)
    progress.start(3, 0)
    progress.epoch(EpochRecord(1, 0.01, 0.5))
    progress.stop()
    assert in_mlflow(tmp_path) == {"lr": [(1, 0.01)], "loss": [(1, 0.5)]}


def test_a_resumed_training_has_every_epoch_once(tmp_path: Path) -> None:
    names = ("tensorboard", "mlflow")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / PLACE, "erm", ctx=context(4), progress=StopAt(tracked(tmp_path, *names, n_epochs=4), 2))
    assert [only.info.status for only in mlflow_runs(tmp_path)] == ["KILLED"]
    again = tracked(tmp_path, *names, n_epochs=4, resumed=True)
    train(tmp_path / PLACE, "erm", ctx=context(4), progress=again, resume=True)
    wanted = numbers(tmp_path / PLACE / "history.csv")
    assert [epoch for epoch, _ in wanted["loss"]] == [1, 2, 3, 4]
    same(in_tensorboard(tmp_path), wanted, rel=1e-6)
    same(in_mlflow(tmp_path), wanted, rel=1e-15)
    assert [only.info.status for only in mlflow_runs(tmp_path)] == ["FINISHED"]


def test_a_tracker_named_on_resume_is_told_the_epochs_before(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / PLACE, "erm", ctx=context(3), progress=StopAt(tracked(tmp_path), 1))
    again = tracked(tmp_path, "mlflow", "tensorboard", resumed=True)
    train(tmp_path / PLACE, "erm", ctx=context(3), progress=again, resume=True)
    wanted = numbers(tmp_path / PLACE / "history.csv")
    same(in_mlflow(tmp_path), wanted, rel=1e-15)
    same(in_tensorboard(tmp_path), wanted, rel=1e-6)


def test_a_training_that_begins_anew_is_another_run(tmp_path: Path) -> None:
    for epochs in (3, 2):
        progress = tracked(tmp_path, "tensorboard", "mlflow", n_epochs=epochs)
        train(tmp_path / PLACE, "erm", ctx=context(epochs), progress=progress)
    assert len(mlflow_runs(tmp_path)) == 2
    # Nothing of the three epochs of the first is read any more.
    same(in_tensorboard(tmp_path), numbers(tmp_path / PLACE / "history.csv"), rel=1e-6)


def test_mlflow_goes_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "elsewhere" / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "breast")
    progress = tracked(tmp_path, "mlflow", n_epochs=1)
    train(tmp_path / PLACE, "erm", ctx=context(1), progress=progress)
    assert not (tmp_path / "mlruns").exists()
    assert mlflow_client(tmp_path / "elsewhere").get_experiment_by_name("breast") is not None


class StandIn:
    """W&B's client, as far as it is called; a run continues where its id was seen before."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.ended: list[int] = []

    def init(self, **asked: Any) -> SimpleNamespace:
        self.asked.append(asked)
        following = self.logged[-1][0] + 1 if asked["id"] and self.logged else 0
        return SimpleNamespace(
            id=asked["id"] or "made-up",
            step=following,
            log=self._log,
            finish=lambda exit_code: self.ended.append(exit_code),
        )

    def _log(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((step, metrics))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


def test_what_weights_and_biases_is_asked(tmp_path: Path, wandb: StandIn) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / PLACE, "erm", ctx=context(3), progress=StopAt(tracked(tmp_path, "wandb"), 2))
    train(tmp_path / PLACE, "erm", ctx=context(3), progress=tracked(tmp_path, "wandb", resumed=True), resume=True)
    first, second = wandb.asked
    assert first == {
        "project": "segfair",
        "dir": str(tmp_path),
        "name": "toy, erm, fold 1 of 2",
        "config": dict(FACTS),
        "id": None,
        "resume": None,
    }
    assert (second["id"], second["resume"]) == ("made-up", "allow")
    wanted = numbers(tmp_path / PLACE / "history.csv")
    assert [(step, metrics["loss"]) for step, metrics in wandb.logged] == wanted["loss"]
    assert wandb.ended == [1, 0]


class Broken:
    """A tracker whose server goes away after some calls."""

    def __init__(self, good_calls: int) -> None:
        self.left = good_calls
        self.calls = 0

    def _call(self) -> int:
        self.calls += 1
        self.left -= 1
        if self.left < 0:
            raise ConnectionError("no route to host\nand more lines")
        return 0

    def begin(self, _run: TrackedRun) -> int:
        return self._call()

    def log(self, _metrics: Mapping[str, float], _step: int) -> None:
        self._call()

    def end(self, *, complete: bool) -> None:
        self._call()


@pytest.mark.parametrize("good_calls", [0, 1, 2, 4])
def test_a_tracker_that_fails_is_told_of_once_and_ends_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good_calls: int
) -> None:
    broken = Broken(good_calls)
    monkeypatch.setattr(trackers, "TRACKERS", {**trackers.TRACKERS, "mlflow": lambda _: broken})
    told: list[str] = []
    progress = tracked(tmp_path, "mlflow", "tensorboard", told=told)
    result, _ = train(tmp_path / PLACE, "erm", ctx=context(3), progress=progress)
    assert len(result.history) == 3
    assert told == [
        "toy, erm, fold 1 of 2: --log mlflow failed (ConnectionError: no route to host) and is left out; "
        "history.csv has every epoch"
    ]
    assert broken.calls == good_calls + 1
    # The other one goes on.
    same(in_tensorboard(tmp_path), numbers(tmp_path / PLACE / "history.csv"), rel=1e-6)


def test_tracking_changes_no_training(tmp_path: Path) -> None:
    train(tmp_path / "plain", "divergence-sampling")
    train(tmp_path / PLACE, "divergence-sampling", progress=tracked(tmp_path, "tensorboard", "mlflow"))
    plain, told = ((tmp_path / name / "history.csv").read_bytes() for name in ("plain", PLACE))
    assert plain == told


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "wandb" else object())
    check_trackers(("tensorboard", "mlflow"))
    with pytest.raises(ConfigError, match=r'--log wandb: wandb is not installed; pip install "segfair\[track\]"'):
        check_trackers(("mlflow", "wandb"))
    with pytest.raises(ConfigError, match="--log neptune: expected one of tensorboard, mlflow, wandb"):
        check_trackers(("neptune",))
