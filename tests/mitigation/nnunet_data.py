"""A small data set of the phantom that nnU-Net itself planned and preprocessed, with a network of a few channels."""

from __future__ import annotations

import ctypes
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from segfair.files.images.masks import write_image, write_mask
from segfair.phantom import sample_cases

DATASET = "Dataset901_Phantom"
N_CASES, N_TRAINING = 15, 11


@dataclass(frozen=True)
class NnunetData:
    """Where nnU-Net's folders of raw and of preprocessed data lie."""

    root: Path

    @property
    def raw(self) -> Path:
        return self.root / "raw" / DATASET

    @property
    def metadata(self) -> Path:
        return self.root / "metadata.csv"

    @property
    def training(self) -> tuple[str, ...]:
        """The training cases of the first fold."""
        splits = json.loads((self.root / "preprocessed" / DATASET / "splits_final.json").read_text())
        return tuple(splits[0]["train"])

    def write_weights(self, path: Path, **given: float) -> Path:
        """A table of weights of the training cases, 1 unless given."""
        rows = [f"{case},{given.get(case, 1.0)}," for case in self.training]
        path.write_text("\n".join(["case,weight,subgroup", *rows]) + "\n")
        return path


def write_raw(data: NnunetData) -> list[str]:
    """Images, labels, their description, and the table; returns the ids."""
    for folder in ("imagesTr", "labelsTr"):
        (data.raw / folder).mkdir(parents=True)
    cases = list(sample_cases(N_CASES, rng=np.random.default_rng(0), size=(24, 24, 24), planted_cases=3))
    for case in cases:
        write_mask(data.raw / "labelsTr" / f"{case.id}.nii.gz", case.label, affine=case.affine)
        write_image(data.raw / "imagesTr" / f"{case.id}_0000.nii.gz", case.image[1], affine=case.affine)
    # The phantom leaves some cells empty.
    rows = [f"{case.id},{case.metadata['site'] or ''},{case.metadata['breast_density'] or ''}" for case in cases]
    data.metadata.write_text("\n".join(["patient_id,site,breast_density", *rows]) + "\n")
    description = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "tumour": 1}}
    (data.raw / "dataset.json").write_text(json.dumps(description | {"numTraining": N_CASES, "file_ending": ".nii.gz"}))
    return [case.id for case in cases]


def preprocess(data: NnunetData, ids: list[str]) -> None:
    """nnU-Net's plan and preprocessing; the plan's network gets fewer channels, as a user may do."""
    from nnunetv2.experiment_planning import plan_and_preprocess_api as nnunet

    planned = data.root / "preprocessed" / DATASET
    nnunet.extract_fingerprints([901], num_processes=1)
    nnunet.plan_experiments([901])
    plans = json.loads((planned / "nnUNetPlans.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 8, 16]
    (planned / "nnUNetPlans.json").write_text(json.dumps(plans))
    nnunet.preprocess([901], configurations=("3d_fullres",), num_processes=(1,))
    (planned / "splits_final.json").write_text(json.dumps([{"train": ids[:N_TRAINING], "val": ids[N_TRAINING:]}]))


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
