"""Folder layouts built from empty files: what is found, what is passed over, what is refused and in which words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.errors import InputError, PairingError
from segfair.files.layouts import find_labels, find_predictions, look_swapped, pair_ids

V2 = {"labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4}}
V1 = {"labels": {"0": "background", "1": "liver", "2": "tumour"}}


def make(root: Path, *names: str) -> Path:
    """Files of these names; their content does not matter here."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def write_json(path: Path, tree: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree))
    return path


# Flat folders


def test_flat_folder_sorted_by_id_without_hidden_and_other_files(tmp_path):
    make(tmp_path, "b.nii.gz", "a.nrrd", "c.png", ".DS_Store", "._b.nii.gz", "notes.txt", "c.raw", "x.pkl")
    found = find_labels(tmp_path)
    assert list(found.files.items()) == [
        ("a", tmp_path / "a.nrrd"),
        ("b", tmp_path / "b.nii.gz"),
        ("c", tmp_path / "c.png"),
    ]
    assert found.kind == "flat"
    assert (found.label_names, found.ignore_label, found.fold, found.notices) == ({}, None, {}, ())


@pytest.mark.parametrize("find", [find_labels, find_predictions])
def test_two_files_of_one_case_are_named(tmp_path, find):
    make(tmp_path, "a.nii", "a.nii.gz", "b.nii")
    with pytest.raises(PairingError, match=r"case a has two files, a\.nii and a\.nii\.gz; keep one"):
        find(tmp_path)


def test_probabilities_beside_masks_are_no_second_mask(tmp_path):
    make(tmp_path, "a.nii.gz", "a.pkl", "b.nii.gz")
    for case in "ab":
        np.savez(tmp_path / f"{case}.npz", probabilities=np.zeros((2, 2)))
    found = find_predictions(tmp_path)
    assert [path.name for path in found.files.values()] == ["a.nii.gz", "b.nii.gz"]
    assert found.notices == (f"2 .npz files of class probabilities in {tmp_path} are passed over",)


def test_another_npz_beside_a_mask_is_a_second_mask(tmp_path):
    make(tmp_path, "a.nii.gz")
    np.savez(tmp_path / "a.npz", mask=np.zeros((2, 2), int))
    with pytest.raises(PairingError, match=r"a\.nii\.gz and a\.npz"):
        find_predictions(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(
        InputError, match=r"predictions .*gone: does not exist; expected a folder of masks or an nnU-Net"
    ):
        find_predictions(tmp_path / "gone")
    with pytest.raises(InputError, match=r"labels .*: is empty; expected a folder of masks, a MAMA-MIA"):
        find_labels(tmp_path)
    make(tmp_path, "a.nii.gz")
    with pytest.raises(InputError, match=r"a\.nii\.gz: is a file; expected"):
        find_labels(tmp_path / "a.nii.gz")


def test_only_other_files_there(tmp_path):
    make(tmp_path, "a.bmp", "b.bmp")
    with pytest.raises(InputError, match=r"no mask among its 2 entries \(such as a\.bmp\).* masks end in \.nii\.gz"):
        find_labels(tmp_path)


def test_masks_one_level_deeper_are_named(tmp_path):
    make(tmp_path, "inference/a.nii.gz", "log.txt")
    with pytest.raises(InputError, match=r"but in .*inference; hand over that folder"):
        find_predictions(tmp_path)
    make(tmp_path, "other/a.nii.gz")
    with pytest.raises(InputError, match=r"in 2 of its sub-folders \(inference, other\)"):
        find_predictions(tmp_path)


def test_an_nnunet_dataset_folder_names_its_trainer(tmp_path):
    make(tmp_path, "nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0/validation/a.nii.gz")
    with pytest.raises(InputError, match=r"nnUNetTrainer__nnUNetPlans__3d_fullres; hand over that folder"):
        find_predictions(tmp_path)


def test_the_current_folder(tmp_path, monkeypatch):
    make(tmp_path / "labelsTr", "a.nii.gz")
    write_json(tmp_path / "dataset.json", V1)
    monkeypatch.chdir(tmp_path / "labelsTr")
    assert find_labels(Path()).kind == "nnunet-raw"


# MAMA-MIA


@pytest.mark.parametrize("handed", ["", "segmentations"])
def test_mama_mia_tree(tmp_path, handed):
    make(tmp_path, "segmentations/expert/duke_001.nii.gz", "segmentations/automatic/duke_001.nii.gz")
    found = find_labels(tmp_path / handed)
    assert found.files == {"duke_001": tmp_path / "segmentations/expert/duke_001.nii.gz"}
    assert found.kind == "mama-mia"
    assert "expert" in found.notices[0]


# nnU-Net data sets


@pytest.mark.parametrize(
    ("labels_in", "handed"),
    [
        ("labelsTr", ""),
        ("labelsTr", "labelsTr"),
        ("labelsTs", "labelsTs"),
        ("gt_segmentations", ""),
        ("gt_segmentations", "gt_segmentations"),
    ],
)
def test_nnunet_raw_and_preprocessed(tmp_path, labels_in, handed):
    make(tmp_path, f"{labels_in}/a.nii.gz", f"{labels_in}/b.nii.gz", "imagesTr/a_0000.nii.gz")
    write_json(tmp_path / "dataset.json", V2)
    found = find_labels(tmp_path / handed)
    assert found.kind == "nnunet-raw"
    assert found.files == {case: tmp_path / labels_in / f"{case}.nii.gz" for case in "ab"}
    assert found.label_names == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert list(found.label_names) == ["whole", "core", "enhancing"]
    assert found.ignore_label == 4


def test_a_broken_dataset_json_of_the_labels_is_an_error(tmp_path):
    make(tmp_path, "labelsTr/a.nii.gz", "dataset.json")
    with pytest.raises(InputError, match=r"dataset\.json: not JSON \(line 1, column 1"):
        find_labels(tmp_path)


def test_a_broken_dataset_json_beside_predictions_is_a_notice(tmp_path):
    make(tmp_path, "a.nii.gz", "dataset.json")
    found = find_predictions(tmp_path)
    assert list(found.files) == ["a"]
    assert found.notices[0].startswith("not used:")


def test_nnunet_list_in_dataset_json(tmp_path):
    make(tmp_path, "elsewhere/one.nii.gz")
    entry = {"images": ["elsewhere/i.nii.gz"], "label": "elsewhere/one.nii.gz"}
    write_json(tmp_path / "dataset.json", V1 | {"dataset": {"case_1": entry}})
    found = find_labels(tmp_path)
    assert found.files == {"case_1": tmp_path / "elsewhere/one.nii.gz"}
    assert found.kind == "nnunet-raw"


# Decathlon


def decathlon(root: Path) -> Path:
    make(root, "labels/P1.nii.gz", "labels/P2.nii.gz", "images/P1.nii.gz", "images/P2.nii.gz")
    training = [{"image": f"./images/{case}.nii.gz", "label": f"./labels/{case}.nii.gz"} for case in ("P2", "P1")]
    return write_json(root / "dataset.json", V1 | {"training": training, "test": ["./images/T.nii.gz"]})


@pytest.mark.parametrize("handed", ["", "dataset.json"])
def test_decathlon_list(tmp_path, handed):
    decathlon(tmp_path)
    found = find_labels(tmp_path / handed)
    assert found.kind == "decathlon"
    assert list(found.files.items()) == [(case, tmp_path / f"labels/{case}.nii.gz") for case in ("P1", "P2")]
    assert found.label_names == {"liver": (1,), "tumour": (2,)}


def test_decathlon_with_absent_files_and_cases_without_label(tmp_path):
    list_file = decathlon(tmp_path)
    tree = json.loads(list_file.read_text())
    tree["training"].append({"image": "images/P3.nii.gz"})
    write_json(list_file, tree)
    (tmp_path / "labels/P1.nii.gz").unlink()
    found = find_labels(tmp_path)
    assert list(found.files) == ["P1", "P2"]
    assert any("1 of the masks listed" in notice and "P1" in notice for notice in found.notices)
    assert any("1 cases" in notice and "no label" in notice for notice in found.notices)
    (tmp_path / "labels/P2.nii.gz").unlink()
    with pytest.raises(InputError, match="none of the 2 labels it lists under training exists"):
        find_labels(tmp_path)


def test_decathlon_labels_of_one_name(tmp_path):
    make(tmp_path, "P1/seg.nii.gz", "P2/seg.nii.gz")
    write_json(tmp_path / "d.json", {"training": [{"label": f"P{i}/seg.nii.gz"} for i in (1, 2)]})
    with pytest.raises(PairingError, match=r"case seg is listed twice: .*P1.*P2"):
        find_labels(tmp_path / "d.json")


# nnU-Net results


def results(root: Path, folds: dict[str, str]) -> Path:
    """Fold name -> the ids (letters) in its validation folder."""
    for fold, cases in folds.items():
        make(root, f"fold_{fold}/checkpoint_final.pth", f"fold_{fold}/progress.png")
        if cases:
            make(root, *(f"fold_{fold}/validation/{case}.nii.gz" for case in cases))
            write_json(root / f"fold_{fold}/validation/summary.json", {})
    make(root, "plans.json")
    write_json(root / "dataset.json", V2)
    return root


def test_folds_are_pooled(tmp_path):
    results(tmp_path, {"0": "ad", "1": "cb", "2": ""})
    found = find_predictions(tmp_path)
    assert found.kind == "nnunet-results"
    assert list(found.files) == ["a", "b", "c", "d"]
    assert found.files["b"] == tmp_path / "fold_1/validation/b.nii.gz"
    assert found.fold == {"a": "0", "b": "1", "c": "1", "d": "0"}
    assert found.ignore_label == 4
    assert "4 validation masks of fold 0, 1" in found.notices[0]
    assert any("fold_2 has no validation masks" in notice for notice in found.notices)


@pytest.mark.parametrize("handed", ["fold_1", "fold_1/validation"])
def test_one_fold(tmp_path, handed):
    results(tmp_path, {"0": "ad", "1": "cb"})
    found = find_predictions(tmp_path / handed)
    assert found.kind == "nnunet-results"
    assert found.fold == {"b": "1", "c": "1"}
    assert found.label_names["core"] == (2, 3)


def test_validation_raw_of_the_first_version(tmp_path):
    make(tmp_path, "fold_0/validation_raw/a.nii.gz", "fold_0/validation_raw_postprocessed/a.nii.gz")
    found = find_predictions(tmp_path)
    assert found.files == {"a": tmp_path / "fold_0/validation_raw/a.nii.gz"}
    given = find_predictions(tmp_path / "fold_0/validation_raw_postprocessed")
    assert given.files == {"a": tmp_path / "fold_0/validation_raw_postprocessed/a.nii.gz"}
    assert given.fold == {"a": "0"}


def test_a_case_in_two_folds(tmp_path):
    results(tmp_path, {"0": "ab", "all": "abc"})
    with pytest.raises(PairingError, match="2 cases are in two folds, such as a in fold_0 and fold_all"):
        find_predictions(tmp_path)


def test_fold_all_was_trained_on_its_cases(tmp_path):
    results(tmp_path, {"all": "abc"})
    assert any("trained on its own validation cases" in notice for notice in find_predictions(tmp_path).notices)


def test_no_fold_has_been_validated(tmp_path):
    results(tmp_path, {"0": "", "1": ""})
    with pytest.raises(InputError, match="no masks in fold_0/validation, fold_1/validation"):
        find_predictions(tmp_path)
    with pytest.raises(InputError, match="no masks in fold_1/validation; let nnU-Net finish"):
        find_predictions(tmp_path / "fold_1")


def test_a_flat_folder_that_happens_to_be_named_fold(tmp_path):
    make(tmp_path, "fold_0/a.nii.gz")
    assert find_predictions(tmp_path / "fold_0").kind == "flat"


def test_one_fold_from_within(tmp_path, monkeypatch):
    results(tmp_path, {"0": "ad", "1": "cb"})
    for folder in ("fold_1", "fold_1/validation"):
        monkeypatch.chdir(tmp_path / folder)
        found = find_predictions(Path())
        assert found.fold == {"b": "1", "c": "1"}
        assert found.ignore_label == 4


# Pairing


def test_pairing_examples():
    assert pair_ids(["a", "b"], ["b", "a", "c"]) == {"a": "a", "b": "b"}
    assert pair_ids(["a"], ["a_0000"]) == {"a": "a_0000"}
    assert pair_ids(["a_0000"], ["a"]) == {"a_0000": "a"}
    assert pair_ids(["a_0000"], ["a_0000"]) == {"a_0000": "a_0000"}
    assert pair_ids(["a"], ["a_0001"]) == {}
    # the exact partner wins, and nobody is paired twice
    assert pair_ids(["a"], ["a", "a_0000"]) == {"a": "a"}
    assert pair_ids(["a", "a_0000"], ["a"]) == {"a": "a"}
    # a numbered id is not a channel where it has its partner
    assert pair_ids(["case_0000", "case"], ["case_0000"]) == {"case_0000": "case_0000"}


@given(*[st.sets(st.sampled_from(["a", "a_0000", "a_0000_0000", "b", "b_0000", "_0000"]))] * 2)
def test_pairs_are_one_to_one_and_exact_first(labels, predictions):
    pairs = pair_ids(sorted(labels), sorted(predictions))
    assert len(set(pairs.values())) == len(pairs)
    assert pairs.keys() <= labels
    assert set(pairs.values()) <= predictions
    for case in labels & predictions:
        assert pairs[case] == case
    for label, prediction in pairs.items():
        assert label == prediction or label.removesuffix("_0000") == prediction.removesuffix("_0000")
    assert {v: k for k, v in pairs.items()} == pair_ids(sorted(predictions), sorted(labels))


@pytest.mark.parametrize("form", [str, str.upper])
def test_pairing_of_other_spellings(form):
    assert pair_ids(["Site-1", "b"], [form("site-1")]) == {"Site-1": form("site-1")}
    assert pair_ids(["P1_seg", "P2_seg"], ["P1", "P3"]) == {"P1_seg": "P1"}
    assert pair_ids(["P001", "P002"], ["1", "2"]) == {}, "numbered predictions may be one off"


def test_an_accent_stored_in_two_ways_is_one_name(tmp_path):
    apart, composed = "Zu\u0308rich", "Z\u00fcrich"
    make(tmp_path, f"labels/{apart}.nii.gz", f"preds/{composed}.nii.gz")
    labels, predictions = find_labels(tmp_path / "labels"), find_predictions(tmp_path / "preds")
    assert list(labels.files) == list(predictions.files) == [composed]
    assert labels.files[composed].name == f"{apart}.nii.gz", "the file keeps its name"
    make(tmp_path, f"labels/{composed}.nii.gz")
    with pytest.raises(PairingError, match="has two files"):
        find_labels(tmp_path / "labels")


# BIDS and one folder a case


def test_a_bids_tree(tmp_path):
    names = [f"sub-{i:02d}/ses-{s}/anat/sub-{i:02d}_ses-{s}_label-lesion_mask.nii.gz" for i in (1, 2) for s in (1, 2)]
    make(tmp_path, *names, "sub-01/ses-1/anat/readme.txt", "participants.tsv", "sub-01/ses-1/anat/other.nii.gz")
    found = find_labels(tmp_path)
    assert found.kind == "bids"
    assert list(found.files)[:2] == ["sub-01_ses-1_label-lesion_mask", "sub-01_ses-2_label-lesion_mask"]
    assert len(found.files) == 4
    make(tmp_path, "sub-01/ses-1/dwi/sub-01_ses-1_label-lesion_mask.nii.gz")
    with pytest.raises(PairingError, match="has two files"):
        find_labels(tmp_path)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["{0}/{0}_seg.nii.gz"], "{0}_seg.nii.gz"),
        (["{0}/seg.nii.gz"], "seg.nii.gz"),
        (["{0}/{0}_flair.nii.gz", "{0}/{0}_t1.nii.gz", "{0}/{0}_seg.nii.gz"], "{0}_seg.nii.gz"),
        (["{0}/image.nii.gz", "{0}/label.nii.gz"], "label.nii.gz"),
    ],
)
def test_one_folder_a_case(tmp_path, names, chosen):
    cases = [f"BraTS_{index:03d}" for index in range(3)]
    make(tmp_path, *[name.format(case) for case in cases for name in names])
    found = find_labels(tmp_path)
    assert found.kind == "case-folders"
    assert {case: path.name for case, path in found.files.items()} == {case: chosen.format(case) for case in cases}


def test_a_bids_tree_of_images_and_masks(tmp_path):
    for subject in ("sub-01", "sub-02"):
        make(tmp_path / subject / "anat", f"{subject}_T1w.nii.gz", f"{subject}_label-lesion_mask.nii.gz")
    found = find_labels(tmp_path)
    assert list(found.files) == ["sub-01_label-lesion_mask", "sub-02_label-lesion_mask"]
    assert "2 files of the BIDS tree are no masks by their suffix and are passed over, such as sub-01_T1w" in str(
        found.notices
    )


def test_label_and_prediction_in_one_folder_a_case(tmp_path):
    for case in ("P1", "P2", "P3"):
        make(tmp_path / case, "ct.nii.gz", "seg.nii.gz", "pred.nii.gz")
    (tmp_path / "P2" / "seg.nii.gz").unlink()
    labels, predictions = find_labels(tmp_path), find_predictions(tmp_path)
    assert {case: path.name for case, path in labels.files.items()} == {"P1": "seg.nii.gz", "P3": "seg.nii.gz"}
    assert "1 folders of" in labels.notices[0]
    assert "such as P2" in labels.notices[0]
    assert {path.name for path in predictions.files.values()} == {"pred.nii.gz"}
    assert len(predictions.files) == 3


def test_folders_that_are_no_cases_are_not_guessed_at(tmp_path):
    make(tmp_path, "alpha/P1.nii.gz", "beta/P1.nii.gz")
    with pytest.raises(InputError, match="in 2 of its sub-folders"):
        find_predictions(tmp_path)
    make(tmp_path / "teams", *(f"{team}/P{number}.nii.gz" for team in ("alpha", "beta") for number in range(3)))
    with pytest.raises(InputError, match="in 2 of its sub-folders"):
        find_predictions(tmp_path / "teams")
    make(tmp_path / "two", "P1/P1_seg.nii.gz", "P1/P1_mask.nii.gz", "P2/P2_seg.nii.gz", "P2/P2_mask.nii.gz")
    with pytest.raises(InputError, match="sub-folders"):
        find_labels(tmp_path / "two")


def test_the_masks_of_a_bids_data_set_of_images_lie_in_a_pipeline(tmp_path):
    images = [f"sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz" for number in (1, 2)]
    make(tmp_path, *images)
    make(tmp_path / "derivatives" / "manual", *(name.replace("T1w", "dseg") for name in images))
    found = find_labels(tmp_path)
    assert {path.parts[-4] for path in found.files.values()} == {"manual"}
    assert found.layout == "BIDS, 2 subjects"
    assert "those of the pipeline" in found.notices[0]
    make(tmp_path / "derivatives" / "unet", *(name.replace("T1w", "dseg") for name in images))
    assert {path.parts[-4] for path in find_labels(tmp_path).files.values()} == {"manual"}, "its name says labels"
    with pytest.raises(InputError, match=r"masks of 2 pipelines, .*manual and .*unet; hand over the folder of one"):
        find_predictions(tmp_path)


def test_one_file_a_structure(tmp_path):
    make(tmp_path, *(f"s{number}/{name}.nii.gz" for number in range(3) for name in ("ct", "liver", "spleen")))
    make(tmp_path, "s1/kidney.nii.gz")
    (tmp_path / "s2" / "spleen.nii.gz").unlink()
    found = find_labels(tmp_path)
    assert found.kind == "structures"
    assert found.files == {f"s{number}": tmp_path / f"s{number}" for number in range(3)}
    assert found.structures == ("kidney", "liver", "spleen")
    assert found.layout == "one folder a case, one file a structure, 3 structures"


def test_structures_within_the_folder_of_a_case(tmp_path):
    """As the data set of TotalSegmentator has them."""
    names = (f"s{number}/segmentations/{name}.nii.gz" for number in range(2) for name in ("liver", "spleen"))
    make(tmp_path, *names, "s0/ct.nii.gz", "s1/ct.nii.gz")
    assert find_labels(tmp_path).files == {f"s{number}": tmp_path / f"s{number}" / "segmentations" for number in (0, 1)}


def test_a_tree_that_can_be_read_in_two_ways_is_refused_with_both(tmp_path):
    make(tmp_path / "a", *(f"s{number}/{name}.nii.gz" for number in range(3) for name in ("liver", "spleen", "seg")))
    with pytest.raises(
        InputError,
        match=r"can be read as one folder a case \(such as .*seg\.nii\.gz\) and .*one file a structure, 2.*--pat",
    ):
        find_predictions(tmp_path / "a")
    make(tmp_path / "b", "segmentations/expert/a.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(InputError, match=r"MAMA-MIA tree \(such as .* and an nnU-Net data set \(.*--label-pattern"):
        find_labels(tmp_path / "b")


# Swapped folders


def both(labels: Path, predictions: Path) -> str | None:
    return look_swapped(find_labels(labels), find_predictions(predictions))


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        ("labels", "preds"),
        ("a", "b"),
        ("gt", "results"),
        ("annotator1/labels", "annotator2/labels"),
        ("run1/preds", "run2/preds"),
        ("data", "pred_labels"),
        ("background", "outputs"),
    ],
)
def test_unsuspicious_names(tmp_path, labels, predictions):
    make(tmp_path, f"{labels}/a.nii.gz", f"{predictions}/a.nii.gz")
    assert both(tmp_path / labels, tmp_path / predictions) is None


@pytest.mark.parametrize(
    ("labels", "predictions", "sign"),
    [
        ("preds", "labels", "labels folder .*preds is named preds"),
        ("nnunet_predictions", "data", "is named nnunet_predictions"),
        ("data", "GT", "predictions folder .*GT is named GT"),
        ("data", "ground-truth", "is named ground-truth"),
        ("inference", "labelsTs", "is named inference"),
    ],
)
def test_swapped_names(tmp_path, labels, predictions, sign):
    make(tmp_path, f"{labels}/a.nii.gz", f"{predictions}/a.nii.gz")
    assert re.search(sign, both(tmp_path / labels, tmp_path / predictions) or "")


@pytest.mark.parametrize("written", ["summary.json", "plans.json", "predict_from_raw_data_args.json"])
def test_what_nnunet_writes_beside_predictions(tmp_path, written):
    make(tmp_path, "one/a.nii.gz", f"one/{written}", "two/a.nii.gz")
    assert f"holds {written}" in str(both(tmp_path / "one", tmp_path / "two"))
    assert both(tmp_path / "two", tmp_path / "one") is None


def test_swapped_layouts(tmp_path):
    results(tmp_path / "trained", {"0": "ab"})
    make(tmp_path, "mine/a.nii.gz", "tree/segmentations/expert/a.nii.gz", "raw/labelsTr/a.nii.gz")
    assert "is an nnU-Net results folder" in str(both(tmp_path / "trained", tmp_path / "mine"))
    assert "MAMA-MIA expert" in str(both(tmp_path / "mine", tmp_path / "tree"))
    assert "dataset.json" in str(both(tmp_path / "mine", tmp_path / "raw"))
    for labels in ("mine", "tree", "raw"):
        assert both(tmp_path / labels, tmp_path / "trained") is None


def test_the_same_folder_twice(tmp_path):
    make(tmp_path, "tree/segmentations/expert/a.nii.gz")
    assert "same files" in str(both(tmp_path / "tree", tmp_path / "tree/segmentations/expert"))


# Folders of images and labels


@pytest.mark.parametrize("name", ["labels", "masks", "segmentations"])
def test_a_data_set_of_images_and_labels(tmp_path, name):
    make(tmp_path, f"{name}/a.png", f"{name}/b.png", "images/a.png", "images/b.png")
    write_json(tmp_path / "dataset.json", V2)
    found = find_labels(tmp_path)
    assert found.files == {"a": tmp_path / name / "a.png", "b": tmp_path / name / "b.png"}
    assert found.label_names == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert f"labels: {tmp_path / name}" in found.notices
    with pytest.raises(InputError, match="2 of its sub-folders"):
        find_predictions(tmp_path)


def test_two_folders_that_may_be_the_labels(tmp_path):
    make(tmp_path, "labels/a.png", "masks/a.png", "images/a.png")
    with pytest.raises(InputError, match="has the folders labels and masks; hand over the one that holds the labels"):
        find_labels(tmp_path)
