"""SECURITY.md: each promise is held by tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def rows() -> list[str]:
    return [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]


def test_each_promise_links_to_tests_that_are_there() -> None:
    assert len(rows()) > 15
    for row in rows():
        shown = re.findall(r"\[`([^`]+)`\]\(([^)]+)\)", row)
        assert shown, row
        for name, target in shown:
            assert name == target
            assert "def test_" in (ROOT / target).read_text("utf-8"), target


def test_every_test_of_this_room_is_linked_to() -> None:
    names = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name}
    assert names <= set(re.findall(r"tests/security/(test_\w+\.py)\)", PAGE))


def test_no_address_is_made_up() -> None:
    assert not re.search(r"[\w.]+@[\w.]+|https?://", PAGE)
