"""What a metadata column is by its name, or by what all its values are: folds, patients, codes, files.

Looks at names and spellings only; decides nothing about levels.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

__all__ = ["are_files", "are_splits", "is_class", "is_code", "is_fold", "is_id", "is_patient"]

_FOLD = re.compile(
    r"((k|cv|outer|inner|val(idation)?|test|train(ing)?)[\W_]*)*folds?([\W_]*(id|nr|no|num|number|idx|index|\d+))?"
    r"|((data|train|official|original|my)[\W_]*)?splits?([\W_]*(id|nr|no|name|set|\d+))?"
    r"|subsets?|partitions?|cv([\W_]*(id|nr|no|group|split))?|train[\W_]*(val[\W_]*)?test([\W_]*split)?",
    re.IGNORECASE,
)
_SPLITS = frozenset(
    (
        *("train", "training", "tr", "trn", "val", "valid", "validation", "dev", "development", "tune", "tuning"),
        *("test", "testing", "te", "tst", "holdout", "hold-out"),
    )
)
_NUMBERED = r"([\W_]*(id|ids|no|nr|num|number|code|key|uid|name|identifier|index))?"
_PATIENT = re.compile(
    r"(.*[\W_])?(mrn|pid|accession|pseudonym"
    r"|patients?|subjects?|participants?|persons?|cases?|stud(y|ies)|series|records?|examinations?|exams?|images?|scans?)"
    + _NUMBERED,
    re.IGNORECASE,
)
_ID = re.compile(r"(.*[\W_])?(id|ids|uid|uids|sid|index|identifier)", re.IGNORECASE)
# Numbers under these names are codes of kinds, however many there are.
_CODE = re.compile(
    r"(.*[\W_])?(sites?|cent(er|re)s?|hospitals?|clinics?|institut(ion|e)s?|departments?|scanners?|devices?|vendors?"
    r"|manufacturers?|machines?|ethnicit(y|ies)|races?|sex|gender|codes?|categor(y|ies)|cohorts?|datasets?|clusters?"
    r"|readers?|raters?|annotators?|observers?|regions?|countr(y|ies)|states?|nationality|language)" + _NUMBERED,
    re.IGNORECASE,
)
# Under these they are codes where they are few: a density may be a class or a per cent.
_CLASS = re.compile(
    r"(.*[\W_])?(groups?|class(es)?|grades?|grading|stages?|(bi|pi|li|ti)[\W_]?rads|isup|gleason|density|(sub)?types?"
    r"|histology|pathology|diagnos(is|es)|models?|protocols?|sequences?|views?|quadrants?|locations?|sides?|status"
    r"|education|arms?|level|score)" + _NUMBERED,
    re.IGNORECASE,
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
    """Whether all values (folded) are parts of a split: train, val, test."""
    return len(kinds) > 1 and all(re.split(r"[\W_]+", kind)[0] in _SPLITS or kind in _SPLITS for kind in kinds)


def is_patient(name: str) -> bool:
    """Whether a column names patients, studies or images by its name: `patient`, `case_id`, `MRN`, `scan number`."""
    return _PATIENT.fullmatch(name.strip()) is not None and not is_code(name)


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
    found = sum(_FILE.fullmatch(text) is not None for text in texts)
    return bool(texts) and found >= _MOSTLY * len(texts)
