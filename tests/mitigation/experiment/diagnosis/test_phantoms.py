"""Why a gap remains, on small trainings built so that the answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.mitigation.toy_training import SIZE, make_table, whole
from torch import nn

from segfair.mitigation.experiment.diagnosis import Diagnosis, Part, diagnose_models, drawn_share, part_of
from segfair.mitigation.training.loop import FitSettings, fit
from segfair.mitigation.training.objectives import dice_ce
from segfair.mitigation.training.strategies.kinds import make_strategy
from segfair.mitigation.training.strategies.strategy import StrategyOptions, TrainingContext
from segfair.protocol.rules import load_protocol

N_TRAINING, N_VALIDATION = 40, 20


class Cubes:
    """A cube a case in noise; those of the group differ from the background by `contrast` instead of by 1."""

    spacing_mm = (1.0, 1.0, 1.0)

    def __init__(self, case_ids: Sequence[str], n_group: int, contrast: float) -> None:
        self.case_ids = tuple(case_ids)
        self.contrasts = [contrast if position < n_group else 1.0 for position in range(len(case_ids))]

    def __len__(self) -> int:
        return len(self.case_ids)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
        position = draw[0]
        rng = np.random.default_rng([position, len(self.case_ids)])
        low = rng.integers(1, 4, 3)
        label = torch.zeros(1, *SIZE)
        label[(0, *(slice(int(start), int(start) + 4) for start in low))] = 1
        noise = torch.from_numpy(0.1 * rng.standard_normal(label.shape)).float()
        return {"image": self.contrasts[position] * label + noise, "label": label, "id": self.case_ids[position]}


def judge(
    out: Path, *, group: tuple[int, int], contrast: tuple[float, float], weight: float = 1.0, epochs: int = 8
) -> tuple[Part, Part, float]:
    """Trains on a group of so many training and validation cases that contrast so much; `weight`: of their draws."""
    ids = [[f"{part}{i:02d}" for i in range(n)] for part, n in (("t", N_TRAINING), ("v", N_VALIDATION))]
    tables = [
        make_table(names, {"group": ["yes"] * n + ["no"] * (len(names) - n)})
        for names, n in zip(ids, group, strict=True)
    ]
    context = TrainingContext(tables[0], tables[1], dice_ce, epochs=epochs, min_support=0.1, seed=1)
    weights = np.array([weight] * group[0] + [1.0] * (N_TRAINING - group[0]))
    options = StrategyOptions(case_weights=dict(zip(ids[0], weights.tolist(), strict=True)))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv3d(8, 1, 3, padding=1))
    training = Cubes(ids[0], group[0], contrast[0])
    fitted = fit(
        network,
        make_strategy("one-shot", context, options),
        context,
        training=training,
        validation=Cubes(ids[1], group[1], contrast[1]),
        plain_training=training,
        settings=FitSettings(batch_size=4, lr=0.02, min_cases=3),
        inferer=whole,
        protocol=load_protocol("default"),
        out=out,
    )
    assert fitted.training is not None
    members = [np.arange(n) < in_group for n, in_group in zip((N_TRAINING, N_VALIDATION), group, strict=True)]
    return (
        part_of(members[0], fitted.training.dsc),
        part_of(members[1], fitted.validation.dsc),
        drawn_share(members[0], weights[None]),
    )


def alone(parts: tuple[Part, Part, float]) -> Diagnosis:
    return diagnose_models({"erm": parts}, plain="erm")["erm"]


def test_a_few_cases_that_look_different_are_under_learned_and_more_draws_help(tmp_path: Path) -> None:
    plain = judge(tmp_path / "plain", group=(3, 4), contrast=(-0.6, -0.6), epochs=5)
    assert alone(plain).kind == "rare and under-learned"
    often = judge(tmp_path / "often", group=(3, 4), contrast=(-0.6, -0.6), epochs=5, weight=6.0)
    gaps = [part.gap for part in (plain[1], often[1])]
    assert None not in gaps
    assert gaps[1] < gaps[0] / 2, "the answer is right: drawing them more often closes the gap"
    found = diagnose_models({"erm": plain, "often": often}, plain="erm")["often"]
    assert found.kind in ("no gap", "rare and under-learned")


def test_new_cases_that_look_different_from_those_learned_do_not_generalise(tmp_path: Path) -> None:
    parts = judge(tmp_path, group=(3, 4), contrast=(1.0, 0.0))
    assert alone(parts).kind == "learned but not generalising"


def test_many_cases_without_any_contrast_are_hard_in_themselves(tmp_path: Path) -> None:
    parts = judge(tmp_path / "plain", group=(10, 10), contrast=(0.0, 0.0))
    assert alone(parts).kind == "not fitted", "one model alone cannot tell that more draws would not help"
    often = judge(tmp_path / "often", group=(10, 10), contrast=(0.0, 0.0), weight=4.0)
    found = diagnose_models({"erm": parts, "often": often}, plain="erm")
    assert [entry.kind for entry in found.values()] == ["hard in itself"] * 2


def test_cases_like_all_others_have_no_gap(tmp_path: Path) -> None:
    assert alone(judge(tmp_path, group=(3, 4), contrast=(1.0, 1.0))).kind == "no gap"
