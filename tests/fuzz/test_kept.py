"""Inputs that broke a reader once, as small as they could be made, each with the words that are due."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from segfair.documents import parse_json
from segfair.errors import ConfigError, InputError, MetadataError, SegfairError
from segfair.files.images.masks import read_image, read_mask
from segfair.files.tables import load_table
from segfair.intake.where import fulfilled
from tests.fuzz import packing, seeds
from tests.fuzz.forms import Form, attempt
from tests.fuzz.readers import READERS


def nifti(**fields: Any) -> bytes:
    """4 x 4 x 4 voxels of zeros whose header says otherwise."""
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4))
    for name, value in fields.items():
        image.header[name] = value
    return image.header.binaryblock + bytes(4) + bytes(64)


def put(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


# Voxels


@pytest.mark.parametrize("datatype", [1, 32, 128, 1792])  # bits, complex, colours
def test_voxels_that_are_no_numbers_are_refused_before_they_are_read(tmp_path: Path, datatype: int) -> None:
    path = put(tmp_path, "a.nii", nifti(datatype=datatype, dim=[3, 4, 32767, 32767, 1, 1, 1, 1]))
    with pytest.raises(InputError, match="not one number per voxel"):
        read_mask(path)


def test_axes_of_a_picture_on_one_line_are_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones((3, 3), np.uint8), None)
    image.header.set_sform([[1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], 1)
    image.header["dim"][0] = 2
    with pytest.raises(InputError, match="two axes into one line"):
        read_mask(put(tmp_path, "a.nii", image.header.binaryblock + bytes(4) + bytes(9)))


@pytest.mark.filterwarnings("error")
def test_intensities_beyond_all_size_are_no_warning(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.full((2, 2, 2), 1e300), np.eye(4))
    assert np.isinf(read_image(put(tmp_path, "a.nii", image.to_bytes())).array).all()


@pytest.mark.filterwarnings("error")
def test_damaged_notes_about_a_picture_are_no_warning(tmp_path: Path) -> None:
    whole = seeds.pictures()["tiff"][0]
    for place in range(8, len(whole)):
        path = put(tmp_path, "a.tif", whole[:place] + b"\xff" + whole[place + 1 :])
        try:
            read_mask(path)
        except InputError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("n_axes", ["0", "1", "11", "-1", "99999999999999999999", "x", ""])
def test_numbers_of_axes_that_metaimage_has_no_room_for(tmp_path: Path, n_axes: str) -> None:
    """One of them ended the whole process, inside of ITK."""
    header = f"NDims = {n_axes}\nDimSize = 5 4 3\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n".encode()
    with pytest.raises(InputError, match="two or three axes"):
        read_mask(put(tmp_path, "a.mha", header + bytes(60)))


def test_one_axis_is_no_mask(tmp_path: Path) -> None:
    header = b"NRRD0004\ntype: uchar\ndimension: 1\nsizes: 4\nencoding: raw\n\n"
    with pytest.raises(InputError, match="is 1-D"):
        read_mask(put(tmp_path, "a.nrrd", header + bytes(4)))


@pytest.mark.parametrize("encoding", ["bzip2", "bz2"])
def test_bzip2_is_read(tmp_path: Path, encoding: str) -> None:
    header = f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: {encoding}\n\n".encode()
    path = put(tmp_path, "a.nrrd", header + bz2.compress(bytes(range(8))))
    assert read_mask(path).array.ravel(order="F").tolist() == list(range(8))


def test_what_follows_the_voxels_for_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="goes on long after"):
        read_mask(put(tmp_path, "a.nii.gz", gzip.compress(nifti() + bytes(1 << 25), 1)))


def test_a_picture_of_another_format_is_none(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("L", (4, 4)).save(stream, "JPEG")
    with pytest.raises(InputError, match="cannot be read as PNG"):
        read_mask(put(tmp_path, "a.png", stream.getvalue()))


def test_metaimage_says_nothing_by_itself(tmp_path: Path) -> None:
    path = put(tmp_path, "a.mha", b"NDims = 2\nElementDataFile = LOCAL\n\0\0")
    code = (
        "import sys; from pathlib import Path; from segfair.errors import InputError\n"
        "from segfair.files.images.masks import read_mask\n"
        "try: read_mask(Path(sys.argv[1]))\nexcept InputError: print('refused')"
    )
    found = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("refused\n", "")


def test_an_array_with_a_damaged_header_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not an \.npz archive"):
        read_mask(put(tmp_path, "a.npz", b"\x93NUMPY\1\0\x10\0{'descr': '<f\xff\n"))


@pytest.mark.parametrize("header", ["{'descr': '<f", "[" * 300, "{[]: 1}", "-" * 9000 + "1", "{'shape': (1,)}"])
def test_what_is_no_header_of_an_array(tmp_path: Path, header: str) -> None:
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode()
    with pytest.raises(InputError, match="NumPy header is damaged"):
        read_mask(put(tmp_path, "a.npy", content))


@pytest.mark.parametrize(
    ("shape", "said"), [("(0, 4, 1" + "9" * 20 + ")", "is truncated"), ("(0, 4)", "holds no voxel")]
)
def test_an_axis_of_no_voxel_beside_one_of_many(tmp_path: Path, shape: str, said: str) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}"
    content = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode()
    with pytest.raises(InputError, match=said):
        read_mask(put(tmp_path, "a.npy", content))


# Headers that lie, archives that swell: in a process that may take no more than 512 MB beside what libraries take.


def lying_npy() -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": (40_000, 40_000, 10)}
    )
    return stream.getvalue() + bytes(100)


def long_header() -> bytes:
    return b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b"{'descr'"


def swelling_npz() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("mask.npy", "w") as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": (1024, 1024, 1024)}
            )
        archive.infolist()[0].file_size = 2**30 + 128
    return stream.getvalue()


def png(width: int, height: int, colours: int) -> bytes:
    return packing.picture(struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0) + bytes(100))


def long_chunk() -> bytes:
    whole = png(3, 3, 0)
    place = whole.index(b"IDAT") - 4
    return whole[:place] + struct.pack(">I", 2**31 - 1) + whole[place + 4 :]


def many_pages() -> bytes:
    """A TIFF of 60 pages of 4,000 x 4,000 pixels, all of them the same strip of a few bytes."""
    strip, n_pages, found = zlib.compress(bytes(16_000_000), 9), 60, b""
    place = 8 + len(strip)
    for page in range(n_pages):
        fields = (
            (256, 4000),
            (257, 4000),
            (258, 8),
            (259, 8),
            (262, 1),
            (273, 8),
            (277, 1),
            (278, 4000),
            (279, len(strip)),
        )
        entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields)
        size = 2 + len(entries) + 4
        following = 0 if page == n_pages - 1 else place + size
        found += struct.pack("<H", len(fields)) + entries + struct.pack("<I", following)
        place += size
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + found


def metaimage(n_side: int, packed: bytes) -> bytes:
    size = f"{n_side} {n_side} {n_side}"
    return (
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\nDimSize = {size}\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    ).encode() + packed


def nrrd(encoding: str, n_side: int, body: bytes) -> bytes:
    return f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: {n_side} {n_side} {n_side}\nencoding: {encoding}\n{body.decode()}".encode()


def workbook(rows: bytes) -> bytes:
    main = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    return packing.in_archive(seeds.workbooks()[1], "xl/worksheets/sheet1.xml")(
        main + rows + b"</sheetData></worksheet>"
    )


def laughing() -> bytes:
    entities = "".join(f'<!ENTITY a{index} "{f"&a{index - 1};" * 10}">' for index in range(1, 10))
    text = f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a9;</x>'
    return packing.in_archive(seeds.workbooks()[1], "xl/sharedStrings.xml")(text.encode())


SWELLING: dict[str, tuple[str, Callable[[], bytes]]] = {
    "an array that claims 16 GB": ("a.npy", lying_npy),
    "a header of 4 GB": ("a.npy", long_header),
    "an archive that claims a gigabyte": ("a.npz", swelling_npz),
    "an array that claims 16 GB in an archive": ("a.npz", lambda: packing.in_archive(seeds.masks()["npz"][0], "mask.npy")(lying_npy())),
    "a picture of 170 megapixels": ("a.png", lambda: png(13_000, 13_000, 6)),
    "a picture of 30 gigapixels": ("a.png", lambda: png(173_000, 173_000, 0)),
    "a piece of a picture of 2 GB": ("a.png", long_chunk),
    "many pages that are one": ("a.tif", many_pages),
    "a NIfTI header that claims 35 TB": ("a.nii.gz", lambda: gzip.compress(nifti(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]))),
    "a compressed MetaImage that holds more": ("a.mha", lambda: metaimage(4, zlib.compress(bytes(1 << 26), 1))),
    "a compressed MetaImage that claims more": ("a.mha", lambda: metaimage(2000, zlib.compress(bytes(100)))),
    "an NRRD in text that claims 8 GB": ("a.nrrd", lambda: nrrd("ascii", 2000, b"\n0 1 0 1\n")),
    "an NRRD whose other file is small": ("a.nrrd", lambda: nrrd("raw", 2000, b"data file: b.raw\n")),
    "a sheet of 100 billion rows": ("t.xlsx", lambda: workbook(b'<row r="99999999999"><c><v>1</v></c></row>')),
    "a sheet of 73 million cells": (
        "t.xlsx", lambda: workbook(b"".join(b'<row><c r="ZZZ%d"><v>1</v></c></row>' % row for row in range(1, 4000))),
    ),
    "entities within entities": ("t.xlsx", laughing),
}  # fmt: skip

_ALONE = """
import json, resource, sys
from pathlib import Path
import SimpleITK, openpyxl, nibabel.nifti2
from PIL import Image
from segfair.errors import SegfairError
from segfair.files.images.masks import read_mask
from segfair.files.tables import load_table
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**29
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
told = {}
for name in sys.argv[1:]:
    try:
        (load_table if name.endswith("xlsx") else read_mask)(Path(name))
        told[name] = "read"
    except SegfairError as error:
        causes, cause = [], error
        while cause is not None:
            causes.append(type(cause).__name__)
            cause = cause.__cause__ or cause.__context__
        told[name] = "memory ran out" if "MemoryError" in causes else f"refused: {error}"
print(json.dumps(told))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux how much address space is taken")
def test_what_lies_or_swells_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    files = {}
    for number, (what, (name, make)) in enumerate(SWELLING.items()):
        (tmp_path / str(number)).mkdir()
        files[str(put(tmp_path / str(number), name, make()))] = what
    put(tmp_path, "b.raw", bytes(100))
    found = subprocess.run([sys.executable, "-c", _ALONE, *files], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    told = {files[name]: outcome for name, outcome in json.loads(found.stdout).items()}
    # Only the length is wrong of that one: its pixels are there.
    assert told.pop("a piece of a picture of 2 GB") == "read"
    assert {what: outcome for what, outcome in told.items() if not outcome.startswith("refused")} == {}


# Tables, trees, expressions


@pytest.mark.parametrize("name", ["splits.json", "given.json"])
@pytest.mark.parametrize("change", [{"train": None}, {"test": []}, {"test": ["A"]}, {"left_out": None}, {"seed": "x"}])
def test_a_split_that_is_none_is_told_by_its_file(tmp_path: Path, name: str, change: dict[str, Any]) -> None:
    form = _trained(name)
    assert attempt(form, seeds.json_bytes({**json.loads(form.seeds[0]), **change}), tmp_path) == "refused"


@pytest.mark.parametrize(
    "change",
    [{"backbone": {"name": "unet", "in_channels": 3, "out_channels": 1, "options": 255}}, {"backbone": {}},
     {"preprocessing": {**seeds.DESCRIPTION["preprocessing"], "intensities": {"low": None}}}],
)  # fmt: skip
def test_a_description_that_is_none_is_told_by_its_checkpoint(tmp_path: Path, change: dict[str, Any]) -> None:
    form = _trained("model.json")
    assert attempt(form, seeds.json_bytes({**seeds.DESCRIPTION, **change}), tmp_path) == "refused"


@pytest.mark.parametrize(("key", "value"), [("outcomes", None), ("alerts", ""), ("primary_subgroups", 0.5)])
def test_a_team_of_a_ranking_that_was_edited_is_told_by_the_ranking(tmp_path: Path, key: str, value: Any) -> None:
    form = _document("rank.json")
    tree = json.loads(form.seeds[0])
    assert key in tree["audit"]
    tree["audit"][key] = value
    assert attempt(form, seeds.json_bytes(tree), tmp_path) == "refused"


@pytest.mark.parametrize("line", [b'protocol = "defalt"', b"[network.unet]\nchannuls = [8]", b"[network.x]\na = 1"])
def test_a_configuration_that_cannot_be_is_told_by_its_file(tmp_path: Path, line: bytes) -> None:
    form = _trained("config.toml")
    with pytest.raises(ConfigError, match=r"^--config .*config\.toml: "):
        form.read(put(tmp_path, form.name, line + b"\n"))


@pytest.mark.parametrize("corners", [0.5, None, [], {"x_min": None}, {"x_min": "a", "x_max": 1}, "x"])
def test_a_breast_box_without_numbers(tmp_path: Path, corners: Any) -> None:
    form = _trained("box.json")
    tree = {"primary_lesion": {"breast_coordinates": corners}}
    assert attempt(form, seeds.json_bytes(tree), tmp_path) == ("read" if corners is None else "refused")


def test_a_text_where_a_list_of_tables_is_due(tmp_path: Path) -> None:
    form = _document("plan.json")
    tree = {**json.loads(form.seeds[0]), "attributes": "age"}
    assert attempt(form, seeds.json_bytes(tree), tmp_path) == "refused"


def test_folds_that_are_no_lists(tmp_path: Path) -> None:
    assert attempt(_document("splits.json"), b'[{"train": [], "val": 0.5}]', tmp_path) == "refused"


def _trained(name: str) -> Form:
    pytest.importorskip("monai")
    return next(form for form in READERS["models and trainings"]() if form.name == name)


def _document(name: str) -> Form:
    return next(form for form in READERS["JSON and TOML"]() if form.name == name)


def test_a_negative_number_of_nineteen_digits_is_one() -> None:
    assert parse_json("[-1000000000000000000]", "a.json") == [-(10**18)]
    with pytest.raises(InputError, match="19 digits"):
        parse_json("[-9999999999999999999]", "a.json")


@pytest.mark.parametrize("content", [b"null", b"[]", b"3", b'"a"', b"true"])
def test_a_dataset_of_another_kind_is_told_in_words_of_json(tmp_path: Path, content: bytes) -> None:
    assert attempt(_document("dataset.json"), content, tmp_path) == "refused"


@pytest.mark.filterwarnings("error")
def test_python_says_nothing_of_a_condition() -> None:
    with pytest.raises(ConfigError):
        fulfilled("1if 2", [], columns=())


def test_a_workbook_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MetadataError):
        load_table(put(tmp_path, "t.xlsx", b"PK\5\6" + bytes(18)))
    assert issubclass(MetadataError, SegfairError)


def test_threads_leave_stderr_and_warnings_as_they_were(tmp_path: Path) -> None:
    """Each of these readers turns something of the process off for a moment."""
    broken = put(tmp_path, "a.mha", b"NDims = 2\nElementDataFile = LOCAL\n\0\0")
    array = put(tmp_path, "a.npy", seeds.masks()["npy"][0])
    image = put(tmp_path, "a.png", png(3, 3, 0))

    def read(path: Path) -> str:
        try:
            return str(read_mask(path).shape)
        except InputError:
            return "refused"

    before, filters = os.fstat(2), list(warnings.filters)
    with ThreadPoolExecutor(8) as executor:
        found = list(executor.map(read, [broken, array, image] * 60))
    assert found == ["refused", "(5, 4, 3)", "(3, 3)"] * 60
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (before.st_dev, before.st_ino)
    added = [entry for entry in warnings.filters if entry not in filters]
    assert {str(entry[3]) for entry in added} <= {str(re.compile(r"PIL\."))}


@pytest.mark.parametrize("option", ["--where", "gate", "bins", "--join", "--margin", "--spacing", "label"])
def test_an_expression_without_end_is_told_in_part(tmp_path: Path, option: str) -> None:
    form = next(form for form in READERS["expressions"]() if option in form.named)
    for text in (b"\xff" * 900, b"a: " + b"b, " * 900, b"a=" + b"1" * 2000, b"worst(" + b"x" * 4000 + b") < 2"):
        assert attempt(form, text, tmp_path) == "refused"
