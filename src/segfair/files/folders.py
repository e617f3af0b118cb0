"""The mask files directly in one folder, and the error for a folder without any. Knows no layout, reads no mask."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from segfair.errors import InputError, PairingError, in_words
from segfair.files.cells import compose
from segfair.files.images.masks import MASK_SUFFIXES, mask_stem
from segfair.files.images.probabilities import holds_classes

__all__ = [
    "Role",
    "has_masks",
    "is_folder",
    "mask_files",
    "masks_in",
    "named",
    "nothing_found",
    "readable",
    "unread_masks",
]

# Formats that people keep masks in, and that are not read here.
_UNREAD_SUFFIXES = (".bmp", ".gif", ".jpg", ".jpeg", ".img", ".mgz", ".mat", ".dcm")

# Formats of many things: beside another file of its case such a file is no mask.
_BESIDE = (".tif", ".tiff", ".npy")

Role = Literal["labels", "predictions", "probabilities", "images"]


@contextmanager
def readable(path: Path, role: Role) -> Iterator[None]:
    """Turns a folder that may not be searched into a message."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{role} {path}: cannot be read ({in_words(error)}); make it readable, or hand over another folder"
        ) from error


def named(path: Path) -> Path:
    """The path with a last component that names the folder (`.` does not)."""
    path = Path(path)
    return path.resolve() if path.name in ("", "..") else path


def mask_files(folder: Path) -> list[Path]:
    """Files with a mask name, hidden ones left out, sorted by name."""
    return sorted(entry for entry in folder.iterdir() if mask_stem(entry.name) is not None and not is_folder(entry))


def has_masks(folder: Path) -> bool:
    """Whether at least one such file lies directly in the folder."""
    return any(mask_stem(entry.name) is not None and not is_folder(entry) for entry in folder.iterdir())


def is_folder(entry: Path) -> bool:
    """Whether an entry is a folder; a link to where nobody may look is none, so that it costs no other file."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def masks_in(folder: Path, role: Role) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Case id -> file of one folder, sorted, and what was passed over.

    nnU-Net saves class probabilities as `ID.npz` next to the mask `ID.nii.gz`; these are no second mask, and neither is
    a TIFF or NPY file next to one of another format.

    Raises:
        InputError: No mask in it.
        PairingError: Two masks of one case.
    """
    candidates: dict[str, list[Path]] = {}
    for path in mask_files(folder):
        candidates.setdefault(compose(mask_stem(path.name) or ""), []).append(path)
    if not candidates:
        raise nothing_found(folder, role)
    candidates, n_beside = _without_others(candidates)
    n_probabilities = 0
    for case, paths in candidates.items():
        if len(paths) > 1:
            masks = [path for path in paths if not holds_classes(path)]
            n_probabilities += len(paths) - len(masks)
            if len(masks) != 1:
                names = " and ".join(path.name for path in (masks or paths))
                raise PairingError(f"{role} {folder}: case {case} has two files, {names}; keep one of them")
            candidates[case] = masks
    notices = []
    if n_probabilities:
        notices.append(f"{n_probabilities} .npz files of class probabilities in {folder} are passed over")
    if n_beside:
        notices.append(
            f"{n_beside} files ({', '.join(_BESIDE)}) beside masks of other formats in {folder} are passed over"
        )
    return {case: paths[0] for case, paths in sorted(candidates.items())}, tuple(notices)


def _without_others(candidates: dict[str, list[Path]]) -> tuple[dict[str, list[Path]], int]:
    """The files of each case without TIFF and NPY files that are something else, and how many these are.

    Where one of them bears the name of a mask in another format, all of them are (the images, features).
    """
    mixed = any(0 < sum(path.suffix.lower() in _BESIDE for path in paths) < len(paths) for paths in candidates.values())
    if not mixed:
        return candidates, 0
    kept = {case: [path for path in paths if path.suffix.lower() not in _BESIDE] for case, paths in candidates.items()}
    return {case: paths for case, paths in kept.items() if paths}, sum(map(len, candidates.values())) - sum(
        map(len, kept.values())
    )


def unread_masks(folder: Path, known: Collection[str]) -> dict[str, Path]:
    """Files of a folder that look like masks of further cases, and are not read: id -> file.

    They lie in a format that is not read, or in a sub-folder. Where some of them bear the name of a mask that is read,
    all of that kind are something else (the images, another rater) and are left out.

    Args:
        folder: The folder.
        known: Ids of the masks that were found in it.
    """
    kinds: dict[str, dict[str, Path]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if is_folder(entry):
            kinds[entry.name] = {compose(mask_stem(path.name) or ""): path for path in mask_files(entry)}
        elif entry.suffix.lower() in _UNREAD_SUFFIXES:
            kinds.setdefault(entry.suffix.lower(), {})[compose(entry.stem)] = entry
    return {case: path for files in kinds.values() if not files.keys() & set(known) for case, path in files.items()}


def nothing_found(path: Path, role: Role) -> InputError:
    """The error for a place without masks: what was looked for, what is there, where to look."""
    wanted = {
        "labels": "a folder of masks, a MAMA-MIA or nnU-Net data set, or a Decathlon dataset.json",
        "predictions": "a folder of masks or an nnU-Net results folder",
        "probabilities": "a folder of probability maps, or an nnU-Net results folder with the .npz it saves",
        "images": "a folder of images, a data set with imagesTr or images, or a dataset.json",
    }[role]
    if not path.exists():
        return InputError(f"{role} {path}: does not exist; expected {wanted}")
    if not path.is_dir():
        return InputError(f"{role} {path}: is a file; expected {wanted}")
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir()]
    deeper = [folder for folder in folders if has_masks(folder) or sorted(folder.glob("fold_*/"))]
    if len(deeper) == 1:
        return InputError(f"{role} {path}: no masks directly in it, but in {deeper[0]}; hand over that folder")
    if deeper:
        names = ", ".join(folder.name for folder in deeper[:5]) + (", ..." if len(deeper) > 5 else "")
        return InputError(
            f"{role} {path}: no masks directly in it, but in {len(deeper)} of its sub-folders ({names}); hand over"
            " one of them, or put all masks into one folder"
        )
    if not entries:
        return InputError(f"{role} {path}: is empty; expected {wanted}")
    return InputError(
        f"{role} {path}: no mask among its {len(entries)} entries (such as {entries[0].name}); expected {wanted};"
        f" masks end in {', '.join(MASK_SUFFIXES)}"
    )
