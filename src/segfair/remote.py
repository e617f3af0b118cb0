"""What lies elsewhere (`s3://`, `gs://`, arrays in memory) and the local files that stand for it.

A folder is listed once; every file of it gets a local one of the same name. Small things (tables, lists, pictures) are
brought at once; a NIfTI file stays empty until its case is scored, and is brought by the process that scores it. So all
that reads files reads local ones. Copies stay for later runs; what has changed since is brought again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from segfair.errors import InputError

__all__ = ["bring", "is_url", "local_copy", "memory_folder", "shown"]

# The folder of copies; what lies below its name is scheme and place, on every machine alike.
_STORE = "segfair-remote"
_COPY = re.compile(rf"^.*/{_STORE}/(?P<scheme>[^/]+)/(?P<place>.+)$")
# `Path` makes one slash of two; a single letter would be a drive of Windows.
_URL = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]+):/+(?P<place>.*)$")
_URL_IN_TEXT = re.compile(r"(?<![\w/.-])([a-z][a-z0-9+.-]+):/(?=[^/\s])")
# What may be read before a case is scored, and is small, or rare.
_AT_ONCE = (
    *(".csv", ".tsv", ".tab", ".txt", ".xlsx", ".xlsm", ".xls", ".parquet", ".pq", ".json", ".jsonl"),
    *(".png", ".tif", ".tiff", ".npy", ".npz", ".nrrd", ".mha", ".mhd", ".raw", ".zraw"),
)
# What tells one version of a file from the next, as various storages call it; the best first.
_VERSION = ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated", "mtime", "created")

_in_memory: list[Path] = []
"""Folders of files that stand for arrays of whoever called."""
_listed: set[Path] = set()
"""Copies of what this process, or the one it was forked from, has listed: these are of today."""


def local_copy(path: Path) -> Path:
    """The local file or folder that stands for a URL; any other path as it is.

    Args:
        path: A path, or a URL, of which `Path` may have made one slash of two.

    Raises:
        InputError: Nothing is there, or it cannot be listed; no fsspec, or none for this kind of storage.
    """
    url = _url(path)
    if url is None:
        return Path(path)
    with _told(url, "cannot be listed"):
        system, place = _open(url)
        files = {place: system.info(place)} if system.isfile(place) else system.find(place, detail=True)
    if not files:
        raise InputError(f"{url}: does not exist, or is empty; name a folder of files or a file")
    scheme = url.partition(":")[0]
    root = _store() / scheme / place.strip("/")
    copies = {_store() / scheme / name.strip("/"): (name, about) for name, about in files.items() if ".." not in name}
    with _told(url, f"cannot be copied to {root}"):
        _forget_others(root, copies)
        absent = [copy for copy, (_, about) in copies.items() if not _is_of_today(copy, about)]
        for copy in absent:
            _stand_in(copy, copies[copy][1])
    _listed.add(root)
    for copy, (name, about) in copies.items():
        if name.lower().endswith(_AT_ONCE):
            bring(copy, about)
    return root


def is_url(path: Path) -> bool:
    """Whether a path names something that lies elsewhere."""
    return _url(path) is not None


def bring(path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Fills the local file that stands for a remote one, where it is not there yet; leaves any other alone.

    Args:
        path: The file.
        about: What the storage says of it; None: it is asked, unless this process has listed its folder.

    Raises:
        InputError: It cannot be brought.
    """
    found = _COPY.match(path.as_posix())
    if found is None:
        return
    listed = any(place in _listed for place in (path, *path.parents))
    if listed and path.is_file() and path.stat().st_size:
        return
    url = _join(found["scheme"], found["place"])
    with _told(url, "cannot be read"):
        system, place = _open(url)
        about = about or system.info(place)
        if path.is_file() and path.stat().st_size and _is_of_today(path, about):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        os.close(handle)
        try:
            system.get_file(place, unfinished)
            os.utime(unfinished, (_version(about), _version(about)))
            Path(unfinished).replace(path)
        finally:
            Path(unfinished).unlink(missing_ok=True)


def shown(text: str) -> str:
    """A text with URLs and arrays as their user named them, in place of the local files that stand for them."""
    prefix = f"{_store().as_posix()}/"
    if prefix in text:
        text = re.sub(rf"{re.escape(prefix)}([^/\s]+)/", lambda found: _join(found[1], ""), text)
    for folder in _in_memory:
        place = re.escape(folder.as_posix())
        text = re.sub(rf"{place}/(\w+)/(.+?)\.npz", r"\1['\2']", text)
        text = re.sub(rf"{place}/(\w+)", r"memory", text)
    return _URL_IN_TEXT.sub(lambda found: _join(found[1], ""), text)


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder for files that stand for arrays: `ROLE/CASE.npz`, which `shown` calls `ROLE['CASE']`."""
    with tempfile.TemporaryDirectory(prefix="segfair-memory-") as name:
        folder = Path(name)
        _in_memory.append(folder)
        try:
            yield folder
        finally:
            _in_memory.remove(folder)


def _url(path: Path) -> str | None:
    found = _URL.match(os.fspath(path))
    return None if found is None else _join(found["scheme"], found["place"])


def _join(scheme: str, place: str) -> str:
    return f"{scheme}://{'/' if scheme in ('file', 'local') else ''}{place}"


def _store() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _STORE


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and what the place is called there."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InputError(f"{url}: needs fsspec; install it with: pip install 'segfair[cloud]'") from error
    system, place = url_to_fs(url)
    return system, place


@contextmanager
def _told(url: str, what: str) -> Iterator[None]:
    """Whatever a storage raises, as a message: each has exceptions of its own."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise InputError(f"{url}: {error}; s3:// needs the package s3fs, gs:// gcsfs, az:// adlfs") from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"{url}: {what} ({reason}); check the name, and that you may read it") from error


def _version(about: Mapping[str, Any]) -> int:
    """A number of whole seconds that differs between versions of a file: the time of change that its copy is given."""
    told = next((about[key] for key in _VERSION if about.get(key) is not None), "")
    if isinstance(told, datetime):  # a listing may give the same moment as a number
        told = told.timestamp()
    return int.from_bytes(hashlib.sha256(f"{about['size']} {told}".encode()).digest()[:4]) >> 1


def _is_of_today(copy: Path, about: Mapping[str, Any]) -> bool:
    return copy.is_file() and int(copy.stat().st_mtime) == _version(about)


def _stand_in(copy: Path, about: Mapping[str, Any]) -> None:
    """An empty file in place of one that is not here yet, or not any more."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(b"")
    os.utime(copy, (_version(about), _version(about)))


def _forget_others(root: Path, copies: Mapping[Path, object]) -> None:
    """Removes copies of what is no more, and folders where a file is now."""
    gone = [path for path in root.rglob("*") if path.is_file() and path not in copies] if root.is_dir() else []
    for path in gone:
        path.unlink()
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # only those that are empty now
            folder.rmdir()
