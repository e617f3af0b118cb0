"""A study that is planned before it is seen, and an audit that shows what it did otherwise."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import segfair

PLAN = """
[plan]
primary = ["sex"]
margin = {dsc = 0.05}
gate = ["within_margin(sex)"]

[plan.sample_size]
sd = 0.1
cases = 200
"""


def main() -> None:
    rng = np.random.default_rng(0)
    sex = rng.choice(["f", "m"], 200)
    scores = pd.DataFrame({"case": range(200), "dsc": rng.normal(0.8, 0.1, 200).clip(0, 1), "sex": sex})
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study.toml"
        study.write_text(PLAN, "utf-8")
        for settings in ({}, {"seed": 1, "level": 0.1}):
            result = segfair.audit_scores(scores, plan=study, **settings)
            plan, (gate,) = result.about.plan, result.verdict.gates
            print(f"plan {plan.digest[:12]}: {plan.sentence}; {gate.gate}: {gate.state}")


if __name__ == "__main__":
    main()
