"""Audit masks from Python: the embedded cohort, findings, groups, a plot, a report; then the same masks as arrays."""

import tempfile
from pathlib import Path

import segfair as sf
from segfair.files.images.masks import read_mask
from segfair.phantom import write_phantom

with tempfile.TemporaryDirectory() as folder:
    data = Path(folder) / "cohort"
    write_phantom(data, n_cases=40, size=(32, 32, 24), seed=1)

    settings = {"attributes": ["age_group", "breast_density", "site"], "min_cases": 5}
    result = sf.audit(data / "preds", data / "labels", data / "metadata.csv", **settings)
    print(result)
    print(result.by_group[["n", "dsc", "hd95_mm"]].round(3))
    result.plot.subgroups().figure.savefig(Path(folder) / "subgroups.png")
    page = result.report(Path(folder) / "report")
    print(f"{page.name}: {page.stat().st_size // 1024} KiB")

    files = {role: sorted((data / role).glob("*.nii.gz")) for role in ("preds", "labels")}
    predictions, labels = ({path: read_mask(path) for path in found} for found in files.values())
    names = [path.name.removesuffix(".nii.gz") for path in labels]
    arrays = ([mask.array for mask in side.values()] for side in (predictions, labels))
    same = sf.audit(
        *arrays, data / "metadata.csv", ids=names, spacing=next(iter(labels.values())).spacing_mm, **settings
    )
    print("as arrays:", same.verdict == result.verdict)
