"""Which strategy helps: every strategy on embedded cohorts with a planted bias, over seeds used for nothing else.

    python benchmarks/fairness.py [--workers 2] [--seeds 10 11 ...] [--block NAME]... [--quick]
    python benchmarks/fairness.py --confirm       # the code was rearranged: do the trainings come out the same?

Each training gets the same data, initial weights and number of epochs within a seed, unless its name says otherwise.
Writes `benchmarks/results/fairness.json` after each seed, and goes on from it: a training is a function of the code,
the setting and the seed, and those of another state of the code are discarded (unless `--confirm` trains one seed of
every block again and finds every number the same). Prints the tables as Markdown.

Setting H33: 32^3 voxels, 120 training cases (4 planted), 100 validation cases (3), 400 test cases (13), UNet (8, 16,
32) with two output channels, Dice-CE, Adam 3e-3 along a cosine, batches of 4, 10 epochs, flips and +-10 % intensity;
every model is that of the best validation TS, and all numbers are of the test cases.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are there: one thread a process
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import ast
import hashlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

HERE = Path(__file__).resolve().parent
RECORD = HERE / "results" / "fairness.json"
SOURCE = HERE.parent / "src" / "segfair"
# What a training depends on; a change elsewhere keeps the record.
CODE = (
    "phantom/*.py",
    "mitigation/networks/backbones.py",
    "mitigation/training/batches.py",
    "mitigation/data/augmentation.py",
    "mitigation/data/datasets.py",
    "mitigation/data/outputs.py",
    "mitigation/training/evaluation.py",
    "mitigation/training/loop.py",
    "mitigation/training/objectives.py",
    "mitigation/training/optimisers.py",
    "mitigation/weighting/balance.py",
    "mitigation/weighting/feedback.py",
    "mitigation/weighting/reweighter.py",
    "mitigation/weighting/running.py",
    "mitigation/training/state.py",
    "mitigation/training/strategies/*.py",
    "mitigation/weighting/tuning.py",
    "mitigation/weighting/weights.py",
    "stats/shrinkage.py",
)
FRESH = tuple(range(10, 18))

HEADLINE = (
    "erm",
    "fairmedseg",
    "divergence-sampling, validation",
    "adaptive-sampling, validation",
    "adaptive-sampling",
)
EVERY = (
    "erm",
    "erm, twice the epochs",
    "fairmedseg",
    "fairmedseg-mean1",
    "fairmedseg, alpha auto",
    "divergence-sampling",
    "divergence-sampling, validation",
    "divergence-sampling, validation, decaying sum",
    "adaptive-sampling",
    "adaptive-sampling, validation",
    "one-shot",
    "balanced",
    "balanced-tempered",
    "groupdro",
    "febs",
    "focal",
    "reweighing",
    "jtt",
    "adversarial",
    "oracle 10 x",
)


PLAIN_OR_BALANCED = ("erm", "balanced", "balanced-tempered")
OURS = ("divergence-sampling", "adaptive-sampling")


@dataclass(frozen=True)
class Setting:
    """Sizes of a study; `--quick` shrinks them to a test of the program."""

    cases: tuple[int, int, int] = (120, 100, 400)
    planted: tuple[int, int, int] = (4, 3, 13)
    epochs: int = 10
    batch_size: int = 4
    lr: float = 3e-3
    size: tuple[int, int, int] = (32, 32, 32)
    min_cases: int = 5


@dataclass(frozen=True)
class Block:
    """One mechanism of bias and the strategies that meet it."""

    name: str
    title: str
    strategies: tuple[str, ...]
    mechanism: str = "faint"
    bias: bool = True
    attributes: tuple[str, ...] = ("age_group", "menopause", "breast_density")
    n_seeds: int = 8


BLOCKS = (
    Block("H33", "rare and unlike the others (H33)", EVERY),
    Block("no bias", "the same cohort without a bias", (*HEADLINE, "divergence-sampling"), bias=False),
    Block(
        "moderate",
        "a moderate gap",
        (
            "erm",
            "divergence-sampling, validation",
            "divergence-sampling, validation, decaying sum",
            "adaptive-sampling",
            "adaptive-sampling, validation",
            "balanced-tempered",
            "oracle 8 x",
        ),
        mechanism="moderate",
    ),
    Block("texture", "a rare texture", HEADLINE, mechanism="texture", n_seeds=4),
    Block(
        "three attributes",
        "a subgroup of three attributes",
        HEADLINE,
        mechanism="three-attribute",
        attributes=("age_group", "menopause", "breast_density", "site"),
        n_seeds=4,
    ),
    Block(
        "rim",
        "tumours that enhance at their rim, at one site",
        (
            "erm",
            "fairmedseg",
            "divergence-sampling",
            "adaptive-sampling",
            "balanced",
            "balanced-tempered",
            "oracle 8 x",
        ),
        mechanism="rim",
        attributes=("age_group", "menopause", "breast_density", "site"),
        n_seeds=6,
    ),
)
AGAINST = (
    ("H33", "adaptive-sampling", "balanced"),
    ("H33", "adaptive-sampling", "divergence-sampling, validation"),
    ("rim", "adaptive-sampling", "balanced"),
    ("rim", "adaptive-sampling", "balanced-tempered"),
    ("H33", "divergence-sampling, validation", "oracle 10 x"),
    ("H33", "divergence-sampling, validation", "fairmedseg"),
    ("H33", "divergence-sampling, validation", "balanced"),
    ("H33", "divergence-sampling, validation, decaying sum", "divergence-sampling, validation"),
    ("moderate", "adaptive-sampling, validation", "erm"),
    ("texture", "adaptive-sampling, validation", "divergence-sampling, validation"),
)
"""Block, strategy and the one that the documentation holds it against."""
METRICS = ("dsc", "worst", "fs", "ts")
NAMES = {"dsc": "mean DSC", "worst": "worst subgroup", "fs": "FS", "ts": "TS", "rest": "rest", "planted": "planted"}


def run_seed(block: Block, seed: int, strategies: Sequence[str], setting: Setting) -> list[dict[str, Any]]:
    """Trains every strategy of a block on one seed's cohort; one row each."""
    import torch

    from segfair.attributes.fit import fit_attributes
    from segfair.cases import Case, Cohort
    from segfair.mitigation.data.augmentation import Augmentation
    from segfair.mitigation.data.datasets import from_arrays
    from segfair.mitigation.training.objectives import dice_ce
    from segfair.mitigation.training.strategies.strategy import TrainingContext
    from segfair.phantom import sample_cases
    from segfair.protocol.rules import load_protocol

    torch.set_num_threads(1)
    protocol = load_protocol("default")
    rng = np.random.default_rng([seed, 33])
    parts = [
        list(
            sample_cases(
                n,
                rng=rng,
                size=setting.size,
                bias=block.bias,
                planted_cases=n_planted,
                mechanism=block.mechanism,  # type: ignore[arg-type]
                prefix=prefix,
            )
        )
        for n, n_planted, prefix in zip(setting.cases, setting.planted, ("TR", "VA", "TE"), strict=True)
    ]
    cohorts = [
        Cohort(tuple(Case(case.id, metadata=case.metadata) for case in part), columns=tuple(part[0].metadata))
        for part in parts
    ]
    plan = fit_attributes(cohorts[0], protocol=protocol, chosen=block.attributes)
    tables = [plan.apply(cohort) for cohort in cohorts]
    every = [case for part in parts for case in part]
    data = from_arrays(
        [case.id for case in every],
        [case.image for case in every],
        [case.label for case in every],
        spacing_mm=every[0].spacing_mm,
    )
    ids = [table.case_ids for table in tables]
    study = {
        "training": data.training(ids[0], Augmentation(setting.size)),
        "plain_training": data.whole(ids[0]),
        "validation": data.whole(ids[1]),
    }
    context = TrainingContext(
        tables[0], tables[1], dice_ce, setting.epochs, volumes_mm3=data.volumes_mm3(ids[0]), seed=seed
    )
    planted = [np.array([case.planted for case in part]) for part in parts]
    rows: list[dict[str, Any]] = []
    earlier: Mapping[str, float] = {}
    for name in strategies:
        started = time.process_time()
        result, network = train(name, context, study, planted[0], earlier, protocol, setting)
        if name == "erm":
            earlier = one_shot(context, result)
        rows.append(
            {
                "block": block.name,
                "seed": seed,
                "strategy": name,
                **test_scores(network, data.whole(ids[2]), tables[2], planted[2], protocol, setting),
                "training_planted": mean(result.training.dsc[planted[0]]),
                "training_rest": mean(result.training.dsc[~planted[0]]),
                "validation_planted": mean(result.validation.dsc[planted[1]]),
                "best_epoch": result.best_epoch,
                "cpu_seconds": round(time.process_time() - started, 1),
            }
        )
    return rows


def train(
    name: str,
    context: Any,
    study: Mapping[str, Any],
    planted: np.ndarray,
    earlier: Mapping[str, float],
    protocol: Any,
    setting: Setting,
) -> tuple[Any, Any]:
    """One training; the network holds the weights of its best epoch."""
    import torch

    from segfair.mitigation.networks.backbones import NetworkConfig, build_network
    from segfair.mitigation.training.loop import FitSettings, fit
    from segfair.mitigation.training.strategies.kinds import make_strategy
    from segfair.mitigation.training.strategies.strategy import StrategyOptions
    from segfair.mitigation.weighting.reweighter import WeightRule

    kind, _, variant = name.partition(", ")
    options = StrategyOptions(case_weights=earlier)
    if variant == "twice the epochs":
        context = replace(context, epochs=2 * context.epochs)
    elif variant == "alpha auto":
        options = StrategyOptions(alpha="auto")
    elif variant.startswith("validation"):
        summed = WeightRule(memory="sum", rate=0.9, temperature=2.0) if variant.endswith("decaying sum") else None
        options = StrategyOptions(rule=summed, feedback="validation")
    if kind.startswith("oracle"):
        factor = float(kind.split()[1])
        told = np.where(planted, factor, 1.0).tolist()
        kind, options = (
            "one-shot",
            StrategyOptions(case_weights=dict(zip(context.training.case_ids, told, strict=True))),
        )
    torch.manual_seed(context.seed)
    network = build_network(NetworkConfig.small("unet", out_channels=2))
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            network,
            make_strategy(kind, context, options),
            context,
            **study,
            settings=FitSettings(
                batch_size=setting.batch_size,
                lr=setting.lr,
                validation_batch_size=4,
                min_cases=setting.min_cases,
            ),
            inferer=whole,
            protocol=protocol,
            out=Path(folder),
        )
    return result, network


def whole(inputs: Any, network: Any) -> Any:
    """Predicts volumes that fit at once."""
    return network(inputs)


def one_shot(context: Any, result: Any) -> Mapping[str, float]:
    """Weights from the plain model's validation scores, as `segfair weights` makes them from its audit."""
    from segfair.mitigation.weighting.reweighter import TILTED, DivergenceReweighter

    reweighter = DivergenceReweighter(
        context.validation, context.training, min_support=context.min_support, rule=TILTED
    )
    return reweighter.update_array(result.validation.dsc)


def test_scores(
    network: Any, dataset: Any, table: Any, planted: np.ndarray, protocol: Any, setting: Setting
) -> dict[str, float | None]:
    """Scores of the test cases; the worst subgroup is the one of lowest mean Dice among those of `min_cases`."""
    from segfair.mitigation.training.evaluation import evaluate, total_scores, worst_subgroup
    from segfair.subgroups.lattice import combine_items, frequent_items

    scored = evaluate(network, dataset, inferer=whole, protocol=protocol, batch_size=4)
    total = total_scores(scored, table, protocol, min_cases=setting.min_cases)
    membership = combine_items(table, frequent_items(table, 1), min_count=1)
    worst = worst_subgroup(membership, scored.dsc, min_cases=setting.min_cases)
    return {
        "dsc": mean(scored.dsc),
        "rest": mean(scored.dsc[~planted]),
        "planted": mean(scored.dsc[planted]),
        "worst": worst.dsc if worst else None,
        "fs": total.fs,
        "ts": total.ts,
    }


def mean(values: np.ndarray) -> float | None:
    """The mean; None of nothing."""
    return float(values.mean()) if len(values) else None


# Tables


def summarise(runs: Sequence[Mapping[str, Any]], block: Block) -> list[dict[str, Any]]:
    """One row a strategy: means over seeds, and paired changes against plain training with 95 % intervals."""
    mine = [run for run in runs if run["block"] == block.name]
    plain = {run["seed"]: run for run in mine if run["strategy"] == "erm"}
    rows = []
    for strategy in block.strategies:
        own = sorted((run for run in mine if run["strategy"] == strategy), key=lambda run: run["seed"])
        if not own:
            continue
        row: dict[str, Any] = {"strategy": strategy, "seeds": len(own)}
        for metric in ("dsc", "rest", "planted", "worst", "fs", "ts"):
            row[NAMES[metric]] = average([run[metric] for run in own])
        if strategy != "erm":
            for metric in METRICS:
                pairs = [
                    (run[metric], plain[run["seed"]][metric])
                    for run in own
                    if run["seed"] in plain and None not in (run[metric], plain[run["seed"]][metric])
                ]
                change, interval = paired(np.array([new - old for new, old in pairs]))
                row[f"change of {NAMES[metric]}"] = change
                row[f"95 % interval ({NAMES[metric]})"] = interval
        rows.append(row)
    return rows


def narrowed(row: Mapping[str, Any]) -> dict[str, Any]:
    """What fits on a line of a terminal."""
    kept = ("strategy", "seeds", "mean DSC", "worst subgroup", "FS", "TS")
    renamed = {
        "change of mean DSC": "DSC change",
        "change of worst subgroup": "worst change",
        "95 % interval (worst subgroup)": "95 % interval",
    }
    return {key: row[key] for key in kept} | {new: row.get(old) for old, new in renamed.items()}


def average(values: Sequence[float | None]) -> float | None:
    """Mean of what is defined."""
    return mean(np.array([value for value in values if value is not None], dtype=float))


def paired(changes: np.ndarray) -> tuple[float | None, list[float] | None]:
    """Mean of paired changes and its t interval; no interval from a single pair."""
    if not len(changes):
        return None, None
    centre = float(changes.mean())
    if len(changes) < 2:
        return centre, None
    reach = float(stats.t.ppf(0.975, len(changes) - 1) * changes.std(ddof=1) / np.sqrt(len(changes)))
    return centre, [centre - reach, centre + reach]


def markdown(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A table: means, then changes against plain training with their intervals."""
    lines = [
        f"### {title[0].upper() + title[1:]}",
        "",
        "| strategy | seeds | mean DSC | rest | planted | worst subgroup | FS | TS |"
        + "".join(f" {NAMES[metric]}: change |" for metric in METRICS),
        "|---" * (8 + len(METRICS)) + "|",
    ]
    for row in rows:
        cells = [row["strategy"], str(row["seeds"])]
        for metric in ("dsc", "rest", "planted", "worst", "fs", "ts"):
            value = row[NAMES[metric]]
            cells.append("-" if value is None else f"{value:.3f}")
        for metric in METRICS:
            change, interval = row.get(f"change of {NAMES[metric]}"), row.get(f"95 % interval ({NAMES[metric]})")
            text = "-" if change is None else f"{change:+.3f}"
            cells.append(text + (f" [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def checks(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whether the cohort is what it should be, and whether the goals are met; a sentence each."""
    by = {block.name: {row["strategy"]: row for row in summarise(runs, block)} for block in BLOCKS}
    found = []
    h33 = by["H33"]
    if {"erm", "oracle 10 x"} <= h33.keys():
        plain, oracle = h33["erm"], h33["oracle 10 x"]
        found.append(
            f"cohort: plain training scores {plain['rest']:.3f} on the rest (at least .88 wanted) and "
            f"{plain['planted']:.3f} on the planted group (at most .4), an oracle {oracle['planted']:.3f} (at least .6)"
        )
    for name in OURS:
        if name in h33:
            row = h33[name]
            others = [
                (other["worst subgroup"], key)
                for key, other in h33.items()
                if not key.startswith((*OURS, "erm, twice the epochs", "oracle"))
            ]
            best, who = max(others)
            found.append(
                f"{name} on H33: worst subgroup {row['change of worst subgroup']:+.3f} over plain training (+.3 "
                f"wanted), mean DSC {row['change of mean DSC']:+.3f} (above -.01 wanted); best of the other "
                f"strategies: {who}, {best:.3f} against {row['worst subgroup']:.3f}"
            )
    if "oracle 8 x" in by["moderate"]:
        gain = by["moderate"]["oracle 8 x"]["planted"] - by["moderate"]["erm"]["planted"]
        for name in (name for name in by["moderate"] if name.startswith(OURS)):
            own = by["moderate"][name]["planted"] - by["moderate"]["erm"]["planted"]
            found.append(f"moderate gap: {name} gains {own:+.3f} of the oracle's {gain:+.3f} on the planted group")
    for block in ("H33", "rim"):
        for name in (name for name in OURS if name in by[block]):
            best = max(by[block][other]["worst subgroup"] for other in PLAIN_OR_BALANCED if other in by[block])
            own = by[block][name]
            found.append(
                f"{block}: worst subgroup of {name} {own['worst subgroup']:.3f}, of the better of plain and balanced "
                f"training {best:.3f}; mean DSC {own['change of mean DSC']:+.3f}"
            )
    found.extend(sentence for pair in AGAINST for sentence in [against(runs, *pair)] if sentence)
    return found


def against(runs: Sequence[Mapping[str, Any]], block: str, strategy: str, other: str) -> str | None:
    """Paired difference of the worst subgroup of two strategies in words; None where no seed has both."""
    worst = {
        name: {run["seed"]: run["worst"] for run in runs if (run["block"], run["strategy"]) == (block, name)}
        for name in (strategy, other)
    }
    seeds = sorted(worst[strategy].keys() & worst[other].keys())
    change, interval = paired(np.array([worst[strategy][seed] - worst[other][seed] for seed in seeds]))
    if change is None:
        return None
    reach = f" [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""
    return f"{block}: {strategy} minus {other}, worst subgroup over {len(seeds)} seeds: {change:+.3f}{reach}"


# The record


def fingerprint(setting: Setting) -> str:
    """Changes whenever a training could turn out differently, and not where a module only moves to another folder."""
    digest = hashlib.sha256(json.dumps(asdict(setting)).encode())
    paths = {path for pattern in CODE for path in SOURCE.glob(pattern)}
    for statements in sorted(_statements(path.read_text("utf-8")) for path in paths):
        digest.update(statements.encode())
    return digest.hexdigest()


def _statements(source: str) -> str:
    """The lines of a module that compute: without imports, docstrings and lines of comment."""
    lines: list[str] = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_docstring or isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "\n".join(line for line in lines if line.strip() and not line.lstrip().startswith("#"))


def read_runs(path: Path, setting: Setting, *, keep: bool) -> list[Mapping[str, Any]]:
    """Runs of an earlier call that still hold, or all of them with `keep`."""
    if not path.is_file():
        return []
    record = json.loads(path.read_text("utf-8"))
    if record["fingerprint"] == fingerprint(setting):
        return list(record["runs"])
    print(f"{path.name} is of another state of the code; ", end="", flush=True)
    print("its tables:" if keep else "everything is trained again", flush=True)
    return list(record["runs"]) if keep else []


Job = tuple[Block, int, tuple[str, ...]]
"""Strategies to train on the cohort of a block and a seed."""


def recorded(runs: Sequence[Mapping[str, Any]], block: Block, seed: int) -> tuple[str, ...]:
    """Strategies of a block and a seed that there are runs of, in the block's order."""
    done = {run["strategy"] for run in runs if (run["block"], run["seed"]) == (block.name, seed)}
    return tuple(strategy for strategy in block.strategies if strategy in done)


def missing(runs: Sequence[Mapping[str, Any]], blocks: Sequence[Block], seeds: Sequence[int]) -> list[Job]:
    """What has to be trained; the one-shot weights come from the seed's plain model, which is then trained too."""
    jobs = []
    for block in blocks:
        for seed in seeds[: block.n_seeds]:
            done = recorded(runs, block, seed)
            left = tuple(strategy for strategy in block.strategies if strategy not in done)
            if "one-shot" in left and "erm" not in left:
                left = ("erm", *left)
            if left:
                jobs.append((block, seed, left))
    return jobs


def merged(runs: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Runs with new ones in place of older ones of the same name."""
    replaced = {(run["block"], run["seed"], run["strategy"]) for run in new}
    kept = [run for run in runs if (run["block"], run["seed"], run["strategy"]) not in replaced]
    return [*kept, *new]


def confirm(runs: Sequence[Mapping[str, Any]], again: Sequence[Mapping[str, Any]]) -> None:
    """Stops unless trainings that were repeated came out the same; time is no result.

    A score may differ in its last digit, where its sum is taken in another order; a training that computes anything
    else differs by far more.
    """
    before = {(run["block"], run["seed"], run["strategy"]): run for run in runs}
    for run in again:
        old = before[(run["block"], run["seed"], run["strategy"])]
        changed = [key for key, value in run.items() if key != "cpu_seconds" and not _same(old[key], value)]
        if changed:
            raise SystemExit(
                f"{run['block']}, seed {run['seed']}, {run['strategy']}: {changed[0]} was {old[changed[0]]}, now it is "
                f"{run[changed[0]]}; the record is of other code, train again without --confirm"
            )


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=1e-12)
    return bool(before == after)


def write_record(path: Path, runs: Sequence[Mapping[str, Any]], setting: Setting) -> None:
    """Writes the file whole or not at all."""
    seeds = sorted({run["seed"] for run in runs if run["block"] == "H33"})
    about = (
        f"setting H33 (a rare subgroup that looks different), {len(seeds)} seeds ({min(seeds)}-{max(seeds)}), "
        if seeds
        else ""
    ) + "equal epochs unless the name says otherwise; changes are paired over seeds against erm, 95 % t intervals"
    ordered = sorted(runs, key=lambda run: (run["block"], run["seed"], run["strategy"]))
    record = {
        "format": 1,
        "about": about,
        "summary": [narrowed(row) for row in summarise(ordered, BLOCKS[0])],
        "blocks": {block.name: summarise(ordered, block) for block in BLOCKS},
        "checks": checks(ordered),
        "setting": asdict(setting),
        "cpu_minutes": round(sum(run.get("cpu_seconds", 0.0) for run in ordered) / 60, 1),
        "fingerprint": fingerprint(setting),
        "runs": ordered,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", "utf-8")
    temporary.replace(path)


def main() -> None:
    """Trains what is missing, one seed of one block at a time, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of one thread")
    parser.add_argument("--seeds", type=int, nargs="+", default=FRESH, help="seeds; blocks with fewer take the first")
    parser.add_argument("--block", action="append", choices=[block.name for block in BLOCKS], help="only these")
    parser.add_argument("--quick", action="store_true", help="a few cases, two epochs, one seed: does the program run?")
    parser.add_argument("--tables", action="store_true", help="train nothing, print the tables of the record")
    parser.add_argument("--confirm", action="store_true", help="keep the record if its first seed comes out the same")
    parser.add_argument("--out", type=Path, default=RECORD)
    arguments = parser.parse_args()
    setting, seeds, path = Setting(), tuple(arguments.seeds), arguments.out
    if arguments.quick:
        setting = Setting(cases=(12, 12, 20), planted=(2, 2, 5), epochs=2, size=(16, 16, 16))
        seeds, path = seeds[:1], path.with_name("fairness-quick.json")
    runs = read_runs(path, setting, keep=arguments.tables or arguments.confirm)
    wanted = [block for block in BLOCKS if not arguments.block or block.name in arguments.block]
    jobs = [] if arguments.tables else missing(runs, wanted, seeds)
    if arguments.confirm:
        jobs = [(block, seeds[0], recorded(runs, block, seeds[0])) for block in wanted]
    started = time.monotonic()
    if jobs:
        n_trainings = sum(len(strategies) for _, _, strategies in jobs)
        print(f"{n_trainings} trainings of {len(jobs)} cohorts, {arguments.workers} processes", flush=True)
        with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(run_seed, *job, setting): job for job in jobs}
            for count, future in enumerate(as_completed(waiting), start=1):
                block, seed, _ = waiting[future]
                minutes = (time.monotonic() - started) / 60
                if arguments.confirm:
                    confirm(runs, future.result())
                else:
                    runs = merged(runs, future.result())
                    write_record(path, runs, setting)
                print(f"{count}/{len(jobs)}: {block.name}, seed {seed}; {minutes:.1f} min", file=sys.stderr, flush=True)
        if arguments.confirm:
            print("every number is the same, to twelve digits: the record is that of the present code")
            write_record(path, runs, setting)
    for block in BLOCKS:
        rows = summarise(runs, block)
        if rows:
            print("\n" + markdown(block.title, rows))
    print("\n" + "\n".join(f"- {sentence}" for sentence in checks(runs)))


if __name__ == "__main__":
    main()
