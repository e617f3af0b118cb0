"""Tables: CSV, TSV, XLSX, Parquet and JSON in, CSV out. The only reader and writer of tables.

Every table is kept twice: as it was written, where the id 0012 is not the number 12, and typed, where an age is a
number. Knows nothing of cases, attributes or scores. Somewhat long, because all formats end in the same few rules
for names, blank rows and types.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segfair import documents
from segfair.errors import MetadataError, close_names, cut_text, in_words, some
from segfair.files import column_names
from segfair.files.cells import cell_text, defuse, fuse, is_blank, is_missing, of_each, parse_number
from segfair.files.columns import Reading, has_missing_na, number_style, read_column
from segfair.files.placing import text_file, told_unwritable
from segfair.files.spellings import number_key
from segfair.remote import local_copy

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TABLE_SUFFIXES",
    "Columns",
    "Table",
    "load_table",
    "read_json",
    "records_table",
    "table_from_frame",
    "write_csv",
]

_TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
_EXCEL_SUFFIXES = (".xlsx", ".xlsm")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_LINES_SUFFIX = ".jsonl"
TABLE_SUFFIXES = (*_TEXT_SUFFIXES, *_EXCEL_SUFFIXES, *_PARQUET_SUFFIXES, ".json", _LINES_SUFFIX)

_DELIMITERS = ",;\t|"
_MOST_COLUMNS = 16_384
"""As many as a sheet of Excel has; each is read, and would be a family of tests."""
_MOST_UNPACKED = 1 << 30
_MOST_ROWS, _MOST_CELLS = 1 << 20, 1 << 25
"""Of a sheet: as many rows as Excel has, and as many cells as fit into a gigabyte, gaps included."""
# What other files begin with: renamed, or saved in place of the table.
_NO_TEXT = {
    b"PK\x03\x04": "an XLSX file or another archive",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "packed by gzip",
    b"\xd0\xcf\x11\xe0": "an old XLS file",
    b"%PDF": "a PDF",
    b"<!doctype html": "a web page",
    b"<html": "a web page",
}

Rows = list[list[Any]]
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table, as written and typed.

    Attributes:
        name: File name, for messages.
        raw: Column -> its cells as written: text for CSV and TSV, the file's own values elsewhere; None where empty.
        typed: The same columns and rows: whole numbers, numbers and booleans where a whole column is, else the cells
            as written; None where missing.
        sheet: The sheet that was read; empty for other formats.
        sheets: All sheets of the file.
        notices: Sentences for the reader: encoding, sheet, how numbers are written, numbers that mean no value.
        missing: Column -> spelling of a missing value -> how many cells; "" for empty cells.
    """

    name: str
    raw: Columns
    typed: Columns
    sheet: str = ""
    sheets: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(self.raw)

    def __len__(self) -> int:
        """Rows."""
        return len(next(iter(self.raw.values()), ()))

    def renamed(self, names: Mapping[str, str]) -> Table:
        """The same table with other names for some columns."""
        return self._changed(lambda columns: {names.get(name, name): cells for name, cells in columns.items()})

    def reordered(self, first: Sequence[str]) -> Table:
        """The same table with some columns first."""
        order = [*first, *(column for column in self.columns if column not in first)]
        return self._changed(lambda columns: {name: columns[name] for name in order})

    def without(self, columns: Collection[str]) -> Table:
        """The same table without some columns."""
        return self._changed(lambda kept: {name: cells for name, cells in kept.items() if name not in columns})

    def replaced(self, column: str, cells: Sequence[Any]) -> Table:
        """The same table with other cells in one column."""
        return self._changed(lambda columns: {**columns, column: list(cells)})

    def rows(self, indices: Sequence[int]) -> Table:
        """Some of the rows, in that order."""
        return self._changed(
            lambda columns: {name: [cells[index] for index in indices] for name, cells in columns.items()}
        )

    def column(self, name: str) -> list[Any]:
        """Typed values of one column as Python objects; None where missing."""
        return list(self.typed[name])

    def _changed(self, change: Callable[[Columns], Columns]) -> Table:
        return replace(self, raw=change(self.raw), typed=change(self.typed))


def load_table(path: Path, *, sheet: str | None = None, wanted_ids: Collection[str] = ()) -> Table:
    """Reads a table by its suffix; the first row that is not blank holds the column names.

    Args:
        path: A file ending in one of `TABLE_SUFFIXES`. Text may be delimited by comma, semicolon, tab or bar, in
            UTF-8 or UTF-16; other encodings are read as Western European with a notice.
        sheet: Sheet of an XLSX file. None: the one in which some column holds most of `wanted_ids`, and the first
            with rows where none does.
        wanted_ids: Ids that the table is expected to hold.

    Returns:
        The table. Blank rows and nameless empty columns are dropped; a cell of text loses nothing but the
        apostrophe with which `write_csv` defuses formulas.

    Raises:
        MetadataError: The file is missing, unreadable, of an unknown format, empty or without rows, has two columns
            of one name or no such sheet.
    """
    path = local_copy(path)
    suffix = path.suffix.lower()
    if not path.exists():
        raise MetadataError(f"table {path}: does not exist{close_names(path.name, _tables_in(path.parent))}")
    if path.is_dir():
        raise MetadataError(f"table {path}: is a folder; name the table in it")
    if suffix not in TABLE_SUFFIXES:
        hint = "; save it as .xlsx or .csv" if suffix in (".xls", ".ods", ".numbers") else ""
        raise MetadataError(f"table {path}: unknown format; known are {', '.join(TABLE_SUFFIXES)}{hint}")
    if path.stat().st_size == 0:
        raise MetadataError(f"table {path}: is empty")
    if sheet is not None and suffix not in _EXCEL_SUFFIXES:
        raise MetadataError(f"table {path}: only XLSX files have sheets; leave out the sheet {sheet}")
    if suffix in _TEXT_SUFFIXES:
        return _read_text_table(path)
    if suffix in _EXCEL_SUFFIXES:
        return _read_workbook(path, sheet, wanted_ids)
    if suffix in _PARQUET_SUFFIXES:
        return _read_parquet(path)
    if suffix == _LINES_SUFFIX:
        return _read_json_lines(path)
    return _table(path.name, _json_rows(read_json(path), path))


def _tables_in(folder: Path) -> list[str]:
    """Names of the tables of a folder; none where there is no such folder."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return [entry.name for entry in entries if entry.suffix.lower() in TABLE_SUFFIXES]


def table_from_frame(frame: pd.DataFrame, *, name: str = "the data frame") -> Table:
    """A data frame in memory as a table; an index that carries names or ids becomes a column.

    Raises:
        MetadataError: No rows, or two columns of one name.
    """
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    cells = [
        [None if is_missing(cell) and not isinstance(cell, str) else cell for cell in row]
        for row in frame.astype(object).to_numpy().tolist()
    ]
    return _table(name, [list(map(str, frame.columns)), *cells])


def records_table(records: Sequence[Mapping[str, object]], *, name: str) -> Table:
    """Rows in memory as a table; `name` is for messages.

    Raises:
        MetadataError: No rows.
    """
    return _table(name, _record_rows(records))


def read_json(path: Path) -> Any:
    """Reads a JSON file; NaN and Infinity are allowed, as numpy-based tools write them.

    Raises:
        MetadataError: Unreadable, or not valid JSON.
    """
    return documents.read_json(path, refusal=MetadataError, what=f"table {path}", not_finite=True)


def write_csv(records: Iterable[Mapping[str, object]], path: Path, *, columns: Sequence[str] = ()) -> None:
    """Writes a table as CSV: UTF-8, floats at full precision, nothing where a value is missing.

    Text (column names too) that a spreadsheet would run as a formula gets a leading apostrophe; text that is a
    number, such as -1, does not. The file appears under its name only once it is complete.

    Args:
        records: The rows.
        path: Where to; an existing file is replaced.
        columns: The columns that come first, also where there are no rows; others follow as rows name them.

    Raises:
        InputError: The file cannot be written.
    """
    names, *rows = _record_rows(list(records), columns)
    path = Path(path)
    with told_unwritable(path), text_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([_csv_cell(column) for column in names])
        writer.writerows([_csv_cell(value) for value in row] for row in rows)


def _csv_cell(value: object) -> object:
    if isinstance(value, str):
        return defuse(value)
    if is_missing(value):
        return ""
    if hasattr(value, "item"):  # numpy scalars print as np.float64(...)
        value = value.item()
    if isinstance(value, float):
        return repr(value)
    return value if isinstance(value, int) else defuse(str(value))


def _read_text_table(path: Path) -> Table:
    text, notices = _decode(path)
    first, _, rest = text.partition("\n")
    declared = re.fullmatch(r"sep=(.)\r?", first)  # Excel's own hint
    if declared:
        text, delimiter = rest, declared[1]
    else:
        delimiter = _sniff(text, prefer="\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [[fuse(cell) for cell in cells] for cells in reader if not is_blank(cells)]
    except csv.Error as error:
        raise MetadataError(f"table {path}: cannot be read as CSV ({error})") from error
    _refuse_open_quote(path, text, delimiter, rows)
    width = len(rows[0]) if rows else 0
    if rows[1:] and all(len(cells) == width + 1 for cells in rows[1:]):
        _refuse_shifted(path, rows)
        rows[0].insert(0, "")  # R leaves out the name of the column of row names
        width += 1
    for number, cells in enumerate(rows, start=1):
        if len(cells) <= width:
            continue
        if not is_blank(cells[width:]):
            raise MetadataError(
                f"table {path}: row {number} has {len(cells)} cells, the first row has {width}; put a text that"
                f" holds {delimiter!r} into double quotes"
            )
        del cells[width:]
    return _table(path.name, rows, notices=notices, delimiter=delimiter, where=str(path))


def _refuse_open_quote(path: Path, text: str, delimiter: str, rows: Rows) -> None:
    """A double quote that is never closed: all rows behind it would be one cell."""
    if not rows or not any(isinstance(cell, str) and "\n" in cell for cell in rows[-1]):
        return
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if "end of data" in str(error):
            first = next(cell for cell in rows[-1] if isinstance(cell, str) and "\n" in cell)
            raise MetadataError(
                f"table {path}: a double quote is opened and never closed, before {cut_text(first.splitlines()[0])};"
                " close it, or take it away"
            ) from error


def _refuse_shifted(path: Path, rows: Rows) -> None:
    """Rows longer by one cell than the names: R's row names, unless the first name is that of the first cells.

    `case,age` above `P1,20,5` is a decimal comma that was not put into quotes.
    """
    first = cell_text(rows[0][0])
    numbered = [cell_text(cells[0]) for cells in rows[1:]] == [str(number) for number in range(1, len(rows))]
    if not numbered and (column_names.is_patient(first) or column_names.is_id(first)):
        raise MetadataError(
            f"table {path}: every row has {len(rows[1])} cells and the first row {len(rows[0])} names, the first"
            f" {first}; put numbers with a decimal comma into double quotes, or name the column of row names"
        )


def _decode(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MetadataError(f"table {path}: cannot be read ({in_words(error)})") from error
    for start, kind in _NO_TEXT.items():
        if data[:64].lstrip().lower().startswith(start.lower()):
            raise MetadataError(f"table {path}: is {kind} by its content; save the table itself, under its true suffix")
    encoding = _unicode_encoding(data)
    notices: tuple[str, ...] = ()
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        notices = (f"{path.name} is not UTF-8; read as Western European (Latin-1), look at its accents",)
    if "\0" in text:
        raise MetadataError(f"table {path}: holds binary data, no text; is its suffix right?")
    return text, notices


def _unicode_encoding(data: bytes) -> str:
    """UTF-16 by its byte order mark, or by its zero bytes where it has none; else UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    start = data[:1000]
    # Of plain letters every second byte is zero; no text in another encoding holds any.
    if start.count(0) > 0.3 * len(start) and len(data) % 2 == 0:
        return "utf-16-le" if start[1::2].count(0) > start[0::2].count(0) else "utf-16-be"
    return "utf-8-sig"


def _sniff(text: str, *, prefer: str) -> str:
    """The delimiter under which most rows are as wide as the first one."""
    scores = {}
    for delimiter in sorted(_DELIMITERS, key=lambda candidate: candidate != prefer):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        widths: list[int] = []
        try:
            for cells in reader:
                if any(cells):
                    widths.append(len(cells))
                if len(widths) == 100:
                    break
        except csv.Error:
            continue
        if widths and widths[0] > 1:
            alike = max(widths.count(widths[0]), widths.count(widths[0] + 1))
            scores[delimiter] = (alike / len(widths), widths[0])
    return max(scores, key=scores.__getitem__) if scores else prefer


def _refuse_blown_up(path: Path) -> None:
    """Refuses a workbook that unpacks to more than any table is, before it is unpacked."""
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > _MOST_UNPACKED:
        raise MetadataError(f"table {path}: unpacks to {unpacked:,} bytes, more than a table is; save it as .csv")


def _read_workbook(path: Path, sheet: str | None, wanted_ids: Collection[str]) -> Table:
    import openpyxl

    try:
        _refuse_blown_up(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl reports formatting that it does not keep
            workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
            rows_of: dict[str, Rows] = {}
            for worksheet in workbook.worksheets:
                if sheet in (None, worksheet.title):
                    # Some writers store a wrong extent, which read-only mode would believe.
                    worksheet.reset_dimensions()
                    rows_of[worksheet.title] = _sheet_rows(worksheet.iter_rows(values_only=True), path)
            sheets = tuple(workbook.sheetnames)
            workbook.close()
    except MetadataError:
        raise
    except Exception as error:  # whatever a damaged archive provokes inside of openpyxl
        raise MetadataError(
            f"table {path}: cannot be read as XLSX; it is damaged, or another kind of file: save it again, or as .csv"
        ) from error
    if sheet is not None and sheet not in rows_of:
        raise MetadataError(f"table {path}: no sheet {sheet}; there are {', '.join(sheets)}")
    found = {title: _n_found(rows, wanted_ids) for title, rows in rows_of.items()}
    filled = [title for title, rows in rows_of.items() if sum(not is_blank(cells) for cells in rows) > 1]
    if not filled:
        which = f"sheet {sheet}" if sheet else f"none of its sheets ({', '.join(sheets)})"
        raise MetadataError(f"table {path}: {which} has {'no ' if sheet else ''}rows below the column names")
    chosen = max(filled, key=found.__getitem__)
    notices: tuple[str, ...] = ()
    if sheet is None and len(sheets) > 1:
        reason = f"it holds {found[chosen]} of the case ids" if found[chosen] else "the first one with rows"
        notices = (f"{path.name}: sheet {chosen} of {', '.join(sheets)} ({reason})",)
    return _table(path.name, rows_of[chosen], notices=notices, sheet=chosen, sheets=sheets, where=str(path))


def _sheet_rows(rows: Iterable[Sequence[Any]], path: Path) -> Rows:
    """The rows of a sheet that are not blank; between those that a file holds, a reader makes up what it may skip."""
    found, n_cells = [], 0
    for number, cells in enumerate(rows, start=1):
        n_cells += len(cells)
        if number > _MOST_ROWS or n_cells > _MOST_CELLS:
            raise MetadataError(
                f"table {path}: a sheet claims more than {_MOST_ROWS:,} rows or {_MOST_CELLS:,} cells; save what is in "
                "it as .csv"
            )
        if not is_blank([cell for cell in cells if cell is not None]):
            found.append(list(cells))
    return found


def _n_found(rows: Rows, wanted_ids: Collection[str]) -> int:
    """How many of the ids the best column of a sheet holds."""
    wanted = set(map(number_key, wanted_ids))
    width = max(map(len, rows), default=0)
    return max(
        (
            len(wanted & {number_key(cell_text(row[index])) for row in rows if index < len(row)})
            for index in range(width if wanted else 0)
        ),
        default=0,
    )


def _read_parquet(path: Path) -> Table:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow's errors share no base class with pandas'
        raise MetadataError(
            f"table {path}: cannot be read as Parquet; it is damaged, or another kind of file: write it again, or as"
            " .csv"
        ) from error
    return table_from_frame(frame, name=path.name)


def _read_json_lines(path: Path) -> Table:
    """One object a line, as panoptica and others write them."""
    text, notices = _decode(path)
    records = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"table {path}, line {number}"
        record = documents.parse_json(line, where, refusal=MetadataError, not_finite=True)
        if not isinstance(record, dict):
            raise MetadataError(f"table {path}: line {number} is no JSON object")
        records.append(record)
    return _table(path.name, _record_rows(records), notices=notices)


def _json_rows(tree: Any, path: Path) -> Rows:
    """Records, or columns: lists of equal length, or objects by row name as pandas writes them."""
    wrong = MetadataError(
        f'table {path}: expected a list of records [{{"id": ..., "age": ...}}, ...] or columns'
        ' {"id": [...], "age": [...]}'
    )
    if isinstance(tree, list) and tree and all(isinstance(record, dict) for record in tree):
        return _record_rows(tree)
    if not isinstance(tree, dict) or not tree:
        raise wrong
    values = list(tree.values())
    if all(isinstance(column, dict) for column in values):
        names = list(dict.fromkeys(key for column in values for key in column))
        numbered = names == [str(index) for index in range(len(names))]
        rows = [[column.get(name) for column in values] for name in names]
        if numbered:
            return [list(tree), *rows]
        return [["index", *tree], *([name, *row] for name, row in zip(names, rows, strict=True))]
    if all(isinstance(column, list) for column in values):
        if len({len(column) for column in values}) > 1:
            lengths = ", ".join(f"{name} {len(column)}" for name, column in list(tree.items())[:5])
            raise MetadataError(f"table {path}: columns of unequal length ({lengths})")
        return [list(tree), *map(list, zip(*values, strict=True))]
    raise wrong


def _record_rows(records: Sequence[Mapping[str, Any]], first: Sequence[str] = ()) -> Rows:
    columns = list(dict.fromkeys([*first, *(key for record in records for key in record)]))
    return [columns, *([record.get(column) for column in columns] for record in records)]


def _table(
    name: str,
    rows: Rows,
    *,
    notices: tuple[str, ...] = (),
    delimiter: str = "",
    sheet: str = "",
    sheets: tuple[str, ...] = (),
    where: str = "",
) -> Table:
    """Names, squares and types rows of cells; the first that is not blank holds the names."""
    where = f"table {where or name}" + (f", sheet {sheet}" if sheet else "")
    rows = [cells for cells in rows if not is_blank(cells)]
    if not rows:
        raise MetadataError(f"{where}: is empty")
    if len(rows) == 1:
        raise MetadataError(f"{where}: has column names but no rows")
    if (width := max(map(len, rows))) > _MOST_COLUMNS:
        raise MetadataError(
            f"{where}: has {width:,} columns, and at most {_MOST_COLUMNS:,} are read; keep those that are attributes"
        )
    rows, title = _without_title(rows)
    notices = (*notices, *([f"{name}: the row {title!r} above the column names is passed over"] if title else []))
    width = max(map(len, rows))
    header, *body = (cells if len(cells) == width else [*cells, *[None] * (width - len(cells))] for cells in rows)
    names = [cell_text(cell) for cell in header]
    by_column = [_filled_cells([row[index] for row in body]) for index in range(width)]
    used = [index for index in range(width) if names[index] or any(cell is not None for cell in by_column[index])]
    columns = [names[index] or f"column {index + 1}" for index in used]
    twice = sorted(column for column, n_columns in Counter(columns).items() if n_columns > 1)
    if twice:
        raise MetadataError(f"{where}: two columns are named {some(twice)}; rename one")
    raw = {column: by_column[index] for index, column in zip(used, columns, strict=True)}
    style, unclear = number_style(list(raw.values()), delimiter=delimiter)
    na_is_missing = any(map(has_missing_na, raw.values()))
    readings = {column: read_column(cells, style=style, na_is_missing=na_is_missing) for column, cells in raw.items()}
    by_note: dict[str, list[str]] = {}
    for column, reading in readings.items():
        for note in reading.notes:
            by_note.setdefault(note, []).append(column)
    notes = [f"{name}: {', '.join(found)}: {note}" for note, found in by_note.items()]
    return Table(
        name,
        raw,
        {column: _typed(reading) for column, reading in readings.items()},
        sheet,
        sheets,
        (*notices, *([f"{name}: {unclear}"] if unclear else []), *notes),
        {column: reading.missing for column, reading in readings.items()},
    )


def _filled_cells(cells: Sequence[Any]) -> list[Any]:
    """A column with None for blank cells; equal texts are kept once."""
    return of_each(lambda cell: None if is_blank((cell,)) else cell, cells)


def _without_title(rows: Rows) -> tuple[Rows, str]:
    """Rows without a title above the column names: one cell alone, above a full row of texts."""
    filled = [[cell for cell in cells if not is_blank((cell,))] for cells in rows[:2]]
    if len(rows) < 3 or len(filled[0]) != 1 or len(filled[1]) < 2 or len(filled[1]) < max(map(len, rows)) - 1:
        return rows, ""
    if not all(isinstance(cell, str) and parse_number(cell) is None for cell in filled[1]):
        return rows, ""
    below = sum(sum(not is_blank((cell,)) for cell in cells) > 1 for cells in rows[2:])
    has_numbers = any(parse_number(cell_text(cell)) is not None for cells in rows[2:] for cell in cells)
    return (rows[1:], cell_text(filled[0][0])) if 2 * below > len(rows[2:]) and has_numbers else (rows, "")


def _typed(reading: Reading) -> list[Any]:
    """A column whose values are of one type where it is one of numbers; None where one is missing."""
    kinds: dict[str, Callable[[Any], Any]] = {"boolean": bool, "whole": int, "number": float}
    kind = kinds.get(reading.kind, lambda value: value)
    return of_each(lambda value: None if is_missing(value) else kind(value), reading.values)
