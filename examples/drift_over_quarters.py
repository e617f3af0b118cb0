"""Four quarters of new patients: whose scores drift, since when, and whether the mix of patients explains it."""

from __future__ import annotations

import numpy as np
import pandas as pd

import segfair
from segfair.compare.cohorts.procedure import compare_cohorts
from segfair.compare.cohorts.series import follow


def quarter(seed: int, share_of_c: float, deficit_of_c: float) -> segfair.AuditResult:
    rng = np.random.default_rng(seed)
    rest = (1 - share_of_c) / 2
    site = rng.choice(["A", "B", "C"], 150, p=[rest, rest, share_of_c])
    dsc = rng.normal(0.8, 0.06, 150) - deficit_of_c * (site == "C")
    frame = pd.DataFrame({"case": [f"{seed}-{row}" for row in range(150)], "dsc": dsc.clip(0, 1), "site": site})
    return segfair.audit_scores(frame, permutations=199, bootstrap=400)


def main() -> None:
    names = ("Q1", "Q2", "Q3", "Q4")
    audits = [quarter(1, 0.2, 0.1), quarter(2, 0.5, 0.1), quarter(3, 0.3, 0.25), quarter(4, 0.3, 0.25)]
    print(follow(audits, names=names).sentence)
    mix = compare_cohorts(audits[0], audits[1], names=names[:2])
    print(mix.verdict.sentence)


if __name__ == "__main__":
    main()
