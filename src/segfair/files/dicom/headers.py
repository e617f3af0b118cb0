"""The door to pydicom: opening a file, and its attributes as plain values. Knows no kind of object.

A DICOM file is a stranger's: any attribute may be absent, empty, of another type or damaged. What cannot be read is an
`InputError` that names the file, whatever pydicom raised.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segfair.errors import ConfigError, InputError, cut_text, in_words

__all__ = [
    "dicom_file",
    "has_pydicom",
    "is_dicom",
    "items",
    "number",
    "numbers",
    "open_dicom",
    "require_dicom",
    "storage_class",
    "text",
    "whole",
]

DICOM_SUFFIXES = (".dcm", ".dicom")
# The letters behind the preamble of every file of the standard's part 10.
_MAGIC, _PREAMBLE = b"DICM", 128


def has_pydicom() -> bool:
    """Whether headers can be read."""
    return importlib.util.find_spec("pydicom") is not None


def require_dicom() -> None:
    """Refuses to go on without the libraries that read DICOM.

    Raises:
        ConfigError: They are not installed.
    """
    missing = [name for name in ("pydicom", "highdicom") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f'DICOM needs {" and ".join(missing)}, not installed; pip install "segfair[dicom]"')


def is_dicom(path: Path) -> bool:
    """Whether a file is one of DICOM: by the mark at its beginning, else by its name."""
    try:
        with path.open("rb") as stream:
            marked = stream.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC
    except OSError:
        marked = False
    return marked or path.name.lower().endswith(DICOM_SUFFIXES)


@contextmanager
def dicom_file(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong with the file of a stranger into a message that names it.

    Raises:
        InputError: In place of any error of pydicom, highdicom or of values that are not what the standard says.
    """
    try:
        with warnings.catch_warnings():
            # A value that breaks the standard's format, which every second file has.
            warnings.simplefilter("ignore")
            yield
    except (InputError, ConfigError, MemoryError):
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({in_words(error)})") from error
    except Exception as error:  # there is no end to what a damaged header makes these libraries raise
        raise InputError(
            f"{path}: cannot be read as DICOM ({in_words(error)}); write or copy it again, or export it uncompressed"
        ) from error


def open_dicom(path: Path, *, only: Sequence[str] = (), with_pixels: bool = False) -> Any:
    """The dataset of a file.

    Args:
        path: The file.
        only: Keywords of the attributes that are wanted; empty: all.
        with_pixels: Whether its pixels are read as well.

    Raises:
        InputError: It is no DICOM file, damaged, or cannot be read.
        ConfigError: pydicom is not installed.
    """
    require_dicom()
    import pydicom

    with dicom_file(path):
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); write or copy it again")
        return pydicom.dcmread(path, stop_before_pixels=not with_pixels, specific_tags=list(only) or None)


def storage_class(path: Path) -> str:
    """The UID of what kind of object a file holds, by its first lines; empty where they do not say."""
    from pydicom.filereader import read_file_meta_info

    try:
        with dicom_file(path):
            return text(read_file_meta_info(path), "MediaStorageSOPClassUID")
    except InputError:
        return ""


def text(dataset: Any, keyword: str) -> str:
    """An attribute as one line of at most 64 characters without control characters; empty where it is absent."""
    value = dataset.get(keyword)
    if value is None:
        return ""
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        value = next(iter(value), "") if not hasattr(value, "components") else value
    shown = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return cut_text(" ".join(shown.split()), 64)


def numbers(dataset: Any, keyword: str, n: int) -> tuple[float, ...] | None:
    """An attribute of `n` finite numbers; None where it is absent or anything else."""
    value = dataset.get(keyword)
    if value is None or isinstance(value, str | bytes):
        return None
    found = list(value) if hasattr(value, "__iter__") else [value]
    try:
        found = [float(entry) for entry in found]
    except (TypeError, ValueError):
        return None
    return tuple(found) if len(found) == n and all(map(math.isfinite, found)) else None


def number(dataset: Any, keyword: str) -> float | None:
    """An attribute of one finite number; None where it is absent or anything else."""
    found = numbers(dataset, keyword, 1)
    return None if found is None else found[0]


def whole(dataset: Any, keyword: str, default: int = 0) -> int:
    """An attribute of one whole number; `default` where it is absent or anything else."""
    found = number(dataset, keyword)
    return default if found is None else int(found)


def items(dataset: Any, keyword: str) -> list[Any]:
    """The items of a sequence; none where it is absent or no sequence."""
    found = dataset.get(keyword)
    return [item for item in found if hasattr(item, "get")] if hasattr(found, "__iter__") else []
