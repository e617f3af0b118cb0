"""Small cohorts in memory: the same masks as dictionaries, lists, tensors and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

QUICK: dict[str, Any] = {"permutations": 99, "bootstrap": 100, "min_cases": 5}


@dataclass(frozen=True)
class Masks:
    """Predictions and labels by case, and the table of the cases."""

    predictions: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[Any]]
    metadata: pd.DataFrame


@pytest.fixture(scope="session")
def masks() -> Masks:
    """24 cases of 3-D masks; those of site B lose more of the lesion."""
    rng = np.random.default_rng(5)
    site = ["A", "B"] * 12
    labels, predictions = {}, {}
    for number, where in enumerate(site):
        label = np.zeros((9, 8, 7), dtype=np.uint8)
        label[2:7, 1:6, 2:6] = 1
        labels[f"P{number:02}"] = label
        predictions[f"P{number:02}"] = label * (rng.random(label.shape) < (0.95 if where == "A" else 0.7))
    sex = ["f", "f", "m", "m"] * 6
    return Masks(predictions, labels, pd.DataFrame({"patient_id": list(labels), "site": site, "sex": sex}))


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Scores and attributes in one frame, without ids."""
    rng = np.random.default_rng(6)
    site, sex = ["A", "B", "B", "A"] * 10, ["f", "m"] * 20
    dsc = 0.9 - 0.2 * (np.array(site) == "B") + rng.normal(0, 0.02, 40)
    return pd.DataFrame({"dsc": dsc, "my_error": 10 * (1 - dsc), "site": site, "sex": sex})
