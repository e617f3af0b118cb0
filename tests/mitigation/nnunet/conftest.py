"""A small data set of the phantom that nnU-Net itself planned and preprocessed, with a network of a few channels."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segfair.files.images.masks import write_image, write_mask
from segfair.mitigation.nnunet import TRAINER_FOLDER
from segfair.phantom import sample_cases

DATASET = "Dataset901_Phantom"
N_CASES = 15


@dataclass(frozen=True)
class NnunetData:
    """What nnU-Net made: its three folders, the table of all cases, and the first fold's training cases."""

    root: Path
    metadata: Path
    training: tuple[str, ...]

    @property
    def raw(self) -> Path:
        return self.root / "raw" / DATASET

    def write_weights(self, path: Path, **given: float) -> Path:
        """A table of weights of the training cases, 1 unless given."""
        rows = [f"{case},{given.get(case, 1.0)}," for case in self.training]
        path.write_text("\n".join(["case,weight,subgroup", *rows]) + "\n")
        return path


@pytest.fixture(scope="session")
def nnunet_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("nnunetv2", reason="needs segfair[nnunet]")
    root = tmp_path_factory.mktemp("nnunet")
    variables = {f"nnUNet_{name}": str(root / name) for name in ("raw", "preprocessed", "results")}
    variables |= {"nnUNet_extTrainer": str(TRAINER_FOLDER), "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("nnUNet_", "SEGFAIR_"))]:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        stand_in_for_torchvision()
        yield root


def stand_in_for_torchvision() -> None:
    """On its way to external trainers nnU-Net imports torchvision, which may be linked with CUDA where torch is not.

    It then asks for two operators that it has not brought; nothing here calls them.
    """
    import torch

    found = find_spec("torchvision")
    assert found is not None
    assert found.origin is not None
    for library in Path(found.origin).parent.glob("_C.*"):
        try:
            ctypes.CDLL(str(library))
        except OSError:
            for name in ("nms", "qnms"):
                schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                torch.library.define(f"torchvision::{name}", schema)


@pytest.fixture(scope="session")
def nnunet_data(nnunet_environment: Path) -> NnunetData:
    """Written, planned and preprocessed; the plan's network gets fewer channels, as a user may do."""
    root = nnunet_environment
    raw, planned = root / "raw" / DATASET, root / "preprocessed" / DATASET
    rows = ["patient_id,site,breast_density"]
    ids = []
    for case in sample_cases(N_CASES, rng=np.random.default_rng(0), size=(24, 24, 24), planted_cases=3):
        write_mask(_made(raw / "labelsTr") / f"{case.id}.nii.gz", case.label, affine=case.affine)
        write_image(_made(raw / "imagesTr") / f"{case.id}_0000.nii.gz", case.image[1], affine=case.affine)
        # The phantom leaves some cells empty.
        rows.append(f"{case.id},{case.metadata['site'] or ''},{case.metadata['breast_density'] or ''}")
        ids.append(case.id)
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    description = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "tumour": 1}}
    (raw / "dataset.json").write_text(json.dumps(description | {"numTraining": N_CASES, "file_ending": ".nii.gz"}))

    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    nnunet.extract_fingerprints([901], num_processes=1)
    nnunet.plan_experiments([901])
    plans = json.loads((planned / "nnUNetPlans.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 8, 16]
    (planned / "nnUNetPlans.json").write_text(json.dumps(plans))
    nnunet.preprocess([901], configurations=("3d_fullres",), num_processes=(1,))
    splits = [{"train": ids[:11], "val": ids[11:]}]
    (planned / "splits_final.json").write_text(json.dumps(splits))
    return NnunetData(root, root / "metadata.csv", tuple(ids[:11]))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def trainer_of(nnunet_data: NnunetData, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Builds a trainer as `nnUNetv2_train` does, for two short epochs in this process."""
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")

    def build(name: str, *, epochs: int = 2, seed: int = 0, **settings: object) -> Any:
        import torch
        from nnunetv2.run.run_training import get_trainer_from_args

        for variable in ("WEIGHTS", "METADATA"):
            monkeypatch.delenv(f"SEGFAIR_{variable}", raising=False)
        for variable, value in settings.items():
            monkeypatch.setenv(f"SEGFAIR_{variable.upper()}", str(value))
        trainer = get_trainer_from_args("901", "3d_fullres", 0, name, device=torch.device("cpu"))
        trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = epochs, 4, 1
        # nnU-Net draws cases and patches from the global generators, and has no seed of its own.
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        return trainer

    return build
