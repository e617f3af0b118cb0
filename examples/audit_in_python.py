"""Audit masks from Python: the embedded cohort, scores, worst subgroups, a report."""

import tempfile
from pathlib import Path

import segfair
from segfair.phantom import write_phantom

with tempfile.TemporaryDirectory() as folder:
    data = Path(folder) / "cohort"
    write_phantom(data, n_cases=40, size=(32, 32, 24), seed=1)

    cohort = segfair.load_cohort(data / "preds", data / "labels", data / "metadata.csv")
    config = segfair.AuditConfig(
        segfair.load_protocol("default"),
        attributes=("age_group", "breast_density", "site"),
        min_cases=5,
    )
    result = segfair.run_audit(cohort, config)

    print(result.verdict.sentence)
    for name, score in result.scores.items():
        print(f"{name:7} {score.value:.3f}")
    for row in result.subgroups["dsc"].worst(3):
        print(f"{row.subgroup.name}: n = {row.n}, mean {row.mean:.3f}, divergence {row.divergence:+.3f}")
    page = segfair.write_report(result, Path(folder) / "report")
    print(f"{page.name}: {page.stat().st_size // 1024} KiB")
