"""Made-up models of the same cases, and what became of a subgroup between two of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from tests.audit.made_up_audits import changed

from segfair.audit.result import AuditResult
from segfair.compare.result import Comparison, SubgroupChange

N = 240


def cohort(n: int = N, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "sex": rng.choice(["F", "M"], n),
        "site": rng.choice(["A", "B", "C"], n),
        "age": rng.choice(["young", "old"], n),
    }


def scores_of(dice: np.ndarray) -> dict[str, np.ndarray]:
    return {"dsc": dice, "normhd": 0.3 * (1 - dice), "hd95_mm": 45 * (1 - dice)}


def change(comparison: Comparison, outcome: str = "dsc", **items: str) -> SubgroupChange:
    return next(entry for entry in comparison.subgroups[outcome] if entry.items == items)


def noisy(dice: np.ndarray, seed: int, spread: float = 0.03) -> np.ndarray:
    return dice + np.random.default_rng(seed).normal(0, spread, len(dice))


def with_config(result: AuditResult, **changes: Any) -> AuditResult:
    return changed(result, about={"config": dataclasses.replace(result.about.config, **changes)})
