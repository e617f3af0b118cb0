"""One folder a case, one file a structure (`CASE/liver.nii.gz`, as TotalSegmentator writes them): finding and reading.

A structure is called as its file; one that a case lacks is empty. Structures may overlap.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError, PairingError
from segfair.files.folders import mask_files
from segfair.files.images.grids import Mask, align, describe_difference
from segfair.files.images.masks import mask_stem, read_mask

__all__ = ["find_structures", "read_structures", "structures_in"]

INSIDE = "segmentations"
"""The folder within that of a case in which TotalSegmentator's data set keeps them."""
_IMAGES = re.compile(
    r"(ct|cta|mri?|pet|images?|img|volume|scan|t1|t1c|t1ce|t1gd|t1n|t1w|t2|t2f|t2w|flair|adc|dwi|dce|pd|swi|suv)"
    r"|(pre|post|phase|arterial|venous|portal|delayed|native|contrast|subtraction|channel|modality|bias|warped|raw)"
    r"|(segs?|segmentations?|masks?|roi|labels?|gts?|pred|preds|predictions?|outputs?|reference|truth|expert)",
    re.IGNORECASE,
)
"""Names of images and of masks of everything, which lie beside structures and are none."""
_USUAL = 0.5
"""Share of the cases that a name recurs in, from which on it is one of a structure."""
_TOLERANCE = 1e-3


def find_structures(folders: Sequence[Path]) -> tuple[dict[Path, Path], tuple[str, ...]]:
    """The folders of cases that hold one file a structure, and what these are called.

    Args:
        folders: One a case.

    Returns:
        Folder of a case -> folder of its structures, and the names in order; both empty where names do not recur.
    """
    places = {folder: _place(folder) for folder in folders}
    names = {folder: set(structures_in(place)) for folder, place in places.items()}
    held = {folder: found for folder, found in names.items() if found}
    counts = Counter(name for found in held.values() for name in found)
    usual = [name for name, n_cases in counts.items() if n_cases > _USUAL * len(held)]
    numbered = len({re.sub(r"\d+", "", name) for name in usual}) < 2  # P001 and P002 are cases of two sites or teams
    if len(held) < 2 or numbered:
        return {}, ()
    return {folder: places[folder] for folder in held}, tuple(sorted(counts))


def _place(folder: Path) -> Path:
    inside = folder / INSIDE
    return inside if inside.is_dir() else folder


def structures_in(folder: Path) -> dict[str, Path]:
    """Structure -> file of one case, images left out.

    Raises:
        PairingError: Two files of one structure.
    """
    found: dict[str, Path] = {}
    for path in mask_files(folder):
        name = mask_stem(path.name) or ""
        if _IMAGES.fullmatch(name) or _IMAGES.fullmatch(re.sub(r"[_.-]?\d+$", "", name)):
            continue
        if name in found:
            raise PairingError(f"{folder}: the structure {name} has two files, {found[name].name} and {path.name}")
        found[name] = path
    return found


def read_structures(folder: Path, names: Sequence[str]) -> Mask:
    """The structures of one case as one mask: the first of `names` has the value 1, the second 2, and so on.

    Whatever is not 0 in its file is of a structure. Voxels of several structures have values of their own, which
    `Mask.sets` explains.

    Args:
        folder: That of the structures.
        names: All structures of a study; those without a file are empty.

    Raises:
        InputError: No file, one that cannot be read, or files on different grids.
    """
    files = structures_in(folder)
    whole: NDArray[Any] | None = None
    first: Mask | None = None
    codes: dict[frozenset[int], int] = {}
    for value, name in enumerate(names, start=1):
        codes[frozenset({value})] = value
        if name not in files:
            continue
        mask = read_mask(files[name])
        first = first or mask
        aligned = align(mask, first, tolerance=_TOLERANCE)
        if aligned is None:
            raise InputError(f"{files[name]}: another grid than that of {describe_difference(first, mask)}")
        whole = np.zeros(first.shape, np.int32, order="F") if whole is None else whole
        codes = _put(whole[aligned.box], aligned.part != 0, value, codes, len(names))
    if first is None or whole is None:
        raise InputError(f"{folder}: holds none of the structures {', '.join(names[:3])}, ...")
    sets = {code: found for found, code in codes.items() if len(found) > 1}
    return dataclasses.replace(first, part=whole, place=None, sets=sets)


def _put(
    held: NDArray[Any], inside: NDArray[np.bool_], value: int, codes: dict[frozenset[int], int], n_names: int
) -> dict[frozenset[int], int]:
    """Adds a structure to what is held already, with a new value for each set of structures that comes about."""
    members = {code: found for found, code in codes.items()}
    before = held[inside]
    after = np.full_like(before, value)
    for code in np.unique(before[before > 0]).tolist():
        both = members[code] | {value}
        if both not in codes:
            codes = {**codes, both: n_names + 1 + sum(len(found) > 1 for found in codes)}
        after[before == code] = codes[both]
    held[inside] = after
    return codes
