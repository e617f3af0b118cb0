"""The three networks, unet, segresnet and swinunetr, and the sizes of volume they take.

Builds MONAI networks from a plain description, and refuses before the first step a size that would fail in it.
Never trains, never reads a file.

References:
    Poeta et al. Divergence-Aware Training with Automatic Subgroup Mitigation for Breast Tumor Segmentation.
    2025 (FairMedSeg), section 4.
    Ronneberger et al. U-Net. MICCAI 2015. Myronenko. 3D MRI brain tumor segmentation using autoencoder
    regularization. BrainLes 2018. Hatamizadeh et al. Swin UNETR. BrainLes 2021.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from torch import nn

from segfair.errors import ConfigError

__all__ = [
    "BACKBONES",
    "Backbone",
    "NetworkConfig",
    "Size",
    "build_network",
    "check_shape",
    "fitting_size",
    "times",
]

Backbone = Literal["unet", "segresnet", "swinunetr"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
Size = tuple[int, int, int]
"""Voxels along each axis."""

Option = int | float | bool | tuple[int, ...]

# The paper's widths (section 4). Dropout 0.1 and blocks of the SegResNet are those of its BraTS configuration.
_PAPER: Mapping[Backbone, Mapping[str, Option]] = {
    "unet": {"channels": (16, 32, 64, 128, 256), "residual_units": 2, "dropout": 0.0},
    "segresnet": {"init_filters": 32, "blocks_down": (1, 2, 2, 4), "blocks_up": (1, 1, 1), "dropout": 0.1},
    "swinunetr": {"feature_size": 48, "checkpointing": False},
}
# Widths that train on volumes of 32^3 (SwinUNETR: 64^3) on a processor in minutes.
_SMALL: Mapping[Backbone, Mapping[str, Option]] = {
    "unet": {"channels": (8, 16, 32), "residual_units": 2, "dropout": 0.0},
    "segresnet": {"init_filters": 8, "blocks_down": (1, 2, 2, 4), "blocks_up": (1, 1, 1), "dropout": 0.1},
    "swinunetr": {"feature_size": 12, "checkpointing": False},
}


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A network as plain values, enough to build it again.

    Attributes:
        name: Which backbone.
        in_channels: Phases of the image.
        out_channels: 1, a logit for the lesion (sigmoid); more, one logit a class with the background first
            (softmax). Two learn faster and more steadily from the few lesion voxels of a volume than one does.
        options: Widths and depths. unet: `channels`, `residual_units`, `dropout`; segresnet: `init_filters`,
            `blocks_down`, `blocks_up`, `dropout`; swinunetr: `feature_size`, `checkpointing` (recomputes
            activations in the backward pass: slower, far less memory).
    """

    name: Backbone
    in_channels: int = 3
    out_channels: int = 2
    options: Mapping[str, Option] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in BACKBONES:
            raise ConfigError(f"backbone {self.name!r}: expected one of {', '.join(BACKBONES)}")
        if self.in_channels < 1 or self.out_channels < 1:
            raise ConfigError(
                f"backbone {self.name}: needs at least one input and one output channel, got {self.in_channels} "
                f"and {self.out_channels}"
            )
        known = _PAPER[self.name]
        unknown = sorted(set(self.options) - set(known))
        if unknown:
            raise ConfigError(
                f"backbone {self.name}: unknown option {', '.join(unknown)}; known are {', '.join(known)}"
            )
        # What was left out is the paper's, so that a description on disk is complete.
        complete = {key: _as_kind(self.name, key, self.options.get(key, known[key]), known[key]) for key in known}
        object.__setattr__(self, "options", complete)
        _check_widths(self)

    @classmethod
    def paper(cls, name: Backbone, *, in_channels: int = 3, out_channels: int = 2, **options: Option) -> NetworkConfig:
        """The paper's widths, some of them changed by `options`."""
        return cls(name, in_channels=in_channels, out_channels=out_channels, options=options)

    @classmethod
    def small(cls, name: Backbone, *, in_channels: int = 3, out_channels: int = 2, **options: Option) -> NetworkConfig:
        """Widths for the embedded phantom, some of them changed by `options`."""
        return cls(
            name, in_channels=in_channels, out_channels=out_channels, options={**_SMALL.get(name, {}), **options}
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint, TOML or JSON."""
        options = {key: list(value) if isinstance(value, tuple) else value for key, value in self.options.items()}
        return {
            "name": self.name,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "options": options,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> NetworkConfig:
        """The inverse of `to_dict`.

        Raises:
            ConfigError: A key is missing or does not exist, or a value is of the wrong kind.
        """
        try:
            return cls(
                tree["name"],
                in_channels=int(tree["in_channels"]),
                out_channels=int(tree["out_channels"]),
                options=dict(tree["options"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"network description: {error!r} in {dict(tree)}") from error

    @property
    def multiple(self) -> int:
        """Every side of the volume must be a multiple of this."""
        if self.name == "unet":
            return int(2 ** (len(cast(tuple[int, ...], self.options["channels"])) - 1))
        if self.name == "segresnet":
            return int(2 ** (len(cast(tuple[int, ...], self.options["blocks_down"])) - 1))
        return 32

    @property
    def monai_name(self) -> str:
        """Class name in `monai.networks.nets`."""
        return {"unet": "UNet", "segresnet": "SegResNet", "swinunetr": "SwinUNETR"}[self.name]

    @property
    def monai_arguments(self) -> dict[str, Any]:
        """Keyword arguments of the MONAI class."""
        ends = {"spatial_dims": 3, "in_channels": self.in_channels, "out_channels": self.out_channels}
        options: dict[str, Any] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in self.options.items()
        }
        if self.name == "unet":
            return ends | {
                "channels": options["channels"],
                "strides": [2] * (len(options["channels"]) - 1),
                "num_res_units": options["residual_units"],
                "dropout": options["dropout"],
            }
        if self.name == "segresnet":
            return ends | {
                "init_filters": options["init_filters"],
                "blocks_down": options["blocks_down"],
                "blocks_up": options["blocks_up"],
                "dropout_prob": options["dropout"] or None,
            }
        return ends | {"feature_size": options["feature_size"], "use_checkpoint": options["checkpointing"]}


def build_network(config: NetworkConfig) -> nn.Module:
    """Builds the network with fresh weights from torch's global generator (seed it first for equal ones).

    Returns:
        A module: (B, in_channels, X, Y, Z) float32 -> (B, out_channels, X, Y, Z) logits.

    Raises:
        ConfigError: SwinUNETR without einops.
    """
    if config.name == "swinunetr" and importlib.util.find_spec("einops") is None:
        raise ConfigError(
            'backbone swinunetr: needs the package einops; install it with `pip install "segfair[mitigate]"`'
        )
    from monai.networks import nets

    network = getattr(nets, config.monai_name)(**config.monai_arguments)
    return cast(nn.Module, network)


def fitting_size(config: NetworkConfig, size: Sequence[int]) -> Size:
    """The smallest size that holds `size` and that the network can be trained on."""
    step = config.multiple
    x, y, z = (max(step, math.ceil(side / step) * step) for side in size)
    if config.name != "segresnet" and x * y * z == step**3:
        return (2 * step, 2 * step, 2 * step)
    return (x, y, z)


def check_shape(config: NetworkConfig, size: Sequence[int], *, what: str = "spatial size") -> Size:
    """Refuses a volume size that the network cannot be trained on.

    The encoder halves each side a fixed number of times, so each must be a multiple. The instance norm of unet and
    swinunetr needs more than one voxel at the bottom; the group norm of segresnet does not.

    Returns:
        The size as three ints.

    Raises:
        ConfigError: Not three positive sides, or a size that fails; the message has the nearest that fits.
    """
    sides = tuple(int(side) for side in size)
    if len(sides) != 3 or min(sides, default=0) < 1:
        raise ConfigError(f"{what} {list(size)}: expected three positive numbers of voxels")
    fit = fitting_size(config, sides)
    if fit == sides:
        return fit
    if any(side % config.multiple for side in sides):
        reason = f"{config.name} halves each side, so each must be a multiple of {config.multiple}"
    else:
        reason = f"{config.name} would normalise over a single voxel at its bottom"
    raise ConfigError(f"{what} {times(sides)}: {reason}; the next size that fits is {times(fit)}")


def _check_widths(config: NetworkConfig) -> None:
    where = f"backbone {config.name}"
    options = config.options
    for key, value in options.items():
        numbers = value if isinstance(value, tuple) else (value,)
        lowest = 0 if key in ("dropout", "residual_units", "checkpointing") else 1
        if not numbers or min(numbers) < lowest:
            raise ConfigError(f"{where}: {key} must be at least {lowest}, got {value}")
    if "dropout" in options and cast(float, options["dropout"]) >= 1:
        raise ConfigError(f"{where}: dropout must lie in [0, 1), got {options['dropout']}")
    if config.name == "unet" and len(cast(tuple[int, ...], options["channels"])) < 2:
        raise ConfigError(f"{where}: channels needs at least two levels, got {options['channels']}")
    if config.name == "segresnet":
        filters = cast(int, options["init_filters"])
        down, up = cast(tuple[int, ...], options["blocks_down"]), cast(tuple[int, ...], options["blocks_up"])
        if filters % 8:
            raise ConfigError(
                f"{where}: init_filters must be a multiple of 8 (group norm), got {filters}; "
                f"try {math.ceil(filters / 8) * 8}"
            )
        if len(up) != len(down) - 1:
            raise ConfigError(
                f"{where}: blocks_up needs one entry fewer than blocks_down, got {len(up)} and {len(down)}"
            )
    if config.name == "swinunetr":
        width = cast(int, options["feature_size"])
        if width % 12:
            raise ConfigError(
                f"{where}: feature_size must be a multiple of 12, got {width}; try {math.ceil(width / 12) * 12}"
            )


def _as_kind(name: str, key: str, value: Any, example: Option) -> Option:
    """`value` in the kind of `example`; TOML and JSON give lists where a tuple is meant."""
    try:
        if isinstance(example, tuple):
            return tuple(int(part) for part in value)
        if isinstance(example, bool):
            if not isinstance(value, bool):
                raise TypeError
            return value
        if isinstance(value, bool):
            raise TypeError
        return int(value) if isinstance(example, int) else float(value)
    except (TypeError, ValueError):
        kind = {tuple: "a list of numbers", bool: "true or false", int: "a whole number"}.get(type(example), "a number")
        raise ConfigError(f"backbone {name}: {key} must be {kind}, got {value!r}") from None


def times(size: Sequence[int]) -> str:
    """`(64, 64, 32)` -> "64 x 64 x 32"."""
    return " x ".join(str(side) for side in size)
