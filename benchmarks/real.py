"""Real images: recipes and strategies on BUS-BRA ultrasound, judged out of fold.

    python benchmarks/real.py [DATA] [--recipes strong paper] [--out FOLDER] [--epochs 14] [--workers 2]
    python benchmarks/real.py [DATA] --strategies erm divergence-sampling ... --seeds 0 1 2 --out FOLDER [--workers 2]
    python benchmarks/real.py --tables

DATA is the folder with `images/`, `labels/` and `metadata.csv` (1,875 images of 1,064 patients; Gomez-Flores et al.,
Medical Physics 2024), or that of the variable SEGFAIR_BUSBRA; it is read and never copied. The five folds are those of
its column `fold`, disjoint by patient. Spacing, network and budget are those that `mitigate` plans for a processor:
images of about 80 x 80 pixels and 14 epochs, one thread a fold; every mask is scored on the grid of its image's file.

Prints and writes to `benchmarks/results/real.json` for each recipe: mean Dice, that of the Toshiba device (139 images
of 72 patients) and of the rest, the gap raw and at equal lesion size with intervals over patients, with and without
flips at test time, and processor minutes a fold.

Strategies are compared at a smaller size, so that many of them can be trained several times: images of at most 64 x 64
pixels and 12 epochs, averaged weights and flips at test time on all sides, the same folds, initial weights and number
of draws for each seed; "NAME, twice the epochs" has the double of them. What follows validation cases (`fairmedseg`)
sets a fifth of the training cases aside for it, as it does for everybody, and so draws a fifth less; "NAME, training
cases" follows the training cases in their place. FOLDER keeps every training, and a call goes on where another stopped.
Changes are against plain training (`erm`) of the same seeds, with intervals over patients and seeds; `the plain model
with another seed` says what a change of nothing looks like, and *null* what 95 % of differences between two averages of
as many plain trainings stay below, where only seeds differ.
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
    parser.add_argument("--strategies", nargs="+", help="compare these with plain training in place of recipes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--tables", action="store_true", help="train nothing, print the tables of the record")
    given = parser.parse_args()
    if given.tables:
        print_tables()
        return
    if given.data is None:
        print("no images: name the folder of BUS-BRA, or set SEGFAIR_BUSBRA")
        return
    if given.strategies:
        compare_strategies(given)
        return
    with tempfile.TemporaryDirectory() as scratch:
        out = given.out or Path(scratch)
        jobs = [(given.data, out / recipe, recipe, given.epochs, given.seed) for recipe in given.recipes]
        with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
            rows = [row for found in pool.map(_run, jobs) for row in found]
    record = read_record()
    kept = [row for row in record.get("rows", []) if row["training"] not in {new["training"] for new in rows}]
    write_record({**record, "epochs": given.epochs, "rows": [*kept, *rows]})
    print_tables()


def read_record() -> dict[str, Any]:
    """What earlier calls found."""
    return dict(json.loads(RECORD.read_text())) if RECORD.is_file() else {}


def write_record(record: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    RECORD.parent.mkdir(exist_ok=True)
    temporary = RECORD.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    temporary.replace(RECORD)


def print_tables() -> None:
    """Both tables of the record, as they stand in the documentation."""
    record = read_record()
    print(as_markdown(record.get("rows", [])))
    for title, rows in record.get("strategies", {}).items():
        print(f"\n{title}\n\n{strategies_as_markdown(rows)}")


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


# Strategies

BUDGET: Mapping[str, Any] = {"recipe": "strong", "spacing_mm": (2.5, 2.5), "spatial_size": (64, 64)}
EPOCHS = 12
PLAIN = "erm"
LONGER = ", twice the epochs"
FOLLOWING = ", training cases"
FOLDERS = {LONGER: "-longer", FOLLOWING: "-following"}


def compare_strategies(given: argparse.Namespace) -> None:
    """Trains what is missing, one strategy and seed at a time, then compares with plain training."""
    out = given.out or Path(tempfile.mkdtemp())
    if PLAIN not in given.strategies and not any(out.glob(f"{PLAIN}/seed-*/minutes.json")):
        raise SystemExit(f"nothing to compare with: train {PLAIN} as well (--strategies {PLAIN} ...)")
    jobs = [(given.data, out, name, seed) for seed in given.seeds for name in given.strategies]
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        for found in pool.map(train_strategy, jobs):
            print(found, flush=True)
    rows = find_rows(given.data, out)
    record = read_record()
    write_record({**record, "strategies": rows})
    print_tables()


def train_strategy(job: tuple[Path, Path, str, int]) -> str:
    """All folds of one strategy and seed, unless they are there."""
    data, out, name, seed = job
    from segfair.mitigation.experiment.procedure import MitigationSettings, run_mitigation

    folder = out / folder_name(name) / f"seed-{seed}"
    if (folder / "minutes.json").is_file():
        return f"{name}, seed {seed}: was there"
    strategy = name.split(",")[0]
    oracle = {"oracle": {GROUP[0]: oracle_level(data)}} if strategy == "oracle" else {}
    settings = MitigationSettings(
        folder,
        data,
        seed=1000 * seed,
        resume=(folder / "config.toml").is_file(),
        baseline=False,
        epochs=EPOCHS * (2 if name.endswith(LONGER) else 1),
        feedback="training" if name.endswith(FOLLOWING) else None,
        cache=out / "cache",
        **{**SETTINGS, "strategies": (strategy,)},
        **BUDGET,
        **oracle,
    )
    clock = time.process_time()
    run_mitigation(settings, tell=lambda text: print(f"{name}, seed {seed}: {text}", flush=True))
    minutes = (time.process_time() - clock) / 60
    (folder / "minutes.json").write_text(json.dumps(minutes / 5))
    return f"{name}, seed {seed}: {minutes:.1f} CPU minutes"


def folder_name(name: str) -> str:
    """A strategy's folder."""
    for words, short in FOLDERS.items():
        name = name.replace(words, short)
    return name


def strategy_of(folder: str) -> str:
    """The strategy whose folder it is."""
    for words, short in FOLDERS.items():
        folder = folder.replace(short, words)
    return folder


def oracle_level(data: Path) -> str:
    """How the table spells the device."""
    import pandas

    levels = pandas.read_csv(data / "metadata.csv")[GROUP[0]].unique()
    return str(next(level for level in levels if str(level).startswith(GROUP[1])))


def find_rows(data: Path, out: Path) -> dict[str, list[dict[str, Any]]]:
    """Title -> rows: every strategy against plain training of the same seeds, and plain training against itself.

    The vote of several plain trainings is held against their mean, so that its interval is over patients alone.
    """
    from segfair.audit.result import AuditResult

    scores: dict[str, dict[int, Any]] = {}
    for path in sorted(out.glob("*/seed-*/minutes.json")):
        name = strategy_of(path.parent.parent.name)
        (audit,) = path.parent.glob("*/audit/audit.json")
        scores.setdefault(name, {})[int(path.parent.name.split("-")[1])] = (
            AuditResult.load(audit),
            float(json.loads(path.read_text())),
        )
    plain = scores[PLAIN]
    folds = folds_of(next(out.glob(f"{PLAIN}/seed-*/splits.json")))
    null = {
        n_seeds: spread_of_nothing([result for result, _ in plain.values()], folds, n_seeds) for n_seeds in (1, 2, 3)
    }
    rows = []
    for name, own in scores.items():
        seeds = sorted(own) if name == PLAIN else sorted(set(own) & set(plain))
        if seeds:
            row = strategy_row(name, [own[seed] for seed in seeds], [plain[seed][0] for seed in seeds])
            rows.append(row | ({} if name == PLAIN else null.get(len(seeds), {})))
    rows.sort(key=lambda row: (row["training"] != PLAIN, -row["seeds"], row["training"]))
    if len(plain) > 2:
        rows.append(vote_row(data, out, plain))
    first, *others = sorted(plain)
    nothing = [
        strategy_row(f"plain, seed {other} minus seed {first}", [plain[other]], [plain[first][0]]) for other in others
    ]
    return {"Strategies": rows, "The plain model with another seed": nothing}


def strategy_row(name: str, own: Sequence[tuple[Any, float]], plain: Sequence[Any]) -> dict[str, Any]:
    """Scores averaged over seeds, and what changed against plain training."""
    import numpy as np

    after = np.stack([dice_of(result) for result, _ in own])
    before = np.stack([dice_of(result) for result in plain])
    minutes = float(np.mean([minutes for _, minutes in own]))
    return changes_row(name, after, before, group_of(plain[0]), minutes)


def vote_row(data: Path, out: Path, plain: Mapping[int, tuple[Any, float]]) -> dict[str, Any]:
    """What the masks of the plain trainings say together, by majority: an ensemble that costs no training more."""
    import numpy as np

    from segfair.files.images.masks import read_mask

    before = np.mean([dice_of(result) for result, _ in plain.values()], axis=0)
    after = np.zeros(len(before))
    for place, case in enumerate(sorted(next(iter(plain.values()))[0].cases.scores.column("case"))):
        label = read_mask(data / "labels" / f"{case}.png").array.squeeze() > 0
        folders = (out / PLAIN / f"seed-{seed}" / PLAIN / "predictions" / "pooled" for seed in plain)
        votes = sum((read_mask(folder / f"{case}.nii.gz").array.squeeze() > 0).astype(int) for folder in folders)
        found = votes > len(plain) / 2
        after[place] = 2 * np.count_nonzero(label & found) / max(1, np.count_nonzero(label) + np.count_nonzero(found))
    group = group_of(next(iter(plain.values()))[0])
    minutes = float(np.sum([minutes for _, minutes in plain.values()]))
    return changes_row(f"{PLAIN}, vote of {len(plain)}", after[None], before[None], group, minutes)


def changes_row(name: str, after: Any, before: Any, members: tuple[Any, Any], minutes: float) -> dict[str, Any]:
    """(n_seeds, n_cases) Dice after and before, who is of the group and codes of patients -> one row."""
    import numpy as np

    from segfair import stats

    group, subjects = members
    row: dict[str, Any] = {
        "training": name,
        "seeds": len(after),
        "mean": float(after.mean()),
        "group": float(after[:, group].mean()),
        "rest": float(after[:, ~group].mean()),
        "minutes_per_fold": minutes,
    }
    for key, who in (("mean", group | ~group), ("group", group), ("rest", ~group)):
        if not np.array_equal(after, before):
            change = stats.mean_over_seeds((after - before)[:, who], subjects=subjects[who])
            row[f"{key}_change"], row[f"{key}_change_ci"] = change.value, list(change.ci or ())
    return row


def folds_of(splits: Path) -> dict[str, int]:
    """Case id -> the fold that tests it."""
    from segfair.mitigation.data.folds import load_folds

    return {case: number for number, split in enumerate(load_folds(splits), start=1) for case in split.test}


def spread_of_nothing(plain: Sequence[Any], folds: Mapping[str, int], n_seeds: int) -> dict[str, float]:
    """What 95 % of differences between averages of that many plain trainings stay below; empty with one training."""
    import numpy as np

    from segfair.mitigation.experiment.evidence import null_spread

    if len(plain) < 2:
        return {}
    dice = np.stack([dice_of(result) for result in plain])
    group, _ = group_of(plain[0])
    numbers = np.array([folds[case] for case in sorted(plain[0].cases.scores.column("case"))])
    # Of averages of all the trainings; chance shrinks with the root of how many are averaged.
    scale = (len(plain) / n_seeds) ** 0.5
    found = {"mean": null_spread(dice, numbers), "group": null_spread(dice[:, group], numbers[group])}
    return {f"{key}_null": value * scale for key, value in found.items() if value is not None}


def dice_of(result: Any) -> Any:
    """(n_cases,) Dice in the order of the case ids."""
    return result.cases.scores.to_frame().sort_values("case")["dsc"].to_numpy(dtype=float)


def group_of(result: Any) -> tuple[Any, Any]:
    """(n_cases,) who is of the group, and codes of patients, in the order of the case ids."""
    column, start = GROUP
    frame = result.cases.scores.to_frame().assign(patient_code=list(result.cases.scores.subjects))
    frame = frame.sort_values("case")
    return frame[column].astype(str).str.startswith(start).to_numpy(), frame["patient_code"].to_numpy()


def strategies_as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of the documentation."""

    def change(row: Mapping[str, Any], key: str) -> str:
        if f"{key}_change" not in row:
            return "-"
        low, high = row[f"{key}_change_ci"]
        return f"{row[f'{key}_change']:+.3f} [{low:+.3f}, {high:+.3f}]"

    head = ["training", "seeds", "mean DSC", "Toshiba", "rest", "mean: change", "null", "Toshiba: change", "null"]
    head += ["rest: change", "CPU minutes a fold"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [row["training"], str(row["seeds"]), *(f"{row[key]:.3f}" for key in ("mean", "group", "rest"))]
        for key in ("mean", "group", "rest"):
            cells.append(change(row, key))
            if key != "rest":
                cells.append(f"{row[f'{key}_null']:.3f}" if f"{key}_null" in row else "-")
        lines.append("| " + " | ".join([*cells, f"{row['minutes_per_fold']:.1f}"]) + " |")
    return "\n".join(lines)


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
