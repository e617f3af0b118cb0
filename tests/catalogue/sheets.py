"""Tables that are none, are not what their name says, or hold what no table should."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.catalogue.cause import Cause, Make

__all__ = ["CAUSES"]

_FEW = ("--permutations", "99", "--bootstrap", "100", "--out", "out")
_IDS = tuple(f"PH{number:04d}" for number in range(1, 25))
_HEAD = "patient_id,age,site"
_ROWS = tuple(f"{case},{30 + number},{'ABC'[number % 3]}" for number, case in enumerate(_IDS))
_PLAIN = "\n".join((_HEAD, *_ROWS))
_SCORES = "\n".join(("case,dsc", *(f"{case},0.{50 + number}" for number, case in enumerate(_IDS))))
_RECORDS = [dict(zip(_HEAD.split(","), row.split(","), strict=True)) for row in _ROWS]
Content = str | bytes | Callable[[Path], object]


def _file(name: str, content: Content) -> Make:
    def make(case: Path, base: Path) -> None:
        if callable(content):
            content(case / name)
        else:
            (case / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def _table(what: str, content: Content, *says: str, name: str = "t.csv", code: int = 2) -> Cause:
    """A table of patients."""
    words = ("audit-scores", "{base}/scores.csv", name, *_FEW)
    return Cause(f"metadata: {what}", words, says or (name,), _file(name, content), code=code)


def _scores(
    what: str, content: Content, *says: str, name: str = "s.csv", code: int = 2, more: tuple[str, ...] = ()
) -> Cause:
    """A table of scores."""
    words = ("audit-scores", name, "{base}/metadata.csv", *_FEW, *more)
    return Cause(f"scores: {what}", words, says or (name,), _file(name, content), code=code)


def _other(command: str, what: str, content: Content, *says: str, name: str = "t.csv", code: int = 2) -> Cause:
    words = {
        "power": ("power", name),
        "weights": ("weights", "{base}/report", "--metadata", name, "--out", "w.csv"),
    }[command]
    return Cause(f"{command}: {what}", words, says or (name,), _file(name, content), code=code)


def _with_age(value: str, *, every: bool = False) -> str:
    rows = (f"{case},{value if every or number == 2 else 30 + number},A" for number, case in enumerate(_IDS))
    return "\n".join((_HEAD, *rows))


def _with_dsc(value: str, *, every: bool = False) -> str:
    rows = (f"{case},{value if every or number == 2 else 0.5 + number / 100}" for number, case in enumerate(_IDS))
    return "\n".join(("case,dsc", *rows))


_WIDE = f"patient_id,{','.join(f'c{number}' for number in range(20_000))}\nPH0001{',1' * 20_000}\n"
_NO_TEXT = (
    ("an XLSX renamed", b"PK\x03\x04" + bytes(range(200)), "XLSX"),
    ("a Parquet renamed", b"PAR1" + bytes(range(200)), "Parquet"),
    ("packed by gzip", b"\x1f\x8b" + bytes(range(200)), "gzip"),
    ("an XLS renamed", b"\xd0\xcf\x11\xe0" + bytes(range(200)), "XLS"),
    ("a PDF", b"%PDF-1.4\n1 0 obj", "PDF"),
    ("a web page", "\n<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
    ("zeros", bytes(3000), "binary"),
    ("a byte of zero", _PLAIN.replace("PH0003", "PH\0003").encode(), "binary"),
    ("UTF-32", _PLAIN.encode("utf-32"), "binary"),
    ("UTF-16 that is cut", _PLAIN.encode("utf-16")[:-1], "binary"),
)
TEXTS = [
    *(_table(what, content, "t.csv", says) for what, content, says in _NO_TEXT),
    *(_scores(what, content, "s.csv", says) for what, content, says in _NO_TEXT[:6]),
    *(
        cause(what, content, "t.csv", says)
        for cause in (_table, lambda *told: _other("power", *told), lambda *told: _other("weights", *told))
        for what, content, says in (
            ("empty", "", "empty"),
            ("blank lines", "\n\n \n", "empty"),
            ("a mark of order only", b"\xef\xbb\xbf", "empty"),
            ("names only", _HEAD, "no rows"),
            ("a column twice", _PLAIN.replace("site", "age", 1), "two columns are named age"),
            ("a row that is longer", f"{_PLAIN}\nPH9,1,2,3,4,5", "row 26", "6 cells")[:3],
            ("20,000 columns", _WIDE, "20,001 columns"),
            ("a double quote that stays open", _PLAIN.replace("PH0003", '"PH0003'), "never closed"),
        )
    ),
    _table("a row name too many", "\n".join((_HEAD, *(f"{row},x" for row in _ROWS))), "every row has 4 cells"),
    _table("a cell of 200,000 letters", _PLAIN.replace("PH0003", "P" * 200_000), "cannot be read as CSV"),
    _table("no ids that are known", _PLAIN.replace("PH", "XX"), "scores.csv"),
    _table("delimited by blanks", _PLAIN.replace(",", " "), "no column of case ids"),
    _table("in UTF-16", _PLAIN.encode("utf-16"), "joined by patient_id", code=0),
    _table("in Latin-1", _PLAIN.replace("site", "Klärung").encode("latin-1"), "not UTF-8", code=0),
    _table("with carriage returns alone", _PLAIN.replace("\n", "\r"), "joined by patient_id", code=0),
    _table("of tabs", _PLAIN.replace(",", "\t"), "joined by patient_id", code=0),
    _table("with a title of one cell", f"Patients of 2020\n{_PLAIN}", "row 2 has 3 cells"),
    _table("with a title", f"Patients of 2020,,\n{_PLAIN}", "passed over", code=0),
    _table("with formulas", _PLAIN.replace(",A", ",=cmd|' /C calc'!A1"), "DSC", code=0),
    _table("with pages in its levels", _PLAIN.replace(",A", ",<script>alert(1)</script>"), "DSC", code=0),
    _table("with letters that move a cursor", _PLAIN.replace(",A", ",\x1b[2J"), "DSC", code=0),
    _table("with half of its cases", "\n".join((_HEAD, *_ROWS[:12])), "without a row in t.csv", code=0),
    *(
        _table(f"an age of {name}", _with_age(value), "DSC", code=0)
        for name, value in (
            ("5,000 digits", "1" * 5000), ("1e400", "1e400"), ("NaN", "nan"), ("infinity", "inf"), ("#N/A", "#N/A"),
            ("1e308", "1e308"), ("a formula", "=1+1"), ("half", "½"), ("hex", "0x10"), ("a date", "0000-00-00"),
        )
    ),
    _table("all ages of 5,000 digits", _with_age("1" * 5000, every=True), "DSC", code=0),
    _table("all ages infinite", _with_age("inf", every=True), "DSC", code=0),
    *(
        _table(f"of the format {suffix!r}", "x", "unknown format", name=f"t{suffix}")
        for suffix in (".xls", ".ods", ".sav", "", ".csv.gz")
    ),
]  # fmt: skip

NUMBERS = [
    _scores("no numbers", _with_dsc("good", every=True), "no number", "good"),
    _scores("no column of scores", "\n".join(("case", *_IDS)), "no column of numbers"),
    _scores("a DSC of 5", _with_dsc("5"), "dsc is 5 for PH0003"),
    _scores("a DSC of 1e308", _with_dsc("1e308"), "too large for a score"),
    _scores("shares and per cent", _SCORES.replace("0.5", "5"), "per cent"),
    _scores("a DSC of 5,000 digits", _with_dsc("1" * 5000), "DSC", code=0),
    _scores("a DSC of -1", _with_dsc("-0.2"), "negative values", code=0),
    _scores("an infinite DSC", _with_dsc("inf"), "infinite values", code=0),
    _scores("a DSC that is no number", _with_dsc("none"), "cells that are no numbers", code=0),
    _scores("every DSC the same", _with_dsc("0.5", every=True), "DSC", code=0),
    _scores("a measure of 1e300", _with_dsc("1e300").replace("dsc", "mine"), "mine is 1e+300",
            more=("--higher-is-better", "mine")),
    _scores("a measure of -1e20", _with_dsc("-1e20").replace("dsc", "mine"), "too large for a score",
            more=("--lower-is-better", "mine")),
    _scores("a case twice", f"{_SCORES}\nPH0001,0.1", "PH0001"),
    _scores("one case", "case,dsc\nPH0001,0.5", "DSC", code=0),
    _scores("of a long table, 1e300", "\n".join(("case,metric,value", *(f"{case},dsc,1e300" for case in _IDS)))),
    _scores("of a long table, twice and otherwise", "\n".join(
        ("case,metric,value", *(f"{case},dsc,0.{number}" for number, case in enumerate(_IDS * 2, start=10))))),
    _scores("of a long table, texts", "\n".join(("case,metric,value", *(f"{case},dsc,good" for case in _IDS)))),
]  # fmt: skip


def _told(tree: Any) -> str:
    return json.dumps(tree)


_TREES: Mapping[str, tuple[str | bytes, str]] = {
    "empty": ("", "empty"),
    "null": ("null", "expected a list of records"),
    "an empty list": ("[]", "expected a list of records"),
    "a number": ("3", "expected a list of records"),
    "records and a number": (_told([_RECORDS[0], 3]), "expected a list of records"),
    "columns of unequal length": (_told({"patient_id": ["a"], "b": [1, 2]}), "unequal length"),
    "columns that are numbers": (_told({"a": 1}), "expected a list of records"),
    "lists and objects as columns": (_told({"a": [1], "b": {"0": 1}}), "expected a list of records"),
    "deep": ("[" * 100_000, "nested"),
    "a number of 5,000 digits": (f'[{{"patient_id": "PH0001", "age": {"1" * 5000}}}]', "digits"),
    "1e400": ('[{"patient_id": "PH0001", "age": 1e400}]', "too large"),
    "a key twice": ('[{"patient_id": "PH0001", "age": 1, "age": 2}]', "twice"),
    "two keys that differ by a blank": (_told([{**row, "site ": 1} for row in _RECORDS]), "two columns"),
    "something behind it": (f"{_told(_RECORDS)}x", "not JSON"),
    "in Latin-1": ('[{"Klärung": 1}]'.encode("latin-1"), "UTF-8"),
    "in UTF-16": (_told(_RECORDS).encode("utf-16"), "UTF-8"),
}
TREES = [
    *(_table(f"JSON, {what}", content, "t.json", says, name="t.json") for what, (content, says) in _TREES.items()),
    *(
        _other(command, f"JSON, {what}", _TREES[what][0], "t.json", _TREES[what][1], name="t.json")
        for command in ("power", "weights")
        for what in ("null", "deep", "a number of 5,000 digits", "a key twice")
    ),
    _table("JSON, cells that are objects", _told([{**row, "site": {"a": [1]}} for row in _RECORDS]), "DSC",
           name="t.json", code=0),
    _table("JSON, a lone surrogate", '[{"patient_id": "PH0001", "\\udfff": 2}, {"patient_id": "PH0002", "\\udfff": 3}]',
           "DSC", name="t.json", code=0),
    _table("JSON lines, one that is cut", f"{_told(_RECORDS[0])}\n{{", "line 2", name="t.jsonl"),
    _table("JSON lines of numbers", "3\n4", "line 1 is no JSON object", name="t.jsonl"),
    _table("JSON lines, a key twice", '{"a": 1, "a": 2}', "twice", name="t.jsonl"),
    _table("JSON lines, none", "\n\n", "empty", name="t.jsonl"),
]  # fmt: skip


def _workbook(change: Callable[[Any], object]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        import openpyxl

        book = openpyxl.Workbook()
        change(book)
        book.save(path)

    return make


def _fill(book: Any) -> None:
    for row in csv.reader(io.StringIO(_PLAIN)):
        book.active.append(row)


def _far(book: Any) -> None:
    _fill(book)
    book.active["XFD3"] = "x"


def _chart_only(book: Any) -> None:
    book.create_chartsheet("chart")
    book.remove(book.active)


def _part(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Path], object]:
    """A workbook one of whose parts is changed, or taken away."""

    def make(path: Path) -> None:
        _workbook(_fill)(path)
        with zipfile.ZipFile(path) as whole:
            parts = {part: whole.read(part) for part in whole.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, content in parts.items():
                kept = change(content) if part == name else content
                if kept is not None:
                    archive.writestr(part, kept)

    return make


_SHEET = "xl/worksheets/sheet1.xml"
_ENTITIES = b"".join(
    b'<!ENTITY %c "%s">' % (letter, b"a" * 10 if letter == 97 else b"&%c;" % (letter - 1) * 10)
    for letter in range(97, 107)
)
_BOOKS: tuple[tuple[str, Content, str], ...] = (
    ("cut off", b"PK\x03\x04" + bytes(100), "cannot be read as XLSX"),
    ("a CSV renamed", _PLAIN, "cannot be read as XLSX"),
    ("an XLS renamed", b"\xd0\xcf\x11\xe0" + bytes(100), "cannot be read as XLSX"),
    ("another archive", _part("[Content_Types].xml", lambda content: None), "cannot be read as XLSX"),
    ("no rows", _workbook(lambda book: None), "rows below the column names"),
    ("names only", _workbook(lambda book: book.active.append(["id", "age"])), "rows below the column names"),
    ("a chart only", _workbook(_chart_only), "t.xlsx"),
    ("no sheet in it", _part(_SHEET, lambda content: None), "t.xlsx"),
    ("a sheet that is cut", _part(_SHEET, lambda content: content[: len(content) // 2]), "cannot be read as XLSX"),
    ("a sheet that is empty", _part(_SHEET, lambda content: b""), "cannot be read as XLSX"),
    ("no workbook in it", _part("xl/workbook.xml", lambda content: None), "cannot be read as XLSX"),
    ("styles that are cut", _part("xl/styles.xml", lambda content: content[:100]), "cannot be read as XLSX"),
    ("entities that swell", _part(_SHEET, lambda content: content.replace(
        b"<worksheet", b"<!DOCTYPE x [" + _ENTITIES + b"]><worksheet", 1).replace(
        b"</sheetData>", b'<row r="99"><c r="A99" t="str"><v>&j;</v></c></row></sheetData>')), "cannot be read as XLSX"),
)  # fmt: skip
BOOKS = [
    *(_table(f"XLSX, {what}", content, "t.xlsx", says, name="t.xlsx") for what, content, says in _BOOKS),
    *(
        _other(command, f"XLSX, {what}", content, "t.xlsx", says, name="t.xlsx")
        for command in ("power", "weights")
        for what, content, says in _BOOKS[:2]
    ),
    _table("XLSX, a cell far away", _workbook(_far), "DSC", name="t.xlsx", code=0),
    Cause(
        "metadata: XLSX, no such sheet",
        ("audit-scores", "{base}/scores.csv", "t.xlsx", *_FEW, "--sheet", "second"),
        ("second", "Sheet"),
        _file("t.xlsx", _workbook(_fill)),
    ),
    Cause(
        "metadata: a sheet of a CSV",
        ("audit-scores", "{base}/scores.csv", "t.csv", *_FEW, "--sheet", "first"),
        ("only XLSX",),
        _file("t.csv", _PLAIN),
    ),
]


def _parquet(change: Callable[[Any], Any]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        import pandas as pd

        change(pd.DataFrame(_RECORDS)).to_parquet(path)

    return make


PARQUET = [
    *(
        _table(f"Parquet, {what}", content, "t.parquet", says, name="t.parquet")
        for what, content, says in (
            ("a text", _PLAIN, "cannot be read as Parquet"),
            ("its marks only", b"PAR1" + bytes(100) + b"PAR1", "cannot be read as Parquet"),
            ("no rows", _parquet(lambda frame: frame.iloc[:0]), "no rows"),
            ("no columns", _parquet(lambda frame: frame[[]]), "empty"),
        )
    ),
    *(
        _table(f"Parquet, {what}", _parquet(change), "DSC", name="t.parquet", code=0)
        for what, change in (
            ("cells that are lists", lambda frame: frame.assign(site=[[1, 2]] * len(frame))),
            ("cells that are records", lambda frame: frame.assign(site=[{"a": 1}] * len(frame))),
            ("cells that are bytes", lambda frame: frame.assign(site=[b"a\xff"] * len(frame))),
            ("ages of nothing", lambda frame: frame.assign(age=float("nan"))),
            ("ages beyond all", lambda frame: frame.assign(age=2**63 - 1)),
        )
    ),
]

CAUSES = [*TEXTS, *NUMBERS, *TREES, *BOOKS, *PARQUET]
