"""A table of paths: one row a case, with columns of its files; every other column is metadata. Opens no image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segfair.errors import InputError, PairingError, some
from segfair.files.cells import cell_text, compose
from segfair.files.tables import TABLE_SUFFIXES, Table, load_table

__all__ = ["PathTable", "is_path_table", "read_path_table"]

ID = "id"
ROLES = ("label", "prediction", "label2", "probabilities")
_IMAGE = re.compile(r"image(?:_?(?P<number>\d+))?")


@dataclass(frozen=True, slots=True, eq=False)
class PathTable:
    """The files of some cases, by role, and their metadata.

    Attributes:
        table: The table, whose column `id_column` holds the ids.
        id_column: The column of ids.
        ids: Case ids in the table's order.
        images: Case id -> its images in channel order, up to the first empty cell; cases without any are left out.
        files: Role ("label", "prediction", "label2", "probabilities") -> case id -> file; roles without a column are
            left out.
        columns: The columns that are no files and no ids.
    """

    table: Table
    id_column: str
    ids: tuple[str, ...]
    images: Mapping[str, tuple[Path, ...]]
    files: Mapping[str, Mapping[str, Path]]
    columns: tuple[str, ...]


def is_path_table(path: Path) -> bool:
    """Whether a path names a table rather than a folder or a list in JSON."""
    return path.suffix.lower() in set(TABLE_SUFFIXES) - {".json", ".jsonl"} and not path.is_dir()


def read_path_table(path: Path, *, sheet: str | None = None) -> PathTable:
    """Reads a table of paths.

    Columns, in any letter case: `id`; `image`, or `image1`, `image2`, ... or `image_0000`, `image_0001`, ... for
    channels; `label`, `prediction`, `label2`, `probabilities`. Paths are relative to the table's folder.

    Args:
        path: The table.
        sheet: Sheet of an XLSX file; None: the first.

    Raises:
        MetadataError: The file is no table.
        InputError: No column of ids, a row without an id, or no column of files.
        PairingError: An id that two rows have.
    """
    table = load_table(path, sheet=sheet)
    by_name = {column.strip().casefold(): column for column in table.columns}
    if ID not in by_name:
        raise InputError(f"{path}: a table of paths needs the column id; its columns are {some(table.columns, 10)}")
    channels = sorted(
        (int(match["number"] or -1), column)
        for name, column in by_name.items()
        if (match := _IMAGE.fullmatch(name)) is not None
    )
    roles = {role: by_name[role] for role in ROLES if role in by_name}
    if not channels and not roles:
        raise InputError(
            f"{path}: names no files; expected columns such as image and label, its columns are "
            f"{some(table.columns, 10)}"
        )
    ids = _ids(table, by_name[ID], path)
    here = path.parent
    images = {
        case: _leading(here, [table.raw[column].iloc[row] for _, column in channels]) for row, case in enumerate(ids)
    }
    files = {
        role: {
            case: here / text for case, cell in zip(ids, table.raw[column], strict=True) if (text := cell_text(cell))
        }
        for role, column in roles.items()
    }
    of_files = {by_name[ID], *roles.values(), *(column for _, column in channels)}
    return PathTable(
        table,
        by_name[ID],
        ids,
        {case: paths for case, paths in images.items() if paths},
        files,
        tuple(column for column in table.columns if column not in of_files),
    )


def _ids(table: Table, column: str, path: Path) -> tuple[str, ...]:
    ids = tuple(compose(cell_text(cell)) for cell in table.raw[column])
    rows: dict[str, int] = {}
    for row, case in enumerate(ids, start=1):
        if not case:
            raise InputError(f"{path}: row {row} has no id; give it one, or take the row out")
        if rows.setdefault(case, row) != row:
            raise PairingError(f"{path}: the id {case} is in rows {rows[case]} and {row}; keep one of them")
    return ids


def _leading(folder: Path, cells: Sequence[object]) -> tuple[Path, ...]:
    """The paths up to the first empty cell: a channel that is missing must not let another take its place."""
    paths: list[Path] = []
    for cell in cells:
        text = cell_text(cell)
        if not text:
            break
        paths.append(folder / text)
    return tuple(paths)
