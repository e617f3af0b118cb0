"""How much memory a training step needs, found out without allocating it.

Estimates the peak of one step, compares it with the device, and says what would fit. Never trains.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn

from segfair.errors import ConfigError, SegfairError, in_words
from segfair.mitigation.networks.backbones import NetworkConfig, build_network, check_shape, fitting_size, times

__all__ = ["available_memory", "check_memory", "check_own", "estimate_memory", "memory_remedy", "network_on_meta"]


def estimate_memory(
    config: NetworkConfig, size: Sequence[int], *, batch_size: int = 1, amp: bool = False, device: str = "cpu"
) -> int:
    """Estimates the peak memory of one training step with Adam, in bytes, without allocating it.

    The network is run on torch's meta device, which has shapes but no data, and what autograd keeps for the
    backward pass is added up: exact for activations. Added are weights, gradients and Adam's two moments, and three
    working copies of the largest activation; on a processor these are padded to 16 channels, as oneDNN's layouts
    are. On a processor the estimate was 0.97 to 1.16 times the peak measured, for steps of a third of a gigabyte and
    more (benchmarks/networks.py); on a GPU it has not been measured.

    Args:
        config: The network.
        size: Voxels of the volume or patch.
        batch_size: Volumes in one step.
        amp: Mixed precision; activations are then counted at 0.7, an assumption (norms stay in single precision).
        device: "cpu" or "cuda", for the padding of layouts.
    """
    return _estimate(network_on_meta(config), config, size, batch_size, amp, device)


def _estimate(
    network: nn.Module, config: NetworkConfig, size: Sequence[int], batch_size: int, amp: bool, device: str
) -> int:
    sides = check_shape(config, size)
    parameters = list(network.parameters())
    weights = {parameter.untyped_storage()._cdata for parameter in parameters}
    kept: dict[int, torch.UntypedStorage] = {}
    largest = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            # Holding the storage keeps its address from being reused for another.
            kept[storage._cdata] = storage
        largest = max(largest, _working_bytes(tensor, padded=device == "cpu"))
        return tensor

    image = torch.empty((1, config.in_channels, *sides), device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(image)
        nn.functional.binary_cross_entropy_with_logits(logits, torch.empty_like(logits))
    activations = sum(storage.nbytes() for storage in kept.values()) + 3 * largest
    state = 4 * sum(parameter.numel() * parameter.element_size() for parameter in parameters)
    return int(batch_size * activations * (0.7 if amp else 1.0) + state)


def available_memory(device: str) -> int | None:
    """Bytes of memory the device has in all; None where that cannot be found out."""
    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(torch.device(device)).total_memory)
    limits: list[int] = []
    # A container may have less than the machine: the limit of its control group counts.
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        path = Path(name)
        try:
            limits.append(int(path.read_text("ascii")))
        except (OSError, ValueError):
            continue
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        limits.extend(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    except OSError:
        pass  # Not Linux: the caller trains without a check.
    return min(limits) if limits else None


def check_memory(
    config: NetworkConfig,
    size: Sequence[int],
    *,
    batch_size: int = 1,
    amp: bool = False,
    device: str = "cpu",
    limit_bytes: int | None = None,
) -> int:
    """Refuses a training step that the device cannot hold.

    Args:
        config: The network.
        size: Voxels of the volume or patch.
        batch_size: Volumes in one step.
        amp: Mixed precision.
        device: torch's name of the device.
        limit_bytes: What the device has; found out where None.

    Returns:
        The estimate in bytes.

    Raises:
        ConfigError: The estimate exceeds the device's memory; the message names a batch, size or width that fits.
    """
    kind = "cuda" if device.startswith("cuda") else "cpu"
    needed = estimate_memory(config, size, batch_size=batch_size, amp=amp, device=kind)
    limit = available_memory(device) if limit_bytes is None else limit_bytes
    if limit is None or needed <= limit:
        return needed
    raise ConfigError(
        f"backbone {config.name} at {times(size)}, batch size {batch_size}: a training step needs about "
        f"{_gigabytes(needed)}, {device} has {_gigabytes(limit)}; "
        + memory_remedy(config, size, batch_size=batch_size, amp=amp, device=kind, limit_bytes=limit)
    )


def memory_remedy(
    config: NetworkConfig, size: Sequence[int], *, batch_size: int, amp: bool, device: str, limit_bytes: int
) -> str:
    """What to try where a step needs more memory than there is: a batch or a patch that fits, with its estimate."""
    network = network_on_meta(config)

    def need(sides: Sequence[int], batch: int) -> int:
        return _estimate(network, config, sides, batch, amp, device)

    tips = []
    if batch_size > 1 and need(size, 1) <= limit_bytes:
        batch = bisect.bisect_right(range(1, batch_size), limit_bytes, key=lambda b: need(size, b))
        tips.append(f"--batch-size {batch} fits")
    # Of far too large a size most is cut at once, as memory goes with voxels; the rest is felt for.
    share = min(1.0, 2 * (limit_bytes / need(size, 1)) ** (1 / config.dims))
    patch = list(fitting_size(config, [max(1, int(side * share)) for side in size]))
    smallest = fitting_size(config, (1,) * config.dims)
    while need(patch, 1) > limit_bytes and tuple(patch) != smallest:
        # The longest side that can shrink loses an eighth, in steps the network takes.
        axis = max((a for a in range(config.dims) if patch[a] > smallest[a]), key=lambda a: patch[a])
        step = config.multiples[axis]
        cut = max(1, patch[axis] // 8 // step) * step
        patch[axis] = max(smallest[axis], patch[axis] - cut)
    if need(patch, 1) <= limit_bytes:
        if tuple(patch) != tuple(size):
            numbers = " ".join(str(side) for side in patch)
            tips.append(f"--patch {numbers} with --batch-size 1 needs about {_gigabytes(need(patch, 1))}")
    else:
        tips.append("no size fits this network: choose smaller widths")
    if config.name == "swinunetr" and not config.options["checkpointing"]:
        tips.append("checkpointing = true under [network.swinunetr] of --config trades time for memory")
    if not amp and device == "cuda":
        tips.append("--amp takes about 0.7 of it")
    return "; ".join(tips)


def network_on_meta(config: NetworkConfig) -> nn.Module:
    """The network without data; moved there where it may not be one that can be built there, as SwinUNETR."""
    state = torch.random.get_rng_state()
    movable = config.is_own or config.name == "swinunetr"
    try:
        with nullcontext() if movable else torch.device("meta"):
            network = build_network(config).to("meta").train()
    except SegfairError:
        raise
    except (Exception, SystemExit) as error:
        if not config.is_own:
            raise
        raise ConfigError(f"network {config.name}: cannot be built ({in_words(error)})") from error
    # Asking for an estimate must not change the weights that the caller draws next.
    torch.random.set_rng_state(state)
    return network


def check_own(config: NetworkConfig, size: Sequence[int]) -> None:
    """Refuses a network of one's own that gives something else than a segmentation of its image.

    Raises:
        ConfigError: It cannot be built or called, or has another number of channels or voxels.
    """
    network = network_on_meta(config).eval()
    image, wanted = (1, config.in_channels, *size), (1, config.out_channels, *size)
    try:
        with torch.no_grad():
            found = getattr(network(torch.empty(image, device="meta")), "shape", None)
    except Exception as error:
        raise ConfigError(
            f"network {config.name}: cannot be called with an image of {times(image)} ({in_words(error)})"
        ) from error
    if found is None or tuple(found) != wanted:
        told = "no tensor" if found is None else times(found)
        raise ConfigError(
            f"network {config.name}: gives {told} for an image of {times(image)}; logits of {times(wanted)} are needed"
        )


def _working_bytes(tensor: torch.Tensor, *, padded: bool) -> int:
    if not padded or tensor.ndim not in (4, 5):
        return tensor.numel() * tensor.element_size()
    channels = math.ceil(tensor.shape[1] / 16) * 16
    return tensor.numel() // max(1, tensor.shape[1]) * channels * tensor.element_size()


def _gigabytes(number: float) -> str:
    return f"{number / 2**30:.1f} GB"
