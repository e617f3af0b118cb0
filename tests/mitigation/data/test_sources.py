"""Which files belong to a case, and what is skipped by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from segfair.errors import ConfigError, InputError, MetadataError
from segfair.files.images.masks import write_image, write_mask
from segfair.mitigation.data.regions import Regions
from segfair.mitigation.data.sources import read_training_source
from segfair.protocol.rules import load_protocol


def test_a_mama_mia_tree(mama_mia):
    source = read_training_source(mama_mia.root)
    assert source.ids == mama_mia.usable
    assert source.id_column == "patient_id"
    assert source.columns == ("dataset", "age", "menopause", "breast_density")
    assert source.skipped == {
        mama_mia.few_phases: "2 of 3 phases",
        mama_mia.unlabelled: "no label",
        mama_mia.without_files: "a row in the metadata, but no files",
    }
    by_id = {case.id: case for case in source.cases}
    # Phases in their order, however many; table rows spelt in upper case.
    case = by_id["duke_007"]
    assert [path.name for path in case.images] == [f"duke_007_{phase:04d}.nii.gz" for phase in range(5)]
    assert case.label == mama_mia.root / "segmentations" / "expert" / "duke_007.nii.gz"
    assert case.metadata["dataset"] == "DUKE"
    assert by_id[mama_mia.without_box].box is None
    assert case.box is not None
    assert {name for name, part in source.given_split.items() if part == "test"} == set(mama_mia.test)
    assert set(source.given_split) == set(mama_mia.usable)
    assert f"cases skipped: 1, no label ({mama_mia.unlabelled})" in source.notices
    assert f"cases without a breast box: 1 ({mama_mia.without_box})" in source.notices


def test_both_spellings_give_the_same_cases(write_tree, tmp_path):
    upper = write_tree(tmp_path, upper=True)
    source = read_training_source(upper.root)
    assert source.ids == upper.usable
    assert source.ids[0] == "DUKE_001"
    assert all(case.box is not None for case in source.cases if case.id != upper.without_box)


def test_phases_decide_who_is_skipped(mama_mia):
    source = read_training_source(mama_mia.root, phases=2)
    assert mama_mia.few_phases in source.ids
    source = read_training_source(mama_mia.root, phases=5)
    assert set(source.skipped.values()) >= {"3 of 5 phases", "4 of 5 phases"}
    with pytest.raises(InputError, match=r"none of .* can be trained on; .* --phases \(now 9\)"):
        read_training_source(mama_mia.root, phases=9)


def test_a_broken_box_skips_its_case_only(write_tree, tmp_path):
    tree = write_tree(tmp_path, n_cases=8)
    (tmp_path / "patient_info_files" / f"{tree.ids[0]}.json").write_text("{")
    source = read_training_source(tmp_path)
    assert "not JSON" in source.skipped[tree.ids[0]]
    assert len(source.cases) == len(tree.usable) - 1


def test_a_case_without_a_row_stays_without_metadata(write_tree, tmp_path):
    tree = write_tree(tmp_path, n_cases=8)
    table = tmp_path / "metadata.csv"
    table.write_text("id,age\n" + "".join(f"{case},50\n" for case in tree.usable[1:]))
    source = read_training_source(tmp_path, metadata=table)
    assert source.ids == tree.usable
    assert source.cases[0].metadata == {}
    assert source.cohort().column("age") == [None] + [50] * (len(tree.usable) - 1)
    assert f"cases without metadata, only trained on: 1 ({tree.usable[0]})" in source.notices


def test_conditions_and_lists_choose_cases(mama_mia, tmp_path):
    source = read_training_source(mama_mia.root, where='dataset == "ISPY1"')
    assert source.ids == tuple(case for case in mama_mia.usable if case.startswith("ispy1"))
    chosen = tmp_path / "ids.txt"
    chosen.write_text("duke_001\nduke_004\n")
    source = read_training_source(mama_mia.root, cases=str(chosen))
    assert source.ids == ("duke_001",)
    assert source.skipped == {"duke_004": "no label"}


def test_a_cohort_for_the_audit_core(mama_mia):
    source = read_training_source(mama_mia.root)
    chosen = source.ids[3::-1]
    cohort = source.cohort(chosen)
    assert cohort.ids == chosen
    assert cohort.column("dataset") == [name.split("_")[0].upper() for name in chosen]
    assert all(case.prediction is None and case.label is not None for case in cohort)


def write_volumes(folder, stem, phases, *, four_d=False):
    folder.mkdir(parents=True, exist_ok=True)
    image = np.ones((4, 4, 4, phases), np.float32)
    if four_d:
        write_image(folder / f"{stem}.nii.gz", image, affine=np.eye(4))
        return
    for phase in range(phases):
        write_image(folder / f"{stem}_{phase:04d}.nii.gz", image[..., phase], affine=np.eye(4))


def test_an_nnunet_data_set(tmp_path):
    for case in ("P1", "P2", "P3"):
        write_volumes(tmp_path / "imagesTr", case, 2)
        (tmp_path / "labelsTr").mkdir(exist_ok=True)
        write_mask(tmp_path / "labelsTr" / f"{case}.nii.gz", np.ones((4, 4, 4)), affine=np.eye(4))
    (tmp_path / "imagesTr" / "P3_0001.nii.gz").unlink()
    labels = {"background": 0, "tumour": 1, "ignore": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "channel_names": {"0": "a", "1": "b"}}))
    with pytest.raises(ConfigError, match=r"no metadata table in it .* --metadata"):
        read_training_source(tmp_path, phases=2)
    (tmp_path / "metadata.csv").write_text("case,site\nP1,A\nP2,B\nP3,B\n")
    source = read_training_source(tmp_path, phases=2)
    assert source.ids == ("P1", "P2")
    assert source.skipped == {"P3": "1 of 2 phases"}
    assert [path.name for path in source.cases[0].images] == ["P1_0000.nii.gz", "P1_0001.nii.gz"]
    assert source.given_split == {}
    assert source.ignore_label == 2


def test_a_decathlon_list(tmp_path):
    for case in ("P1", "P2"):
        write_volumes(tmp_path / "images", case, 3, four_d=True)
        (tmp_path / "labels").mkdir(exist_ok=True)
        write_mask(tmp_path / "labels" / f"{case}.nii.gz", np.ones((4, 4, 4)), affine=np.eye(4))
    listed = [{"image": f"./images/{case}.nii.gz", "label": f"./labels/{case}.nii.gz"} for case in ("P1", "P2", "P3")]
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"0": "background"}, "training": listed}))
    (tmp_path / "metadata.csv").write_text("patient_id,site\nP1,A\nP2,B\nP3,B\n")
    for data in (tmp_path, tmp_path / "dataset.json"):
        source = read_training_source(data)
        assert source.ids == ("P1", "P2")
        assert source.cases[0].images == (tmp_path / "images" / "P1.nii.gz",)
        assert list(source.skipped) == ["P3"]


def test_the_phantom_can_be_trained_on(tmp_path):
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "phantom", n_cases=3, size=(16, 16, 16))
    source = read_training_source(tmp_path / "phantom")
    assert len(source.cases) == 3
    assert source.columns == ("age", "age_group", "menopause", "breast_density", "site")
    assert source.skipped == {}


def test_tables_of_other_people(mama_mia, tmp_path):
    table = tmp_path / "other.csv"
    table.write_text("id,age\nX1,50\n")
    with pytest.raises(MetadataError):
        read_training_source(mama_mia.root, metadata=table)


def test_a_split_file_that_contradicts_itself(write_tree, tmp_path):
    tree = write_tree(tmp_path, n_cases=8)
    path = tmp_path / "train_test_splits.csv"
    path.write_text(f"train_split,test_split\n{tree.usable[0].upper()},{tree.usable[0].upper()}\n")
    with pytest.raises(InputError, match=f"case {tree.usable[0]} is in train_split and in test_split"):
        read_training_source(tmp_path)
    path.write_text("train,test\na,b\n")
    with pytest.raises(InputError, match="expected the columns train_split and test_split, got train, test"):
        read_training_source(tmp_path)


def numbered_data(root, name, n_cases, *, channels=(0,)):
    """A data set in nnU-Net's folders whose cases are numbered from 0000 on; images bear channels or nothing."""
    voxels = np.zeros((4, 4, 4), np.uint8)
    for number in range(n_cases):
        case = f"{name}_{number:04d}"
        write_mask(root / "labelsTr" / f"{case}.nii.gz", voxels, affine=np.eye(4))
        for channel in channels:
            suffix = "" if channel is None else f"_{channel:04d}"
            write_image(root / "imagesTr" / f"{case}{suffix}.nii.gz", voxels, affine=np.eye(4))
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "lesion": 1}}))
    rows = [f"{name}_{number:04d},{number % 2}\n" for number in range(n_cases)]
    (root / "metadata.csv").write_text("id,sex\n" + "".join(rows))
    return root


@pytest.mark.parametrize("phases", [1, None])
def test_numbered_cases_are_read_as_cases(tmp_path, phases):
    root = numbered_data(tmp_path, "case", 12, channels=(None,))
    source = read_training_source(root, phases=phases)
    # That a name ends in _0000 says nothing where it is the case's own.
    assert source.ids == tuple(f"case_{number:04d}" for number in range(12))
    assert any("12 files in" in text and "read as 12 cases" in text for text in source.notices)


def test_numbered_cases_with_numbered_channels(tmp_path):
    root = numbered_data(tmp_path, "case", 4, channels=(0, 1))
    assert read_training_source(root, phases=2).ids == tuple(f"case_{number:04d}" for number in range(4))
    single = numbered_data(tmp_path / "single", "case", 4)
    with pytest.raises(InputError, match="1 of 2 phases"):
        read_training_source(single, phases=2)


def test_phases_are_those_that_nearly_all_cases_have(mama_mia, tmp_path):
    source = read_training_source(mama_mia.root)
    assert source.phases == 3
    assert "phases: 3, as found in the images; --phases takes fewer" in source.notices
    assert read_training_source(mama_mia.root, phases=4).phases == 4
    for case, phases in (("A", 2), ("B", 2), ("C", 1), ("D", 2)):
        write_volumes(tmp_path / "images", case, phases)
        write_mask(tmp_path / "labels" / f"{case}.nii.gz", np.ones((4, 4, 4)), affine=np.eye(4))
    (tmp_path / "metadata.csv").write_text("id,site\nA,1\nB,2\nC,2\nD,1\n")
    assert read_training_source(tmp_path).phases == 1, "one of four is not odd"
    write_volumes(tmp_path / "images", "E", 2)
    write_mask(tmp_path / "labels" / "E.nii.gz", np.ones((4, 4, 4)), affine=np.eye(4))
    source = read_training_source(tmp_path)
    assert (source.phases, source.skipped) == (2, {"C": "1 of 2 phases"})


def test_an_image_that_cannot_be_read_is_skipped_by_name(tmp_path):
    for case in "ABC":
        write_volumes(tmp_path / "images", case, 1, four_d=True)
        write_mask(tmp_path / "labels" / f"{case}.nii.gz", np.ones((4, 4, 4)), affine=np.eye(4))
    (tmp_path / "images" / "B.nii.gz").write_bytes(b"no image")
    (tmp_path / "labels" / "D.nii.gz").touch()
    write_volumes(tmp_path / "images", "E", 1, four_d=True)
    (tmp_path / "metadata.csv").write_text("id,site\nA,1\nB,2\nC,2\n")
    source = read_training_source(tmp_path)
    assert source.ids == ("A", "C")
    assert "B.nii.gz: is not a NIfTI file" in source.skipped["B"]
    assert {case: source.skipped[case] for case in "DE"} == {"D": "no image", "E": "no label"}


def write_pictures(root, colours):
    for case, colour in colours.items():
        pixels = np.full((4, 5, 3), 9, np.uint8)
        pixels[0, 0, 0] += 9 * colour
        for folder, picture in (("images", pixels), ("labels", np.ones((4, 5), np.uint8))):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / folder / f"{case}.png")
    (root / "metadata.csv").write_text("id,site\n" + "".join(f"{case},1\n" for case in colours))
    return root


def test_pictures_are_grey_or_coloured_as_most_of_them_are(tmp_path):
    mostly_grey = read_training_source(write_pictures(tmp_path / "g", {f"P{n}": n == 3 for n in range(8)}))
    assert mostly_grey.phases == 1
    assert mostly_grey.skipped == {"P3": "3 colours, while most cases have 1 channel"}
    coloured = read_training_source(write_pictures(tmp_path / "c", {f"P{n}": n != 3 for n in range(8)}))
    assert (coloured.phases, coloured.skipped) == (3, {"P3": "1 of 3 phases"})


def test_a_table_of_paths(tmp_path):
    rows = ["id,image1,image2,label,site,split"]
    for number, part in enumerate(("train", "Training", "val", "test", "")):
        write_volumes(tmp_path / "mri", f"P{number}", 2)
        write_mask(tmp_path / "expert" / f"{number}.nii.gz", np.full((4, 4, 4), 2), affine=np.eye(4))
        images = f"mri/P{number}_0000.nii.gz,mri/P{number}_0001.nii.gz"
        rows.append(f"P{number},{images},expert/{number}.nii.gz,S{number % 2},{part}")
    rows.append("P9,mri/P0_0000.nii.gz,,expert/absent.nii.gz,S1,train")
    (tmp_path / "cases.csv").write_text("\n".join(rows))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "lesion": 2}}))
    source = read_training_source(tmp_path / "cases.csv")
    assert source.ids == ("P0", "P1", "P2", "P3", "P4")
    assert source.columns == ("site", "split"), "paths are no metadata"
    assert source.cases[1].metadata == {"site": "S1", "split": "Training"}
    assert [path.name for path in source.cases[1].images] == ["P1_0000.nii.gz", "P1_0001.nii.gz"]
    assert source.cases[1].label == tmp_path / "expert" / "1.nii.gz"
    assert source.given_split == {"P0": "train", "P1": "train", "P2": "validation", "P3": "test"}
    assert source.label_names == {"lesion": (2,)}
    assert source.skipped == {"P9": f"{tmp_path / 'expert' / 'absent.nii.gz'} does not exist"}
    assert source.metadata == tmp_path / "cases.csv"


def test_tables_of_paths_that_cannot_be_trained_on(tmp_path):
    table = tmp_path / "cases.csv"
    table.write_text("id,image,site\na,b,1\n")
    with pytest.raises(InputError, match="names no label; a table to train on needs the columns id, image and label"):
        read_training_source(table)
    table.write_text("id,image,label,split\na,b,c,holdout\n")
    with pytest.raises(InputError, match=r"column split: case a is in 'holdout'; expected one of train, training, val"):
        read_training_source(table)


def test_the_sections_of_a_decathlon_list_are_its_split(tmp_path):
    def entry(case):
        write_volumes(tmp_path / "images", case, 1, four_d=True)
        write_mask(tmp_path / "labels" / f"{case}.nii.gz", np.ones((4, 4, 4)), affine=np.eye(4))
        return {"image": f"./images/{case}.nii.gz", "label": f"./labels/{case}.nii.gz"}

    tree = {
        "labels": {"0": "background", "1": "lesion"},
        "training": [entry("A"), entry("B")],
        "validation": [entry("C")],
        "test": [entry("D"), "./images/X.nii.gz"],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(tree))
    (tmp_path / "metadata.csv").write_text("id,site\nA,1\nB,2\nC,2\nD,1\n")
    source = read_training_source(tmp_path)
    assert source.given_split == {"A": "train", "B": "train", "C": "validation", "D": "test"}
    assert f"{tmp_path / 'dataset.json'}: also lists 1 for validation and 1 for test" in source.notices
    assert source.cases[3].label == tmp_path / "labels" / "D.nii.gz"


def test_regions_are_those_of_the_protocol_in_the_data_set_s_order(tmp_path):
    root = numbered_data(tmp_path, "case", 2, channels=(None,))
    names = {"background": 0, "whole": [1, 2], "core": [2]}
    (root / "dataset.json").write_text(json.dumps({"labels": names, "regions_class_order": [1, 2]}))
    source = read_training_source(root)
    rules = load_protocol("default")
    own = rules.replace(regions={"whole": (1, 2), "core": (2,)})
    assert [region.name for region in source.regions(own).each] == ["whole", "core"]
    other = rules.replace(regions={"core": (2,), "whole": (1, 2)})
    assert source.regions(other) == Regions.of_protocol(other), "an order of other regions says nothing about these"
