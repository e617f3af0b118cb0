"""Segmentations written by highdicom, read here: every kind, geometry, overlaps, and files of strangers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom")

from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, JPEGLSLossless, RLELossless
from tests.dicom_fixtures import AXIAL, OBLIQUE, ball, edited, write_seg, write_series

from segfair.cases import DicomMask, Grid
from segfair.errors import InputError
from segfair.files.images.masks import read_image, read_mask

SHAPE = (16, 14, 8)
GTV, NODE = ball(SHAPE, (7, 6, 3), 2.6), ball(SHAPE, (11, 9, 5), 2)


def grid_of(series) -> Grid:
    return Grid(series.shape, tuple(map(tuple, series.affine)))


@pytest.fixture
def series(tmp_path: Path):
    return write_series(tmp_path / "images", orientation=OBLIQUE)


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
@pytest.mark.parametrize("omit", [True, False])
def test_it_is_the_mask_that_was_written(tmp_path, orientation, kind, omit):
    series = write_series(tmp_path / "images", orientation=orientation)
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV, "node": NODE}, kind=kind, omit_empty_frames=omit)
    found = read_mask(path, dicom=DicomMask(grid=grid_of(series)))
    assert (found.array == GTV + 2 * NODE).all()
    assert found.bounded
    np.testing.assert_allclose(found.affine, series.affine, atol=1e-12)
    assert found.spacing_mm == pytest.approx((0.8, 1.2, 2.5))


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_frames_are_read(tmp_path, series, syntax):
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV}, kind="FRACTIONAL", transfer_syntax=syntax)
    assert (read_mask(path, dicom=DicomMask(grid=grid_of(series))).array == GTV).all()


def test_without_its_series_it_lies_on_its_own_frames(tmp_path, series):
    found = read_mask(write_seg(tmp_path / "a.dcm", series, {"GTV": GTV}))
    used = np.flatnonzero(GTV.any(axis=(0, 1)))
    assert found.shape == (16, 14, len(used))
    assert not found.bounded
    assert (found.array == GTV[:, :, used]).all()
    np.testing.assert_allclose(found.affine[:, 3], series.affine @ [0, 0, used[0], 1], atol=1e-9)


def test_frames_may_be_left_out_in_the_middle(tmp_path, series):
    gap = GTV.copy()
    gap[:, :, 3] = False
    found = read_mask(write_seg(tmp_path / "a.dcm", series, {"GTV": gap}))
    used = np.flatnonzero(GTV.any(axis=(0, 1)))
    assert (found.array == gap[:, :, used]).all()


def test_frames_beside_the_slices_of_the_series_keep_their_own_grid(tmp_path, series):
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV})
    moved = series.affine.copy()
    moved[:3, 3] += 0.5 * moved[:3, 2]
    found = read_mask(path, dicom=DicomMask(grid=Grid(series.shape, tuple(map(tuple, moved)))))
    assert not found.bounded
    assert found.shape[2] < series.shape[2]


def test_segments_are_chosen_and_named_by_values(tmp_path, series):
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV, "node": NODE})
    assert (read_mask(path, dicom=DicomMask({2: 7}, grid=grid_of(series))).array == 7 * NODE).all()
    assert not read_mask(path, dicom=DicomMask({}, grid=grid_of(series))).array.any()


def test_an_overlap_is_refused_unless_it_does_not_matter(tmp_path, series):
    whole = ball(SHAPE, (7, 6, 3), 4.5)
    path = write_seg(tmp_path / "a.dcm", series, {"breast": whole, "tumour": GTV})
    place = grid_of(series)
    with pytest.raises(InputError, match=r"breast and tumour overlap, here in .* --label"):
        read_mask(path, dicom=DicomMask({1: 1, 2: 2}, grid=place))
    assert (read_mask(path, dicom=DicomMask({1: 1, 2: 1}, grid=place)).array == whole).all()
    assert (read_mask(path, dicom=DicomMask({2: 2}, grid=place)).array == 2 * GTV).all()
    found = read_mask(path, dicom=DicomMask({1: 9, 2: 1}, beneath=(1,), grid=place)).array
    assert ((found == 1) == GTV).all()
    assert ((found != 0) == whole).all()


def test_fractions_are_a_map_and_no_mask(tmp_path, series):
    soft = GTV * np.float32(0.6)
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": soft}, kind="FRACTIONAL")
    with pytest.raises(InputError, match=r"is fractional: a probability map, with values such as 0.6"):
        read_mask(path)
    found = read_image(path, dicom=DicomMask(grid=grid_of(series)))
    np.testing.assert_allclose(found.array, np.round(soft * 255) / 255, atol=1e-6)


def test_a_binary_one_is_a_map_of_0_and_1(tmp_path, series):
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV, "node": NODE})
    assert set(np.unique(read_image(path).array)) == {0.0, 1.0}


def test_another_frame_of_reference_is_refused(tmp_path, series):
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV})
    with pytest.raises(InputError, match="another frame of reference"):
        read_mask(path, dicom=DicomMask(grid=grid_of(series), frame_of_reference="1.2.3"))


def test_the_problem_of_its_case_is_told(tmp_path, series):
    path = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV})
    with pytest.raises(InputError, match=r"a\.dcm: is somewhere else"):
        read_mask(path, dicom=DicomMask(problem="is somewhere else"))


def remove(*keywords):
    def change(dataset):
        for keyword in keywords:
            delattr(dataset, keyword)

    return change


def put(**values):
    def change(dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def measures(dataset):
    return dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]


def first_frame(dataset):
    return dataset.PerFrameFunctionalGroupsSequence[0]


def as_video(dataset):
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    dataset.PixelData = encapsulate([b"frame"] * dataset.NumberOfFrames)
    dataset["PixelData"].VR = "OB"


HOSTILE = {
    "no pixels": (remove("PixelData"), "has no pixel data"),
    "another kind": (put(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "is no segmentation but an object of SEG"),
    "a million frames": (put(NumberOfFrames=1_000_000), "says it has 1000000 frames and describes"),
    "frames that are no number": (put(NumberOfFrames=None), "says it has 1 frames and describes"),
    "no segments": (remove("SegmentSequence"), "describes no segment"),
    "a frame of an unknown segment": (
        lambda ds: setattr(first_frame(ds).SegmentIdentificationSequence[0], "ReferencedSegmentNumber", 9),
        "has frames of segment 9, which it does not describe",
    ),
    "a frame of no segment": (
        lambda ds: delattr(first_frame(ds), "SegmentIdentificationSequence"),
        "has frames of no segment",
    ),
    "no type": (remove("SegmentationType"), "Segmentation Type is missing"),
    "a frame without a place": (
        lambda ds: delattr(first_frame(ds), "PlanePositionSequence"),
        "do not say where they lie",
    ),
    "a frame at nan": (
        lambda ds: setattr(first_frame(ds).PlanePositionSequence[0], "ImagePositionPatient", [float("nan"), 0.0, 0.0]),
        "do not say where they lie|cannot be read as DICOM",
    ),
    "no spacing": (lambda ds: delattr(measures(ds), "PixelSpacing"), "do not say where they lie"),
    "a spacing of zero": (lambda ds: setattr(measures(ds), "PixelSpacing", [0, 0]), "do not say where they lie"),
    "skewed axes": (
        lambda ds: setattr(
            ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0],
            "ImageOrientationPatient",
            [1, 0, 0, 0.7, 0.7, 0],
        ),
        "is not two directions at right angles",
    ),
    "fewer pixels than it says": (lambda ds: setattr(ds, "PixelData", ds.PixelData[:20]), "cannot be read as DICOM"),
    "more rows than pixels": (put(Rows=60000, Columns=60000), "cannot be read|more memory|differ"),
    "no rows": (put(Rows=0), "do not say where they lie|cannot be read"),
    "an unknown syntax": (lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", "1.2.3.4"), "cannot be read as DICOM"),
    "a syntax that nothing here reads": (as_video, "cannot be read as DICOM"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_the_file_of_a_stranger_is_refused_by_name(tmp_path, series, what):
    change, message = HOSTILE[what]
    path = edited(write_seg(tmp_path / "a.dcm", series, {"GTV": GTV, "node": NODE}), change)
    with pytest.raises(InputError, match=message) as caught:
        read_mask(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"not DICOM at all", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 99]
)
def test_no_dicom_behind_the_name(tmp_path, content):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.dcm"):
        read_mask(path)


def test_cut_off_anywhere_it_is_an_error_of_that_file(tmp_path, series):
    whole = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV}).read_bytes()
    path = tmp_path / "b.dcm"
    for length in np.linspace(1, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"b\.dcm"):
            read_mask(path)


def test_bytes_turned_at_random_are_a_mask_or_an_error_of_that_file(tmp_path, series):
    whole = write_seg(tmp_path / "a.dcm", series, {"GTV": GTV}).read_bytes()
    path, rng = tmp_path / "b.dcm", np.random.default_rng(0)
    n_refused = 0
    for _ in range(80):
        content = bytearray(whole)
        for at in rng.integers(132, len(whole), 6):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        try:
            read_mask(path)
        except InputError as error:
            n_refused += 1
            assert str(path) in str(error)
    assert n_refused > 5
