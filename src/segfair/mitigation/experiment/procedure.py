"""A mitigation from data to comparison: train each strategy and the plain baseline, predict, audit, compare.

All models of one backbone share data, initial weights and budget; they differ in their strategy alone. Everything
that is found goes into files under one folder. Computes no score: `findings` reads them off the audits.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import tomli_w
import torch

from segfair.audit.procedure import run_audit
from segfair.audit.result import AuditResult
from segfair.audit.words import search_sentence
from segfair.errors import ConfigError
from segfair.files.tables import write_csv
from segfair.mitigation.data.augmentation import Augmentation
from segfair.mitigation.data.datasets import describe_cuts
from segfair.mitigation.experiment.findings import WORST_MIN_CASES, TrainedModel, find_scores, least_support
from segfair.mitigation.experiment.settings import MitigationSettings, check_resumable, load_settings, read_weights
from segfair.mitigation.experiment.studies import PhantomSize, Selection, Study, data_study, phantom_study
from segfair.mitigation.experiment.summary import ModelSummary, read_epoch_weights, summarise
from segfair.mitigation.experiment.summary_page import write_mitigation_page
from segfair.mitigation.networks.backbones import (
    Backbone,
    NetworkConfig,
    Size,
    build_network,
    check_shape,
    fitting_size,
    times,
)
from segfair.mitigation.networks.memory import check_memory
from segfair.mitigation.prediction.bundle import export_bundle
from segfair.mitigation.prediction.volumes import WindowInferer, describe, load_model
from segfair.mitigation.training.catalogue import BASELINE
from segfair.mitigation.training.loop import FitResult, fit
from segfair.mitigation.training.objectives import case_loss
from segfair.mitigation.training.progress import RichProgress
from segfair.mitigation.training.state import FitSettings
from segfair.mitigation.training.strategies import make_strategy
from segfair.mitigation.training.strategy import StrategyOptions, TrainingContext
from segfair.mitigation.weighting.weights import mine_validation
from segfair.protocol.rules import Protocol
from segfair.report.files import write_report

__all__ = ["FORMAT", "MitigationSettings", "load_settings", "read_weights", "run_mitigation"]

FORMAT = 1


def run_mitigation(
    settings: MitigationSettings, *, executor: Executor | None = None, tell: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Trains, predicts, audits and compares; writes everything under `settings.out`.

    Args:
        settings: What to do.
        executor: Where volumes are prepared and masks are scored; None: here.
        tell: Called with sentences for the user.

    Returns:
        The contents of `comparison.json`.

    Raises:
        ConfigError, InputError: Settings or data that cannot be used, or a folder that holds a training; nothing has
            been trained then.
    """
    settings = settings.complete()
    models = _models(settings)
    _refuse_to_delete(settings, models)
    settings.out.mkdir(parents=True, exist_ok=True)
    if settings.resume:
        check_resumable(settings, settings.out / "config.toml")
    _check_networks(settings)
    study = _study(settings, executor, tell)
    protocol = study.protocol
    for notice in (*study.notices, *_unseen(settings, study)):
        tell(notice)
    context = _context(settings, study)
    for model in models:
        # Made once for nothing: one that cannot be must not be found out after hours of the others.
        make_strategy(model.strategy, context, _options(settings))
    main = os.environ.get("RANK", "0") == "0"
    if main:
        _begin_folder(settings, study, models)

    fits = []
    for model in models:
        fits.append(_train(settings, study, protocol, model))
        if main:
            tell(f"{model.name}: best epoch {fits[-1].best_epoch} of {settings.epochs}")
    if not main:
        # Processes that train together must not wait for one that predicts: all models are trained first.
        return {}

    trained = []
    for model, fitted in zip(models, fits, strict=True):
        for notice in _predict(settings, study, model.folder):
            tell(f"{model.name}: {notice}")
        audit = _audit(study, model.folder, executor)
        trained.append(TrainedModel(model.name, model.backbone, model.strategy, fitted, audit))

    scores = find_scores(study, trained, protocol, settings.out)
    comparison = {"format": FORMAT, "models": scores}
    _write_json(comparison, settings.out / "comparison.json")
    _write_page(settings, study, trained, scores)
    return comparison


@dataclass(frozen=True, slots=True)
class _Model:
    """One model to train: a strategy on a backbone, in a folder of its name."""

    name: str
    backbone: Backbone
    strategy: str
    folder: Path


def _models(settings: MitigationSettings) -> list[_Model]:
    """Every strategy on every backbone, the plain one first."""
    strategies = list(settings.strategies)
    if settings.baseline and BASELINE not in strategies:
        strategies.insert(0, BASELINE)
    alone = len(settings.backbones) == 1
    pairs = [(backbone, strategy) for backbone in settings.backbones for strategy in strategies]
    names = [strategy if alone else f"{backbone}-{strategy}" for backbone, strategy in pairs]
    return [_Model(name, *pair, settings.out / name) for name, pair in zip(names, pairs, strict=True)]


def _refuse_to_delete(settings: MitigationSettings, models: Sequence[_Model]) -> None:
    """A folder that holds a training is gone on with, left alone, or overwritten because somebody says so.

    Raises:
        ConfigError: It holds one, and nothing was said.
    """
    held = [model.name for model in models if any(model.folder.glob("checkpoint_*.pt"))]
    if held and not settings.resume and not settings.overwrite:
        raise ConfigError(
            f"--out {settings.out}: holds a training of {', '.join(held)}; go on with --resume, name another folder "
            "with --out, or remove what is there with --overwrite"
        )


def _begin_folder(settings: MitigationSettings, study: Study, models: Sequence[_Model]) -> None:
    """Writes down what is about to be done, and removes what an earlier run has left."""
    _write_skipped(study.skipped, settings.out / "skipped.csv")
    if not settings.resume:
        for model in models:
            _clear(model.folder)
    study.split.save(settings.out / "splits.json")
    (settings.out / "config.toml").write_text(tomli_w.dumps(settings.to_dict()), "utf-8")


def _write_page(
    settings: MitigationSettings, study: Study, trained: Sequence[TrainedModel], scores: Mapping[str, Any]
) -> None:
    summaries = [
        ModelSummary(
            model.name,
            model.backbone,
            model.strategy,
            scores[model.name],
            scores[model.name]["diagnosis"],
            model.audit,
            len(model.fitted.history),
            model.fitted.best_epoch,
            read_epoch_weights(settings.out / model.name / "weights.csv"),
        )
        for model in trained
    ]
    summary = summarise(summaries, baseline=BASELINE, budget=_budget(settings, study), notices=study.notices)
    write_mitigation_page(summary, settings.out, command="segfair mitigate")


def _clear(folder: Path) -> None:
    """Removes an earlier run's model, all of it before anything is trained.

    A run that is interrupted and goes on must not take the checkpoints or masks of another for its own.
    """
    for name in ("predictions", "audit", "bundle", "comparison"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("checkpoint_last.pt", "checkpoint_best.pt", "history.csv", "weights.csv"):
        (folder / name).unlink(missing_ok=True)


def _write_skipped(skipped: Mapping[str, str], path: Path) -> None:
    """Every case that nothing is done with, and why; no file without any."""
    path.unlink(missing_ok=True)
    if skipped:
        write_csv([{"case": case, "reason": reason} for case, reason in skipped.items()], path)


def _write_json(tree: Mapping[str, Any], path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(json.dumps(tree, indent=1, allow_nan=False, ensure_ascii=False), "utf-8")
    unfinished.replace(path)


def _budget(settings: MitigationSettings, study: Study) -> dict[str, str]:
    """What every model was given, in words."""
    split = study.split
    return {
        "Training cases": f"{len(split.train):,}",
        "Validation cases": f"{len(split.validation):,}",
        "Test cases": f"{len(split.test):,}",
        "Epochs": str(settings.epochs),
        "Draws an epoch": f"{len(split.train):,} cases in batches of {settings.batch_size}",
        "Optimiser": f"Adam, learning rate {settings.lr:g} falling to 0 along a cosine",
        "Input": " x ".join(map(str, cast(Size, settings.spatial_size)))
        + (f", {settings.samples_per_case} patches a case" if settings.samples_per_case else " voxels"),
        "Loss of a case": settings.loss,
        "Seed": str(settings.seed),
    }


class _Count:
    """Says after every hundred cases how many are prepared: a large data set takes hours."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell, self.n_done = tell, 0

    def __call__(self, _case: str) -> None:
        self.n_done += 1
        if self.n_done % 100 == 0:
            self.tell(f"{self.n_done:,} cases prepared")


def _study(settings: MitigationSettings, executor: Executor | None, tell: Callable[[str], None]) -> Study:
    size = cast(Size, settings.spatial_size)
    if settings.data is None:
        phantom = PhantomSize(size=size)
        if "swinunetr" in settings.backbones:
            phantom = dataclasses.replace(phantom, cases=(12, 12, 12), planted=(2, 2, 2))
        return phantom_study(
            phantom, config=settings.audit_config, out=settings.out / "phantom", seed=settings.seed, bias=settings.bias
        )
    return data_study(
        settings.data,
        config=settings.audit_config,
        out=settings.out,
        cache=settings.cache or settings.out / "cache",
        selection=Selection(
            settings.metadata, settings.phases, settings.id_column, settings.sheet, settings.cases, settings.where
        ),
        spacing_mm=settings.spacing_mm,
        resume=settings.resume,
        executor=executor,
        on_done=_Count(tell),
    )


def _unseen(settings: MitigationSettings, study: Study) -> list[str]:
    """What training does not see or sees in vain: cases in none of the sets, subgroups, cut lesions, padding."""
    size = cast(Size, settings.spatial_size)
    augmentation = Augmentation(size, samples_per_case=settings.samples_per_case)
    cut = describe_cuts(study.prepared.cuts(study.split.train, augmentation), n_cases=len(study.split.train), size=size)
    left_out = study.split.left_out
    notices = [cut] if cut else []
    _, search = mine_validation(study.attributes["validation"], min_support=settings.min_support)
    if search.is_cut:
        notices.append(f"subgroups of the validation cases: {search_sentence(search)}")
    if left_out:
        case, reason = next(iter(left_out.items()))
        notices.append(f"{len(left_out)} cases are in none of the three sets, for example {case}: {reason}")
    shapes = [study.prepared.cases[case].shape for case in study.split.train]
    largest = tuple(max(sides) for sides in zip(*shapes, strict=True))
    holding = [fitting_size(settings.network_config(backbone), largest) for backbone in settings.backbones]
    fits = tuple(max(sides) for sides in zip(*holding, strict=True))
    smaller = tuple(map(min, size, fits))
    if math.prod(size) >= 2 * math.prod(smaller):
        option = "patch" if settings.samples_per_case else "spatial-size"
        notices.append(
            f"the network sees {times(size)} voxels, and no training volume is larger than {times(largest)}: the "
            f"rest is padding; --{option} {' '.join(map(str, smaller))} holds every one"
        )
    return notices


def _check_networks(settings: MitigationSettings) -> None:
    """Shape and memory of every backbone before the first step, each with its remedy."""
    size = cast(Size, settings.spatial_size)
    n_volumes = cast(int, settings.batch_size) * (settings.samples_per_case or 1)
    for backbone in settings.backbones:
        config = settings.network_config(backbone)
        check_shape(config, size, what="patch" if settings.samples_per_case else "spatial size")
        check_memory(config, size, batch_size=n_volumes, amp=bool(settings.amp), device=settings.device)


def _context(settings: MitigationSettings, study: Study) -> TrainingContext:
    return TrainingContext(
        training=study.attributes["train"],
        validation=study.attributes["validation"],
        loss=case_loss(settings.loss),
        epochs=cast(int, settings.epochs),
        min_support=settings.min_support,
        volumes_mm3=study.prepared.volumes_mm3(study.split.train),
        seed=settings.seed,
    )


def _options(settings: MitigationSettings) -> StrategyOptions:
    return StrategyOptions(alpha=settings.alpha, reduction=settings.reduction, case_weights=settings.one_shot_weights)


def _network_config(settings: MitigationSettings, study: Study, backbone: Backbone) -> NetworkConfig:
    """The backbone with the channels that the data have and that are taught."""
    return dataclasses.replace(
        settings.network_config(backbone),
        in_channels=study.preprocessing.phases,
        out_channels=study.preprocessing.regions.n_channels,
    )


def _train(settings: MitigationSettings, study: Study, protocol: Protocol, model: _Model) -> FitResult:
    config = _network_config(settings, study, model.backbone)
    size = cast(Size, settings.spatial_size)
    augmentation = Augmentation(size, samples_per_case=settings.samples_per_case)
    context = _context(settings, study)
    # The same seed for every strategy: the same initial weights.
    torch.manual_seed(settings.seed)
    network = build_network(config)
    description = describe(
        config, study.preprocessing, size, strategy=model.strategy, seed=settings.seed, bins=study.plan.to_dict()
    )
    whole = study.prepared.whole
    equal_shapes = settings.data is None
    return fit(
        network,
        make_strategy(model.strategy, context, _options(settings)),
        context,
        training=study.prepared.training(study.split.train, augmentation),
        validation=whole(study.split.validation),
        plain_training=whole(study.split.train),
        settings=FitSettings(
            batch_size=cast(int, settings.batch_size),
            lr=cast(float, settings.lr),
            outcome=settings.outcome,
            device=settings.device,
            amp=bool(settings.amp),
            workers=settings.workers,
            validation_batch_size=16 if equal_shapes and model.backbone != "swinunetr" else 1,
            min_cases=WORST_MIN_CASES,
        ),
        inferer=WindowInferer(size),
        protocol=protocol,
        out=model.folder,
        description=description,
        resume=settings.resume,
        progress=RichProgress(f"{model.backbone}, {model.strategy}", context.epochs),
    )


def _predict(settings: MitigationSettings, study: Study, folder: Path) -> tuple[str, ...]:
    """Masks of the test cases by the best network, and the network as a MONAI bundle."""
    predictions = folder / "predictions" / "test"
    model = load_model(folder / "checkpoint_best.pt", device=settings.device)
    notices = study.predict(model, predictions, settings.device, bool(settings.amp))
    export_bundle(folder / "checkpoint_best.pt", folder / "bundle")
    return notices


def _audit(study: Study, folder: Path, executor: Executor | None) -> AuditResult:
    """The audit of the test predictions, with the bins that were fitted on the training cases."""
    predictions = folder / "predictions" / "test"
    cases = tuple(
        dataclasses.replace(case, prediction=path if path.is_file() else None)
        for case in study.test
        for path in [predictions / f"{case.id}.nii.gz"]
    )
    inputs = {"predictions": predictions, **study.test.inputs}
    cohort = dataclasses.replace(study.test, cases=cases, inputs=inputs)
    config = dataclasses.replace(
        study.config,
        min_support=least_support(len(cases)),
        min_cases=WORST_MIN_CASES,
        # A model that fails on many cases is a finding of the comparison, not a mistake in what was handed over.
        missing_prediction="worst",
    )
    result = run_audit(cohort, config, plan=study.plan, executor=executor)
    write_report(result, folder / "audit", command="segfair mitigate")
    return result
