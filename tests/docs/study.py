"""What a reader of the documentation is taken to have: masks, tables, teams, results of nnU-Net; small, and made up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from segfair.files.images.masks import read_mask, write_image, write_mask

N_CASES = 60


def write_study(folder: Path) -> Path:
    """Everything that a page may name, side by side in one folder."""
    from segfair.phantom import write_phantom

    write_phantom(folder / "DATA", n_cases=N_CASES, size=(24, 24, 16), seed=0)
    data = folder / "DATA"
    (data / "truth.json").unlink()
    rng = np.random.default_rng(0)
    table = pd.read_csv(data / "metadata.csv", dtype=str)
    table["sex"] = rng.choice(["f", "m"], N_CASES)
    table["scanner"] = rng.choice(["Aera", "Skyra", "Prisma"], N_CASES)
    table["split"] = np.where(
        np.arange(N_CASES) % 5 == 0, "test", np.where(np.arange(N_CASES) % 5 == 1, "validation", "train")
    )
    table.to_csv(data / "metadata.csv", index=False)
    table.to_csv(folder / "metadata.csv", index=False)
    table.to_excel(folder / "patients.xlsx", index=False)
    for name in ("images", "labels"):
        shutil.copytree(data / name, folder / name)
    shutil.move(data / "preds", folder / "preds")
    cases = [path.name.removesuffix(".nii.gz") for path in sorted((folder / "preds").iterdir())]
    _write_raters_and_teams(folder, cases, rng)
    _write_probabilities(folder, cases)
    _write_paths(folder, cases, table)
    _write_nnunet(folder, cases)
    _write_mama_mia(folder, cases, table)
    (folder / "examples").mkdir()
    shutil.copy(Path(__file__).parents[2] / "examples" / "dicom_masks.py", folder / "examples")
    (folder / "study.toml").write_text('model = "U-Net"\nversion = "2.1"\ncohort = "A test"\napprover = "N. N."\n')
    _write_audits(folder)
    return folder


def _write_raters_and_teams(folder: Path, cases: list[str], rng: np.random.Generator) -> None:
    """A second and a third rater draw a voxel to the side; three teams, one of them with scores alone."""
    moved = {
        "other-rater": ("labels", 1),
        "third-rater": ("labels", -1),
        "teams/borealis": ("preds", 1),
        "teams/cetus": ("preds", 2),
    }
    for name, (source, shift) in moved.items():
        (folder / name).mkdir(parents=True)
        for case in cases:
            mask = read_mask(folder / source / f"{case}.nii.gz")
            write_mask(folder / name / f"{case}.nii.gz", np.roll(mask.array, shift, axis=0), affine=mask.affine)
    shutil.copytree(folder / "other-rater", folder / "labels-of-the-other-rater")
    shutil.copytree(folder / "preds", folder / "teams" / "aurora")
    shutil.copytree(folder / "teams", folder / "TEAMS")
    (folder / "scores").mkdir()
    for team in ("aurora", "borealis"):
        scores = pd.DataFrame({"case": cases, "dsc": rng.uniform(0.6, 0.9, len(cases)).round(4)})
        scores.to_csv(folder / "scores" / f"{team}.csv", index=False)
    scores.to_csv(folder / "scores.csv", index=False)


def _write_probabilities(folder: Path, cases: list[str]) -> None:
    """Maps that fall off softly around each mask."""
    for case in cases:
        mask = read_mask(folder / "preds" / f"{case}.nii.gz")
        map_ = gaussian_filter(mask.array.astype(np.float32), 0.8) * 0.99 + 0.001
        write_image(folder / "probabilities" / f"{case}.nii.gz", map_, affine=mask.affine)


def _write_paths(folder: Path, cases: list[str], table: pd.DataFrame) -> None:
    """The same masks one folder a case, and as a table of paths."""
    for case in cases:
        place = folder / "tree" / case
        place.mkdir(parents=True)
        shutil.copy(folder / "preds" / f"{case}.nii.gz", place / "pred_v2.nii.gz")
        shutil.copy(folder / "labels" / f"{case}.nii.gz", place / "label.nii.gz")
    paths = table.rename(columns={"patient_id": "id"})
    for role, name in (("prediction", "preds"), ("label", "labels"), ("image", "images"), ("label2", "other-rater")):
        paths[role] = [f"{name}/{case}.nii.gz" for case in paths["id"]]
    paths.to_csv(folder / "cases.csv", index=False)


def _write_nnunet(folder: Path, cases: list[str]) -> None:
    """A raw data set, splits, and the results of fold 0 of two trainers."""
    raw = folder / "raw" / "Dataset001_NAME"
    shutil.copytree(folder / "labels", raw / "labelsTr")
    about = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "tumour": 1}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps({**about, "numTraining": len(cases)}))
    shutil.copytree(raw, folder / "Dataset001")
    fold = cases[::2]
    splits = [{"train": [case for case in cases if case not in fold], "val": fold}]
    preprocessed = folder / "preprocessed" / "Dataset001_NAME"
    preprocessed.mkdir(parents=True)
    for place in (folder, preprocessed):
        (place / "splits_final.json").write_text(json.dumps(splits))
    results = folder / "nnUNet_results" / "Dataset001_NAME"
    for trainer in ("nnUNetTrainer", "nnUNetTrainerSegfair"):
        validation = results / f"{trainer}__nnUNetPlans__3d_fullres" / "fold_0" / "validation"
        validation.mkdir(parents=True)
        for case in fold:
            shutil.copy(folder / "preds" / f"{case}.nii.gz", validation)
    shutil.copytree(results / "nnUNetTrainer__nnUNetPlans__3d_fullres", folder / "results")
    shutil.copytree(folder / "preds", folder / "masks")
    shutil.copytree(folder / "labels", folder / "labelsTs")


def _write_mama_mia(folder: Path, cases: list[str], table: pd.DataFrame) -> None:
    """The tree of MAMA-MIA, as far as an audit reads it."""
    tree = folder / "MAMA-MIA"
    (tree / "segmentations").mkdir(parents=True)
    shutil.copytree(folder / "labels", tree / "segmentations" / "expert")
    for case in cases:
        (tree / "images" / case).mkdir(parents=True)
        shutil.copy(folder / "images" / f"{case}.nii.gz", tree / "images" / case / f"{case.lower()}_0000.nii.gz")
    with pd.ExcelWriter(tree / "clinical_and_imaging_info.xlsx") as book:
        pd.DataFrame({"note": ["not the table"]}).to_excel(book, sheet_name="analysis", index=False)
        table[["patient_id", "age", "menopause", "breast_density"]].to_excel(
            book, sheet_name="dataset_info", index=False
        )
    train, test = cases[:30], cases[30:]
    lines = [f"{first},{second}" for first, second in zip(train, test, strict=True)]
    (tree / "train_test_splits.csv").write_text("\n".join(["train_split,test_split", *lines]) + "\n")


_COPIES = (
    *(("old", "before"), ("new", "after"), ("report", "after")),
    *(("baseline", "before"), ("run-1", "after"), ("run-2", "before"), ("run-3", "after")),
)


def _write_audits(folder: Path) -> None:
    """Of two models."""
    import segfair as sf

    for name, masks in (("before", "teams/borealis"), ("after", "preds")):
        found = sf.audit(folder / masks, folder / "labels", folder / "metadata.csv", permutations=19, bootstrap=100)
        found.report(folder / name)
    sf.rank(folder / "teams", folder / "labels", folder / "metadata.csv", permutations=19, bootstrap=100).report(
        folder / "ranking"
    )
    for name, same in _COPIES:
        shutil.copytree(folder / same, folder / name)
