"""Lists of cases: `dataset.json` of nnU-Net and the Decathlon, nnU-Net's splits, tables of paths. Opens no mask.

Reads and checks the lists; whether the files they name exist is asked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from segfair.documents import named_type, read_json, read_text
from segfair.errors import ConfigError, InputError, PairingError, cut_text, some
from segfair.files.cells import cell_text, compose
from segfair.files.images.masks import mask_stem
from segfair.files.tables import TABLE_SUFFIXES, Table, load_table, table_from_frame
from segfair.remote import is_url, local_copy

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Dataset",
    "ListedCase",
    "Part",
    "PathTable",
    "dataset_beside",
    "is_path_table",
    "listed_id",
    "read_case_list",
    "read_dataset",
    "read_path_table",
]


# Columns of a table of paths.
ID = "id"
_ROLE = re.compile(r"label([2-9]|[1-9]\d+)?|prediction|probabilities")
_IMAGE = re.compile(r"image(?:_?(?P<number>\d+))?")

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class ListedCase:
    """One entry of a list of cases: its id ("" where the list gives none), its files, and its part of the split."""

    id: str
    label: Path | None
    images: tuple[Path, ...]
    part: Part = "train"


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a `dataset.json` says.

    Attributes:
        label_names: Name -> label values in file order, without background and the ignore label.
        ignore_label: The label value of voxels that count nowhere; None if there is none.
        cases: The training cases where the file lists them one by one, their paths relative to its folder.
        held_out: The cases that it lists for validation and test, those with a label.
        n_channels: Images of a case, by `channel_names` (nnU-Net v1: `modality`); None where it does not say.
        regions_class_order: The value that each region is written with, in file order (nnU-Net); empty where it does
            not say.
    """

    label_names: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignore_label: int | None = None
    cases: tuple[ListedCase, ...] = ()
    held_out: tuple[ListedCase, ...] = ()
    n_channels: int | None = None
    regions_class_order: tuple[int, ...] = ()


def read_dataset(path: Path) -> Dataset:
    """Reads a `dataset.json`.

    Known forms of `labels`: `{"background": 0, "whole": [1, 2], "ignore": 3}` (nnU-Net v2) and
    `{"0": "background", "1": "tumour"}` (nnU-Net v1, Decathlon). Known lists of cases:
    `"training": [{"image": ..., "label": ...}]` (Decathlon) and `"dataset": {ID: {"images": [...], "label": ...}}`
    (nnU-Net v2).

    Raises:
        InputError: Not valid JSON, or not of these forms.
    """
    tree = read_json(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path}: expected a JSON object with the key labels, got {named_type(tree)}")
    names, ignore = _labels(tree.get("labels", {}), path)
    channels = tree.get("channel_names", tree.get("modality"))
    n_channels = len(channels) if isinstance(channels, dict | list) and channels else None
    held_out = (*_held_out(tree, path, "validation"), *_held_out(tree, path, "test"))
    return Dataset(names, ignore, tuple(_cases(tree, path)), held_out, n_channels, _class_order(tree, path))


def _class_order(tree: dict[str, Any], path: Path) -> tuple[int, ...]:
    order = tree.get("regions_class_order") or []
    if not isinstance(order, list) or not all(_is_whole(value) for value in order):
        raise InputError(f"{path}: regions_class_order must be a list of whole numbers, got {order!r}")
    return tuple(int(value) for value in order)


def _labels(labels: Any, path: Path) -> tuple[dict[str, tuple[int, ...]], int | None]:
    if not isinstance(labels, dict):
        raise InputError(f'{path}: labels must be an object such as {{"background": 0, "tumour": 1}}, got {labels!r}')
    value_first = bool(labels) and all(key.isdecimal() and isinstance(labels[key], str) for key in labels)
    collected: dict[str, list[int]] = {}
    for key, entry in labels.items():
        name, values = (entry, [key]) if value_first else (key, entry if isinstance(entry, list) else [entry])
        if not values or not all(_is_whole(value) for value in values):
            raise InputError(f"{path}: label {name!r} must be a whole number or a list of them, got {entry!r}")
        collected.setdefault(name, []).extend(int(value) for value in values)
    ignore = None
    names = {}
    for name, values in collected.items():
        if name == "ignore":
            if len(values) != 1:
                raise InputError(f"{path}: the ignore label must be one number, got {values}")
            ignore = values[0]
        elif set(values) != {0}:
            if 0 in values:
                raise InputError(f"{path}: region {name!r} holds 0, which is the background; take it out")
            names[name] = tuple(dict.fromkeys(values))
    return names, ignore


def _is_whole(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().isdecimal()
    return isinstance(value, int) and not isinstance(value, bool)


def _cases(tree: dict[str, Any], path: Path) -> list[ListedCase]:
    listed = tree.get("dataset")
    if isinstance(listed, dict):
        entries = [(str(key), entry, "images") for key, entry in listed.items()]
    else:
        training = tree.get("training", [])
        # Some generators write only how many there are.
        entries = [("", entry, "image") for entry in training] if isinstance(training, list) else []
    return [_case(case, entry, key, path, number) for number, (case, entry, key) in enumerate(entries, start=1)]


def _held_out(tree: dict[str, Any], path: Path, part: Part) -> list[ListedCase]:
    """The cases of another section than training; images without labels, as the Decathlon lists them, are none."""
    listed = tree.get(part, [])
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    cases = [_case("", entry, "image", path, number, part) for number, entry in enumerate(entries, start=1)]
    return [case for case in cases if case.label is not None]


def _case(case: str, entry: Any, key: str, path: Path, number: int, part: Part = "train") -> ListedCase:
    images = entry.get(key, []) if isinstance(entry, dict) else None
    images = [images] if isinstance(images, str) else images
    label = entry.get("label") if isinstance(entry, dict) else None
    if not (
        isinstance(images, list) and all(isinstance(image, str) for image in images) and isinstance(label, str | None)
    ):
        section = "training" if part == "train" else part
        raise InputError(
            f"{path}: {section} case {case or number} must be an object such as"
            f' {{"{key}": "...", "label": "..."}}, got {entry!r}'
        )
    here = path.parent
    return ListedCase(case, here / label if label else None, tuple(here / image for image in images), part)


def dataset_beside(path: Path | None, *, required: bool) -> tuple[Dataset, tuple[str, ...]]:
    """What a `dataset.json` says if there is one; a broken one is passed over where it is not required."""
    if path is None or not path.is_file():
        return Dataset(), ()
    try:
        return replace(read_dataset(path), cases=(), held_out=()), ()
    except InputError as error:
        if required:
            raise
        return Dataset(), (f"not used: {error}",)


def listed_id(case: ListedCase) -> str:
    """A listed case's own id, else its label's file name, else its first image's."""
    files = [case.label] if case.label else list(case.images)
    return compose(case.id or (mask_stem(files[0].name) if files else None) or "")


@dataclass(frozen=True, slots=True, eq=False)
class PathTable:
    """The files of some cases, by role, and their metadata.

    Attributes:
        table: The table, whose column `id_column` holds the ids.
        id_column: The column of ids.
        ids: Case ids in the table's order.
        images: Case id -> its images in channel order, up to the first empty cell; cases without any are left out.
        files: Role ("label", "label2" and so on, "prediction", "probabilities") -> case id -> file; roles without a
            column are left out.
        columns: The columns that are no files and no ids.
        where: What the table is called in messages.
    """

    table: Table
    id_column: str
    ids: tuple[str, ...]
    images: Mapping[str, tuple[Path, ...]]
    files: Mapping[str, Mapping[str, Path]]
    columns: tuple[str, ...]
    where: str = ""

    @property
    def metadata(self) -> Table:
        """The ids and the columns that are no files."""
        return self.table.without(set(self.table.columns) - {self.id_column, *self.columns})


def is_path_table(path: Path) -> bool:
    """Whether a path names a table rather than a folder or a list in JSON."""
    return path.suffix.lower() in set(TABLE_SUFFIXES) - {".json", ".jsonl"} and not path.is_dir()


def read_path_table(path: Path | pd.DataFrame, *, sheet: str | None = None) -> PathTable:
    """Reads a table of paths.

    Columns, in any letter case: `id`; `image`, or `image1`, `image2`, ... or `image_0000`, `image_0001`, ... for
    channels; `label`, those of other raters as `label2`, `label3` and so on, `prediction`, `probabilities`. Paths are
    relative to the table's folder (those of a frame to the working directory); a URL stays one.

    Args:
        path: The table: a file or a data frame.
        sheet: Sheet of an XLSX file; None: the first.

    Raises:
        MetadataError: The file is no table.
        InputError: No column of ids, a row without an id, or no column of files.
        PairingError: An id that two rows have.
    """
    if isinstance(path, Path):
        table, where, here = load_table(path, sheet=sheet), str(path), path.parent
    else:
        table, where, here = table_from_frame(path), "the data frame", Path()
    by_name = {column.strip().casefold(): column for column in table.columns}
    if ID not in by_name:
        raise InputError(f"{where}: a table of paths needs the column id; its columns are {some(table.columns, 10)}")
    channels = sorted(
        (int(match["number"] or -1), column)
        for name, column in by_name.items()
        if (match := _IMAGE.fullmatch(name)) is not None
    )
    roles = {name: column for name, column in by_name.items() if _ROLE.fullmatch(name)}
    if not channels and not roles:
        raise InputError(
            f"{where}: names no files; expected columns such as image and label, its columns are "
            f"{some(table.columns, 10)}"
        )
    ids = _ids(table, by_name[ID], where)
    images = {case: _leading(here, [table.raw[column][row] for _, column in channels]) for row, case in enumerate(ids)}
    files = {
        role: {
            case: _place(here, text)
            for case, cell in zip(ids, table.raw[column], strict=True)
            if (text := cell_text(cell))
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
        where,
    )


def _ids(table: Table, column: str, path: str) -> tuple[str, ...]:
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
        paths.append(_place(folder, text))
    return tuple(paths)


def _place(folder: Path, text: str) -> Path:
    """Where a file is that a cell names."""
    named = Path(text)
    return local_copy(named if is_url(named) else folder / named)


def read_case_list(spec: str, *, part: Literal["train", "val"] = "val") -> list[str]:
    """Which cases count: a text file of ids, or one fold of nnU-Net's splits.

    Args:
        spec: A file with one id a line (blank lines and lines that begin with # are skipped), or
            `splits_final.json:FOLD`, which names that fold's cases.
        part: Which of the fold's cases.

    Returns:
        The ids in file order, each once, without mask extensions.

    Raises:
        InputError: The file is missing, unreadable or names no case.
        ConfigError: A JSON file without a fold, or a fold that it does not have.
    """
    path, _, fold = spec.rpartition(":")
    if not path.endswith(".json") or Path(spec).is_file():
        path, fold = spec, ""
    lines = _fold_cases(Path(path), fold, part) if path.endswith(".json") else _lines(Path(path))
    ids = [compose(mask_stem(line) or line) for line in lines]
    if not ids:
        raise InputError(f"{spec}: names no case; write one case id a line")
    return list(dict.fromkeys(ids))


def _lines(path: Path) -> list[str]:
    lines = (line.strip() for line in read_text(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _fold_cases(path: Path, fold: str, part: Literal["train", "val"]) -> list[str]:
    splits = read_json(path)
    known = isinstance(splits, list) and all(
        isinstance(split, dict) and isinstance(split.get(part), list) for split in splits
    )
    if not known:
        raise InputError(f'{path}: expected nnU-Net\'s splits, a list of {{"train": [...], "val": [...]}}')
    by_name = {str(number): split[part] for number, split in enumerate(splits)}
    if not fold:
        raise ConfigError(f"{path} holds {len(splits)} folds; name one of {some(by_name, 10)}: {path}:0")
    if (fold.lstrip("0") or "0") not in by_name:
        raise ConfigError(f"{path}:{cut_text(fold)}: no such fold; there are {some(by_name, 10) or 'none'}")
    return [str(case) for case in by_name[fold.lstrip("0") or "0"]]
