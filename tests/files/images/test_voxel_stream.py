"""Voxels read slice by slice: against NumPy and SimpleITK, and what is read and kept of them."""

from __future__ import annotations

import gzip
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segfair.errors import InputError
from segfair.files.images.masks import read_image, read_mask
from segfair.files.images.voxel_stream import open_stream, read_occupied

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)
TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


@settings(max_examples=120, deadline=None)
@given(
    st.data(),
    SHAPES,
    st.sampled_from(["u1", "<i2", ">i2", "<f4", ">f8"]),
    st.sampled_from(["plain", "gzip", "two members"]),
)
def test_what_is_kept_is_the_whole_around_which_all_is_0(
    data: st.DataObject, shape: tuple[int, ...], dtype: str, packed: str
) -> None:
    voxels = data.draw(hnp.arrays(np.dtype(dtype), shape, elements=st.integers(0, 2), fill=st.just(0)))
    content = voxels.tobytes(order="F")
    half = len(content) // 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voxels"
        if packed == "plain":
            path.write_bytes(content)
        elif packed == "gzip":
            path.write_bytes(gzip.compress(content))
        else:
            path.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]))
        with open_stream(path, packed="" if packed == "plain" else None) as stream:
            part, corner = read_occupied(stream, voxels.dtype, shape, path)
    whole = np.zeros(shape, dtype)
    whole[tuple(slice(low, low + length) for low, length in zip(corner, part.shape, strict=True))] = part
    np.testing.assert_array_equal(whole, voxels)
    if len(shape) < 4 and voxels.any():
        for axis in range(len(shape)):
            ends = np.moveaxis(part, axis, 0)[[0, -1]]
            assert ends[0].any() and ends[1].any()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_nrrd_and_metaimage_are_what_simpleitk_reads(
    tmp_path: Path, dtype: str, compress: bool, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = np.zeros((5, 6, 7), dtype)
    voxels[1:3, 2:6, 3:5] = np.arange(16).reshape(2, 4, 2)
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 1.5, 2.5))
    image.SetOrigin((-3, 4, 5))
    image.SetDirection((0, 1, 0, 1, 0, 0, 0, 0, -1))
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(image, str(path), useCompression=compress)
    found = read_image(path)
    assert found.part.size < voxels.size  # the background was left out
    np.testing.assert_array_equal(found.array, voxels.T.astype(np.float32))
    # The same by ITK alone.
    monkeypatch.setattr("segfair.files.images.masks._ITK_TYPES", {})
    other = read_image(path)
    np.testing.assert_array_equal(other.array, found.array)
    np.testing.assert_array_equal(other.affine, found.affine)


@pytest.mark.parametrize("big", [False, True])
def test_the_order_of_bytes_of_a_text_header_counts(tmp_path: Path, big: bool) -> None:
    voxels = np.arange(24).reshape(2, 3, 4)
    stored = voxels.astype(">i2" if big else "<i2").tobytes(order="F")
    nrrd = f"NRRD0004\ntype: short\ndimension: 3\nsizes: 2 3 4\nendian: {'big' if big else 'little'}\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(nrrd.encode() + stored)
    meta = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\n"
        f"BinaryDataByteOrderMSB = {big}\nDimSize = 2 3 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(meta.encode() + stored)
    for name in ("a.nrrd", "a.mha"):
        np.testing.assert_array_equal(read_mask(tmp_path / name).array, voxels)


def test_voxels_that_look_like_gzip_are_voxels(tmp_path: Path) -> None:
    header = b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header + b"\x1f\x8b\x01\x00")
    assert read_mask(tmp_path / "a.nrrd").array.ravel(order="F").tolist() == [0x1F, 0x8B, 1, 0]


@pytest.mark.parametrize("line", ["byte skip: 2", "line skip: 1", "encoding: text"])
def test_what_is_written_in_a_rare_way_is_left_to_itk(tmp_path: Path, line: str) -> None:
    content = {"byte skip: 2": b"xx\x01\x02", "line skip: 1": b"x\n\x01\x02", "encoding: text": b"1 2"}[line]
    header = f"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 1\n{line}\n"
    header += "" if "encoding" in line else "encoding: raw\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + b"\n" + content)
    assert read_mask(tmp_path / "a.nrrd").array.ravel().tolist() == [1, 2]


VALUES = np.arange(1, 25, dtype=np.int16)
META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\n{}DimSize = 2 3 4\nElementSpacing = 1 1 1\n"
    "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
)
NRRD = "NRRD0004\ntype: short\ndimension: 3\nsizes: 2 3 4\n{}encoding: raw\n\n"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (META.format("CompressedData = False\n"), "plain.mha"),
        (META.format("BinaryDataByteOrderMSB = T\n"), "a letter.mha"),
        (META.format("ElementByteOrderMSB = 1\n"), "a digit.mha"),
        (META.format("Comment = ElementDataFile = LOCAL\n"), "a comment.mha"),
        (META.format("ElementByteOrderMSB : True\n"), "a colon.mha"),
        (META.format("HeaderSize = -1\n"), "header size.mha"),
        (META.replace("\n", "\r\n").format(""), "windows.mha"),
        (NRRD.format("endian: little\n"), "plain.nrrd"),
        (NRRD.format("endian: BIG\n"), "capitals.nrrd"),
        (NRRD.format("endian:big\n"), "no space.nrrd"),
        (NRRD.format("endian: little\nendian:=big\n"), "a key.nrrd"),
        (NRRD.format("# endian: big\nendian: little\n"), "a comment.nrrd"),
        (NRRD.replace("\n", "\r\n").format("endian: little\r\n"), "windows.nrrd"),
    ],
)
def test_a_header_means_what_it_means_to_itk(
    tmp_path: Path, header: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> list[int] | str:
        try:
            return read_mask(tmp_path / name).array.ravel(order="F").tolist()
        except InputError:
            return "refused"

    (tmp_path / name).write_bytes(header.encode() + VALUES.tobytes())
    found = read()
    monkeypatch.setattr("segfair.files.images.masks._ITK_TYPES", {})
    assert found == read()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("place", "value"), [(108, np.float32(1e30)), (42, np.full(3, 32767, np.int16))])
def test_a_header_that_claims_more_than_there_is_takes_no_memory(
    tmp_path: Path, packed: bool, place: int, value: Any
) -> None:
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)), tmp_path / "whole.nii")
    content = bytearray((tmp_path / "whole.nii").read_bytes())
    content[place : place + value.nbytes] = value.tobytes()
    (tmp_path / "a.nii").write_bytes(gzip.compress(content) if packed else content)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"is truncated, \d+ of \d+ bytes"):
        read_mask(tmp_path / "a.nii")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_a_file_that_is_cut_or_changed_is_refused(tmp_path: Path, suffix: str) -> None:
    voxels = np.zeros((30, 40, 50), np.uint8)
    voxels[10:20, 10:30, 10:30] = np.random.default_rng(0).integers(0, 3, (10, 20, 20))
    path = tmp_path / f"a{suffix}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path), useCompression=True)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_mask(path)
    flipped = bytearray(whole)
    flipped[-300] ^= 0xFF
    path.write_bytes(bytes(flipped))
    with pytest.raises(InputError, match="truncated or damaged"):
        read_mask(path)


def test_a_mask_takes_memory_for_its_lesion_only(tmp_path: Path) -> None:
    voxels = np.zeros((256, 256, 100), np.float32)  # 26 MB
    voxels[100:140, 100:140, 40:60] = 1
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "a.nii.gz")
    read_mask(tmp_path / "a.nii.gz")
    tracemalloc.start()
    mask = read_mask(tmp_path / "a.nii.gz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask.part.shape == (40, 40, 20)
    assert peak < 8e6  # twenty slices as they are stored, and one more
    np.testing.assert_array_equal(mask.array, voxels)


def test_an_empty_mask_is_a_mask(tmp_path: Path) -> None:
    for name, dtype in (("a.nii.gz", np.uint8), ("b.nii", np.float64)):
        nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), dtype), np.eye(4)), tmp_path / name)
        mask = read_mask(tmp_path / name)
        assert mask.shape == mask.array.shape == (4, 5, 6)
        assert mask.array.dtype.kind in "iu"
        assert not mask.array.any()


def test_where_the_header_makes_background_something_the_whole_is_kept(tmp_path: Path) -> None:
    voxels: Any = np.zeros((4, 5, 6), np.int16)
    voxels[2, 2, 2] = 3
    image = nib.Nifti1Image(voxels, np.eye(4))
    image.header.set_slope_inter(2.0, 1.0)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii").array, nib.load(tmp_path / "a.nii").get_fdata())
