"""Lesions: one case by three rules, then an audit of each lesion of a cohort that this script makes."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import segfair as sf

rng = np.random.default_rng(0)
SHAPE, SPACING = (40, 40, 20), (1.0, 1.0, 2.0)


def ball(mask, centre, radius):
    """Draws a lesion."""
    squares = sum((axis - place) ** 2 for axis, place in zip(np.indices(SHAPE), centre, strict=True))
    mask[squares <= radius**2] = 1


labels, predictions, rows = {}, {}, []
for number in range(40):
    case, site = f"C{number:02}", "AB"[number % 2]
    label, prediction = np.zeros((2, *SHAPE), dtype=np.uint8)
    for _ in range(rng.integers(1, 6)):
        centre, radius = [rng.integers(4, side - 4) for side in SHAPE], rng.integers(1, 5)
        ball(label, centre, radius)
        # The model does not see small lesions of site B.
        if not (site == "B" and radius <= 2):
            ball(prediction, [place + rng.integers(-1, 2) for place in centre], radius)
    if rng.random() < 0.3:
        ball(prediction, [rng.integers(0, side) for side in SHAPE], 2)
    labels[case], predictions[case] = label, prediction
    rows.append({"case": case, "site": site, "sex": "fm"[number // 2 % 2]})
metadata = pd.DataFrame(rows)

for rule in ("brats", "panoptica", "voronoi"):
    protocol = sf.load_protocol("default").with_lesions(rule)
    found = sf.score(predictions["C08"], labels["C08"], SPACING, protocol=protocol)
    told = {name: found[name] for name in ("lesion_sensitivity", "false_lesions", "lesion_f1", "lesion_dsc")}
    print(rule, {name: None if value is None else round(value, 3) for name, value in told.items()})

settings = {"spacing": SPACING, "lesions": "voronoi", "min_cases": 5, "permutations": 999, "bootstrap": 500}
cases = sf.audit(predictions, labels, metadata, outcome=["lesion_sensitivity", "dsc"], **settings)
print(cases.by_group[["n", "dsc", "lesion_sensitivity", "false_lesions"]].round(3))

lesions = sf.audit(predictions, labels, metadata, unit="lesion", outcome=["lesion_missed", "dsc"], **settings)
print(lesions.verdict.sentence)
print(lesions.by_group[["n", "lesion_missed", "dsc"]].round(3))

with tempfile.TemporaryDirectory() as folder:
    page = lesions.report(Path(folder) / "report")
    print(sorted(path.name for path in page.parent.iterdir()))
