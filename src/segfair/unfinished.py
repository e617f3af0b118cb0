"""Files and folders that are not finished yet: their names, who still writes them, and an end to those of the dead.

Each is held by a lock of the system as long as its process lives. The lock goes with the process, however that ends,
so that no number of a process has to be asked for that has become another's. Where a file system has no locks nothing
is swept. Knows no result.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["held_folder", "unfinished_file", "unfinished_folder"]

if sys.platform != "win32":
    import fcntl

_FOLDER = re.compile(r"\.segfair-[a-z0-9_]{8}")
_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
_handles: set[int] = set()
"""What holds something; a forked child, which may outlive its parent, lets go of it."""


@contextmanager
def unfinished_folder(directory: Path) -> Iterator[Path]:
    """A hidden folder in a folder, which goes with all that it holds; those left by processes that died go first.

    Raises:
        OSError: It cannot be made.
    """
    _sweep(directory, lambda name: _FOLDER.fullmatch(name) is not None)
    with _held(lambda: Path(tempfile.mkdtemp(prefix=".segfair-", dir=directory))) as folder:
        yield folder


@contextmanager
def unfinished_file(path: Path) -> Iterator[Path]:
    """A hidden, empty file beside a path, which goes unless it has been moved; see `unfinished_folder`.

    Its name is its own, so that processes and machines that write the same file do not meet.

    Raises:
        OSError: It cannot be made.
    """
    names = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.part")
    _sweep(path.parent, lambda name: names.fullmatch(name) is not None)

    def make() -> Path:
        hidden = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
        os.close(os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        return hidden

    with _held(make) as hidden:
        yield hidden


@contextmanager
def held_folder(directory: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds a folder that exists, so that no other process does at the same time.

    Args:
        directory: The folder.
        wait: Whether to wait until nobody else holds it.

    Yields:
        Whether nobody else holds it; True as well where a file system has no locks.
    """
    handle = _lock(directory, wait=wait)
    try:
        yield handle is not None
    finally:
        _release(handle)


@contextmanager
def _held(make: Callable[[], Path]) -> Iterator[Path]:
    """Something new that is held, and goes in the end."""
    path, lock = make(), None
    try:
        while (lock := _lock(path)) is None:  # swept in the moment between
            path = make()
        yield path
    finally:
        _remove(path)
        _release(lock)


def _lock(path: Path, *, wait: bool = False) -> int | None:
    """What holds a path until it is closed; -1 where there are no locks; None: another holds it, or it has gone."""
    if sys.platform == "win32":
        return -1
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    _handles.add(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        # Whoever swept it may have removed it before it was locked.
        if os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in _TAKEN:
            _release(handle)
            return -1
    except BaseException:
        _release(handle)
        raise
    _release(handle)
    return None


def _release(handle: int | None) -> None:
    if handle is not None and handle in _handles:
        _handles.discard(handle)
        os.close(handle)


def _sweep(directory: Path, is_unfinished: Callable[[str], bool]) -> None:
    """Removes what nobody holds any more; what cannot be looked at stays."""
    with contextlib.suppress(OSError):
        with os.scandir(directory) as entries:
            left = [entry.path for entry in entries if is_unfinished(entry.name)]
        for name in left:
            lock = _lock(Path(name))
            if lock is not None and lock >= 0:
                _remove(Path(name))
            _release(lock)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _let_go() -> None:
    for handle in _handles:
        os.close(handle)
    _handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
