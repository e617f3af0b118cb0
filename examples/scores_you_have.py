"""Audit scores that exist already: two tables, no mask. Lower is better for the second column."""

import numpy as np
import pandas as pd

import segfair as sf

rng = np.random.default_rng(3)
n_cases = 300
sex = rng.choice(["f", "m"], n_cases)
scanner = rng.choice(["A", "B", "C"], n_cases)
dsc = np.clip(rng.normal(0.85, 0.08, n_cases) - 0.12 * ((sex == "f") & (scanner == "C")), 0, 1)
ids = [f"P{index:03d}" for index in range(n_cases)]

scores = pd.DataFrame({"case": ids, "dsc": dsc, "hd95_mm": 40 * (1 - dsc)})
metadata = pd.DataFrame({"patient": ids, "sex": sex, "scanner": scanner})

result = sf.audit_scores(scores, metadata, outcome=["dsc", "hd95_mm"], margin={"dsc": 0.05})
print(result)
print(result.findings[["n", "mean", "rest_mean", "difference", "p_adjusted"]].round(3))
