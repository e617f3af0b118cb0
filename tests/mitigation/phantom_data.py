"""Thirty small cases of the embedded phantom as a data set of plain folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

from segfair.files.images.masks import write_image, write_mask
from segfair.phantom import PhantomCase, sample_cases

SPACING = (8.0, 8.0, 8.0)
"""Of the phantom at 16^3: nothing is resampled."""
CASES = tuple(sample_cases(30, rng=np.random.default_rng(0), size=(16, 16, 16), planted_cases=3))


def write_metadata(path: Path) -> None:
    rows = [f"{case.id},{case.metadata['age']},{case.metadata['breast_density']}" for case in CASES]
    path.write_text("patient_id,age,breast_density\n" + "\n".join(rows).replace("None", ""))


def write_phases(folder: Path, case: PhantomCase, suffix: str = ".nii.gz") -> list[Path]:
    """One file a phase."""
    files = []
    for phase, image in enumerate(case.image):
        files.append(folder / f"{case.id}_{phase:04d}{suffix}")
        write_volume(files[-1], image, case.affine)
    return files


def write_volume(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        write_mask(path, array, affine=affine) if array.dtype == np.uint8 else write_image(path, array, affine=affine)
        return
    # The phantom's axes run right, front and up; ITK's left, back and up.
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing([float(side) for side in np.abs(np.diag(affine)[:3])])
    image.SetDirection(np.diag([-1.0, -1.0, 1.0]).ravel().tolist())
    image.SetOrigin([float(side) for side in affine[:3, 3] * (-1, -1, 1)])
    SimpleITK.WriteImage(image, str(path))


def folders(root: Path, suffix: str = ".nii.gz") -> Path:
    for case in CASES:
        write_phases(root / "images", case, suffix)
        write_volume(root / "labels" / f"{case.id}{suffix}", case.label, case.affine)
    write_metadata(root / "metadata.csv")
    return root
