"""Files appear once they are complete, one by one or together: written aside, then moved; and texts and trees in them.

The one border where texts leave for files: whatever a name holds, even bytes that are no UTF-8, is written. Knows no
layout.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from segfair.errors import ConfigError, InputError, SegfairError, in_words
from segfair.unfinished import held_folder, unfinished_file, unfinished_folder

__all__ = [
    "Results",
    "file_names",
    "placed_together",
    "placed_whole",
    "refuse_file",
    "refuse_foreign",
    "refuse_unwritable",
    "text_file",
    "to_bytes",
    "told_unwritable",
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


def refuse_unwritable(directory: Path) -> None:
    """Writes to a folder and leaves nothing: before hours of work rather than after them.

    Raises:
        ConfigError: It is a file, or cannot be written.
    """
    refuse_file(directory)
    with _made(directory), unfinished_folder(directory):
        pass


@contextmanager
def placed_whole(path: Path) -> Iterator[Path]:
    """A hidden file to write, which takes the place of `path` when the block ends without an error.

    After an error nothing half-written stays behind.

    Args:
        path: Where to, in a folder that exists; an existing file is replaced.

    Raises:
        OSError: It cannot be made, or moved there.
    """
    with unfinished_file(path) as unfinished:
        yield unfinished
        unfinished.replace(path)


@contextmanager
def told_unwritable(path: Path) -> Iterator[None]:
    """Says of a file that is written in the block why it could not be.

    Raises:
        InputError: The system refused it.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({in_words(error)})") from error


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


@dataclass(frozen=True, slots=True)
class Results:
    """What a folder is written for: worth having also where what is drawn from it fails.

    Attributes:
        names: The files, which are written before all others.
        remedy: What to do about the others, for the message.
        record: (folder, names) -> writes down which files the folder holds, as the last of them; None: nothing does.
    """

    names: Sequence[str] = ()
    remedy: str = ""
    record: Callable[[Path, Sequence[str]], None] | None = None


_NONE = Results()


class _UndrawnError(ConfigError):
    """What is drawn from results failed, and they are there; `why` says the first of it alone."""

    def __init__(self, why: str, kept: str) -> None:
        super().__init__(f"{why}; {kept}")
        self.why = why


@contextmanager
def placed_together(
    directory: Path, *, first: str, results: Results = _NONE, earlier: Callable[[], Collection[str]] = tuple
) -> Iterator[Path]:
    """A hidden folder to write into, whose files move to `directory` when the block ends without an error.

    Other files there stay as they are. After an error those of the results that are complete move, and nothing else;
    without any the folder is as it was, and goes if it was made for it.

    Args:
        directory: Where to; made if it does not exist.
        first: The file that moves first, by which a folder with any of the others can be told as ours.
        results: What must not be lost.
        earlier: Says which files are there of an earlier call, or of one that was done at the same time; those that are
            not written again are removed, and folders left empty by it.

    Raises:
        ConfigError: The folder cannot be written, or something that is drawn from the results failed.
    """
    with _made(directory), unfinished_folder(directory) as unfinished:
        try:
            yield unfinished
            if results.record is not None:
                results.record(unfinished, _names(unfinished))
        except Exception as error:
            kept = _keep(results, unfinished)
            if not kept:
                raise
            _place(unfinished, directory, first, earlier)
            raise _told_with(error, f"{directory} holds {', '.join(kept)}: {results.remedy}", unfinished) from error
        _place(unfinished, directory, first, earlier)


@contextmanager
def _made(directory: Path) -> Iterator[None]:
    """Makes a folder and those around it; what was made goes again while it is empty.

    Raises:
        ConfigError: It cannot be made, or what is done in it cannot be written.
    """
    new = []
    try:
        new = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise _unwritable(directory, error) from error
    finally:
        for folder in new:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _names(folder: Path) -> list[str]:
    """The files of a folder, by their path from there."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _keep(results: Results, folder: Path) -> list[str]:
    """The results that are complete: all other files of the folder go, which makes room to record them."""
    found = _names(folder)
    kept = [name for name in results.names if name in found]
    for name in set(found).difference(kept):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    if kept and results.record is not None:
        # Without it they are still what was worked for.
        with contextlib.suppress(OSError, SegfairError):
            results.record(folder, kept)
    return kept


def _place(unfinished: Path, directory: Path, first: str, earlier: Callable[[], Collection[str]]) -> None:
    """Moves all files of a folder into another; nothing stays of earlier ones that the old record alone knows.

    Of two that do this at the same time one waits for the other: the files of one result lie side by side.
    """
    names = _names(unfinished)
    with held_folder(directory):
        _remove(directory, set(earlier()).difference(names))
        for name in sorted(names, key=lambda name: (name != first, name)):
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / name).replace(directory / name)


def _told_with(error: Exception, kept: str, unfinished: Path) -> Exception:
    """An error with what there is all the same; one of ours where it is no fault of the program."""
    if isinstance(error, SegfairError):
        told = (error.why if isinstance(error, _UndrawnError) else str(error)).replace(f"{unfinished}/", "")
    elif isinstance(error, OSError | MemoryError | ImportError):
        file = getattr(error, "filename", None)
        why = "not enough memory" if isinstance(error, MemoryError) else in_words(error)
        told = f"{Path(file).name if file else 'what is drawn'} cannot be written ({why})"
    else:
        error.add_note(kept)
        return error
    return _UndrawnError(told, kept)


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
