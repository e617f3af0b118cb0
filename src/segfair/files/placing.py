"""Files appear once they are complete, one by one or together: written aside, then moved; and texts and trees in them.

The one border where texts leave for files: whatever a name holds, even bytes that are no UTF-8, is written. Knows no
layout.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from segfair.errors import ConfigError, in_words

__all__ = [
    "file_names",
    "placed_together",
    "placed_whole",
    "refuse_file",
    "refuse_foreign",
    "text_file",
    "to_bytes",
    "write_json",
    "write_text",
]

_LONE = "backslashreplace"
"""A lone surrogate, as names of files whose bytes are no UTF-8 have it, stands as JSON calls it: \\udcff."""


def refuse_file(directory: Path) -> None:
    """Refuses a folder to write that is a file.

    Raises:
        ConfigError: It is, or nobody may look.
    """
    try:
        is_file = directory.exists() and not directory.is_dir()
    except OSError as error:
        raise _unwritable(directory, error) from error
    if is_file:
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
    try:
        foreign = [name for name in names if (directory / name).exists()]
    except OSError as error:
        raise _unwritable(directory, error) from error
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
def text_file(path: Path) -> Iterator[TextIO]:
    """A text file to write in UTF-8, its line ends as they are written; it appears under its name once it is complete.

    Raises:
        OSError: It cannot be written.
    """
    with placed_whole(path) as unfinished, unfinished.open("w", encoding="utf-8", errors=_LONE, newline="") as file:
        yield file


def write_text(path: Path, text: str) -> None:
    """Writes a text; see `text_file`."""
    with text_file(path) as file:
        file.write(text)


def write_json(path: Path, tree: Any) -> None:
    """Writes a tree of plain values as JSON; see `text_file`.

    Raises:
        OSError: It cannot be written.
        ValueError: A number is nan or infinite, which JSON cannot hold.
    """
    with text_file(path) as file:
        file.writelines(_pieces(tree, ""))


def to_bytes(text: str) -> bytes:
    """A text as `write_text` writes it."""
    return text.encode("utf-8", _LONE)


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


def file_names(names: Iterable[str], *, otherwise: str, taken: Collection[str] = ()) -> list[str]:
    """Names for files: letters, digits, dot, dash and underscore, different for each also where capitals do not count.

    Args:
        names: What the files are of, called anything.
        otherwise: What one is called of whose name nothing is left, with its number.
        taken: Names that are in use.
    """
    used = set(map(str.casefold, taken))
    found: list[str] = []
    for number, name in enumerate(names, start=1):
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:60] or f"{otherwise}-{number}"
        unused, again = plain, 2
        while unused.casefold() in used:
            unused, again = f"{plain}-{again}", again + 1
        used.add(unused.casefold())
        found.append(unused)
    return found


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
    return ConfigError(f"--out {directory}: cannot be written ({in_words(error)}); choose another folder")


def _pieces(node: Any, margin: str) -> Iterator[str]:
    """A node as `json.dumps(tree, indent=1)` writes it, in pieces.

    What holds no further list or object is one piece, and one call of the encoder in C, which knows no indents: a row
    of a million.
    """
    inner = f"{margin} "
    encode = _encoder(f",\n{inner}")
    if not isinstance(node, dict | list | tuple) or not node:
        yield encode(node)
    elif not any(isinstance(child, dict | list | tuple) for child in _children(node)):
        text = encode(node)
        yield f"{text[0]}\n{inner}{text[1:-1]}\n{margin}{text[-1]}"
    else:
        start, end = "{}" if isinstance(node, dict) else "[]"
        names = [f"{encode(_key(name))}: " for name in node] if isinstance(node, dict) else itertools.repeat("")
        for name, child in zip(names, _children(node), strict=False):
            yield f"{start}\n{inner}{name}"
            yield from _pieces(child, inner)
            start = ","
        yield f"\n{margin}{end}"


def _key(name: Any) -> str:
    """A key as a text: 3 is "3", as the encoder has it."""
    return name if isinstance(name, str) else json.dumps(name)


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node


@functools.cache
def _encoder(separator: str) -> Callable[[Any], str]:
    return json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(separator, ": ")).encode
