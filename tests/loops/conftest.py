"""A small validation set on disk whose images are its predictions: a network that returns its input predicts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import segfair as sf

SETTINGS: dict[str, Any] = {"min_cases": 5, "attributes": ["site", "sex"]}


@dataclass(frozen=True)
class ValidationSet:
    """Files of predictions and labels by case, the table, and what an audit of them says."""

    folder: Path
    ids: tuple[str, ...]
    table: pd.DataFrame
    audit: sf.Audit

    def items(self) -> list[dict[str, str]]:
        """What MONAI's loaders take."""
        return [
            {
                "image": f"{self.folder}/preds/{name}.nii.gz",
                "label": f"{self.folder}/labels/{name}.nii.gz",
                "code": f"K{name}",
            }
            for name in self.ids
        ]

    def wanted(self) -> dict[str, float]:
        """What loggers have to hold, from the audit."""
        rows = [row for row in self.audit.subgroups["dsc"] if row.n >= SETTINGS["min_cases"]]
        worst = min(rows, key=lambda row: row.mean)
        scores = {f"fairness/{name.lower()}": self.audit.scores[name].value for name in ("PS", "FS", "TS")}
        return {**scores, "fairness/worst_dsc": worst.mean, "fairness/worst_n": float(worst.n)}

    def worst_name(self) -> str:
        rows = [row for row in self.audit.subgroups["dsc"] if row.n >= SETTINGS["min_cases"]]
        return min(rows, key=lambda row: row.mean).subgroup.name

    def loader(self, batch_size: int = 5, **options: Any) -> Any:
        """Whole cases with their meta data, as MONAI loads them."""
        from monai.data import DataLoader, Dataset
        from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

        keys = ["image", "label"]
        load = Compose([LoadImaged(keys), EnsureChannelFirstd(keys)])
        return DataLoader(Dataset(self.items(), load), batch_size=batch_size, **options)


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Lightning's logger for MLflow leaves its address in the environment, where MONAI's handler takes it for the user's."""
    kept = dict(os.environ)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield
    os.environ.clear()
    os.environ.update(kept)


@pytest.fixture(scope="session")
def validation(tmp_path_factory: pytest.TempPathFactory) -> ValidationSet:
    """24 cases of voxels that are no cubes; those of site B lose more of the lesion."""
    folder = tmp_path_factory.mktemp("validation")
    rng = np.random.default_rng(5)
    sites, sexes = ["A", "B"] * 12, ["f", "f", "m", "m"] * 6
    ids = tuple(f"case_{number:02}" for number in range(24))
    for role in ("preds", "labels"):
        (folder / role).mkdir()
    for name, site in zip(ids, sites, strict=True):
        label = np.zeros((9, 8, 7), dtype=np.uint8)
        label[2:7, 1:6, 2:6] = 1
        prediction = label * (rng.random(label.shape) < (0.95 if site == "A" else 0.7))
        for role, mask in (("labels", label), ("preds", prediction)):
            nib.save(
                nib.Nifti1Image(mask.astype(np.uint8), np.diag([1.0, 1.5, 2.5, 1.0])), folder / role / f"{name}.nii.gz"
            )
    table = pd.DataFrame({"patient_id": ids, "site": sites, "sex": sexes})
    table.to_csv(folder / "metadata.csv", index=False)
    audit = sf.audit(
        folder / "preds", folder / "labels", folder / "metadata.csv", permutations=99, bootstrap=100, **SETTINGS
    )
    return ValidationSet(folder, ids, table, audit)
