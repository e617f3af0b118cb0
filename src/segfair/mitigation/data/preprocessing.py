"""From image files to what a network sees, and back: the same steps for training, validation and prediction.

Forward: RAS, one spacing, the phases as channels, cropped to non-zero voxels, normalised; with MONAI transforms.
Back: a map on the network's grid is put on the grid of the image file. Never augments, never pads to a size (that
is training's business, `data.py`).

References:
    Poeta et al. Divergence-Aware Training with Automatic Subgroup Mitigation for Breast Tumor Segmentation.
    2025 (FairMedSeg), section 4.1.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.croppad.dictionary import CropForegroundd
from monai.transforms.intensity.dictionary import NormalizeIntensityd
from monai.transforms.spatial.array import SpatialResample
from monai.transforms.spatial.dictionary import Orientationd
from monai.transforms.utility.dictionary import Lambdad
from numpy.typing import NDArray
from scipy import ndimage

from segfair.errors import ConfigError, GeometryError, InputError, in_words
from segfair.files.images.grids import Mask, align, describe_grid, displacement_mm, right_angled
from segfair.files.images.masks import read_channels, read_mask
from segfair.mitigation.data.boxes import BreastBox
from segfair.mitigation.data.regions import IGNORED, LESION, Regions
from segfair.mitigation.networks.backbones import Size
from segfair.mitigation.networks.memory import available_memory

__all__ = ["Grid", "Intensities", "Preprocessing", "Volume", "load_volume", "restore"]

GRID_TOLERANCE = 0.01
"""Image and label may put a corner of the volume this far apart, in shortest voxel edges; scanners and tools round."""


@dataclass(frozen=True, slots=True)
class Intensities:
    """Grey values under the labels of a data set, one number a channel: what CT is standardised by.

    Attributes:
        low, high: .5th and 99.5th percentile, between which values are clipped.
        mean, spread: Mean and standard deviation.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    def standardise(self, image: torch.Tensor) -> torch.Tensor:
        """(C, X, Y, Z) -> the same, clipped, with the data set's mean at 0 and its deviation as unit."""
        low, high, mean, spread = (
            torch.tensor(values, dtype=image.dtype)[:, None, None, None]
            for values in (self.low, self.high, self.mean, self.spread)
        )
        return (torch.minimum(torch.maximum(image, low), high) - mean) / spread

    def to_dict(self) -> dict[str, list[float]]:
        """Plain values."""
        return {name: list(getattr(self, name)) for name in ("low", "high", "mean", "spread")}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Intensities:
        """The inverse of `to_dict`."""
        return cls(*(tuple(float(value) for value in tree[name]) for name in ("low", "high", "mean", "spread")))


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to an image before a network sees it; a checkpoint carries it.

    Attributes:
        phases: How many phases, from the first, become channels.
        spacing_mm: Voxel size to resample to (image linear, label nearest), in RAS order; None keeps the
            file's.
        normalise: "case" takes mean and standard deviation of the image over all phases together, which keeps the
            enhancement from phase to phase; "phase" takes them phase by phase, which removes it. "ct" clips and
            standardises by the data set, as nnU-Net does where grey values mean the same in every image.
        intensities: Those of the data set, for "ct".
        regions: Which label values a network is taught to find.
    """

    phases: int = 3
    spacing_mm: tuple[float, float, float] | None = (1.0, 1.0, 1.0)
    normalise: Literal["case", "phase", "ct"] = "case"
    intensities: Intensities | None = None
    regions: Regions = LESION

    def __post_init__(self) -> None:
        if self.phases < 1:
            raise ConfigError(f"phases: at least one is needed, got {self.phases}")
        if self.spacing_mm is not None and (len(self.spacing_mm) != 3 or min(self.spacing_mm) <= 0):
            raise ConfigError(f"spacing: expected three positive millimetres, got {self.spacing_mm}")
        if self.normalise not in ("case", "phase", "ct"):
            raise ConfigError(f"normalise: expected case, phase or ct, got {self.normalise!r}")
        if (self.normalise == "ct") != (self.intensities is not None):
            raise ConfigError("normalise: ct, and ct alone, standardises by intensities of the data set")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint, TOML or JSON; TOML has no null, so a kept spacing is an empty list."""
        return {
            "phases": self.phases,
            "spacing_mm": list(self.spacing_mm or ()),
            "normalise": self.normalise,
            "regions": self.regions.to_dict(),
            **({} if self.intensities is None else {"intensities": self.intensities.to_dict()}),
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`; `label`, the values of one lesion, is what earlier versions wrote for `regions`.

        Raises:
            ConfigError: A key is missing or unknown, or a value is of the wrong kind.
        """
        try:
            spacing = tuple(float(side) for side in tree["spacing_mm"])
            return cls(
                phases=int(tree["phases"]),
                spacing_mm=cast(tuple[float, float, float], spacing) if spacing else None,
                normalise=tree["normalise"],
                intensities=Intensities.from_dict(tree["intensities"]) if "intensities" in tree else None,
                regions=Regions.from_dict(tree["regions"]) if "regions" in tree else Regions.of_label(tree["label"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"preprocessing description: {in_words(error)} in {dict(tree)}") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the settings, for the cache."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Where the voxels of a file lie.

    Attributes:
        shape: Voxels along each stored axis.
        affine: (4, 4) float64, voxel index to mm in RAS+.
    """

    shape: Size
    affine: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One preprocessed case.

    Attributes:
        image: (phases, X, Y, Z) float32.
        label: (R, X, Y, Z) uint8, 1 inside of a region, `IGNORED` where nothing counts; None where no label was asked
            for.
        grid: The grid of `image` and `label`.
        source: The grid of the image file.
        n_cropped: Voxels of any region of the resampled label that lie outside of the non-zero image and were cut away.
        notices: What was mended while reading.
    """

    image: torch.Tensor
    label: torch.Tensor | None
    grid: Grid
    source: Grid
    n_cropped: int = 0
    notices: tuple[str, ...] = ()


def load_volume(
    images: Sequence[Path],
    preprocessing: Preprocessing,
    *,
    label: Path | None = None,
    white_is_one: bool = False,
    box: BreastBox | None = None,
) -> Volume:
    """Reads and preprocesses one case.

    Voxels that are not finite are read as 0, with a notice. Where 0 means no image (not in CT, nor in pictures), the
    image is cropped to the other voxels and normalised by them alone. A picture is a volume of one slice, and one slice
    stays one whatever the spacing.

    Args:
        images: One file a phase in their order, or one file of several channels; surplus phases are left out.
        preprocessing: The settings.
        label: The label, on the grid of the image (another orientation of the same grid will do).
        white_is_one: Whether the label is one of black and white pictures, so that 255 means 1.
        box: The part of the image, along its stored axes, in which a lesion can lie. The image keeps its surroundings;
            outside of the box the target is ignored, for what is predicted there is taken away.

    Raises:
        InputError: Fewer phases than asked for, an image of zeros only, a label that is no label map, whose lesion is
            lost by resampling, or axes without right angles whose spacing was to be kept.
        GeometryError: The phases, or image and label, lie on different grids.
    """
    notices: list[str] = []
    image, on_file = _read(images, preprocessing.phases, notices)
    source = _grid(image)
    data: dict[str, Any] = {"image": image}
    if label is not None:
        data["label"] = _read_label(label, on_file, images, white_is_one=white_is_one)
    if box is not None and label is not None:
        data["box"] = _box_mask(box, image)
    n_stored, had = _n_counted(data, preprocessing.regions), _present(data, preprocessing.regions)
    # The labels are those of RAS+ affines, which is what the reader gives; MONAI's default is about to change.
    data = _run([Orientationd(list(data), axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))], data)
    if preprocessing.spacing_mm is not None:
        data = _resampled(data, preprocessing.spacing_mm)
    elif not right_angled(source.affine):
        raise InputError(
            f"{_name(images)}: its axes are not at right angles (gantry tilt), and its voxels were to be kept as they "
            "are; resample it with --spacing"
        )
    n_before = _n_counted(data, preprocessing.regions)
    notices += _lost(had, _present(data, preprocessing.regions), label)
    if label is not None and n_stored and not n_before:
        raise InputError(
            f"{label.name}: its lesion of {n_stored} voxels is lost by resampling to "
            f"{' x '.join(f'{side:g}' for side in preprocessing.spacing_mm or ())} mm; choose a finer --spacing"
        )
    by_phase = preprocessing.normalise == "phase"
    # In CT, and in a picture, black is a value like any other.
    is_flat = image.shape[3] == 1
    empty_zeros = preprocessing.intensities is None and not is_flat and _zero_is_background(image)
    crop = [CropForegroundd(list(data), source_key="image", select_fn=_is_not_zero)] if empty_zeros else []
    if preprocessing.intensities is None:
        normalise: Any = NormalizeIntensityd("image", nonzero=empty_zeros, channel_wise=by_phase)
    else:
        normalise = Lambdad("image", func=preprocessing.intensities.standardise)
    data = _run([*crop, normalise], data)
    # Plain tensors from here on: the grid is kept beside them, and a batch needs no metadata.
    pixels = data["image"].as_tensor().to(torch.float32).contiguous()
    target = _target(data, preprocessing.regions)
    n_cropped = n_before - _n_counted(data, preprocessing.regions)
    return Volume(pixels, target, _grid(data["image"]), source, n_cropped, tuple(notices))


def restore(values: NDArray[np.float32], grid: Grid, source: Grid, *, threshold: float = 0.5) -> NDArray[np.bool_]:
    """Puts a map from the network's grid onto the grid of the image file.

    Each voxel of the file takes the linear interpolation of `values` at its place, compared with the threshold
    afterwards: on a finer or coarser grid this follows the boundary more closely than resampling a mask. Voxels
    outside of the network's grid, which was cropped to the non-zero image, are background.

    Args:
        values: (X, Y, Z) on `grid`, such as probabilities.
        grid: The network's grid.
        source: The file's grid.
        threshold: Voxels above it are lesion.

    Returns:
        Mask of `source.shape`.
    """
    mask = np.zeros(source.shape, dtype=bool)
    above = np.argwhere(values > threshold)
    if not len(above):
        return mask
    # A weighted mean exceeds the threshold only beside a voxel that does: the rest of the file is background.
    low, high = above.min(axis=0) - 1, above.max(axis=0) + 1
    from_source = np.linalg.solve(grid.affine, source.affine)
    corners = np.array(list(itertools.product(*zip(low, high, strict=True))), dtype=float)
    to_source = np.linalg.inv(from_source)
    reached = corners @ to_source[:3, :3].T + to_source[:3, 3]
    start = np.clip(np.floor(reached.min(axis=0)), 0, source.shape).astype(int)
    stop = np.clip(np.ceil(reached.max(axis=0)) + 1, start, source.shape).astype(int)
    if (stop <= start).any():
        return mask
    offset = from_source[:3, :3] @ start + from_source[:3, 3]
    # Beyond the centres of the outermost voxels their value holds for half a voxel more, as their extent does.
    block = ndimage.affine_transform(
        values, from_source[:3, :3], offset, tuple(stop - start), output=np.float32, order=1, mode="nearest"
    )
    found = block > threshold
    axes = np.ogrid[tuple(slice(0, n) for n in stop - start)]
    for row in range(3):
        place = offset[row] + sum(from_source[row, axis] * axes[axis] for axis in range(3))
        # The small allowance keeps a voxel on the very edge, where rounding would decide.
        found &= (place >= -0.5 - 1e-6) & (place <= values.shape[row] - 0.5 + 1e-6)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = found
    return mask


def _run(steps: Sequence[Any], data: dict[str, Any]) -> dict[str, Any]:
    return cast(dict[str, Any], Compose(steps)(data))


def _resampled_grid(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """The grid of another spacing that fills the same box: outer faces coincide, up to the rounding of a voxel.

    MONAI's Spacing lays the centres of the corner voxels upon each other instead. From 2 mm to 1 mm every other new
    centre then lies midway between two old ones, and the nearest neighbour takes even slices three times and odd
    slices once: volumes of small lesions are off by a fifth.
    """
    lengths = np.linalg.norm(grid.affine[:3, :3], axis=0)
    steps = np.asarray(spacing_mm) / lengths
    shape = np.maximum(1, np.rint(np.asarray(grid.shape) / steps)).astype(int)
    affine = grid.affine.copy()
    affine[:3, :3] *= steps
    # The centres of both boxes are the same place.
    first = (np.asarray(grid.shape) - 1) / 2 - steps * (shape - 1) / 2
    affine[:3, 3] += grid.affine[:3, :3] @ first
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _upright_grid(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """The grid with right angles nearest to one without, as large as it takes to hold all of it."""
    left, _, right = np.linalg.svd(grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0))
    directions = left @ right
    ends = [(-0.5, side - 0.5) for side in grid.shape]
    corners = np.array(list(itertools.product(*ends))) @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    along = corners @ directions
    low, high = along.min(axis=0), along.max(axis=0)
    shape = np.maximum(1, np.ceil((high - low) / spacing_mm - 1e-6)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing_mm
    # The centres of both boxes are the same place.
    affine[:3, 3] = directions @ ((low + high) / 2) - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _resample(image: MetaTensor, wanted: Grid, mode: str, *, padding: str) -> MetaTensor:
    resample = SpatialResample(mode=mode, padding_mode=padding, align_corners=False, dtype=np.float32)
    made = resample(image, dst_affine=torch.as_tensor(wanted.affine), spatial_size=wanted.shape)
    return cast(MetaTensor, made)


def _resampled(data: Mapping[str, Any], spacing_mm: tuple[float, float, float]) -> dict[str, Any]:
    """Image, label and box at another spacing: image linear, the others nearest."""
    stored = _grid(data["image"])
    upright = right_angled(stored.affine)
    lengths = np.linalg.norm(stored.affine[:3, :3], axis=0)
    # A single slice has no neighbour to interpolate with.
    sides = np.where(np.asarray(stored.shape) == 1, lengths, spacing_mm)
    _refuse_fine(np.asarray(stored.shape) * lengths / sides, n_channels=sum(len(part) for part in data.values()))
    wanted = (_resampled_grid if upright else _upright_grid)(stored, cast(tuple[float, float, float], tuple(sides)))
    return {
        # An upright box around a tilted one holds corners that were never imaged.
        key: _resample(
            part, wanted, "bilinear" if key == "image" else "nearest", padding="border" if upright else "zeros"
        )
        for key, part in data.items()
    }


def _refuse_fine(sides: NDArray[np.float64], *, n_channels: int) -> None:
    """Refuses so many voxels as the memory of this machine cannot hold, before it is taken.

    Raises:
        InputError: They are so many.
    """
    needed, limit = 4.0 * n_channels * float(np.prod(sides)), available_memory("cpu")
    if limit is not None and needed > limit:
        told = " x ".join(f"{side:,.0f}" for side in sides)
        raise InputError(
            f"spacing: an image of {told} voxels takes {needed / 2**30:,.0f} GB, and the machine has "
            f"{limit / 2**30:,.0f} GB; resample to a coarser one (--spacing)"
        )


def _read(paths: Sequence[Path], phases: int, notices: list[str]) -> tuple[MetaTensor, Mask]:
    """(phases, X, Y, Z) float32 with its affine, in every format that an audit reads, and the first channel's file."""
    channels = [channel for path in paths[:phases] for channel in _channels(path, alone=len(paths) == 1)]
    if len(channels) < phases:
        raise InputError(
            f"{_name(paths)}: {len(channels)} phases, {phases} are needed; "
            f"leave the case out or train with --phases {len(channels)}"
        )
    channels = channels[:phases]
    first = channels[0]
    grids = [Grid(channel.shape, channel.affine) for channel in channels]
    if any(grid.shape != grids[0].shape or _apart(grid, grids[0]) for grid in grids[1:]):
        raise GeometryError(f"{_name(paths)}: its phases lie on different grids; resample them onto one")
    array = _as_volumes(np.stack([channel.array for channel in channels]))
    image = MetaTensor(torch.from_numpy(array), affine=torch.from_numpy(_full_affine(first)))
    wrong = ~torch.isfinite(image.as_tensor())
    if bool(wrong.any()):
        notices.append(f"{_name(paths)}: {int(wrong.sum())} voxels are not finite and were read as 0")
        image[wrong] = 0.0
    if not bool((image != 0).any()):
        raise InputError(f"{_name(paths)}: every voxel is 0; the image is empty")
    return image, first


def _channels(path: Path, *, alone: bool) -> tuple[Mask, ...]:
    """The channels of a file; a grey picture that is stored in colour has one, where other files hold the rest."""
    channels = read_channels(path)
    grey = not alone and len(channels) == 3 and all((channels[0].array == c.array).all() for c in channels[1:])
    return channels[:1] if grey else channels


def _as_volumes(array: NDArray[Any]) -> NDArray[Any]:
    """(C, X, Y) pictures as (C, X, Y, 1) volumes; volumes as they are."""
    return array if array.ndim == 4 else array[..., None]


def _full_affine(mask: Mask) -> NDArray[np.float64]:
    """The affine of a file; a picture's third axis, along which it has no extent, is at right angles to it."""
    affine = mask.affine.copy()
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    if mask.ndim == 2 and not affine[:3, 2] @ normal:
        affine[:3, 2] = normal / np.linalg.norm(normal)
    return affine


def _read_label(label: Path, image: Mask, images: Sequence[Path], *, white_is_one: bool) -> MetaTensor:
    """(1, X, Y, Z) label values on the axes of the image's file."""
    stored = read_mask(label, white_is_one=white_is_one)
    aligned = align(stored, image, tolerance=GRID_TOLERANCE)
    if aligned is None:
        raise GeometryError(f"{_name(images)}: {_grids_differ(label, stored, image)}; resample one onto the other")
    values = _as_volumes(np.ascontiguousarray(aligned.array, dtype=np.float32)[None])
    return MetaTensor(torch.from_numpy(values), affine=torch.from_numpy(_full_affine(image)))


def _grids_differ(label: Path, stored: Mask, image: Mask) -> str:
    on_label, on_image = describe_grid(stored), describe_grid(image)
    if on_label != on_image:
        return f"label {label.name} is {on_label}, the image {on_image}"
    gap = displacement_mm(stored.affine, image.affine, stored.shape)
    return f"the corners of label {label.name} and image lie up to {gap:.3g} mm apart"


def _box_mask(box: BreastBox, image: MetaTensor) -> MetaTensor:
    """(1, X, Y, Z), 1 inside of the box."""
    inside = box.restrict(np.ones(tuple(image.shape[1:]), dtype=bool))
    return MetaTensor(torch.from_numpy(inside[None].astype(np.float32)), affine=image.affine)


def _n_counted(data: Mapping[str, Any], regions: Regions) -> int:
    """Voxels of any region in a label, inside of the box; 0 without a label."""
    if "label" not in data:
        return 0
    counted = regions.counts(data["label"].numpy()[0])
    return int(counted.sum() if "box" not in data else (counted & (data["box"].numpy()[0] > 0)).sum())


def _present(data: Mapping[str, Any], regions: Regions) -> tuple[str, ...]:
    """The regions that a label holds, by name; none without a label."""
    if "label" not in data:
        return ()
    found = regions.encode(data["label"].numpy()[0])
    return tuple(region.name for region, mask in zip(regions.each, found, strict=True) if (mask == 1).any())


def _lost(before: Sequence[str], after: Sequence[str], label: Path | None) -> list[str]:
    """Of several regions, those that resampling has left no voxel of."""
    lost = [name for name in before if name not in after]
    if not lost or not after or label is None:
        return []
    return [f"{label.name}: {', '.join(lost)} is lost by resampling; a finer --spacing keeps it"]


def _target(data: Mapping[str, Any], regions: Regions) -> torch.Tensor | None:
    """What the network is taught, from the label's values and the box."""
    if "label" not in data:
        return None
    target = regions.encode(data["label"].numpy()[0])
    if "box" in data:
        target[:, data["box"].numpy()[0] == 0] = IGNORED
    return torch.from_numpy(target)


def _apart(grid: Grid, other: Grid) -> float:
    """How far apart two grids of one shape put a corner of the volume in mm; 0 where that is rounding."""
    gap = displacement_mm(grid.affine, other.affine, other.shape)
    return gap if gap > GRID_TOLERANCE * float(np.linalg.norm(other.affine[:3, :3], axis=0).min()) else 0.0


def _grid(image: MetaTensor) -> Grid:
    shape = cast(Size, tuple(int(side) for side in image.shape[1:]))
    return Grid(shape, np.asarray(image.affine, dtype=np.float64))


def _zero_is_background(image: torch.Tensor) -> bool:
    """Whether voxels of 0 are no image: nothing is below 0, or most of the border is 0.

    In CT 0 HU is water, and a voxel of it is as much image as any other.
    """
    if bool((image >= 0).all()):
        return True
    zero = (image == 0).all(dim=0)
    faces = [zero.select(axis, end) for axis in range(3) for end in (0, -1)]
    return sum(int(face.sum()) for face in faces) > 0.5 * sum(face.numel() for face in faces)


def _is_not_zero(image: torch.Tensor) -> torch.Tensor:
    return image != 0


def _name(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} to {paths[-1].name}"
