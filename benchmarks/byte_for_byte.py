"""Whether a change of the code changes a file that segfair writes: the same inputs, before and after.

    python benchmarks/byte_for_byte.py record /tmp/before      # on the old code
    python benchmarks/byte_for_byte.py compare /tmp/before     # on the new code

Makes some twenty varied audits, comparisons and rankings from embedded cohorts and keeps every JSON and CSV file but
the manifests. `compare` makes them again and names each value that differs; `--new-keys` lets keys pass that are new.
Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

FAST = ("--permutations", "199", "--bootstrap", "200")
COHORT = ("cohort/preds", "cohort/labels", "cohort/metadata.csv")
COMMANDS: dict[str, tuple[str, ...]] = {
    "audit": ("audit", *COHORT, *FAST),
    "mama-mia": ("audit", *COHORT, "--protocol", "mama-mia", *FAST),
    "declared": ("audit", *COHORT, "--primary", "age_group,site", "--margin", "dsc=0.05", "--gate", "FS >= 0.5", *FAST),
    "derived": ("audit", *COHORT, "--derive", "--outcome", "dsc,hd95_mm", "--min-support", "0.02", *FAST),
    "strata": ("audit", *COHORT, "--stratify", "site", "--adjust", "age,lesion_volume", *FAST),
    "patients": ("audit", *COHORT, "--subject-column", "person", *FAST),
    "unbiased": ("audit", "fair/preds", "fair/labels", "fair/metadata.csv", "--where", "age > 40", *FAST),
    "bins": ("audit", *COHORT, "--bins", "age=0,45,60,100", "--attributes", "age,site", "--min-cases", "5", *FAST),
    "tree": ("audit", *COHORT, "--bins", "age=tree", *FAST),
    "lost": ("audit", "lost/preds", "cohort/labels", "cohort/metadata.csv", "--missing-prediction", "worst", *FAST),
    "regions": ("audit", "regions/preds", "regions/labels", "cohort/metadata.csv",
                "--label", "core=2", "--label", "whole=1,2", *FAST),
    "labels2": ("audit", *COHORT, "--labels2", "lost/preds", *FAST),
    "scores": ("audit-scores", "out/audit/cases.csv", "cohort/metadata.csv", "--outcome", "dsc,normhd", *FAST),
    "summary": ("audit-scores", "summary.json", "cohort/metadata.csv", *FAST),
    "compare": ("compare", "out/audit", "out/lost", "--names", "old,new"),
    "compare-declared": ("compare", "out/mama-mia", "out/mama-mia"),
    "rank": ("rank", "teams", "cohort/labels", "cohort/metadata.csv", "--protocol", "mama-mia", *FAST),
    "rank-ps": ("rank", "teams", "cohort/labels", "cohort/metadata.csv", "--by", "PS", *FAST),
    "rank-scores": ("rank-scores", "tables", "cohort/metadata.csv", "--by", "dsc", *FAST),
    "weights": ("weights", "out/audit/audit.json", "--metadata", "cohort/metadata.csv", "--id-column", "patient_id"),
}  # fmt: skip


def build_inputs(root: Path) -> None:
    """Two embedded cohorts and what the commands need besides; the same files on every call."""
    segfair(root, "phantom", "cohort", "--size", "32", "32", "24", "--seed", "7")
    segfair(root, "phantom", "fair", "--size", "32", "32", "24", "--seed", "8", "--no-bias")
    table = pd.read_csv(root / "cohort/metadata.csv")
    table["person"] = [f"person {chr(97 + index // 52)}{chr(97 + index // 2 % 26)}" for index in range(len(table))]
    table.to_csv(root / "cohort/metadata.csv", index=False)
    shutil.copytree(root / "cohort/preds", root / "lost/preds")
    masks = sorted((root / "lost/preds").iterdir())
    masks[3].unlink()
    masks[8].write_bytes(masks[8].read_bytes()[:200])
    for team, shift in (("alpha", 0), ("beta", 1), ("gamma", 2)):
        for path in sorted((root / "cohort/preds").iterdir()):
            save(root / "teams" / team / path.name, np.roll(load(path), shift, axis=0), path)
        if shift:
            sorted((root / "teams" / team).iterdir())[shift].unlink()
    for role in ("preds", "labels"):
        for path in sorted((root / "cohort" / role).iterdir()):
            mask = load(path)
            mask[: mask.shape[0] // 2] *= 2
            save(root / "regions" / role / path.name, mask, path)
    write_scores(root)


def write_scores(root: Path) -> None:
    """nnU-Net's summary and two teams' tables, from scores drawn here."""
    rng = np.random.default_rng(5)
    ids = pd.read_csv(root / "cohort/metadata.csv")["patient_id"]
    dice = rng.beta(8, 2, len(ids))
    cases = [
        {"metrics": {"1": {"Dice": float(score), "IoU": float(score / (2 - score)), "n_pred": 5, "n_ref": 5}},
         "reference_file": f"/labels/{case}.nii.gz", "prediction_file": f"/preds/{case}.nii.gz"}
        for case, score in zip(ids, dice, strict=True)
    ]  # fmt: skip
    (root / "summary.json").write_text(json.dumps({"metric_per_case": cases, "mean": {}}))
    (root / "tables").mkdir()
    for team, loss in (("one", 0.0), ("two", 0.02)):
        pd.DataFrame({"case": ids, "dsc": np.clip(dice - loss * rng.random(len(ids)), 0, 1)}).to_csv(
            root / f"tables/{team}.csv", index=False
        )


def load(path: Path) -> np.ndarray:
    """Voxels of a mask."""
    return np.asarray(nib.load(path).dataobj).astype(np.uint8)


def save(path: Path, mask: np.ndarray, like: Path) -> None:
    """Writes a mask on the grid of another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(mask, nib.load(like).affine), path)


def segfair(root: Path, *arguments: str) -> str:
    """Runs a command in `root`; what it printed, with its exit code."""
    environment = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "segfair", *arguments], cwd=root, env=environment, capture_output=True, text=True
    )
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"


def make_files(folder: Path) -> None:
    """Runs every command and keeps its files in a folder a command."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        build_inputs(root)
        for name, command in COMMANDS.items():
            out = f"out/{name}" if name != "weights" else "out/weights.csv"
            said = segfair(root, *command, "--out", out)
            # Each command scores for itself; where scores are kept, older versions do not say.
            shutil.rmtree(root / "out" / ".segfair-cache", ignore_errors=True)
            said = "".join(line for line in said.splitlines(keepends=True) if " from the cache " not in line)
            kept = folder / name
            kept.mkdir(parents=True)
            (kept / "terminal.txt").write_text(said)
            written = [root / out] if name == "weights" else sorted((root / out).rglob("*"))
            for path in written:
                if path.suffix in (".json", ".csv") and path.name != "manifest.json":
                    shutil.copy(path, kept / "-".join(path.relative_to(root / "out").parts[-2:]))


def differences(before: Any, after: Any, place: str, *, new_keys: bool, tolerance: float) -> Iterator[str]:
    """Each place at which two JSON trees differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            if key not in after:
                yield f"{place}.{key}: gone"
            elif key not in before:
                if not new_keys:
                    yield f"{place}.{key}: new"
            else:
                yield from differences(
                    before[key], after[key], f"{place}.{key}", new_keys=new_keys, tolerance=tolerance
                )
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{place}[{index}]", new_keys=new_keys, tolerance=tolerance)
    elif isinstance(before, float) and isinstance(after, float) and math.isclose(before, after, rel_tol=tolerance):
        return
    elif before != after or type(before) is not type(after):
        yield f"{place}: {str(before)[:120]} -> {str(after)[:120]}"


def read_tree(path: Path) -> Any:
    """The values of a file: a JSON tree, rows of a CSV, or lines."""
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    if path.suffix == ".csv":
        return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(io.StringIO(text))]
    return text.splitlines()


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def compare(before: Path, after: Path, *, new_keys: bool, tolerance: float, most: int) -> bool:
    """Prints what differs between two folders; True where nothing does."""
    same = True
    for path in sorted(before.rglob("*")):
        place, other = path.relative_to(before), after / path.relative_to(before)
        if path.is_dir():
            continue
        if not other.exists():
            found = ["gone"]
        elif path.read_bytes() == other.read_bytes():
            continue
        else:
            found = list(differences(read_tree(path), read_tree(other), "", new_keys=new_keys, tolerance=tolerance))
            if not found and not new_keys and not tolerance:
                found = ["equal values, other bytes"]
        informative = path.name == "terminal.txt" and new_keys
        same &= not found or informative
        for line in sorted(found)[:most]:
            print(f"{place}{line}")
        if len(found) > most:
            print(f"{place}: {len(found) - most} more")
    return same


def main() -> int:
    """Records or compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--new-keys", action="store_true", help="keys that are new, and other words on the terminal, pass"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="relative difference of numbers that passes: sums in another order"
    )
    parser.add_argument("--most", type=int, default=20, help="differences shown a file")
    options = parser.parse_args()
    if options.what == "record":
        make_files(options.folder)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "after"
        make_files(made)
        same = compare(options.folder, made, new_keys=options.new_keys, tolerance=options.tolerance, most=options.most)
    print("nothing differs" if same else "files differ")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
