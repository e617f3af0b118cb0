"""Three raters: where do they agree less, and which gaps of the model does it not matter for who drew the labels?"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import segfair as sf
from segfair.files.images.masks import write_mask

rng = np.random.default_rng(4)
shape, n_cases = (20, 20, 8), 60
sites = np.array(["A", "B", "C"] * (n_cases // 3))


def drawn(noise: int) -> np.ndarray:
    """A lesion whose borders are up to so many voxels off."""
    mask = np.zeros(shape, np.uint8)
    low, high = rng.integers(-noise, noise + 1, 2) if noise else (0, 0)
    mask[6 + low : 14 + high, 6:14, 2:6] = 1
    return mask


with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    for number, site in enumerate(sites):
        # At site C raters differ, at site B the model is worse.
        for rater in ("anna", "bert", "cleo"):
            write_mask(root / rater / f"P{number:02d}.nii.gz", drawn(2 if site == "C" else 1), affine=np.eye(4))
        write_mask(root / "preds" / f"P{number:02d}.nii.gz", drawn(4 if site == "B" else 1), affine=np.eye(4))
    metadata = pd.DataFrame({"id": [f"P{number:02d}" for number in range(n_cases)], "site": sites})
    result = sf.audit(
        root / "preds",
        root / "anna",
        metadata,
        labels2=[root / "bert", root / "cleo"],
        reference="staple",
        permutations=499,
        bootstrap=200,
    )
    raters = result.subgroups.raters
    print(raters.sentence)
    for pair in raters.pairs:
        print(f"{pair.first} and {pair.second}: DSC {pair.dsc:.3f}")
    for group in raters.groups:
        gaps = ", ".join(f"{ruler} {gap.gap:+.3f}" for ruler, gap in group.model.items())
        print(f"{group.items.name}: raters {group.agreement.gap:+.3f}; model {gaps}")
