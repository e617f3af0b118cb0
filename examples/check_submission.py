"""What a challenge expects of a submission, from its images alone, and what is wrong with one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel
import numpy as np

from segfair.submission import check_submission, expect_like


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([0.7, 0.7, 3.0, 1.0])), path)


def main() -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for case in ("P1", "P2", "P3", "P4"):
            save(folder / "images" / f"{case}.nii.gz", rng.normal(size=(16, 16, 8)).astype(np.float32))
        mask = np.zeros((16, 16, 8), np.uint8)
        mask[4:9, 4:9, 2:5] = 1
        save(folder / "team" / "P1.nii.gz", mask)
        save(folder / "team" / "P2.nii.gz", mask * 2)
        save(folder / "team" / "P3.nii.gz", mask[:8])
        check = check_submission(folder / "team", expect_like(folder / "images", values=(1,)))
        print(f"{check.n_usable} of {check.n_expected} cases are as expected")
        for problem in check.problems:
            print(f"{problem.case}: {problem.what}")


if __name__ == "__main__":
    main()
