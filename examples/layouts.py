"""Data sets as others lay them out: BIDS with its tables, and one file a structure as TotalSegmentator writes them."""

import tempfile
from pathlib import Path

import numpy as np

import segfair as sf
from segfair.files.images.masks import write_mask

rng = np.random.default_rng(2)
settings = {"min_cases": 5, "permutations": 199, "bootstrap": 200, "metrics": ["dsc"]}


def box(low: int, high: int) -> np.ndarray:
    """A mask of 16 x 16 x 8 voxels with a box in it."""
    mask = np.zeros((16, 16, 8), np.uint8)
    mask[low:high, 4:12, 2:6] = 1
    return mask


with tempfile.TemporaryDirectory() as folder:
    # BIDS: derivatives of two pipelines; participants.tsv lies above them, sessions.tsv says more of each session.
    bids = Path(folder) / "bids"
    for subject in range(1, 11):
        for session in (1, 2):
            name = f"sub-{subject:02d}/ses-{session}/anat/sub-{subject:02d}_ses-{session}_dseg.nii.gz"
            write_mask(bids / "derivatives" / "manual" / name, box(4, 12), affine=np.eye(4))
            shift = int(rng.integers(0, 2)) + (session == 2)
            write_mask(bids / "derivatives" / "unet" / name, box(4 + shift, 12 + shift), affine=np.eye(4))
    subjects = [f"sub-{subject:02d}" for subject in range(1, 11)]
    rows = [f"{subject}\t{'FM'[number % 2]}" for number, subject in enumerate(subjects)]
    (bids / "participants.tsv").write_text("participant_id\tsex\n" + "\n".join(rows) + "\n")
    rows = [f"{subject}\tses-{session}\tscanner {session}" for subject in subjects for session in (1, 2)]
    (bids / "sessions.tsv").write_text("participant_id\tsession_id\tscanner\n" + "\n".join(rows) + "\n")
    result = sf.audit(
        bids / "derivatives" / "unet", bids / "derivatives" / "manual", bids / "participants.tsv", **settings
    )
    print(*result.about.notices[:2], sep="\n")
    print(result.by_group[["n", "dsc"]].round(3))

    # One file a structure: the lesion lies inside of the liver, and one case has none.
    for case in range(12):
        for role in ("labels", "preds"):
            shift = int(role == "preds")
            place = Path(folder) / role / f"case{case:02d}"
            write_mask(place / "liver.nii.gz", box(2 + shift, 14), affine=np.eye(4))
            if case > 0:
                write_mask(place / "tumour.nii.gz", box(6 + shift, 8 + shift), affine=np.eye(4))
    table = Path(folder) / "metadata.csv"
    table.write_text("id,site\n" + "".join(f"case{case:02d},{'AB'[case % 2]}\n" for case in range(12)))
    result = sf.audit(Path(folder) / "preds", Path(folder) / "labels", table, outcome=["dsc_tumour"], **settings)
    print(*result.about.notices[:2], sep="\n")
    print(result.by_group[["n", "dsc_liver", "dsc_tumour"]].round(3))
