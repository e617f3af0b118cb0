"""A cohort on disk: masks, images, the table, the datalist and the truth. Invents nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import write_image, write_mask
from segfair.files.tables import write_csv
from segfair.phantom.cohort import check_settings, predict_weakly
from segfair.phantom.geometry import Size, spacing_mm
from segfair.phantom.patients import Mechanism, Patient, find_mechanism, sample_patients
from segfair.phantom.pictures import PHASES, draw_case

_KIND = "segfair phantom"


@dataclass(frozen=True, slots=True)
class PhantomFiles:
    """What `write_phantom` wrote: folders of masks and images, the table, the datalist, and the truth."""

    predictions: Path
    labels: Path
    images: Path
    metadata: Path
    dataset: Path
    truth: Path
    n_cases: int
    n_planted: int


def write_phantom(
    directory: str | Path,
    *,
    n_cases: int = 60,
    size: Size = (64, 64, 48),
    seed: int = 0,
    bias: bool = True,
    mechanism: str | Mechanism = "faint",
) -> PhantomFiles:
    """Writes a cohort that can be audited and trained on; an exact share of it is in the planted subgroup.

    The share is a fifth, for "rim" a tenth as of its site, rounded up to whole cases.

    `preds/`, `labels/` and `images/` hold one .nii.gz a case (images are 4-D, phases last); `metadata.csv` the
    attributes; `dataset.json` a Decathlon datalist; `truth.json` the planted subgroup. The same arguments give the
    same arrays and tables. Running again over an earlier cohort replaces it.

    Args:
        directory: New, empty, or an earlier cohort.
        n_cases: Number of cases, at least 1.
        size: Voxels along each axis of a cube of 128 mm: the default has voxels of 2 x 2 x 2.67 mm.
        seed: Seed of everything.
        bias: Whether the planted subgroup is served worse.
        mechanism: What is planted, and in whom; a name of `MECHANISMS` or one of your own.

    Raises:
        ConfigError: No cases, a size too small, or an unknown mechanism.
        InputError: The folder holds something that is not a phantom cohort, or cannot be written.
    """
    if n_cases < 1:
        raise ConfigError(f"cases: a cohort needs at least 1, got {n_cases}")
    check_settings(n_cases, size, None)
    chosen = find_mechanism(mechanism)
    root = Path(directory)
    case_rng, prediction_rng = np.random.default_rng(seed).spawn(2)
    patients = sample_patients(
        n_cases,
        rng=case_rng,
        planted_cases=math.ceil(n_cases / chosen.one_in),
        mechanism=chosen,
        prefix="PH",
    )
    files = PhantomFiles(
        predictions=root / "preds",
        labels=root / "labels",
        images=root / "images",
        metadata=root / "metadata.csv",
        dataset=root / "dataset.json",
        truth=root / "truth.json",
        n_cases=n_cases,
        n_planted=sum(patient.planted for patient in patients),
    )
    _clear(files, root)
    # The truth comes first: it marks the folder as ours, so that a run that was interrupted can be repeated.
    _write_json(files.truth, _truth(patients, chosen, size=size, seed=seed, bias=bias))
    for patient, stream in zip(patients, prediction_rng.spawn(n_cases), strict=True):
        case = draw_case(patient, size, chosen.appearance if bias else None)
        name = f"{case.id}.nii.gz"
        write_image(files.images / name, np.moveaxis(case.image, 0, -1), affine=case.affine)
        write_mask(files.labels / name, case.label, affine=case.affine)
        write_mask(files.predictions / name, predict_weakly(case, rng=stream, bias=bias), affine=case.affine)
    write_csv([patient.metadata for patient in patients], files.metadata)
    _write_json(files.dataset, _datalist(patients))
    return files


def _clear(files: PhantomFiles, root: Path) -> None:
    """Makes the folders and removes the files of an earlier cohort; touches nothing else."""
    try:
        if root.exists() and not root.is_dir():
            raise InputError(f"{root}: is a file; name a folder for the cohort")
        present = sorted(entry.name for entry in root.iterdir()) if root.exists() else []
        if present:
            former = _former_cases(files.truth)
            if former is None:
                some = ", ".join(present[:3]) + (", ..." if len(present) > 3 else "")
                raise InputError(
                    f"{root}: holds what segfair phantom did not write ({some}); name a new or empty folder"
                )
            for path in (files.metadata, files.dataset):
                path.unlink(missing_ok=True)
            for folder in (files.predictions, files.labels, files.images):
                for case_id in former:
                    (folder / f"{case_id}.nii.gz").unlink(missing_ok=True)
        for folder in (files.predictions, files.labels, files.images):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({error}); name a folder that you may write to") from error


def _former_cases(truth: Path) -> list[str] | None:
    """Case ids of the cohort whose `truth.json` this is; None where it is not one of ours."""
    try:
        former = json.loads(truth.read_text("utf-8"))
        if former["kind"] != _KIND:
            return None
        # Ids become file names that are deleted: nothing but plain names may come out of a file that was edited.
        return [str(name) for name in former["cases"] if re.fullmatch(r"\w+", str(name))]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _truth(patients: list[Patient], mechanism: Mechanism, *, size: Size, seed: int, bias: bool) -> dict[str, Any]:
    planted = [patient.id for patient in patients if patient.planted]
    return {
        "format": 1,
        "kind": _KIND,
        "seed": seed,
        "size": list(size),
        "spacing_mm": list(spacing_mm(size)),
        "n_cases": len(patients),
        "bias": bias,
        "mechanism": {
            "name": mechanism.name,
            "images": mechanism.summary,
            "predictions": "boundaries wander further and shrink; parts or all of the tumour are missed more often",
        }
        if bias
        else None,
        "planted": {"items": dict(mechanism.items), "n": len(planted), "cases": planted},
        "cases": [patient.id for patient in patients],
    }


def _datalist(patients: list[Patient]) -> dict[str, Any]:
    return {
        "name": "segfair phantom",
        "description": "Synthetic 3-phase contrast-enhanced breast MRI; no patient is real.",
        "tensorImageSize": "4D",
        "modality": {str(channel): phase for channel, phase in enumerate(PHASES)},
        "labels": {"0": "background", "1": "tumour"},
        "numTraining": len(patients),
        "numTest": 0,
        "training": [
            {"image": f"./images/{patient.id}.nii.gz", "label": f"./labels/{patient.id}.nii.gz"} for patient in patients
        ],
        "test": [],
    }


def _write_json(path: Path, tree: Mapping[str, Any]) -> None:
    try:
        path.write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}); free the space or name another folder") from error
