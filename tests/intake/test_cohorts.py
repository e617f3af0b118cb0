"""From folders and a table to a cohort. Layouts look at names only, so that empty files do for masks here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from segfair.attributes.fit import fit_attributes
from segfair.cases import Cohort, Join
from segfair.errors import ConfigError, InputError, MetadataError, PairingError
from segfair.intake.cohorts import load_cohort
from segfair.protocol.rules import load_protocol


def masks(folder: Path, ids: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for case in ids:
        (folder / f"{case}.nii.gz").touch()
    return folder


def ids_of(n: int) -> list[str]:
    return [f"P{index:03d}" for index in range(n)]


def table(path: Path, ids: Sequence[str], **columns: Sequence[object]) -> Path:
    lines = [",".join(["id", *columns])]
    lines += [",".join(map(str, row)) for row in zip(ids, *columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


class Study:
    """Twenty labels, some predictions, a table; `load` with options."""

    def __init__(self, root: Path, *, labels: int = 20, predictions: Sequence[str] | None = None) -> None:
        self.root = root
        self.ids = ids_of(labels)
        self.labels = masks(root / "labels", self.ids)
        self.predictions = masks(root / "preds", self.ids if predictions is None else predictions)
        self.table = table(
            root / "meta.csv",
            self.ids,
            age=[40 + index for index in range(labels)],
            split=["test" if index % 2 else "train" for index in range(labels)],
            patient=[f"S{index // 2}" for index in range(labels)],
        )

    def load(self, **options: object) -> Cohort:
        return load_cohort(self.predictions, self.labels, self.table, **options)  # type: ignore[arg-type]


def said(cohort: Cohort, *words: str) -> bool:
    return any(all(word in notice for word in words) for notice in cohort.notices)


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


def test_cases_by_list(tmp_path: Path) -> None:
    study = Study(tmp_path)
    (tmp_path / "list.txt").write_text("# mine\nP003\nP001\np002\nQ9\n")
    cohort = study.load(cases=str(tmp_path / "list.txt"))
    assert cohort.ids == ("P001", "P002", "P003")
    assert cohort.excluded == {}, "the others are neither scored nor penalised"
    assert said(cohort, "cases that count: 3 of 20")
    assert said(cohort, "ids in", "without labels: 1 (Q9)")
    (tmp_path / "list.txt").write_text("Q8\nQ9\n")
    with pytest.raises(PairingError, match=r"none of its 2 ids has labels; it names Q8, Q9, .* P000"):
        study.load(cases=str(tmp_path / "list.txt"))
    with pytest.raises(InputError, match="no-such-file"):
        study.load(cases="no-such-file.txt")


def test_cases_by_fold(tmp_path: Path) -> None:
    (tmp_path / "splits_final.json").write_text(json.dumps([{"train": ids_of(18), "val": ["P018", "P019"]}]))
    assert Study(tmp_path).load(cases=f"{tmp_path / 'splits_final.json'}:0").ids == ("P018", "P019")


def test_cases_by_condition(tmp_path: Path) -> None:
    study = Study(tmp_path)
    cohort = study.load(where='split == "test" and age < 45')
    assert cohort.ids == ("P001", "P003")
    assert said(cohort, "cases that count: 2 of 20", "split ==")
    assert study.load(where="id == 'P007'").ids == ("P007",)
    (tmp_path / "list.txt").write_text("P001\nP002\n")
    assert study.load(where='split == "test"', cases=str(tmp_path / "list.txt")).ids == ("P001",)
    with pytest.raises(ConfigError, match="no case fulfils it; split holds train, test"):
        study.load(where='split == "validation"')
    with pytest.raises(ConfigError, match="did you mean split"):
        study.load(where='splitt == "test"')


def test_a_case_without_a_row_fulfils_nothing(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, study.ids[:-2], age=range(18))
    cohort = study.load(where="age >= 0")
    assert len(cohort) == 18
    assert cohort.excluded == {}


# ---- columns


def test_the_subject_column_stays(tmp_path: Path) -> None:
    study = Study(tmp_path)
    assert study.load(subject_column="patient").column("patient")[:3] == ["S0", "S0", "S1"]
    alike = study.load(subject_column="id")
    assert alike.columns == ("id", "age", "split", "patient")
    assert alike.column("id")[:2] == ["P000", "P001"]
    with pytest.raises(MetadataError, match=r"subject column patiant: not in meta.csv; did you mean patient\?"):
        study.load(subject_column="patiant")


def test_a_wrong_table(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, [f"X{index}" for index in range(20)], age=range(60, 80))
    with pytest.raises(MetadataError, match=r"meta.csv: no column holds any of the 20 case ids, such as P000"):
        study.load()


def nnunet(root: Path, folds: dict[str, Sequence[str]]) -> Path:
    for fold, ids in folds.items():
        masks(root / f"fold_{fold}" / "validation", ids)
    return root


def test_folds_become_a_column(tmp_path: Path) -> None:
    study = Study(tmp_path)
    results = nnunet(tmp_path / "results", {"0": study.ids[:7], "1": study.ids[7:18]})
    cohort = load_cohort(results, study.labels, study.table)
    assert cohort.columns[-1] == "fold"
    assert cohort.column("fold") == [0] * 7 + [1] * 11 + [None] * 2
    assert load_cohort(results, study.labels, None).column("fold")[:8] == [0] * 7 + [1]
    assert load_cohort(results, study.labels, study.table, where="fold == 1").ids == tuple(study.ids[7:18])


def test_one_fold_is_no_attribute(tmp_path: Path) -> None:
    """Else a missing prediction would be a level of the attribute fold, and the worst one."""
    study = Study(tmp_path)
    results = nnunet(tmp_path / "results", {"all": study.ids[:18]})
    cohort = load_cohort(results, study.labels, study.table)
    assert cohort.column("fold") == ["all"] * 20
    assert "fold" in fit_attributes(cohort, protocol=load_protocol("default")).left_out


def test_a_fold_column_of_the_table_wins(tmp_path: Path) -> None:
    study = Study(tmp_path)
    table(study.table, study.ids, fold=["a", "b"] * 10)
    results = nnunet(tmp_path / "results", {"0": study.ids})
    cohort = load_cohort(results, study.labels, study.table)
    assert cohort.column("fold") == ["a", "b"] * 10
    assert said(cohort, "column fold of meta.csv is used")


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
@pytest.mark.parametrize("place", ["{case}.tif", "batch2/{case}.nii.gz"])
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
