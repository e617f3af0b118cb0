"""What a tree holds, whatever its files are called; series grids, missing slices, names of cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom")

from tests.dicom_fixtures import OBLIQUE, ball, write_contours, write_seg, write_series

from segfair.errors import InputError, PairingError
from segfair.files.dicom.index import dicom_masks, holds_dicom, index_dicom, named_objects
from segfair.files.layouts import find_labels

SHAPE = (16, 14, 8)
GTV = ball(SHAPE, (7, 6, 3), 2.6)
SQUARE = np.array([[2, 3, 4], [5, 3, 4], [5, 6, 4]], float)


def test_masks_and_series_are_told_by_what_they_are(tmp_path: Path):
    series = write_series(tmp_path / "study" / "CT", orientation=OBLIQUE)
    write_seg(tmp_path / "study" / "1.2.3", series, {"GTV": GTV})
    write_contours(tmp_path / "deep" / "er" / "RS", series, {"GTV": [SQUARE], "": [SQUARE]})
    (tmp_path / "study" / "notes.txt").write_text("no DICOM")
    (tmp_path / "study" / "broken.dcm").write_bytes(b"no DICOM either")
    (tmp_path / "study" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    found = index_dicom([tmp_path])
    contours, segmentation = sorted(found.masks, key=lambda entry: not entry.needs_series)
    assert segmentation.structures == {1: "GTV"}
    assert contours.structures == {1: "GTV", 2: "ROI 2"}
    assert segmentation.series == contours.series == (series.uid,)
    assert segmentation.patient == contours.patient == "P1"
    assert set(found.series) == {series.uid}
    grid, n_absent = found.series[series.uid].grid()
    assert (grid.shape, n_absent) == (SHAPE, 0)
    np.testing.assert_allclose(np.array(grid.affine), series.affine, atol=1e-12)
    assert [path.name for path in found.unreadable] == ["broken.dcm"]
    assert found.notices[0].startswith("DICOM files that cannot be read, passed over: 1 (")
    assert dicom_masks(tmp_path) == [contours.path, segmentation.path]


def test_a_file_below_two_folders_counts_once(tmp_path):
    series = write_series(tmp_path / "CT")
    write_seg(tmp_path / "CT" / "seg.dcm", series, {"GTV": GTV})
    assert len(index_dicom([tmp_path, tmp_path / "CT", tmp_path / "CT" / "seg.dcm"]).masks) == 1


def test_a_folder_without_dicom_holds_none(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"x")
    assert not holds_dicom(tmp_path)
    assert dicom_masks(tmp_path) == []
    assert dicom_masks(tmp_path / "absent") == []


def test_a_missing_slice_leaves_the_grid_and_is_counted(tmp_path):
    series = write_series(tmp_path, leave_out=[3, 5])
    grid, n_absent = index_dicom([tmp_path]).series[series.uid].grid()
    assert (grid.shape, n_absent) == (SHAPE, 2)
    np.testing.assert_allclose(np.array(grid.affine), series.affine, atol=1e-12)


def moved(series, at, by):
    """A series one of whose slices lies elsewhere."""
    dataset = series.datasets[at]
    dataset.ImagePositionPatient = [float(x) + y for x, y in zip(dataset.ImagePositionPatient, by, strict=True)]
    for path in series.folder.iterdir():
        if path.name.endswith(dataset.SOPInstanceUID[-6:]):
            dataset.save_as(path, enforce_file_format=True)


def test_uneven_slices_make_no_volume(tmp_path):
    series = write_series(tmp_path)
    moved(series, 3, [0, 0, 1.2])
    with pytest.raises(
        InputError, match=f"series {series.uid} in {tmp_path}: its slices are not evenly spaced: 1.3, 2.5, 3.7 mm"
    ):
        index_dicom([tmp_path]).series[series.uid].grid()


def test_positions_rounded_by_a_scanner_are_even(tmp_path):
    series = write_series(tmp_path, spacing=(0.8, 1.2, 1.25))
    moved(series, 3, [0, 0, 0.05])
    assert index_dicom([tmp_path]).series[series.uid].grid()[0].shape == SHAPE


def test_a_tilted_gantry_gives_a_sheared_grid(tmp_path):
    series = write_series(tmp_path)
    for at in range(SHAPE[2]):
        moved(series, at, [0, 0.5 * at, 0])
    grid, _ = index_dicom([tmp_path]).series[series.uid].grid()
    np.testing.assert_allclose(np.array(grid.affine)[:3, 2], [0, -0.5, 2.5])


def test_a_localizer_among_the_slices_is_told(tmp_path):
    series = write_series(tmp_path)
    series.datasets[2].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    moved(series, 2, [0, 0, 0])
    with pytest.raises(InputError, match="differ in direction or pixel spacing"):
        index_dicom([tmp_path]).series[series.uid].grid()


def test_images_without_a_place_make_no_grid(tmp_path):
    series = write_series(tmp_path)
    del series.datasets[2].ImagePositionPatient
    for path in tmp_path.iterdir():
        if path.name.endswith(series.datasets[2].SOPInstanceUID[-6:]):
            series.datasets[2].save_as(path, enforce_file_format=True)
    with pytest.raises(InputError, match="1 images do not say where they lie"):
        index_dicom([tmp_path]).series[series.uid].grid()


def test_a_case_is_its_patient_and_the_end_of_a_uid_where_there_are_several(tmp_path):
    one, first, second = (
        write_series(tmp_path / name, patient=patient) for name, patient in (("a", "P1"), ("b", "P2"), ("c", "P2"))
    )
    for series in (one, first, second):
        write_seg(tmp_path / "masks" / f"{series.folder.name}.dcm", series, {"GTV": GTV})
    named = named_objects(index_dicom([tmp_path]), "labels")
    ends = {series.datasets[0].StudyInstanceUID.rpartition(".")[2] for series in (first, second)}
    assert set(named) == {"P1", *(f"P2_{end}" for end in ends)}


def test_two_masks_of_one_series_are_refused(tmp_path):
    series = write_series(tmp_path / "CT")
    for name in ("a", "b"):
        write_seg(tmp_path / name, series, {"GTV": GTV})
    with pytest.raises(PairingError, match=r"case P1 has two masks of one image series, .*; keep one of them"):
        find_labels(tmp_path)


def test_images_alone_are_no_labels(tmp_path):
    write_series(tmp_path / "CT")
    with pytest.raises(InputError, match="holds 1 image series of DICOM and no mask"):
        find_labels(tmp_path)


def test_a_tree_and_a_file_are_labels(tmp_path):
    series = write_series(tmp_path / "CT")
    path = write_seg(tmp_path / "x" / "a", series, {"GTV": GTV})
    for where in (tmp_path, path):
        found = find_labels(where)
        assert (found.kind, found.files) == ("dicom", {"P1": path})
