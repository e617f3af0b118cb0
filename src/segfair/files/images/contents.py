"""What is in a mask's files -> a digest: equal digests, equal voxels and geometry. Decodes nothing.

Hashes bytes: a mask that was compressed again has another digest (`segfair.scoring.label_digest` looks at voxels).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from segfair.files.images.headers import TEXT_HEADERS, data_files
from segfair.files.images.masks import mask_suffix
from segfair.remote import bring

__all__ = ["content_digest"]


def content_digest(path: Path, *, within: Path | None = None) -> str:
    """SHA-256 of all that a reader of one mask looks at: extension, bytes, and those of files that a header names.

    Args:
        path: The file, or a folder of one file a structure.
        within: Folder that the voxels of a detached header must not leave; None: the header's own.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: A file cannot be read.
        InputError: A header that leads elsewhere, or does not end; a file that cannot be brought.
    """
    if path.is_dir():
        names = [entry for entry in sorted(path.iterdir()) if mask_suffix(entry)]
        told = [f"{entry.name} {content_digest(entry, within=within)}\n" for entry in names]
        return hashlib.sha256("".join(told).encode()).hexdigest()
    bring(path)
    suffix = mask_suffix(path)
    found = hashlib.sha256(suffix.encode())
    files = [path, *(data_files(path, within=within) if suffix.endswith(TEXT_HEADERS) else ())]
    for file in files:
        with file.open("rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()
