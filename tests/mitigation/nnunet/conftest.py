"""nnU-Net's data set, made once, and its trainers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.mitigation.nnunet_data import NnunetData, preprocess, stand_in_for_torchvision, write_raw

from segfair.mitigation.nnunet import TRAINER_FOLDER


@pytest.fixture(scope="session")
def nnunet_data(once: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[NnunetData]:
    """Written, planned and preprocessed once; what is trained lies with each worker."""
    pytest.importorskip("nnunetv2", reason="needs segfair[nnunet]")
    stand_in_for_torchvision()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("nnUNet_", "SEGFAIR_"))]:
            patch.delenv(name)
        patch.setenv("nnUNet_extTrainer", str(TRAINER_FOLDER))
        patch.setenv("nnUNet_results", str(tmp_path_factory.mktemp("results")))
        patch.setenv("nnUNet_def_n_proc", "1")

        def at(root: Path) -> NnunetData:
            for name in ("raw", "preprocessed"):
                patch.setenv(f"nnUNet_{name}", str(root / name))
            return NnunetData(root)

        def make(folder: Path) -> Path:
            data = at(folder)
            preprocess(data, write_raw(data))
            return folder

        yield at(once("nnunet", make))


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
