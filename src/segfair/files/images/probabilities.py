"""One probability map at a time: how probable a model takes it to be that each voxel is lesion. Judges none of them.

NIfTI, NRRD, MetaImage, NPY and NPZ hold the map of the lesion itself. nnU-Net's `.npz` holds one map a class; which of
them are lesion is said by the label values that count.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError, damage_of
from segfair.files.images.masks import PROBABILITY_KEYS, Mask, read_image
from segfair.remote import bring

__all__ = ["ROUNDING", "holds_classes", "read_probabilities"]

ROUNDING = 1e-3
"""How far a value may lie outside of [0, 1], and the classes of a voxel may be from adding up to 1: half precision."""


def holds_classes(path: Path) -> bool:
    """Whether a file is an archive of the probabilities of all classes, as nnU-Net saves them beside a mask."""
    if path.suffix.lower() != ".npz":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.removesuffix(".npy") in PROBABILITY_KEYS for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_probabilities(path: Path, values: Literal["any"] | tuple[int, ...]) -> Mask:
    """Reads the map of the lesion, from 0 to 1, with the geometry of its file where it has one.

    Args:
        path: The file.
        values: Label values that count as lesion; of nnU-Net's classes those with these numbers are added up.

    Returns:
        Probabilities as float32, 2-D or 3-D, axes (x, y, z).

    Raises:
        InputError: The file cannot be read, or holds nan, logits, values outside of [0, 1], or 0 and 1 alone.
    """
    path = Path(path)
    bring(path)
    if holds_classes(path):
        classes = _classes(path)
        _refuse_strange(path, classes)
        found = Mask(_lesion(path, classes, values), np.eye(4), has_size=False)
    else:
        found = read_image(path)
        _refuse_strange(path, found.part)
    if ((found.part == 0) | (found.part == 1)).all():
        raise InputError(f"{path}: holds 0 and 1 alone, as a mask does; save the probabilities before they are cut")
    return found.mapped(lambda voxels: voxels.clip(0, 1))


def _classes(path: Path) -> NDArray[np.float32]:
    """nnU-Net's array, (classes, z, y, x)."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            key = next(name for name in PROBABILITY_KEYS if name in archive.files)
            if key == "logits":
                raise InputError(
                    f"{path}: holds logits; save the probabilities, which softmax or sigmoid makes of them"
                )
            stored: NDArray[Any] = np.asarray(archive[key])
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(
            f"{path}: cannot be read as .npz ({damage_of(error)}); write it again with numpy.savez"
        ) from error
    if stored.ndim != 4 or 0 in stored.shape or stored.dtype.kind not in "fiu":
        shape = "x".join(map(str, stored.shape))
        raise InputError(f"{path}: {key} is {shape} of type {stored.dtype}; expected numbers, classes x Z x Y x X")
    return stored.astype(np.float32)


def _lesion(path: Path, classes: NDArray[np.float32], values: Literal["any"] | tuple[int, ...]) -> NDArray[np.float32]:
    """The map of the classes that are lesion, (x, y, z): nnU-Net's readers have z first, its masks have it last."""
    if len(classes) > 1:
        if float(np.abs(classes.sum(axis=0) - 1).max()) > 10 * ROUNDING:
            raise InputError(
                f"{path}: its {len(classes)} classes do not add up to 1, as those of a training on regions; save the "
                "map of the region that counts"
            )
        absent = [] if values == "any" else [value for value in values if not 0 < value < len(classes)]
        if absent:
            raise InputError(
                f"{path}: has the classes 0 to {len(classes) - 1}, and the label value {absent[0]} counts; --label "
                "says which do"
            )
        classes = classes[1:] if values == "any" else classes[list(values)]
    lesion: NDArray[np.float32] = classes.sum(axis=0).transpose(2, 1, 0)
    return lesion


def _refuse_strange(path: Path, values: NDArray[Any]) -> None:
    lowest, highest = float(values.min()), float(values.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        n_strange = int(np.count_nonzero(~np.isfinite(values)))
        raise InputError(f"{path}: holds {n_strange} nan or infinite values, which are no probabilities")
    if lowest < -ROUNDING or highest > 1 + ROUNDING:
        remedy = "they look like logits: apply softmax or sigmoid" if lowest < 0 else "divide them by their scale"
        raise InputError(
            f"{path}: holds values from {lowest:.4g} to {highest:.4g}, which are no probabilities; {remedy}, and save "
            "values from 0 to 1"
        )
