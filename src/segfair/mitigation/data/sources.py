"""Where training data come from: which images, label, metadata and breast box belong to a case. Reads no label.

`intake.data_sets` knows the layouts. What cannot be used is skipped by name with its reason; nothing is left out in
silence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segfair.cases import Case, Cohort, Join
from segfair.errors import ConfigError, InputError, some
from segfair.files.cells import cell_text
from segfair.files.datalists import Part, is_path_table
from segfair.files.images.masks import count_channels
from segfair.files.images.pictures import is_picture
from segfair.files.tables import load_table
from segfair.intake.case_ids import match_ids
from segfair.intake.case_rows import MetadataRows, attach_metadata, choose_cases, read_metadata
from segfair.intake.data_sets import DataSetFiles, find_files
from segfair.mitigation.data.boxes import BOX_FOLDER, BreastBox, find_boxes, read_box
from segfair.mitigation.data.regions import Regions
from segfair.protocol.rules import Protocol

__all__ = ["GivenSplit", "TrainingCase", "TrainingSource", "read_training_source"]

METADATA_NAMES = (
    "clinical_and_imaging_info.xlsx",
    "metadata.csv",
    "metadata.tsv",
    "metadata.xlsx",
    "metadata.parquet",
)
SPLIT_NAME = "train_test_splits.csv"

_FEW_CASES = 5
"""From so many cases on a single one can be odd."""

GivenSplit = Part


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """One patient study to train on.

    Attributes:
        id: The case id, as the label's file name spells it.
        images: One file a phase in their order, or one four-dimensional file.
        label: The reference mask.
        metadata: Column -> raw value; empty where the table has no row.
        box: The breast box, where there is one.
        white_is_one: Whether the label is one of black and white pictures, so that 255 means 1.
    """

    id: str
    images: tuple[Path, ...]
    label: Path
    metadata: Mapping[str, object] = field(default_factory=dict)
    box: BreastBox | None = None
    white_is_one: bool = False


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
        regions_class_order: The value that each named region is written with (nnU-Net); empty: not said.
        box_files: Case id in lower case -> patient's file with a breast box; empty where there are none.
        subject_column: The column whose rows served several cases, and which so names patients; empty if none did.
        joined: How rows and cases were joined.
        missing: Column -> case id -> how its missing value is spelt in the table.
        phases: Channels that every case has.
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
    regions_class_order: tuple[int, ...] = ()
    box_files: Mapping[str, Path] = field(default_factory=dict)
    subject_column: str = ""
    joined: Join | None = None
    missing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    phases: int = 1

    def regions(self, protocol: Protocol) -> Regions:
        """What a network is taught: the regions that the protocol scores.

        Args:
            protocol: The rules, resolved (`segfair.audit.choices.labels.resolve_protocol`).

        Raises:
            ConfigError: The data set's `regions_class_order` is none of these regions.
        """
        own = list(protocol.regions.items()) == list(self.label_names.items())
        return Regions.of_protocol(protocol, order=self.regions_class_order if own else ())

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
            tuple(
                Case(case.id, case.label, None, case.metadata, white=("label",) if case.white_is_one else ())
                for case in chosen
            ),
            self.columns,
            self.id_column,
            label_names=self.label_names,
            ignore_label=self.ignore_label,
            inputs={"metadata": self.metadata},
            subject_column=self.subject_column,
            joined=self.joined,
            missing=self.missing,
        )

    def with_pictures(self, cohort: Cohort) -> TrainingSource:
        """The source with each case told whether 255 means 1 in its label, as an audit of the cohort settled it."""
        white = {case.id for case in cohort if "label" in case.white}
        cases = tuple(dataclasses.replace(case, white_is_one=case.id in white) for case in self.cases)
        return dataclasses.replace(self, cases=cases)


def read_training_source(
    data: Path,
    *,
    metadata: Path | None = None,
    phases: int | None = None,
    id_column: str | None = None,
    sheet: str | None = None,
    subject_column: str | None = None,
    cases: str | None = None,
    where: str | None = None,
) -> TrainingSource:
    """Gathers the training cases of a data set.

    Args:
        data: A folder of `images` and `labels`, a MAMA-MIA tree, an nnU-Net raw data set, a Decathlon `dataset.json` or
            its folder, or a table of paths (`segfair.files.datalists`).
        metadata: The metadata table; None: the one in the data set's folder, by name, or the table of paths.
        phases: Phases of a case, of which those with fewer are skipped; None: as many as all but a few odd cases have.
        id_column: Metadata column of case ids; None: the one that holds most of them.
        sheet: Sheet of an XLSX file; None: the one that holds most of the case ids.
        subject_column: Column that tells which cases are of one patient; it stays in the metadata.
        cases: Only these cases: a file of ids, or `splits_final.json:FOLD`.
        where: Only cases whose metadata fulfil this condition.

    Returns:
        The source. Cases with too few phases, without label, without image, with an image whose header is broken or
        with a broken box file are skipped; so is a row of the table that has no files. A case without a row stays,
        without metadata.

    Raises:
        InputError: A folder or file that is missing or unusable, or no case that can be trained on.
        MetadataError: The table is unusable, or belongs to other cases.
        ConfigError: No metadata table, or a condition that cannot be read.
    """
    data = Path(data)
    files = find_files(data, phases=phases, sheet=sheet)
    everybody = sorted({*files.labels, *files.images})
    table_path = metadata or (data if is_path_table(data) else _metadata_in(files.root))
    table = read_metadata(table_path, sheet=sheet, case_ids=everybody)
    rows = attach_metadata(
        table,
        everybody,
        id_column=id_column or (files.id_column if metadata is None else None),
        subject_column=subject_column,
    )
    chosen, choice = choose_cases(everybody, rows, cases=cases, where=where, what="files")
    boxes = find_boxes(files.root) if (files.root / BOX_FOLDER).is_dir() else {}

    skipped = {case: reason for case in chosen if (reason := _incomplete(case, files))}
    n_channels, unreadable = _count_channels({case: files.images[case] for case in chosen if case not in skipped})
    skipped |= unreadable
    wanted = phases or _common_phases(list(n_channels.values()))
    usable: list[TrainingCase] = []
    for case, found in n_channels.items():
        reason = _odd(files.images[case], found, wanted, asked=phases is not None)
        if reason is None:
            try:
                box = read_box(boxes[case.casefold()]) if case.casefold() in boxes else None
                metadata_of = {column: value for column, value in rows.of(case).items() if column not in files.columns}
                usable.append(TrainingCase(case, files.images[case], files.labels[case], metadata_of, box))
            except InputError as error:
                reason = str(error)
        if reason is not None:
            skipped[case] = reason
    if cases is None and where is None:
        skipped |= _rows_without_files(table.raw[rows.id_column], everybody, rows)
    if not usable:
        raise InputError(_nothing_left(data, skipped, wanted))
    notices = [
        *files.notices,
        f"phases: {wanted}" if phases else f"phases: {wanted}, as found in the images; --phases takes fewer",
        f"metadata: {table_path}",
        *rows.notices,
        *choice,
        *_about(usable, skipped, boxes),
    ]
    ids = [case.id for case in usable]
    return TrainingSource(
        tuple(usable),
        tuple(column for column in rows.columns if column not in files.columns),
        rows.id_column,
        dict(sorted(skipped.items())),
        tuple(dict.fromkeys(notices)),
        _split_of(files, usable) or _given_split(files.root / SPLIT_NAME, ids),
        table_path,
        files.label_names,
        files.ignore_label,
        files.regions_class_order,
        boxes,
        rows.subject_column,
        rows.joined,
        rows.missing,
        wanted,
    )


def _split_of(files: DataSetFiles, usable: Sequence[TrainingCase]) -> dict[str, GivenSplit]:
    """The parts of the cases that can be used; empty where the data set lists none."""
    return {case.id: files.parts[case.id] for case in usable if case.id in files.parts}


def _incomplete(case: str, files: DataSetFiles) -> str | None:
    """Which file of a case is not there; None where all are."""
    if case not in files.labels:
        return "no label"
    if case not in files.images:
        return "no image"
    absent = [path for path in (*files.images[case], files.labels[case]) if not path.is_file()]
    return f"{absent[0]} does not exist" if absent else None


def _count_channels(images: Mapping[str, tuple[Path, ...]]) -> tuple[dict[str, int], dict[str, str]]:
    """Case id -> number of channels, and case id -> why its image cannot be read.

    Several files have one each; a single file may have more.
    """
    counts: dict[str, int] = {}
    unreadable: dict[str, str] = {}
    for case, paths in images.items():
        try:
            counts[case] = len(paths) if len(paths) > 1 else count_channels(paths[0])
        except InputError as error:
            unreadable[case] = str(error)
    return counts, unreadable


def _common_phases(counts: Sequence[int]) -> int:
    """The most phases that all cases have but a few odd ones: a tenth, and one of a handful."""
    n_odd = len(counts) // 10 or int(len(counts) >= _FEW_CASES)
    return sorted(counts)[n_odd] if counts else 1


def _odd(images: Sequence[Path], n_channels: int, wanted: int, *, asked: bool) -> str | None:
    """Why the number of a case's channels keeps it from being used; None where it does not."""
    if n_channels < wanted:
        return f"{n_channels} of {wanted} phases"
    # Phases follow each other, and the first ones can be taken; of colours the first is no picture in grey.
    if not asked and n_channels > wanted and len(images) == 1 and is_picture(images[0]):
        return f"{n_channels} colours, while most cases have {wanted} channel{'s' if wanted > 1 else ''}"
    return None


def _metadata_in(root: Path) -> Path:
    found = [root / name for name in METADATA_NAMES if (root / name).is_file()]
    if not found:
        raise ConfigError(
            f"data {root}: no metadata table in it ({', '.join(METADATA_NAMES)}); name one with --metadata"
        )
    return found[0]


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
        for case in match_ids(case_ids, table.raw[f"{part}_split"]).rows:
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
    with_phases = ((case, reason) for case, reason in skipped.items() if "phases" in reason)
    case, reason = next(with_phases, next(iter(skipped.items()), ("", "")))
    example = f"; case {case}: {reason}" if case else ""
    hint = f"; fewer phases are used with --phases (now {phases})" if "phases" in reason else ""
    return f"data {data}: none of {len(skipped)} cases can be trained on{example}{hint}"
