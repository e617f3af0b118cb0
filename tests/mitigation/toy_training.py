"""A training small enough to check by hand or in milliseconds: tables, volumes of 8^3, a network of few parameters."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.mitigation.networks.checkpoints import load_checkpoint
from segfair.mitigation.training.catalogue import Feedback
from segfair.mitigation.training.loop import FitResult, FitSettings, fit
from segfair.mitigation.training.objectives import dice_ce
from segfair.mitigation.training.strategies.kinds import make_strategy
from segfair.mitigation.training.strategies.strategy import Strategy, StrategyOptions, TrainingContext
from segfair.protocol.rules import load_protocol

SIZE = (8, 8, 8)


def make_table(case_ids: Sequence[str], columns: Mapping[str, Sequence[str | None]]) -> AttributeTable:
    attributes = []
    for name, values in columns.items():
        levels = tuple(sorted({value for value in values if value is not None}))
        codes = np.array([levels.index(value) if value is not None else -1 for value in values], dtype=np.int16)
        attributes.append(Attribute(name, levels, codes, name, "levels as they are"))
    return AttributeTable(tuple(case_ids), tuple(attributes), {})


SIX = ("A", "B", "C", "D", "E", "F")
SIX_TABLE = make_table(SIX, {"sex": list("fffmmm"), "site": list("112122")})
SIX_DICE = np.array([0.9, 0.8, 0.7, 0.8, 0.3, 0.4])
"""Six cases, two attributes. Mean 0.65; divergences: f +.15, m -.15, site 1 +.18333, site 2 -.18333, f1 +.2, f2 +.05,
m1 +.15, m2 -.3."""


class Volumes:
    """A bright cube a case; the augmentation is noise that the draw's seed fixes."""

    spacing_mm = (1.0, 1.0, 1.0)

    def __init__(self, case_ids: Sequence[str], *, noise: float = 0.0, faint: Sequence[str] = ()) -> None:
        self.case_ids = tuple(case_ids)
        self.noise = noise
        self.faint = frozenset(faint)

    def __len__(self) -> int:
        return len(self.case_ids)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
        position, seed = draw
        case_id = self.case_ids[position]
        low = 1 + position % 3
        label = torch.zeros(1, *SIZE)
        label[0, low : low + 4, 2:6, 2:6] = 1
        image = label * (0.3 if case_id in self.faint else 1.0)
        image = image + self.noise * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
        return {"image": image, "label": label, "id": case_id}


def tiny_network(seed: int = 0, *, dropout: float = 0.0, channels: int = 1) -> nn.Module:
    """Two convolutions around a coarse level: a few dozen parameters, and a bottleneck of 4^3 voxels."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv3d(1, 2, 3, padding=1, stride=2),
        nn.LeakyReLU(),
        nn.Dropout(dropout),
        nn.Upsample(scale_factor=2),
        nn.Conv3d(2, channels, 3, padding=1),
    )


def whole(inputs: torch.Tensor, network: nn.Module) -> torch.Tensor:
    """The inferer of volumes that fit at once."""
    return network(inputs)


def cohort_of(n: int, prefix: str) -> tuple[tuple[str, ...], AttributeTable]:
    """n cases with two attributes of two levels, every combination about equally often."""
    ids = tuple(f"{prefix}{i:02d}" for i in range(n))
    return ids, make_table(ids, {"sex": ["fm"[i % 2] for i in range(n)], "site": ["12"[i // 2 % 2] for i in range(n)]})


def flat_state(network: nn.Module) -> NDArray[np.float64]:
    """All parameters in one array."""
    return np.concatenate([p.detach().double().numpy().ravel() for p in network.parameters()])


PROTOCOL = load_protocol("default")


SETTINGS = FitSettings(batch_size=3, lr=0.02, min_cases=1)


TRAIN_IDS, TRAIN_TABLE = cohort_of(8, "t")


VAL_IDS, VAL_TABLE = cohort_of(8, "v")


FAINT = tuple(name for name in (*TRAIN_IDS, *VAL_IDS) if int(name[1:]) % 4 == 3)


def context(epochs: int = 4, **changes: Any) -> TrainingContext:
    base = TrainingContext(
        TRAIN_TABLE, VAL_TABLE, dice_ce, epochs, volumes_mm3=dict.fromkeys(TRAIN_IDS, 1.0), min_support=0.1, seed=7
    )
    return replace(base, **changes)


def train(
    out: Path,
    name: str = "divergence-sampling",
    *,
    ctx: TrainingContext | None = None,
    training: Any = None,
    network: nn.Module | None = None,
    settings: FitSettings = SETTINGS,
    strategy: Strategy | None = None,
    plain_training: Any = None,
    feedback: Feedback | None = "validation",
    **more: Any,
) -> tuple[FitResult, nn.Module]:
    ctx = ctx or context()
    network = network or tiny_network(dropout=0.3)
    options = StrategyOptions(case_weights=dict.fromkeys(TRAIN_IDS, 1.0), feedback=feedback)
    result = fit(
        network,
        strategy or make_strategy(name, ctx, options),
        ctx,
        training=Volumes(TRAIN_IDS, noise=0.2, faint=FAINT) if training is None else training,
        validation=Volumes(VAL_IDS, faint=FAINT),
        plain_training=Volumes(TRAIN_IDS, faint=FAINT) if plain_training is None else plain_training,
        settings=settings,
        inferer=whole,
        protocol=PROTOCOL,
        out=out,
        **more,
    )
    return result, network


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def last_network(out: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(out / "checkpoint_last.pt")["network"])


def same_state(one: Path, other: Path) -> bool:
    a, b = last_network(one), last_network(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
