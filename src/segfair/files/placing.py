"""Files appear once they are complete, one by one or together: written aside, then moved. Knows no content."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from segfair.errors import ConfigError

__all__ = ["placed_together", "placed_whole", "refuse_file", "refuse_foreign"]


def refuse_file(directory: Path) -> None:
    """Refuses a folder to write that is a file.

    Raises:
        ConfigError: It is.
    """
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"--out {directory}: is a file; name a folder")


def refuse_foreign(directory: Path, names: Collection[str], *, ours: bool, writer: str = "segfair") -> None:
    """Keeps files of somebody else from being replaced.

    Args:
        directory: Where to.
        names: Files and folders that are about to be written there.
        ours: Whether files of these names would be those of an earlier call.
        writer: Who writes them, for the message.

    Raises:
        ConfigError: The folder is a file, or holds such files that are not ours.
    """
    refuse_file(directory)
    foreign = [name for name in names if (directory / name).exists()]
    if foreign and not ours:
        raise ConfigError(
            f"--out {directory}: holds {', '.join(foreign)} that {writer} did not write; choose another folder"
        )


@contextmanager
def placed_whole(path: Path) -> Iterator[Path]:
    """A hidden file to write, which takes the place of `path` when the block ends without an error.

    Its name is its own, so that processes and machines that write the same file do not meet. After an error nothing
    half-written stays behind.

    Args:
        path: Where to, in a folder that exists; an existing file is replaced.

    Raises:
        OSError: It cannot be moved there.
    """
    unfinished = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


@contextmanager
def placed_together(directory: Path, *, first: str, earlier: Collection[str] = ()) -> Iterator[Path]:
    """A hidden folder to write into, whose files move to `directory` when the block ends without an error.

    Other files there stay as they are. After an error nothing half-written stays behind, nor a folder made for it.

    Args:
        directory: Where to; made if it does not exist.
        first: The file that moves first, by which a folder with any of the others can be told as ours.
        earlier: Files of an earlier call; those that are not written again are removed, and folders left empty by it.

    Raises:
        ConfigError: The folder cannot be written.
    """
    existed = directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".segfair-", dir=directory))
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        yield unfinished
        names = [path.relative_to(unfinished).as_posix() for path in unfinished.rglob("*") if path.is_file()]
        for name in sorted(names, key=lambda name: (name != first, name)):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).replace(directory / name)
        _remove(directory, set(earlier).difference(names))
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not existed:
            # Only an empty folder goes.
            with contextlib.suppress(OSError):
                directory.rmdir()


def _remove(directory: Path, names: Collection[str]) -> None:
    for name in names:
        path = directory / name
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == directory:
                break
            with contextlib.suppress(OSError):
                parent.rmdir()


def _unwritable(directory: Path, error: OSError) -> ConfigError:
    return ConfigError(f"--out {directory}: cannot be written ({error}); choose another folder")
