"""Hashes: what an audit read and wrote, and whether any of it has changed since.

Reads bytes and writes no report; `report.py` puts the manifest beside the other files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from segfair.errors import InputError

__all__ = ["FORMAT", "MANIFEST", "build_manifest", "hash_file", "hash_inputs", "is_ours", "verify"]

FORMAT = 1
MANIFEST = "manifest.json"
_DATASET_FILES = {"dataset.json", "summary.json", "plans.json", "splits_final.json"}


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_inputs(inputs: Mapping[str, str], case_ids: Collection[str]) -> dict[str, Any]:
    """Role -> path and SHA-256 of each file of the audit found there.

    Of a folder only the files that bear a case id count (and what describes the data set): a folder of labels may
    hold terabytes of images beside them.

    Args:
        inputs: Role -> path of a file or folder.
        case_ids: The cases of the audit.

    Returns:
        `files` is None where the path does not exist (any more).
    """
    return {role: {"path": path, "files": _hash_path(Path(path), case_ids)} for role, path in inputs.items()}


def _hash_path(path: Path, case_ids: Collection[str]) -> dict[str, str] | None:
    if path.is_file():
        return {path.name: hash_file(path)}
    if not path.is_dir():
        return None
    known = set(case_ids)
    exact, channels = [], []
    for file in sorted(path.rglob("*")):
        stem = file.name.partition(".")[0]
        if any(part.startswith(".") for part in file.relative_to(path).parts) or not file.is_file():
            continue
        if file.name in _DATASET_FILES or _case_of(file.name, known):
            exact.append(file)
        elif stem.endswith("_0000") and stem.removesuffix("_0000") in known:
            channels.append(file)
    # Predictions may bear nnU-Net's channel suffix; where the plain names exist, files with it are images.
    plain = {file.name.partition(".")[0] for file in exact}
    exact += [file for file in channels if file.name.partition(".")[0].removesuffix("_0000") not in plain]
    return {file.relative_to(path).as_posix(): hash_file(file) for file in sorted(exact)}


def _case_of(name: str, known: set[str]) -> bool:
    """Whether a file name is a case id and extensions; an id may itself hold dots."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name in known:
            return True
    return False


def build_manifest(
    *,
    outputs: Mapping[str, Path],
    inputs: Mapping[str, Any],
    command: str,
    protocol: str,
    protocol_digest: str,
    versions: Mapping[str, str],
    written: str,
) -> dict[str, Any]:
    """The contents of manifest.json.

    Args:
        outputs: Name under which a file is delivered -> where it lies now.
        inputs: See `hash_inputs`.
        command: The command line; empty: called from Python.
        protocol: Name of the protocol.
        protocol_digest: SHA-256 of its rules.
        versions: Package -> version.
        written: When, ISO 8601.
    """
    return {
        "format": FORMAT,
        "written_by": "segfair",
        "written": written,
        "command": command,
        "protocol": {"name": protocol, "sha256": protocol_digest},
        "versions": dict(versions),
        "inputs": dict(inputs),
        "outputs": {name: hash_file(path) for name, path in outputs.items()},
    }


def is_ours(directory: Path) -> bool:
    """Whether a folder holds a manifest that segfair wrote."""
    try:
        tree = json.loads((directory / MANIFEST).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return False
    return isinstance(tree, dict) and tree.get("written_by") == "segfair"


def verify(directory: Path, inputs: Mapping[str, Path] | None = None) -> list[str]:
    """What differs from the manifest, one sentence each; empty where nothing does.

    Args:
        directory: A folder that `segfair audit` wrote.
        inputs: Role -> where the inputs lie now; None: only the outputs are checked.

    Raises:
        InputError: The folder has no manifest of segfair's.
    """
    if not is_ours(directory):
        raise InputError(f"{directory / MANIFEST}: missing or not written by segfair; name the folder of a report")
    manifest = json.loads((directory / MANIFEST).read_text("utf-8"))
    changes = _compare(manifest["outputs"], directory, "output")
    for role, path in (inputs or {}).items():
        entry = manifest["inputs"].get(role)
        if entry is None or entry["files"] is None:
            changes.append(f"input {role}: the manifest has no hashes of it")
        else:
            changes += _compare(entry["files"], path if path.is_dir() else path.parent, f"input {role}")
    return changes


def _compare(files: Mapping[str, str], folder: Path, what: str) -> list[str]:
    changes = []
    for name, digest in files.items():
        if not (folder / name).is_file():
            changes.append(f"{what} {name}: missing")
        elif hash_file(folder / name) != digest:
            changes.append(f"{what} {name}: changed")
    return changes
