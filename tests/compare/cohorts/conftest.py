"""Made-up audits of different patients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import segfair
from segfair.audit.result import AuditResult

Quarter = Callable[..., AuditResult]


@pytest.fixture(scope="session")
def quarter() -> Quarter:
    """An audit of so many new patients, of whom a share comes from site C; `deficit` is that of site C."""

    def make(seed: int, n: int = 160, share: float = 1 / 3, deficit: float = 0.0, shift: float = 0.0) -> AuditResult:
        rng = np.random.default_rng(seed)
        rest = (1 - share) / 2
        site, sex = rng.choice(list("ABC"), n, p=[rest, rest, share]), rng.choice(["f", "m"], n)
        dsc = rng.normal(0.8 + shift, 0.06, n) - (0.1 + deficit) * (site == "C")
        frame = pd.DataFrame(
            {"case": [f"{seed}-{row}" for row in range(n)], "dsc": dsc.clip(0, 1), "site": site, "sex": sex}
        )
        return segfair.audit_scores(frame, permutations=199, bootstrap=400)

    return make
