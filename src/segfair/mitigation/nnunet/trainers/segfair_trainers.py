"""The trainers that nnU-Net finds by name, with those numbers of epochs that it offers itself."""

from __future__ import annotations

from nnunetv2.training.nnUNetTrainer.variants.training_length.nnUNetTrainer_Xepochs import (
    nnUNetTrainer_5epochs,
    nnUNetTrainer_50epochs,
    nnUNetTrainer_100epochs,
    nnUNetTrainer_250epochs,
)

from segfair.mitigation.nnunet.trainer import nnUNetTrainerSegfair

__all__ = [
    "nnUNetTrainerSegfair",
    "nnUNetTrainerSegfair_5epochs",
    "nnUNetTrainerSegfair_50epochs",
    "nnUNetTrainerSegfair_100epochs",
    "nnUNetTrainerSegfair_250epochs",
]

# A class that begins with segfair's trainer and ends with another of nnU-Net's has both; so can anybody's own.


class nnUNetTrainerSegfair_5epochs(nnUNetTrainerSegfair, nnUNetTrainer_5epochs):  # noqa: N801
    """Five epochs, to see whether everything runs."""


class nnUNetTrainerSegfair_50epochs(nnUNetTrainerSegfair, nnUNetTrainer_50epochs):  # noqa: N801
    """Fifty epochs."""


class nnUNetTrainerSegfair_100epochs(nnUNetTrainerSegfair, nnUNetTrainer_100epochs):  # noqa: N801
    """A hundred epochs."""


class nnUNetTrainerSegfair_250epochs(nnUNetTrainerSegfair, nnUNetTrainer_250epochs):  # noqa: N801
    """Two hundred and fifty epochs."""
