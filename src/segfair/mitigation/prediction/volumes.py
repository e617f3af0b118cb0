"""Checkpoints and images -> masks in each image's own geometry. Needs no metadata: fairness was trained in.

Whole volumes are predicted by `inferers`; the training loop validates with the same. Never scores.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import DataLoader, Dataset

from segfair.documents import check_tree
from segfair.errors import ConfigError, InputError, SegfairError, cut_text, in_words, some
from segfair.files.images.masks import write_mask
from segfair.mitigation.data.boxes import BreastBox, read_box
from segfair.mitigation.data.outputs import put_back, region_probabilities
from segfair.mitigation.data.preprocessing import Preprocessing, Volume, load_volume
from segfair.mitigation.networks.backbones import NetworkConfig, Size, build_network, check_shape, times
from segfair.mitigation.networks.checkpoints import check_weights, load_checkpoint, put_weights
from segfair.mitigation.networks.devices import find_device, half_precision
from segfair.mitigation.networks.memory import network_on_meta
from segfair.mitigation.prediction.components import largest_component
from segfair.mitigation.prediction.inferers import Ensemble, WindowInferer

__all__ = [
    "Model",
    "PredictionReport",
    "WindowInferer",
    "adapted",
    "check_description",
    "describe",
    "find_checkpoints",
    "load_model",
    "predict_images",
    "read_description",
]

_MOSTLY = 0.5
"""A box that holds less of a prediction than this is worth a warning."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained network, or several as one, and how it wants its images.

    Attributes:
        network: In evaluation mode.
        config: How it is built.
        preprocessing: What is done to an image before.
        window: Voxels that it was trained on.
        description: The checkpoint's whole description.
        flips: Axes along which images are flipped as well when they are predicted.
        keep_largest: Whether the largest connected part of a mask alone is kept.
    """

    network: nn.Module
    config: NetworkConfig
    preprocessing: Preprocessing
    window: Size
    description: Mapping[str, Any] = field(default_factory=dict)
    flips: tuple[int, ...] = ()
    keep_largest: bool = False

    @property
    def inferer(self) -> WindowInferer:
        """Predicts whole volumes."""
        return WindowInferer(self.window, flips=self.flips)


@dataclass(frozen=True, slots=True)
class PredictionReport:
    """What became of each image.

    Attributes:
        written: Ids of the cases whose mask was written.
        existing: Ids of the cases whose mask was there already and was kept.
        failed: Id -> why no mask was written.
        notices: Sentences for the reader.
    """

    written: tuple[str, ...]
    existing: tuple[str, ...]
    failed: Mapping[str, str]
    notices: tuple[str, ...]


def describe(config: NetworkConfig, preprocessing: Preprocessing, window: Size, **more: Any) -> dict[str, Any]:
    """What a checkpoint has to say about its network, as plain values.

    Args:
        config: How the network is built.
        preprocessing: What is done to an image before.
        window: Voxels that it is trained on.
        more: `flips` and `keep_largest` (see `Model`), and entries for the reader, such as the attributes' bins.
    """
    return {
        "backbone": config.to_dict(),
        "preprocessing": preprocessing.to_dict(),
        "window": list(window),
        **more,
    }


def find_checkpoints(path: Path) -> tuple[Path, ...]:
    """The checkpoints that a path means: a file, or the kept ones of a training, of its folds and seeds.

    Raises:
        InputError: A folder without a training in it.
    """
    if not path.is_dir():
        return (path,)
    for pattern in ("checkpoint_best.pt", "fold-*/checkpoint_best.pt", "seed-*/fold-*/checkpoint_best.pt"):
        found = tuple(sorted(path.glob(pattern)))
        begun = {place.parent for place in path.glob(pattern.replace("best", "last"))}
        unfinished = sorted(place.name for place in begun - {place.parent for place in found})
        if found and unfinished:
            raise InputError(
                f"checkpoint {path}: {', '.join(unfinished)} is not finished; go on with --resume, or name checkpoints"
            )
        if found:
            return found
    raise InputError(f"checkpoint {path}: no checkpoint_best.pt in it, nor in fold-*; name the folder of a model")


def load_model(*paths: str | Path, device: str = "cpu", own_network: str | None = None) -> Model:
    """Builds the network of a checkpoint, or of several as one, ready to predict.

    Args:
        paths: Checkpoints of one build, such as those of the folds of a training.
        device: Where to predict.
        own_network: `module:function` of a network of one's own, whose code is trusted to run.

    Raises:
        InputError: No such file, not a checkpoint of a segmentation network, or one whose network is code that was not
            named.
        ConfigError: A description that this version cannot build, checkpoints of several builds, or no such device.
    """
    device = find_device(device)
    models = [_load_one(Path(path), device, own_network) for path in paths]
    first = models[0]
    if len(models) == 1:
        return first
    for path, model in zip(paths[1:], models[1:], strict=True):
        same = (model.config, model.preprocessing, model.window) == (first.config, first.preprocessing, first.window)
        if not same:
            raise ConfigError(
                f"checkpoint {path}: its network or preprocessing differs from that of {paths[0]}; only models of one "
                "build predict together"
            )
    return dataclasses.replace(first, network=Ensemble(model.network for model in models).to(device).eval())


def adapted(model: Model, *, flips: bool | None = None, keep_largest: bool | None = None) -> Model:
    """The model with other choices for its predictions; None leaves what its checkpoint says.

    Flips that a checkpoint does not name are those along every axis, and of pictures from left to right.
    """
    axes = model.flips
    if flips is not None:
        every = (0, 1, 2) if len(model.window) == 3 else (0,)
        axes = (model.flips or every) if flips else ()
    return dataclasses.replace(
        model, flips=axes, keep_largest=model.keep_largest if keep_largest is None else keep_largest
    )


_POSITIVE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e6}
_COUNT = {"type": "integer", "minimum": 1, "maximum": 4096}
_OF_INTENSITIES = ("low", "high", "mean", "spread")
_BOUNDED = {"maximum": 65536, "maxItems": 32}
"""Of numbers and lists alike: no network is wider or deeper, and a list of a million entries is no network."""
_SIDES = {"type": "array", "minItems": 2, "maxItems": 3}
_LABEL_VALUE = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_REGION = {
    "type": "object",
    "required": ["values", "written"],
    "properties": {
        "values": {"anyOf": [{"enum": ["any"]}, {"type": "array", "minItems": 1, "items": _LABEL_VALUE}]},
        "written": _LABEL_VALUE,
    },
}
_DESCRIPTION = {
    "type": "object",
    "required": ["backbone", "preprocessing", "window"],
    "properties": {
        "backbone": {
            "type": "object",
            "required": ["name", "in_channels", "out_channels", "options"],
            "properties": {
                "name": {"type": "string"},
                "in_channels": _COUNT,
                "out_channels": {"type": "integer", "minimum": 1, "maximum": 65536},
                "dims": {"enum": [2, 3]},
                "options": {
                    "type": "object",
                    "additionalProperties": {**_BOUNDED, "items": {**_BOUNDED, "items": _BOUNDED}},
                },
            },
        },
        "preprocessing": {
            "type": "object",
            "required": ["phases", "spacing_mm", "normalise"],
            "properties": {
                "phases": _COUNT,
                "spacing_mm": {"type": "array", "items": _POSITIVE, "maxItems": 3},
                "normalise": {"enum": ["case", "phase", "ct"]},
                "intensities": {
                    "type": "object",
                    "required": list(_OF_INTENSITIES),
                    "properties": {name: {"type": "array", "items": {"type": "number"}} for name in _OF_INTENSITIES},
                },
                "regions": {
                    "type": "object",
                    "properties": {"each": {"type": "array", "minItems": 1, "items": _REGION}},
                },
            },
        },
        "window": {**_SIDES, "items": {"type": "integer", "minimum": 1, "maximum": 65536}},
        "flips": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2}},
        "keep_largest": {"type": "boolean"},
    },
}
"""What every checkpoint says of itself, whoever wrote it; a window of -1 or a spacing of NaN would predict nonsense."""


def check_description(checkpoint: Mapping[str, Any], path: Path, *, required: bool = True) -> Mapping[str, Any]:
    """What a checkpoint says of itself, whoever wrote it; empty where it says nothing and need not.

    Raises:
        InputError: It says nothing, or what cannot be.
    """
    found = checkpoint.get("description")
    description: Mapping[str, Any] = {} if found is None else found
    if found is not None or required:
        _check_tree(description, path)
    return description


def _check_tree(description: Any, path: Path) -> None:
    check_tree(description, _DESCRIPTION, f"checkpoint {path}: description")
    if not _is_finite(description):
        raise InputError(f"checkpoint {path}: description: holds a number that is none (NaN or infinity)")


def _check_parts(config: NetworkConfig, preprocessing: Preprocessing, window: Size) -> None:
    """Whether what a description says of network, images and window fits together.

    Raises:
        ConfigError: It does not.
    """
    check_shape(config, window, what="window")
    if config.in_channels != preprocessing.phases:
        raise ConfigError(
            f"its network takes {config.in_channels} channels, and its images have {preprocessing.phases}"
        )
    if config.out_channels < len(preprocessing.regions):
        raise ConfigError(
            f"its network gives {config.out_channels} channels for {len(preprocessing.regions)} regions of a label"
        )


def _is_finite(node: Any) -> bool:
    """Whether every number of a tree is one."""
    if isinstance(node, Mapping):
        return all(map(_is_finite, node.values()))
    if isinstance(node, list | tuple):
        return all(map(_is_finite, node))
    return not isinstance(node, float) or math.isfinite(node)


def read_description(
    description: Mapping[str, Any], path: Path
) -> tuple[NetworkConfig, Preprocessing, tuple[int, ...], tuple[int, ...]]:
    """What a checkpoint says of itself: network, preprocessing, window, axes of flips.

    Raises:
        InputError: It does not say it, or says what cannot be.
    """
    _check_tree(description, path)
    try:
        config = NetworkConfig.from_dict(description["backbone"])
        preprocessing = Preprocessing.from_dict(description["preprocessing"])
        window = tuple(int(side) for side in description["window"])
        _check_parts(config, preprocessing, window)
        return config, preprocessing, window, tuple(int(axis) for axis in description.get("flips", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"checkpoint {path}: does not say how its network is built ({in_words(error)})") from error
    except ConfigError as error:
        raise InputError(f"checkpoint {path}: {cut_text(str(error), 300)}") from error


def _load_one(path: Path, device: str, own_network: str | None) -> Model:
    checkpoint = load_checkpoint(path, device=device)
    description = checkpoint.get("description") or {}
    config, preprocessing, window, flips = read_description(description, path)
    if config.is_own and config.name != own_network:
        # A file from elsewhere must not choose which code is run.
        raise InputError(
            f"checkpoint {path}: its network is code, {config.name}; if you trust it, name it with --network "
            f"{config.name}"
        )
    try:
        # Without memory first: a description may ask for more than there is.
        check_weights(network_on_meta(config), checkpoint["network"])
        network = build_network(config)
        put_weights(network, checkpoint["network"])
    except ConfigError as error:
        raise InputError(
            f"checkpoint {path}: its weights do not fit the network that it describes ({error})"
        ) from error
    keep_largest = bool(description.get("keep_largest", False))
    return Model(network.to(device).eval(), config, preprocessing, window, description, flips, keep_largest)


def predict_images(
    model: Model,
    images: Mapping[str, Sequence[Path]],
    out: Path,
    *,
    boxes: Mapping[str, Path] | None = None,
    device: str = "cpu",
    amp: bool = False,
    workers: int = 0,
    on_done: Callable[[str], None] | None = None,
) -> PredictionReport:
    """Predicts images and writes `out/ID.nii.gz`, each on its image's grid; masks that exist are kept.

    Args:
        model: The network, moved to `device`.
        images: Case id -> one file a phase, or one four-dimensional file.
        out: Folder of masks, made if need be.
        boxes: Case id in lower case -> patient's file with a breast box, outside of which nothing is lesion; None:
            predictions are not restricted.
        device: Where to predict.
        amp: Half precision; on a GPU only.
        workers: Processes that read images ahead.
        on_done: Called with each case id once its mask stands or has failed.

    Returns:
        What became of each. An image that cannot be used does not keep the others from being predicted.

    Raises:
        InputError: Not one mask could be made.
        ConfigError: Out of memory.
    """
    existing = [case for case in images if (out / f"{case}.nii.gz").is_file()]
    waiting = {case: files for case, files in images.items() if case not in set(existing)}
    if on_done is not None:
        for case in existing:
            on_done(case)
    written: list[str] = []
    failed: dict[str, str] = {}
    notices: list[str] = []
    unboxed: list[str] = []
    device = find_device(device)
    model.network.to(device).eval()
    for case, volume in _volumes(waiting, model.preprocessing, workers):
        if isinstance(volume, str):
            failed[case] = volume
        else:
            notices.extend(volume.notices)
            masks = _masks(model, volume, device=device, amp=amp)
            box = None if boxes is None else _box(case, boxes, notices)
            if boxes is not None and box is None:
                unboxed.append(case)
            masks = _kept(case, masks, box, model, notices)
            write_mask(out / f"{case}.nii.gz", model.preprocessing.regions.decode(masks), affine=volume.source.affine)
            written.append(case)
        if on_done is not None:
            on_done(case)
    if images and not written and not existing:
        case, reason = next(iter(failed.items()))
        raise InputError(f"none of {len(images)} images can be predicted; for example {case}: {reason}")
    if unboxed:
        notices.append(f"predictions without a breast box, not restricted: {len(unboxed)} ({some(unboxed)})")
    return PredictionReport(tuple(written), tuple(existing), failed, tuple(notices))


class _Images(Dataset[tuple[str, Volume | str]]):
    """Preprocessed images by position; a reason where one cannot be used."""

    def __init__(self, images: Mapping[str, Sequence[Path]], preprocessing: Preprocessing) -> None:
        self._images = list(images.items())
        self._preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, position: int) -> tuple[str, Volume | str]:
        case, files = self._images[position]
        try:
            return case, load_volume(files, self._preprocessing)
        except SegfairError as error:
            return case, str(error)


def _volumes(
    images: Mapping[str, Sequence[Path]], preprocessing: Preprocessing, workers: int
) -> Iterator[tuple[str, Volume | str]]:
    if not images:
        return iter(())
    loader: DataLoader[tuple[str, Volume | str]] = DataLoader(
        _Images(images, preprocessing),
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,  # type: ignore[arg-type]
    )
    return iter(loader)


def _as_it_is(item: tuple[str, Volume | str]) -> tuple[str, Volume | str]:
    return item


def _masks(model: Model, volume: Volume, *, device: str, amp: bool) -> NDArray[np.bool_]:
    """(R, ...) on the grid of the image file."""
    return put_back(_probabilities(model, volume, device=device, amp=amp), volume.grid, volume.source)


def _probabilities(model: Model, volume: Volume, *, device: str, amp: bool) -> NDArray[np.float32]:
    """(R, X, Y, Z) on the network's grid."""
    kind = device.split(":")[0]
    try:
        with torch.inference_mode(), torch.autocast(kind, half_precision(device), enabled=amp):
            logits = model.inferer(volume.image[None].to(device), model.network)[0].float()
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "alloc" not in str(error).lower():
            raise
        raise ConfigError(
            f"out of memory on {device}, predicting a volume of {times(volume.grid.shape)} in windows of "
            f"{times(model.window)}; predict with more memory (--device cpu), or train with a smaller --patch"
        ) from error
    return region_probabilities(logits, len(model.preprocessing.regions)).cpu().numpy()


def _box(case: str, boxes: Mapping[str, Path], notices: list[str]) -> BreastBox | None:
    if case.casefold() not in boxes:
        return None
    try:
        return read_box(boxes[case.casefold()])
    except InputError as error:
        notices.append(str(error))
        return None


def _kept(
    case: str, masks: NDArray[np.bool_], box: BreastBox | None, model: Model, notices: list[str]
) -> NDArray[np.bool_]:
    """What is left of the (R, ...) masks: inside of the box, then the largest part, which might lie outside of it."""
    if box is not None:
        masks = _restricted(case, masks, box, notices)
    return np.stack([largest_component(mask) for mask in masks]) if model.keep_largest else masks


def _restricted(case: str, masks: NDArray[np.bool_], box: BreastBox, notices: list[str]) -> NDArray[np.bool_]:
    """The (R, X, Y, Z) masks inside of the box; a notice where it holds little of what was predicted."""
    if not box.meets(masks.shape[1:]):
        notices.append(f"case {case}: the breast box {box.ranges} lies outside of the image and is not used")
        return masks
    lesion: NDArray[np.bool_] = np.logical_or.reduce(masks)
    share = box.share_inside(lesion)
    if share is not None and share < _MOSTLY:
        other = box.reversed().share_inside(lesion) or 0.0
        hint = f"; with x as the first stored axis it would hold {other:.0%}" if other >= _MOSTLY else ""
        notices.append(
            f"case {case}: the breast box holds {share:.0%} of the predicted lesion, the rest was removed{hint}"
        )
    return np.stack([box.restrict(mask) for mask in masks])
