"""Inputs -> files whose checksums and compression are right, so that what is tried gets past them."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable

__all__ = ["attached", "gzipped", "in_archive", "member", "picture", "with_checksums"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def attached(mark: bytes, compress: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A header as it is, and what follows its last line compressed."""

    def pack(content: bytes) -> bytes:
        header, found, voxels = content.partition(mark)
        return header + found + compress(voxels) if found else content

    return pack


def in_archive(archive: bytes, member: str) -> Callable[[bytes], bytes]:
    """A ZIP archive with the input in place of one of its members."""

    def pack(content: bytes) -> bytes:
        stream = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(archive)) as old,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, True, 1) as new,
        ):
            for name in old.namelist():
                new.writestr(name, content if name == member else old.read(name))
            if member not in old.namelist():
                new.writestr(member, content)
        return stream.getvalue()

    return pack


def picture(content: bytes) -> bytes:
    """A PNG: its header from the first 13 bytes, its pixels from the others."""
    return (
        _SIGNATURE + _chunk(b"IHDR", content[:13].ljust(13, b"\0")) + _chunk(b"PLTE", bytes(range(48)))
        + _chunk(b"IDAT", zlib.compress(content[13:], 1)) + _chunk(b"IEND", b"")
    )  # fmt: skip


def with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks have the checksums that they ought to have."""
    packed, place = content[:8], 8
    while place + 12 <= len(content):
        length = min(int.from_bytes(content[place : place + 4], "big"), len(content) - place - 12)
        packed += content[place : place + 4]
        body = content[place + 4 : place + 8 + length]
        packed += body + struct.pack(">I", zlib.crc32(body))
        place += 12 + length
    return packed + content[place:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def member(archive: bytes, name: str) -> bytes:
    """What is in a ZIP archive under a name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(name)
