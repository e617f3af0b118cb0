"""The architecture page is true: the files it names exist, and every room stands in it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "segfair"
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", PAGE))
    rooms = ("", "mitigation/")  # within the rooms of mitigation the page leaves the house's name out
    missing = [
        name for name in named if not any((SOURCE / room / name).is_file() or (ROOT / name).is_file() for room in rooms)
    ]
    assert len(named) > 25
    assert not missing


def test_every_room_stands_on_the_page() -> None:
    rooms = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert rooms == set(re.findall(r"^\| \d+ \| `([a-z]+)/`", PAGE, flags=re.MULTILINE))


def test_no_room_has_more_modules_than_one_can_hold() -> None:
    for room in [SOURCE, *(path.parent for path in SOURCE.rglob("__init__.py"))]:
        modules = [path for path in room.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 12, room
