"""Scoring whole volumes: the audit's scorer, the worst subgroup, and running out of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.mitigation.toy_training import (
    PROTOCOL,
    SIX,
    SIX_DICE,
    SIX_TABLE,
    Volumes,
    train,
    whole,
)
from tests.subgroups.whole_lattice import mine_subgroups
from torch import nn

from segfair.errors import ConfigError
from segfair.mitigation.training.evaluation import evaluate, foreground, total_scores, worst_subgroup


class Hungry(nn.Module):
    """Fails as an allocator does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.error = error

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_the_size_and_what_to_try(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(ConfigError, match=r"3 volumes of 1 x 8 x 8 x 8 at a time; try a smaller --batch-size"):
        train(tmp_path, "erm", network=Hungry(error))


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="something else"):
        train(tmp_path, "erm", network=Hungry(RuntimeError("something else")))


class Answer(nn.Module):
    """Marks what is brighter than a half."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image - 0.5


def test_evaluation_scores_cases_in_order_with_the_audit_s_scorer() -> None:
    dataset = Volumes(("x00", "x01", "x02"), faint=("x01",))
    scored = evaluate(Answer(), dataset, inferer=whole, protocol=PROTOCOL, batch_size=2)
    assert scored.case_ids == ("x00", "x01", "x02")
    assert scored.dsc.tolist() == [1.0, 0.0, 1.0]
    assert scored.normhd.tolist() == [0.0, 1.0, 0.0]
    assert scored.ps.tolist() == [1.0, 0.0, 1.0]


def test_evaluation_takes_volumes_of_several_shapes() -> None:
    class Ragged(Volumes):
        def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
            item = super().__getitem__(draw)
            crop = slice(0, 8 - 2 * (draw[0] % 2))
            return {**item, "image": item["image"][:, :, :, crop], "label": item["label"][:, :, :, crop]}

    scored = evaluate(Answer(), Ragged(SIX), inferer=whole, protocol=PROTOCOL, batch_size=4)
    assert scored.dsc.tolist() == [1.0] * 6


def test_foreground_of_one_and_of_several_channels() -> None:
    one = torch.tensor([-1.0, 0.0, 2.0]).reshape(1, 1, 3, 1, 1)
    assert foreground(one).flatten().tolist() == [0, 0, 1]
    three = torch.tensor([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 0.5]]).T.reshape(1, 3, 3, 1, 1)
    assert foreground(three).flatten().tolist() == (three.argmax(1) > 0).int().flatten().tolist()


def test_worst_subgroup_counts_only_large_enough_ones() -> None:
    membership = mine_subgroups(SIX_TABLE, min_support=0.1)
    worst = worst_subgroup(membership, SIX_DICE, min_cases=2)
    assert worst is not None
    assert (worst.name, worst.n, worst.dsc) == ("sex = m, site = 2", 2, pytest.approx(0.35))
    worst = worst_subgroup(membership, SIX_DICE, min_cases=3)
    assert worst is not None
    assert (worst.name, worst.n) == ("site = 2", 3)
    assert worst_subgroup(membership, SIX_DICE, min_cases=4) is None


def test_total_scores_follow_the_protocol() -> None:
    dataset = Volumes(SIX, faint=("E", "F"))
    scored = evaluate(Answer(), dataset, inferer=whole, protocol=PROTOCOL)
    total = total_scores(scored, SIX_TABLE, PROTOCOL, min_cases=1)
    # DSC and 1 - NormHD are 1 for four cases and 0 for two: PS 2/3. f 1, m 1/3; site 1: 1, site 2: 1/3. FS 1/3.
    assert total.ps == pytest.approx(2 / 3)
    assert total.fs == pytest.approx(1 / 3)
    assert total.ts == pytest.approx(0.5)
    assert total_scores(scored, SIX_TABLE, PROTOCOL, min_cases=4).fs is None
