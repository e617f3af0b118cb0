"""Breast boxes: which axis is which, and when a box is doubted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from segfair.errors import InputError
from segfair.files.images.masks import write_mask
from segfair.mitigation.data.boxes import BreastBox, box_notice, find_boxes, read_box
from segfair.mitigation.data.regions import Regions

CORNERS = {"x_min": 5, "x_max": 9, "y_min": 2, "y_max": 6, "z_min": 0, "z_max": 3}


def write_box(path, corners):
    path.write_text(json.dumps({"primary_lesion": {"breast_coordinates": corners}}))
    return path


def test_z_is_the_first_stored_axis_and_x_the_last(tmp_path):
    box = read_box(write_box(tmp_path / "a.json", CORNERS))
    mask = np.zeros((10, 11, 12), bool)
    mask[1, 3, 7] = mask[4, 3, 7] = mask[1, 6, 7] = mask[1, 3, 9] = True
    # What the public pipelines write down: array[z_min:z_max, y_min:y_max, x_min:x_max].
    expected = np.zeros_like(mask)
    expected[0:3, 2:6, 5:9] = mask[0:3, 2:6, 5:9]
    assert box is not None
    np.testing.assert_array_equal(box.restrict(mask), expected)
    assert expected.sum() == 1
    assert box.share_inside(mask) == 0.25
    assert box.reversed().ranges == ((5, 9), (2, 6), (0, 3))


def test_a_box_beyond_the_image_is_cut_to_it():
    box = BreastBox(((0, 100), (0, 100), (2, 100)))
    np.testing.assert_array_equal(box.restrict(np.ones((3, 3, 3), bool)).sum(axis=(0, 1)), [0, 0, 9])


def test_nothing_can_be_said_of_an_empty_mask():
    assert BreastBox(((0, 1), (0, 1), (0, 1))).share_inside(np.zeros((3, 3, 3), bool)) is None


def test_a_box_that_misses_most_of_a_lesion_is_named(tmp_path):
    label = np.zeros((10, 10, 10), np.uint8)
    label[6:9, 4:6, 0:2] = 1
    file = tmp_path / "l.nii.gz"
    write_mask(file, label, affine=np.eye(4))
    swapped = BreastBox(((0, 3), (3, 7), (5, 10)))
    assert box_notice("P1", swapped, file, Regions()) == (
        "case P1: the breast box holds 0% of the lesion; with x as the first stored axis it would hold 100%"
    )
    elsewhere = BreastBox(((0, 3), (3, 7), (3, 7)))
    assert (
        box_notice("P1", elsewhere, file, Regions.of_values("any")) == "case P1: the breast box holds 0% of the lesion"
    )
    assert box_notice("P1", swapped.reversed(), file, Regions()) is None
    # Half of it is enough not to be doubted, a third is not.
    assert box_notice("P1", BreastBox(((6, 9), (4, 5), (0, 2))), file, Regions()) is None
    assert "33%" in (box_notice("P1", BreastBox(((6, 7), (4, 6), (0, 2))), file, Regions()) or "")
    # Another label value is no lesion.
    assert box_notice("P1", swapped, file, Regions.of_values((2,))) is None


def test_files_without_a_box_and_broken_ones(tmp_path):
    (tmp_path / "none.json").write_text('{"patient_id": "x"}')
    assert read_box(tmp_path / "none.json") is None
    (tmp_path / "list.json").write_text("[]")
    assert read_box(tmp_path / "list.json") is None
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_box(tmp_path / "bad.json")
    for change in ({"x_max": 5}, {"x_min": -1}, {"y_max": 5.5}):
        with pytest.raises(InputError, match="no range of voxels"):
            read_box(write_box(tmp_path / "c.json", CORNERS | change))
    for change in ({"z_min": None}, {"z_min": "deep"}):
        with pytest.raises(InputError, match="lack a number z_min"):
            read_box(write_box(tmp_path / "c.json", CORNERS | change))
    assert read_box(write_box(tmp_path / "f.json", CORNERS | {"x_min": 5.0})) == read_box(
        write_box(tmp_path / "i.json", CORNERS)
    )


def test_boxes_are_found_in_either_folder(tmp_path):
    inner = tmp_path / "patient_info_files"
    inner.mkdir()
    write_box(inner / "DUKE_001.json", CORNERS)
    assert find_boxes(tmp_path) == find_boxes(inner) == {"duke_001": inner / "DUKE_001.json"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no ID\.json"):
        find_boxes(tmp_path / "empty")
    with pytest.raises(InputError, match="no such folder"):
        find_boxes(tmp_path / "absent")
