"""Where to compute: from what the user named to a device that torch has. Never moves anything there."""

from __future__ import annotations

import torch

from segfair.errors import ConfigError

__all__ = ["find_device", "half_precision"]


def find_device(name: str) -> str:
    """The device of a name; "auto" is a GPU where there is one.

    Raises:
        ConfigError: No such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, colon, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (colon and (kind == "cpu" or not number.isdecimal())):
        raise ConfigError(f"--device {name}: expected auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: torch sees no GPU here; use --device cpu")
    if number and int(number) >= torch.cuda.device_count():
        raise ConfigError(f"--device {name}: torch sees {torch.cuda.device_count()} GPUs, numbered from 0")
    return name


def half_precision(device: str) -> torch.dtype:
    """The 16-bit numbers of a device: bfloat16, which needs no scaling of the loss, where a GPU has it."""
    if device.startswith("cuda") and not torch.cuda.is_bf16_supported():
        return torch.float16
    return torch.bfloat16
