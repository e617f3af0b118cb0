"""Would MONAI, nnU-Net, panoptica, MetricsReloaded, surface-distance or medpy agree? On masks made here."""

import numpy as np
import pandas as pd

import segfair as sf

rng = np.random.default_rng(0)
SHAPE, SPACING = (24, 32, 32), (3.0, 0.8, 0.8)


def ball(centre, radius_mm):
    """A lesion."""
    squares = sum(
        ((axis - place) * step) ** 2 for axis, place, step in zip(np.indices(SHAPE), centre, SPACING, strict=True)
    )
    return (squares <= radius_mm**2).astype(np.uint8)


labels, predictions, rows = {}, {}, []
for number in range(48):
    case, site = f"C{number:02}", "AB"[number % 2]
    radius = rng.uniform(5, 9)
    labels[case] = ball((12, 16, 16), radius)
    predictions[case] = ball((12, 16, 16), radius + rng.normal(0, 0.8))
    # At site B a few voxels are invented far away.
    if site == "B":
        predictions[case][1:3, 1:4, 1:4] = 1
    # Of two cases nothing is predicted.
    if number in (5, 17):
        predictions[case][:] = 0
    rows.append({"case": case, "site": site, "sex": "fm"[number // 2 % 2]})

result = sf.audit(
    predictions,
    labels,
    pd.DataFrame(rows),
    spacing=SPACING,
    outcome=["dsc", "hd95_mm"],
    other_tools=True,
    min_cases=5,
    permutations=999,
    bootstrap=500,
)
for entry in result.scores.tools:
    worst = "" if entry.worst is None else f"{entry.worst.name} {entry.worst_mean:.3f}"
    print(
        f"{entry.metric:8} {entry.tool or 'this audit':17} mean {entry.mean:7.3f} of {entry.n_cases} "
        f"(left out {entry.n_left_out}, infinite {entry.n_infinite}); worst {worst}; {entry.verdict}"
        f"{'  <- another verdict' if entry.turns else ''}"
    )
    for change in entry.changes:
        print(f"{'':27}{change}")
