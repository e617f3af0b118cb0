"""What training does to a prepared image each time it is drawn: crops, flips, affine and intensity changes.

MONAI transforms, all of whose randomness comes from the seed of the draw. Decides nothing about which cases are drawn.

References:
    Poeta et al. 2025 (FairMedSeg), section 4.1 ("paper": flips, intensities by a tenth).
    Isensee et al. nnU-Net. Nature Methods 2021, supplementary note 4 ("strong").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from monai.transforms.compose import Compose, OneOf
from monai.transforms.croppad.dictionary import (
    CenterSpatialCropd,
    RandCropByPosNegLabeld,
    ResizeWithPadOrCropd,
    SpatialPadd,
)
from monai.transforms.intensity.dictionary import (
    RandAdjustContrastd,
    RandGaussianNoised,
    RandGaussianSharpend,
    RandGaussianSmoothd,
    RandHistogramShiftd,
    RandScaleIntensityd,
    RandScaleIntensityFixedMeand,
    RandShiftIntensityd,
)
from monai.transforms.spatial.dictionary import RandAffined, RandFlipd, RandSimulateLowResolutiond

from segfair.errors import ConfigError
from segfair.mitigation.networks.backbones import Size

__all__ = ["FOREGROUND", "STRENGTHS", "Augmentation", "Strength"]

FOREGROUND = "foreground"
"""Entry of an item, beside image and label, that says around which voxels crops are centred."""

Strength = Literal["paper", "light", "strong", "appearance"]
STRENGTHS: tuple[Strength, ...] = get_args(Strength)

_KEYS = ("image", "label")
_MARGIN = 1.25
"""Crops are so much larger than the network's size before they are turned, so that no corner comes from outside."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What training does to a prepared image, each time it is drawn.

    Attributes:
        size: Voxels that the network sees, three numbers; two for planar images.
        samples_per_case: None: the whole image, cropped and padded around its centre to `size`. A number: so many
            crops of `size` from each drawn case; a batch of B cases then holds B times as many crops.
        foreground: Share of crops whose centre is a lesion voxel.
        flip: Probability of a flip along each axis of `flips`.
        intensity: Image values are multiplied by 1 +- this, and shifted by +- this (of a standard deviation).
        strength: "paper": flips and intensities. "light": small turns, scales and shifts as well. "strong": those of
            nnU-Net, with noise, blur, contrast, gamma and lower resolution; it wants many epochs. "appearance": the
            small turns of "light", and grey values, contrast, sharpness and texture that change far more often.
        flips: Axes along which images are flipped; None: all.
        thick_axis: Axis along which voxels are much longer than along the others: nothing is turned out of their
            plane. None where voxels are about cubes.
    """

    size: Size
    samples_per_case: int | None = None
    foreground: float = 0.5
    flip: float = 0.5
    intensity: float = 0.1
    strength: Strength = "paper"
    flips: tuple[int, ...] | None = None
    thick_axis: int | None = None

    def __post_init__(self) -> None:
        if len(self.size) not in (2, 3) or min(self.size) < 1:
            raise ConfigError(f"size {list(self.size)}: expected two or three positive numbers of voxels")
        if self.samples_per_case is not None and self.samples_per_case < 1:
            raise ConfigError(f"samples per case: at least 1, got {self.samples_per_case}")
        if not 0 <= self.foreground <= 1 or not 0 <= self.flip <= 1:
            raise ConfigError(
                f"foreground share and flip probability lie in [0, 1], got {self.foreground} and {self.flip}"
            )
        if self.intensity < 0:
            raise ConfigError(f"intensity change: cannot be negative, got {self.intensity}")
        if self.strength not in STRENGTHS:
            raise ConfigError(f"augmentation {self.strength!r}: expected one of {', '.join(STRENGTHS)}")

    @property
    def is_planar(self) -> bool:
        """Whether the network sees images of two dimensions."""
        return len(self.size) == 2

    def transforms(self) -> Compose:
        """The steps as MONAI transforms; all their randomness comes from `set_random_state`."""
        axes = range(len(self.size)) if self.flips is None else self.flips
        flips = [RandFlipd(_KEYS, prob=self.flip, spatial_axis=axis) for axis in axes]
        return Compose([*self._fitted(), *self._moved(), *flips, *self._changed()])

    def _fitted(self) -> list[Any]:
        """To the size; crops that are yet to be turned are larger."""
        if self.samples_per_case is None:
            return [ResizeWithPadOrCropd(_KEYS, spatial_size=self.size)]
        grown = self.size
        if self.strength != "paper":
            grown = tuple(
                side if axis == self.thick_axis else math.ceil(side * _MARGIN) for axis, side in enumerate(self.size)
            )
        # A case without a lesion gives background crops only.
        crop = RandCropByPosNegLabeld(
            (*_KEYS, FOREGROUND),
            label_key=FOREGROUND,
            spatial_size=grown,
            pos=self.foreground,
            neg=1 - self.foreground,
            num_samples=self.samples_per_case,
        )
        return [SpatialPadd((*_KEYS, FOREGROUND), spatial_size=grown), crop]

    def _moved(self) -> list[Any]:
        """Turned, scaled and shifted, then cut to the size."""
        if self.strength == "paper":
            return []
        strong = self.strength == "strong"
        chance, degrees, scale = (0.36, 30.0, 0.3) if strong else (0.5, 15.0, 0.15)
        turn = math.radians(degrees)
        turns: Any = turn if self.is_planar else [turn] * 3
        scales: Any = scale
        if self.thick_axis is not None and not self.is_planar:
            turns = [turn if axis == self.thick_axis else 0.0 for axis in range(3)]
            scales = [0.0 if axis == self.thick_axis else scale for axis in range(3)]
        shift: Any = 0.0
        if not self.samples_per_case:
            shift = [0.0 if axis == self.thick_axis else 0.06 * side for axis, side in enumerate(self.size)]
        # A label that counts nowhere (255) must not be mixed with its neighbours either.
        move = RandAffined(
            _KEYS,
            prob=chance,
            rotate_range=turns,
            scale_range=scales,
            translate_range=shift,
            mode=("bilinear", "nearest"),
            padding_mode="zeros",
        )
        return [move, CenterSpatialCropd(_KEYS, roi_size=self.size)] if self.samples_per_case else [move]

    def _changed(self) -> list[Any]:
        """Other grey values."""
        if self.strength == "appearance":
            return _other_appearance(self.is_planar)
        if self.strength != "strong":
            # With probability 1: the paper gives a range and no probability.
            return [
                RandScaleIntensityd("image", factors=self.intensity, prob=1.0),
                RandShiftIntensityd("image", offsets=self.intensity, prob=1.0),
            ]
        upsampling = "bilinear" if self.is_planar else "trilinear"
        return [
            RandGaussianNoised("image", prob=0.1, std=0.3),
            RandGaussianSmoothd("image", sigma_x=(0.5, 1.0), sigma_y=(0.5, 1.0), sigma_z=(0.5, 1.0), prob=0.2),
            RandScaleIntensityd("image", factors=0.25, prob=0.15),
            RandScaleIntensityFixedMeand("image", factors=0.25, preserve_range=True, prob=0.15),
            RandSimulateLowResolutiond("image", prob=0.25, zoom_range=(0.5, 1.0), upsample_mode=upsampling),
            RandAdjustContrastd("image", prob=0.1, gamma=(0.7, 1.5), invert_image=True, retain_stats=True),
            RandAdjustContrastd("image", prob=0.3, gamma=(0.7, 1.5), retain_stats=True),
        ]


def _other_appearance(is_planar: bool) -> list[Any]:
    """As another scanner might show the same: another tone curve, gain, sharpness and grain."""
    return [
        RandHistogramShiftd("image", num_control_points=(4, 8), prob=0.3),
        RandAdjustContrastd("image", prob=0.5, gamma=(0.5, 2.0), retain_stats=True),
        OneOf(
            (
                RandGaussianSmoothd("image", sigma_x=(0.5, 1.5), sigma_y=(0.5, 1.5), sigma_z=(0.5, 1.5), prob=0.5),
                RandGaussianSharpend("image", prob=0.5),
                RandSimulateLowResolutiond(
                    "image", prob=0.5, zoom_range=(0.5, 1.0), upsample_mode="bilinear" if is_planar else "trilinear"
                ),
            )
        ),
        RandGaussianNoised("image", prob=0.3, std=0.2),
        RandScaleIntensityd("image", factors=0.3, prob=0.5),
        RandShiftIntensityd("image", offsets=0.3, prob=0.5),
    ]
