"""Models of a mitigation with gaps put in by hand: audits without a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from tests.score_fixtures import audit_of

from segfair.mitigation.experiment.diagnosis import Appearance, Lesions, Part, deficit_of, diagnose
from segfair.mitigation.experiment.summary import (
    EpochWeights,
    MitigationSummary,
    ModelSummary,
    summarise,
)

N = 120


SEX = ["F" if i % 4 == 0 else "M" for i in range(N)]


SITE = ["A" if i % 3 == 0 else "B" for i in range(N)]


LESIONS = Lesions.of(
    [f"c{i:03d}" for i in range(N)],
    volume_mm3=[500.0 + 10 * (i * 37 % N) for i in range(N)],
    voxel_mm3=[1.0] * N,
    looks=[Appearance(1.0 + 0.01 * (i * 53 % N), 0.5 + 0.001 * (i * 71 % N), 0) for i in range(N)],
)
"""Lesions that are alike in women and men."""


def model(name: str, *, women: float, men: float = 0.9, noise: float = 0.01, backbone: str = "unet") -> ModelSummary:
    """A model with these mean Dice, the same noise of the same cases in every model."""
    dice = np.where(np.array(SEX) == "F", women, men) + noise * np.random.default_rng(5).standard_normal(N)
    dice = np.clip(dice, 0, 1)
    scores: Mapping[str, Sequence[float]] = {"dsc": dice.tolist(), "normhd": (0.3 * (1 - dice)).tolist()}
    audit = audit_of(scores, {"sex": SEX, "site": SITE}, min_cases=5, min_support=0.05)
    rows = [row for row in audit.subgroups["dsc"] if row.n >= 5]
    worst = min(rows, key=lambda row: row.mean)
    found = {
        **{score: audit.scores[score].value for score in ("DSC", "NormHD", "PS", "FS", "TS")},
        "worst_subgroup": {"items": dict(sorted(worst.subgroup.items)), "n": worst.n, "dsc": worst.mean},
    }
    diagnosis = diagnose(
        Part(4, 0.2, 0.9), Part(3, 0.2, 0.9), share=0.03, deficit=deficit_of(np.array(SEX) == "F", dice, LESIONS)
    ).to_dict()
    return ModelSummary(
        name,
        backbone,
        name.removeprefix(f"{backbone}-"),
        {"test": found, "validation": found},
        {"subgroup": found["worst_subgroup"]["items"], **diagnosis},
        audit,
        epochs=10,
        best_epoch=9,
        weights=() if name.endswith("erm") else (EpochWeights(1, 1.0, 8.0, "sex = F"), EpochWeights(2, 1.0, 1.5, "")),
    )


def conclude(*models: ModelSummary) -> MitigationSummary:
    return summarise(models, baseline="erm", budget={"Epochs": "10"})
