"""A path with `{id}` in it: which files of a tree it names, and of which case each is. Reads no file.

`preds/{id}/seg_*.nii.gz` is such a path. `{id}` stands for the case id and may come again (`{id}/{id}_seg.nii.gz`);
`*`, `?`, `[...]` and `**` are those of a shell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from segfair.errors import ConfigError, InputError, PairingError, some
from segfair.files.cells import compose
from segfair.files.images.masks import mask_stem
from segfair.remote import local_copy

__all__ = ["find_by_pattern", "is_pattern", "local_masks", "split_pattern", "with_pattern"]

ID = "{id}"
_WILD = re.compile(r"\{id\}|\*|\?|\[")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_MOST_SHOWN = 1000
"""Files of a folder that are counted for a message."""


def with_pattern(folder: str | os.PathLike[str], pattern: str | None, *, option: str = "--pattern") -> Path:
    """A folder and a pattern within it as one path; the folder where there is no pattern.

    Raises:
        ConfigError: Without `{id}`, with another placeholder, or leading out of the folder.
    """
    if pattern is None:
        return Path(folder)
    others = [found for found in _PLACEHOLDER.findall(pattern) if found != ID]
    if others:
        raise ConfigError(f"{option} {pattern}: {others[0]} is not known; {ID} stands for the case id, * for the rest")
    if ID not in pattern:
        raise ConfigError(f"{option} {pattern}: write {ID} where the case id stands, for example {ID}/pred_*.nii.gz")
    if pattern.startswith(("/", "~")) or ".." in Path(pattern).parts:
        raise ConfigError(f"{option} {pattern}: leads out of {folder}; write it relative to that folder")
    return Path(folder) / pattern


def is_pattern(path: Path) -> bool:
    """Whether a path is one with `{id}` in it, rather than that of a file or folder so named."""
    return ID in str(path) and not path.exists()


def split_pattern(path: Path) -> tuple[Path, str]:
    """The folder in which a pattern is looked for, and the pattern from there."""
    first = next(number for number, part in enumerate(path.parts) if _WILD.search(part))
    return Path(*path.parts[:first]), "/".join(path.parts[first:])


def local_masks(path: Path) -> Path:
    """`segfair.remote.local_copy` of a folder, also where a pattern follows it."""
    if not is_pattern(path):
        return local_copy(path)
    folder, pattern = split_pattern(path)
    return local_copy(folder) / pattern


def find_by_pattern(path: Path, what: str) -> dict[str, Path]:
    """Case id -> mask, sorted by id; where an id can be read in several ways, it is the longest.

    Args:
        path: A folder and a pattern.
        what: What is looked for, for messages.

    Raises:
        InputError: The folder is not there, or nothing in it fits; the message shows what it holds.
        PairingError: Two files of one case.
    """
    folder, pattern = split_pattern(path)
    if not folder.is_dir():
        raise InputError(f"{what} {folder}: {'is a file' if folder.exists() else 'does not exist'}; expected a folder")
    wanted, files = _compiled(pattern), dict[str, Path]()
    for name in _names(folder, pattern):
        found = wanted.fullmatch(name)
        if found is None or mask_stem(Path(name).name) is None:
            continue
        case = compose(mask_stem(found["id"]) or found["id"])
        if case in files:
            raise PairingError(
                f"{what} {folder}: two files of case {case} fit {pattern}, {files[case].relative_to(folder)} and {name}"
                "; write a pattern that only one of them fits"
            )
        files[case] = folder / name
    if not files:
        raise InputError(_nothing_fits(folder, pattern, what))
    return dict(sorted(files.items()))


def _nothing_fits(folder: Path, pattern: str, what: str) -> str:
    held = list(islice(_names(folder, "**"), _MOST_SHOWN))
    tried = folder / pattern.replace(ID, "*")
    if not held:
        return f"{what} {folder}: is empty; no mask fits {pattern}"
    n_more = " or more" if len(held) == _MOST_SHOWN else ""
    return (
        f"{what} {folder}: no mask fits {pattern} (looked for as {tried}); the folder has {len(held)}{n_more} files: "
        f"{some(held, 5)}"
    )


def _names(folder: Path, pattern: str) -> Iterator[str]:
    """Files of a tree by their path from there, hidden ones left out, no deeper than a pattern reaches."""
    parts = pattern.split("/")
    most = None if "**" in parts else len(parts)
    for place, folders, files in os.walk(folder, followlinks=most is not None):
        depth = 0 if Path(place) == folder else len(Path(place).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if name[0] != "." and (most is None or depth + 1 < most))
        if most is None or depth + 1 == most:
            yield from (_joined(folder, place, name) for name in sorted(files) if name[0] != ".")


def _joined(folder: Path, place: str, name: str) -> str:
    return (Path(place) / name).relative_to(folder).as_posix()


def _compiled(pattern: str) -> re.Pattern[str]:
    *above, last = pattern.split("/")
    folders = "".join("(?:[^/]+/)*" if part == "**" else f"{_translated(part)}/" for part in above)
    text = folders + (".+" if last == "**" else _translated(last))
    # The first id is free, and others are the same.
    return re.compile(text.replace("(?P=id)", "(?P<id>[^/]+)", 1))


def _translated(part: str) -> str:
    """One component as a regular expression, each `{id}` as a reference back."""
    signs = {ID: "(?P=id)", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\{id\}|\*|\?|\[!?\]?[^\]]*\])", part)
    # What a split keeps stands at odd places.
    return "".join(
        re.escape(piece) if number % 2 == 0 else signs.get(piece) or piece.replace("[!", "[^", 1).replace("\\", r"\\")
        for number, piece in enumerate(pieces)
    )
