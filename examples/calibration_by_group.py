"""A model that is as sure at site B as everywhere, and wrong there: what labels show, and what its estimate hides."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

import segfair as sf
from segfair.files.images.masks import write_image, write_mask

rng = np.random.default_rng(4)
shape, n_cases = (24, 24, 12), 60
sites = np.array(["A", "B", "C"] * (n_cases // 3))

with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    for number, site in enumerate(sites):
        box = np.zeros(shape, np.float32)
        x, y = rng.integers(6, 10, 2)
        box[x : x + 8, y : y + 8, 3:9] = 1
        probabilities = gaussian_filter(box, 0.8).clip(0, 0.999)
        # Where labels are drawn from the probabilities, these are right; at site B they lie beside the lesion.
        right = np.roll(probabilities, rng.integers(1, 4), axis=0) if site == "B" else probabilities
        label = rng.random(shape) < right
        name = f"P{number:02d}.nii.gz"
        write_mask(root / "labels" / name, label, affine=np.eye(4))
        write_image(root / "probabilities" / name, probabilities, affine=np.eye(4))
        write_mask(root / "preds" / name, probabilities > 0.5, affine=np.eye(4))
    metadata = pd.DataFrame({"id": [f"P{number:02d}" for number in range(n_cases)], "site": sites})
    result = sf.audit(
        root / "preds",
        root / "labels",
        metadata,
        probabilities=root / "probabilities",
        outcome=["dsc", "ece", "overconfidence"],
        permutations=499,
        bootstrap=200,
    )
    print(result.verdict.sentence)
    for group in result.scores.calibration.groups:
        print(
            f"{group.items.name}: ECE {group.ece:.3f} ({group.ece_chance:.3f} by chance), Brier {group.brier:.3f}, "
            f"expected DSC {group.expected_dsc:.3f}, real {group.real_dsc:.3f}, "
            f"over-confidence {group.overconfidence:+.3f}"
        )
    groups = {group.items.name: group for group in result.scores.calibration.groups}
    a, b = groups["site = A"], groups["site = B"]
    print(f"site B behind site A: {b.real_dsc - a.real_dsc:+.3f}, by the probabilities alone", end=" ")
    print(f"{b.expected_dsc - a.expected_dsc:+.3f}")
    for row in result.subgroups["ece"]:
        print(f"ECE, {row.subgroup.name}: {row.difference:+.3f} to everybody else, adjusted p {row.p_adjusted:.3f}")
