"""A MONAI user's own loop: SupervisedTrainer, an evaluator each epoch, and the reweighter between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import SIX, SIX_TABLE, Volumes
from torch import nn
from torch.utils.data import DataLoader

from segfair.mitigation.weighting.reweighter import DivergenceReweighter

pytest.importorskip("ignite", reason="pytorch-ignite is not installed")


class Brightness(nn.Module):
    """Marks what is brighter than a half: right for every case but the faint ones."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.scale * 50 * (image - 0.5)


class ByPosition(Volumes):
    """Items by position alone, as any MONAI dataset gives them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.drawn: list[str] = []

    def __getitem__(self, position: int) -> dict[str, Any]:  # type: ignore[override]
        self.drawn.append(self.case_ids[position])
        return super().__getitem__((position, 0))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))


def test_supervised_trainer_draws_by_the_evaluators_divergences() -> None:
    from monai.engines import SupervisedEvaluator, SupervisedTrainer
    from monai.handlers import MeanDice, ValidationHandler, from_engine
    from monai.losses import DiceCELoss
    from monai.transforms import Activationsd, AsDiscreted, Compose

    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE)
    training = ByPosition(SIX)
    sampler = reweighter.sampler(seed=0)
    network = Brightness()
    # The evaluator meets the cases in another order than the tables have.
    shuffled = Volumes(SIX[::-1], faint=("E", "F"))
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader([shuffled[i, 0] for i in range(6)], batch_size=4),  # type: ignore[arg-type]
        network=network,
        postprocessing=Compose([Activationsd("pred", sigmoid=True), AsDiscreted("pred", threshold=0.5)]),
        key_val_metric={"val_mean_dice": MeanDice(output_transform=from_engine(["pred", "label"]))},
    )
    reweighter.attach(evaluator, metric="val_mean_dice")
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=2,
        train_data_loader=DataLoader(training, sampler=sampler, batch_size=3),  # type: ignore[arg-type]
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.0),
        loss_function=DiceCELoss(sigmoid=True),
        train_handlers=[ValidationHandler(validator=evaluator, interval=1)],
    )
    trainer.run()
    by_hand = DivergenceReweighter(SIX_TABLE, SIX_TABLE)
    for _ in range(2):
        by_hand.update(dict(zip(SIX, [1.0, 1, 1, 1, 0, 0], strict=True)))
    assert dict(reweighter.weights) == pytest.approx(dict(by_hand.weights))
    assert sorted(training.drawn[:6]) == list(SIX)
    second = training.drawn[6:]
    assert len(second) == 6
    drawn = np.bincount([SIX.index(name) for name in second], minlength=6)
    assert drawn[4:].sum() > 2
