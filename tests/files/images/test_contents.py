"""Digests of masks by what is in their files, those that a detached header names among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segfair.errors import InputError
from segfair.files.images.contents import content_digest
from segfair.files.images.masks import read_mask

NRRD = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 2\nspacings: 1 1\nencoding: raw\ndata file: {}\n"
META = (
    "ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementSpacing = 1 1\nElementType = MET_UCHAR\n"
    "ElementDataFile = {}\n"
)


def test_the_same_bytes_under_another_name_are_the_same(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.NII.gz", "c.nii"):
        (tmp_path / name).write_bytes(b"bytes")
    a, b, c = (content_digest(tmp_path / name) for name in ("a.nii.gz", "b.NII.gz", "c.nii"))
    assert a == b
    assert a != c  # another extension is read another way
    (tmp_path / "b.NII.gz").write_bytes(b"bytes.")
    assert content_digest(tmp_path / "b.NII.gz") != a


@pytest.mark.parametrize(
    ("name", "header", "data"),
    [
        ("mask.mhd", META, "voxels.raw"),
        ("mask.nrrd", NRRD, "voxels.raw"),
        ("mask.seg.nrrd", NRRD, "voxels.raw"),
        ("mask.nrrd", NRRD, "sub/voxels.raw"),
    ],
)
def test_voxels_of_a_detached_header_count(tmp_path: Path, name: str, header: str, data: str) -> None:
    path = tmp_path / name
    path.write_text(header.format(data))
    (tmp_path / data).parent.mkdir(exist_ok=True)
    (tmp_path / data).write_bytes(bytes([0, 1, 1, 0]))
    before, mask = content_digest(path), read_mask(path).array
    (tmp_path / data).write_bytes(bytes([0, 1, 1, 1]))
    assert not np.array_equal(read_mask(path).array, mask)
    assert content_digest(path) != before


def test_numbered_and_listed_slices_count(tmp_path: Path) -> None:
    for place, header in (
        ("numbered", META.format("slice%02d.raw 1 2 1")),
        ("listed", META.format("LIST\nslice01.raw\nslice02.raw")),
    ):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "mask.mhd").write_text(header)
        for number in (1, 2):
            (folder / f"slice{number:02d}.raw").write_bytes(bytes(4))
        before = content_digest(folder / "mask.mhd")
        (folder / "slice02.raw").write_bytes(bytes([0, 0, 0, 1]))
        assert content_digest(folder / "mask.mhd") != before


def test_a_header_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(4))
    (tmp_path / "team" / "mask.mhd").write_text(META.format("../secret.raw"))
    with pytest.raises(InputError, match="from outside of its own folder"):
        content_digest(tmp_path / "team" / "mask.mhd")


def test_a_file_that_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        content_digest(tmp_path / "gone.nii.gz")
