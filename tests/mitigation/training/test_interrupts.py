"""Ctrl-C and SIGTERM: the step at hand is finished and saved, and the training goes on bit for bit."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.mitigation.toy_training import (
    FAINT,
    TRAIN_IDS,
    Volumes,
    context,
    same_state,
    tiny_network,
    train,
)

from segfair.mitigation.networks.checkpoints import load_checkpoint
from segfair.mitigation.training.loop import FitResult


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


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Strategy -> the folder of its uninterrupted training, which is made when first asked for."""

    @functools.cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp("straight") / name
        train(folder, name)
        return folder

    return made


@pytest.mark.parametrize("name", ["erm", "fairmedseg", "divergence-sampling", "groupdro", "jtt", "adversarial"])
@pytest.mark.parametrize("at", [5, 8, 9, 20])
def test_ctrl_c_saves_and_resume_goes_on_bit_for_bit(straight, tmp_path: Path, name: str, at: int) -> None:
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
    assert same_state(straight(name), tmp_path / "parts")
    for table in ("history.csv", "weights.csv"):
        expected = straight(name) / table
        assert expected.exists() == (tmp_path / "parts" / table).exists()
        if expected.exists():
            assert expected.read_bytes() == (tmp_path / "parts" / table).read_bytes()
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
