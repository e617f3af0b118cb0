"""From datasets to batches: ids stay with their images, and draws follow the probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import (
    SETTINGS,
    TRAIN_IDS,
    Volumes,
    context,
    last_network,
    tiny_network,
    train,
)
from torch import nn

from segfair.errors import ConfigError
from segfair.mitigation.training.batches import plan_epoch
from segfair.mitigation.training.strategies.kinds import make_strategy


class Spy(Volumes):
    """Notes which case was drawn with which label, and hands patches out if asked."""

    def __init__(self, *args: Any, patches: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.patches = patches

    def __getitem__(self, draw: tuple[int, int]) -> Any:
        item = super().__getitem__(draw)
        # The case's number is written into a voxel, so that image and id can be checked against each other.
        item["image"] = item["image"].clone()
        item["image"][0, 0, 0, 0] = float(item["id"][1:])
        return [item] * self.patches if self.patches else item


@pytest.mark.parametrize(("patches", "workers"), [(0, 0), (2, 0), (2, 2)])
def test_ids_stay_with_their_images_through_shuffling_patches_and_workers(
    tmp_path: Path, patches: int, workers: int
) -> None:
    seen: list[tuple[str, float]] = []
    ctx = context(2)
    strategy = make_strategy("divergence-sampling", ctx)
    inner = strategy.objective

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = tiny_network()
            self.marks: list[float] = []

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            self.marks = image[:, 0, 0, 0, 0].tolist()
            return self.network(image)

    network = Watching()

    def objective(logits: Any, label: Any, case_ids: Any, *, batch_size: int | None = None) -> torch.Tensor:
        seen.extend(zip(case_ids, network.marks, strict=True))
        return inner(logits, label, case_ids, batch_size=batch_size)

    strategy.objective = objective
    spied = Spy(TRAIN_IDS, patches=patches)
    settings = replace(SETTINGS, workers=workers)
    train(tmp_path, ctx=ctx, strategy=strategy, network=network, training=spied, settings=settings)
    assert len(seen) == 2 * 8 * max(1, patches)
    assert all(float(case_id[1:]) == mark for case_id, mark in seen)


def test_patches_weigh_as_much_as_whole_cases(tmp_path: Path) -> None:
    # Two identical patches of each case have the gradient of the case itself.
    train(tmp_path / "whole", "erm", ctx=context(1), training=Spy(TRAIN_IDS), network=tiny_network())
    train(tmp_path / "patches", "erm", ctx=context(1), training=Spy(TRAIN_IDS, patches=2), network=tiny_network())
    a, b = last_network(tmp_path / "whole"), last_network(tmp_path / "patches")
    assert all(torch.allclose(a[key], b[key], atol=1e-6) for key in a)


def test_plan_follows_probabilities_and_seeds_every_draw_anew() -> None:
    weights = np.array([4.0, 1, 1, 1, 0.5, 0.5, 0, 0])
    plan = plan_epoch(weights, 8, batch_size=3, seed=1, epoch=2)
    assert [len(batch) for batch in plan] == [3, 3, 2]
    draws = [draw for batch in plan for draw in batch]
    assert sum(position == 0 for position, _ in draws) == 4
    assert all(position < 6 for position, _ in draws)
    assert len({seed for _, seed in draws}) == 8
    assert plan == plan_epoch(weights, 8, batch_size=3, seed=1, epoch=2)
    assert plan != plan_epoch(weights, 8, batch_size=3, seed=1, epoch=3)


def test_data_in_another_order_than_the_attributes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training: the data has 8 cases and the attributes 8, .* position 0 on"):
        train(tmp_path, training=Volumes(TRAIN_IDS[::-1]))
    with pytest.raises(ConfigError, match="from position 5 on"):
        train(tmp_path, training=Volumes(TRAIN_IDS[:5]))
    with pytest.raises(ConfigError, match="training: no cases"):
        train(tmp_path, training=Volumes(()))


def test_unequal_shapes_in_a_batch_are_refused(tmp_path: Path) -> None:
    class Ragged(Volumes):
        def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
            item = super().__getitem__(draw)
            return {**item, "image": item["image"][..., : 8 - 2 * (draw[0] % 2)]}

    with pytest.raises(ConfigError, match="1 x 8 x 8 x 6, 1 x 8 x 8 x 8"):
        train(tmp_path, "erm", training=Ragged(TRAIN_IDS))
