"""Audits of the same cases under made-up models, for the tests of comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from tests.compare.models import N, cohort, scores_of
from tests.score_fixtures import audit_of, skewed_dice

from segfair.audit.result import AuditResult


@pytest.fixture(scope="session")
def dice() -> np.ndarray:
    """Women are served worse by 0.1."""
    values = 0.15 + 0.75 * skewed_dice(N, np.random.default_rng(1))
    return values - 0.1 * (cohort()["sex"] == "F")


@pytest.fixture(scope="session")
def first(dice: np.ndarray) -> AuditResult:
    return audit_of(scores_of(dice), cohort(), outcomes=("dsc", "hd95_mm"))
