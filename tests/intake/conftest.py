"""Metadata of four cases, for the tests of tables of scores."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    path = tmp_path / "meta.csv"
    path.write_text("scan,age,sex\nC03,50,f\nC01,60,m\nC02,,f\nC04,70,m\n")
    return path
