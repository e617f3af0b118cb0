"""What a metadata column is, by its name."""

from __future__ import annotations

import pytest

from segfair.files.column_names import (
    are_files,
    are_splits,
    is_class,
    is_code,
    is_date,
    is_fold,
    is_id,
    is_patient,
    is_person,
)


@pytest.mark.parametrize(
    "name",
    [
        "fold",
        "Fold",
        "folds",
        "cv_fold",
        "k-fold",
        "fold_id",
        "fold0",
        "split",
        "data_split",
        "subset",
        "cv",
        "train_test_split",
    ],
)
def test_folds(name: str) -> None:
    assert is_fold(name)


@pytest.mark.parametrize("name", ["age", "folder", "skin_fold_thickness", "splitting", "site", "cohort", "test_result"])
def test_no_folds(name: str) -> None:
    assert not is_fold(name)


def test_values_of_a_split() -> None:
    assert are_splits({"train", "val", "test"})
    assert are_splits({"training", "test_1", "test_2"})
    assert not are_splits({"train"}), "one value is no split"
    assert not are_splits({"train", "bus"})
    assert are_splits({"training", "internal test", "external test"})
    assert are_splits({"fold0", "fold_1"})
    assert are_splits({"tr", "ts"})


@pytest.mark.parametrize("name", ["date", "StudyDate", "scan_date", "BirthDate", "DOB", "timestamp", "StudyTime"])
def test_moments(name: str) -> None:
    assert is_date(name)


@pytest.mark.parametrize("name", ["update", "candidate", "survival_time", "time", "mandate", "age"])
def test_no_moments(name: str) -> None:
    assert not is_date(name)


def test_measures_of_persons() -> None:
    assert is_person("age") and is_person("age_at_scan") and is_person("BMI") and is_person("age_years")
    assert not is_person("average") and not is_person("stage") and not is_person("coverage")


@pytest.mark.parametrize(
    "name", ["patient", "Patient ID", "patient_number", "subject", "case", "case_id", "MRN", "image_id", "scan no"]
)
def test_patients(name: str) -> None:
    assert is_patient(name)


@pytest.mark.parametrize(
    "name", ["age", "patient_age", "patient_size", "caseload", "idle", "number_of_lesions", "field_strength"]
)
def test_no_patients(name: str) -> None:
    assert not is_patient(name)


@pytest.mark.parametrize("name", ["site", "site_id", "Ethnicity", "ethnicity_code", "scanner", "center number"])
def test_codes(name: str) -> None:
    assert is_code(name)


@pytest.mark.parametrize(
    "name", ["age", "weight", "days_to_death", "bmi", "num_slices", "psa", "pixel_spacing", "parasite_count"]
)
def test_no_codes(name: str) -> None:
    assert not is_code(name) and not is_class(name) and not is_id(name)


def test_names_of_files() -> None:
    assert are_files(["a.nii.gz", "b.nii.gz", "/data/c.png", "C:\\x\\d.dcm", "e.mha"])
    assert not are_files(["v1.2", "a", "b"])
    assert not are_files([1, 2])
