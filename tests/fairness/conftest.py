"""The worked cohort's level means, for the tests of what is computed of them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.fairness.worked_cohort import CODES, DSC, NORMHD

from segfair import fairness as d


@pytest.fixture
def worked() -> d.LevelMeans:
    return d.observed_level_means(d.stack_levels(CODES), np.stack([DSC, NORMHD]))
