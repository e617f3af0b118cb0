"""Where the numbers of a training go beside `history.csv`: TensorBoard, MLflow, Weights & Biases.

A tracker is told what the user is shown, and the settings that name the run: no case, no path. None of them is
imported before it is used, and none can end a training. Never reads a network.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from segfair.errors import ConfigError
from segfair.mitigation.training.progress import TrainingProgress

if TYPE_CHECKING:
    from segfair.mitigation.training.state import EpochRecord

__all__ = ["TRACKERS", "TrackedProgress", "TrackedRun", "Tracker", "Trackers", "check_trackers"]

RUNS_FILE = "trackers.json"
"""Tracker -> place of a run -> the id it has there; what a resumed run goes on with."""

_NO_NUMBERS = ("epoch", "worst_subgroup")
"""Columns of a history that are no metrics."""


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A run as trackers know it.

    Attributes:
        title: What the user calls it, for example "unet, erm, fold 1 of 5".
        place: Its folder within OUT, which no other run shares, for example "erm/fold-1".
        facts: What it is a run of: backbone, strategy, seed, ...
        resumed: Whether it may go on with what an earlier part has told.
    """

    title: str
    place: str
    facts: Mapping[str, str | int]
    resumed: bool = False


class Tracker(Protocol):
    """A tool that keeps one run."""

    def begin(self, run: TrackedRun) -> int:
        """Opens the run; the last step that it already holds, 0 where it holds none."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Adds the numbers of a step; steps ascend."""

    def end(self, *, complete: bool) -> None:
        """Closes the run; `complete`: it came to its end."""


class TensorBoard:
    """Event files in `OUT/tensorboard/PLACE`; a run that begins again takes the place of the earlier one there.

    Args:
        out: Folder of everything.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    def begin(self, run: TrackedRun) -> int:
        """Removes the event files that lie there: the whole history follows.

        Readers order such files by the second in which they were begun, so that telling them to forget is not enough.
        """
        from torch.utils.tensorboard import SummaryWriter

        place = self._out / "tensorboard" / run.place
        for earlier in place.glob("events.out.tfevents.*"):
            earlier.unlink()
        self._writer = SummaryWriter(str(place))
        for name, fact in {"title": run.title, **run.facts}.items():
            self._writer.add_text(name, str(fact), 0)
        return 0

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One point a number."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, *, complete: bool) -> None:
        """Event files do not say whether a run came to its end."""
        self._writer.close()


class MLflow:
    """A run in `OUT/mlruns`, or where MLFLOW_TRACKING_URI says; the experiment is MLFLOW_EXPERIMENT_NAME, or segfair.

    Args:
        out: Folder of everything.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    def begin(self, run: TrackedRun) -> int:
        """Makes a run, or goes on with the earlier part's."""
        # The only local store of mlflow-skinny; newer versions ask for a word before they use it.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        address = os.environ.get("MLFLOW_TRACKING_URI") or (self._out / "mlruns").resolve().as_uri()
        self._client = MlflowClient(tracking_uri=address)
        earlier = _earlier_id(self._out, "mlflow", run)
        if earlier is not None:
            self._id = earlier
            self._client.update_run(earlier, status="RUNNING")
            return self._last_step()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "segfair"
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name)
        self._id = self._client.create_run(number, run_name=run.title).info.run_id
        for key, fact in run.facts.items():
            self._client.log_param(self._id, key, fact)
        _keep_id(self._out, "mlflow", run, self._id)
        return 0

    def _last_step(self) -> int:
        names = self._client.get_run(self._id).data.metrics
        points = (point for name in names for point in self._client.get_metric_history(self._id, name))
        return max((point.step for point in points), default=0)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """All numbers of the step in one request."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._id, metrics=[Metric(name, value, now, step) for name, value in metrics.items()])

    def end(self, *, complete: bool) -> None:
        """Finished or killed."""
        self._client.set_terminated(self._id, status="FINISHED" if complete else "KILLED")


class WeightsAndBiases:
    """A run of the project WANDB_PROJECT, or segfair; whether online, and for whom, is the client's to settle.

    Args:
        out: Folder of everything; the client's own files go to its `wandb`.
    """

    def __init__(self, out: Path) -> None:
        self._out = out

    def begin(self, run: TrackedRun) -> int:
        """Makes a run, or goes on with the earlier part's."""
        import wandb

        earlier = _earlier_id(self._out, "wandb", run)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "segfair",
            dir=str(self._out),
            name=run.title,
            config=dict(run.facts),
            id=earlier,
            resume=None if earlier is None else "allow",
        )
        _keep_id(self._out, "wandb", run, str(self._run.id))
        # The client counts to the step that comes next.
        return max(int(self._run.step) - 1, 0)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """All numbers of the step at once."""
        self._run.log(dict(metrics), step=step)

    def end(self, *, complete: bool) -> None:
        """A run that did not come to its end has an exit code."""
        self._run.finish(exit_code=0 if complete else 1)


TRACKERS: Mapping[str, Callable[[Path], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}
"""Each by the name of the package that it needs; made with the folder of everything."""


def check_trackers(names: Sequence[str]) -> None:
    """Refuses what cannot be told anything.

    Raises:
        ConfigError: No tracker of that name, or one whose package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise ConfigError(f"--log {name}: expected one of {', '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise ConfigError(f'--log {name}: {name} is not installed; pip install "segfair[track]"')


class Trackers:
    """The trackers of one run. One that fails is left out from then on, with a notice: the training is worth more.

    Args:
        names: Of `TRACKERS`.
        out: Folder of everything.
        run: What they are told about.
        tell: Called with a sentence about each that fails.
    """

    def __init__(self, names: Sequence[str], out: Path, run: TrackedRun, *, tell: Callable[[str], None]) -> None:
        self._run = run
        self._tell = tell
        self._trackers = {name: TRACKERS[name](out) for name in names}
        self._held = dict.fromkeys(names, 0)

    def begin(self) -> None:
        """Opens the run in each."""
        for name, tracker in tuple(self._trackers.items()):
            self._held[name] = self._attempt(name, partial(tracker.begin, self._run)) or 0

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Tells each that does not hold the step yet; steps are counted from 1."""
        for name, tracker in tuple(self._trackers.items()):
            if step > self._held[name]:
                self._attempt(name, partial(tracker.log, metrics, step))

    def end(self, *, complete: bool) -> None:
        """Closes the run in each."""
        for name, tracker in tuple(self._trackers.items()):
            self._attempt(name, partial(tracker.end, complete=complete))

    def _attempt(self, name: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:
            # A server that is gone, a full disk, a client's own errors: there is no list of them.
            del self._trackers[name]
            reason = next(iter(str(error).strip().splitlines()), "")
            self._tell(
                f"{self._run.title}: --log {name} failed ({type(error).__name__}: {reason}) and is left out; "
                "history.csv has every epoch"
            )
            return None


class TrackedProgress(TrainingProgress):
    """Shows a training as another progress does, and tells trackers what it tells.

    Args:
        shown: What the user sees.
        trackers: Of this training.
        n_epochs: Epochs of the whole training.
        history: The training's `history.csv`: epochs of an earlier part that a tracker has missed are told from it.
    """

    def __init__(self, shown: TrainingProgress, trackers: Trackers, *, n_epochs: int, history: Path) -> None:
        self._shown = shown
        self._trackers = trackers
        self._n_epochs = n_epochs
        self._history = history
        self._last = 0

    def start(self, n_steps: int, done: int) -> None:
        """Opens the run."""
        self._shown.start(n_steps, done)
        self._trackers.begin()
        if self._history.is_file():
            with self._history.open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    self._log(row)

    def step(self) -> None:
        """Steps are shown alone."""
        self._shown.step()

    def epoch(self, record: EpochRecord) -> None:
        """Logs the numbers of the epoch's row in `history.csv`, under the names of its columns."""
        self._shown.epoch(record)
        self._log(dataclasses.asdict(record))

    def stop(self) -> None:
        """Closes the run."""
        self._shown.stop()
        self._trackers.end(complete=self._last == self._n_epochs)

    def _log(self, row: Mapping[str, Any]) -> None:
        self._last = int(row["epoch"])
        numbers = {name: value for name, value in row.items() if name not in _NO_NUMBERS and value not in ("", None)}
        self._trackers.log({name: float(value) for name, value in numbers.items()}, self._last)


def _earlier_id(out: Path, tracker: str, run: TrackedRun) -> str | None:
    """The id of the run that an earlier part has made; None where this is no later part."""
    found = _ids(out).get(tracker, {}).get(run.place) if run.resumed else None
    return None if found is None else str(found)


def _keep_id(out: Path, tracker: str, run: TrackedRun, number: str) -> None:
    ids = _ids(out)
    ids[tracker] = {**ids.get(tracker, {}), run.place: number}
    (out / RUNS_FILE).write_text(json.dumps(ids, indent=1) + "\n", encoding="utf-8")


def _ids(out: Path) -> dict[str, Any]:
    path = out / RUNS_FILE
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
