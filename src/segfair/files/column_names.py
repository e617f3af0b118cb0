"""What a metadata column is by its name, or by what all its values are: folds, patients, codes, files.

Looks at names and spellings only; decides nothing about levels.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from segfair.files.cells import of_each

__all__ = [
    "are_files",
    "are_splits",
    "is_class",
    "is_code",
    "is_date",
    "is_fold",
    "is_id",
    "is_no_id",
    "is_patient",
    "is_person",
]

_FOLD = re.compile(
    r"((k|cv|outer|inner|val(idation)?|test|train(ing)?)[\W_]*)*folds?([\W_]*(id|nr|no|num|number|idx|index|\d+))?"
    r"|((data|train|official|original|my)[\W_]*)?splits?([\W_]*(id|nr|no|name|set|\d+))?"
    r"|subsets?|partitions?|cv([\W_]*(id|nr|no|group|split))?|train[\W_]*(val[\W_]*)?test([\W_]*split)?",
    re.IGNORECASE,
)
_SPLITS = frozenset(
    (
        *("train", "training", "tr", "trn", "val", "valid", "validation", "dev", "development", "tune", "tuning"),
        *("test", "testing", "te", "ts", "tst", "holdout", "hold-out"),
    )
)
_NUMBERED = r"([\W_]*(id|ids|no|nr|num|number|code|key|uid|name|identifier|index))?"
_PATIENT = re.compile(
    r"(.*[\W_])?(mrn|pid|accession|pseudonym"
    r"|patients?|subjects?|participants?|persons?|cases?|stud(y|ies)|series|records?|examinations?|exams?|images?|scans?)"
    + _NUMBERED,
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"(.*[\W_])?(mrn|pid|patients?|subjects?|participants?|persons?|probands?)" + _NUMBERED, re.IGNORECASE
)
_ID = re.compile(r"(.*[\W_])?(id|ids|uid|uids|sid|index|identifier)", re.IGNORECASE)
# Numbers under these names are codes of kinds, however many there are.
_CODE = re.compile(
    r"(.*[\W_])?(sites?|cent(er|re)s?|hospitals?|clinics?|institut(ion|e)s?|departments?|scanners?|devices?|vendors?"
    r"|manufacturers?|machines?|ethnicit(y|ies)|races?|sex|gender|codes?|categor(y|ies)|cohorts?|datasets?|clusters?"
    r"|readers?|raters?|annotators?|observers?|regions?|countr(y|ies)|states?|nationality|language"
    r"|depts?|wards?|zip|postcodes?|postal|plz|klinik|zentrum|standort|krankenhaus|geschlecht|centro|ethnic)"
    + _NUMBERED,
    re.IGNORECASE,
)
# Under these they are codes where they are few: a density may be a class or a per cent.
_CLASS = re.compile(
    r"(.*[\W_])?(groups?|class(es)?|grades?|grading|stages?|(bi|pi|li|ti)[\W_]?rads|isup|gleason|density|(sub)?types?"
    r"|histology|pathology|diagnos(is|es)|models?|protocols?|sequences?|views?|quadrants?|locations?|sides?|status"
    r"|education|arms?|level|score)" + _NUMBERED,
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"(.*[\W_])?(age|bmi|weight|height|years?)([\W_](years?|yrs?|y|at|kg|cm|m|of)([\W_].*)?)?", re.IGNORECASE
)
# Numbers under these are moments: Excel's serial days, DICOM's 20240131, seconds since 1970.
_DATE = re.compile(
    r"(?i:(.*[\W_])?(dates?|datum|dob|dod|timestamp|datetime)([\W_].*)?)|.*(Date|DateTime|_dt)"
    r"|(?i:(study|series|acquisition|content|scan|exam|image)[\W_]*time)",
)
_FILE = re.compile(
    r"\S.*\.(nii|nii\.gz|nrrd|mha|mhd|dcm|dicom|png|jpe?g|tiff?|bmp|npy|npz|h5|hdf5|mat|csv|tsv|xlsx?|json|txt|xml|zip|gz|pdf)",
    re.IGNORECASE,
)
_MOSTLY = 0.8


def is_fold(name: str) -> bool:
    """Whether a column tells folds or splits: `fold`, `cv_fold`, `split`, `train_test_split`."""
    return _FOLD.fullmatch(name.strip()) is not None


def are_splits(kinds: Collection[str]) -> bool:
    """Whether all values (folded) are parts of a split, `train` and `internal test`, or numbered folds, `fold_1`."""
    if len(kinds) < 2:
        return False

    def is_part(kind: str) -> bool:
        words = re.split(r"[\W_]+", kind)
        return kind in _SPLITS or words[0] in _SPLITS or words[-1] in _SPLITS

    return all(map(is_part, kinds)) or all(re.fullmatch(r"(fold|split)[\W_]*\d+", kind) for kind in kinds)


def is_patient(name: str) -> bool:
    """Whether a column names patients, studies or images by its name: `patient`, `case_id`, `MRN`, `scan number`."""
    return _PATIENT.fullmatch(name.strip()) is not None and not is_code(name)


def is_subject(name: str) -> bool:
    """Whether a column names people by its name, who may have several cases: `patient`, `PatientID`, `MRN`."""
    return _SUBJECT.fullmatch(name.strip()) is not None and not is_code(name)


def is_person(name: str) -> bool:
    """Whether numbers measure a person, and no prediction, by their name: `age`, `age_at_scan`, `BMI`, `year`."""
    return _PERSON.fullmatch(name.strip()) is not None


def is_date(name: str) -> bool:
    """Whether numbers are moments by their name: `StudyDate`, `date_of_birth`, `timestamp`."""
    return _DATE.fullmatch(name.strip()) is not None


def is_no_id(name: str) -> bool:
    """Whether a column measures people, or tells folds or dates, by its name: its numbers are nobody's ids."""
    return is_person(name) or is_fold(name) or is_date(name)


def is_id(name: str) -> bool:
    """Whether a column holds identifiers of something by its name: `id`, `grp_id`, `SeriesUID`."""
    return _ID.fullmatch(name.strip()) is not None


def is_code(name: str) -> bool:
    """Whether numbers in a column are codes by its name, however many: `site`, `ethnicity_code`, `center number`."""
    return _CODE.fullmatch(name.strip()) is not None


def is_class(name: str) -> bool:
    """Whether numbers in a column are codes by its name where they are few: `BI-RADS`, `grade`, `breast_density`."""
    return _CLASS.fullmatch(name.strip()) is not None


def are_files(values: Iterable[object]) -> bool:
    """Whether values are names or paths of files."""
    texts = [value.strip() for value in values if isinstance(value, str)]
    found = sum(of_each(lambda text: _FILE.fullmatch(text) is not None, texts))
    return bool(texts) and found >= _MOSTLY * len(texts)
