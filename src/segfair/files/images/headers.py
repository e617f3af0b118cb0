"""The text headers of NRRD and MetaImage: which other files hold the voxels, and whether a voxel has a size.

SimpleITK opens whatever file a header names, wherever it lies. Here the names are read first, so that a header which
leads elsewhere is refused before anything is opened. Reads no voxel.

References:
    Teem, "Definition of NRRD File Format" (teem.sourceforge.net/nrrd/format.html), "data file".
    ITK, "MetaIO" (itk.org/Wiki/MetaIO/Documentation), "ElementDataFile".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segfair.errors import InputError, cut_text
from segfair.files.images.voxel_stream import Packed

__all__ = ["TEXT_HEADERS", "TextHeader", "data_files", "leads_out", "read_text_header", "refuse_data_outside"]

TEXT_HEADERS = (".nrrd", ".mha", ".mhd")
"""Endings of files that begin with such a header."""

# Most headers end within the first; a list of ten thousand slices within the second.
_USUAL_BYTES, _MOST_BYTES = 1 << 12, 1 << 20

_NRRD_DATA = re.compile(r"\s*data ?file\s*:\s*(?P<value>.*)", re.IGNORECASE)
_NRRD_SIZE = re.compile(r"\s*(spacings|space directions)\s*:.*\d", re.IGNORECASE)
# Wherever it stands in a line and however it is spelt: what is no data file for MetaIO does no harm here.
_META_DATA = re.compile(r"element\s*data\s*file\s*[=:]?\s*(?P<value>.*)", re.IGNORECASE)
_NRRD_END, _META_END = re.compile(rb"\r?\n\r?\n"), re.compile(rb"^ElementDataFile *= *LOCAL *\r?\n", re.MULTILINE)
# A field of NRRD; `key:=value` is none.
_NRRD_FIELD = re.compile(r"^([^:#\n]+):(?!=)(.*)$", re.MULTILINE)
_META_FIELD = re.compile(r"^(\w+)[ \t]*=(.*)$", re.MULTILINE)
_NRRD_PACKED: Mapping[str, Packed] = {"raw": "", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
# MetaIO takes any other spelling for the name of a file.
_LOCAL = ("LOCAL", "Local", "local")
_META_SIZE = re.compile(r"\s*(ElementSpacing|ElementSize)\s*[=:].*\d", re.IGNORECASE)
_META_AXES = re.compile(r"\s*NDims\s*[=:]\s*[234]\s*")
# From, to and step, in at most as many letters as MetaIO has room for: it looks at neither, writes beyond its memory,
# and divides by a step of 0.
_META_RANGE = re.compile(r"(?=.{1,79}$)[^% ]*%\d{0,2}d[^% ]* +(?P<first>\d{1,6}) +(?P<last>\d{1,6}) +(?P<step>\d{1,6})")
_NUMBER = re.compile(r"%\d*d")
# A name with the place of a number in its last part, and the numbers: from, to, step, axes.
_PATTERN = re.compile(r"(?P<name>(?:[^%\s]*/)?[^%/\s]*%\d*d[^%/\s]*)(?:\s+-?\d+)*")


@dataclass(frozen=True, slots=True)
class Attached:
    """Voxels that follow their header in one block.

    Attributes:
        offset: Byte of the file at which they begin.
        packed: How they are compressed.
        byte_order: Of the numbers, as numpy writes it.
    """

    offset: int
    packed: Packed
    byte_order: Literal["<", ">"]


@dataclass(frozen=True, slots=True)
class TextHeader:
    """What a header says apart from the voxels.

    Attributes:
        data_files: Names of the files that hold the voxels, as written (`%03d` stands for a number); empty where they
            follow the header itself.
        has_size: Whether it says how large a voxel is.
        n_files: Over how many files MetaImage says that the voxels are spread, which its reader does not count: where
            some are missing it takes whatever lies in memory. None: it says nothing of several files.
        attached: Where the voxels lie in the file itself; None where they lie elsewhere or are written in a way that
            is rare (text, something skipped before them).
    """

    data_files: tuple[str, ...]
    has_size: bool
    n_files: int | None = None
    attached: Attached | None = None


def read_text_header(path: Path) -> TextHeader:
    """Reads the header of a `.nrrd`, `.mha` or `.mhd` file.

    Raises:
        InputError: It does not end within a megabyte, speaks of axes that no mask has, or of several files in a way in
            which they cannot be counted.
        OSError: The file cannot be read.
    """
    is_nrrd = path.name.lower().endswith(".nrrd")
    for n_bytes in (_USUAL_BYTES, _MOST_BYTES):
        with path.open("rb") as stream:
            content = stream.read(n_bytes + 1)
        # Latin-1 never fails, and file names come back byte by byte; a bare carriage return ends a line as well.
        lines = re.split(r"\r\n|\r|\n", content.decode("latin-1"))
        names, has_size, ended = _nrrd(lines) if is_nrrd else _meta(lines)
        if ended or len(content) <= n_bytes:
            n_files = None
            if not is_nrrd:  # Teem looks by itself
                _refuse_axes(path, lines)
                n_files = _count_files(path, lines)
            files = tuple(os.fsdecode(name.encode("latin-1")) for name in names)
            return TextHeader(files, has_size, n_files, _attached(path, content) if ended and not files else None)
    raise InputError(f"{path}: its header does not end within a megabyte; write the file again")


def _refuse_axes(path: Path, lines: list[str]) -> None:
    """Refuses what is no number of axes: MetaIO takes any for the length of arrays that have room for ten."""
    for line in lines:
        if "ndims" in line.lower() and not _META_AXES.fullmatch(line):
            raise InputError(f"{path}: its header says {cut_text(line.strip())!r}, and a mask has two or three axes")


def _count_files(path: Path, lines: list[str]) -> int | None:
    """How many files a header of MetaImage says that its voxels lie in; None where it does not speak of several."""
    for index, line in enumerate(lines):
        match = _META_DATA.search(line)
        value = match["value"].strip() if match else ""
        if value == "LIST":
            return sum(bool(entry.strip()) for entry in lines[index + 1 :])
        if "%" in value or value.upper().startswith("LIST"):
            numbers = _META_RANGE.fullmatch(value)
            first, last, step = map(int, numbers.groups()) if numbers else (0, 0, 0)
            if step < 1 or last < first:
                raise InputError(
                    f"{path}: names its data files as {cut_text(value)!r}; expected one file, or numbered ones such as "
                    "'slice%03d.raw 0 99 1' (from, to, step)"
                )
            return 1 + (last - first) // step
        if match and value in _LOCAL and line.startswith("ElementDataFile"):
            return None  # whatever follows is voxels
    return None


def _attached(path: Path, content: bytes) -> Attached | None:
    """Where the voxels lie that follow a header which has ended; None wherever a reader might take it otherwise."""
    is_nrrd = path.name.lower().endswith(".nrrd")
    end = (_NRRD_END if is_nrrd else _META_END).search(content)
    if end is None or b"\r" in content[: end.end()].replace(b"\r\n", b"\n"):
        return None
    found = (_NRRD_FIELD if is_nrrd else _META_FIELD).findall(content[: end.end()].decode("latin-1"))
    fields = {name.lower(): value.strip().lower() for name, value in found}
    if len(fields) < len(found) or fields.keys() & {"byte skip", "byteskip", "line skip", "lineskip", "headersize"}:
        return None
    if not is_nrrd and len(found) < content.count(b"\n", 0, end.end()):
        return None  # MetaIO knows other ways to write a field
    if is_nrrd:
        packed = _NRRD_PACKED.get(fields.get("encoding", ""))
        big = fields.get("endian") == "big"
    else:
        # MetaIO looks at the first letter only.
        true = {name for name, value in fields.items() if value[:1] in ("t", "1")}
        packed = None if "binarydata" not in true else "zlib" if "compresseddata" in true else ""
        big = bool(true & {"binarydatabyteordermsb", "elementbyteordermsb"})
    return None if packed is None else Attached(end.end(), packed, ">" if big else "<")


def refuse_data_outside(path: Path, header: TextHeader, *, within: Path | None = None) -> None:
    """Refuses a header whose voxels lie elsewhere.

    Args:
        path: The header's file.
        header: What it says.
        within: Folder that must not be left; None: the header's own folder (that of the file behind a link counts
            as well).

    Raises:
        InputError: A data file lies outside, or is no plain file.
    """
    inside = [within] if within is not None else [path.parent, Path(os.path.realpath(path)).parent]
    place = "the folder it was handed in with" if within is not None else "its own folder"
    for name in header.data_files:
        if "\0" in name or name.startswith("~") or ("%" in name and not _PATTERN.fullmatch(name)):
            raise InputError(f"{path}: names its data file as {name!r}, which is no plain path; write one file")
        for found in _meant(path, name):
            if all(leads_out(found, folder) for folder in inside):
                raise InputError(
                    f"{path}: its header takes the voxels from outside of {place} ({name}); hand in a file that holds "
                    "its own voxels"
                )
            if found.exists() and not found.is_file():
                raise InputError(f"{path}: its data file {name} is no file; write it again")


def data_files(path: Path, *, within: Path | None = None) -> list[Path]:
    """The files beside a header that may hold its voxels, those that exist, by name; `within` as above.

    Raises:
        InputError: One lies outside, or the header does not end.
        OSError: The header cannot be read.
    """
    header = read_text_header(path)
    refuse_data_outside(path, header, within=within)
    return sorted({found for name in header.data_files for found in _meant(path, name) if found.is_file()})


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path, all links followed, lies outside of a folder."""
    real, inside = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, inside]) != inside


def _meant(path: Path, name: str) -> Iterable[Path]:
    """The files that a name in a header may stand for."""
    folder, file = os.path.split(name)
    return _numbered(path.parent / folder, file) if "%" in file else [path.parent / name]


def _numbered(folder: Path, pattern: str) -> Iterable[Path]:
    """The folder of numbered files and those of its files that the pattern may mean."""
    yield folder / _NUMBER.sub("0", pattern)
    wanted = re.compile(r"\d+".join(map(re.escape, _NUMBER.split(pattern))))
    if folder.is_dir():
        yield from (entry for entry in folder.iterdir() if wanted.fullmatch(entry.name))


def _nrrd(lines: list[str]) -> tuple[list[str], bool, bool]:
    """Data files, whether there is a size, and whether the header ends: it does at the first empty line."""
    end = lines.index("") if "" in lines else len(lines)
    names: list[str] = []
    for index, line in enumerate(lines[:end]):
        match = _NRRD_DATA.match(line)
        if match:
            # A list goes on to the end of the file.
            names += _named(match["value"], lines[index + 1 :])
    return names, any(_NRRD_SIZE.match(line) for line in lines[:end]), end < len(lines) and not names


def _meta(lines: list[str]) -> tuple[list[str], bool, bool]:
    names: list[str] = []
    has_size = False
    for index, line in enumerate(lines):
        has_size = has_size or _META_SIZE.match(line) is not None
        match = _META_DATA.search(line)
        if not match:
            continue
        if match["value"].strip() not in _LOCAL:
            names += _named(match["value"], lines[index + 1 :])
        elif line.startswith("ElementDataFile"):
            return names, has_size, True
    return names, has_size, False


def _named(value: str, following: list[str]) -> list[str]:
    """The files that one entry names: itself, numbered ones, or those listed after it."""
    entries = following if value.upper().split()[:1] == ["LIST"] else [value]
    names: list[str] = []
    for entry in filter(None, map(str.strip, entries)):
        numbered = _PATTERN.fullmatch(entry)
        # One reader takes a whole line, another its first word.
        names += [numbered["name"]] if numbered else [entry, entry.split()[0]]
    return list(dict.fromkeys(names))
