"""Cases drawn small, for the tests of the embedded cohort."""

from __future__ import annotations

import numpy as np

from segfair.phantom import (
    PhantomCase,
    sample_cases,
)

SMALL = (32, 32, 24)


def draw(n_cases: int, seed: int = 0, **options: object) -> list[PhantomCase]:
    return list(sample_cases(n_cases, rng=np.random.default_rng(seed), **{"size": SMALL, **options}))
