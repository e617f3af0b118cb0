"""Masks in memory -> files that stand for them: arrays, torch tensors, items of MONAI's loaders, in a dict or in order.

What a file cannot say is settled here: whose mask it is, what a first axis of channels means, how large a voxel is.
Everything else (which row is whose, what an unusable mask costs, how masks are scored) is asked where files go, so that
arrays and files of the same masks have the same audit; a mask that is a file already stays one, and is not read here.
Loads no torch and no MONAI: their tensors say what they are.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segfair.api.frames import row_names
from segfair.api.options import lengths_of
from segfair.errors import ConfigError, InputError, PairingError, some
from segfair.files.images.masks import mask_stem, read_mask
from segfair.files.spellings import id_stem

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["InMemory", "MemoryMasks", "as_mask", "gather", "own_name", "part_of", "put_mask"]

PREDICTION_KEYS = ("pred", "prediction")
LABEL_KEYS = ("label", "seg", "mask")
ID_KEYS = ("id", "case", "case_id", "patient_id", "subject_id", "name")
"""Keys of an item that name its case, in this order; else the file that its label was loaded from does."""

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """One mask, and how large a voxel is: an affine, lengths of edges in mm, or nobody knows."""

    array: Array
    affine: Array | None = None
    spacing: tuple[float, ...] | None = None

    def write(self, path: Path) -> None:
        """Writes it where a mask is read from."""
        geometry: dict[str, Any] = {"affine": self.affine} if self.affine is not None else {}
        if self.spacing is not None:
            geometry = {"spacing": np.array(self.spacing, dtype=np.float64)}
        np.savez(path, mask=self.array, **geometry)


@dataclass(frozen=True, slots=True)
class MemoryMasks:
    """The masks of a cohort.

    Attributes:
        predictions: Case -> mask; a case without one has none here.
        labels: Case -> mask.
        metadata: The table of the cases, where it was handed in row by row with the masks; None: as it was.
        probabilities: Case -> probability map.
    """

    predictions: Mapping[str, Any]
    labels: Mapping[str, Any]
    metadata: pd.DataFrame | None = None
    probabilities: Mapping[str, Any] = field(default_factory=dict)

    def with_probabilities(self, maps: Any) -> MemoryMasks:
        """The same with maps by case, or in the order of the labels.

        Raises:
            PairingError: Another number of maps in order than of labels.
        """
        if not isinstance(maps, Mapping):
            listed = _listed(maps, "probabilities")
            if len(listed) != len(self.labels):
                raise PairingError(
                    f"there are {len(listed)} probabilities and {len(self.labels)} labels; hand in as many of either, "
                    "with None for one that is missing, or dictionaries of id -> map"
                )
            maps = dict(zip(self.labels, listed, strict=True))
        return replace(self, probabilities={str(case): map_ for case, map_ in maps.items() if map_ is not None})

    def write(
        self, folder: Path, *, spacing: Sequence[float] | Mapping[str, Sequence[float]] | None
    ) -> dict[Path, Path]:
        """Writes `labels/CASE.npz`, `predictions/CASE.npz` and so on; for a mask that is a file there is a link.

        Args:
            folder: Where to.
            spacing: Lengths of a voxel's edges in mm, the same for all cases or one a case; None: as the arrays say.

        Returns:
            Link -> the file as it was named.

        Raises:
            InputError: Something that is no mask.
            ConfigError: A spacing that does not fit.
        """
        links = {}
        held = {"labels": self.labels, "predictions": self.predictions, "probabilities": self.probabilities}
        for role, masks in held.items():
            (folder / role).mkdir()
            for case, mask in masks.items():
                size = spacing.get(case) if isinstance(spacing, Mapping) else spacing
                size = None if role == "probabilities" else size  # a map lies as its mask does
                place = folder / role / f"{case}.npz"
                file = put_mask(mask, place, name=f"{role}[{case!r}]", spacing=size)
                if file != place:
                    link = _link(file, folder / role, case)
                    links[link] = file
        return links


def put_mask(mask: Any, place: Path, *, name: str, spacing: Sequence[float] | None = None) -> Path:
    """Where a mask can be read: a file where it lies, unless its voxels get another size; anything else at `place`.

    Args:
        mask: See `as_mask`.
        place: An `.npz` file.
        name: What messages call it.
        spacing: See `as_mask`.

    Raises:
        InputError, ConfigError: As `as_mask`.
    """
    inner = mask.mask if isinstance(mask, _Channels) else mask
    if spacing is None and isinstance(inner, str | PathLike):
        file = Path(inner)
        if mask_stem(file.name) is not None and file.is_file():
            return file
    as_mask(mask, name=name, spacing=spacing).write(place)
    return place


def _link(file: Path, folder: Path, case: str) -> Path:
    """A link to a mask file under the name of its case; a copy where the system makes no links."""
    stem = mask_stem(file.name) or ""
    link = folder / f"{case}{file.name[len(stem) :]}"
    try:
        link.symlink_to(file.absolute())
    except OSError:
        shutil.copyfile(file, link)
    return link


def gather(
    predictions: Any, labels: Any, metadata: Any, *, ids: Sequence[str] | None, id_column: str | None
) -> MemoryMasks:
    """Whose mask is which: by the keys of dictionaries, by `ids`, by the items' own names, or by the rows of a frame.

    Args:
        predictions: Case -> mask, or masks in order; items of a MONAI loader hold both masks.
        labels: The same of labels; None where the items hold them.
        metadata: The table, where it is a frame.
        ids: Ids of masks in order.
        id_column: Column of the frame that names its rows.

    Raises:
        PairingError: Masks whose case cannot be told, or more of one kind than of the other.
        ConfigError: Ids that are no names of cases.
    """
    if isinstance(predictions, Mapping) and isinstance(labels, Mapping):
        if ids is not None:
            raise ConfigError("ids: the dictionaries name their cases already; leave it out")
        named = MemoryMasks({str(key): mask for key, mask in predictions.items() if mask is not None},
                            {str(key): mask for key, mask in labels.items()})  # fmt: skip
    else:
        named = _in_order(predictions, labels, metadata, ids, id_column)
    wrong = [case for case in named.labels if not case or case.startswith(".") or "/" in case or "\0" in case]
    if wrong:
        raise ConfigError(f"case {wrong[0]!r}: the id of a mask in memory has no slash and begins with no dot")
    if not named.labels:
        raise InputError("labels: are empty; hand in at least one mask")
    return named


def _in_order(
    predictions: Any, labels: Any, metadata: Any, ids: Sequence[str] | None, id_column: str | None
) -> MemoryMasks:
    """Masks one after the other; items of a loader are told by being dictionaries."""
    predicted = _listed(predictions, "predictions")
    referred = predicted if labels is None else _listed(labels, "labels")
    if len(predicted) != len(referred):
        raise PairingError(
            f"there are {len(predicted)} predictions and {len(referred)} labels; hand in as many of either, "
            "with None for a prediction that is missing, or dictionaries of id -> mask"
        )
    items = [item for item in referred if isinstance(item, Mapping)]
    if labels is None and len(items) < len(referred):
        raise PairingError("labels are missing; hand them in, or items of a MONAI loader, which hold both masks")
    names, table = _names(referred, metadata, ids, id_column)
    if table is None and metadata is None and items:
        table = _table_of(items, names)
    masks = [part_of(item, PREDICTION_KEYS, "prediction") for item in predicted]
    return MemoryMasks(
        {name: mask for name, mask in zip(names, masks, strict=True) if mask is not None},
        dict(zip(names, (part_of(item, LABEL_KEYS, "label") for item in referred), strict=True)),
        table,
    )


def _listed(masks: Any, role: str) -> list[Any]:
    """Masks in order; an array or tensor of a batch is one a step of its first axis."""
    if masks is None or isinstance(masks, str | PathLike | Mapping):
        raise InputError(
            f"{role} are {'missing' if masks is None else type(masks).__name__}, and the others are masks in order; "
            "hand in both as folders, as dictionaries of id -> mask, or in order"
        )
    try:
        return list(masks)
    except TypeError as error:
        raise InputError(
            f"{role}: {type(masks).__name__} holds no masks; hand in a folder, a dictionary or a list"
        ) from error


def _names(
    items: Sequence[Any], metadata: Any, ids: Sequence[str] | None, id_column: str | None
) -> tuple[list[str], pd.DataFrame | None]:
    """The ids of masks in order, and the frame with those ids where its rows are in the same order."""
    if ids is not None:
        names, table = [str(name) for name in ids], None
    elif found := _own_names(items):
        names, table = found, None
    else:
        names, table = _row_names(metadata, len(items), id_column)
    if len(names) != len(items) or len(set(names)) < len(names):
        raise PairingError(
            f"ids: {len(set(names))} different ids for {len(items)} masks ({some(names)}); give each its own"
        )
    return names, table


def _own_names(items: Sequence[Any]) -> list[str]:
    """What items of a loader call themselves; empty where one does not."""
    found = [own_name(item) if isinstance(item, Mapping) else "" for item in items]
    return found if all(found) and len(set(found)) == len(found) else []


def own_name(item: Mapping[str, Any]) -> str:
    """What an item of a loader calls its case, or the file that its label was loaded from; empty where nothing does."""
    for key in ID_KEYS:
        if isinstance(item.get(key), str | int):
            return str(item[key])
    key = next((key for key in LABEL_KEYS if key in item), "")
    label = item.get(key)
    meta = item.get(f"{key}_meta_dict") or getattr(label, "meta", None) or {}
    name = label if isinstance(label, str | PathLike) else meta.get("filename_or_obj", "")
    return id_stem(Path(str(name)).name) if name else ""


def _row_names(metadata: Any, n_masks: int, id_column: str | None) -> tuple[list[str], pd.DataFrame | None]:
    """Ids from the rows of a frame in the same order."""
    if not hasattr(metadata, "columns") or len(metadata) != n_masks:
        raise PairingError(
            f"whose are the {n_masks} masks? Hand in dictionaries of id -> mask, or ids=[...], or a frame of metadata "
            "with one row a mask in the same order"
        )
    if id_column is not None and id_column in metadata.columns:
        return [str(value) for value in metadata[id_column]], None
    is_numbered = type(metadata.index).__name__ == "RangeIndex"
    names = row_names(n_masks) if is_numbered else list(map(str, metadata.index))
    return names, metadata.set_axis(names, axis=0).rename_axis("case")


def _table_of(items: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pd.DataFrame | None:
    """The plain values that items of a loader hold beside their masks, as a table; None without any."""
    import pandas as pd

    masks = {*PREDICTION_KEYS, *LABEL_KEYS, "image", *ID_KEYS}
    rows = [
        {key: value for key, value in item.items() if key not in masks and isinstance(value, str | int | float | bool)}
        for item in items
    ]
    return pd.DataFrame(rows, index=pd.Index(names, name="case")) if any(rows) else None


def part_of(item: Any, keys: Sequence[str], role: str) -> Any:
    """The mask of a role in an item of a loader, channels first; anything else is the mask itself."""
    if not isinstance(item, Mapping):
        return item
    key = next((key for key in keys if key in item), None)
    if key is None:
        raise InputError(f"an item has no {role} ({' or '.join(keys)}); its keys are {some(item, 12)}")
    meta = item.get(f"{key}_meta_dict")
    return _Channels(item[key], meta if isinstance(meta, Mapping) else {})


@dataclass(frozen=True, slots=True, eq=False)
class _Channels:
    """A mask of an item of a loader: its first axis is one of channels."""

    mask: Any
    meta: Mapping[str, Any]


def as_mask(mask: Any, *, name: str, spacing: Sequence[float] | None = None) -> InMemory:
    """One mask as an array, with what is known of its voxel size.

    A first axis of length one is a channel in tensors, in items of a loader and in arrays of four axes, and is taken
    away; several channels have to be one-hot, and become the values 0, 1 and so on.

    Args:
        mask: Array, tensor, item of a loader, or the path of a mask.
        name: What messages call it.
        spacing: Lengths of a voxel's edges in mm; None: as the mask says.

    Raises:
        InputError: Something that is no mask, or channels that are not one-hot.
        ConfigError: A spacing that does not fit.
    """
    has_channels = isinstance(mask, _Channels)
    meta: Mapping[str, Any] = mask.meta if isinstance(mask, _Channels) else {}
    mask = mask.mask if isinstance(mask, _Channels) else mask
    if isinstance(mask, str | PathLike):
        read = read_mask(Path(mask))
        return _sized(read.array, read.affine if read.has_size else None, spacing, name)
    meta = getattr(mask, "meta", None) or meta
    is_tensor = hasattr(mask, "detach")
    array = np.asarray(_of_tensor(mask) if is_tensor else mask)
    if array.dtype.kind not in "biuf" or array.ndim < 2:
        raise InputError(
            f"{name}: {type(mask).__name__} of {array.dtype} with {array.ndim} axes is no mask; hand in an array"
        )
    if has_channels or array.ndim > 3 or (is_tensor and array.shape[0] == 1 and array.ndim > 2):
        array = _without_channels(array, name)
    return _sized(array, _affine(meta), spacing, name)


def _of_tensor(mask: Any) -> Any:
    """A tensor as an array; NumPy has no bfloat16."""
    held = mask.detach().cpu()
    return (held.float() if "bfloat16" in str(getattr(held, "dtype", "")) else held).numpy()


def _without_channels(array: Array, name: str) -> Array:
    if array.shape[0] == 1:
        return np.asarray(array[0])
    if array.ndim < 3 or not (np.isin(array, (0, 1)).all() and (array.sum(axis=0) == 1).all()):
        raise InputError(
            f"{name}: its {array.shape[0]} channels are not one-hot, background first; hand in a label map, "
            "such as the argmax over channels"
        )
    return np.asarray(array.argmax(axis=0), dtype=np.uint8)


def _affine(meta: Mapping[str, Any]) -> Array | None:
    """The affine of a tensor that was loaded from a file; one that was made has an identity that nobody measured."""
    affine = meta.get("affine")
    if affine is None:
        return None
    found = np.asarray(affine, dtype=np.float64)
    known = bool(meta.get("filename_or_obj")) or not np.array_equal(found, np.eye(len(found)))
    return found if known and found.shape == (4, 4) else None


def _sized(array: Array, affine: Array | None, spacing: Sequence[float] | None, name: str) -> InMemory:
    if spacing is None:
        return InMemory(array, affine)
    lengths = lengths_of(spacing)
    if len(lengths) != array.ndim or not all(0 < length < np.inf for length in lengths):
        raise ConfigError(f"spacing={lengths}: {name} has {array.ndim} axes; give one positive length in mm for each")
    return InMemory(array, None, lengths)
