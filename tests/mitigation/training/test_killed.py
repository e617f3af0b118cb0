"""`segfair mitigate` dies without a word at any point, and `--resume` ends where an uninterrupted run does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")
pytest.importorskip("nibabel")

STEP = "segfair.mitigation.training.state.TrainingRun.seed_step"
DEATHS = {
    "epoch 1, before any checkpoint": (STEP, 2),
    "epoch 2, in its validation": ("segfair.mitigation.training.loop.evaluate", 2),
    "epoch 3, between two steps": (STEP, 8),
    "after the last epoch": ("segfair.mitigation.training.loop.load_checkpoint", 1),
    "while masks are written": ("segfair.mitigation.prediction.volumes.write_mask", 2),
}
"""When -> the function during whose how-manieth call the process is killed. Three epochs of three steps."""

# One process imports everything once; each run is a child of it.
PARENT = """
import importlib, os, shutil, signal, sys

def run(arguments, death=None):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    sys.stdout.flush()
    if death:
        path, last_call = death
        owner, name = path.rsplit(".", 1)
        try:
            owner = importlib.import_module(owner)
        except ImportError:
            module, kind = owner.rsplit(".", 1)
            owner = getattr(importlib.import_module(module), kind)
        real, calls = getattr(owner, name), []
        def doomed(*positional, **named):
            calls.append(1)
            if len(calls) == last_call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*positional, **named)
        setattr(owner, name, doomed)
    sys.argv = ["segfair", "mitigate", *arguments]
    from segfair.cli.app import main
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)

import segfair.mitigation.experiment.procedure, segfair.cli.app
from segfair.mitigation.networks.backbones import NetworkConfig
from segfair.mitigation.networks.memory import estimate_memory
# torch imports a good part of itself when first asked for shapes without data, as every run asks.
estimate_memory(NetworkConfig.small("unet"), (16, 16, 16))
common, runs = {common!r}, {runs!r}
assert run([*common, "--out", {straight!r}]) == 0
shutil.copytree({straight!r}, {again!r})
assert run([*common, "--out", {again!r}, "--resume"]) == 0
assert run([*common, "--no-baseline", "--loss", "dice-focal", "--out", {used!r}]) == 0
for out, death, options in runs:
    assert run([*common, *options, "--out", out], death) == signal.SIGKILL, (out, "was not killed")
    options = [option for option in options if option != "--overwrite"]
    assert run([*common, *options, "--out", out, "--resume"]) == 0, (out, "did not go on")
"""


@pytest.fixture(scope="module")
def ended(write_tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of finished runs: `straight`, and one a death, killed and resumed."""
    root = tmp_path_factory.mktemp("killed")
    tree = write_tree(root / "data", n_cases=12)
    (root / "config.toml").write_text(
        'backbones = ["unet"]\nepochs = 3\nbatch_size = 2\nlr = 0.01\nspatial_size = [16, 16, 16]\nspacing_mm = [2.0, 2.0, 2.0]\n'
        "[network.unet]\nchannels = [4, 8]\ndropout = 0.2\n"
    )
    common = [str(tree.root), "--config", str(root / "config.toml"), "--strategy", "divergence-sampling"]
    # What follows training cases has its own state within an epoch; a choice by validation makes the run validate.
    common += ["--select", "dice"]
    # Two attributes, and so one heat map a page: what is drawn is not the point.
    common += ["--cache", str(root / "cache"), "--attributes", "age,menopause"]
    runs = [(str(root / str(number)), death, ["--no-baseline"]) for number, death in enumerate(DEATHS.values())]
    runs.append((str(root / "used"), (STEP, 5), ["--overwrite"]))
    places = {name: str(root / name) for name in ("straight", "again", "used")}
    code = PARENT.format(common=common, runs=runs, **places)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return root


def same(one: Any, other: Any) -> bool:
    """Bit for bit, through the containers of a checkpoint."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def compare(out: Path, straight: Path, model: str) -> None:
    for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
        one, other = (torch.load(folder / model / name, weights_only=True) for folder in (straight, out))
        assert same(one, other), (model, name)
    masks = [f"predictions/test/{path.name}" for path in (straight / model / "predictions" / "test").iterdir()]
    for name in ("history.csv", *(["weights.csv"] if model != "erm" else []), *masks):
        assert (straight / model / name).read_bytes() == (out / model / name).read_bytes(), (model, name)


@pytest.mark.parametrize("number", range(len(DEATHS)), ids=list(DEATHS))
def test_a_killed_run_goes_on_bit_for_bit(number: int, ended: Path) -> None:
    compare(ended / str(number), ended / "straight", "divergence-sampling")
    assert (ended / str(number) / "comparison.html").is_file()


def test_models_and_masks_of_an_earlier_run_are_not_taken_for_its_own(ended: Path) -> None:
    # The second model stood there finished, with another loss, when the run was killed in its first.
    for model in ("erm", "divergence-sampling"):
        compare(ended / "used", ended / "straight", model)
    one, other = (json.loads((ended / name / "comparison.json").read_text()) for name in ("used", "straight"))
    assert one == other


def test_a_resumed_run_of_finished_models_changes_nothing(ended: Path) -> None:
    for model in ("erm", "divergence-sampling"):
        compare(ended / "again", ended / "straight", model)
    one, other = ((ended / name / "comparison.json").read_bytes() for name in ("again", "straight"))
    assert one == other


def test_the_networks_have_learned_something_that_could_differ(ended: Path) -> None:
    last = torch.load(ended / "straight" / "erm" / "checkpoint_last.pt", weights_only=True)
    assert not same(last["network"], last["training"]["initial"] or {})
    assert len(last["training"]["history"]) == 3
    other = torch.load(ended / "straight" / "divergence-sampling" / "checkpoint_last.pt", weights_only=True)
    assert not same(last["network"], other["network"])
    assert list((ended / "straight" / "erm" / "predictions" / "test").iterdir())
