"""The GPU benchmark's program on a processor: its cells, what it leaves out, its tables. No figure is a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks import gpu

SCRIPT = Path(gpu.__file__)


def call(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_dry_run_measures_every_cell(tmp_path: Path) -> None:
    done = call("--dry", "--minutes", 30, "--network", "unet", "--out", tmp_path / "gpu.json")
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    cells = [(row["network"], row["strategy"], row["compiled"]) for row in record["steps"]]
    assert cells == [("unet", name, compiled) for compiled in (False, True) for name in ("erm", "fairmedseg")]
    for row in record["steps"]:
        assert "why" not in row, row
        assert 0 <= row["loader_wait"] <= 1
        assert row["step_s"] > 0
        assert row["peak_gb"] is None
    losses = {row["mode"]: row for row in record["losses"]}
    assert losses["processor"]["loss"] == losses["fp32"]["loss"]
    # Two processes take the same steps; only their sums are taken in another order.
    assert losses["two processes"]["difference"] < 1e-5
    assert losses["two processes"]["equal"]
    assert {losses[mode]["why"] for mode in ("fp16", "bf16")} == {gpu.NO_HALF}
    assert gpu.markdown(record) in done.stdout


def test_without_a_gpu_nothing_is_written() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    before = gpu.RECORD.read_bytes() if gpu.RECORD.exists() else None
    done = call()
    assert done.returncode == 0, done.stderr
    assert "nothing is measured" in done.stdout
    assert (gpu.RECORD.read_bytes() if gpu.RECORD.exists() else None) == before


def test_what_no_time_is_left_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr(gpu, "run", never)
    found = gpu.measured(gpu.plan(["unet", "swinunetr"], dry=False), minutes=0)
    assert len(found["steps"]) == 8
    assert {row["why"] for row in (*found["steps"], *found["losses"])} == {gpu.NO_TIME}
    assert [row["mode"] for row in found["losses"]] == list(gpu.TOLERANCES)
    table = gpu.markdown(found)
    assert table.count(gpu.NO_TIME) == 13


def test_a_process_that_dies_costs_its_own_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"first_step_s": 9.0, "step_s": 0.5, "peak_gb": 3.2, "estimate_gb": 4.0, "loader_wait": 0.25}
    # The first strategy of the plain network was measured, then the process was gone.
    monkeypatch.setattr(gpu, "run", lambda task, _: [figures] if task["cells"][0].get("compiled") is False else [])
    found = gpu.measured(gpu.plan(["unet"], dry=False), minutes=60)
    first, *others = found["steps"]
    assert first == {"network": "unet", "strategy": "erm", "compiled": False, **figures}
    assert {row["why"] for row in others} == {"failed: the process ended without a figure"}
    assert "| unet | erm | no | 9.00 | 0.500 | 3.2 | 4.0 | 25% |" in gpu.markdown(found)


def test_losses_are_compared_with_single_precision_by_hand() -> None:
    rows = [{"mode": "fp32", "loss": 0.5}, {"mode": "bf16", "loss": 0.52}, {"mode": "two processes", "loss": 0.48}]
    found = {row["mode"]: row for row in gpu.compared(rows)}
    assert found["bf16"]["difference"] == pytest.approx(0.04)
    assert (found["bf16"]["equal"], found["two processes"]["equal"]) == (True, False)
    assert "equal" not in found["fp16"]
    # Nothing is equal to a loss that there is none of.
    assert all("equal" not in row for row in gpu.compared(rows[1:]))


def test_waiting_is_what_the_loader_takes_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(gpu.time, "perf_counter", lambda: now[0])
    clock = gpu.Clock(gpu=False)

    def slow(n: int) -> Any:
        for number in range(n):
            now[0] += 1.0  # a second to load
            yield number

    clock.start(4, 0)
    for _ in clock.waits(slow)(4):
        now[0] += 3.0  # and three to train
        clock.step()
    assert clock.figures() == {"first_step_s": 4.0, "step_s": 4.0, "loader_wait": 0.25}


def test_the_page_shows_the_record() -> None:
    page = (SCRIPT.parent.parent / "docs" / "benchmarks.md").read_text("utf-8")
    if not gpu.RECORD.exists():
        assert "**Not run so far" in page
        return
    record = json.loads(gpu.RECORD.read_text("utf-8"))
    assert gpu.markdown(record) in page
    assert record["card"] in page
