"""Masks that lie anywhere: a table of paths, and a tree read by a pattern; both have the audit of two folders."""

import shutil
import tempfile
from pathlib import Path

import pandas as pd

import segfair as sf
from segfair.phantom import write_phantom

with tempfile.TemporaryDirectory() as folder:
    data = Path(folder) / "cohort"
    write_phantom(data, n_cases=30, size=(24, 24, 16), seed=1)
    metadata = pd.read_csv(data / "metadata.csv", dtype=str).rename(columns={"patient_id": "id"})
    metadata.to_csv(data / "metadata.csv", index=False)
    settings = {"attributes": ["site"], "min_cases": 5, "permutations": 199, "bootstrap": 200}
    folders = sf.audit(data / "preds", data / "labels", data / "metadata.csv", **settings)

    # Paths are relative to the table; every other column is an attribute.
    cases = metadata.assign(
        prediction=[f"preds/{case}.nii.gz" for case in metadata["id"]],
        label=[f"labels/{case}.nii.gz" for case in metadata["id"]],
    )
    cases.to_csv(data / "cases.csv", index=False)
    table = sf.audit(data / "cases.csv", **settings)

    # One folder a case: {id} is the case, * is whatever the version of the model was called.
    for case in metadata["id"]:
        (data / "tree" / case).mkdir(parents=True)
        shutil.copy(data / "preds" / f"{case}.nii.gz", data / "tree" / case / "pred_v7.nii.gz")
        shutil.copy(data / "labels" / f"{case}.nii.gz", data / "tree" / case / "label.nii.gz")
    tree = sf.audit(
        data / "tree",
        data / "tree",
        data / "metadata.csv",
        pattern="{id}/pred_*.nii.gz",
        label_pattern="{id}/label.nii.gz",
        **settings,
    )
    print(table.by_group[["n", "dsc"]].round(3))
    print("the same by table, tree and folders:", table.verdict == tree.verdict == folders.verdict)
