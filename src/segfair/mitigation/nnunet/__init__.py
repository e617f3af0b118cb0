"""nnU-Net draws its training cases by weights: of an earlier audit, or of how well each case is served at the moment.

    export nnUNet_extTrainer="$(python -m segfair.mitigation.nnunet)"
    SEGFAIR_WEIGHTS=weights.csv nnUNetv2_train DATASET 3d_fullres 0 -tr nnUNetTrainerSegfair
    SEGFAIR_METADATA=metadata.csv nnUNetv2_train DATASET 3d_fullres 0 -tr nnUNetTrainerSegfair

Everything else is nnU-Net's own: network, loss, augmentation, number of batches, and the patch taken from a case. Needs
`segfair[nnunet]`.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["TRAINER_FOLDER"]

TRAINER_FOLDER = Path(__file__).resolve().parent / "trainers"
"""Where nnU-Net looks for the trainers, once `nnUNet_extTrainer` says so. Importing it loads no nnU-Net."""
