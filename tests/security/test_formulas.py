"""Every table that is written: no cell of it is run by a spreadsheet, and what it holds comes back as it was."""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.security.hostile import FORMULAS

from segfair.files.cells import parse_number
from segfair.files.tables import load_table

ROOT = Path(__file__).resolve().parents[2]
Written = Callable[[str], Path]


def cells(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [cell for row in csv.reader(stream) for cell in row]


def test_no_cell_of_any_table_is_a_formula(written: Written) -> None:
    tables = sorted(written("formulas").rglob("*.csv"))
    assert {path.name for path in tables} >= {
        "cases.csv",
        "subgroups.csv",
        "leaderboard.csv",
        "challengeR.csv",
        "dossier.csv",
    }
    quoted = set()
    for path in tables:
        for cell in cells(path):
            runs = cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) and parse_number(cell) is None
            assert not runs, (path, cell)
            quoted |= {text for text in FORMULAS if cell.startswith("'") and text.strip() in cell}
    assert len(quoted) > 5, "the names are there, each behind an apostrophe"


def test_numbers_stay_numbers_and_names_come_back(written: Written) -> None:
    table = load_table(written("formulas") / "audit 0" / "cases.csv")
    assert {case.partition(" ")[0] for case in table.raw["case"]} >= {"=HYPERLINK(1)", "-2+3", "@SUM(1)", "=1+1"}
    assert all(parse_number(str(cell)) is not None for cell in table.raw["dsc"])
    rows = load_table(written("formulas") / "audit 0" / "subgroups.csv")
    assert any(parse_number(str(cell)) is not None and str(cell).startswith("-") for cell in rows.raw["divergence"])


def test_a_table_is_written_in_two_places_only() -> None:
    """Both defuse; a third would have to be looked at here."""
    found = {
        path.relative_to(ROOT / "src" / "segfair").as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if any(map(_writes_a_table, ast.walk(ast.parse(path.read_text("utf-8")))))
    }
    assert found == {"files/tables.py", "mitigation/networks/checkpoints.py"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("csv.writer(file)", True),
        ("from csv import writer", True),
        ("import csv as table", True),
        ("frame.to_csv(path)", True),
        ("csv.reader(file)", False),
        ("import csv", False),
        ("self.writer", False),
    ],
)
def test_what_writes_a_table(code: str, expected: bool) -> None:
    assert any(map(_writes_a_table, ast.walk(ast.parse(code)))) == expected


def _writes_a_table(node: ast.AST) -> bool:
    match node:
        case (
            ast.Attribute(value=ast.Name("csv"), attr="writer" | "DictWriter")
            | ast.Attribute(attr="to_csv" | "to_excel")
        ):
            return True
        case (
            ast.ImportFrom(module="csv") | ast.Import(names=[ast.alias("csv", str())])
        ):  # the module under its own name
            return True
    return False
