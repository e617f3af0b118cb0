"""Structure sets: those of rt-utils give back its masks; contours point by point, holes, slices, and wrong ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom")

import pydicom
from tests.dicom_fixtures import OBLIQUE, edited, write_contours, write_series
from tests.files.dicom import record_rt_utils

from segfair.cases import DicomMask, Grid
from segfair.errors import InputError
from segfair.files.images.masks import read_mask

SHAPE = (16, 14, 8)


def meant(series, **more) -> DicomMask:
    frame = str(series.datasets[0].FrameOfReferenceUID)
    return DicomMask(grid=Grid(series.shape, tuple(map(tuple, series.affine))), frame_of_reference=frame, **more)


def square(left, top, right, bottom, at) -> np.ndarray:
    return np.array([[left, top, at], [right, top, at], [right, bottom, at], [left, bottom, at]], float)


@pytest.fixture
def series(tmp_path: Path):
    return write_series(tmp_path / "images", orientation=OBLIQUE)


@pytest.mark.parametrize("orientation", ["axial", "oblique"])
@pytest.mark.parametrize("names", [["lesion"], ["hollow"], ["lesion", "node"]])
def test_contours_through_the_outermost_centres_give_the_mask_back(tmp_path, orientation, names):
    path = record_rt_utils.recorded(orientation)
    frame = pydicom.dcmread(path).ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID
    series = record_rt_utils.imaged(tmp_path, orientation, str(frame))
    values = {list(record_rt_utils.MASKS).index(name) + 1: value for value, name in enumerate(names, start=1)}
    found = read_mask(path, dicom=meant(series, values=values))
    wanted = sum(value * record_rt_utils.MASKS[name] for value, name in enumerate(names, start=1))
    assert (found.array == wanted).all()
    np.testing.assert_allclose(found.affine, series.affine, atol=1e-12)


def test_a_square_is_the_voxels_whose_centres_it_holds(tmp_path, series):
    path = write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, 4)]})
    found = read_mask(path, dicom=meant(series)).array
    assert found[2:6, 3:7, 4].all()
    assert found.sum() == 16


def test_holes_islands_and_neighbours_are_told_by_parity(tmp_path, series):
    contours = [square(1, 1, 10, 10, 2), square(2.5, 2.5, 8.5, 8.5, 2), square(4, 4, 5, 5, 2), square(12, 1, 13, 2, 2)]
    for kind in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
        path = write_contours(tmp_path / "rs", series, {"GTV": contours}, kind=kind)
        found = read_mask(path, dicom=meant(series)).array
        assert found.sum() == 100 - 36 + 4 + 4
        assert not found[3, 3, 2]
        assert found[4, 5, 2]


def test_a_little_beside_the_slice_is_rounding_and_more_is_told(tmp_path, series):
    near = read_mask(write_contours(tmp_path / "a", series, {"GTV": [square(2, 3, 5, 6, 4.005)]}), dicom=meant(series))
    assert near.array.sum() == 16
    assert near.notes == ()
    beside = read_mask(write_contours(tmp_path / "b", series, {"GTV": [square(2, 3, 5, 6, 3.8)]}), dicom=meant(series))
    assert beside.array[..., 4].sum() == 16
    assert beside.notes == ("GTV: contours lie up to 0.2 of a slice beside their slices, and were put onto them",)


@pytest.mark.parametrize("at", [3.5, 3.7])
def test_between_the_slices_it_is_refused(tmp_path, series, at):
    path = write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, at)]})
    with pytest.raises(InputError, match=r"GTV: a contour lies .* of a slice beside the slices"):
        read_mask(path, dicom=meant(series))


def test_a_contour_across_slices_is_refused(tmp_path, series):
    tilted = square(2, 3, 5, 6, 4)
    tilted[2:, 2] = 5
    with pytest.raises(InputError, match="or across them"):
        read_mask(write_contours(tmp_path / "rs", series, {"GTV": [tilted]}), dicom=meant(series))


@pytest.mark.parametrize("at", [-1, 8, 4000])
def test_a_contour_outside_of_the_series_is_refused(tmp_path, series, at):
    path = write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, at)]})
    with pytest.raises(InputError, match="outside of its image series"):
        read_mask(path, dicom=meant(series))


def test_points_and_small_contours_are_told(tmp_path, series):
    path = write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, 4), square(2, 11, 5, 14, 4)[:2]]})
    found = read_mask(path, dicom=meant(series))
    assert found.array.sum() == 16 + 4
    assert "1 contours of one or two points enclose nothing but the centres on them" in found.notes[0]
    points = read_mask(
        write_contours(tmp_path / "p", series, {"GTV": [square(2, 3, 5, 6, 4)]}, kind="POINT"), dicom=meant(series)
    )
    assert not points.array.any()
    assert points.notes == ("GTV: 1 points or open lines enclose nothing and are passed over", "GTV: has no contour")


def test_slices_without_a_contour_in_between_are_told(tmp_path, series):
    path = write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, at) for at in (1, 3, 5)]})
    found = read_mask(path, dicom=meant(series))
    assert found.notes == ("GTV: 2 slices between the first and the last contour have none and are background",)


def test_regions_are_chosen_by_value_and_overlaps_refused(tmp_path, series):
    path = write_contours(tmp_path / "rs", series, {"BODY": [square(0, 0, 10, 10, 4)], "GTV": [square(2, 3, 5, 6, 4)]})
    assert read_mask(path, dicom=meant(series, values={2: 1})).array.sum() == 16
    with pytest.raises(InputError, match="BODY and GTV overlap"):
        read_mask(path, dicom=meant(series))


def test_without_its_series_there_is_no_grid(tmp_path, series):
    path = write_contours(tmp_path / "rs.dcm", series, {"GTV": [square(2, 3, 5, 6, 4)]})
    with pytest.raises(InputError, match=f"series {series.uid} is not at hand; name its folder with --dicom-series"):
        read_mask(path)


def test_another_frame_of_reference_is_refused(tmp_path, series):
    path = write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, 4)]}, frame="1.2.3")
    with pytest.raises(InputError, match="another frame of reference"):
        read_mask(path, dicom=meant(series))


def contour_of(dataset):
    return dataset.ROIContourSequence[0].ContourSequence[0]


HOSTILE = {
    "nan": (lambda ds: setattr(contour_of(ds), "ContourData", ["nan"] * 12), "NaN"),
    "half a point": (
        lambda ds: setattr(contour_of(ds), "ContourData", ["1"] * 11),
        "11 coordinates, not three a point",
    ),
    "far away": (lambda ds: setattr(contour_of(ds), "ContourData", ["1e9"] * 12), "outside of its image series"),
    "in the slice and far away": (
        lambda ds: setattr(contour_of(ds), "ContourData", [*contour_of(ds).ContourData[:3], "1e12", "0", "0"]),
        "outside of its image series|beside the slices",
    ),
    "nothing described": (lambda ds: delattr(ds, "StructureSetROISequence"), "describes no segment or region"),
    "words": (lambda ds: setattr(contour_of(ds), "ContourData", "none"), "rs"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_the_file_of_a_stranger_is_refused_by_name(tmp_path, series, what):
    change, message = HOSTILE[what]
    path = write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, 4)]})
    try:
        edited(path, change)
    except (ValueError, TypeError):
        pytest.skip("pydicom does not write it")
    with pytest.raises(InputError, match=message) as caught:
        read_mask(path, dicom=meant(series))
    assert str(path) in str(caught.value)


def test_empty_contours_and_regions_are_background(tmp_path, series):
    def change(dataset):
        contour_of(dataset).ContourData = None
        contour_of(dataset).NumberOfContourPoints = 0

    path = edited(write_contours(tmp_path / "rs", series, {"GTV": [square(2, 3, 5, 6, 4)]}), change)
    found = read_mask(path, dicom=meant(series))
    assert not found.array.any()
    assert found.notes == ("GTV: has no contour",)
