"""A mitigation from data to comparison: train each strategy and the plain baseline, predict, audit, compare.

All models of one backbone share data, initial weights and budget; they differ in their strategy alone. Everything
that is found goes into files under one folder; the numbers of the comparison are read off the audits.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import tomli_w
import torch

from segfair.audit import run_audit
from segfair.binning import as_number
from segfair.errors import ConfigError, InputError
from segfair.io.cells import cell_text
from segfair.io.tables import load_table
from segfair.mitigation.backbones import BACKBONES, Backbone, NetworkConfig, build_network, check_shape
from segfair.mitigation.bundle import export_bundle
from segfair.mitigation.data import Augmentation, describe_cuts
from segfair.mitigation.diagnosis import Part, diagnose_models, drawn_share, part_of
from segfair.mitigation.evaluation import ScoredCases, total_scores
from segfair.mitigation.loop import FitResult, fit
from segfair.mitigation.memory import check_memory
from segfair.mitigation.objectives import LossName, case_loss
from segfair.mitigation.predict import WindowInferer, describe, load_model
from segfair.mitigation.preprocessing import Preprocessing
from segfair.mitigation.progress import RichProgress
from segfair.mitigation.run import FitSettings
from segfair.mitigation.strategies import STRATEGIES, StrategyOptions, TrainingContext, make_strategy
from segfair.mitigation.studies import PhantomSize, Study, data_study, phantom_study
from segfair.mitigation.summary import ModelSummary, read_epoch_weights, summarise, trained_weights
from segfair.mitigation.summary_page import write_mitigation_page
from segfair.protocol import Protocol, load_protocol
from segfair.report import write_report
from segfair.results import AuditConfig, AuditResult
from segfair.subgroups import Membership, Subgroup, mine_subgroups

__all__ = ["FORMAT", "WORST_MIN_CASES", "MitigationSettings", "load_settings", "read_weights", "run_mitigation"]

FORMAT = 1
BASELINE = "erm"
WORST_MIN_CASES = 5
Size = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class MitigationSettings:
    """Settings of a mitigation; None where the default depends on whether data were handed in.

    Attributes:
        out: Folder of everything.
        data: Data set; None: the embedded phantom.
        metadata: Its table; None: the one in its folder.
        backbones, strategies: What to train; the plain baseline is added unless `baseline` is off.
        epochs, batch_size, lr: Budget of every model.
        spatial_size: Voxels that the network sees; with `samples_per_case` those of a patch.
        samples_per_case: Patches a case; None: whole volumes.
        options: Further widths of the backbones.
        attributes: Metadata columns; None: every usable one (phantom: age group, menopause, density).
        alpha, min_support, loss, outcome: Of FairMedSeg and the divergences.
        spacing_mm, phases: Preprocessing of data on disk.
        device: "auto", "cpu" or "cuda".
        amp: None: on a GPU.
        one_shot_weights: Case weights from an earlier audit, for the strategy `one-shot`.
        seed: Of split, initial weights and training; the phantom's cases too.
    """

    out: Path
    data: Path | None = None
    metadata: Path | None = None
    backbones: tuple[Backbone, ...] = ("unet",)
    strategies: tuple[str, ...] = ("fairmedseg",)
    baseline: bool = True
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    spatial_size: Size | None = None
    samples_per_case: int | None = None
    attributes: tuple[str, ...] | None = None
    subject_column: str | None = None
    alpha: float | Literal["auto"] = 0.2
    min_support: float = 0.001
    loss: LossName = "dice-ce"
    outcome: Literal["dsc", "ps"] = "dsc"
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    phases: int = 3
    device: str = "auto"
    amp: bool | None = None
    workers: int = 0
    cache: Path | None = None
    seed: int = 0
    resume: bool = False
    bias: bool = True
    one_shot_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def complete(self) -> MitigationSettings:
        """Every default filled in.

        Raises:
            ConfigError: Unknown names, or settings that contradict each other.
        """
        for backbone in self.backbones:
            if backbone not in BACKBONES:
                raise ConfigError(f"--backbone {backbone}: expected one of {', '.join(BACKBONES)}")
        for strategy in self.strategies:
            if strategy not in STRATEGIES:
                raise ConfigError(f"--strategy {strategy}: expected one of {', '.join(STRATEGIES)}")
        if self.alpha != "auto" and not 0 <= self.alpha <= 1:
            raise ConfigError(f"--alpha {self.alpha:g}: lies in [0, 1] or is auto")
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        elif device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigError(f"--device {device}: torch sees no GPU here; use --device cpu")
        large = self.data is not None
        transformer = "swinunetr" in self.backbones
        phantom_size = 64 if transformer else 32
        return dataclasses.replace(
            self,
            strategies=tuple(dict.fromkeys(self.strategies)),
            epochs=self.epochs or (100 if large else 2 if transformer else 10),
            batch_size=self.batch_size or (1 if large and not self.samples_per_case else 2 if transformer else 4),
            lr=self.lr or (1e-4 if large else 3e-3),
            spatial_size=self.spatial_size or ((320, 320, 128) if large else (phantom_size,) * 3),
            device=device,
            amp=device.startswith("cuda") if self.amp is None else self.amp,
        )

    def network(self, backbone: Backbone) -> NetworkConfig:
        """The backbone at the paper's widths with data, at the phantom's small ones without."""
        config = (NetworkConfig.paper if self.data is not None else NetworkConfig.small)(
            backbone, in_channels=self.phases
        )
        # Two channels and a softmax: a single sigmoid starts slowly on small lesions and can stay empty.
        return dataclasses.replace(config, out_channels=2)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `config.toml`; what is None is left out, TOML has no word for it."""
        tree = {}
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if value is not None and entry.name != "one_shot_weights":
                tree[entry.name] = str(value) if isinstance(value, Path) else _plain(value)
        return tree


def load_settings(path: Path | None, given: Mapping[str, Any], *, out: Path) -> MitigationSettings:
    """Settings from a TOML file, overridden by what was given.

    Raises:
        ConfigError: An unreadable file, an unknown key, or a value of the wrong kind.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"--config {path}: cannot be read ({error})") from error
        known = {entry.name for entry in dataclasses.fields(MitigationSettings)} - {"one_shot_weights"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"--config {path}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        for name, value in values.items():
            if name in ("data", "metadata", "cache", "out"):
                values[name] = Path(value)
            elif isinstance(value, list):
                values[name] = tuple(value)
    values = {**values, **given, "out": out}
    if isinstance(values.get("alpha"), str) and values["alpha"] != "auto":
        try:
            values["alpha"] = float(values["alpha"])
        except ValueError:
            raise ConfigError(f"--alpha {values['alpha']}: lies in [0, 1] or is auto") from None
    return MitigationSettings(**values).complete()


def read_weights(path: Path) -> dict[str, float]:
    """Case id -> weight, from the table that `segfair weights` wrote.

    Raises:
        InputError: Not such a table.
    """
    table = load_table(path)
    if not {"case", "weight"} <= set(table.columns):
        raise InputError(f"{path}: expected the columns case and weight, got {', '.join(table.columns)}")
    ids = [cell_text(value) for value in table.raw["case"].tolist()]
    numbers = [as_number(value) for value in table.column("weight")]
    if any(number is None or number < 0 for number in numbers):
        raise InputError(f"{path}, column weight: every weight has to be a number of at least 0")
    return {case: float(number or 0.0) for case, number in zip(ids, numbers, strict=True)}


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
        ConfigError, InputError: Settings or data that cannot be used; nothing has been trained then.
    """
    settings = settings.complete()
    protocol = load_protocol("default")
    out = settings.out
    out.mkdir(parents=True, exist_ok=True)
    for backbone in settings.backbones:
        _check_network(settings, backbone)
    study = _study(settings, protocol, executor)
    for notice in (*study.notices, *_losses(settings, study)):
        tell(notice)
    main = os.environ.get("RANK", "0") == "0"
    if main:
        study.split.save(out / "splits.json")
        (out / "config.toml").write_text(tomli_w.dumps(settings.to_dict()), "utf-8")
    strategies = list(settings.strategies)
    if settings.baseline and BASELINE not in strategies:
        strategies.insert(0, BASELINE)
    trained: list[_Trained] = []
    for backbone in settings.backbones:
        for strategy in strategies:
            name = strategy if len(settings.backbones) == 1 else f"{backbone}-{strategy}"
            fitted = _train(settings, study, protocol, backbone, strategy, out / name)
            if not main:
                continue
            tell(f"{name}: best epoch {fitted.best_epoch} of {settings.epochs}")
            for notice in _predict(settings, study, out / name):
                tell(f"{name}: {notice}")
            audit = _audit(settings, study, protocol, out / name, executor)
            trained.append(_Trained(name, backbone, strategy, fitted, audit))
    if not main:
        return {}
    diagnoses = _diagnoses(study, trained, out)
    models: dict[str, dict[str, Any]] = {
        model.name: {
            "test": _test_scores(model.audit),
            "validation": _validation_scores(study, model.fitted.validation, protocol),
            "diagnosis": diagnosis,
        }
        for model, diagnosis in zip(trained, diagnoses, strict=True)
    }
    comparison = {"format": FORMAT, "models": models}
    _write_json(comparison, out / "comparison.json")
    summary = summarise(
        [
            ModelSummary(
                model.name,
                model.backbone,
                model.strategy,
                models[model.name],
                models[model.name]["diagnosis"],
                model.audit,
                len(model.fitted.history),
                model.fitted.best_epoch,
                read_epoch_weights(out / model.name / "weights.csv"),
            )
            for model in trained
        ],
        baseline=BASELINE,
        budget=_budget(settings, study),
        notices=study.notices,
    )
    write_mitigation_page(summary, out, command="segfair mitigate")
    return comparison


@dataclass(frozen=True, slots=True, eq=False)
class _Trained:
    """One model of the run, and what its training and its audit found."""

    name: str
    backbone: Backbone
    strategy: str
    fitted: FitResult
    audit: AuditResult


def _write_json(tree: Mapping[str, Any], path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.write_text(json.dumps(tree, indent=1, allow_nan=False, ensure_ascii=False), "utf-8")
    unfinished.replace(path)


def _diagnoses(study: Study, trained: Sequence[_Trained], out: Path) -> list[dict[str, Any] | None]:
    """Why each model serves its worst subgroup of the test cases worse, from cases of training and validation."""
    weights = {
        model.name: trained_weights(out / model.name, study.split.train, best_epoch=model.fitted.best_epoch)
        for model in trained
    }
    found: list[dict[str, Any] | None] = []
    for model in trained:
        worst = _test_scores(model.audit)["worst_subgroup"]
        if worst is None:
            found.append(None)
            continue
        subgroup = Subgroup(frozenset(worst["items"].items()))
        nobody = Membership((subgroup,), np.zeros((1, 0), dtype=bool), {subgroup.items: 0}, ())
        learning, held_out = (nobody.apply(study.attributes[part]).matrix[0] for part in ("train", "validation"))
        alike = [entry for entry in trained if entry.backbone == model.backbone]
        parts: list[tuple[Part, Part, float]] = []
        for entry in alike:
            # `_train` always asks for the scores of the training cases.
            scored = cast(ScoredCases, entry.fitted.training)
            parts.append(
                (
                    part_of(learning, scored.dsc),
                    part_of(held_out, entry.fitted.validation.dsc),
                    drawn_share(learning, weights[entry.name]),
                )
            )
        diagnosis = diagnose_models(parts)[alike.index(model)]
        found.append({"subgroup": worst["items"], **diagnosis.to_dict()})
    return found


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


def _study(settings: MitigationSettings, protocol: Protocol, executor: Executor | None) -> Study:
    size = cast(Size, settings.spatial_size)
    if settings.data is None:
        phantom = PhantomSize(size=size)
        if "swinunetr" in settings.backbones:
            phantom = PhantomSize(size=size, cases=(12, 12, 12), planted=(2, 2, 2))
        if settings.attributes is not None:
            phantom = dataclasses.replace(phantom, attributes=settings.attributes)
        return phantom_study(
            phantom, protocol=protocol, out=settings.out / "phantom", seed=settings.seed, bias=settings.bias
        )
    return data_study(
        settings.data,
        metadata=settings.metadata,
        preprocessing=Preprocessing(phases=settings.phases, spacing_mm=settings.spacing_mm),
        protocol=protocol,
        attributes=settings.attributes,
        out=settings.out,
        cache=settings.cache or settings.out / "cache",
        seed=settings.seed,
        subject_column=settings.subject_column,
        executor=executor,
    )


def _losses(settings: MitigationSettings, study: Study) -> list[str]:
    """What training does not see: cases that are in none of the three sets, lesions that the crop cuts."""
    size = cast(Size, settings.spatial_size)
    augmentation = Augmentation(size, samples_per_case=settings.samples_per_case)
    cut = describe_cuts(study.prepared.cuts(study.split.train, augmentation), n_cases=len(study.split.train), size=size)
    left_out = study.split.left_out
    notices = [cut] if cut else []
    if left_out:
        case, reason = next(iter(left_out.items()))
        notices.append(f"{len(left_out)} cases are in none of the three sets, for example {case}: {reason}")
    return notices


def _check_network(settings: MitigationSettings, backbone: Backbone) -> None:
    """Shape and memory before the first step, each with its remedy."""
    config = settings.network(backbone)
    size = cast(Size, settings.spatial_size)
    check_shape(config, size, what="patch" if settings.samples_per_case else "spatial size")
    n_volumes = cast(int, settings.batch_size) * (settings.samples_per_case or 1)
    check_memory(config, size, batch_size=n_volumes, amp=bool(settings.amp), device=settings.device)


def _train(
    settings: MitigationSettings, study: Study, protocol: Protocol, backbone: Backbone, strategy: str, folder: Path
) -> FitResult:
    config = settings.network(backbone)
    size = cast(Size, settings.spatial_size)
    augmentation = Augmentation(size, samples_per_case=settings.samples_per_case)
    epochs = cast(int, settings.epochs)
    context = TrainingContext(
        training=study.attributes["train"],
        validation=study.attributes["validation"],
        loss=case_loss(settings.loss),
        epochs=epochs,
        min_support=settings.min_support,
        volumes_mm3=study.prepared.volumes_mm3(study.split.train),
        seed=settings.seed,
    )
    options = StrategyOptions(alpha=settings.alpha, case_weights=settings.one_shot_weights)
    # The same seed for every strategy: the same initial weights.
    torch.manual_seed(settings.seed)
    network = build_network(config)
    description = describe(
        config, study.preprocessing, size, strategy=strategy, seed=settings.seed, bins=study.plan.to_dict()
    )
    whole = study.prepared.whole
    equal_shapes = settings.data is None
    return fit(
        network,
        make_strategy(strategy, context, options),
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
            validation_batch_size=16 if equal_shapes and backbone != "swinunetr" else 1,
            min_cases=WORST_MIN_CASES,
        ),
        inferer=WindowInferer(size),
        protocol=protocol,
        out=folder,
        description=description,
        resume=settings.resume,
        progress=RichProgress(f"{backbone}, {strategy}", epochs),
    )


def _predict(settings: MitigationSettings, study: Study, folder: Path) -> tuple[str, ...]:
    """Masks of the test cases by the best network, and the network as a MONAI bundle."""
    predictions = folder / "predictions" / "test"
    if not settings.resume and predictions.exists():
        # Masks of an earlier training must not pass for this one's.
        shutil.rmtree(predictions)
    model = load_model(folder / "checkpoint_best.pt", device=settings.device)
    notices = study.predict(model, predictions, settings.device, bool(settings.amp))
    export_bundle(folder / "checkpoint_best.pt", folder / "bundle")
    return notices


def _audit(
    settings: MitigationSettings, study: Study, protocol: Protocol, folder: Path, executor: Executor | None
) -> AuditResult:
    """The audit of the test predictions, with the bins that were fitted on the training cases."""
    predictions = folder / "predictions" / "test"
    cases = tuple(
        dataclasses.replace(case, prediction=path if path.is_file() else None)
        for case in study.test
        for path in [predictions / f"{case.id}.nii.gz"]
    )
    inputs = {"predictions": predictions, **study.test.inputs}
    cohort = dataclasses.replace(study.test, cases=cases, inputs=inputs)
    config = AuditConfig(protocol, min_support=0.01, min_cases=WORST_MIN_CASES, seed=settings.seed)
    result = run_audit(cohort, config, plan=study.plan, executor=executor)
    write_report(result, folder / "audit", command="segfair mitigate")
    return result


def _test_scores(result: AuditResult) -> dict[str, Any]:
    table = result.subgroups["dsc"]
    enough = [row for row in table if row.n >= WORST_MIN_CASES]
    worst = min(enough, key=lambda row: row.mean, default=None)
    return {
        **{name: result.scores[name].value for name in ("DSC", "NormHD", "PS", "FS", "TS")},
        "worst_subgroup": None
        if worst is None
        else {"items": dict(sorted(worst.subgroup.items)), "n": worst.n, "dsc": worst.mean},
    }


def _validation_scores(study: Study, scored: ScoredCases, protocol: Protocol) -> dict[str, Any]:
    attributes = study.attributes["validation"]
    total = total_scores(scored, attributes, protocol, min_cases=WORST_MIN_CASES)
    membership = mine_subgroups(attributes, min_support=0.01)
    return {
        "DSC": total.dsc,
        "NormHD": total.normhd,
        "PS": total.ps,
        "FS": total.fs,
        "TS": total.ts,
        "worst_subgroup": _worst(membership, scored),
    }


def _worst(membership: Membership, scored: ScoredCases) -> dict[str, Any] | None:
    sizes = membership.sizes
    rows = np.flatnonzero(sizes >= WORST_MIN_CASES)
    if not len(rows):
        return None
    means = (membership.matrix[rows] @ scored.dsc) / sizes[rows]
    row = int(rows[np.argmin(means)])
    return {
        "items": dict(sorted(membership.subgroups[row].items)),
        "n": int(sizes[row]),
        "dsc": float(means.min()),
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
