"""The DICOM masks of a cohort: their image series found, their structures named, their headers as metadata.

Reads headers, which `files.dicom.index` has found, and no pixels. What is wrong with one object costs its case alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segfair.cases import Case, Cohort, DicomMask, MaskRole
from segfair.errors import ConfigError, InputError, some
from segfair.files.dicom.attributes import chosen_attributes, merged
from segfair.files.dicom.headers import is_dicom
from segfair.files.dicom.index import DicomIndex, DicomObject, ImageSeries, index_dicom
from segfair.files.images.masks import mask_suffix
from segfair.intake.dicom.structures import Meaning, structure_meaning

__all__ = ["PATIENT", "with_dicom"]

PATIENT = "patient"
"""The column that tells patients, where some have several cases and no table says so."""


def with_dicom(
    cohort: Cohort,
    indexes: Iterable[DicomIndex | None] = (),
    *,
    series: Path | None = None,
    attributes: str | None = None,
) -> Cohort:
    """The cohort with everything that its DICOM masks need to be read.

    Args:
        cohort: Its cases; a mask may be a DICOM file, or a folder that holds one. What is meant already stays as it is.
        indexes: What trees hold that were read already.
        series: Folder of further image series, which the cohort keeps; None: the one that it has.
        attributes: Names of attributes to be read from headers into metadata, comma-separated; None: none.

    Raises:
        InputError: No label has the image series that it needs.
        ConfigError: A folder of series that is none or holds none; attributes that do not exist, or asked for where
            there is no DICOM; pydicom is not installed.
    """
    wanted = () if attributes is None else chosen_attributes(attributes)
    read = [index for index in indexes if index is not None]
    paths = {path for case in cohort for role, path in _unsettled(case).items()}
    known = {found.path for index in read for found in index.masks}
    single = [path for path in paths - known if not mask_suffix(path) and (path.is_dir() or is_dicom(path))]
    if not (known or single):
        if wanted or series:
            raise ConfigError("--dicom-attributes and --dicom-series need masks in DICOM (DICOM-SEG or RTSTRUCT)")
        return cohort
    folders = {path if path.is_dir() else path.parent for path in single}
    read += [index_dicom(sorted(folders))] if folders else []
    series = series or cohort.series
    read += [_series_in(series)] if series else []
    return _Gathering(dataclasses.replace(cohort, series=series), read).cohort(wanted)


def _series_in(folder: Path) -> DicomIndex:
    """What the folder of further image series holds."""
    if not folder.exists():
        raise ConfigError(f"--dicom-series {folder}: does not exist; expected a folder of DICOM images")
    index = index_dicom([folder])
    if not index.series:
        raise ConfigError(f"--dicom-series {folder}: holds no image series; expected a folder of DICOM images")
    return index


def _unsettled(case: Case) -> dict[MaskRole, Path]:
    """The masks of a case of which nobody has said how they are meant; folders of structures say it by their names."""
    if case.structures:
        return {}
    files: dict[MaskRole, Path | None] = {"label": case.label, "prediction": case.prediction}
    return {role: path for role, path in files.items() if path is not None and role not in case.dicom}


@dataclass(slots=True)
class _Gathering:
    """A cohort, what trees hold, and what is found on the way."""

    given: Cohort
    read: Sequence[DicomIndex]
    series: dict[str, ImageSeries] = field(default_factory=dict)
    objects: dict[Path, DicomObject] = field(default_factory=dict)
    grids: dict[str, DicomMask] = field(default_factory=dict)
    without_series: list[str] = field(default_factory=list)

    def cohort(self, wanted: Sequence[str]) -> Cohort:
        for index in self.read:
            self.series |= index.series
            self.objects |= {found.path: found for found in index.masks}
        cases = [self._named(case) for case in self.given]
        found = {case.id: self._objects_of(case) for case in cases}
        by_role: dict[MaskRole, list[DicomObject]] = {}
        for of_case in found.values():
            for role, entry in of_case.items():
                by_role.setdefault(role, []).append(entry)
        known = {name: (value,) for name, value in self.given.structures.items()}
        meaning = structure_meaning(by_role, {**known, **self.given.label_names})
        cases = [
            dataclasses.replace(
                case,
                dicom={**case.dicom, **self._meant(case, found[case.id], meaning)},
            )
            for case in cases
        ]
        self._refuse_lost_labels(found)
        cases = [_on_one_frame(case, found[case.id]) for case in cases]
        columns = self._attributes(found, wanted)
        patients = self._patients(found)
        joined = {**columns, **patients}
        label_names = {name: (meaning.structures[name],) for name in meaning.scored}
        return dataclasses.replace(
            self.given,
            cases=tuple(
                dataclasses.replace(
                    case, metadata={**case.metadata, **{name: values.get(case.id) for name, values in joined.items()}}
                )
                for case in cases
            ),
            columns=(*self.given.columns, *(name for name in joined if name not in self.given.columns)),
            subject_column=self.given.subject_column or next(iter(patients), ""),
            label_names=self.given.label_names or label_names,
            structures={**self.given.structures, **meaning.structures},
            notices=(*self.given.notices, *meaning.notices, *self._notices(meaning.structures, columns)),
        )

    def _named(self, case: Case) -> Case:
        """The case with the one mask that a folder holds in place of the folder."""
        return dataclasses.replace(case, label=self._in_folder(case.label), prediction=self._in_folder(case.prediction))

    def _in_folder(self, path: Path | None) -> Path | None:
        if path is None or not path.is_dir():
            return path
        inside = [entry for entry in self.objects if path in entry.parents]
        return inside[0] if len(inside) == 1 else path

    def _objects_of(self, case: Case) -> dict[MaskRole, DicomObject]:
        return {role: self.objects[path] for role, path in _unsettled(case).items() if path in self.objects}

    def _meant(self, case: Case, found: Mapping[MaskRole, DicomObject], meaning: Meaning) -> dict[MaskRole, DicomMask]:
        return {
            role: dataclasses.replace(self._placed(entry, case), values=meaning.values(entry))
            for role, entry in found.items()
        }

    def _placed(self, entry: DicomObject, case: Case) -> DicomMask:
        series = self._series_of(entry)
        if series is None:
            self.without_series.append(case.id)
            return DicomMask()
        if series.uid not in self.grids:
            self.grids[series.uid] = _on_grid(series)
        placed = self.grids[series.uid]
        if placed.problem and not entry.needs_series:  # frames say themselves where they lie
            return DicomMask(notes=(f"lies on its own grid, for {placed.problem}",))
        return placed

    def _refuse_lost_labels(self, found: Mapping[str, Mapping[MaskRole, DicomObject]]) -> None:
        """Contours of which no series is at hand are one mistake, and not one for each case.

        Raises:
            InputError: All labels are such.
        """
        labels = [of_case["label"] for of_case in found.values() if "label" in of_case]
        lost = [entry for entry in labels if entry.needs_series and self._series_of(entry) is None]
        if lost and len(lost) == len(self.given):
            which = lost[0].series[0] if lost[0].series else f"that of {lost[0].path}"
            raise InputError(
                f"labels: of {len(lost)} structure sets (RTSTRUCT) no image series is at hand; contours need theirs "
                f"(such as {which}); name its folder with --dicom-series"
            )

    def _series_of(self, entry: DicomObject) -> ImageSeries | None:
        """The series that an object names; of one that names none the only one of its study in its frame."""
        if entry.series:
            return next((self.series[uid] for uid in entry.series if uid in self.series), None)
        found = [
            series
            for series in self.series.values()
            if series.study == entry.study and series.frame_of_reference == entry.frame_of_reference
        ]
        return found[0] if len(found) == 1 else None

    def _attributes(
        self, found: Mapping[str, Mapping[MaskRole, DicomObject]], wanted: Sequence[str]
    ) -> dict[str, dict[str, object]]:
        """Attribute -> case -> value; a column of the table of that name comes first."""
        columns: dict[str, dict[str, object]] = {name: {} for name in wanted if name not in self.given.columns}
        for case, of_case in found.items():
            for entry in of_case.values():
                series = self._series_of(entry)
                told = merged(entry.attributes, series.attributes if series else None, tuple(columns))
                for name, value in told.items():
                    if columns[name].get(case) is None:
                        columns[name][case] = value
        return columns

    def _patients(self, found: Mapping[str, Mapping[MaskRole, DicomObject]]) -> dict[str, dict[str, object]]:
        """The column of patients, where one has several cases and no column tells so already."""
        patients = {
            case: next((entry.patient for entry in of_case.values() if entry.patient), None)
            for case, of_case in found.items()
        }
        known = [patient for patient in patients.values() if patient]
        if len(set(known)) == len(known) or self.given.subject_column or PATIENT in self.given.columns:
            return {}
        numbers = {patient: f"patient {at}" for at, patient in enumerate(dict.fromkeys(known), start=1)}
        return {PATIENT: {case: numbers.get(patient or "") for case, patient in patients.items()}}

    def _notices(self, structures: Mapping[str, int], columns: Mapping[str, object]) -> list[str]:
        told = []
        if len(set(structures.values())) > 1:
            told.append(f"DICOM: structures {', '.join(f'{name} = {value}' for name, value in structures.items())}")
        if self.without_series:
            cases = list(dict.fromkeys(self.without_series))
            told.append(
                f"DICOM: cases whose image series is not at hand: {len(cases)} ({some(cases)}); segmentations lie on "
                "their own grid, contours cannot be used; name its folder with --dicom-series"
            )
        if columns:
            told.append(f"DICOM: {', '.join(columns)} read from the headers of images, else of masks")
        return told


def _on_grid(series: ImageSeries) -> DicomMask:
    try:
        grid, n_absent = series.grid()
    except InputError as error:
        return DicomMask(problem=str(error))
    notes = (f"{n_absent} slices of its image series are missing, and are background",) if n_absent else ()
    return DicomMask(grid=grid, frame_of_reference=series.frame_of_reference, notes=notes)


def _on_one_frame(case: Case, found: Mapping[MaskRole, DicomObject]) -> Case:
    """The case; its prediction is unusable where it lies in another frame of reference than its label."""
    frames = [found[role].frame_of_reference for role in ("label", "prediction") if role in found]
    if len(frames) < 2 or not all(frames) or frames[0] == frames[1]:
        return case
    problem = (
        f"lies in another frame of reference ({frames[1]}) than its label ({frames[0]}); register one onto the other"
    )
    prediction = dataclasses.replace(case.dicom["prediction"], problem=problem)
    return dataclasses.replace(case, dicom={**case.dicom, "prediction": prediction})
