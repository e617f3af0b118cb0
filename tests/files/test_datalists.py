"""`dataset.json` in its forms, lists of cases, nnU-Net's splits, tables of paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segfair.errors import ConfigError, InputError, MetadataError, PairingError
from segfair.files.datalists import ListedCase, is_path_table, read_case_list, read_dataset, read_path_table


def write(path: Path, tree: object) -> Path:
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path


@pytest.mark.parametrize(
    ("labels", "names", "ignore"),
    [
        ({"background": 0, "whole": [1, 2, 3], "ignore": 4}, {"whole": (1, 2, 3)}, 4),
        ({"background": 0, "b": 2, "a": [1]}, {"b": (2,), "a": (1,)}, None),
        ({"0": "background", "1": "tumour"}, {"tumour": (1,)}, None),
        ({"0": "background", "1": "lesion", "2": "lesion"}, {"lesion": (1, 2)}, None),
        ({"background": 0, "x": "1"}, {"x": (1,)}, None),
        ({"anything": [0], "x": [1, 1]}, {"x": (1,)}, None),
        ({}, {}, None),
    ],
)
def test_forms_of_labels(tmp_path, labels, names, ignore):
    dataset = read_dataset(write(tmp_path / "dataset.json", {"labels": labels}))
    assert dataset.label_names == names
    assert list(dataset.label_names) == list(names)
    assert dataset.ignore_label == ignore


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("{", r"not JSON \(line 1, column 2"),
        ([], "expected a JSON object"),
        ({"labels": ["a"]}, "labels must be an object"),
        ({"labels": {"a": 0.5}}, "label 'a' must be a whole number"),
        ({"labels": {"a": True}}, "label 'a' must be a whole number"),
        ({"labels": {"a": []}}, "label 'a' must be a whole number"),
        ({"labels": {"a": [0, 1]}}, "region 'a' holds 0"),
        ({"labels": {"ignore": [3, 4]}}, "ignore label must be one number"),
        ({"training": ["a.nii.gz"]}, "training case 1 must be an object"),
        ({"training": [{"image": 3, "label": "a"}]}, "training case 1 must be an object"),
        ({"dataset": {"P1": {"images": "a", "label": ["b"]}}}, "training case P1 must be an object"),
    ],
)
def test_broken_dataset_files_say_what_is_wrong(tmp_path, tree, message):
    path = write(tmp_path / "dataset.json", tree)
    with pytest.raises(InputError, match=message) as caught:
        read_dataset(path)
    assert str(path) in str(caught.value)


def test_listed_cases_are_relative_to_the_file(tmp_path):
    tree = {"training": [{"image": ["./i/a_0.nii", "i/a_1.nii"], "label": "/else/a.nii"}, {"image": "b.nii"}]}
    assert read_dataset(write(tmp_path / "d.json", tree)).cases == (
        ListedCase("", Path("/else/a.nii"), (tmp_path / "i/a_0.nii", tmp_path / "i/a_1.nii")),
        ListedCase("", None, (tmp_path / "b.nii",)),
    )
    tree = {"training": 20, "dataset": {"P1": {"images": ["i.nii"], "label": "l.nii"}}}
    assert read_dataset(write(tmp_path / "d.json", tree)).cases == (
        ListedCase("P1", tmp_path / "l.nii", (tmp_path / "i.nii",)),
    )
    assert read_dataset(write(tmp_path / "d.json", {"training": 20})).cases == ()


def test_case_list_of_lines(tmp_path):
    path = tmp_path / "cases:of today.txt"
    path.write_bytes("\ufeff# test set\nP2\n\n  P1.nii.gz \nP2\r\n0012\n12.0\n".encode())
    assert read_case_list(str(path)) == ["P2", "P1", "0012", "12.0"]


def test_case_list_of_a_fold(tmp_path):
    path = write(tmp_path / "splits_final.json", [{"train": ["a"], "val": ["b", "c"]}, {"train": ["b"], "val": ["a"]}])
    assert read_case_list(f"{path}:0") == ["b", "c"]
    assert read_case_list(f"{path}:1") == ["a"]
    with pytest.raises(ConfigError, match=r"holds 2 folds; name one of 0, 1: .*splits_final\.json:0"):
        read_case_list(str(path))
    for fold in ("2", "-1", "all"):
        with pytest.raises(ConfigError, match="no such fold; there are 0, 1"):
            read_case_list(f"{path}:{fold}")


def test_case_lists_that_name_nothing(tmp_path):
    (tmp_path / "empty.txt").write_text("# none\n")
    (tmp_path / "latin.txt").write_bytes(b"P\xe91\n")
    with pytest.raises(InputError, match="names no case"):
        read_case_list(str(tmp_path / "empty.txt"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_case_list(str(tmp_path / "latin.txt"))
    for spec in ("gone.txt", "gone.json:0"):
        with pytest.raises(InputError, match=r"gone\.(txt|json): no such file"):
            read_case_list(str(tmp_path / spec))
    write(tmp_path / "other.json", {"a": 1})
    with pytest.raises(InputError, match="expected nnU-Net's splits"):
        read_case_list(f"{tmp_path / 'other.json'}:0")


def test_held_out_cases_are_those_with_a_label_in_other_sections(tmp_path):
    tree = {
        "labels": {"0": "background", "1": "tumour"},
        "training": [{"image": "a.nii", "label": "la.nii"}],
        "validation": [{"image": ["b0.nii", "b1.nii"], "label": "lb.nii"}],
        "test": ["c.nii", {"image": "d.nii"}, {"image": "e.nii", "label": "le.nii"}],
    }
    dataset = read_dataset(write(tmp_path / "dataset.json", tree))
    assert [case.label for case in dataset.cases] == [tmp_path / "la.nii"]
    assert dataset.held_out == (
        ListedCase("", tmp_path / "lb.nii", (tmp_path / "b0.nii", tmp_path / "b1.nii"), "validation"),
        ListedCase("", tmp_path / "le.nii", (tmp_path / "e.nii",), "test"),
    )
    tree["test"] = [{"image": 3, "label": "x"}]
    with pytest.raises(InputError, match=r"test case 1 must be an object such as"):
        read_dataset(write(tmp_path / "dataset.json", tree))


def test_the_order_in_which_regions_are_written(tmp_path):
    tree = {"labels": {"background": 0, "whole": [1, 2]}, "regions_class_order": [2, 1]}
    assert read_dataset(write(tmp_path / "dataset.json", tree)).regions_class_order == (2, 1)
    with pytest.raises(InputError, match="regions_class_order must be a list of whole numbers, got 'x'"):
        read_dataset(write(tmp_path / "dataset.json", {**tree, "regions_class_order": "x"}))


# Tables of paths


def write_table(folder: Path, text: str) -> Path:
    (folder / "cases.csv").write_text(text)
    return folder / "cases.csv"


def test_files_are_found_from_the_table_on_and_the_rest_is_metadata(tmp_path: Path) -> None:
    listed = read_path_table(
        write_table(
            tmp_path, "ID,site,Image,label,prediction\n0012,A,i/a.nii,l/a.nii,p/a.nii\nb,B,/else/b.nii,,p/b.nii\n"
        )
    )
    assert listed.ids == ("0012", "b")
    assert listed.id_column == "ID"
    assert listed.columns == ("site",)
    assert listed.images == {"0012": (tmp_path / "i/a.nii",), "b": (Path("/else/b.nii"),)}
    assert listed.files == {
        "label": {"0012": tmp_path / "l/a.nii"},
        "prediction": {"0012": tmp_path / "p/a.nii", "b": tmp_path / "p/b.nii"},
    }


@pytest.mark.parametrize("names", [("image1", "image2", "image10"), ("image_0000", "image_0001", "image_0002")])
def test_channels_come_by_their_numbers(tmp_path: Path, names: tuple[str, ...]) -> None:
    last, first, second = names[2], names[0], names[1]
    listed = read_path_table(write_table(tmp_path, f"id,{last},{first},{second}\na,3,1,2\nb,3,1,\nc,,,\n"))
    assert [path.name for path in listed.images["a"]] == ["1", "2", "3"]
    assert [path.name for path in listed.images["b"]] == ["1"], "the third does not take the place of the second"
    assert "c" not in listed.images


def test_what_is_no_table_of_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs the column id; its columns are case, image"):
        read_path_table(write_table(tmp_path, "case,image\na,b\n"))
    with pytest.raises(InputError, match=r"names no files; expected columns such as image and label"):
        read_path_table(write_table(tmp_path, "id,age\na,50\n"))
    with pytest.raises(InputError, match="row 2 has no id"):
        read_path_table(write_table(tmp_path, "id,image\na,b\n,c\n"))
    with pytest.raises(PairingError, match="the id a is in rows 1 and 3; keep one of them"):
        read_path_table(write_table(tmp_path, "id,image\na,b\nc,d\na,e\n"))
    with pytest.raises(MetadataError, match="does not exist"):
        read_path_table(tmp_path / "absent.csv")
    assert is_path_table(tmp_path / "absent.csv")
    assert not is_path_table(tmp_path)
    assert not is_path_table(tmp_path / "dataset.json")
