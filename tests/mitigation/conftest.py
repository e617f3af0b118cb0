"""A MAMA-MIA tree made of small volumes, random or of the phantom, with the oddities of the real one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from segfair.phantom import sample_cases
from segfair.phantom.geometry import spacing_mm

SHAPE = (26, 24, 14)
SPACING = (1.1, 1.3, 2.0)
PHANTOM_SHAPE = (32, 32, 20)
"""Of a cube of 128 mm: voxels of 4 x 4 x 6.4 mm."""


@dataclass(frozen=True)
class MamaMiaTree:
    """What was written: the root, ids as the files are spelt, and who has which oddity."""

    root: Path
    ids: tuple[str, ...]
    few_phases: str
    unlabelled: str
    without_files: str
    without_box: str
    swapped_box: str
    test: tuple[str, ...]

    @property
    def usable(self) -> tuple[str, ...]:
        return tuple(case for case in self.ids if case not in (self.few_phases, self.unlabelled))


def write_mama_mia(
    root: Path, *, n_cases: int = 16, seed: int = 0, upper: bool = False, phantom: bool = False
) -> MamaMiaTree:
    """Writes the tree: LPS, anisotropic, 2 to 6 phases, boxes, an XLSX with two blank rows, a split file.

    Files are spelt in lower case, table and split in upper case, unless `upper`. Lesions enhance in the phases
    after the first, so that a network can learn them. One case has two phases, one no label, one no box and one a
    box that misses its lesion; one row of the table has no files. With `phantom` the pictures and the metadata are
    the embedded phantom's.
    """
    import nibabel as nib
    import pandas as pd

    rng = np.random.default_rng(seed)
    names = [f"DUKE_{number:03d}" if number % 3 else f"ISPY1_{1000 + number}" for number in range(1, n_cases + 1)]
    spelt = {name: name if upper else name.lower() for name in names}
    patients = sample_cases(n_cases, rng=rng, size=PHANTOM_SHAPE) if phantom else iter(())
    spacing = spacing_mm(PHANTOM_SHAPE) if phantom else SPACING
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = (40.0, 30.0, -20.0)
    places = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1) * np.array(SPACING)
    rows = []
    for number, name in enumerate(names):
        case = spelt[name]
        patient = next(patients, None)
        if patient is None:
            centre = np.array(SHAPE) * SPACING * rng.uniform(0.35, 0.65, 3)
            lesion = np.linalg.norm(places - centre, axis=-1) < rng.uniform(3.5, 6.0)
        else:
            # The phantom's axes run to the right and to the front, the files' to the left and to the back.
            lesion = patient.label[::-1, ::-1] > 0
        n_phases = 2 if number == 2 else 3 + number % 4
        folder = root / "images" / name
        folder.mkdir(parents=True)
        for phase in range(n_phases):
            if patient is None:
                image = 100 + 8 * rng.standard_normal(SHAPE) + 60 * lesion * (phase > 0)
            else:
                # Later phases than the phantom's repeat its last one.
                image = 300 + 100 * patient.image[min(phase, 2), ::-1, ::-1]
            image[:2] = 0.0
            nib.save(nib.Nifti1Image(image.astype(np.float32), affine), folder / f"{case}_{phase:04d}.nii.gz")
        if number != 3:
            expert = root / "segmentations" / "expert"
            expert.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(lesion.astype(np.uint8), affine), expert / f"{case}.nii.gz")
        if number != 4:
            low, high = np.argwhere(lesion).min(axis=0) - 1, np.argwhere(lesion).max(axis=0) + 2
            # z is the first stored axis, x the last.
            order = "zyx" if number != 5 else "xyz"
            if number == 5:
                low, high = np.array([20, 0, 0]), np.array([26, 24, 4])
            corners = {}
            for axis, letter in enumerate(order):
                corners |= {f"{letter}_min": int(max(0, low[axis])), f"{letter}_max": int(high[axis])}
            info = root / "patient_info_files"
            info.mkdir(exist_ok=True)
            tree = {"patient_id": name, "primary_lesion": {"breast_coordinates": corners}}
            (info / f"{case}.json").write_text(json.dumps(tree))
        row = {"patient_id": name, "dataset": name.split("_")[0]}
        if patient is None:
            spelling = ("pre (<6 months since LMP AND no prior bilateral ovariectomy)", "pre", "post", "peri", None)
            row["age"] = None if number == 6 else int(rng.integers(28, 80))
            row["menopause"] = spelling[int(rng.integers(5))]
            row["breast_density"] = "abcd"[int(rng.integers(4))] if number % 2 else None
        else:
            row |= {column: patient.metadata[column] for column in ("age", "menopause", "breast_density")}
        rows.append(row)
    rows.append({"patient_id": "NACT_99", "dataset": "NACT", "age": 50, "menopause": "post"})
    table = pd.DataFrame(rows)
    blank = pd.DataFrame([dict.fromkeys(table.columns)] * 2)
    with pd.ExcelWriter(root / "clinical_and_imaging_info.xlsx") as book:
        pd.DataFrame({"note": ["not the table"]}).to_excel(book, sheet_name="analysis", index=False)
        pd.concat([table, blank]).to_excel(book, sheet_name="dataset_info", index=False)
        pd.DataFrame({"column": ["age"], "meaning": ["years"]}).to_excel(book, sheet_name="legend", index=False)
    test = names[-max(2, n_cases // 4) :]
    train = [name for name in names if name not in test]
    lines = ["train_split,test_split"]
    lines += [f"{name},{test[row] if row < len(test) else ''}" for row, name in enumerate(train)]
    (root / "train_test_splits.csv").write_text("\n".join(lines) + "\n")
    return MamaMiaTree(
        root,
        tuple(sorted(spelt.values())),
        few_phases=spelt[names[2]],
        unlabelled=spelt[names[3]],
        without_files="NACT_99",
        without_box=spelt[names[4]],
        swapped_box=spelt[names[5]],
        test=tuple(sorted(spelt[name] for name in test)),
    )


@pytest.fixture(scope="session")
def mama_mia(tmp_path_factory) -> MamaMiaTree:
    """One tree for tests that only read it."""
    pytest.importorskip("nibabel")
    return write_mama_mia(tmp_path_factory.mktemp("mama-mia"))


@pytest.fixture(scope="session")
def write_tree():
    """The writer itself, for tests that change a tree or want another."""
    pytest.importorskip("nibabel")
    return write_mama_mia
