"""Two groups are worse by DSC: one has smaller lesions, of the other the model errs at the boundary. Which is which?"""

import numpy as np
import pandas as pd

import segfair as sf

rng = np.random.default_rng(2)
n_cases = 120
sites, scanners = rng.choice(["A", "B"], n_cases), rng.choice(["old", "new"], n_cases)
rows, columns = np.mgrid[:64, :64]


def disc(radius: float) -> np.ndarray:
    """A round lesion in the middle of an image."""
    return (rows - 32) ** 2 + (columns - 32) ** 2 <= radius**2


labels, predictions = {}, {}
for number, (site, scanner) in enumerate(zip(sites, scanners, strict=True)):
    # Site A sees lesions early. The boundary is a pixel off, outwards or inwards; with the old scanner it is two.
    radius = rng.uniform(9, 11) if site == "A" else rng.uniform(16, 20)
    error = rng.choice([-1, 1]) * (2 if scanner == "old" else 1)
    labels[f"P{number:03d}"] = disc(radius)
    predictions[f"P{number:03d}"] = disc(radius + error)

metadata = pd.DataFrame({"id": list(labels), "site": sites, "scanner": scanners})
result = sf.audit(predictions, labels, metadata, reasons=True, max_items=1, permutations=499, bootstrap=500)
reasons = result.subgroups.reasons
error = reasons.errors[0]
print(f"Boundary error of the cohort: {error.length:.2f} {reasons.unit} (median of {error.n_cases} cases)")
for gap in reasons.gaps:
    print(gap.sentence)
    for part in gap.parts:
        print(f"  {part.name:16} {part.value:+.3f} ({part.ci[0]:+.3f} to {part.ci[1]:+.3f})")

# The parts of every case, for questions of one's own: they add up to 1 - DSC.
cases = pd.DataFrame([{"case": case.case, **case.parts} for case in reasons.cases]).fillna(0.0)
print(cases.set_index("case").groupby([sites, scanners]).mean().round(3))
