"""The files of a data set that has images: which images and which label are of one case, however it is laid out.

Known are a folder of images and labels, the MAMA-MIA tree, an nnU-Net raw data set and a Decathlon list, and a table of
paths. Reads no image and no label, and leaves no case out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segfair.errors import InputError, PairingError
from segfair.files.cells import cell_text
from segfair.files.datalists import (
    Dataset,
    Part,
    PathTable,
    dataset_beside,
    is_path_table,
    listed_id,
    read_dataset,
    read_path_table,
)
from segfair.files.image_files import describe_images, find_images
from segfair.files.layouts import find_labels
from segfair.intake.case_ids import match_ids

__all__ = ["PART_NAMES", "DataSetFiles", "find_files", "parts_of"]


@dataclass(frozen=True, slots=True)
class DataSetFiles:
    """The files of a data set, however it is laid out.

    Attributes:
        root: Its folder, where tables and boxes lie.
        labels: Case id -> label.
        images: Case id, spelt as that of its label -> images.
        notices: What was found where.
        label_names, ignore_label, regions_class_order: What the data set says about its labels.
        parts: Case id -> its part of the split, where files are listed by part.
        id_column: The column of ids of a table of paths.
        columns: The columns of such a table that are paths, and no metadata.
    """

    root: Path
    labels: Mapping[str, Path]
    images: Mapping[str, tuple[Path, ...]]
    notices: tuple[str, ...]
    label_names: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignore_label: int | None = None
    regions_class_order: tuple[int, ...] = ()
    parts: Mapping[str, Part] = field(default_factory=dict)
    id_column: str | None = None
    columns: tuple[str, ...] = ()


def find_files(data: Path, *, phases: int | None = None, sheet: str | None = None) -> DataSetFiles:
    """Gathers the files of a data set.

    Args:
        data: A folder, a `dataset.json`, or a table of paths.
        phases: How many images a case is wanted to have; None: not known.
        sheet: Sheet of a table in XLSX; None: the first.

    Raises:
        InputError: Nothing there, no label or no image, or a broken list.
        PairingError: Two files of one case.
        MetadataError: A table that cannot be read.
    """
    return _listed_files(data, sheet) if is_path_table(data) else _found_files(data, phases)


def _found_files(data: Path, phases: int | None) -> DataSetFiles:
    """The files of a folder, or of a list in JSON."""
    masks = find_labels(data)
    if masks.structures:
        raise InputError(f"labels {data}: are one file a structure; a network is trained on one label map a case")
    images = find_images(data, case_ids=masks.files, n_channels=phases)
    root = data if data.is_dir() else data.parent
    list_file = root / "dataset.json" if data.is_dir() else data
    dataset = read_dataset(list_file) if list_file.is_file() else Dataset()
    # Images may be spelt otherwise than labels: DUKE_001 and duke_001.
    found = match_ids(list(masks.files), images)
    spelt = list(images)
    own_name = {spelt[places[0]]: case for case, places in found.rows.items()}
    held_out = {listed_id(case): case for case in dataset.held_out if listed_id(case) not in masks.files}
    _refuse_two_meanings(list_file, dataset, masks.files)
    parts: dict[str, Part] = {}
    if dataset.held_out:
        parts = {**dict.fromkeys(masks.files, "train"), **{listed_id(case): case.part for case in dataset.held_out}}
    return DataSetFiles(
        root,
        {**masks.files, **{case: listed.label for case, listed in held_out.items() if listed.label is not None}},
        {
            **{own_name.get(name, name): paths for name, paths in images.items()},
            **{case: listed.images for case, listed in held_out.items() if listed.images},
        },
        (*masks.notices, describe_images(data, images), *_about_parts(list_file, dataset)),
        masks.label_names,
        masks.ignore_label,
        dataset.regions_class_order,
        parts,
    )


def _refuse_two_meanings(list_file: Path, dataset: Dataset, labels: Mapping[str, Path]) -> None:
    """A name that means one case among those to train on and another among those held out.

    Raises:
        PairingError: With both files.
    """
    for case in dataset.held_out:
        name = listed_id(case)
        if case.label is not None and name in labels and case.label.resolve() != labels[name].resolve():
            raise PairingError(
                f"{list_file}: {name} is {labels[name]} under training and {case.label} under {case.part}; give the "
                "files of one case another name"
            )


def _about_parts(list_file: Path, dataset: Dataset) -> tuple[str, ...]:
    counts = Counter(case.part for case in dataset.held_out)
    listed = " and ".join(f"{n} for {part}" for part, n in counts.items())
    return (f"{list_file}: also lists {listed}",) if counts else ()


def _listed_files(path: Path, sheet: str | None) -> DataSetFiles:
    """The files of a table of paths; what a `dataset.json` beside it says about labels holds."""
    listed = read_path_table(path, sheet=sheet)
    labels = listed.files.get("label", {})
    for role, found in (("image", listed.images), ("label", labels)):
        if not found:
            raise InputError(f"{path}: names no {role}; a table to train on needs the columns id, image and label")
    dataset, broken = dataset_beside(path.parent / "dataset.json", required=False)
    return DataSetFiles(
        path.parent,
        labels,
        listed.images,
        (f"files: {len(listed.ids)} cases listed in {path}", *broken),
        dataset.label_names,
        dataset.ignore_label,
        dataset.regions_class_order,
        _listed_parts(listed, path),
        listed.id_column,
        tuple(column for column in listed.table.columns if column not in (*listed.columns, listed.id_column)),
    )


PART_NAMES: Mapping[str, Part] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def _listed_parts(listed: PathTable, path: Path) -> dict[str, Part]:
    """Case id -> part, by the column `split`; empty without one."""
    column = next((name for name in listed.columns if name.strip().casefold() == "split"), None)
    if column is None:
        return {}
    return parts_of(dict(zip(listed.ids, listed.table.raw[column], strict=True)), where=f"{path}, column {column}")


def parts_of(words: Mapping[str, object], *, where: str) -> dict[str, Part]:
    """Case id -> part, from words such as train, val and test; a case with an empty cell is in none.

    Args:
        words: Case id -> cell.
        where: The table and column, for messages.

    Raises:
        InputError: Another word.
    """
    parts: dict[str, Part] = {}
    for case, cell in words.items():
        text = cell_text(cell).casefold()
        if text and text not in PART_NAMES:
            raise InputError(
                f"{where}: case {case} is in {text!r}; expected one of {', '.join(PART_NAMES)}, or an empty cell"
            )
        if text:
            parts[case] = PART_NAMES[text]
    return parts
