"""The notebooks of examples/: run from top to bottom without data, kept without outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        assert not cell.get("outputs"), "clear the outputs before it is committed"
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_prose_is_short(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    words = [len("".join(cell["source"]).split()) for cell in cells if cell["cell_type"] == "markdown"]
    assert max(words) <= 90
    assert len(cells) >= 2 * len(words) - 3, "code between the paragraphs"


def test_they_are_the_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["first-audit", "make-it-fairer", "why-is-this-group-worse"]
    listed = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert all(path.name in listed for path in NOTEBOOKS)


def test_make_notebooks_runs_them() -> None:
    """`.ci/run` calls it; here they are not run a second time."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "--nbmake" in makefile
    assert "make notebooks" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
