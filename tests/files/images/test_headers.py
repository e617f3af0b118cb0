"""Text headers that name other files: what leads out is refused, what stays is read. SimpleITK is the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from segfair.errors import InputError
from segfair.files.images.headers import leads_out, read_text_header
from segfair.files.images.masks import has_size, read_image, read_mask

NRRD = "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 5 6\nspacings: 1 1 1\nencoding: raw\n"
META = "ObjectType = Image\nNDims = 3\nDimSize = 4 5 6\nElementType = MET_UCHAR\nElementSpacing = 1 1 1\n"
LABEL = np.zeros((4, 5, 6), np.uint8)
LABEL[1:3, 1:4, 2:5] = 1
SLICES = [f"s{number:03d}.raw" for number in range(6)]
LISTED = "\n".join(f"../labels/{name}" for name in SLICES) + "\n"

# Suffix, header, and whether SimpleITK by itself would read the label through it.
LEADING_OUT = {
    "nrrd": (".nrrd", f"{NRRD}data file: ../labels/x.raw\n", True),
    "absolute": (".nrrd", f"{NRRD}data file: ROOT/labels/x.raw\n", True),
    "other spelling": (".nrrd", f"{NRRD}DATAFILE: ../labels/x.raw\n", True),
    "segmentation": (".seg.nrrd", f"{NRRD}data file: ../labels/x.raw\n", True),
    "by way of a folder": (".nrrd", f"{NRRD}data file: sub/../../labels/x.raw\n", True),
    "list": (".nrrd", f"{NRRD}data file: LIST\n{LISTED}", True),
    "list of slices": (".nrrd", f"{NRRD}data file: LIST 2\n{LISTED}", True),
    "numbered": (".nrrd", f"{NRRD}data file: ../labels/s%03d.raw 0 5 1 2\n", True),
    "lines end as in Windows": (".nrrd", f"{NRRD}data file: ../labels/x.raw\n".replace("\n", "\r\n"), True),
    "lines end as once on a Mac": (".nrrd", f"{NRRD}data file: ../labels/x.raw\n".replace("\n", "\r"), True),
    "behind a comment": (".nrrd", f"{NRRD}# data file: in.raw\ndata file: ../labels/x.raw\n", True),
    "behind another entry": (".nrrd", f"{NRRD}data file: in.raw\ndata file: ../labels/x.raw\n", False),
    "a place for a number in a folder": (".nrrd", f"{NRRD}data file: a%d b/../../labels/x.raw\n", False),
    "mhd": (".mhd", f"{META}ElementDataFile = ../labels/x.raw\n", True),
    "mha": (".mha", f"{META}ElementDataFile = ../labels/x.raw\n", True),
    "mhd absolute": (".mhd", f"{META}ElementDataFile = ROOT/labels/x.raw\n", True),
    "mhd colon": (".mhd", f"{META}ElementDataFile : ../labels/x.raw\n", True),
    "mhd indented": (".mhd", f"{META}  ElementDataFile=../labels/x.raw\n", True),
    "mhd list": (".mhd", f"{META}ElementDataFile = LIST\n{LISTED}", True),
    "mhd numbered": (".mhd", f"{META}ElementDataFile = ../labels/s%03d.raw 0 5 1\n", True),
    "mhd with a local entry before": (
        ".mhd",
        f"{META}elementdatafile = LOCAL\nElementDataFile = ../labels/x.raw\n",
        True,
    ),
    "mhd in a comment before": (
        ".mhd",
        f"{META}Comment = ElementDataFile = LOCAL\nElementDataFile = ../labels/x.raw\n",
        True,
    ),
    "linked data": (".nrrd", f"{NRRD}data file: link.raw\n", True),
    "linked data of mhd": (".mhd", f"{META}ElementDataFile = LoCaL\n", True),
    "linked slices": (".nrrd", f"{NRRD}data file: l%03d.raw 0 5 1 2\n", True),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of predictions beside one of labels; both hold the label's voxels, whole and slice by slice."""
    handed_in = tmp_path / "preds"
    (handed_in / "sub").mkdir(parents=True)
    (handed_in / "a%d b").mkdir()
    (tmp_path / "labels").mkdir()
    voxels = LABEL.tobytes(order="F")
    for place in (
        tmp_path / "labels" / "x.raw",
        handed_in / "in.raw",
        handed_in / "my in.raw",
        handed_in / "sub/in.raw",
    ):
        place.write_bytes(voxels)
    for number, name in enumerate(SLICES):
        for place in (tmp_path / "labels", handed_in):
            (place / name).write_bytes(LABEL[:, :, number].tobytes(order="F"))
        (handed_in / f"l{number:03d}.raw").symlink_to(tmp_path / "labels" / name)
    (handed_in / "link.raw").symlink_to("../labels/x.raw")
    (handed_in / "LoCaL").symlink_to("../labels/x.raw")
    return handed_in


def _simpleitk(path: Path) -> np.ndarray | None:
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).T
    except RuntimeError:
        return None


@pytest.mark.parametrize("kind", LEADING_OUT)
def test_a_header_that_leads_out_is_refused(folder: Path, kind: str) -> None:
    suffix, header, works = LEADING_OUT[kind]
    path = folder / f"P1{suffix}"
    path.write_bytes(header.replace("ROOT", str(folder.parent)).encode())
    found = _simpleitk(path)
    assert (found is not None and np.array_equal(found, LABEL)) == works, "what the refusal is against"
    for read in (read_mask, read_image):
        with pytest.raises(InputError, match=r"from outside of its own folder|is no plain path"):
            read(path)


@pytest.mark.parametrize(
    ("suffix", "header"),
    [
        (".nrrd", f"{NRRD}data file: in.raw\n"),
        (".nrrd", f"{NRRD}data file: my in.raw\n"),
        (".nrrd", f"{NRRD}data file: sub/in.raw\n"),
        (".nrrd", f"{NRRD}data file: s%03d.raw 0 5 1 2\n"),
        (".nrrd", f"{NRRD}data file: LIST 2\n{LISTED}".replace("../labels/", "")),
        (".mhd", f"{META}ElementDataFile = in.raw\n"),
        (".mhd", f"{META}ElementDataFile = my in.raw\n"),
        (".mhd", f"{META}ElementDataFile = s%03d.raw 0 5 1\n"),
        (".mhd", f"{META}ElementDataFile = LIST\n{LISTED}".replace("../labels/", "")),
        (".mhd", f"{META}ElementDataFile = ../preds/in.raw\n"),
    ],
)
def test_data_in_the_headers_own_folder_or_below_is_read(folder: Path, suffix: str, header: str) -> None:
    path = folder / f"P1{suffix}"
    path.write_text(header)
    np.testing.assert_array_equal(read_mask(path).array, LABEL)


@pytest.mark.parametrize(
    "entry",
    [
        f"{'s' * 75}%d.raw 0 5 1",  # MetaIO has room for 80 letters of a word
        f"LIST{'s' * 200}",
        "LIST 2" + "0" * 200,
        "s%03d.raw 0 5 0",  # and divides by the step
        "s%03d.raw 0 5",
        "s%03d.raw 5 0 1",
        "s%03d.raw -1 4 1",
        "s%03d.raw 0 5 1 1",
        "my s%03d.raw 0 5 1",
        "s%9999999d.raw 0 5 1",
        "s%d%d.raw 0 5 1",
        "s%s.raw 0 5 1",
        "s%03d.raw",
        "LIST 2",
        "LISTED.raw",
    ],
)
def test_several_files_are_named_so_that_they_can_be_counted_or_refused(folder: Path, entry: str) -> None:
    path = folder / "P1.mhd"
    path.write_text(f"{META}ElementDataFile = {entry}\n{LISTED}".replace("../labels/", ""))
    with pytest.raises(InputError, match=r"expected one file, or numbered ones|is no plain path"):
        read_mask(path)


@pytest.mark.parametrize(
    ("entry", "n_files"),
    [("s%03d.raw 0 4 1", 5), ("s%03d.raw 0 5 2", 3), ("s%03d.raw 0 9 1", 10), ("LIST\ns000.raw\n\ns001.raw\n", 2)],
)
def test_slices_that_are_missing_are_not_made_of_what_lies_in_memory(folder: Path, entry: str, n_files: int) -> None:
    path = folder / "P1.mhd"
    path.write_text(f"{META}ElementDataFile = {entry}")
    with pytest.raises(InputError, match=f"names {n_files} data files for 6 slices; write one file"):
        read_mask(path)


def test_voxels_behind_the_header_are_read_whatever_they_look_like(tmp_path: Path) -> None:
    # Bytes that spell an entry are voxels, not a header.
    spelt = np.frombuffer(b"\n\nElementDataFile = ../x\ndata file: ../x\n".ljust(60), np.uint8).reshape(
        3, 4, 5, order="F"
    )
    sizes = {"sizes: 4 5 6": "sizes: 3 4 5", "DimSize = 4 5 6": "DimSize = 3 4 5"}
    for name, header in (("a.nrrd", f"{NRRD}\n"), ("b.mha", f"{META}ElementDataFile = LOCAL\n")):
        for old, new in sizes.items():
            header = header.replace(old, new)
        (tmp_path / name).write_bytes(header.encode() + spelt.tobytes(order="F"))
        np.testing.assert_array_equal(read_mask(tmp_path / name).array, spelt)
        assert read_text_header(tmp_path / name).data_files == ()


def test_a_link_to_a_header_finds_the_data_beside_the_header(folder: Path, tmp_path: Path) -> None:
    (folder / "P1.nrrd").write_text(f"{NRRD}data file: in.raw\n")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "P1.nrrd").symlink_to(folder / "P1.nrrd")
    (linked / "in.raw").symlink_to(folder / "in.raw")
    np.testing.assert_array_equal(read_mask(linked / "P1.nrrd").array, LABEL)


def test_a_wider_folder_may_be_allowed_and_a_narrower_one_required(folder: Path, tmp_path: Path) -> None:
    (folder / "sub" / "P1.nrrd").write_text(f"{NRRD}data file: ../in.raw\n")
    with pytest.raises(InputError, match="from outside of its own folder"):
        read_mask(folder / "sub" / "P1.nrrd")
    np.testing.assert_array_equal(read_mask(folder / "sub" / "P1.nrrd", within=folder).array, LABEL)
    with pytest.raises(InputError, match="from outside of the folder it was handed in with"):
        read_mask(folder / "sub" / "P1.nrrd", within=folder / "sub")


def test_a_header_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(NRRD.encode() + b"# more\n" * 200_000)
    with pytest.raises(InputError, match="does not end within a megabyte"):
        read_mask(tmp_path / "a.nrrd")


def test_which_paths_lead_out(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "loop").symlink_to("loop")
    assert not leads_out(tmp_path / "team" / "a", tmp_path / "team")
    assert not leads_out(tmp_path / "team", tmp_path / "team")
    assert leads_out(tmp_path / "team" / ".." / "a", tmp_path / "team")
    assert leads_out(tmp_path / "team-2" / "a", tmp_path / "team")
    assert not leads_out(tmp_path / "team" / "loop", tmp_path / "team")


@pytest.mark.parametrize(
    ("suffix", "header", "said"),
    [
        (".nrrd", f"{NRRD}\n", True),
        (".nrrd", NRRD.replace("spacings: 1 1 1\n", "") + "\n", False),
        (".nrrd", NRRD.replace("1 1 1", "nan nan nan") + "\n", False),
        (
            ".nrrd",
            NRRD.replace("spacings: 1 1 1", "space dimension: 3\nSpace Directions: (1,0,0) (0,1,0) (0,0,1)") + "\n",
            True,
        ),
        (".mha", f"{META}ElementDataFile = LOCAL\n", True),
        (".mha", META.replace("ElementSpacing", "ElementSize") + "ElementDataFile = LOCAL\n", True),
        (".mha", META.replace("ElementSpacing = 1 1 1\n", "") + "ElementDataFile = LOCAL\n", False),
    ],
)
def test_whether_a_header_gives_a_size(tmp_path: Path, suffix: str, header: str, said: bool) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(header.encode() + LABEL.tobytes(order="F"))
    assert has_size(path) is said
    assert read_mask(path).has_size is said
