"""Splits and folds that somebody else has made, by a file or by a column of the metadata.

Known files are nnU-Net's `splits_final.json`, `splits.json` of an earlier run, and a table with a column `fold` or
`split`. What they do not say is told; makes no split (`splits` and `folds` do).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segfair.attributes.binning import level_text
from segfair.documents import read_json
from segfair.errors import ConfigError, InputError, MetadataError, some
from segfair.files.cells import cell_text, is_missing
from segfair.files.tables import Table, load_table
from segfair.intake.case_ids import find_id_column, match_ids
from segfair.intake.data_sets import PART_NAMES, parts_of
from segfair.mitigation.data.folds import ONLY_TRAINS, folds_of, refuse_twice
from segfair.mitigation.data.splits import Part, load_split

__all__ = ["FOLD_COLUMN", "GivenFolds", "GivenParts", "column_folds", "column_parts", "given_splits", "read_folds"]

FOLD_COLUMN = "fold"
"""The column of a table of folds."""
SPLIT_COLUMN = "split"
"""The column of a table of parts."""


@dataclass(frozen=True, slots=True)
class GivenFolds:
    """Folds that somebody else has made.

    Attributes:
        of: Case id -> name of the fold that tests it, or `ONLY_TRAINS`; a case that they do not name is not there.
        notices: Sentences for the reader.
    """

    of: Mapping[str, str]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenParts:
    """One split that somebody else has made.

    Attributes:
        of: Case id -> its part; a case that is in none is not there.
        notices: Sentences for the reader.
    """

    of: Mapping[str, Part]
    notices: tuple[str, ...] = ()


def given_splits(
    text: str, columns: Mapping[str, Mapping[str, object]], case_ids: Sequence[str]
) -> GivenFolds | GivenParts:
    """What `--splits` names: folds, or one split.

    Args:
        text: A file, or a column of the metadata. A column of words such as train and test is one split, any other
            folds.
        columns: The metadata: column -> case id -> value.
        case_ids: The cases.

    Raises:
        ConfigError: Neither a file nor a column.
        InputError, MetadataError: A file of neither splits nor folds, or of other data.
    """
    path = Path(text)
    if text in columns:
        values = columns[text]
        words = {cell_text(value).casefold() for value in values.values() if not is_missing(value)}
        return column_parts(values, name=text) if words <= set(PART_NAMES) else column_folds(values, name=text)
    if not path.is_file():
        raise ConfigError(
            f"--splits {text}: neither a file nor a column of the metadata ({some(list(columns), 8)}); expected "
            "nnU-Net's splits_final.json, splits.json of a run, a table with a column fold or split, or such a column"
        )
    if path.suffix.lower() != ".json":
        table = load_table(path, wanted_ids=case_ids)
        is_split = any(column.strip().casefold() == SPLIT_COLUMN for column in table.columns)
        return _table_parts(table, path, case_ids) if is_split else _table_folds(table, path, case_ids)
    tree = read_json(path)
    if not isinstance(tree, dict) or "folds" in tree:
        return read_folds(path, case_ids)
    split = load_split(path)
    parts: dict[Part, tuple[str, ...]] = {"train": split.train, "validation": split.validation, "test": split.test}
    listed = [(case, part) for part, cases in parts.items() for case in cases]
    matches = match_ids(case_ids, [case for case, _ in listed])
    return GivenParts({case: listed[rows[0]][1] for case, rows in matches.rows.items()})


def column_parts(values: Mapping[str, object], *, name: str = SPLIT_COLUMN) -> GivenParts:
    """One split from a column of words such as train, validation and test.

    Args:
        values: Case id -> word; a case with a missing one is in no part.
        name: The column, for messages.

    Raises:
        InputError: Another word.
    """
    parts = parts_of(values, where=f"column {name}")
    unnamed = [case for case in values if case not in parts]
    lost = f"column {name}: {len(unnamed)} cases are in no part, and left out: {some(unnamed)}"
    return GivenParts(parts, (lost,) if unnamed and parts else ())


def _table_parts(table: Table, path: Path, case_ids: Sequence[str]) -> GivenParts:
    cells, column, notices = _cells(table, path, case_ids, SPLIT_COLUMN)
    parts = column_parts(cells, name=f"{column} of {path.name}")
    return GivenParts(parts.of, (*notices, *parts.notices))


def read_folds(path: Path, case_ids: Sequence[str]) -> GivenFolds:
    """Which fold tests a case, from a file.

    Args:
        path: nnU-Net's `splits_final.json` (its `val` cases are the tested ones), `splits.json` of an earlier run with
            folds, or a table with the case ids and a column `fold`.
        case_ids: The cases; ids are matched as everywhere (letter case, file names, numbers).

    Raises:
        InputError: Not such a file, a case that two folds test, or folds of other data.
        MetadataError: A table that cannot be read, without a column `fold` or of other data.
    """
    if path.suffix.lower() != ".json":
        return _table_folds(load_table(path, wanted_ids=case_ids), path, case_ids)
    tree = read_json(path)
    notices: list[str] = []
    if isinstance(tree, dict):
        folds = [_Fold(fold.train + fold.validation, fold.test) for fold in folds_of(tree, path)]
    else:
        folds = _nnunet_folds(tree, path)
        notices += _spared(folds, path)
    pairs = _fold_pairs(folds, path)
    matches = match_ids(case_ids, [case for case, _ in pairs])
    found = {case: pairs[rows[0]][1] for case, rows in matches.rows.items()}
    taken = {row for rows in matches.rows.values() for row in rows}
    unknown = [case for row, (case, _) in enumerate(pairs) if row not in taken]
    if not found:
        raise InputError(
            f"{path}: none of its {len(pairs)} ids ({some(unknown)}) is one of the {len(case_ids)} cases "
            f"({some(case_ids)}); these are folds of other data"
        )
    if unknown:
        notices.append(
            f"{path}: {len(unknown)} of its {len(pairs)} ids are of no case that can be used: {some(unknown)}"
        )
    return GivenFolds(found, (*notices, *_unnamed(path.name, found, case_ids)))


def column_folds(values: Mapping[str, object], *, name: str = FOLD_COLUMN) -> GivenFolds:
    """Folds from a metadata column.

    Args:
        values: Case id -> value of the column; a case with a missing one is in no fold.
        name: The column, for messages.
    """
    found = {case: level_text(value) for case, value in values.items() if not is_missing(value)}
    return GivenFolds(found, tuple(_unnamed(f"column {name}", found, values)))


def _table_folds(table: Table, path: Path, case_ids: Sequence[str]) -> GivenFolds:
    cells, column, notices = _cells(table, path, case_ids, FOLD_COLUMN)
    folds = column_folds(cells, name=f"{column} of {path.name}")
    return GivenFolds(folds.of, (*notices, *folds.notices))


def _cells(
    table: Table, path: Path, case_ids: Sequence[str], wanted: str
) -> tuple[dict[str, object], str, tuple[str, ...]]:
    """Case id -> value of a column of a table, the column as it is spelt there, and how rows were found."""
    column = next((column for column in table.columns if column.strip().casefold() == wanted), None)
    if column is None:
        raise MetadataError(f"{path}: no column {wanted}; columns are {some(table.columns, 20)}")
    match = find_id_column(table.raw, case_ids, name=path.name)
    if column in match.several:
        raise MetadataError(f"{path}: {column} differs between the rows of one case; a case is tested once")
    values = table.column(column)
    cells = {case: values[match.rows[case]] if case in match.rows else None for case in case_ids}
    return cells, column, tuple(match.notices)


@dataclass(frozen=True, slots=True)
class _Fold:
    """Ids as a file lists them: those that a fold may learn from, and those that it tests."""

    train: Sequence[str]
    test: Sequence[str]


def _nnunet_folds(tree: object, path: Path) -> list[_Fold]:
    if not isinstance(tree, list) or not all(
        isinstance(fold, dict) and all(isinstance(fold.get(part), list) for part in ("train", "val")) for fold in tree
    ):
        raise InputError(
            f'{path}: expected nnU-Net\'s splits, a list of {{"train": [...], "val": [...]}}, or the splits.json of a '
            "run with folds"
        )
    folds = [_Fold(list(map(str, fold["train"])), list(map(str, fold["val"]))) for fold in tree]
    for number, fold in enumerate(folds):
        both = sorted(set(fold.train) & set(fold.test))
        if both:
            raise InputError(f"{path}: fold {number} trains on {len(both)} of the cases that it tests: {some(both)}")
    return folds


def _spared(folds: Sequence[_Fold], path: Path) -> list[str]:
    """That a fold of the file learns from fewer cases than a fold does here."""
    everybody = {case for fold in folds for case in (*fold.train, *fold.test)}
    spared = [number for number, fold in enumerate(folds) if everybody - set(fold.train) - set(fold.test)]
    if not spared:
        return []
    return [
        f"{path}: fold {some(spared)} names some cases of other folds neither for training nor for testing; here a "
        "fold trains on all that it does not test"
    ]


def _fold_pairs(folds: Sequence[_Fold], path: Path) -> list[tuple[str, str]]:
    """Every id with the name of the fold that tests it, or `ONLY_TRAINS`."""
    pairs = [(case, str(number)) for number, fold in enumerate(folds) for case in dict.fromkeys(fold.test)]
    refuse_twice(pairs, path)
    tested = {case for case, _ in pairs}
    only = dict.fromkeys(case for fold in folds for case in fold.train if case not in tested)
    return pairs + [(case, ONLY_TRAINS) for case in only]


def _unnamed(what: str, found: Mapping[str, str], case_ids: Iterable[str]) -> list[str]:
    unnamed = [case for case in case_ids if case not in found]
    return [f"{what}: names no fold for {len(unnamed)} cases, which are left out: {some(unnamed)}"] if unnamed else []
