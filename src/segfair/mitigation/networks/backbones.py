"""The networks, unet, resenc, segresnet, swinunetr and those of others, and the sizes of image they take.

Builds MONAI networks, or one by a function that the user names, from a plain description, and refuses before the first
step a size that would fail in it. Never trains, never reads a file.

References:
    Poeta et al. Divergence-Aware Training with Automatic Subgroup Mitigation for Breast Tumor Segmentation.
    2025 (FairMedSeg), section 4.
    Ronneberger et al. U-Net. MICCAI 2015. Myronenko. 3D MRI brain tumor segmentation using autoencoder
    regularization. BrainLes 2018. Hatamizadeh et al. Swin UNETR. BrainLes 2021.
    Isensee et al. nnU-Net Revisited. MICCAI 2024 (residual encoder, deep supervision).
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
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

Backbone = Literal["unet", "resenc", "segresnet", "swinunetr"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
Size = tuple[int, ...]
"""Voxels along each axis; two for planar networks."""

Option = int | float | bool | tuple[int, ...] | tuple[tuple[int, ...], ...]

_CLASSES: Mapping[str, str] = {
    "unet": "UNet",
    "resenc": "DynUNet",
    "segresnet": "SegResNet",
    "swinunetr": "SwinUNETR",
}

# The paper's widths (section 4). Dropout 0.1 and blocks of the SegResNet are those of its BraTS configuration.
_PAPER: Mapping[Backbone, Mapping[str, Option]] = {
    "unet": {"channels": (16, 32, 64, 128, 256), "residual_units": 2, "dropout": 0.0},
    # No network of the paper: its widths are those of the unet beside it.
    "resenc": {"channels": (16, 32, 64, 128, 256), "strides": (), "stem": 1, "deep_supervision": True, "dropout": 0.0},
    "segresnet": {"init_filters": 32, "blocks_down": (1, 2, 2, 4), "blocks_up": (1, 1, 1), "dropout": 0.1},
    "swinunetr": {"feature_size": 48, "checkpointing": False},
}
# Widths that train on volumes of 32^3 (SwinUNETR: 64^3) on a processor in minutes.
_SMALL: Mapping[Backbone, Mapping[str, Option]] = {
    "unet": {"channels": (8, 16, 32), "residual_units": 2, "dropout": 0.0},
    "resenc": {"channels": (8, 16, 32), "strides": (), "stem": 1, "deep_supervision": True, "dropout": 0.0},
    "segresnet": {"init_filters": 8, "blocks_down": (1, 2, 2, 4), "blocks_up": (1, 1, 1), "dropout": 0.1},
    "swinunetr": {"feature_size": 12, "checkpointing": False},
}


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A network as plain values, enough to build it again.

    Attributes:
        name: Which backbone, or `module:function` of a network of one's own. The function is called with
            `spatial_dims`, `in_channels`, `out_channels` and the options, and returns a module from images to logits.
        in_channels: Phases of the image.
        out_channels: 1, a logit for the lesion (sigmoid); more, one logit a class with the background first
            (softmax). Two learn faster and more steadily from the few lesion voxels of a volume than one does.
        options: Widths and depths. unet: `channels`, `residual_units`, `dropout`; resenc: `channels`, `strides` (one
            entry a level below the first, each a list of 1 or 2 an axis; empty: 2 everywhere), `stem` (the factor by
            which a first convolution makes the image coarser, and the last one finer again: several times as fast on a
            processor), `deep_supervision` (only with a stem of 1), `dropout`; segresnet: `init_filters`,
            `blocks_down`, `blocks_up`, `dropout`; swinunetr: `feature_size`, `checkpointing` (recomputes activations
            in the backward pass: slower, far less memory).
        dims: 3 for volumes, 2 for planar images.
    """

    name: str
    in_channels: int = 3
    out_channels: int = 2
    options: Mapping[str, Option] = field(default_factory=dict)
    dims: int = 3

    def __post_init__(self) -> None:
        if self.name not in BACKBONES and not self.is_own:
            raise ConfigError(f"backbone {self.name!r}: expected one of {', '.join(BACKBONES)}, or module:function")
        if self.dims not in (2, 3):
            raise ConfigError(f"backbone {self.name}: expected 2 or 3 dimensions, got {self.dims}")
        if self.in_channels < 1 or self.out_channels < 1:
            raise ConfigError(
                f"backbone {self.name}: needs at least one input and one output channel, got {self.in_channels} "
                f"and {self.out_channels}"
            )
        if self.is_own:
            return
        known = _PAPER[cast(Backbone, self.name)]
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
    def paper(cls, name: str, *, in_channels: int = 3, out_channels: int = 2, **options: Option) -> NetworkConfig:
        """The paper's widths, some of them changed by `options`."""
        return cls(name, in_channels=in_channels, out_channels=out_channels, options=options)

    @classmethod
    def small(cls, name: str, *, in_channels: int = 3, out_channels: int = 2, **options: Option) -> NetworkConfig:
        """Widths for the embedded phantom, some of them changed by `options`."""
        widths = _SMALL.get(cast(Backbone, name), {})
        return cls(name, in_channels=in_channels, out_channels=out_channels, options={**widths, **options})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint, TOML or JSON."""
        return {
            "name": self.name,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "options": {key: _as_lists(value) for key, value in self.options.items()},
            "dims": self.dims,
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
                # Checkpoints from before there were planar networks do not say it.
                dims=int(tree.get("dims", 3)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"network description: {error!r} in {dict(tree)}") from error

    @property
    def is_own(self) -> bool:
        """Whether the network is one that the user brings."""
        return ":" in self.name

    @property
    def multiples(self) -> Size:
        """Each side of the image must be a multiple of its entry; 1 where a network of one's own takes any."""
        if self.name == "unet":
            return (int(2 ** (len(cast(tuple[int, ...], self.options["channels"])) - 1)),) * self.dims
        if self.name == "resenc":
            stem = cast(int, self.options["stem"])
            return tuple(stem * math.prod(steps) for steps in zip(*self._strides(), strict=True))
        if self.name == "segresnet":
            return (int(2 ** (len(cast(tuple[int, ...], self.options["blocks_down"])) - 1)),) * self.dims
        return (32 if self.name == "swinunetr" else 1,) * self.dims

    @property
    def stem(self) -> int:
        """How many times coarser the network works inside; 1 but for a resenc with a stem."""
        return cast(int, self.options.get("stem", 1))

    @property
    def expression(self) -> str | None:
        """The whole network in Python, where it is more than one class; None where `target` and `arguments` say it."""
        if self.stem == 1:
            return None
        width, step = cast("tuple[int, ...]", self.options["channels"])[0], self.stem
        into = f"torch.nn.Conv{self.dims}d({self.in_channels}, {width}, {2 * step - 1}, {step}, {step - 1})"
        back = f"torch.nn.ConvTranspose{self.dims}d({width}, {self.out_channels}, {step}, {step})"
        return f"torch.nn.Sequential({into}, monai.networks.nets.DynUNet(**{self.arguments!r}), {back})"

    def _strides(self) -> tuple[tuple[int, ...], ...]:
        """Of resenc: one entry a level below the first, one number an axis."""
        given = cast(tuple[tuple[int, ...], ...], self.options["strides"])
        n_levels = len(cast(tuple[int, ...], self.options["channels"]))
        return given or ((2,) * self.dims,) * (n_levels - 1)

    @property
    def target(self) -> str:
        """Whom to call with `arguments`, as a MONAI bundle names it."""
        return self.name.replace(":", ".") if self.is_own else _CLASSES[self.name]

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of the network's class or function."""
        ends: dict[str, Any] = {
            "spatial_dims": self.dims,
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
        }
        options: dict[str, Any] = {key: _as_lists(value) for key, value in self.options.items()}
        if self.is_own:
            return ends | options
        if self.name == "resenc":
            inner = dict.fromkeys(("in_channels", "out_channels"), options["channels"][0]) if self.stem > 1 else {}
            return ends | inner | self._residual_encoder()
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

    def _residual_encoder(self) -> dict[str, Any]:
        """DynUNet with residual blocks in its encoder.

        As in nnU-Net, kernels are flat along an axis until it is halved for the first time: its voxels are longer than
        the others until then.
        """
        strides = self._strides()
        kernels = [
            [3 if any(steps[axis] > 1 for steps in strides[: level + 1]) else 1 for axis in range(self.dims)]
            for level in range(len(strides) + 1)
        ]
        steps = [list(entry) for entry in strides]
        return {
            "kernel_size": kernels,
            "strides": [[1] * self.dims, *steps],
            "upsample_kernel_size": steps,
            "filters": list(cast(tuple[int, ...], self.options["channels"])),
            "dropout": self.options["dropout"] or None,
            "deep_supervision": self.options["deep_supervision"] and self.stem == 1,
            "deep_supr_num": min(len(strides) - 1, 3),
            "res_block": True,
        }


def build_network(config: NetworkConfig) -> nn.Module:
    """Builds the network with fresh weights from torch's global generator (seed it first for equal ones).

    Returns:
        A module: (B, in_channels, X, Y, Z) float32 -> (B, out_channels, X, Y, Z) logits.

    In training, a network with deep supervision gives (B, H, out_channels, ...) logits of H heads, the finest first.

    Raises:
        ConfigError: SwinUNETR without einops, or a function that cannot be imported or called.
    """
    if config.is_own:
        return _built_by_user(config)
    if config.name == "swinunetr" and importlib.util.find_spec("einops") is None:
        raise ConfigError(
            'backbone swinunetr: needs the package einops; install it with `pip install "segfair[mitigate]"`'
        )
    from monai.networks import nets

    make: Callable[..., nn.Module] = getattr(nets, config.target)
    return make(**config.arguments) if config.stem == 1 else _with_stem(make, config)


def _with_stem(make: Callable[..., nn.Module], config: NetworkConfig) -> nn.Module:
    """The same as `NetworkConfig.expression`, of modules."""
    into, back = (nn.Conv2d, nn.ConvTranspose2d) if config.dims == 2 else (nn.Conv3d, nn.ConvTranspose3d)
    width, step = cast("tuple[int, ...]", config.options["channels"])[0], config.stem
    return nn.Sequential(
        into(config.in_channels, width, 2 * step - 1, step, step - 1),
        make(**config.arguments),
        back(width, config.out_channels, step, step),
    )


def _built_by_user(config: NetworkConfig) -> nn.Module:
    where = f"network {config.name}"
    module, _, function = config.name.partition(":")
    try:
        make: Callable[..., object] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{where}: cannot be imported ({error}); expected module:function, with the module on PYTHONPATH"
        ) from error
    try:
        network = make(**config.arguments)
    except TypeError as error:
        named = ", ".join(config.arguments)
        raise ConfigError(f"{where}: cannot be called with the keywords {named} ({error})") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{where}: returned {type(network).__name__}; expected a torch.nn.Module")
    return network


def fitting_size(config: NetworkConfig, size: Sequence[int]) -> Size:
    """The smallest size that holds `size` and that the network can be trained on."""
    steps = config.multiples
    sides = tuple(max(step, math.ceil(side / step) * step) for step, side in zip(steps, size, strict=True))
    if config.name != "segresnet" and not config.is_own and sides == steps:
        return tuple(2 * step for step in steps)
    return sides


def check_shape(config: NetworkConfig, size: Sequence[int], *, what: str = "spatial size") -> Size:
    """Refuses a volume size that the network cannot be trained on.

    The encoder halves each side a fixed number of times, so each must be a multiple. The instance norm of unet and
    swinunetr needs more than one voxel at the bottom; the group norm of segresnet does not.

    Returns:
        The size as one int an axis.

    Raises:
        ConfigError: Not one positive side an axis, or a size that fails; the message has the nearest that fits.
    """
    sides = tuple(int(side) for side in size)
    if len(sides) != config.dims or min(sides, default=0) < 1:
        number = {2: "two", 3: "three"}[config.dims]
        raise ConfigError(f"{what} {list(size)}: expected {number} positive numbers of voxels")
    fit = fitting_size(config, sides)
    if fit == sides:
        return fit
    steps = config.multiples
    if any(side % step for side, step in zip(sides, steps, strict=True)):
        even = str(steps[0]) if len(set(steps)) == 1 else times(steps)
        reason = f"{config.name} halves each side, so each must be a multiple of {even}"
    else:
        reason = f"{config.name} would normalise over a single voxel at its bottom"
    raise ConfigError(f"{what} {times(sides)}: {reason}; the next size that fits is {times(fit)}")


def _check_widths(config: NetworkConfig) -> None:
    where = f"backbone {config.name}"
    for key, value in config.options.items():
        if key == "strides":
            continue
        numbers = cast("tuple[int, ...]", value if isinstance(value, tuple) else (value,))
        lowest = 0 if key in ("dropout", "residual_units", "checkpointing", "deep_supervision") else 1
        if not numbers or min(numbers) < lowest:
            raise ConfigError(f"{where}: {key} must be at least {lowest}, got {value}")
    if "dropout" in config.options and cast(float, config.options["dropout"]) >= 1:
        raise ConfigError(f"{where}: dropout must lie in [0, 1), got {config.options['dropout']}")
    _CHECKS[cast(Backbone, config.name)](config, where)


def _check_unet(config: NetworkConfig, where: str) -> None:
    if len(cast(tuple[int, ...], config.options["channels"])) < 2:
        raise ConfigError(f"{where}: channels needs at least two levels, got {config.options['channels']}")


def _check_resenc(config: NetworkConfig, where: str) -> None:
    channels = cast(tuple[int, ...], config.options["channels"])
    strides = cast(tuple[tuple[int, ...], ...], config.options["strides"])
    if len(channels) < 3:
        raise ConfigError(f"{where}: channels needs at least three levels, got {channels}")
    fits = len(strides) in (0, len(channels) - 1) and all(
        len(steps) == config.dims and set(steps) <= {1, 2} and 2 in steps for steps in strides
    )
    if not fits:
        raise ConfigError(
            f"{where}: strides needs {len(channels) - 1} entries of {config.dims} numbers, each 1 or 2 and one of them "
            f"2, got {_as_lists(strides)}"
        )


def _check_segresnet(config: NetworkConfig, where: str) -> None:
    filters = cast(int, config.options["init_filters"])
    down, up = (cast(tuple[int, ...], config.options[key]) for key in ("blocks_down", "blocks_up"))
    if filters % 8:
        raise ConfigError(
            f"{where}: init_filters must be a multiple of 8 (group norm), got {filters}; "
            f"try {math.ceil(filters / 8) * 8}"
        )
    if len(up) != len(down) - 1:
        raise ConfigError(f"{where}: blocks_up needs one entry fewer than blocks_down, got {len(up)} and {len(down)}")


def _check_swinunetr(config: NetworkConfig, where: str) -> None:
    width = cast(int, config.options["feature_size"])
    if width % 12:
        raise ConfigError(
            f"{where}: feature_size must be a multiple of 12, got {width}; try {math.ceil(width / 12) * 12}"
        )


_CHECKS: Mapping[Backbone, Callable[[NetworkConfig, str], None]] = {
    "unet": _check_unet,
    "resenc": _check_resenc,
    "segresnet": _check_segresnet,
    "swinunetr": _check_swinunetr,
}


def _as_lists(value: Option) -> Any:
    """Lists where there are tuples, as JSON and TOML want them."""
    return [_as_lists(part) for part in value] if isinstance(value, tuple) else value


def _as_kind(name: str, key: str, value: Any, example: Option) -> Option:
    """`value` in the kind of `example`; TOML and JSON give lists where a tuple is meant."""
    try:
        if key == "strides":
            return tuple(tuple(int(step) for step in steps) for steps in value)
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
