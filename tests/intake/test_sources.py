"""A table of paths is read as folders are, and what is wrong with it is told."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.intake.studies import Study, ids_of, masks, said

from segfair.cases import Cohort
from segfair.errors import ConfigError, InputError, MetadataError, PairingError
from segfair.intake.cohorts import load_cohort
from segfair.intake.sources import metadata_of


def listed(root: Path, ids: list[str], *, drop: tuple[str, ...] = (), **columns: list[object]) -> Path:
    """A table beside the folders of a study."""
    frame = pd.DataFrame({"id": ids, "prediction": [f"preds/{case}.nii.gz" for case in ids]})
    frame = frame.assign(label=[f"labels/{case}.nii.gz" for case in ids], **columns).drop(columns=list(drop))
    frame.to_csv(root / "cases.csv", index=False)
    return root / "cases.csv"


def test_a_table_has_the_cases_of_the_folders(tmp_path: Path) -> None:
    study = Study(tmp_path)
    folders = study.load()
    rows = {column: folders.column(column) for column in folders.columns}
    table = load_cohort(listed(tmp_path, study.ids, **rows))
    assert table.cases == folders.cases
    assert (table.columns, table.excluded) == (folders.columns, folders.excluded)
    assert said(table, "labels: 20 masks in", "cases.csv (a table of paths)")
    assert table.inputs == dict.fromkeys(("predictions", "labels", "metadata"), tmp_path / "cases.csv")


def test_an_empty_cell_is_a_missing_prediction(tmp_path: Path) -> None:
    ids = Study(tmp_path).ids
    path = listed(tmp_path, ids, age=list(range(20)))
    path.write_text(path.read_text().replace("preds/P003.nii.gz", ""))
    cohort = load_cohort(path)
    assert [case.id for case in cohort if case.prediction is None] == ["P003"]
    assert said(cohort, "cases without a prediction, given the worst score: 1 (P003)")


def test_other_labels_and_images_are_kept_apart_from_attributes(tmp_path: Path) -> None:
    ids = Study(tmp_path, labels=4).ids
    masks(tmp_path / "second", ids)
    second = [f"second/{case}.nii.gz" for case in ids]
    cohort = load_cohort(
        listed(
            tmp_path,
            ids,
            label2=second,
            Label3=[*second[:3], None],
            image=second,
            probabilities=second,
            site=list("AABB"),
        )
    )
    assert cohort.columns == ("site",)
    assert {name: len(files) for name, files in cohort.raters.items()} == {"label2": 4, "label3": 3}
    assert cohort.images["P001"] == (tmp_path / "second" / "P001.nii.gz",)


def test_a_frame_lists_paths_from_where_one_is(tmp_path: Path, monkeypatch) -> None:
    study = Study(tmp_path, labels=6)
    frame = pd.read_csv(listed(tmp_path, study.ids, site=list("AABBCC")))
    monkeypatch.chdir(tmp_path)
    cohort = load_cohort(frame)
    assert (cohort.ids, cohort.columns, cohort.inputs) == (tuple(study.ids), ("site",), {})


def test_within_a_table_a_row_is_a_case_however_it_is_spelt(tmp_path: Path) -> None:
    """Predictions of one row do not go to the label of another, as they may between folders."""
    ids = Study(tmp_path, labels=6).ids
    path = listed(tmp_path, [*ids[:5], "p000"], site=list("AABBCC"))
    text = path.read_text().replace("P000,preds/P000.nii.gz", "P000,")
    path.write_text(text.replace("preds/p000", "preds/P005").replace("labels/p000.nii.gz", ""))
    cohort = load_cohort(path, missing_prediction="worst")
    assert [case.id for case in cohort if case.prediction is None] == ["P000"]
    assert said(cohort, "predictions without a label, passed over: 1 (p000)")


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"drop": ("label",)}, InputError, r"cases.csv: there is no column label; .* id, prediction and label, and it has id, pred"),
        ({"drop": ("id",)}, InputError, r"needs the column id; its columns are prediction, label"),
        ({"prediction": [None] * 4}, InputError, r"the column prediction is empty"),
        ({"id": ["a", "b", "a", "c"]}, PairingError, r"the id a is in rows 1 and 3; keep one of them"),
        ({"id": ["a", "", "b", "c"]}, InputError, r"row 2 has no id"),
        ({"label": ["gone.nii.gz"] * 4}, InputError, r"none of the 4 files of the column label exists, such as .*gone"),
        ({"label": ["labels"] * 4}, InputError, r"the label of case P000, .*labels, is a folder; name the file"),
        ({"label": ["nowhere://bucket/x.nii.gz"] * 4}, InputError, r"nowhere://bucket/x.nii.gz: "),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_meant(tmp_path: Path, change: dict, error: type[Exception], told: str) -> None:
    Study(tmp_path, labels=4)
    changed = dict(change)
    path = listed(tmp_path, ids_of(4), drop=changed.pop("drop", ()), site=list("AABB"))
    frame = pd.read_csv(path).assign(**changed)
    frame.to_csv(path, index=False)
    with pytest.raises(error, match=told):
        load_cohort(path)


def test_some_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    study = Study(tmp_path)
    (study.predictions / "P004.nii.gz").unlink()
    cohort = load_cohort(listed(tmp_path, study.ids, age=list(range(20))))
    assert said(cohort, "files of the column prediction that do not exist: 1 (P004: ")


@pytest.mark.parametrize(
    ("text", "told"), [("", "is empty"), ("id,prediction,label\n", "has column names but no rows")]
)
def test_an_empty_table(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(MetadataError, match=told):
        load_cohort(tmp_path / "cases.csv")


def test_a_table_and_folders_are_not_mixed(tmp_path: Path) -> None:
    study = Study(tmp_path, labels=4)
    path = listed(tmp_path, study.ids)
    with pytest.raises(InputError, match=r"is a table of paths, .* leave out what comes behind it"):
        load_cohort(path, study.labels, study.table)
    with pytest.raises(InputError, match="labels are missing; beside the predictions"):
        load_cohort(study.predictions)
    with pytest.raises(InputError, match="does not exist"):
        load_cohort(tmp_path / "gone.csv")


def test_masks_by_patterns_are_those_of_folders(tmp_path: Path) -> None:
    study = Study(tmp_path)
    for case in study.ids:
        masks(tmp_path / "tree" / case, ["seg", "pred_v1"])
    tree = tmp_path / "tree"
    cohort = load_cohort(tree / "{id}/pred_*.nii.gz", tree / "{id}/seg.nii.gz", study.table)
    assert cohort.ids == tuple(study.ids)
    assert cohort.cases[3].prediction == tree / "P003" / "pred_v1.nii.gz"
    assert cohort.cases[3].metadata == study.load().cases[3].metadata


def structures(root: Path, **names: str) -> Path:
    for case, held in names.items():
        masks(root / case, held.split())
    return root


def test_structures_have_one_value_on_both_sides(tmp_path: Path) -> None:
    labels = structures(tmp_path / "labels", a="liver spleen", b="liver spleen kidney")
    predictions = structures(tmp_path / "preds", a="aorta liver spleen", b="aorta liver")
    cohort = load_cohort(predictions, labels)
    assert {case.structures for case in cohort} == {("kidney", "liver", "spleen", "aorta")}
    assert cohort.label_names == {"kidney": (1,), "liver": (2,), "spleen": (3,)}
    assert said(cohort, "structures of predictions that no label has, passed over: 1 (aorta)")
    assert said(cohort, "structures of labels that no prediction has: 1 (kidney)")
    with pytest.raises(PairingError, match="labels are one file a structure and predictions label maps"):
        load_cohort(masks(tmp_path / "maps", ["a", "b"]), labels)


def test_a_data_set_of_bids_brings_its_table(tmp_path: Path) -> None:
    ids = [f"sub-{number:02d}" for number in range(1, 5)]
    for name in ("manual", "unet"):
        for subject in ids:
            masks(tmp_path / "derivatives" / name / subject / "anat", [f"{subject}_ses-1_dseg"])
    (tmp_path / "participants.tsv").write_text("participant_id\tsex\n" + "".join(f"{subject}\tF\n" for subject in ids))
    (tmp_path / "sessions.tsv").write_text("participant_id\tsession_id\tscanner\nsub-01\tses-1\tX\nsub-02\tses-1\tY\n")
    places = (tmp_path / "derivatives" / "unet", tmp_path / "derivatives" / "manual")
    assert metadata_of(places[1], places[0]) == tmp_path / "participants.tsv"
    cohort: Cohort = load_cohort(*places, metadata_of(places[1], places[0]))
    assert cohort.column("sex") == ["F"] * 4
    assert cohort.column("scanner") == ["X", "Y", None, None]
    assert said(cohort, "labels: 4 masks in", "(BIDS, 4 subjects)")
    (tmp_path / "participants.tsv").unlink()
    with pytest.raises(InputError, match="the table of attributes is missing"):
        metadata_of(places[1], places[0])


def test_folds_are_counted_in_the_name_of_the_layout(tmp_path: Path) -> None:
    study = Study(tmp_path)
    for fold in range(5):
        masks(tmp_path / "results" / f"fold_{fold}" / "validation", study.ids[fold::5])
    cohort = load_cohort(tmp_path / "results", study.labels, study.table)
    assert said(cohort, "predictions: 20 masks in", "(nnU-Net results, 5 folds)")


def test_options_of_a_table_need_one(tmp_path: Path) -> None:
    study = Study(tmp_path, labels=4)
    with pytest.raises(ConfigError, match="need a metadata table"):
        load_cohort(study.predictions, study.labels, where="age > 1")
