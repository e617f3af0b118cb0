"""From datasets to batches: what a dataset must offer, which draws make an epoch, and how items are stacked.

A draw is a case's position and the seed of all randomness of this one use of it. So an epoch does not depend on the
number of loader workers or processes, or on where it was interrupted. Never weighs a case.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from segfair.errors import ConfigError
from segfair.mitigation.weighting.weights import draw_cases

__all__ = ["Batch", "CaseDataset", "Draw", "check_order", "load", "plain_tensor", "plan_epoch", "same_shapes", "stack"]

Draw = tuple[int, int]
"""Position of a case, and the seed of this use of it."""

Item = Mapping[str, Any]
"""`image` (C, X, Y, Z), `label` (1, X, Y, Z), `id`."""

Batch = tuple[Tensor, Tensor, tuple[str, ...]]
"""Images (B, C, X, Y, Z) float32, labels (B, 1, X, Y, Z), B case ids."""


class CaseDataset(Protocol):
    """Cases as the loop wants them: `dataset[draw]` is an item or, with patches, the list of one case's items."""

    @property
    def case_ids(self) -> tuple[str, ...]:
        """The cases in order of position."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size of the items."""

    def __len__(self) -> int:
        """Number of cases."""

    def __getitem__(self, draw: Draw, /) -> Item | Sequence[Item]:
        """The case of a draw."""


def plan_epoch(
    probabilities: NDArray[np.float64] | None, n_cases: int, *, batch_size: int, seed: int, epoch: int
) -> list[list[Draw]]:
    """The batches of an epoch: a function of the probabilities, the seed and the epoch.

    Args:
        probabilities: (n_cases,) sampling weights of any scale; None for every case once.
        n_cases: Training cases, and draws.
        batch_size: Draws of a batch; the last one may be smaller.
        seed: Seed of the run.
        epoch: From 1.
    """
    rng = np.random.default_rng([seed, epoch])
    positions = draw_cases(probabilities, n_cases, rng)
    seeds = rng.integers(0, 2**31, size=n_cases)
    draws = list(zip(positions.tolist(), seeds.tolist(), strict=True))
    return [draws[start : start + batch_size] for start in range(0, n_cases, batch_size)]


def load(
    dataset: CaseDataset, batches: Sequence[Sequence[Draw]], *, workers: int, pin_memory: bool
) -> Iterator[list[Item]]:
    """The items of each batch in order, patches laid flat; loaded ahead by `workers` processes."""
    loader: DataLoader[Any] = DataLoader(
        dataset,  # type: ignore[arg-type]
        batch_sampler=batches,  # type: ignore[arg-type]
        collate_fn=_flat,
        num_workers=workers,
        pin_memory=pin_memory,
        worker_init_fn=_ignore_interrupts,
        # The loader draws a number for its workers; from a generator of its own the training's is left alone.
        generator=torch.Generator(),
    )
    return iter(loader)


def _flat(items: Sequence[Item | Sequence[Item]]) -> list[Item]:
    return [part for item in items for part in ([item] if isinstance(item, Mapping) else item)]


def _ignore_interrupts(_worker: int) -> None:
    # Ctrl-C reaches every process of the terminal; the training decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stack(items: Sequence[Item]) -> Batch:
    """Items of one shape as a batch of plain tensors.

    Raises:
        ConfigError: Items of several shapes.
    """
    shapes = {tuple(item["image"].shape) for item in items}
    if len(shapes) > 1:
        listed = ", ".join(" x ".join(map(str, shape)) for shape in sorted(shapes))
        raise ConfigError(f"training items differ in shape ({listed}); crop or pad them to one spatial size")
    images = torch.stack([plain_tensor(item["image"]) for item in items]).float()
    labels = torch.stack([plain_tensor(item["label"]) for item in items])
    return images, labels, tuple(str(item["id"]) for item in items)


def same_shapes(images: Sequence[Tensor]) -> list[list[int]]:
    """Positions of images of one shape each, in the order in which shapes occur."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, image in enumerate(images):
        groups.setdefault(tuple(image.shape), []).append(position)
    return list(groups.values())


def plain_tensor(tensor: Any) -> Tensor:
    """Without what MONAI adds to a tensor."""
    plain: Tensor = tensor.as_tensor() if hasattr(tensor, "as_tensor") else torch.as_tensor(tensor)
    return plain


def check_order(dataset: CaseDataset, case_ids: Sequence[str], role: str) -> None:
    """Refuses a dataset whose positions do not mean the cases of the attribute table.

    Raises:
        ConfigError: Other cases or another order.
    """
    if not len(dataset):
        raise ConfigError(f"{role}: no cases; check the split")
    if tuple(dataset.case_ids) == tuple(case_ids):
        return
    where = next(
        (i for i, pair in enumerate(zip(dataset.case_ids, case_ids, strict=False)) if pair[0] != pair[1]),
        min(len(dataset), len(case_ids)),
    )
    raise ConfigError(
        f"{role}: the data has {len(dataset)} cases and the attributes {len(case_ids)}, and they differ from "
        f"position {where} on; build both from one list of ids"
    )
