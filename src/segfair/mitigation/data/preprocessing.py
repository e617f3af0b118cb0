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
from numpy.typing import NDArray
from scipy import ndimage

from segfair.errors import ConfigError, GeometryError, InputError
from segfair.files.images.grids import displacement_mm, right_angled
from segfair.files.images.masks import read_channels
from segfair.mitigation.networks.backbones import Size

__all__ = ["Grid", "Preprocessing", "Volume", "load_volume", "restore"]

GRID_TOLERANCE = 0.01
"""Image and label may put a corner of the volume this far apart, in shortest voxel edges; scanners and tools round."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to an image before a network sees it; a checkpoint carries it.

    Attributes:
        phases: How many phases, from the first, become channels.
        spacing_mm: Voxel size to resample to (image linear, label nearest), in RAS order; None keeps the
            file's.
        normalise: "case" takes mean and standard deviation of the image over all phases together, which keeps the
            enhancement from phase to phase; "phase" takes them phase by phase, which removes it.
        label: Label values that are lesion, or "any" non-zero one.
    """

    phases: int = 3
    spacing_mm: tuple[float, float, float] | None = (1.0, 1.0, 1.0)
    normalise: Literal["case", "phase"] = "case"
    label: Literal["any"] | tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if self.phases < 1:
            raise ConfigError(f"phases: at least one is needed, got {self.phases}")
        if self.spacing_mm is not None and (len(self.spacing_mm) != 3 or min(self.spacing_mm) <= 0):
            raise ConfigError(f"spacing: expected three positive millimetres, got {self.spacing_mm}")
        if self.normalise not in ("case", "phase"):
            raise ConfigError(f"normalise: expected case or phase, got {self.normalise!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint, TOML or JSON; TOML has no null, so a kept spacing is an empty list."""
        return {
            "phases": self.phases,
            "spacing_mm": list(self.spacing_mm or ()),
            "normalise": self.normalise,
            "label": "any" if self.label == "any" else list(self.label),
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: A key is missing or unknown, or a value is of the wrong kind.
        """
        try:
            label = tree["label"]
            spacing = tuple(float(side) for side in tree["spacing_mm"])
            return cls(
                phases=int(tree["phases"]),
                spacing_mm=cast(tuple[float, float, float], spacing) if spacing else None,
                normalise=tree["normalise"],
                label="any" if label == "any" else tuple(int(value) for value in label),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"preprocessing description: {error!r} in {dict(tree)}") from error

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
        label: (1, X, Y, Z) uint8, 1 where lesion; None where no label was asked for.
        grid: The grid of `image` and `label`.
        source: The grid of the image file.
        n_cropped: Lesion voxels of the resampled label that lie outside of the non-zero image and were cut away.
        notices: What was mended while reading.
    """

    image: torch.Tensor
    label: torch.Tensor | None
    grid: Grid
    source: Grid
    n_cropped: int = 0
    notices: tuple[str, ...] = ()


def load_volume(images: Sequence[Path], preprocessing: Preprocessing, *, label: Path | None = None) -> Volume:
    """Reads and preprocesses one case.

    Voxels that are not finite are read as 0, with a notice. Where 0 means no image (not in CT), the image is cropped to
    the other voxels and normalised by them alone.

    Args:
        images: One file a phase in their order, or one four-dimensional file; surplus phases are left out.
        preprocessing: The settings.
        label: The label, on the grid of the image (another orientation of the same grid will do).

    Raises:
        InputError: Fewer phases than asked for, an image of zeros only, a label that holds fractions, or axes without
            right angles whose spacing was to be kept.
        GeometryError: The phases, or image and label, lie on different grids.
    """
    notices: list[str] = []
    image = _read(images[: preprocessing.phases], notices)
    if image.shape[0] < preprocessing.phases:
        raise InputError(
            f"{_name(images)}: {image.shape[0]} phases, {preprocessing.phases} are needed; "
            f"leave the case out or train with --phases {image.shape[0]}"
        )
    image = cast(MetaTensor, image[: preprocessing.phases])
    if not bool((image != 0).any()):
        raise InputError(f"{_name(images)}: every voxel is 0; the image is empty")
    source = _grid(image)
    data: dict[str, Any] = {"image": image}
    if label is not None:
        data["label"] = _binary(_read([label], notices), preprocessing, label)
    keys = list(data)
    # The labels are those of RAS+ affines, which is what the reader gives; MONAI's default is about to change.
    data = _run([Orientationd(keys, axcodes="RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))], data)
    if label is not None:
        _check_same_grid(data, label, images)
    upright = right_angled(source.affine)
    if preprocessing.spacing_mm is not None:
        stored = _grid(data["image"])
        wanted = (_resampled_grid if upright else _upright_grid)(stored, preprocessing.spacing_mm)
        for key, mode in zip(keys, ("bilinear", "nearest"), strict=False):
            # An upright box around a tilted one holds corners that were never imaged.
            data[key] = _resample(data[key], wanted, mode, padding="border" if upright else "zeros")
    elif not upright:
        raise InputError(
            f"{_name(images)}: its axes are not at right angles (gantry tilt), and its voxels were to be kept as they "
            "are; resample it with --spacing"
        )
    n_before = int(data["label"].sum()) if label is not None else 0
    by_phase = preprocessing.normalise == "phase"
    empty_zeros = _zero_is_background(image)
    crop = [CropForegroundd(keys, source_key="image", select_fn=_is_not_zero)] if empty_zeros else []
    data = _run([*crop, NormalizeIntensityd("image", nonzero=empty_zeros, channel_wise=by_phase)], data)
    grid = _grid(data["image"])
    # Plain tensors from here on: the grid is kept beside them, and a batch needs no metadata.
    pixels = data["image"].as_tensor().to(torch.float32).contiguous()
    marked = data["label"].as_tensor().to(torch.uint8).contiguous() if label is not None else None
    n_cropped = n_before - int(marked.sum()) if marked is not None else 0
    return Volume(pixels, marked, grid, source, n_cropped, tuple(notices))


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


def _read(paths: Sequence[Path], notices: list[str]) -> MetaTensor:
    """(channels, X, Y, Z) float32 with its affine; one file or one a channel, in every format that an audit reads."""
    channels: list[NDArray[np.float32]] = []
    grids: list[Grid] = []
    for path in paths:
        for channel in read_channels(path):
            if channel.array.ndim != 3:
                raise InputError(f"{path.name}: expected a volume of three dimensions, got {channel.array.ndim}")
            channels.append(channel.array)
            grids.append(Grid(cast(Size, channel.array.shape), channel.affine))
    first = grids[0]
    if any(grid.shape != first.shape or _apart(grid, first) for grid in grids[1:]):
        raise GeometryError(f"{_name(paths)}: its phases lie on different grids; resample them onto one")
    image = MetaTensor(torch.from_numpy(np.stack(channels)), affine=torch.from_numpy(first.affine))
    wrong = ~torch.isfinite(image.as_tensor())
    if bool(wrong.any()):
        notices.append(f"{_name(paths)}: {int(wrong.sum())} voxels are not finite and were read as 0")
        image[wrong] = 0.0
    return image


def _binary(label: MetaTensor, preprocessing: Preprocessing, path: Path) -> MetaTensor:
    if label.shape[0] != 1:
        raise InputError(f"{path.name}: a label has one value a voxel, got {label.shape[0]} channels")
    values = label.as_tensor()
    if bool((values != values.round()).any()):
        raise InputError(f"{path.name}: label holds fractions; a label map of whole numbers is needed")
    if preprocessing.label == "any":
        marked = values != 0
    else:
        marked = torch.isin(values, torch.tensor(preprocessing.label, dtype=values.dtype))
    return MetaTensor(marked.to(torch.float32), affine=label.affine)


def _check_same_grid(data: Mapping[str, Any], label: Path, images: Sequence[Path]) -> None:
    image_grid, label_grid = _grid(data["image"]), _grid(data["label"])
    if image_grid.shape != label_grid.shape:
        shapes = ["x".join(str(side) for side in grid.shape) for grid in (label_grid, image_grid)]
        raise GeometryError(
            f"{_name(images)}: label {label.name} is {shapes[0]}, the image {shapes[1]}; resample one onto the other"
        )
    gap = _apart(label_grid, image_grid)
    if gap:
        raise GeometryError(
            f"{_name(images)}: the corners of label {label.name} and image lie up to {gap:.3g} mm apart; "
            "resample one onto the other"
        )


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
