"""A file's voxels, unpacked slice by slice while these lie in the processor's cache; only what is not 0 is kept.

A mask is nearly all background: whoever unpacks it whole spends most of the time on memory for zeros. Knows no format
of images.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError

__all__ = ["Packed", "open_stream", "read_occupied", "refuse_lie"]

Packed = Literal["", "gzip", "zlib", "bzip2"]

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 18
_MOST_AT_ONCE = 1 << 24
# What may follow the voxels: ITK pads, and some writers leave a note.
_MOST_BEHIND = 1 << 24
# No volume that a mask could be of: 16 GiB.
_MOST_BYTES = 1 << 34
# Deflate packs a byte that repeats into a 1,032nd (zlib.net, "zlib technical details"); what is smaller than this is
# not worth a question.
_DEFLATED, _SMALL = 1032, 1 << 26


@contextmanager
def open_stream(path: Path, offset: int = 0, packed: Packed | None = None) -> Iterator[BinaryIO]:
    """The bytes of a file, unpacked.

    Args:
        path: The file.
        offset: Where to begin in it.
        packed: How they are compressed; None: by gzip if they begin that way, whatever the file's name says.

    Raises:
        InputError: The compression is truncated or damaged, found when that part is read.
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        if packed is None:
            packed = "gzip" if file.read(len(_GZIP)) == _GZIP else ""
            file.seek(offset)
        if not packed:
            yield file
            return
        # Copies runs of equal bytes several times faster than zlib and isal (`benchmarks/reading.py`).
        from zlib_ng import gzip_ng, zlib_ng

        unpacking: Any = gzip_ng
        broken: Any = (zlib_ng.error, EOFError, gzip.BadGzipFile)
        openers: Mapping[Packed, Any] = {
            "gzip": lambda: unpacking.open(file, "rb"),
            "zlib": lambda: io.BufferedReader(_Inflated(file, zlib_ng.decompressobj()), _PIECE),
            "bzip2": lambda: bz2.BZ2File(file),
        }
        try:
            with openers[packed]() as stream:
                yield stream
        except broken as error:
            raise InputError(
                f"{path}: its {packed} compression is truncated or damaged ({error}); write or copy it again"
            ) from error


class _Inflated(io.RawIOBase):
    """What a zlib stream unpacks to, piece by piece."""

    def __init__(self, file: BinaryIO, unpacker: Any) -> None:
        self._file, self._unpacker, self._rest = file, unpacker, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacker.eof:
            packed = self._rest or self._file.read(_PIECE)
            if not packed:
                raise EOFError("it ends too early")
            found = self._unpacker.decompress(packed, len(buffer))
            self._rest = self._unpacker.unconsumed_tail
            if found:
                buffer[: len(found)] = found
                return len(found)
        return 0


def refuse_lie(path: Path, n_bytes: int, n_stored: int) -> None:
    """Refuses a file that cannot hold what it says it does, before memory is taken for it.

    Args:
        path: For messages.
        n_bytes: What the voxels would take unpacked.
        n_stored: Bytes of the files that hold them.

    Raises:
        InputError: However they are compressed, they would not fit; or no machine could score them.
    """
    if n_bytes > max(_SMALL, _DEFLATED * n_stored):
        raise InputError(
            f"{path}: is truncated, {n_stored} of {n_bytes} bytes of voxels, more than compression can make up for; "
            "write or copy it again"
        )
    if n_bytes > _MOST_BYTES:
        raise InputError(f"{path}: holds {n_bytes:,} bytes of voxels, more than any mask; crop it or store it smaller")


def read_occupied(
    stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, ...], path: Path
) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Reads voxels of which the first axis is the fastest, and all that follows them, so that checksums are verified.

    Args:
        stream: Stands at the first voxel.
        dtype: Type of a voxel.
        shape: Voxels along each axis.
        path: For messages.

    Returns:
        The smallest box with all voxels other than 0, and the index of its first voxel. Where all are 0 a box of one
        voxel; with more than three axes, all of them.

    Raises:
        InputError: There are fewer voxels, much more follows them, or the compression is damaged.
    """
    refuse_lie(path, math.prod(shape) * dtype.itemsize, path.stat().st_size)
    n_x, n_y, n_z = shape[0], math.prod(shape[1:2]), math.prod(shape[2:])
    n_bytes = n_x * n_y * dtype.itemsize
    slices: dict[int, bytes] = {}
    nothing = b""
    # What is not 0 in any slice.
    shadow: NDArray[np.uint8] = np.empty(0, np.uint8)
    for index in range(n_z):
        content = _read(stream, n_bytes)
        if len(content) < n_bytes:
            got = index * n_bytes + len(content)
            raise InputError(f"{path}: is truncated, {got} of {n_z * n_bytes} bytes of voxels; write or copy it again")
        if index == 0:
            # Not before a slice is there: a damaged header may claim one of any size.
            nothing, shadow = bytes(n_bytes), np.zeros(n_bytes, np.uint8)
        if content != nothing:
            slices[index] = content
            shadow |= np.frombuffer(content, np.uint8)
    behind = 0
    while piece := stream.read(_PIECE):
        behind += len(piece)
        if behind > _MOST_BEHIND:
            raise InputError(f"{path}: goes on long after the voxels that its header speaks of; write it again")
    ranges = [slice(0, length) for length in (n_x, n_y, n_z)]
    if len(shape) < 4:
        some = shadow.reshape(n_y, n_x, dtype.itemsize).max(axis=2) > 0
        found_in = (np.flatnonzero(some.any(axis=0)), np.flatnonzero(some.any(axis=1)), np.array(list(slices)))
        ranges = [_range_of(indices) for indices in found_in]
    part = np.zeros([found.stop - found.start for found in ranges], dtype, order="F")
    for index in list(slices):
        voxels = np.frombuffer(slices.pop(index), dtype).reshape((n_x, n_y), order="F")
        part[..., index - ranges[2].start] = voxels[ranges[0], ranges[1]]
    if len(shape) > 3:
        return part.reshape(shape, order="F"), (0,) * len(shape)
    n_axes = len(shape)
    return part.reshape(part.shape[:n_axes], order="F"), tuple(found.start for found in ranges[:n_axes])


def _read(stream: BinaryIO, n_bytes: int) -> bytes:
    """So many bytes, or all that there are; memory is taken as they come."""
    content = stream.read(min(n_bytes, _MOST_AT_ONCE))
    if len(content) in (n_bytes, 0):
        return content
    pieces = [content]
    while (n_bytes := n_bytes - len(content)) and (content := stream.read(min(n_bytes, _MOST_AT_ONCE))):
        pieces.append(content)
    return b"".join(pieces)


def _range_of(indices: NDArray[np.intp]) -> slice:
    """From the first to the last of some indices, rising; the first voxel where there are none."""
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, 1)
