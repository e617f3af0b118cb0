"""What is audited: cases with their files and metadata. Holds paths, never voxels; reads no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Case", "Cohort", "DicomMask", "Grid", "Join", "MaskRole"]

MaskRole = Literal["label", "prediction"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A voxel grid in plain numbers.

    Attributes:
        shape: Voxels along each axis.
        affine: Four rows of four, voxel index -> RAS+ millimetres.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class DicomMask:
    """How a DICOM object is a mask: which of its structures (segments, regions of interest) mean what, on which grid.

    Attributes:
        values: Number of a structure -> its value in the mask; others are left out. None: all, by their own numbers.
        beneath: Structures that give way where others overlap them; any other overlap of two values is refused.
        grid: That of the image series which it was drawn on; None: its own, which contours do not have.
        frame_of_reference: UID of the series' frame of reference; empty: not known.
        notes: What a reader of the scores has to know about it.
        problem: Why it cannot be used; empty where it may be.
    """

    values: Mapping[int, int] | None = None
    beneath: tuple[int, ...] = ()
    grid: Grid | None = None
    frame_of_reference: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One patient study.

    Attributes:
        id: The case id, as the label's file name spells it.
        label: Path of the reference mask; None where scores were handed in instead of masks.
        prediction: Path of the predicted mask; None where the model gave none.
        metadata: The case's row of the metadata table, column -> raw value, before binning; missing values
            are None. An empty mapping means that the table has no row for this case.
        within: Folder that the prediction's file must not leave, links followed; None: it may lie anywhere.
        structures: Where its masks are folders of one file a structure, the structures in the order of their values,
            from 1 on; empty where they are files.
        white: Which of its PNG masks are black and white only, as are all of their role, so that 255 means 1.
        dicom: How those of its masks that are DICOM objects are meant.
        probabilities: Path of the model's probability map; None where there is none.
    """

    id: str
    label: Path | None = None
    prediction: Path | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)
    within: Path | None = None
    white: tuple[MaskRole, ...] = ()
    structures: tuple[str, ...] = ()
    dicom: Mapping[MaskRole, DicomMask] = field(default_factory=dict)
    probabilities: Path | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """How the rows of a table found their cases.

    Attributes:
        column: The column of ids.
        how: The whole in one sentence.
        counts: Way -> number of cases, and "unused" -> rows that belong to no case.
    """

    column: str
    how: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The cases of one audit and what was noticed while they were gathered.

    Attributes:
        cases: The cases that count, in id order.
        columns: The metadata columns in the table's order (without the id column).
        id_column: The metadata column whose values matched the case ids; empty where none was needed.
        excluded: Case id -> why it cannot be audited at all (broken label, no metadata row).
        alerts: (kind, text) of what a reader must know before believing a number.
        notices: Sentences for the reader: which folder is which, how ids were matched, what was ignored.
        label_names: Region name -> label values, where the data set itself names them.
        ignore_label: Voxels of this value in the label count nowhere (nnU-Net); None if there is none.
        subject_column: The column whose rows served several cases, and which so names patients; empty if none did.
        joined: How rows and cases were joined; None without a table.
        missing: Column -> case id -> how its missing value is spelt in the table; "" for an empty cell.
        grey_levels: Role -> values of its PNG masks, rising; None: nobody looked yet.
        series: Folder of image series of DICOM masks; None: they lie beside the masks, or are not needed.
        structures: Name of a structure in DICOM objects -> its value, those of `label_names` among them.
        inputs: Role ("predictions", "labels", "metadata") -> the path handed in.
        raters: Name of another rater -> case id -> that rater's label, where a table of paths lists them.
        images: Case id -> its images, where a table of paths lists them.
    """

    cases: tuple[Case, ...]
    columns: tuple[str, ...] = ()
    id_column: str = ""
    excluded: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    alerts: tuple[tuple[str, str], ...] = ()
    label_names: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignore_label: int | None = None
    inputs: Mapping[str, Path] = field(default_factory=dict)
    subject_column: str = ""
    joined: Join | None = None
    missing: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    grey_levels: Mapping[MaskRole, tuple[int, ...]] | None = None
    series: Path | None = None
    structures: Mapping[str, int] = field(default_factory=dict)
    raters: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    images: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    @property
    def has_probabilities(self) -> bool:
        """Whether any case has a probability map beside its mask."""
        return any(case.probabilities is not None for case in self.cases)

    @property
    def ids(self) -> tuple[str, ...]:
        """Case ids in order."""
        return tuple(case.id for case in self.cases)

    def column(self, name: str) -> list[object]:
        """Raw values of one metadata column in case order; None where a case has none."""
        return [case.metadata.get(name) for case in self.cases]
