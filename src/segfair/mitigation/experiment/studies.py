"""The data of one mitigation: prepared volumes, a split, attributes with bins from the training cases, a test set.

A study comes from a data set on disk or from the embedded phantom; the experiment does not tell them apart. Never
trains.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from segfair.attributes.fit import AttributeTable, BinningPlan, fit_attributes
from segfair.attributes.joins import check_joins
from segfair.audit.choices.cases import settle
from segfair.audit.choices.labels import label_notices
from segfair.audit.result import AuditConfig
from segfair.audit.words import plural
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError
from segfair.files.images.masks import write_mask
from segfair.intake.case_rows import NO_SUBJECTS
from segfair.intake.mask_values import picture_notices
from segfair.mitigation.data.datasets import PreparedData, from_arrays
from segfair.mitigation.data.folds import check_folds, fold_splits, load_folds
from segfair.mitigation.data.given_splits import GivenFolds, GivenParts, given_splits
from segfair.mitigation.data.outputs import foreground
from segfair.mitigation.data.preparation import prepare
from segfair.mitigation.data.preprocessing import Intensities, Preprocessing
from segfair.mitigation.data.regions import Regions
from segfair.mitigation.data.sources import TrainingSource, read_training_source
from segfair.mitigation.data.splits import Split, load_split, split_cases
from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.networks.devices import half_precision
from segfair.mitigation.prediction.volumes import Model, predict_images
from segfair.phantom import FIELD_OF_VIEW_MM, PhantomCase, sample_cases
from segfair.protocol.rules import Protocol

__all__ = ["DataSet", "PhantomSize", "Study", "data_studies", "phantom_study", "pooled", "read_data"]

Spacing = tuple[float, float, float]
Predict = Callable[[Model, Path, str, bool], tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What is trained on and what is reported.

    Attributes:
        prepared: Volumes of the training and validation cases.
        split: The three sets.
        plan: How attributes are made; fitted on the training cases.
        attributes: Part -> attributes of its cases, in the split's order.
        test: The test cases with their labels, without predictions.
        config: What the audit of the test cases is asked; who is a patient is settled.
        protocol: The scoring rules, resolved: which voxels count, in which unit.
        preprocessing: What a checkpoint has to do to an image.
        predict: (model, folder, device, amp) -> notices; writes one mask a test case.
        skipped: Case -> why nothing is done with it.
        notices: For the reader.
    """

    prepared: PreparedData
    split: Split
    plan: BinningPlan
    attributes: Mapping[str, AttributeTable]
    test: Cohort
    config: AuditConfig
    protocol: Protocol
    preprocessing: Preprocessing
    predict: Predict
    skipped: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PhantomSize:
    """Cases of the embedded study: how many train, validate and test, and how many of each are planted."""

    size: tuple[int, int, int] = (32, 32, 32)
    cases: tuple[int, int, int] = (120, 100, 400)
    planted: tuple[int, int, int] = (4, 3, 13)
    attributes: tuple[str, ...] = ("age_group", "menopause", "breast_density")


def phantom_study(settings: PhantomSize, *, config: AuditConfig, out: Path, seed: int, bias: bool = True) -> Study:
    """The embedded study; labels of the test cases are written to `out/labels`.

    Args:
        settings: Numbers of cases and voxels.
        config: How metadata become attributes, and by which rules masks are scored.
        out: Folder for the test labels.
        seed: Seed of the cases.
        bias: Whether the planted subgroup looks different.
    """
    parts = _phantom_cases(settings, seed=seed, bias=bias)
    every = [case for cases in parts.values() for case in cases]
    spacing = every[0].spacing_mm
    prepared = from_arrays(
        [case.id for case in every], [case.image for case in every], [case.label for case in every], spacing_mm=spacing
    )
    columns = tuple(every[0].metadata)
    cohorts = {
        part: Cohort(tuple(Case(case.id, metadata=case.metadata) for case in cases), columns=columns)
        for part, cases in parts.items()
    }
    check_joins(Cohort(tuple(Case(case.id, metadata=case.metadata) for case in every), columns), config.join)
    plan = _fit(cohorts["train"], dataclasses.replace(config, attributes=config.attributes or settings.attributes))
    (out / "labels").mkdir(parents=True, exist_ok=True)
    labelled = []
    for case in parts["test"]:
        path = out / "labels" / f"{case.id}.nii.gz"
        write_mask(path, case.label, affine=case.affine)
        labelled.append(Case(case.id, path, None, case.metadata))

    ids = {part: tuple(case.id for case in cases) for part, cases in parts.items()}
    split = Split(
        ids["train"],
        ids["validation"],
        ids["test"],
        origin="drawn by the embedded phantom with an exact quota of the planted subgroup",
        seed=seed,
    )
    return Study(
        prepared=prepared,
        split=split,
        plan=plan,
        attributes={part: plan.apply(cohort) for part, cohort in cohorts.items()},
        test=Cohort(tuple(labelled), columns=columns),
        config=config,
        protocol=config.protocol,
        preprocessing=Preprocessing(phases=3, spacing_mm=None),
        predict=partial(_predict_phantom, parts["test"]),
        notices=(
            f"embedded phantom, {settings.size[0]}x{settings.size[1]}x{settings.size[2]} voxels over "
            f"{FIELD_OF_VIEW_MM:g} mm: {settings.cases[0]} training, {settings.cases[1]} validation and "
            f"{settings.cases[2]} test cases",
        ),
    )


def _phantom_cases(settings: PhantomSize, *, seed: int, bias: bool) -> dict[str, list[PhantomCase]]:
    # One generator for all three: the order of the parts decides which cases they get.
    rng = np.random.default_rng(seed)
    sizes = zip(("train", "validation", "test"), ("TR", "VA", "TE"), settings.cases, settings.planted, strict=True)
    return {
        part: list(sample_cases(n, rng=rng, size=settings.size, bias=bias, planted_cases=n_planted, prefix=prefix))
        for part, prefix, n, n_planted in sizes
    }


def _predict_phantom(
    cases: Sequence[PhantomCase], model: Model, folder: Path, device: str, amp: bool
) -> tuple[str, ...]:
    # The phantom's volumes are on the network's grid already: nothing to resample, nothing to invert.
    folder.mkdir(parents=True, exist_ok=True)
    network = model.network.to(device).eval()
    for first in range(0, len(cases), 16):
        batch = cases[first : first + 16]
        images = torch.from_numpy(np.stack([case.image for case in batch])).to(device)
        with torch.no_grad(), torch.autocast(device.partition(":")[0], half_precision(device), enabled=amp):
            masks = foreground(model.inferer(images, network)).cpu().numpy()
        for case, mask in zip(batch, masks, strict=True):
            write_mask(folder / f"{case.id}.nii.gz", mask[0], affine=case.affine)
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """A data set on disk, with what an audit settles before it scores.

    Attributes:
        source: The cases that can be trained on.
        config: What the audits of the run are asked; who is a patient is settled.
        settled: The same with the protocol resolved: which voxels count.
        given: The split, or the folds, that `--splits` names; None: they are the data set's own, or drawn.
        notices: For the reader.
    """

    source: TrainingSource
    config: AuditConfig
    settled: AuditConfig
    given: GivenFolds | GivenParts | None
    notices: tuple[str, ...]

    @property
    def held_out(self) -> frozenset[str]:
        """Test cases that are named beforehand; none of folds, for each case trains in most of them."""
        if self.is_folded:
            return frozenset()
        parts = self.given.of if isinstance(self.given, GivenParts) else self.source.given_split
        return frozenset(case for case, part in parts.items() if part == "test")

    @property
    def is_folded(self) -> bool:
        """Whether folds are given."""
        return isinstance(self.given, GivenFolds)

    @property
    def regions(self) -> Regions:
        """What a network is taught."""
        return self.source.regions(self.settled.protocol)

    @property
    def subjects(self) -> dict[str, object] | None:
        """Case id -> patient; None where every case is a patient."""
        column = self.settled.subject_column
        return {case.id: case.metadata.get(column) for case in self.source.cohort()} if column else None


def read_data(settings: MitigationSettings) -> DataSet:
    """Finds the cases of the data set, and settles what an audit would: voxels that count, grey levels, patients.

    Raises:
        InputError, ConfigError: The data cannot be used.
    """
    config = settings.audit_config
    source = read_training_source(
        cast(Path, settings.data),
        metadata=settings.metadata,
        phases=settings.phases,
        id_column=settings.id_column,
        sheet=settings.sheet,
        cases=settings.cases,
        where=settings.where,
        subject_column=config.subject_column,
    )
    check_joins(source.cohort(), config.join)
    settled, labelled, settled_notices = settle(config, source.cohort(), None)
    # Settled on all cases, so that no part of them is asked again with another answer.
    config = dataclasses.replace(config, subject_column=settled.subject_column or NO_SUBJECTS)
    notices = (
        *source.notices,
        *label_notices(config, labelled, settled.protocol),
        *picture_notices(labelled, settled.protocol),
        *settled_notices,
    )
    # A mistyped split is found out before hours of preparation.
    given = _given(settings, source)
    told = given.notices if given is not None else ()
    return DataSet(source.with_pictures(labelled), config, settled, given, (*notices, *told))


def data_studies(
    data: DataSet,
    settings: MitigationSettings,
    *,
    intensities: Intensities | None = None,
    executor: Executor | None = None,
    on_done: Callable[[str], None] | None = None,
) -> tuple[Study, ...]:
    """The studies of a data set: one, or with folds one a fold, which share volumes and attributes.

    A run that goes on (`resume`) takes the split of `out/splits.json`; a new one makes its own, since settings and
    cases may have changed.

    Args:
        data: The data set.
        settings: Planned: nothing is open.
        intensities: Of CT.
        executor: Where volumes are prepared; None: in this process.
        on_done: Called with each case id once it is prepared or skipped.

    Raises:
        InputError, ConfigError: The data cannot be used, or the split is one of other data.
    """
    source, settled = data.source, data.settled
    preprocessing = Preprocessing(
        source.phases,
        _three(settings.spacing_mm),
        settings.normalise or "case",
        intensities if settings.normalise == "ct" else None,
        regions=data.regions,
    )
    cache = settings.cache or settings.out / "cache"
    prepared = prepare(source.cases, preprocessing, cache=cache, executor=executor, on_done=on_done)
    unknown = _of_unknown_patients(data)
    usable = [case for case in source.ids if case in prepared.cases and case not in unknown]
    splits = _splits(data, usable, settings)
    skipped = {**source.skipped, **prepared.skipped, **unknown}
    lost = (f"{plural(len(skipped), 'case')} left out, see skipped.csv: {_example(skipped)}",) if skipped else ()
    shared = (
        *data.notices,
        f"trained, predicted and audited: label {preprocessing.regions.describe()}",
        *prepared.notices,
        *lost,
    )
    # One plan for all folds, so that their cases are of the same subgroups; it looks at no score.
    everybody = _plan(source.cohort(usable), settled) if len(splits) > 1 else None
    return tuple(_data_study(data, split, everybody, prepared, preprocessing, skipped, shared) for split in splits)


def _data_study(
    data: DataSet,
    split: Split,
    plan: BinningPlan | None,
    prepared: PreparedData,
    preprocessing: Preprocessing,
    skipped: Mapping[str, str],
    notices: Sequence[str],
) -> Study:
    """The study of one split."""
    source = data.source
    cohorts = {part: source.cohort(getattr(split, part)) for part in ("train", "validation", "test")}
    plan = plan or _plan(cohorts["train"], data.settled)
    images = {case.id: case.images for case in source.select(split.test)}

    def predict(model: Model, folder: Path, device: str, amp: bool) -> tuple[str, ...]:
        folder.mkdir(parents=True, exist_ok=True)
        report = predict_images(model, images, folder, boxes=source.box_files or None, device=device, amp=amp)
        failed = (f"{case} was not predicted: {reason}" for case, reason in report.failed.items())
        return (*report.notices, *failed)

    return Study(
        prepared=prepared,
        split=split,
        plan=plan,
        attributes={part: plan.apply(cohort) for part, cohort in cohorts.items()},
        test=cohorts["test"],
        config=data.config,
        protocol=data.settled.protocol,
        preprocessing=preprocessing,
        predict=predict,
        skipped=skipped,
        notices=tuple(dict.fromkeys((*notices, split.origin))),
    )


def pooled(studies: Sequence[Study]) -> Study:
    """The folds as one: every test case of every fold, in id order."""
    first = studies[0]
    cases = sorted((case for study in studies for case in study.test), key=lambda case: case.id)
    cohort = dataclasses.replace(first.test, cases=tuple(cases))
    return dataclasses.replace(first, test=cohort, attributes={"test": first.plan.apply(cohort)})


def _three(spacing: tuple[float, ...] | None) -> Spacing | None:
    """Of pictures the slice is as thick as a pixel is wide: nothing is resampled along it."""
    if spacing is None:
        return None
    x, y, z = (*spacing, 1.0)[:3]
    return (x, y, z)


def _plan(cohort: Cohort, config: AuditConfig) -> BinningPlan:
    plan = _fit(cohort, config)
    if not plan.attributes:
        raise ConfigError(
            f"mitigate: no metadata column of the {plural(len(cohort), 'training case')} can be an attribute ("
            + "; ".join(f"{column}: {reason}" for column, reason in list(plan.left_out.items())[:5])
            + "); more cases are needed, or a table with other columns (--metadata)"
        )
    return plan


def _fit(cohort: Cohort, config: AuditConfig) -> BinningPlan:
    """How attributes are made, as an audit with these settings would fit them on the cohort."""
    learned = [name for name, edges in config.bins.items() if edges == "tree"]
    if learned:
        raise ConfigError(
            f"--bins {learned[0]}=tree: is learned from scores, and before a training there are none; give the edges"
        )
    return fit_attributes(
        cohort,
        protocol=config.protocol,
        chosen=config.attributes,
        edges=config.bins,
        subject_column=config.subject_column,
        read_as=config.read_as,
        joins=config.join,
    )


def _of_unknown_patients(data: DataSet) -> dict[str, str]:
    """Cases without a row, where patients are known: theirs may be one that is tested."""
    if data.subjects is None:
        return {}
    return {
        case.id: "no row in the table, so that its patient is not known"
        for case in data.source.cases
        if not case.metadata
    }


def _given(settings: MitigationSettings, source: TrainingSource) -> GivenFolds | GivenParts | None:
    """What `--splits` names; None where it names nothing.

    Raises:
        ConfigError: It names none of the cases, or one split where folds are asked for.
    """
    given = None
    if settings.splits is not None:
        cohort = source.cohort()
        columns = {name: {case.id: case.metadata.get(name) for case in cohort} for name in source.columns}
        given = given_splits(settings.splits, columns, source.ids)
        if not given.of:
            raise ConfigError(f"--splits {settings.splits}: names none of the {len(source.ids)} cases of these data")
    if isinstance(given, GivenParts) and settings.folds is not None:
        raise ConfigError(
            f"--splits {settings.splits}: is one split, and --folds asks for several; leave one of them out"
        )
    if settings.seeds > 1 and settings.folds is None and not isinstance(given, GivenFolds):
        raise ConfigError("--seeds: several trainings of a model are compared over folds; give --folds as well")
    return given


def _splits(data: DataSet, usable: list[str], settings: MitigationSettings) -> tuple[Split, ...]:
    """The one split, or those of the folds; of a run that goes on, those that it began with."""
    earlier = settings.out / "splits.json"
    cohort = data.source.cohort(usable)
    folded, given = settings.folds is not None or data.is_folded, data.given
    if settings.resume and earlier.is_file():
        return _earlier(earlier, usable, n_folds=settings.folds, folded=folded)
    common: dict[str, Any] = {
        "seed": settings.seed,
        "validation_share": _validation_share(settings, len(usable)),
        "subjects": data.subjects,
        "train_only": [case.id for case in cohort if not case.metadata],
    }
    table = _fit(cohort, data.settled).apply(cohort)
    if folded:
        folds = given.of if isinstance(given, GivenFolds) else None
        return fold_splits(table, n_folds=settings.folds, given=folds, **common)
    if isinstance(given, GivenParts):
        split = split_cases(table, given=given.of, **common)
        return (dataclasses.replace(split, origin=split.origin.replace("the data set's own", "as given")),)
    return (split_cases(table, given=data.source.given_split or None, **common),)


def _earlier(path: Path, usable: Sequence[str], *, n_folds: int | None, folded: bool) -> tuple[Split, ...]:
    """What a run that goes on began with."""
    if folded:
        splits = load_folds(path)
        check_folds(splits, usable, n_folds=n_folds)
        return splits
    split = load_split(path)
    split.check_cases(usable)
    return (split,)


def _validation_share(settings: MitigationSettings, n_cases: int) -> float | None:
    """A fifth, or fewer where fewer are wanted; None where nothing of the run looks at validation cases."""
    if not settings.validates:
        return None
    wanted = settings.validation_cases
    return 0.2 if wanted is None else min(0.2, wanted / max(1, n_cases))


def _example(reasons: Mapping[str, str]) -> str:
    case, reason = next(iter(reasons.items()))
    return f"{case}: {reason}"
