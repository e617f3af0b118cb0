"""A trainer for nnU-Net v2 that draws training cases by the weights that `segfair weights` wrote.

    segfair weights report/audit.json --metadata metadata.csv --cases splits_final.json:0 --out weights.csv
    cp examples/nnunet_trainer.py .../nnunetv2/training/nnUNetTrainer/variants/nnUNetTrainerCaseWeights.py
    SEGFAIR_WEIGHTS=weights.csv nnUNetv2_train DATASET 3d_fullres 0 -tr nnUNetTrainerCaseWeights

nnU-Net's loaders draw every case of a batch with `numpy.random.choice(identifiers, p=sampling_probabilities)`, and its
trainer leaves the probabilities out. Here the loader of the training cases gets them, by case id. Everything else is
nnU-Net's own: network, augmentation, number of batches an epoch. A training case without a weight stops the training
with its name. A template: adapt it to your version of nnU-Net, which segfair does not depend on.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

LOADERS = ("nnUNetDataLoader", "nnUNetDataLoader2D", "nnUNetDataLoader3D")
"""What nnU-Net's versions call the class of their loaders."""


def read_weights(path: Path) -> dict[str, float]:
    """Case id -> weight, from the columns `case` and `weight`."""
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["case"]: float(row["weight"]) for row in csv.DictReader(stream)}


def probabilities(identifiers: Sequence[str], weights: Mapping[str, float]) -> np.ndarray:
    """(n_cases,) probabilities of the cases in the loader's order; they sum to 1.

    Weights of further cases, such as those of another fold, are not used.
    """
    unknown = [name for name in identifiers if name not in weights]
    if unknown:
        raise KeyError(
            f"{len(unknown)} of {len(identifiers)} training cases have no weight, for example {unknown[0]}; "
            "make weights.csv for the cases of this fold"
        )
    values = np.array([weights[name] for name in identifiers], dtype=np.float64)
    if not (np.isfinite(values) & (values >= 0)).all() or values.sum() <= 0:
        raise ValueError("weights.csv: every weight has to be a number of at least 0, and one of them above 0")
    return values / values.sum()


class nnUNetTrainerCaseWeights(nnUNetTrainer):  # noqa: N801 (nnU-Net finds a trainer by its name)
    """nnU-Net with the training cases drawn by weight."""

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """nnU-Net's datasets; the one of the training cases is remembered."""
        training, validation = super().get_tr_and_val_datasets()
        self.weighted_dataset = training
        return training, validation

    def get_dataloaders(self) -> tuple[Any, Any]:
        """nnU-Net's loaders. It builds them and starts their processes in one go, so they are met in between."""
        weights = read_weights(Path(os.environ["SEGFAIR_WEIGHTS"]))
        drawn: list[np.ndarray] = []

        def weighted(build: Callable[..., Any]) -> Callable[..., Any]:
            def build_loader(data: Any, *args: Any, **settings: Any) -> Any:
                if data is self.weighted_dataset:
                    # The loader's own order: `identifiers`, or in older versions the keys of the data set.
                    names = data.identifiers if hasattr(data, "identifiers") else list(data.keys())
                    drawn.append(probabilities(names, weights))
                    settings["sampling_probabilities"] = drawn[-1]
                return build(data, *args, **settings)

            return build_loader

        with _exchanged(sys.modules[nnUNetTrainer.__module__], LOADERS, weighted):
            loaders = super().get_dataloaders()
        if len(drawn) != 1:
            raise RuntimeError(
                f"this version of nnU-Net does not build its training loader from {', '.join(LOADERS)}: "
                "no case would be weighted"
            )
        largest = drawn[0].max() * len(drawn[0])
        self.print_to_log_file(f"{len(drawn[0])} training cases drawn by weight; the largest weight is {largest:.2f}")
        return loaders


@contextmanager
def _exchanged(
    module: Any, names: Sequence[str], change: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Within it the names that a module has mean something else."""
    kept = {name: getattr(module, name) for name in names if hasattr(module, name)}
    try:
        for name, value in kept.items():
            setattr(module, name, change(value))
        yield
    finally:
        for name, value in kept.items():
            setattr(module, name, value)
