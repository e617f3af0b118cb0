"""The examples of the docstrings run, and say what they say; those of the pages are run by tests/docs."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import matplotlib
import pytest

import segfair

matplotlib.use("Agg")
ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "src" / "segfair" / "api").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(f"segfair.api.{module}")).failed == 0


def test_every_call_has_an_example() -> None:
    for name in ("audit", "audit_scores", "compare", "rank", "score", "Audit"):
        assert ">>> " in (getattr(segfair, name).__doc__ or ""), name
