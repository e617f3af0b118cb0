"""The examples of the docstrings and of the pages run, and say what they say."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib
import pytest

import segfair

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "src" / "segfair" / "api").glob("*.py") if path.stem != "__init__")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"segfair.api.{module}")).failed == 0


def test_every_call_has_an_example() -> None:
    for name in ("audit", "audit_scores", "compare", "rank", "score", "Audit"):
        assert ">>> " in (getattr(segfair, name).__doc__ or ""), name


@pytest.mark.parametrize("page", ["docs/python.md", "README.md"])
def test_the_blocks_of_a_page_run(
    page: str, phantom_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, beside `preds`, `labels` and `metadata.csv`."""
    for name in ("preds", "labels"):
        shutil.copytree(phantom_cohort / name, tmp_path / name)
    shutil.copy(phantom_cohort / "metadata.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / page).read_text("utf-8"))
    assert blocks
    known: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), known)
    assert (tmp_path / "report" / "report.html").is_file()
    matplotlib.pyplot.close("all")
