"""Audit scores that exist already: two tables, no mask. Lower is better for the second column."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import segfair

rng = np.random.default_rng(3)
n_cases = 300
sex = rng.choice(["f", "m"], n_cases)
scanner = rng.choice(["A", "B", "C"], n_cases)
dsc = np.clip(rng.normal(0.85, 0.08, n_cases) - 0.12 * ((sex == "f") & (scanner == "C")), 0, 1)
ids = [f"P{index:03d}" for index in range(n_cases)]

with tempfile.TemporaryDirectory() as folder:
    scores, metadata = Path(folder) / "scores.csv", Path(folder) / "patients.csv"
    pd.DataFrame({"case": ids, "dsc": dsc, "hd95_mm": 40 * (1 - dsc)}).to_csv(scores, index=False)
    pd.DataFrame({"patient": ids, "sex": sex, "scanner": scanner}).to_csv(metadata, index=False)

    cohort, table = segfair.load_score_cohort(scores, metadata)
    config = segfair.AuditConfig(segfair.load_protocol("default"), outcomes=("dsc", "hd95_mm"), margin={"dsc": 0.05})
    result = segfair.run_audit(cohort, config, scores=table)
    print(result.verdict.sentence)
    print(result.to_frame()[["outcome", "subgroup", "n", "divergence", "p_adjusted"]].head(4).to_string(index=False))
