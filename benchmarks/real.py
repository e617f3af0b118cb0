"""Real images: plain training by both recipes on BUS-BRA ultrasound, judged out of fold.

    python benchmarks/real.py [DATA] [--recipes strong paper] [--out FOLDER] [--epochs 14] [--workers 2]

DATA is the folder with `images/`, `labels/` and `metadata.csv` (1,875 images of 1,064 patients; Gomez-Flores et al.,
Medical Physics 2024), or that of the variable SEGFAIR_BUSBRA; it is read and never copied. The five folds are those of
its column `fold`, disjoint by patient. Spacing, network and budget are those that `mitigate` plans for a processor:
images of about 80 x 80 pixels and 14 epochs, one thread a fold; every mask is scored on the grid of its image's file.

Prints and writes to `benchmarks/results/real.json` for each recipe: mean Dice, that of the Toshiba device (139 images
of 72 patients) and of the rest, the gap raw and at equal lesion size with intervals over patients, with and without
flips at test time, and processor minutes a fold.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are there: one thread a process
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import dataclasses
import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "real.json"
GROUP = ("device", "Toshiba")
SETTINGS: Mapping[str, Any] = {
    "strategies": ("erm",),
    "splits": "fold",
    "subject_column": "patient",
    "attributes": ("device", "birads", "pathology"),
    "categorical": ("birads",),
    "device": "cpu",
}
# The paper's optimiser and selection, on a network and a size that a processor trains in the same time.
PAPER: Mapping[str, Any] = {
    "spacing_mm": (1.76, 1.76),
    "spatial_size": (96, 96),
    "batch_size": 16,
    "network": {"unet": {"channels": (16, 32, 64, 128), "residual_units": 2}},
    "flip_axes": ("x",),
}


def main() -> None:
    """See the module docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", default=os.environ.get("SEGFAIR_BUSBRA"))
    parser.add_argument("--recipes", nargs="+", default=["strong", "paper"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if given.data is None:
        print("no images: name the folder of BUS-BRA, or set SEGFAIR_BUSBRA")
        return
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        jobs = [(given.data, out / recipe, recipe, given.epochs, given.seed) for recipe in given.recipes]
        with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
            rows = [row for found in pool.map(_run, jobs) for row in found]
    RECORD.parent.mkdir(exist_ok=True)
    known = json.loads(RECORD.read_text())["rows"] if RECORD.is_file() else []
    kept = [row for row in known if row["training"] not in {new["training"] for new in rows}]
    RECORD.write_text(json.dumps({"epochs": given.epochs, "rows": [*kept, *rows]}, indent=1) + "\n")
    print(as_markdown([*kept, *rows]))


def _run(job: tuple[Path, Path, str, int, int]) -> list[dict[str, Any]]:
    """Trains one recipe over all folds; one row with flips at test time, and one without."""
    data, out, recipe, epochs, seed = job
    from segfair.mitigation.experiment.procedure import MitigationSettings, run_mitigation

    minutes: list[float] = []
    clock = [time.process_time()]

    def tell(text: str) -> None:
        if re.search(r"fold \d+ of \d+: kept epoch", text):
            minutes.append((time.process_time() - clock[0]) / 60)
        clock[0] = time.process_time()
        print(f"{recipe}: {text}", flush=True)

    extra = PAPER if recipe == "paper" else {}
    settings = MitigationSettings(out, data, recipe=recipe, epochs=epochs, seed=seed, **SETTINGS, **extra)
    run_mitigation(settings, tell=tell)
    rows = [_row(recipe, out / "erm" / "audit", minutes)]
    if settings.complete().test_flips:
        rows.append(_row(f"{recipe}, without flips at test time", _without_flips(data, out), minutes))
    return rows


def _without_flips(data: Path, out: Path) -> Path:
    """The same networks, predicting each image once."""
    from segfair.audit.procedure import run_audit
    from segfair.mitigation.data.folds import load_folds
    from segfair.mitigation.experiment.procedure import load_settings
    from segfair.mitigation.experiment.studies import read_data
    from segfair.mitigation.prediction.volumes import adapted, load_model, predict_images
    from segfair.report.files import write_report

    read = read_data(load_settings(out / "config.toml", {"data": data}, out=out))
    masks = out / "erm" / "predictions" / "once"
    for number, split in enumerate(load_folds(out / "splits.json"), start=1):
        model = adapted(load_model(out / "erm" / f"fold-{number}" / "checkpoint_best.pt"), flips=False)
        predict_images(model, {case.id: case.images for case in read.source.select(split.test)}, masks)
    cohort = read.source.cohort()
    cases = tuple(dataclasses.replace(case, prediction=masks / f"{case.id}.nii.gz") for case in cohort)
    result = run_audit(dataclasses.replace(cohort, cases=cases), dataclasses.replace(read.config, min_support=0.01))
    write_report(result, out / "erm" / "audit-once")
    return out / "erm" / "audit-once"


def _row(name: str, audit: Path, minutes: Sequence[float]) -> dict[str, Any]:
    """The numbers of one training, from its audit."""
    tree = json.loads((audit / "audit.json").read_text())
    column, start = GROUP
    (row,) = (
        entry
        for entry in tree["subgroups"]["dsc"]
        if list(entry["items"]) == [column] and entry["items"][column].startswith(start)
    )
    adjusted, estimate = row["adjusted"], row["estimate"]
    return {
        "training": name,
        "n": tree["cases"]["n_scored"],
        "mean": tree["scores"]["DSC"]["value"],
        "mean_ci": tree["scores"]["DSC"]["ci"],
        "group": row["mean"],
        "rest": row["rest_mean"],
        "gap": estimate["value"],
        "gap_ci": estimate["ci"],
        "gap_at_equal_size": adjusted["difference"],
        "gap_at_equal_size_ci": adjusted["ci"],
        "minutes_per_fold": sum(minutes) / max(1, len(minutes)),
    }


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of `docs/benchmarks.md`."""

    def interval(row: Mapping[str, Any], key: str) -> str:
        low, high = row[f"{key}_ci"]
        return f"{row[key]:.3f} [{low:.3f}, {high:.3f}]"

    head = ["training", "mean DSC", "Toshiba", "rest", "gap", "gap at equal size", "CPU minutes a fold"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [
            row["training"],
            interval(row, "mean"),
            f"{row['group']:.3f}",
            f"{row['rest']:.3f}",
            interval(row, "gap"),
            interval(row, "gap_at_equal_size"),
            f"{row['minutes_per_fold']:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
