"""The blocks of the how-to run in their order, and so does the example of the docstring."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import segfair.metrics
from segfair.phantom import write_phantom

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_blocks_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_phantom(tmp_path / "cohort", n_cases=12, size=(16, 16, 16), seed=1)
    for path in (tmp_path / "cohort").iterdir():
        shutil.move(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {"__name__": "page"}
    for block in BLOCK.findall((ROOT / "docs" / "how-to" / "training-loop.md").read_text("utf-8")):
        exec(compile(block, "training-loop.md", "exec"), known)
    assert {"fairness/ps", "fairness/fs", "fairness/worst_n"} <= known["evaluator"].state.metrics.keys()
    assert list((tmp_path / "events").iterdir())
    assert list((tmp_path / "lightning").rglob("events.out.*"))
    assert known["callback"].result.n_cases == 10
    assert 0 < known["fairness"].aggregate().item() <= 1


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(segfair.metrics).failed == 0
