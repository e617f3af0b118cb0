"""Optimisers, their learning rate over a training, and the average of a network's weights. Takes no step.

The rate of a step is a function of how much of the training is done, so that a training goes on from a step alone.

References:
    Smith, Topin. Super-Convergence. 2018 (one cycle). Chen et al. DeepLab. TPAMI 2018 (polynomial decay).
    Loshchilov, Hutter. Decoupled Weight Decay Regularization. ICLR 2019.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn

from segfair.mitigation.training.catalogue import OptimiserName, ScheduleName

__all__ = [
    "OPTIMISERS",
    "SCHEDULES",
    "AveragedWeights",
    "make_optimiser",
    "set_rate",
]

OPTIMISERS: tuple[OptimiserName, ...] = get_args(OptimiserName)
SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)

# Those of torch's OneCycleLR: share of the steps that rise, first and last rate as parts of the largest, momentum.
_RISE = 0.3
_FIRST = 1 / 25
_LAST = _FIRST / 1e4
_MOMENTUM = 0.95
_LEAST_MOMENTUM = 0.85
_POWER = 0.9


def make_optimiser(
    name: OptimiserName, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of that name; SGD with Nesterov's momentum of .99, as nnU-Net has it."""
    makers: Mapping[OptimiserName, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
    }
    extra: dict[str, Any] = {"momentum": 0.99, "nesterov": True} if name == "sgd" else {}
    return makers[name](parameters, lr=lr, weight_decay=weight_decay, **extra)


def set_rate(optimiser: torch.optim.Optimizer, schedule: ScheduleName, *, lr: float, step: int, n_steps: int) -> float:
    """Puts the learning rate of a step, and with one cycle the momentum, into the optimiser.

    Args:
        optimiser: The optimiser.
        schedule: "cosine" falls to 0; "one-cycle" rises for three tenths of the steps and falls to nothing, momentum
            the other way round (torch's OneCycleLR); "poly" falls as (1 - done)^.9.
        lr: The largest rate.
        step: Steps done, from 0.
        n_steps: Steps in all.

    Returns:
        The rate.
    """
    done = step / n_steps
    momentum = None
    if schedule == "cosine":
        rate = 0.5 * lr * (1 + math.cos(math.pi * done))
    elif schedule == "poly":
        rate = lr * (1 - done) ** _POWER
    else:
        factor, momentum = _one_cycle(step, n_steps)
        rate = lr * factor
    for group in optimiser.param_groups:
        group["lr"] = rate
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        elif momentum is not None:
            group["momentum"] = momentum
    return rate


def _one_cycle(step: int, n_steps: int) -> tuple[float, float]:
    """Part of the largest rate, and momentum, of a step."""
    top = _RISE * n_steps - 1
    if step <= top and top > 0:
        return _between(_FIRST, 1.0, step / top), _between(_MOMENTUM, _LEAST_MOMENTUM, step / top)
    share = min(1.0, (step - top) / max(1.0, n_steps - 1 - top))
    return _between(1.0, _LAST, share), _between(_LEAST_MOMENTUM, _MOMENTUM, share)


def _between(start: float, end: float, share: float) -> float:
    """Along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


class AveragedWeights:
    """A network whose weights are the exponential moving average of another's.

    It starts as the mean of what there is, so that the first weights, which are random, are soon forgotten.

    Args:
        network: The network that trains.
        horizon: Steps over which weights are averaged, about.
    """

    def __init__(self, network: nn.Module, *, horizon: float) -> None:
        self.network = copy.deepcopy(network)
        self.network.requires_grad_(requires_grad=False)
        self.decay = 1 - 1 / max(1.0, horizon)
        self.n_updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Takes the weights after a step; buffers are taken as they are."""
        self.n_updates += 1
        keep = min(self.decay, self.n_updates / (self.n_updates + 9))
        for mean, new in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(new, 1 - keep)
        for buffer, newer in zip(self.network.buffers(), network.buffers(), strict=True):
            buffer.copy_(newer)

    def restart(self, network: nn.Module) -> None:
        """Forgets what was averaged: the network is another one from here on."""
        self.network.load_state_dict(network.state_dict())
        self.n_updates = 0

    def state_dict(self) -> dict[str, Any]:
        """Plain dicts, tensors and numbers."""
        return {"network": self.network.state_dict(), "n_updates": self.n_updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        weights: Mapping[str, Tensor] = state["network"]
        self.network.load_state_dict(weights)
        self.n_updates = int(state["n_updates"])
