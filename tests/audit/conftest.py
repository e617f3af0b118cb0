"""The embedded cohort and its scores, read and scored once a run, for tests of what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import segfair
from segfair.cases import Cohort
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_cohort
from segfair.scoring.scores import ScoreTable


@pytest.fixture(scope="session")
def embedded(phantom_cohort: Path) -> Cohort:
    """The embedded cohort as a user loads it."""
    return segfair.load_cohort(*(phantom_cohort / name for name in ("preds", "labels", "metadata.csv")))


@pytest.fixture(scope="session")
def embedded_scores(once: Any, embedded: Cohort) -> ScoreTable:
    """Its masks, scored under the default protocol."""
    return once("phantom-scores", lambda _: score_cohort(embedded, load_protocol("default")))
