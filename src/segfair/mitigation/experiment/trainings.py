"""One training of a run: from settings and a study to a kept network, its bundle and its masks. Judges nothing.

All models of one backbone share cases, initial weights and budget; they differ in their strategy alone.
"""

from __future__ import annotations

import dataclasses
import multiprocessing.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from segfair.errors import ConfigError
from segfair.mitigation.data.augmentation import Augmentation, Strength
from segfair.mitigation.data.fingerprint import thick_axis
from segfair.mitigation.experiment.settings import WORST_MIN_CASES, MitigationSettings
from segfair.mitigation.experiment.studies import Study
from segfair.mitigation.networks.backbones import NetworkConfig, Size, build_network
from segfair.mitigation.networks.checkpoints import load_checkpoint, put_weights
from segfair.mitigation.prediction.bundle import export_bundle
from segfair.mitigation.prediction.volumes import WindowInferer, check_description, describe, load_model
from segfair.mitigation.training.catalogue import BASELINE, STRATEGIES
from segfair.mitigation.training.loop import FitResult, TrainingError, fit
from segfair.mitigation.training.objectives import case_loss
from segfair.mitigation.training.progress import RichProgress, TrainingProgress
from segfair.mitigation.training.state import FitSettings
from segfair.mitigation.training.strategies.kinds import make_strategy
from segfair.mitigation.training.strategies.strategy import StrategyOptions, TrainingContext
from segfair.mitigation.training.trackers import TrackedProgress, TrackedRun, Trackers
from segfair.signals import exit_code

__all__ = [
    "Model",
    "Training",
    "augmentation_of",
    "check_start",
    "check_strategies",
    "network_of",
    "planned_models",
    "planned_trainings",
    "predict",
    "track_scores",
    "train",
]


@dataclass(frozen=True, slots=True)
class Model:
    """A strategy on a backbone, in a folder of its name; trained once, or once a fold and seed."""

    name: str
    backbone: str
    strategy: str
    folder: Path


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """One training of a model.

    Attributes:
        model: What is trained.
        study: On which cases.
        seed: Of initial weights and of everything drawn.
        repeat: Number of the seed, from 0.
        folder: Of its checkpoints.
        predictions: Folder of the masks of its test cases; trainings of a model and repeat share it.
        title: For the user.
        fold: Number of the fold, from 1; 0 without folds.
    """

    model: Model
    study: Study
    seed: int
    repeat: int
    folder: Path
    predictions: Path
    title: str
    fold: int


def planned_models(settings: MitigationSettings) -> list[Model]:
    """Every strategy on every backbone, the plain one first."""
    strategies = list(settings.strategies)
    if settings.baseline and BASELINE not in strategies:
        strategies.insert(0, BASELINE)
    alone = len(settings.networks) == 1
    pairs = [(backbone, strategy) for backbone in settings.networks for strategy in strategies]
    names = [strategy if alone else f"{backbone.replace(':', '.')}-{strategy}" for backbone, strategy in pairs]
    return [Model(name, *pair, settings.out / name) for name, pair in zip(names, pairs, strict=True)]


def planned_trainings(
    settings: MitigationSettings, models: Sequence[Model], studies: Sequence[Study]
) -> list[Training]:
    """Seed by seed and fold by fold, the models of a fold one after the other."""
    folded = len(studies) > 1
    trainings = []
    for repeat in range(settings.seeds):
        for number, study in enumerate(studies, start=1):
            for model in models:
                place = model.folder / f"seed-{repeat + 1}" if settings.seeds > 1 else model.folder
                parts = [f"{model.backbone}, {model.strategy}"]
                parts += [f"seed {repeat + 1} of {settings.seeds}"] if settings.seeds > 1 else []
                parts += [f"fold {number} of {len(studies)}"] if folded else []
                trainings.append(
                    Training(
                        model,
                        study,
                        # The same for every model: the same initial weights, the same draws.
                        settings.seed + 1000 * repeat + (number - 1),
                        repeat,
                        place / f"fold-{number}" if folded else place,
                        place / "predictions" / ("pooled" if folded else "test"),
                        ", ".join(parts),
                        number if folded else 0,
                    )
                )
    return trainings


def check_strategies(settings: MitigationSettings, models: Sequence[Model], studies: Sequence[Study]) -> None:
    """Makes every strategy once for nothing: one that cannot be must not be found out after hours of the others.

    Raises:
        ConfigError: As `make_strategy`, a strategy that learns from validation cases, and there are none, or one that
            changes images as all models of the run do.
    """
    blind = next((model.strategy for model in models if STRATEGIES[model.strategy].validates(settings.feedback)), None)
    if blind is not None and any(not study.split.validation for study in studies):
        raise ConfigError(
            f"--strategy {blind}: learns from scores of validation cases, and this split has none (it was drawn for "
            "strategies that need none); train into another folder (--out)"
        )
    for study in studies:
        context = _context(settings, study, settings.seed)
        for strategy in dict.fromkeys(model.strategy for model in models):
            made = make_strategy(strategy, context, _options(settings))
            if made.augmentation is not None and made.augmentation == settings.augmentation:
                raise ConfigError(
                    f"--strategy {strategy}: images are already changed in this way (augmentation = "
                    f'"{made.augmentation}") in every model of this run; leave it out, or set augmentation = "light" '
                    "(--config)"
                )


def network_of(settings: MitigationSettings, study: Study, backbone: str) -> NetworkConfig:
    """The backbone with the channels that the data have and that are taught."""
    return dataclasses.replace(
        settings.network_config(backbone),
        in_channels=study.preprocessing.phases,
        out_channels=study.preprocessing.regions.n_channels,
    )


def augmentation_of(settings: MitigationSettings, study: Study, strength: Strength | None = None) -> Augmentation:
    """What training does to an image; a strategy that acts on images names the strength."""
    size = cast(Size, settings.spatial_size)
    return Augmentation(
        size,
        samples_per_case=settings.samples_per_case,
        strength=strength or settings.augmentation or "paper",
        flips=_flips(settings),
        thick_axis=thick_axis(study.prepared.spacing_mm) if len(size) == 3 else None,
    )


def _flips(settings: MitigationSettings) -> tuple[int, ...]:
    axes = settings.flip_axes if settings.flip_axes is not None else ("x", "y", "z")
    return tuple(index for axis in axes if (index := "xyz".index(axis)) < settings.dims)


def _context(settings: MitigationSettings, study: Study, seed: int) -> TrainingContext:
    return TrainingContext(
        training=study.attributes["train"],
        validation=study.attributes["validation"],
        loss=case_loss(settings.loss),
        epochs=cast(int, settings.epochs),
        min_support=settings.min_support,
        volumes_mm3=study.prepared.volumes_mm3(study.split.train),
        seed=seed,
    )


def _options(settings: MitigationSettings) -> StrategyOptions:
    return StrategyOptions(
        alpha=settings.alpha,
        reduction=settings.reduction,
        rule_changes=settings.weights,
        case_weights=settings.one_shot_weights,
        feedback=settings.feedback,
        oracle=settings.oracle,
    )


def train(
    settings: MitigationSettings, training: Training, *, tell: Callable[[str], None] = lambda _: None
) -> FitResult:
    """Trains, and leaves the kept network in the training's folder.

    Args:
        settings: What to do.
        training: Of which model, on which cases.
        tell: Called with a sentence where a tracker fails.

    Raises:
        ConfigError, InputError: A checkpoint to start from that does not fit.
    """
    study, model = training.study, training.model
    config = network_of(settings, study, model.backbone)
    size = cast(Size, settings.spatial_size)
    context = _context(settings, study, training.seed)
    # The same seed for every strategy: the same initial weights.
    torch.manual_seed(training.seed)
    network = build_network(config)
    if settings.init is not None:
        _start_from(settings.init, load_checkpoint(settings.init), network, config)
    flips = {"flips": list(_flips(settings))} if settings.test_flips else {}
    description = describe(
        config,
        study.preprocessing,
        size,
        strategy=model.strategy,
        seed=training.seed,
        bins=study.plan.to_dict(),
        keep_largest=settings.keep_largest,
        **flips,
    )
    whole = study.prepared.whole
    # The phantom's volumes, and pictures, are predicted many at once.
    small = settings.data is None or settings.dims == 2
    strategy = make_strategy(model.strategy, context, _options(settings))
    augmentation = augmentation_of(settings, study, strategy.augmentation)
    with _loaders_told():
        return fit(
            network,
            strategy,
            context,
            training=study.prepared.training(study.split.train, augmentation),
            validation=whole(study.split.validation) if study.split.validation else None,
            plain_training=whole(study.split.train),
            settings=_fit_settings(settings, model.backbone, 16 if small and model.backbone != "swinunetr" else 1),
            inferer=WindowInferer(size),
            protocol=study.protocol,
            out=training.folder,
            description=description,
            resume=settings.resume,
            progress=_progress(settings, training, context.epochs, tell),
        )


@contextmanager
def _loaders_told() -> Iterator[None]:
    """Says what the death of a process that loads cases means; torch tells it as a fault of its own."""
    # Theirs, too: a temporary folder that each of them made would stay where it is ended.
    multiprocessing.util.get_temp_dir()
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        if exit_code():  # whoever ended this process ended those as well
            raise KeyboardInterrupt from error
        raise TrainingError(
            "a process that loads cases has ended (out of memory?); go on with --resume and fewer --workers"
        ) from error


def _progress(
    settings: MitigationSettings, training: Training, n_epochs: int, tell: Callable[[str], None]
) -> TrainingProgress:
    """What is shown of a training, and told to trackers."""
    shown = RichProgress(training.title, n_epochs)
    if not settings.log:
        return shown
    facts: dict[str, str | int] = {
        "strategy": training.model.strategy,
        "backbone": training.model.backbone,
        "seed": training.seed,
        "repeat": training.repeat + 1,
        "epochs": n_epochs,
        **({"fold": training.fold} if training.fold else {}),
    }
    place = training.folder.relative_to(settings.out).as_posix()
    run = TrackedRun(training.title, place, facts, resumed=settings.resume)
    trackers = Trackers(settings.log, settings.out, run, tell=tell)
    return TrackedProgress(shown, trackers, n_epochs=n_epochs, history=training.folder / "history.csv")


def track_scores(
    settings: MitigationSettings, model: Model, scores: Mapping[str, Any], *, tell: Callable[[str], None]
) -> None:
    """Tells trackers what a model has reached: the scores of its test cases, or of all cases out of fold, in one step.

    Args:
        settings: What was done.
        model: The model.
        scores: Its entry of `comparison.json`.
        tell: Called with a sentence where a tracker fails.
    """
    judged = "pooled" if "pooled" in scores else "test"
    found = scores[judged]
    worst = found.get("worst_subgroup") or {}
    reached = {**{name: found.get(name) for name in ("DSC", "NormHD", "PS", "FS", "TS")}, "worst_DSC": worst.get("dsc")}
    facts: dict[str, str | int] = {"strategy": model.strategy, "backbone": model.backbone, "cases": judged}
    run = TrackedRun(
        f"{model.backbone}, {model.strategy}, {judged}", f"{model.name}/{judged}", facts, resumed=settings.resume
    )
    trackers = Trackers(settings.log or (), settings.out, run, tell=tell)
    trackers.begin()
    trackers.log({name: float(value) for name, value in reached.items() if value is not None}, 1)
    trackers.end(complete=True)


def _fit_settings(settings: MitigationSettings, backbone: str, validation_batch_size: int) -> FitSettings:
    recipe, select = settings.recipe_entry, settings.select or settings.recipe_entry.select
    average = recipe.average if settings.average is None else settings.average
    return FitSettings(
        batch_size=cast(int, settings.batch_size),
        lr=settings.learning_rate(backbone),
        optimiser=settings.optimiser or recipe.optimiser,
        schedule=settings.schedule or recipe.schedule,
        weight_decay=recipe.weight_decay if settings.weight_decay is None else settings.weight_decay,
        # "last" means the weights of the last step, and "ema" their average, also where the recipe has none.
        average=0.0 if select == "last" else average or (0.02 if select == "ema" else 0.0),
        select=select,
        validate_every=settings.validate_every,
        compiled=settings.compiled,
        outcome=settings.outcome,
        device=settings.device,
        amp=bool(settings.amp),
        workers=settings.workers,
        validation_batch_size=validation_batch_size,
        min_cases=WORST_MIN_CASES,
    )


def check_start(settings: MitigationSettings, study: Study) -> tuple[str, ...]:
    """Compares the checkpoint that trainings start from with what they will be; notices for the reader.

    Raises:
        InputError: It cannot be read.
        ConfigError: Its network, or what it does to an image, is another.
    """
    if settings.init is None:
        return ()
    checkpoint = load_checkpoint(settings.init)
    before = check_description(checkpoint, settings.init, required=False)
    now = study.preprocessing.to_dict()
    was = before.get("preprocessing", {})
    for key, option in (("spacing_mm", "--spacing"), ("normalise", "normalise in --config"), ("regions", "--label")):
        if key in was and was[key] != now[key]:
            raise ConfigError(
                f"--init {settings.init}: was trained with {key} {was[key]}, this run has {now[key]}; give the same "
                f"({option})"
            )
    for backbone in settings.networks:
        config = network_of(settings, study, backbone)
        _start_from(settings.init, checkpoint, build_network(config), config)
    return (
        f"--init {settings.init}: cases that it has learned from are no test of what is trained from it, and which "
        "these are is not known here",
    )


def _start_from(path: Path, checkpoint: Mapping[str, Any], network: torch.nn.Module, config: NetworkConfig) -> None:
    """Puts the weights of an earlier training, read from `path`, into a network."""
    try:
        put_weights(network, checkpoint["network"])
    except ConfigError as error:
        was = (checkpoint.get("description") or {}).get("backbone", {}).get("name", "unknown")
        raise ConfigError(
            f"--init {path}: its weights, of a {was}, do not fit the {config.name} of this run ({error}); name it with "
            "--backbone, or give the settings of that run (--config)"
        ) from error


def predict(settings: MitigationSettings, training: Training) -> tuple[str, ...]:
    """Masks of the test cases by the kept network, and the network as a MONAI bundle; notices for the reader."""
    checkpoint = training.folder / "checkpoint_best.pt"
    own = training.model.backbone if ":" in training.model.backbone else None
    model = load_model(checkpoint, device=settings.device, own_network=own)
    notices = training.study.predict(model, training.predictions, settings.device, bool(settings.amp))
    if settings.dims == 3:
        # A bundle reads volumes; pictures are predicted by `segfair predict`.
        export_bundle(checkpoint, training.folder / "bundle", own_network=own)
    return notices
