"""What an audit is handed: two places of masks and a table, or one table of paths -> masks by case, and their table.

Pairs nothing, and opens no mask; whichever way it came in, the same files make the same audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from segfair.errors import ConfigError, InputError, PairingError, some
from segfair.files.datalists import PathTable, dataset_beside, is_path_table, read_path_table
from segfair.files.dicom.index import holds_dicom
from segfair.files.finding.bids import participants_of
from segfair.files.finding.patterns import local_masks
from segfair.files.folders import Role
from segfair.files.layouts import MaskFolder, find_labels, find_predictions, find_probabilities, pair_masks
from segfair.files.tables import Table
from segfair.intake.case_rows import read_metadata, table_input

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Sources", "find_sources", "metadata_of"]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the masks of an audit lie.

    Attributes:
        labels, predictions: The masks by case.
        label_place, prediction_place: Where they were looked for, for messages.
        table: The metadata; None: without.
        id_column: The column of ids, where it is known beforehand.
        inputs: Role -> the path handed in.
        raters: Name of another rater -> case id -> label, from a table of paths.
        images: Case id -> images, from a table of paths.
        probabilities: Case id -> probability map; cases without one are left out.
        notices: Sentences about these.
    """

    labels: MaskFolder
    predictions: MaskFolder
    label_place: Path
    prediction_place: Path
    table: Table | None
    id_column: str | None = None
    inputs: Mapping[str, Path] = field(default_factory=dict)
    raters: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    images: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    probabilities: Mapping[str, Path] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def find_sources(
    predictions: str | PathLike[str] | pd.DataFrame,
    labels: str | PathLike[str] | None,
    metadata: str | PathLike[str] | pd.DataFrame | None,
    *,
    sheet: str | None = None,
    probabilities: str | PathLike[str] | None = None,
) -> Sources:
    """Finds the masks of both sides and reads the table.

    Args:
        predictions: A folder, or a pattern; without `labels` a table of paths (`segfair.files.datalists`).
        labels: A folder, or a pattern.
        metadata: The table of attributes; None: without, or the table of paths.
        sheet: Sheet of an XLSX file; None: the one that holds most of the case ids.
        probabilities: A folder of probability maps, or a pattern; None: those that a table of paths names, if any.

    Raises:
        ConfigError: Probabilities in a folder and in a table of paths.
        InputError: Nothing there, no mask in it, or a table that names none.
        PairingError: Two files of one case, or two rows.
        MetadataError: A table that cannot be read.
    """
    found = _found(predictions, labels, metadata, sheet)
    return found if probabilities is None else _with_probabilities(found, Path(probabilities))


def _with_probabilities(found: Sources, folder: Path) -> Sources:
    """The sources with the maps of a folder, by the cases of their labels."""
    if found.probabilities:
        raise ConfigError(
            f"--probabilities {folder}: the table of paths has the column probabilities; leave out one of them"
        )
    place = local_masks(folder)
    maps = find_probabilities(place)
    partner = pair_masks(list(found.labels.files), list(maps.files)).partner
    if not partner:
        raise PairingError(
            f"none of the {len(maps.files)} probability maps in {folder} belongs to a label; maps are "
            f"{some(maps.files)}, labels are {some(found.labels.files)}; their names have to be equal"
        )
    return replace(
        found,
        probabilities={case: maps.files[name] for case, name in partner.items()},
        notices=(*found.notices, f"probabilities: {len(partner)} maps in {place} ({maps.layout})"),
        inputs={**found.inputs, "probabilities": folder},
    )


def _found(
    predictions: str | PathLike[str] | pd.DataFrame,
    labels: str | PathLike[str] | None,
    metadata: str | PathLike[str] | pd.DataFrame | None,
    sheet: str | None,
) -> Sources:
    if not isinstance(predictions, str | PathLike):
        return _listed(predictions, sheet)
    if is_path_table(Path(predictions)):
        if labels is None and metadata is None:
            return _listed(Path(predictions), sheet)
        raise InputError(
            f"{predictions}: is a table of paths, whose columns label and so on are all there is; leave out what comes "
            "behind it, or hand in a folder of predictions"
        )
    if labels is None:
        raise InputError(
            f"labels are missing; beside the predictions {predictions} name the folder of labels and the table of "
            "attributes, or hand in one table with the columns id, prediction and label"
        )
    inputs = {"predictions": Path(predictions), "labels": Path(labels), **table_input("metadata", metadata)}
    prediction_place, label_place = local_masks(inputs["predictions"]), local_masks(inputs["labels"])
    found = find_labels(label_place)
    table = None if metadata is None else read_metadata(metadata, sheet=sheet, case_ids=sorted(found.files))
    return Sources(found, find_predictions(prediction_place), label_place, prediction_place, table, inputs=inputs)


def metadata_of(labels: Path, predictions: Path) -> Path:
    """The table of attributes that a data set brings along: `participants.tsv` of BIDS, in it or above it.

    Raises:
        InputError: There is none.
    """
    for place in (labels, predictions):
        found = participants_of(local_masks(place))
        if found is not None:
            return found
    raise InputError(
        f"the table of attributes is missing; name it behind {predictions} and {labels} (CSV, TSV, XLSX or Parquet, one"
        " row a case)"
    )


def _listed(path: Path | pd.DataFrame, sheet: str | None) -> Sources:
    """The files that a table names."""
    listed = read_path_table(path, sheet=sheet)
    for role in ("prediction", "label"):
        if not listed.files.get(role):
            has = f"the column {role} is empty" if role in listed.files else f"there is no column {role}"
            raise InputError(
                f"{listed.where}: {has}; a table to audit needs the columns id, prediction and label, and it has "
                f"{some(listed.table.columns, 10)}"
            )
    place = path if isinstance(path, Path) else Path(listed.where)
    labels, predictions = _masks(listed, "label", "labels"), _masks(listed, "prediction", "predictions")
    raters = {role: files for role, files in listed.files.items() if role.startswith("label") and role != "label"}
    for role in raters:
        _told_absent(listed, role, raters[role])
    inputs = dict.fromkeys(("predictions", "labels", "metadata"), place) if isinstance(path, Path) else {}
    maps = listed.files.get("probabilities") or {}
    return Sources(
        labels,
        predictions,
        place,
        place,
        listed.metadata,
        listed.id_column,
        inputs,
        raters,
        dict(listed.images),
        maps,
        _told_absent(listed, "probabilities", maps),
    )


def _masks(listed: PathTable, column: str, role: Role) -> MaskFolder:
    files = dict(sorted(listed.files[column].items()))
    dataset, broken = dataset_beside(Path(listed.where).parent / "dataset.json", required=False)
    notices = (*_told_absent(listed, column, files), *broken)
    return MaskFolder(files, "table", {}, dataset.label_names, dataset.ignore_label, notices)


def _told_absent(listed: PathTable, column: str, files: Mapping[str, Path]) -> tuple[str, ...]:
    """Which files of a column are not there.

    Raises:
        InputError: None of them is, or one is a folder without the files of a DICOM object.
    """
    for case, path in files.items():
        if path.is_dir() and not holds_dicom(path):
            raise InputError(f"{listed.where}: the {column} of case {case}, {path}, is a folder; name the file in it")
    absent = {case: path for case, path in files.items() if not path.exists()}
    if files and len(absent) == len(files):
        raise InputError(
            f"{listed.where}: none of the {len(files)} files of the column {column} exists, such as "
            f"{next(iter(absent.values()))}; paths are relative to the folder of the table"
        )
    told = some(f"{case}: {path}" for case, path in absent.items())
    return (f"files of the column {column} that do not exist: {len(absent)} ({told})",) if absent else ()
