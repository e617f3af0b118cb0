"""Where training data come from: which images, label, metadata and breast box belong to a case. Reads no voxel.

Known are the MAMA-MIA tree, an nnU-Net raw data set and a Decathlon list, each with its metadata table. What cannot
be used is skipped by name with its reason; nothing is left out in silence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError, some
from segfair.files.cells import cell_text
from segfair.files.image_files import describe_images, find_images
from segfair.files.images.masks import mask_stem
from segfair.files.layouts import find_labels
from segfair.files.tables import load_table
from segfair.intake.case_ids import match_ids
from segfair.intake.case_rows import MetadataRows, attach_metadata, choose_cases, read_metadata
from segfair.mitigation.data.boxes import BOX_FOLDER, BreastBox, find_boxes, read_box

__all__ = ["GivenSplit", "TrainingCase", "TrainingSource", "read_training_source"]

METADATA_NAMES = (
    "clinical_and_imaging_info.xlsx",
    "metadata.csv",
    "metadata.tsv",
    "metadata.xlsx",
    "metadata.parquet",
)
SPLIT_NAME = "train_test_splits.csv"

GivenSplit = Literal["train", "test"]


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """One patient study to train on.

    Attributes:
        id: The case id, as the label's file name spells it.
        images: One file a phase in their order, or one four-dimensional file.
        label: The reference mask.
        metadata: Column -> raw value; empty where the table has no row.
        box: The breast box, where there is one.
    """

    id: str
    images: tuple[Path, ...]
    label: Path
    metadata: Mapping[str, object] = field(default_factory=dict)
    box: BreastBox | None = None


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """The cases of a data set.

    Attributes:
        cases: Cases that can be trained on, in id order.
        columns: Metadata columns in the table's order.
        id_column: The column of case ids.
        skipped: Case id -> why it is not among the cases.
        notices: Sentences for the reader.
        given_split: Case id -> part of the split that the data set brings along; empty where it brings none.
        metadata: The table.
        label_names: Region name -> label values, where the data set names them.
        ignore_label: Label value of voxels that count nowhere; None if there is none.
    """

    cases: tuple[TrainingCase, ...]
    columns: tuple[str, ...]
    id_column: str
    skipped: Mapping[str, str]
    notices: tuple[str, ...]
    given_split: Mapping[str, GivenSplit]
    metadata: Path
    label_names: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignore_label: int | None = None

    @property
    def trained_label(self) -> tuple[str, tuple[int, ...]]:
        """The name and values of what is trained: the first label that the data set names, else label 1."""
        return next(iter(self.label_names.items()), ("lesion", (1,)))

    @property
    def ids(self) -> tuple[str, ...]:
        """Case ids in order."""
        return tuple(case.id for case in self.cases)

    def select(self, case_ids: Iterable[str]) -> tuple[TrainingCase, ...]:
        """The cases with these ids, in that order."""
        by_id = {case.id: case for case in self.cases}
        return tuple(by_id[case] for case in case_ids)

    def cohort(self, case_ids: Iterable[str] | None = None) -> Cohort:
        """The cases as a cohort without predictions, for attributes and audits.

        Args:
            case_ids: Which, in which order; None: all.
        """
        chosen = self.cases if case_ids is None else self.select(case_ids)
        return Cohort(
            tuple(Case(case.id, case.label, None, case.metadata) for case in chosen),
            self.columns,
            self.id_column,
            label_names=self.label_names,
            ignore_label=self.ignore_label,
            inputs={"metadata": self.metadata},
        )


def read_training_source(
    data: Path,
    *,
    metadata: Path | None = None,
    phases: int = 3,
    id_column: str | None = None,
    sheet: str | None = None,
    subject_column: str | None = None,
    cases: str | None = None,
    where: str | None = None,
) -> TrainingSource:
    """Gathers the training cases of a data set.

    Args:
        data: A MAMA-MIA tree, an nnU-Net raw data set, or a Decathlon `dataset.json` or its folder.
        metadata: The metadata table; None: the one in the data set's folder, by name.
        phases: Fewest phases of a case.
        id_column: Metadata column of case ids; None: the one that holds most of them.
        sheet: Sheet of an XLSX file; None: the one that holds most of the case ids.
        subject_column: Column that tells which cases are of one patient; it stays in the metadata.
        cases: Only these cases: a file of ids, or `splits_final.json:FOLD`.
        where: Only cases whose metadata fulfil this condition.

    Returns:
        The source. Cases with too few phases, without label, without image or with a broken box file are skipped;
        so is a row of the table that has no files. A case without a row stays, without metadata.

    Raises:
        InputError: A folder or file that is missing or unusable, or no case that can be trained on.
        MetadataError: The table is unusable, or belongs to other cases.
        ConfigError: No metadata table, or a condition that cannot be read.
    """
    data = Path(data)
    labels = find_labels(data)
    images = find_images(data, case_ids=labels.files, n_channels=phases)
    root = data if data.is_dir() else data.parent
    table_path = metadata or _metadata_in(root)
    # Images may be spelt otherwise than labels: DUKE_001 and duke_001.
    found = match_ids(list(labels.files), images)
    spelt = list(images)
    files = {case: images[spelt[rows[0]]] for case, rows in found.rows.items()}
    paired = {spelt[rows[0]] for rows in found.rows.values()}
    everybody = sorted({*labels.files, *(name for name in images if name not in paired)})

    table = read_metadata(table_path, sheet=sheet, case_ids=everybody)
    rows = attach_metadata(table, everybody, id_column=id_column, subject_column=subject_column)
    chosen, choice = choose_cases(everybody, rows, cases=cases, where=where, what="files")
    boxes = find_boxes(root) if (root / BOX_FOLDER).is_dir() else {}

    usable: list[TrainingCase] = []
    skipped: dict[str, str] = {}
    for case in chosen:
        reason = _unusable(case, labels.files, files, phases)
        if reason is None:
            try:
                box = read_box(boxes[case.casefold()]) if case.casefold() in boxes else None
                usable.append(TrainingCase(case, files[case], labels.files[case], rows.of(case), box))
            except InputError as error:
                reason = str(error)
        if reason is not None:
            skipped[case] = reason
    if cases is None and where is None:
        skipped |= _rows_without_files(table.raw[rows.id_column].tolist(), everybody, rows)
    if not usable:
        raise InputError(_nothing_left(data, skipped, phases))
    notices = [
        *labels.notices,
        describe_images(data, images),
        f"metadata: {table_path}",
        *rows.notices,
        *choice,
        *_about(usable, skipped, boxes),
    ]
    if labels.ignore_label is not None:
        notices.append(
            f"voxels of the ignore label {labels.ignore_label} are background while training, and count nowhere in the"
            " audit"
        )
    return TrainingSource(
        tuple(usable),
        rows.columns,
        rows.id_column,
        dict(sorted(skipped.items())),
        tuple(dict.fromkeys(notices)),
        _given_split(root / SPLIT_NAME, [case.id for case in usable]),
        table_path,
        labels.label_names,
        labels.ignore_label,
    )


def _metadata_in(root: Path) -> Path:
    found = [root / name for name in METADATA_NAMES if (root / name).is_file()]
    if not found:
        raise ConfigError(
            f"data {root}: no metadata table in it ({', '.join(METADATA_NAMES)}); name one with --metadata"
        )
    return found[0]


def _unusable(case: str, labels: Mapping[str, Path], images: Mapping[str, tuple[Path, ...]], phases: int) -> str | None:
    if case not in labels:
        return "no label"
    if case not in images:
        return "no image"
    n_files = len(images[case])
    # One file may hold all phases (how many shows when it is read), but not one that is numbered beside the id.
    first_of_several = (mask_stem(images[case][0].name) or "").casefold() == f"{case}_0000".casefold()
    if 1 < n_files < phases or (n_files == 1 and first_of_several and phases > 1):
        return f"{n_files} of {phases} phases"
    absent = [path for path in (*images[case], labels[case]) if not path.is_file()]
    return f"{absent[0]} does not exist" if absent else None


def _rows_without_files(values: Sequence[object], case_ids: Collection[str], rows: MetadataRows) -> dict[str, str]:
    """Rows of the table that belong to no case."""
    taken = {cell_text(row[rows.id_column]) for row in rows.rows.values()} | set(case_ids)
    return {
        name: "a row in the metadata, but no files"
        for value in values
        if (name := cell_text(value)) not in taken | {""}
    }


def _given_split(path: Path, case_ids: Sequence[str]) -> dict[str, GivenSplit]:
    """The data set's own split, by columns `train_split` and `test_split` of ids.

    Raises:
        InputError: The file has neither of these columns, or puts a case into both.
    """
    if not path.is_file():
        return {}
    table = load_table(path)
    split: dict[str, GivenSplit] = {}
    parts: tuple[GivenSplit, ...] = ("train", "test")
    if not {f"{part}_split" for part in parts} <= set(table.columns):
        raise InputError(f"{path}: expected the columns train_split and test_split, got {some(table.columns, 10)}")
    for part in parts:
        for case in match_ids(case_ids, table.raw[f"{part}_split"].tolist()).rows:
            if split.get(case, part) != part:
                raise InputError(f"{path}: case {case} is in train_split and in test_split; keep one of them")
            split[case] = part
    return split


def _about(usable: Sequence[TrainingCase], skipped: Mapping[str, str], boxes: Mapping[str, Path]) -> list[str]:
    notices: list[str] = []
    reasons: dict[str, list[str]] = {}
    for case, reason in skipped.items():
        reasons.setdefault(reason, []).append(case)
    notices.extend(
        f"cases skipped: {len(names)}, {reason} ({some(names)})" for reason, names in sorted(reasons.items())
    )
    without = [case.id for case in usable if not case.metadata]
    if without:
        notices.append(f"cases without metadata, only trained on: {len(without)} ({some(without)})")
    if boxes:
        unboxed = [case.id for case in usable if case.box is None]
        if unboxed:
            notices.append(f"cases without a breast box: {len(unboxed)} ({some(unboxed)})")
    return notices


def _nothing_left(data: Path, skipped: Mapping[str, str], phases: int) -> str:
    case, reason = next(iter(skipped.items()), ("", ""))
    example = f"; case {case}: {reason}" if case else ""
    hint = f"; fewer phases are used with --phases (now {phases})" if "phases" in reason else ""
    return f"data {data}: none of {len(skipped)} cases can be trained on{example}{hint}"
