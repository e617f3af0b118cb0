"""What a tree of DICOM files holds: masks, and image series with their grids. Reads headers only, whatever the names.

A file that cannot be read, or is no DICOM, costs nothing but itself.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segfair.cases import Grid
from segfair.errors import ConfigError, InputError, PairingError
from segfair.files.dicom.attributes import ATTRIBUTE_TAGS, attributes_of
from segfair.files.dicom.headers import dicom_file, has_pydicom, is_dicom, items, open_dicom, storage_class, text, whole
from segfair.files.dicom.masks import RTSTRUCT, SEGMENTATIONS, structures_of
from segfair.files.dicom.planes import Plane, frame_planes, plane_of, stack_of
from segfair.files.dicom.structure_sets import referenced_series

__all__ = [
    "DicomIndex",
    "DicomObject",
    "ImageSeries",
    "dicom_masks",
    "holds_dicom",
    "index_dicom",
    "named_objects",
]

_WANTED = (
    *("SOPClassUID", "SOPInstanceUID", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("FrameOfReferenceUID", "Rows", "Columns", "NumberOfFrames", "InstanceNumber", "SegmentationType"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("SegmentSequence", "StructureSetROISequence", "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence"),
    *ATTRIBUTE_TAGS,
)
_FRAMES = ("NumberOfFrames", "Rows", "Columns", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


@dataclass(frozen=True, slots=True)
class DicomObject:
    """A segmentation or a structure set.

    Attributes:
        path: Its file.
        patient: Patient ID; empty where there is none.
        study: UID of its study.
        series: UIDs of the image series that it was drawn on.
        structures: Number -> name of its segments or regions of interest.
        frame_of_reference: UID; empty: not known.
        needs_series: Whether only its series says on which grid it lies (contours).
        attributes: What its header says of the patient, see `attributes`.
    """

    path: Path
    patient: str
    study: str
    series: tuple[str, ...]
    structures: Mapping[int, str]
    frame_of_reference: str
    needs_series: bool
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class ImageSeries:
    """The files of one series of images.

    Attributes:
        uid: Of the series.
        patient: Patient ID.
        study: UID of its study.
        frame_of_reference: UID; empty: not known.
        files: In no order.
        attributes: What the header of its first file says, see `attributes`.
        planes: Where its images lie, as far as they say so.
        n_lost: Images without a place.
    """

    uid: str
    patient: str
    study: str
    frame_of_reference: str
    attributes: Mapping[str, object]
    files: list[Path] = field(default_factory=list)
    planes: list[Plane] = field(default_factory=list)
    n_lost: int = 0

    def grid(self) -> tuple[Grid, int]:
        """Its voxel grid, and how many slices of it are absent.

        Raises:
            InputError: Its slices make no volume.
        """
        if not self.planes or self.n_lost:
            raise InputError(
                f"series {self.uid}: {self.n_lost or 'no'} images do not say where they lie in the patient"
            )
        try:
            stack = stack_of(self.planes)
        except InputError as error:
            raise InputError(f"series {self.uid} in {self.files[0].parent}: {error}") from error
        return Grid(stack.shape, tuple(tuple(map(float, row)) for row in stack.affine)), stack.n_absent


@dataclass(slots=True, eq=False)
class DicomIndex:
    """The DICOM files of some trees.

    Attributes:
        masks: Segmentations and structure sets, by path.
        series: UID -> image series.
        unreadable: File -> why it cannot be read.
        others: Kind (modality) -> number of files that are neither.
    """

    masks: list[DicomObject] = field(default_factory=list)
    series: dict[str, ImageSeries] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def notices(self) -> tuple[str, ...]:
        """What was passed over."""
        found = []
        if self.unreadable:
            path, reason = next(iter(self.unreadable.items()))
            found.append(f"DICOM files that cannot be read, passed over: {len(self.unreadable)} ({path}: {reason})")
        if self.others:
            told = ", ".join(f"{n} of {kind}" for kind, n in sorted(self.others.items()))
            found.append(f"DICOM files that are neither masks nor images, passed over: {told}")
        return tuple(found)


def holds_dicom(folder: Path) -> bool:
    """Whether a tree holds a DICOM file, told by the first files of each folder; so large trees are told quickly."""
    for inner, _, names in os.walk(folder):
        # The files of a folder are of a kind.
        seen = [name for name in sorted(names) if not name.startswith(".")][:3]
        if any(is_dicom(Path(inner, name)) for name in seen):
            return True
    return False


def dicom_masks(folder: Path) -> list[Path]:
    """The segmentations and structure sets in a tree, told by the first lines of headers; none without pydicom."""
    if not folder.is_dir() or not holds_dicom(folder) or not has_pydicom():
        return []
    kinds = (*SEGMENTATIONS, RTSTRUCT)
    return [path for path in _files([folder]) if is_dicom(path) and storage_class(path) in kinds]


def index_dicom(folders: Iterable[Path]) -> DicomIndex:
    """Reads the headers of all DICOM files below some folders.

    Args:
        folders: Folders, or files; what lies below two of them counts once.

    Raises:
        ConfigError: pydicom is not installed.
    """
    found = DicomIndex()
    for path in _files(folders):
        if not is_dicom(path):
            continue
        try:
            with dicom_file(path):
                _add(found, path, open_dicom(path, only=_WANTED))
        except ConfigError:
            raise
        except InputError as error:
            found.unreadable[path] = str(error).removeprefix(f"{path}: ")
    return found


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    seen: set[str] = set()
    for folder in folders:
        inside = [(str(folder.parent), [folder.name])] if folder.is_file() else [(r, n) for r, _, n in os.walk(folder)]
        for inner, names in sorted(inside):
            for name in sorted(names):
                path = Path(inner, name)
                real = os.path.realpath(path)
                if name.startswith(".") or name == "DICOMDIR" or real in seen:
                    continue
                seen.add(real)
                yield path


def _add(found: DicomIndex, path: Path, dataset: Any) -> None:
    kind = text(dataset, "SOPClassUID")
    if kind in SEGMENTATIONS or kind == RTSTRUCT:
        found.masks.append(_mask(path, dataset, kind))
        return
    uid = text(dataset, "SeriesInstanceUID")
    if not uid or not whole(dataset, "Rows"):
        found.others[text(dataset, "Modality") or "unknown kind"] += 1
        return
    series = found.series.get(uid)
    if series is None:
        series = found.series[uid] = ImageSeries(
            uid,
            text(dataset, "PatientID"),
            text(dataset, "StudyInstanceUID"),
            text(dataset, "FrameOfReferenceUID"),
            attributes_of(dataset),
        )
    series.files.append(path)
    for plane in _planes(path, dataset):
        if plane is None:
            series.n_lost += 1
        else:
            series.planes.append(plane)


def _planes(path: Path, dataset: Any) -> Sequence[Plane | None]:
    if whole(dataset, "NumberOfFrames", 1) > 1:
        return frame_planes(open_dicom(path, only=_FRAMES))
    return [plane_of(dataset) or next(iter(_of_single_frame(path)), None)]


def _of_single_frame(path: Path) -> Sequence[Plane | None]:
    """The plane of an enhanced image of one frame."""
    dataset = open_dicom(path, only=_FRAMES)
    return frame_planes(dataset) if dataset.get("PerFrameFunctionalGroupsSequence") else []


def _mask(path: Path, dataset: Any, kind: str) -> DicomObject:
    frames = [text(entry, "FrameOfReferenceUID") for entry in items(dataset, "ReferencedFrameOfReferenceSequence")]
    series = (
        referenced_series(dataset)
        if kind == RTSTRUCT
        else [text(entry, "SeriesInstanceUID") for entry in items(dataset, "ReferencedSeriesSequence")]
    )
    return DicomObject(
        path,
        text(dataset, "PatientID"),
        text(dataset, "StudyInstanceUID"),
        tuple(dict.fromkeys(filter(None, series))),
        structures_of(dataset),
        text(dataset, "FrameOfReferenceUID") or (frames[0] if len(set(frames)) == 1 else ""),
        kind == RTSTRUCT,
        attributes_of(dataset),
    )


def named_objects(found: DicomIndex, where: str) -> dict[str, DicomObject]:
    """A name for each mask of a tree: its patient's, with the end of a UID where a patient has several.

    Args:
        found: The tree.
        where: What messages call it.

    Raises:
        PairingError: Two masks of one image series.
    """
    by_patient: dict[str, list[DicomObject]] = {}
    for entry in found.masks:
        by_patient.setdefault(entry.patient.replace("/", "_") or entry.path.stem, []).append(entry)
    named: dict[str, DicomObject] = {}
    for patient, entries in by_patient.items():
        if len(entries) == 1:
            named[patient] = entries[0]
            continue
        uids = [entry.study for entry in entries]
        if len(set(uids)) < len(uids):
            uids = [entry.series[0] if entry.series else "" for entry in entries]
        first = dict(zip(uids[::-1], entries[::-1], strict=True))
        for uid, entry in zip(uids, entries, strict=True):
            if first[uid] is not entry:
                raise PairingError(
                    f"{where}: case {patient} has two masks of one image series, {first[uid].path} and {entry.path}; "
                    "keep one of them"
                )
        named |= {f"{patient}_{_end(uid, uids)}": entry for uid, entry in zip(uids, entries, strict=True)}
    return named


def _end(uid: str, uids: Sequence[str]) -> str:
    """The last parts of a UID that tell it from others."""
    parts = uid.split(".")
    ends = (".".join(parts[-n:]) for n in range(1, len(parts)))
    return next((end for end in ends if sum(other.endswith(f".{end}") for other in uids) == 1), uid)
