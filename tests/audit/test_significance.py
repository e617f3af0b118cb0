"""What is said of a gap: margins, intervals within what a mean can be, the verdict."""

from __future__ import annotations

import dataclasses

import numpy as np
from tests.audit.made_up_audits import DEFAULT, audit


def test_margins_are_kept_missed_or_open() -> None:
    rng = np.random.default_rng(7)
    config = dataclasses.replace(DEFAULT, margin={"dsc": 0.05}, primary=("sex",), attributes=("sex",))
    kinds = {}
    for name, n_cases, gap in (("equal", 2000, 0.0), ("few", 60, 0.0), ("gap", 1000, 0.2)):
        sex = rng.choice(["f", "m"], n_cases)
        dsc = np.clip(rng.normal(0.7, 0.15, n_cases) - gap * (sex == "f"), 0, 1)
        kinds[name] = audit(config, dsc=dsc, sex=sex.tolist()).verdict.kind
    assert kinds == {
        "equal": "no gap beyond the declared margin",
        "few": "open",
        "gap": "disparity found",
    }


def test_a_constant_outcome_is_said_first() -> None:
    result = audit(dsc=np.zeros(40), sex=["f", "m"] * 20)
    assert "every case has the same value" in result.verdict.sentence


def test_no_interval_leaves_what_a_share_can_be() -> None:
    rng = np.random.default_rng(9)
    dsc = np.clip(rng.normal(0.9, 0.1, 60), 0, 1)
    site = ["A"] * 29 + ["B"] * 29 + ["C"] * 2
    mean = dsc.mean()
    for row in audit(dsc=dsc, site=site).subgroups["dsc"]:
        for interval in (row.ci, row.ci_simultaneous):
            if interval is not None:
                assert -mean - 1e-12 <= interval[0] <= interval[1] <= 1 - mean + 1e-12
