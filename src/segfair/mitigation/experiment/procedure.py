"""A mitigation from data to comparison: train each strategy and the plain baseline, predict, audit, compare.

Everything that is found goes into files under one folder. Computes no score: `findings` reads them off the audits.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np

from segfair.audit.procedure import run_audit
from segfair.audit.result import AuditResult
from segfair.audit.result.record import with_names
from segfair.audit.words import plural, search_sentence
from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.files.placing import refuse_unwritable, write_json
from segfair.mitigation.data.datasets import describe_cuts
from segfair.mitigation.data.fingerprint import take_fingerprint
from segfair.mitigation.experiment.findings import TrainedModel, find_scores, least_support
from segfair.mitigation.experiment.pages.summary_page import write_mitigation_page
from segfair.mitigation.experiment.planning import describe_selection, plan_training, started_from
from segfair.mitigation.experiment.run_folder import begin_folder, refuse_to_delete
from segfair.mitigation.experiment.settings import (
    WORST_MIN_CASES,
    MitigationSettings,
    check_resumable,
    load_settings,
    with_earlier,
)
from segfair.mitigation.experiment.studies import PhantomSize, Study, data_studies, phantom_study, pooled, read_data
from segfair.mitigation.experiment.summary import ModelSummary, read_epoch_scores, read_epoch_weights, summarise
from segfair.mitigation.experiment.trainings import (
    Training,
    augmentation_of,
    check_start,
    check_strategies,
    network_of,
    planned_models,
    planned_trainings,
    predict,
    track_scores,
    train,
)
from segfair.mitigation.networks.backbones import Size, check_shape, fitting_size, times
from segfair.mitigation.networks.checkpoints import check_unfinished
from segfair.mitigation.networks.memory import check_memory, check_own
from segfair.mitigation.training.catalogue import BASELINE
from segfair.mitigation.training.loop import FitResult
from segfair.mitigation.weighting.weights import mine_validation
from segfair.phantom import PHASES
from segfair.report.files import write_report
from segfair.scoring.cohort import score_cohort
from segfair.unfinished import held_folder

__all__ = ["FORMAT", "MitigationSettings", "load_settings", "run_mitigation"]

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
    main = os.environ.get("RANK", "0") == "0"
    with _alone(settings.out) if main else nullcontext():
        return _mitigate(settings, executor, tell, main=main)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Makes the folder of a run, and keeps others from writing there until the run ends.

    Raises:
        ConfigError: Another run does, or it cannot be written.
    """
    refuse_unwritable(out)
    out.mkdir(parents=True, exist_ok=True)
    with held_folder(out, wait=False) as alone:
        if not alone:
            raise ConfigError(f"--out {out}: another mitigation is writing there; wait for it, or name another folder")
        yield


def _mitigate(
    settings: MitigationSettings, executor: Executor | None, tell: Callable[[str], None], *, main: bool
) -> dict[str, Any]:
    """See `run_mitigation`; nobody else writes to the folder."""
    models = planned_models(settings)
    refuse_to_delete(settings)
    if settings.resume:
        settings = with_earlier(settings, settings.out / "config.toml")
        check_resumable(settings, settings.out / "config.toml")
    settings, studies = _studies(settings, executor, tell)
    check_strategies(settings, models, studies)
    _tell_before(settings, studies, tell)
    trainings = planned_trainings(settings, models, studies)
    for path in (training.folder / "checkpoint_last.pt" for training in trainings if settings.resume):
        if path.exists():
            check_unfinished(path)
    if main:
        begin_folder(settings, studies, models)

    fits = [_trained(settings, training, tell if main else lambda _: None) for training in trainings]
    if not main:
        # Processes that train together must not wait for one that predicts: all models are trained first.
        return {}

    for training in trainings:
        for notice in predict(settings, training):
            tell(f"{training.title}: {notice}")
    reported = studies[0] if len(studies) == 1 else pooled(studies)
    trained = []
    for model in models:
        own = tuple((training, fit) for training, fit in zip(trainings, fits, strict=True) if training.model is model)
        trained.append(_judged(own, reported, settings, executor))

    scores = find_scores(studies, reported, trained, settings)
    comparison = {"format": FORMAT, "models": {name: found.scores for name, found in scores.items()}}
    write_json(settings.out / "comparison.json", comparison)
    for model in models:
        track_scores(settings, model, scores[model.name].scores, tell=tell)
    summaries = [
        ModelSummary(
            model.name,
            model.backbone,
            model.strategy,
            scores[model.name].scores,
            scores[model.name].scores["diagnosis"],
            model.audit,
            len(model.fits[0].history),
            model.fits[0].best_epoch,
            # Of several trainings the weights of the first are drawn: they are alike.
            read_epoch_weights(model.trainings[0].folder / "weights.csv"),
            evidence=scores[model.name].evidence,
            history=read_epoch_scores(model.trainings[0].folder / "history.csv"),
        )
        for model in trained
    ]
    summary = summarise(summaries, baseline=BASELINE, budget=_budget(settings, studies), notices=reported.notices)
    write_mitigation_page(summary, settings.out, command="segfair mitigate", title=settings.title)
    return comparison


def _trained(settings: MitigationSettings, training: Training, tell: Callable[[str], None]) -> FitResult:
    """One training, and what there is to say of it."""
    fitted = train(settings, training, tell=tell)
    tell(f"{training.title}: kept epoch {fitted.best_epoch} of {settings.epochs}")
    for remark in fitted.remarks:
        tell(f"{training.title}: {remark}")
    return fitted


def _tell_before(settings: MitigationSettings, studies: Sequence[Study], tell: Callable[[str], None]) -> None:
    """What the user has to know before hours of training."""
    notices = [notice for study in studies for notice in (*study.notices, *_unseen(settings, study))]
    notices.append(describe_selection(settings.select or settings.recipe_entry.select))
    notices.extend(check_start(settings, studies[0]))
    for notice in dict.fromkeys(notices):
        tell(notice)


def _studies(
    settings: MitigationSettings, executor: Executor | None, tell: Callable[[str], None]
) -> tuple[MitigationSettings, tuple[Study, ...]]:
    """The data of the run, and the settings that its plan has completed."""
    if settings.data is None:
        _check_networks(settings, len(PHASES))
        return settings, (_phantom(settings),)
    settings = started_from(settings)
    data = read_data(settings)
    cases = data.source.cases
    # Test cases that are named beforehand have no part in the plan, nor in what CT is standardised by.
    known = [case for case in cases if case.id not in data.held_out]
    fingerprint = take_fingerprint(
        known, data.regions, phases=data.source.phases, modality=settings.modality, executor=executor
    )
    tell(fingerprint.describe())
    share = 1 - 1 / settings.folds if settings.folds else 0.8  # near enough, where folds or a split are given
    settings, reasons = plan_training(
        settings, fingerprint, n_training=max(1, round(share * len(cases))), phases=data.source.phases
    )
    for reason in reasons:
        tell(reason)
    _check_networks(settings, data.source.phases)
    count = _Count(tell, len(cases))
    studies = data_studies(data, settings, intensities=fingerprint.intensities, executor=executor, on_done=count)
    return settings, studies


def _phantom(settings: MitigationSettings) -> Study:
    size = cast("tuple[int, int, int]", settings.spatial_size)
    phantom = PhantomSize(size=size)
    if "swinunetr" in settings.networks:
        phantom = dataclasses.replace(phantom, cases=(12, 12, 12), planted=(2, 2, 2))
    return phantom_study(
        phantom, config=settings.audit_config, out=settings.out / "phantom", seed=settings.seed, bias=settings.bias
    )


def _judged(
    own: tuple[tuple[Training, FitResult], ...],
    reported: Study,
    settings: MitigationSettings,
    executor: Executor | None,
) -> TrainedModel:
    """A model with the audit of its first seed, and the scores of the others."""
    trainings, fits = zip(*own, strict=True)
    first = trainings[0]
    others = {training.repeat: training.predictions for training in trainings if training.repeat > 0}
    return TrainedModel(
        first.model,
        trainings,
        fits,
        _audit(reported, first, settings, executor),
        tuple(
            score_cohort(_with_predictions(reported, folder), reported.protocol, executor=executor)
            for folder in others.values()
        ),
    )


def _with_predictions(study: Study, predictions: Path) -> Cohort:
    cases = tuple(
        dataclasses.replace(case, prediction=path if path.is_file() else None)
        for case in study.test
        for path in [predictions / f"{case.id}.nii.gz"]
    )
    return dataclasses.replace(study.test, cases=cases, inputs={"predictions": predictions, **study.test.inputs})


def _audit(study: Study, training: Training, settings: MitigationSettings, executor: Executor | None) -> AuditResult:
    """The audit of the test predictions, with the bins that were fitted on the training cases."""
    cohort = _with_predictions(study, training.predictions)
    config = dataclasses.replace(
        study.config,
        min_support=least_support(len(cohort.cases)),
        min_cases=WORST_MIN_CASES,
        # A model that fails on many cases is a finding of the comparison, not a mistake in what was handed over.
        missing_prediction="worst",
    )
    result = run_audit(cohort, config, plan=study.plan, executor=executor)
    if settings.title:
        record = with_names(result.about.record, title=settings.title, model=training.model.name)
        result = dataclasses.replace(result, about=dataclasses.replace(result.about, record=record))
    write_report(result, training.model.folder / "audit", command="segfair mitigate")
    return result


def _budget(settings: MitigationSettings, studies: Sequence[Study]) -> dict[str, str]:
    """What every model was given, in words."""
    split, folded = studies[0].split, len(studies) > 1
    recipe = settings.recipe_entry
    rates = {name: settings.learning_rate(name) for name in settings.networks}
    shown = ", ".join(f"{rate:g}" if len(rates) == 1 else f"{name} {rate:g}" for name, rate in rates.items())
    test = sum(len(study.split.test) for study in studies)
    n_patches = settings.samples_per_case
    patches = f", {plural(n_patches, 'patch', 'patches')} a case" if n_patches else " voxels"
    return {
        "Recipe": settings.recipe_name,
        "Training cases": f"{len(split.train):,}" + (" in the first fold" if folded else ""),
        "Validation cases": f"{len(split.validation):,}" + (" in the first fold" if folded else ""),
        "Test cases": f"{test:,}" + (f", each by one of {len(studies)} folds" if folded else ""),
        **({"Seeds": str(settings.seeds)} if folded else {}),
        "Epochs": str(settings.epochs),
        "Draws an epoch": f"{len(split.train):,} cases in batches of {settings.batch_size}",
        "Optimiser": f"{settings.optimiser or recipe.optimiser}, {settings.schedule or recipe.schedule}, rate {shown}",
        "Augmentation": settings.augmentation or "paper",
        "Kept weights": describe_selection(settings.select or recipe.select).removeprefix("kept weights: "),
        "Input": times(cast(Size, settings.spatial_size)) + patches,
        "Loss of a case": settings.loss,
        "Seed": str(settings.seed),
    }


class _Count:
    """Says now and then how many cases are prepared: a large data set takes hours."""

    def __init__(self, tell: Callable[[str], None], n_cases: int) -> None:
        self.tell, self.n_cases, self.n_done = tell, n_cases, 0

    def __call__(self, _case: str) -> None:
        self.n_done += 1
        if self.n_done % max(100, self.n_cases // 5) == 0:
            self.tell(f"{self.n_done:,} of {self.n_cases:,} cases prepared")


def _unseen(settings: MitigationSettings, study: Study) -> list[str]:
    """What training does not see or sees in vain: cases in none of the sets, subgroups, cut lesions, padding."""
    size = cast(Size, settings.spatial_size)
    augmentation = augmentation_of(settings, study)
    cut = describe_cuts(study.prepared.cuts(study.split.train, augmentation), n_cases=len(study.split.train), size=size)
    left_out = study.split.left_out
    notices = [*([cut] if cut else []), _smallest_levels(study)]
    for part, name in (("train", "training"), ("validation", "validation")):
        if name in settings.followed:
            _, search = mine_validation(study.attributes[part], min_support=settings.min_support)
            if search.is_cut:
                notices.append(f"subgroups of the {name} cases: {search_sentence(search)}")
    if left_out:
        case, reason = next(iter(left_out.items()))
        notices.append(f"{len(left_out)} cases are in none of the sets, for example {case}: {reason}")
    shapes = [study.prepared.cases[case].shape[: settings.dims] for case in study.split.train]
    largest = tuple(max(sides) for sides in zip(*shapes, strict=True))
    holding = [fitting_size(network_of(settings, study, backbone), largest) for backbone in settings.networks]
    fits = tuple(max(sides) for sides in zip(*holding, strict=True))
    smaller = tuple(map(min, size, fits))
    if math.prod(size) >= 2 * math.prod(smaller):
        option = "patch" if settings.samples_per_case else "spatial-size"
        notices.append(
            f"the network sees {times(size)} voxels, and no training volume is larger than {times(largest)}: the "
            f"rest is padding; --{option} {' '.join(map(str, smaller))} holds every one"
        )
    return notices


def _smallest_levels(study: Study) -> str:
    """How few training cases the rarest level of each attribute has: what a strategy has to learn from."""
    rarest = []
    for attribute in study.attributes["train"].attributes:
        counts = np.bincount(attribute.codes[attribute.codes >= 0], minlength=len(attribute.levels))
        code = int(counts.argmin())
        rarest.append(f"{attribute.name} = {attribute.levels[code]} ({counts[code]:,})")
    return f"training cases of the rarest levels, of {len(study.split.train):,}: {', '.join(rarest)}"


def _check_networks(settings: MitigationSettings, phases: int) -> None:
    """Shape and memory of every backbone before the first step, each with its remedy."""
    size = cast(Size, settings.spatial_size)
    n_volumes = cast(int, settings.batch_size) * (settings.samples_per_case or 1)
    for backbone in settings.networks:
        config = dataclasses.replace(settings.network_config(backbone), in_channels=phases)
        if config.is_own:
            check_own(config, size)
        check_shape(config, size, what="patch" if settings.samples_per_case else "spatial size")
        check_memory(config, size, batch_size=n_volumes, amp=bool(settings.amp), device=settings.device)
