"""The table of fuzzing: a row a reader, and a run of some readers leaves the others as they were."""

from __future__ import annotations

import re
from pathlib import Path

from tests.fuzz.readers import READERS
from tests.fuzz.table import Row, replaced

PAGE = "before\n<!-- fuzz -->\n\n<!-- end of fuzz -->\nafter\n"


def row(reader: str, **changes: int) -> Row:
    return Row.of(reader, {"read": 1000, "refused": 30, "failed": 2, **changes}, 1, 300.0)


def test_a_row_counts_what_was_tried() -> None:
    assert row("NIfTI").tried == 1032
    assert row("NIfTI").line.startswith("| NIfTI | 1,032 | 1,000 | 30 | 1 | 5 | ")


def test_a_run_of_some_readers_leaves_the_others() -> None:
    page = replaced(PAGE, [row("NRRD, MetaImage"), row("expressions")])
    again = replaced(page, [row("expressions", read=7)])
    assert again.startswith("before\n<!-- fuzz -->\n\n| reader | ")
    assert again.endswith("<!-- end of fuzz -->\nafter\n")
    assert row("NRRD, MetaImage").line in again
    assert row("expressions", read=7).line in again
    assert row("expressions").line not in again
    assert len(again.splitlines()) == len(page.splitlines())


def test_the_documentation_has_a_row_of_every_reader_without_a_fault() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    lines = page.split("<!-- fuzz -->")[1].split("<!-- end of fuzz -->")[0].splitlines()
    cells = {line.split(" | ")[0].removeprefix("| "): line.split(" | ") for line in lines if re.search(r" \| \d", line)}
    assert cells.keys() == READERS.keys()
    assert {reader: found[4] for reader, found in cells.items() if found[4] != "0"} == {}
