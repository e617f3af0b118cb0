"""From folders and a table to a cohort. Layouts look at names only, so that empty files do for masks here."""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from tests.intake.studies import Study, ids_of, masks, said, table

from segfair.attributes.fit import fit_attributes
from segfair.cases import Join
from segfair.errors import ConfigError, InputError, MetadataError, PairingError
from segfair.intake.cohorts import load_cohort
from segfair.protocol.rules import load_protocol


def test_a_plain_study(tmp_path: Path) -> None:
    study = Study(tmp_path)
    cohort = study.load()
    assert cohort.ids == tuple(study.ids)
    assert cohort.columns == ("age", "split", "patient")
    assert cohort.id_column == "id"
    assert cohort.excluded == {}
    first = cohort.cases[0]
    assert (first.label, first.prediction) == (
        study.labels / "P000.nii.gz",
        study.predictions / "P000.nii.gz",
    )
    assert first.metadata == {"age": 40, "split": "train", "patient": "S0"}
    assert cohort.inputs == {"predictions": study.predictions, "labels": study.labels, "metadata": study.table}
    assert said(cohort, "predictions: 20 masks", str(study.predictions), "flat")
    assert said(cohort, "labels: 20 masks", str(study.labels))
    assert said(cohort, "meta.csv: 20 joined by id as text, 0 rows unused")
    assert cohort.joined == Join("id", "meta.csv: 20 joined by id as text, 0 rows unused", {"text": 20, "unused": 0})


def test_metadata_from_memory_or_none(tmp_path: Path) -> None:
    study = Study(tmp_path, labels=4)
    frame = pd.DataFrame({"age": [50, None, 52, 53]}, index=study.ids)
    cohort = load_cohort(study.predictions, study.labels, frame)
    assert cohort.column("age") == [50, None, 52, 53]
    assert cohort.id_column == "index"
    assert set(cohort.inputs) == {"predictions", "labels"}
    without = load_cohort(study.predictions, study.labels, None)
    assert (without.columns, without.cases[0].metadata, without.excluded) == ((), {}, {})
    for option in ({"where": "age > 3"}, {"id_column": "id"}, {"subject_column": "p"}):
        with pytest.raises(ConfigError, match="need a metadata table"):
            load_cohort(study.predictions, study.labels, None, **option)


def test_text_ids_of_digits(tmp_path: Path) -> None:
    labels, predictions = masks(tmp_path / "labels", ["0007", "0012"]), masks(tmp_path / "preds", ["0007", "0012"])
    exact = load_cohort(predictions, labels, table(tmp_path / "a.csv", ["0012", "0007"], age=[1, 2]))
    assert exact.column("age") == [2, 1]
    assert not said(exact, "ids of")
    (tmp_path / "b.csv").write_text("id,age\n12,1\n7.0,2\n")
    loose = load_cohort(predictions, labels, tmp_path / "b.csv")
    assert loose.column("age") == [2, 1]
    assert said(loose, "0007 = 7.0, 0012 = 12")


def test_a_case_without_a_row_is_excluded(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, study.ids[:-2], age=range(18))
    cohort = study.load()
    assert cohort.excluded == {"P018": "no row in meta.csv", "P019": "no row in meta.csv"}
    assert len(cohort) == 18
    assert said(cohort, "without a row in meta.csv, excluded: 2 (P018, P019)")
    (tmp_path / "meta.csv").write_text("id,age\n" + "\n".join(f"{case},1" for case in study.ids[1:]) + "\nQ000,2\n")
    assert study.load().excluded == {"P000": "no row in meta.csv"}
    (tmp_path / "meta.csv").write_text("id,age\n" + "\n".join(f"{case},1" for case in study.ids[1:]) + "\n00,2\n")
    assert said(study.load(), "19 joined by id as text, 1 by number, 0 rows unused")
    assert not study.load().excluded


def test_an_ambiguous_row_says_so(tmp_path: Path) -> None:
    labels, predictions = masks(tmp_path / "l", ["1", "01", "2"]), masks(tmp_path / "p", ["1", "01", "2"])
    (tmp_path / "m.csv").write_text("id,age\n1.0,5\n2,6\n")
    assert load_cohort(predictions, labels, tmp_path / "m.csv").excluded == {
        "1": "no row in m.csv: 1.0 could be it or another",
        "01": "no row in m.csv: 1.0 could be it or another",
    }


# ---- missing and superfluous predictions


def test_up_to_a_fifth_may_be_missing(tmp_path: Path) -> None:
    cohort = Study(tmp_path, predictions=ids_of(16)).load()
    assert len(cohort) == 20
    assert [case.id for case in cohort if case.prediction is None] == ["P016", "P017", "P018", "P019"]
    assert said(cohort, "without a prediction, given the worst score: 4 (P016, P017, P018 and 1 more)")


def test_more_than_a_fifth_is_refused_with_both_counts(tmp_path: Path) -> None:
    study = Study(tmp_path, predictions=ids_of(15))
    with pytest.raises(PairingError) as caught:
        study.load()
    message = str(caught.value)
    assert "5 of 20" in message and "15 masks" in message
    assert all(option in message for option in ("--cases", "--where", "--missing-prediction worst", "drop"))
    assert len(study.load(missing_prediction="worst")) == 20
    dropped = study.load(missing_prediction="drop")
    assert dropped.ids == tuple(ids_of(15))
    assert dropped.excluded["P019"] == "dropped: no prediction"
    assert said(dropped, "without a prediction, dropped: 5")
    with pytest.raises(PairingError, match="5 of 20"):
        study.load(missing_prediction="error")


def test_error_means_any(tmp_path: Path) -> None:
    study = Study(tmp_path, predictions=ids_of(19))
    with pytest.raises(PairingError, match=r"1 of 20 .* P019; predict them"):
        study.load(missing_prediction="error")
    assert len(Study(tmp_path / "whole").load(missing_prediction="error")) == 20


def test_the_fifth_is_of_the_cases_that_count(tmp_path: Path) -> None:
    study = Study(tmp_path, predictions=ids_of(10))
    (tmp_path / "cases.txt").write_text("\n".join(ids_of(12)))
    cohort = study.load(cases=str(tmp_path / "cases.txt"))
    assert cohort.ids == tuple(ids_of(12))
    assert sum(case.prediction is None for case in cohort) == 2
    (tmp_path / "cases.txt").write_text("\n".join(ids_of(20)[8:14]))
    with pytest.raises(PairingError, match="4 of 6"):
        study.load(cases=str(tmp_path / "cases.txt"))


def test_predictions_without_a_label_are_named(tmp_path: Path) -> None:
    cohort = Study(tmp_path, predictions=[*ids_of(20), "X1", "X2"]).load()
    assert len(cohort) == 20
    assert said(cohort, "predictions without a label, passed over: 2 (X1, X2)")


def test_no_overlap_shows_both_sides(tmp_path: Path) -> None:
    with pytest.raises(PairingError) as caught:
        Study(tmp_path, predictions=["scan_1", "scan_2"]).load()
    assert all(word in str(caught.value) for word in ("scan_1, scan_2", "P000, P001, P002", "preds", "labels"))


def test_swapped_folders_are_noticed(tmp_path: Path) -> None:
    study = Study(tmp_path)
    assert not said(study.load(), "look swapped")
    assert said(load_cohort(study.labels, study.predictions, study.table), "look swapped")


def test_channel_endings(tmp_path: Path) -> None:
    cohort = Study(tmp_path, predictions=[f"{case}_0000" for case in ids_of(20)]).load()
    assert cohort.cases[3].id == "P003"
    assert cohort.cases[3].prediction == tmp_path / "preds" / "P003_0000.nii.gz"


@pytest.mark.parametrize("gone", ["preds", "labels", "meta.csv"])
def test_what_is_not_there_is_named(tmp_path: Path, gone: str) -> None:
    study = Study(tmp_path)
    paths = [
        tmp_path / "gone" if path.name == gone else path for path in (study.predictions, study.labels, study.table)
    ]
    with pytest.raises(InputError, match="gone"):
        load_cohort(*paths)


# ---- which cases count


# ---- columns


def test_the_subject_column_stays(tmp_path: Path) -> None:
    study = Study(tmp_path)
    assert study.load(subject_column="patient").column("patient")[:3] == ["S0", "S0", "S1"]
    alike = study.load(subject_column="id")
    assert alike.columns == ("id", "age", "split", "patient")
    assert alike.column("id")[:2] == ["P000", "P001"]
    with pytest.raises(MetadataError, match=r"subject column patiant: not in meta.csv \(did you mean patient\?"):
        study.load(subject_column="patiant")


def test_a_wrong_table(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, [f"X{index}" for index in range(20)], age=range(60, 80))
    with pytest.raises(MetadataError, match=r"meta.csv: no column holds any of the 20 case ids, such as P000"):
        study.load()


def test_labels_named_by_the_data_set(tmp_path: Path) -> None:
    ids = ids_of(3)
    masks(tmp_path / "Dataset001" / "labelsTr", ids)
    labels = {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}
    (tmp_path / "Dataset001" / "dataset.json").write_text(json.dumps({"labels": labels}))
    predictions = masks(tmp_path / "preds", ids)
    cohort = load_cohort(predictions, tmp_path / "Dataset001", table(tmp_path / "m.csv", ids, age=[1, 2, 3]))
    assert cohort.label_names == {"whole": (1, 2), "core": (2,)}
    assert cohort.ignore_label == 3


def test_a_mama_mia_tree(tmp_path: Path) -> None:
    """Three sheets, blank rows, masks in lower case, ages missing, menopause as written in the clinic."""
    ids = [f"DUKE_{index:03d}" for index in range(1, 6)] + ["ISPY1_1001"]
    root = tmp_path / "mama-mia"
    masks(root / "segmentations" / "expert", [case.lower() for case in ids])
    book = openpyxl.Workbook()
    book.active.title = "analysis"
    book.active.append(["site", "n"])
    book.active.append(["DUKE", 291])
    sheet = book.create_sheet("dataset_info")
    sheet.append(["patient_id", "dataset", "age", "menopause", "breast_density", "acquisition_date"])
    pre = "pre (<6 months since LMP AND no prior bilateral ovariectomy AND not on estrogen replacement)"
    for row in zip(ids, [41, None, 50, 51, 70.5, 38], [pre, "post", None, "peri", "N/A", pre], "abcd", strict=False):
        sheet.append([row[0], "DUKE", row[1], row[2], row[3], "2010-01-01"])
    sheet.append([ids[4], "DUKE", 70.5, None, None, None])
    sheet.append([None] * 6)
    sheet.append([ids[5], "ISPY1", 38, pre, None, "2010-01-02"])
    sheet.append([None] * 6)
    book.create_sheet("legend").append(["column", "meaning"])
    book.save(root / "clinical_and_imaging_info.xlsx")

    predictions = masks(tmp_path / "preds", [case.lower() for case in ids])
    cohort = load_cohort(predictions, root, root / "clinical_and_imaging_info.xlsx")
    assert cohort.id_column == "patient_id"
    assert len(cohort) == 6 and cohort.excluded == {}
    assert said(cohort, "sheet dataset_info of analysis, dataset_info, legend", "6 of the case ids")
    assert said(cohort, "found in another letter case", "duke_001 = DUKE_001")
    labels = fit_attributes(cohort, protocol=load_protocol("mama-mia")).apply(cohort).labels()
    assert labels == {
        "age": ["41-50", None, "41-50", "51-60", "71+", "0-40"],
        "menopause": ["pre", "post", "unknown", "pre", "unknown", "pre"],
        "breast_density": ["a", "b", "c", "d", None, None],
    }
    with pytest.raises(MetadataError, match=r"sheet analysis of analysis, dataset_info, legend; name another"):
        load_cohort(predictions, root, root / "clinical_and_imaging_info.xlsx", sheet="analysis")


def test_north_america_becomes_a_level(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, study.ids, continent=["NA", "EU", "AS", "NA"] * 5)
    cohort = study.load()
    attribute = fit_attributes(cohort, protocol=load_protocol("default")).apply(cohort)["continent"]
    assert attribute.levels == ("AS", "EU", "NA")
    assert list(attribute.codes[:4]) == [2, 1, 0, 2]
    assert said(cohort, "continent: NA (10) is read as a level")
    table(study.table, study.ids, continent=["NA", "EU", "AS", "NA"] * 5, size=["NA", 1, 2, 3] * 5)
    cohort = study.load()
    attribute = fit_attributes(cohort, protocol=load_protocol("default")).apply(cohort)["continent"]
    assert attribute.levels == ("AS", "EU", "missing"), "where NA stands among numbers it is R's missing value"


@pytest.mark.parametrize("role", ["label", "prediction"])
@pytest.mark.parametrize("place", ["{case}.bmp", "batch2/{case}.nii.gz"])
def test_masks_that_are_there_and_are_not_read_stop(tmp_path: Path, role: str, place: str) -> None:
    """Three of twenty: their cases would leave the audit, or count as missed, without a word."""
    study = Study(tmp_path)
    folder = study.labels if role == "label" else study.predictions
    for case in study.ids[:3]:
        (folder / place.format(case=case)).parent.mkdir(exist_ok=True)
        (folder / f"{case}.nii.gz").rename(folder / place.format(case=case))
    with pytest.raises(PairingError, match=rf"3 {role}s are not read, such as .*P000.*, while 17 are"):
        study.load()


def test_images_and_other_raters_beside_the_masks_are_none_of_these(tmp_path: Path) -> None:
    study = Study(tmp_path, labels=20, predictions=ids_of(22))
    (study.labels / "rater2").mkdir()
    for case in ids_of(22):
        (study.labels / f"{case}.tif").touch()
        (study.labels / "rater2" / f"{case}.nii.gz").touch()
    cohort = study.load()
    assert len(cohort.ids) == 20
    assert said(cohort, "predictions without a label, passed over: 2")
