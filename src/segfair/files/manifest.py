"""Hashes: what an audit read and wrote, and whether any of it has changed since.

Reads bytes and writes no report; `report.py` puts the manifest beside the other files.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segfair.documents import check_tree, read_json
from segfair.errors import InputError
from segfair.files.datalists import is_path_table, read_path_table
from segfair.files.dicom.index import dicom_masks
from segfair.files.finding.patterns import find_by_pattern, is_pattern, local_masks, split_pattern
from segfair.files.image_files import find_images
from segfair.files.images.headers import leads_out
from segfair.files.layouts import pair_ids
from segfair.remote import bring

__all__ = [
    "FORMAT",
    "MANIFEST",
    "Origin",
    "build_manifest",
    "hash_file",
    "hash_inputs",
    "is_ours",
    "not_covered",
    "recorded_inputs",
    "recorded_origin",
    "recorded_roles",
    "verify",
    "written_files",
]

FORMAT = 1
MANIFEST = "manifest.json"
IMAGES = "images"
UNREADABLE = "unreadable"
_OURS = (
    *(
        "report.html",
        "summary.html",
        "summary.pdf",
        "audit.json",
        "cases.csv",
        "lesions.csv",
        "subgroups.csv",
        "model-card.md",
        "comparison.html",
        "comparison.json",
        "runs.html",
        "runs.json",
        "dossier.html",
        "dossier.json",
        "dossier.csv",
    ),
    *("figures/*.svg", "figures/*.png", "figures/*.pdf"),
    *("leaderboard.html", "leaderboard.csv", "rank.json", "challengeR.csv", "teams/*.html", "teams/*.csv"),
    *("public/*", "codabench/*.json", "grand-challenge/*.json"),
)
"""What segfair writes into a folder: a file so named that the manifest lacks passes for a part of the report."""
_HASHES = {"type": "object", "additionalProperties": {"type": "string"}}
_SCHEMA = {
    "type": "object",
    "required": ["inputs", "outputs"],
    "properties": {
        "command": {"type": ["string", "null"]},
        "written": {"type": ["string", "null"]},
        "outputs": _HASHES,
        "inputs": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["files"],
                "properties": {"files": {**_HASHES, "type": ["object", "null"]}},
            },
        },
    },
}
_COLUMNS = {
    "predictions": re.compile("prediction"),
    "labels": re.compile("label"),
    "labels2": re.compile(r"label\d+"),
}
"""Role -> the columns of a table of paths that name its files."""
_DATASET_FILES = {"dataset.json", "summary.json", "plans.json", "splits_final.json"}


@dataclass(frozen=True, slots=True)
class Origin:
    """How the audit came about that a report is drawn from again.

    Attributes:
        command: Its command line; empty: not known, or kept back.
        written: When it was written, ISO 8601; empty: not known.
    """

    command: str = ""
    written: str = ""


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    bring(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_input(path: Path) -> str:
    """SHA-256 of a file that was handed in; `UNREADABLE` where it may not be read, as it could not be scored either."""
    try:
        return hash_file(path)
    except (OSError, InputError):
        return UNREADABLE


def hash_inputs(inputs: Mapping[str, str], case_ids: Collection[str]) -> dict[str, Any]:
    """Role -> path and SHA-256 of each file of the audit found there.

    Of a folder only the files that bear a case id count (and what describes the data set): a folder of labels may
    hold terabytes of images beside them. In the role "images" every channel of a case counts, and of a tree of DICOM
    files every segmentation and structure set.

    Args:
        inputs: Role -> path of a file or folder.
        case_ids: The cases of the audit.

    Returns:
        `files` is None where the path does not exist (any more).
    """
    return {role: {"path": path, "files": _hash_path(Path(path), role, case_ids)} for role, path in inputs.items()}


def _hash_path(path: Path, role: str, case_ids: Collection[str]) -> dict[str, str] | None:
    try:
        path = local_masks(path)
    except InputError:
        return None
    if path.is_file() and not _lists_files(path, role):
        return {path.name: hash_input(path)}
    if not path.exists() and not is_pattern(path):
        return None
    return {name: hash_input(file) for name, file in _files(path, role, case_ids).items()}


def _files(path: Path, role: str, case_ids: Collection[str]) -> dict[str, Path]:
    """The files of some cases in a folder (or that a list or a pattern names), by their path from there."""
    if is_pattern(path) or is_path_table(path):
        folder = split_pattern(path)[0] if is_pattern(path) else path.parent
        return {Path(os.path.relpath(file, folder)).as_posix(): file for file in _named_files(path, role, case_ids)}
    if role != IMAGES:
        named = _files_of_cases(path, case_ids)
        # DICOM files bear ids of nothing in their names.
        of_cases = any(file.name not in _DATASET_FILES for file in named)
        if not of_cases:
            named += dicom_masks(path)
        return {file.relative_to(path).as_posix(): file for file in named}
    try:
        found = find_images(path, case_ids=case_ids)
    except InputError:
        return {}
    folder = path if path.is_dir() else path.parent
    pairs = pair_ids(sorted(case_ids), list(found))
    files = (file for image in pairs.values() for file in found[image])
    # A list of images may name files that lie elsewhere.
    return {Path(os.path.relpath(file, folder)).as_posix(): file for file in files}


def _lists_files(path: Path, role: str) -> bool:
    """Whether a file is a list of those that count, rather than one of them."""
    return role == IMAGES or (role in _COLUMNS and is_path_table(path))


def _named_files(path: Path, role: str, case_ids: Collection[str]) -> list[Path]:
    """The files of some cases that a table or a pattern names; none where it cannot be read."""
    try:
        if is_pattern(path):
            found = find_by_pattern(path, role)
            pairs = pair_ids(sorted(case_ids), list(found))
            return [found[name] for name in pairs.values()]
        listed = read_path_table(path)
    except InputError:
        return []
    if role == IMAGES:
        return [file for case, files in listed.images.items() if case in case_ids for file in files]
    files = [listed.files.get(column, {}) for column in listed.files if _COLUMNS[role].fullmatch(column)]
    return [file for of_role in files for case, file in of_role.items() if case in case_ids and _is_file(file)]


def _files_of_cases(folder: Path, case_ids: Collection[str]) -> list[Path]:
    """The files of a folder that bear a case id, and those that describe the data set."""
    known = set(case_ids)
    exact, channels = [], []
    for file in sorted(folder.rglob("*")):
        stem = file.name.partition(".")[0]
        if any(part.startswith(".") for part in file.relative_to(folder).parts) or not _is_file(file):
            continue
        if file.name in _DATASET_FILES or _case_of(file.name, known):
            exact.append(file)
        elif stem.endswith("_0000") and stem.removesuffix("_0000") in known:
            channels.append(file)
    # Predictions may bear nnU-Net's channel suffix; where the plain names exist, files with it are images.
    plain = {file.name.partition(".")[0] for file in exact}
    exact += [file for file in channels if file.name.partition(".")[0].removesuffix("_0000") not in plain]
    return sorted(exact)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder that may be listed and not searched
        return False


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
    origin: Origin | None = None,
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
        origin: The audit, where only the report was drawn again; its command and date then stand in the first place,
            and those of the drawing under `redrawn`.
    """
    drawn = {"written": written, "command": command}
    told = drawn if origin is None else {"written": origin.written or None, "command": origin.command, "redrawn": drawn}
    return {
        "format": FORMAT,
        "written_by": "segfair",
        **told,
        "protocol": {"name": protocol, "sha256": protocol_digest},
        "versions": dict(versions),
        "inputs": dict(inputs),
        "outputs": {name: hash_file(path) for name, path in outputs.items()},
    }


def is_ours(directory: Path) -> bool:
    """Whether a folder holds a manifest that segfair wrote."""
    return _own_tree(directory) is not None


def _own_tree(directory: Path) -> dict[str, Any] | None:
    """The manifest in a folder, whatever became of it; None where there is none of segfair's."""
    try:
        tree = read_json(directory / MANIFEST)
    except InputError:
        return None
    return tree if isinstance(tree, dict) and tree.get("written_by") == "segfair" else None


def _read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a report.

    Raises:
        InputError: There is none of segfair's, or it was edited so that it is none any more.
    """
    path, tree = directory / MANIFEST, _own_tree(directory)
    if tree is None:
        raise InputError(f"{path}: missing or not written by segfair; name the folder of a report")
    check_tree(tree, _SCHEMA, str(path))
    return tree


def written_files(directory: Path) -> set[str]:
    """The files of an earlier report that are still as segfair wrote them; none without a manifest."""
    try:
        outputs = _read_manifest(directory)["outputs"]
    except InputError:
        return set()
    inside = directory.resolve()
    return {
        name
        for name, digest in outputs.items()
        # Nor here: what is found is removed.
        if (path := (directory / name).resolve()).is_relative_to(inside)
        and path.is_file()
        and hash_file(path) == digest
    }


def recorded_inputs(audit_json: Path, inputs: Mapping[str, str]) -> dict[str, Any]:
    """The hashes of the inputs as they were audited, for a report that is drawn again.

    What the inputs are by now says nothing about the audit: without the audit's own manifest (or with one that is of
    another audit.json) there are no hashes.

    Args:
        audit_json: The file that is drawn again.
        inputs: Role -> path, as audit.json has them.
    """
    manifest = _manifest_of(audit_json)
    if manifest:
        return {role: entry for role, entry in manifest["inputs"].items() if role in inputs}
    return {role: {"path": path, "files": None} for role, path in inputs.items()}


def recorded_origin(audit_json: Path) -> Origin:
    """Command and date of the audit, for a report that is drawn again; from the audit's own manifest alone."""
    manifest = _manifest_of(audit_json)
    return Origin(manifest.get("command") or "", manifest.get("written") or "")


def _manifest_of(audit_json: Path) -> dict[str, Any]:
    """The manifest beside an audit.json; empty where there is none, or one of another audit.json."""
    with contextlib.suppress(InputError):
        manifest = _read_manifest(audit_json.parent)
        if manifest["outputs"].get("audit.json") == hash_file(audit_json):
            return manifest
    return {}


def verify(directory: Path, inputs: Mapping[str, Path] | None = None) -> list[str]:
    """What differs from the manifest, one sentence each; empty where nothing does.

    A file counts as added where the manifest lacks it: in the report's folder one with a name that segfair writes
    (`not_covered` names the others), in a folder of inputs one that bears the id of an audited case. The manifest does
    not vouch for itself; keep its own hash somewhere else to notice that somebody wrote a new one.

    Args:
        directory: A folder that `segfair audit` wrote.
        inputs: Role -> where the inputs lie now; None: only the outputs are checked.

    Raises:
        InputError: The folder has no manifest of segfair's, a broken one, or an input is not there.
    """
    manifest = _read_manifest(directory)
    outputs, recorded = manifest["outputs"], manifest["inputs"]
    changes = _compare(outputs, directory, "output")
    changes += [
        f"output {name}: added, the manifest does not have it"
        for name in _unlisted(directory, outputs)
        if _named_as_ours(name)
    ]
    for role, given in (inputs or {}).items():
        path = local_masks(given)
        if not path.exists() and not is_pattern(path):
            raise InputError(f"{path}: does not exist; name where the {role} lie now")
        entry = recorded.get(role)
        if entry is None or entry["files"] is None:
            changes.append(f"input {role}: the manifest has no hashes of it")
        elif path.is_file() and not _lists_files(path, role):
            # A single file may have been moved and renamed; its contents are what was read.
            (digest,) = entry["files"].values() if len(entry["files"]) == 1 else ("",)
            if hash_input(path) != digest:
                changes.append(f"input {role} {path.name}: changed")
        else:
            folder = split_pattern(path)[0] if is_pattern(path) else path if path.is_dir() else path.parent
            changes += _compare(entry["files"], folder, f"input {role}")
            for name in _files(path, role, _audited_cases(directory)):
                if name not in entry["files"]:
                    changes.append(f"input {role} {name}: added, the manifest does not have it")
    return changes


def not_covered(directory: Path) -> tuple[str, ...]:
    """The files in a report's folder that are somebody else's; the manifest never had them."""
    outputs = _read_manifest(directory)["outputs"]
    return tuple(name for name in _unlisted(directory, outputs) if not _named_as_ours(name))


def _unlisted(directory: Path, outputs: Collection[str]) -> list[str]:
    """The files of a folder that a manifest does not list, but hidden ones."""
    files = (file.relative_to(directory) for file in sorted(directory.rglob("*")) if file.is_file())
    known = {*outputs, MANIFEST}
    return [
        file.as_posix()
        for file in files
        if file.as_posix() not in known and not any(part.startswith(".") for part in file.parts)
    ]


def _named_as_ours(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _OURS)


def recorded_roles(directory: Path) -> tuple[str, ...]:
    """The inputs that a manifest has hashes of."""
    recorded = _read_manifest(directory)["inputs"]
    return tuple(role for role, entry in recorded.items() if entry["files"] is not None)


def _audited_cases(directory: Path) -> set[str]:
    """The case ids in audit.json; none where it cannot be read, which the hashes then tell."""
    try:
        tree = read_json(directory / "audit.json")
        rows, excluded = tree["case_scores"]["rows"], tree["cases"]["excluded"]
        return {str(row[0]) for row in rows} | {str(entry["case"]) for entry in excluded}
    except (InputError, KeyError, TypeError, IndexError):
        return set()


def _compare(files: Mapping[str, str], folder: Path, what: str) -> list[str]:
    changes = []
    for name, digest in files.items():
        # A manifest that was tampered with must not lead out of the folder; inputs of one's own may lie anywhere.
        if what == "output" and leads_out(folder / name, folder):
            changes.append(f"{what} {name}: leads out of {folder}; it was not looked at")
        elif not (folder / name).is_file():
            changes.append(f"{what} {name}: missing")
        elif hash_input(folder / name) != digest:
            changes.append(f"{what} {name}: changed")
    return changes
