"""Masks that are damaged, lie about their size, are no masks, or are no files; each costs its own case only."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from tests.catalogue.cause import QUICK, Cause, Make

__all__ = ["CAUSES"]

Content = bytes | Callable[[Path], bytes | None]
"""What lies in place of a mask: bytes, or what a function makes of the mask's path (None: it did it itself)."""
_AUDIT = ("audit", "preds", "labels", "{base}/metadata.csv", *QUICK)
_CASE = "PH0001"
_VOXELS: NDArray[np.uint8] = np.pad(np.ones((4, 4, 4), np.uint8), 6)
_AFFINE = np.diag([8.0, 8.0, 8.0, 1.0])
_NAN, _INF = float("nan"), float("inf")


def _in_place_of_one(role: str, name: str, content: Content) -> Make:
    def make(case: Path, base: Path) -> None:
        for folder in ("preds", "labels"):
            if folder == role:
                shutil.copytree(base / folder, case / folder)
            else:
                (case / folder).symlink_to(base / folder)
        mask = case / role / f"{_CASE}.nii.gz"
        made = content if isinstance(content, bytes) else content(mask)
        if mask.name != name:
            mask.unlink()
        if made is not None:
            (case / role / name).write_bytes(made)

    return make


def _odd(what: str, content: Content, *says: str, name: str = f"{_CASE}.nii.gz", role: str = "preds") -> Cause:
    """One odd mask among good ones: the audit is done, and says which and why."""
    cost = "worst score" if role == "preds" else "excluded"
    return Cause(
        f"{'prediction' if role == 'preds' else 'label'}: {what}",
        _AUDIT,
        (f"{cost}: case {_CASE}", *says),
        _in_place_of_one(role, name, content),
        code=0,
    )


def _absent(what: str, content: Content) -> Cause:
    """Something of a mask's name that is no file: the case has no prediction."""
    said = f"cases without a prediction, given the worst score: 1 ({_CASE})"
    return Cause(f"prediction: {what}", _AUDIT, (said,), _in_place_of_one("preds", f"{_CASE}.nii.gz", content), code=0)


def _both(what: str, content: Content, *says: str, name: str = f"{_CASE}.nii.gz") -> list[Cause]:
    return [_odd(what, content, *says, name=name, role=role) for role in ("preds", "labels")]


def _nifti(offset: int, form: str, *values: float) -> Content:
    """A mask whose header has other values at some byte."""

    def content(mask: Path) -> bytes:
        unpacked = bytearray(gzip.decompress(mask.read_bytes()))
        struct.pack_into(form, unpacked, offset, *values)
        return gzip.compress(bytes(unpacked), 1)

    return content


def _saved(voxels: NDArray[np.generic], affine: NDArray[np.float64] = _AFFINE) -> bytes:
    return gzip.compress(nib.Nifti1Image(voxels, affine).to_bytes(), 1)


def _bytes_of(change: Callable[[bytes], bytes]) -> Content:
    return lambda mask: change(mask.read_bytes())


NIFTI = [
    *_both("empty", b"", "0 bytes"),
    *_both("one byte", b"\x1f", "NIfTI"),
    *_both("cut in half", _bytes_of(lambda data: data[: len(data) // 2]), "truncated"),
    _odd("without its checksum", _bytes_of(lambda data: data[:-4]), "truncated"),
    _odd("with another checksum", _bytes_of(lambda data: data[:-8] + bytes(4) + data[-4:]), "damaged"),
    _odd("with something behind it", _bytes_of(lambda data: data + b"and so on"), "damaged"),
    _odd("packed twice", _bytes_of(gzip.compress), "NIfTI"),
    _odd("a web page", b"<html>not found</html>" * 20, "NIfTI"),
    _odd("a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "NIfTI"),
    _odd("zeros only", bytes(5000), "NIfTI"),
    *_both("no dimension", _nifti(40, "<h", 0), "shape"),
    _odd("one dimension", _nifti(40, "<h", 1), "1-D"),
    _odd("a negative dimension", _nifti(40, "<h", -1), "header"),
    _odd("thousands of dimensions", _nifti(40, "<h", 9999), "truncated"),
    _odd("an axis of length 0", _nifti(42, "<h", 0), "shape"),
    _odd("an axis of length -1", _nifti(42, "<h", -1), "shape"),
    *_both("10^13 voxels", _nifti(42, "<3h", 32767, 32767, 32767), "35181150961663 bytes", *()),
    _odd("no type of voxels", _nifti(70, "<hh", 0, 0)),
    _odd("voxels of one bit", _nifti(70, "<hh", 1, 1)),
    *_both("voxels that are colours", _nifti(70, "<hh", 128, 24)),
    *_both("voxels that are complex", _nifti(70, "<hh", 32, 64)),
    _odd("voxels of 128 bits", _nifti(70, "<hh", 1536, 128)),
    _odd("voxels of no known type", _nifti(70, "<hh", 999, 8), "header"),
    _odd("a first voxel at NaN", _nifti(108, "<f", _NAN)),
    _odd("a first voxel behind the end", _nifti(108, "<f", 1e9), "truncated"),
    _odd("a first voxel at infinity", _nifti(108, "<f", _INF)),
    *_both("voxels of NaN mm", _nifti(280, "<f", _NAN), "spacing"),
    _odd("voxels of infinite size", _nifti(280, "<f", _INF), "spacing"),
    _odd("all axes in one direction", _nifti(280, "<12f", 8, 0, 0, 0, 8, 0, 0, 0, 0, 0, 8, 0), "spacing"),
    *_both("axes in one plane", _nifti(280, "<12f", 8, 0, 0, 0, 0, 8, 8, 0, 0, 0, 0, 0), "geometry"),
    _odd("a slope that makes them infinite", _nifti(112, "<f", 1e38)),
    _odd("a magic of two files", _nifti(344, "<4s", b"ni1\x00"), "NIfTI"),
    *_both("four dimensions", _saved(np.stack([_VOXELS, _VOXELS], -1)), "4-D", "16x16x16x2"),
    _odd("five dimensions", _saved(np.stack([_VOXELS, _VOXELS], -1)[..., None, :]), "5-D"),
    _odd("two dimensions", _saved(_VOXELS[..., 8]), "another grid"),
    *_both("NaN", _saved(np.where(_VOXELS > 0, np.float32(_NAN), np.float32(0))), "NaN"),
    _odd("infinite", _saved(np.where(_VOXELS > 0, np.float32(_INF), np.float32(0))), "infinite"),
    *_both("probabilities", _saved((_VOXELS * 0.7).astype(np.float32)), "probability map"),
    _odd("values of 1e30", _saved((_VOXELS * np.float64(1e30)).astype(np.float32)), "no labels"),
    _odd("values that are fractions", _saved((_VOXELS * 2.5).astype(np.float32)), "whole numbers"),
    _odd("another shape", _saved(_VOXELS[:-1]), "another grid", "15x16x16"),
    _odd("another place", _saved(_VOXELS, np.diag([3.0, 3, 3, 1])), "another grid", "3x3x3 mm"),
]


def _npy(voxels: NDArray[np.generic], **others: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    if others:
        np.savez(file, mask=voxels, **others)  # type: ignore[arg-type]
    else:
        np.save(file, voxels, allow_pickle=True)
    return file.getvalue()


def _npy_header(text: str, behind: bytes = bytes(64)) -> bytes:
    padded = text.encode() + b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + behind


def _shape(shape: str, kind: str = "'|u1'") -> bytes:
    return _npy_header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}")


def _zip(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


_NPZ = f"{_CASE}.npz"
_NPY = f"{_CASE}.npy"
NUMPY = [
    *(
        _odd(f"NPY: {what}", content, _NPY, name=_NPY)
        for what, content in (
            ("cut off", _npy(_VOXELS)[:200]),
            ("its first letters", b"\x93NUMPY"),
            ("no NPY", b"hello"),
            ("of objects", _npy(np.array([1, "a", None], dtype=object))),
            ("of texts", _npy(np.array([["a", "b"]]))),
            ("of records", _npy(np.zeros((4, 4), dtype=[("a", "i4"), ("b", "f4")]))),
            ("complex", _npy(_VOXELS.astype(np.complex64))),
            ("of dates", _npy(np.zeros((4, 4, 4), "M8[D]"))),
            ("a single number", _npy(np.array(3))),
            ("an axis of length 0", _npy(np.zeros((0, 4, 4)))),
            ("10^12 voxels", _shape("(10000, 10000, 10000)")),
            ("10^30 voxels", _shape(f"(1{'0' * 30},)")),
            ("an axis of length -1", _shape("(-1, 4, 4)")),
            ("70 axes", _shape(f"({'1,' * 70})")),
            ("a shape of truth values", _shape("(True, 4)")),
            ("a shape that is a text", _shape("'a'")),
            ("a type nobody knows", _shape("(4, 4)", "'zz'")),
            ("a type of no bytes", _shape("(4, 4)", "'|V0'")),
            ("a header that calls", _npy_header("__import__('os').system('x')")),
            ("a header that is deep", _npy_header("[" * 3000)),
            ("a header that is empty", _npy_header("")),
            ("a header of 4 GB", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"),
            ("a version to come", b"\x93NUMPY\x09\x00\x10\x00{}"),
        )
    ),
    *(
        _odd(f"NPZ: {what}", content, _NPZ, name=_NPZ)
        for what, content in (
            ("cut off", _zip(mask=_npy(_VOXELS))[:60]),
            ("a text", b"hello"),
            ("a bare array", _npy(_VOXELS)),
            ("of nothing", _zip()),
            ("two arrays", _zip(a=_npy(_VOXELS), b=_npy(_VOXELS))),
            ("probabilities", _zip(probabilities=_npy(_VOXELS))),
            ("objects", _zip(mask=_npy(np.array([None, {}], dtype=object)))),
            ("no array in it", _zip(mask=b"hello")),
            ("an affine of NaN", _npy(_VOXELS, affine=_AFFINE * _NAN)),
            ("an affine of three rows", _npy(_VOXELS, affine=np.eye(3))),
            ("an affine of texts", _npy(_VOXELS, affine=np.full((4, 4), "a"))),
            ("an affine that is complex", _npy(_VOXELS, affine=_AFFINE.astype(complex))),
            ("an affine of zeros", _npy(_VOXELS, affine=np.zeros((4, 4)))),
            ("a spacing of 0", _npy(_VOXELS, spacing=np.zeros(3))),
            ("a spacing of four", _npy(_VOXELS, spacing=np.ones(4))),
            ("a spacing of infinity", _npy(_VOXELS, spacing=np.array([_INF, 8, 8]))),
            ("a spacing of dates", _npy(_VOXELS, spacing=np.zeros(3, "M8[D]"))),
        )
    ),
    _odd("NPY: what the labels are in", _npy(_VOXELS), "another grid", name=_NPY),
]

_NRRD_FIELDS = {
    "type": "unsigned char",
    "dimension": "3",
    "sizes": "16 16 16",
    "space": "right-anterior-superior",
    "space directions": "(8,0,0) (0,8,0) (0,0,8)",
    "space origin": "(0,0,0)",
    "encoding": "raw",
}
_META_FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "CompressedData": "False",
    "ElementSpacing": "8 8 8",
    "DimSize": "16 16 16",
    "ElementType": "MET_UCHAR",
    "ElementDataFile": "LOCAL",
}
_RAW = _VOXELS.tobytes(order="F")


def _nrrd(behind: bytes = _RAW, **fields: str) -> bytes:
    told = {**_NRRD_FIELDS, **{name.replace("_", " "): value for name, value in fields.items()}}
    lines = ["NRRD0004", *(f"{name}: {value}" for name, value in told.items() if value != "-"), "", ""]
    return "\n".join(lines).encode() + behind


def _meta(behind: bytes = _RAW, **fields: str) -> bytes:
    told = {**_META_FIELDS, **fields}
    told["ElementDataFile"] = told.pop("ElementDataFile")  # always last
    return "".join(f"{name} = {value}\n" for name, value in told.items() if value != "-").encode() + behind


HEADERS = [
    *(
        _odd(f"NRRD: {what}", content, f"{_CASE}.nrrd", name=f"{_CASE}.nrrd")
        for what, content in (
            ("no voxels", _nrrd(b"")),
            ("cut off", _nrrd(_RAW[:100])),
            ("no header", b"NRRD0004"),
            ("no NRRD", b"hello" * 50),
            ("not packed although it says so", _nrrd(encoding="gzip")),
            ("packed and cut", _nrrd(gzip.compress(_RAW)[:30], encoding="gzip")),
            ("packed by what nobody knows", _nrrd(encoding="zstd")),
            ("an axis of length 0", _nrrd(sizes="0 16 16")),
            ("an axis of length -4", _nrrd(sizes="-4 16 16")),
            ("10^12 voxels", _nrrd(sizes="100000 100000 100")),
            ("two sizes", _nrrd(sizes="16 16")),
            ("sizes of letters", _nrrd(sizes="a b c")),
            ("99 dimensions", _nrrd(dimension="99")),
            ("no dimension", _nrrd(dimension="0")),
            ("no type", _nrrd(type="-")),
            ("a type of blocks", _nrrd(type="block")),
            ("a direction of NaN", _nrrd(space_directions="(nan,0,0) (0,8,0) (0,0,8)")),
            ("a direction of nothing", _nrrd(space_directions="(0,0,0) (0,8,0) (0,0,8)")),
            ("one direction twice", _nrrd(space_directions="(0,8,0) (0,8,0) (0,0,8)")),
            ("an origin of NaN", _nrrd(space_origin="(nan,0,0)")),
            ("a space on the moon", _nrrd(space="moon")),
            ("numbers from the middle", _nrrd(endian="middle")),
            ("voxels in a file that is not there", _nrrd(data_file="nowhere.raw")),
            ("voxels in a device", _nrrd(data_file="/dev/zero")),
            ("voxels in /etc/passwd", _nrrd(data_file="/etc/passwd")),
            ("voxels in a folder", _nrrd(data_file=".")),
            ("voxels in a file of odd letters", _nrrd(data_file="%s%s%n 1 2 1")),
            ("voxels in files without end", _nrrd(data_file="x%03d.raw 0 99999 1")),
        )
    ),
    *(
        _odd(f"MetaImage: {what}", content, f"{_CASE}.mha", name=f"{_CASE}.mha")
        for what, content in (
            ("no voxels", _meta(b"")),
            ("cut off", _meta(_RAW[:99])),
            ("not packed although it says so", _meta(CompressedData="True")),
            ("packed and cut", _meta(zlib.compress(_RAW)[:20], CompressedData="True")),
            ("an axis of length 0", _meta(DimSize="0 16 16")),
            ("an axis of length -1", _meta(DimSize="-1 16 16")),
            ("10^12 voxels", _meta(DimSize="100000 100000 100")),
            ("two sizes", _meta(DimSize="16 16")),
            ("no sizes", _meta(DimSize="-")),
            ("no dimension", _meta(NDims="0")),
            ("99 dimensions", _meta(NDims="99")),
            ("-3 dimensions", _meta(NDims="-3")),
            ("10^30 dimensions", _meta(NDims="1" + "0" * 30)),
            ("dimensions of letters", _meta(NDims="three")),
            ("a type nobody knows", _meta(ElementType="MET_NOTHING")),
            ("three values a voxel", _meta(ElementNumberOfChannels="3")),
            ("10^9 values a voxel", _meta(ElementNumberOfChannels="999999999")),
            ("a spacing of 0", _meta(ElementSpacing="0 8 8")),
            ("a spacing of NaN", _meta(ElementSpacing="nan 8 8")),
            ("directions of nothing", _meta(TransformMatrix="0 0 0 0 0 0 0 0 0")),
            ("written as text", _meta(BinaryData="False")),
            ("voxels in a file that is not there", _meta(ElementDataFile="nowhere.raw")),
            ("voxels in numbered files of a long name", _meta(ElementDataFile="s" * 90 + "%d.raw 0 15 1")),
            ("voxels in numbered files by steps of 0", _meta(ElementDataFile="s%d.raw 0 15 0")),
            ("voxels in a list of a long word", _meta(ElementDataFile="LIST" + "s" * 200)),
            ("voxels in a list of too few files", _meta(b"\ns.raw\n", ElementDataFile="LIST")),
            ("voxels in a device", _meta(ElementDataFile="/dev/zero")),
            ("voxels in a folder", _meta(ElementDataFile=".")),
            ("voxels in nothing", _meta(ElementDataFile="")),
            ("voxels far behind", _meta(HeaderSize="99999999")),
        )
    ),
]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int) -> bytes:
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(bytes(99))) + _chunk(b"IEND", b"")


PICTURES = [
    *(
        _odd(f"picture: {what}", content, name, name=name)
        for what, name, content in (
            ("PNG cut off", f"{_CASE}.png", _png(16, 16)[:40]),
            ("a text as PNG", f"{_CASE}.png", b"hello"),
            ("PNG of no size", f"{_CASE}.png", _png(0, 0)),
            ("PNG of 10^10 pixels", f"{_CASE}.png", _png(100_000, 100_000)),
            ("PNG of 10^18 pixels", f"{_CASE}.png", _png(2**31 - 1, 2**31 - 1)),
            ("TIFF that leads into itself", f"{_CASE}.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"),
            ("TIFF that leads far away", f"{_CASE}.tif", b"II*\0\xff\xff\xff\x7f"),
            ("a text as TIFF", f"{_CASE}.tiff", b"hello"),
        )
    ),
]


def _made(make: Callable[[Path], object]) -> Content:
    """In place of the mask something that a function makes there."""

    def content(mask: Path) -> None:
        mask.unlink()
        make(mask)

    return content


NO_FILES = [
    *_both("a pipe", _made(os.mkfifo)),
    _absent("a folder", _made(Path.mkdir)),
    _odd("a link to nowhere", _made(lambda mask: mask.symlink_to("nowhere"))),
    *_both("a link to itself", _made(lambda mask: mask.symlink_to(mask.name))),
    *_both("a link to a device", _made(lambda mask: mask.symlink_to("/dev/zero"))),
    _absent("a link to a folder", _made(lambda mask: mask.symlink_to("."))),
    _odd("a link to /etc/passwd", _made(lambda mask: mask.symlink_to("/etc/passwd"))),
]

_ALL_BROKEN = [
    Cause(
        f"all {role} broken",
        _AUDIT,
        (says,),
        lambda case, base, role=role: [  # type: ignore[misc]
            shutil.copytree(base / "preds", case / "preds"),
            shutil.copytree(base / "labels", case / "labels"),
            *(mask.write_bytes(b"x") for mask in (case / role).iterdir()),
        ],
        code=code,
    )
    for role, says, code in (("labels", "NIfTI", 2), ("preds", "24 of 24 predictions cannot be used", 2))
]
STRICT = [
    Cause(
        "strict: a broken prediction",
        (*_AUDIT, "--strict"),
        (_CASE, "0 bytes"),
        _in_place_of_one("preds", f"{_CASE}.nii.gz", b""),
    ),
    Cause(
        "strict: a broken label",
        (*_AUDIT, "--strict"),
        (_CASE, "0 bytes"),
        _in_place_of_one("labels", f"{_CASE}.nii.gz", b""),
    ),
    Cause(
        "an unusable prediction is an error",
        (*_AUDIT, "--missing-prediction", "error"),
        (_CASE,),
        _in_place_of_one("preds", f"{_CASE}.nii.gz", b""),
    ),
    Cause(
        "labels of two ways to say the size of a voxel",
        _AUDIT,
        ("--spacing", _CASE),
        _in_place_of_one("labels", _NPY, _npy(_VOXELS)),
    ),
    Cause(
        "a mask that holds 32 values and more",
        _AUDIT,
        (_CASE, "--label"),
        _in_place_of_one("labels", f"{_CASE}.nii.gz", _saved(np.arange(4096, dtype=np.int32).reshape(16, 16, 16))),
    ),
]

CAUSES = [*NIFTI, *NUMPY, *HEADERS, *PICTURES, *NO_FILES, *_ALL_BROKEN, *STRICT]
