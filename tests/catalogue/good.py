"""The good example that causes are made from: everything small, made once a test run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

__all__ = ["make_good"]


def make_good(folder: Path, call: Callable[..., object]) -> Path:
    """A cohort of 24 cases of 16 x 16 x 16 voxels, its audit, two teams and a model that was hardly trained."""
    from segfair.phantom import write_phantom

    base = folder / "base"
    write_phantom(base, n_cases=24, size=(16, 16, 16), seed=0)
    inputs = [base / name for name in ("preds", "labels", "metadata.csv")]
    quick = ("--permutations", "99", "--bootstrap", "100", "--workers", "1", "--no-cache")
    call("audit", *inputs, *quick, "--images", base / "images", "--out", base / "report")
    shutil.copy(base / "report" / "cases.csv", base / "scores.csv")
    for team in ("alpha", "beta"):
        shutil.copytree(base / "preds", base / "teams" / team)
    return base
