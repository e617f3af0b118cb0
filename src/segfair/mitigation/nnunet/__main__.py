"""Prints the folder that `nnUNet_extTrainer` has to name."""

from __future__ import annotations

import sys

from segfair.mitigation.nnunet import TRAINER_FOLDER

if __name__ == "__main__":
    sys.stdout.write(f"{TRAINER_FOLDER}\n")
