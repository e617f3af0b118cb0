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
from segfair.files.images.masks import has_size, write_mask
from segfair.intake.case_rows import NO_SUBJECTS
from segfair.intake.mask_values import picture_notices
from segfair.mitigation.data.datasets import PreparedData, from_arrays
from segfair.mitigation.data.outputs import foreground
from segfair.mitigation.data.preparation import prepare
from segfair.mitigation.data.preprocessing import Preprocessing
from segfair.mitigation.data.sources import TrainingSource, read_training_source
from segfair.mitigation.data.splits import Split, load_split, split_cases
from segfair.mitigation.prediction.volumes import Model, predict_images
from segfair.phantom import FIELD_OF_VIEW_MM, PhantomCase, sample_cases
from segfair.protocol.rules import Protocol

__all__ = ["PhantomSize", "Selection", "Study", "data_study", "phantom_study"]

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
class Selection:
    """Which files, rows and cases of a data set are taken; see `read_training_source`."""

    metadata: Path | None = None
    phases: int | None = None
    id_column: str | None = None
    sheet: str | None = None
    cases: str | None = None
    where: str | None = None


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
        with torch.no_grad(), torch.autocast(device.partition(":")[0], enabled=amp):
            masks = foreground(model.inferer(images, network)).cpu().numpy()
        for case, mask in zip(batch, masks, strict=True):
            write_mask(folder / f"{case.id}.nii.gz", mask[0], affine=case.affine)
    return ()


def data_study(
    data: Path,
    *,
    config: AuditConfig,
    out: Path,
    cache: Path | None,
    selection: Selection = Selection(),
    spacing_mm: Spacing | None = None,
    resume: bool = False,
    executor: Executor | None = None,
    on_done: Callable[[str], None] | None = None,
) -> Study:
    """A study of a data set on disk.

    Which voxels count, what grey levels mean and who is a patient are settled as an audit of the labels settles them.
    A run that goes on (`resume`) takes the split of `out/splits.json`; a new one makes its own, since settings and
    cases may have changed.

    Args:
        data: The data set, see `read_training_source`.
        config: What the audit of the test cases is asked; its seed draws the split.
        out: Folder of the run.
        cache: Folder of prepared volumes; None keeps them in memory.
        selection: Which files, rows and cases.
        spacing_mm: Voxel size to resample to. None: 1 mm, and as stored where no file says how large a voxel is.
        resume: Whether an earlier run goes on.
        executor: Where volumes are prepared; None: in this process.
        on_done: Called with each case id once it is prepared or skipped.

    Raises:
        InputError, ConfigError: The data cannot be used, or the split is one of other data.
    """
    source = read_training_source(data, **dataclasses.asdict(selection), subject_column=config.subject_column)
    check_joins(source.cohort(), config.join)
    settled, labelled, settled_notices = settle(config, source.cohort(), None)
    source = source.with_pictures(labelled)
    # Settled on all cases, so that no part of them is asked again with another answer.
    config = dataclasses.replace(config, subject_column=settled.subject_column or NO_SUBJECTS)
    preprocessing = Preprocessing(
        source.phases, spacing_mm or _own_spacing(source), regions=source.regions(settled.protocol)
    )
    prepared = prepare(source.cases, preprocessing, cache=cache, executor=executor, on_done=on_done)
    usable = [case for case in source.ids if case in prepared.cases]
    split = _split(source, usable, settled, earlier=out / "splits.json" if resume else None)
    cohorts = {part: source.cohort(getattr(split, part)) for part in ("train", "validation", "test")}
    plan = _fit(cohorts["train"], settled)
    if not plan.attributes:
        raise ConfigError(
            f"mitigate: no metadata column of the {plural(len(split.train), 'training case')} can be an attribute ("
            + "; ".join(f"{column}: {reason}" for column, reason in list(plan.left_out.items())[:5])
            + "); more cases are needed, or a table with other columns (--metadata)"
        )
    images = {case.id: case.images for case in source.select(split.test)}

    def predict(model: Model, folder: Path, device: str, amp: bool) -> tuple[str, ...]:
        folder.mkdir(parents=True, exist_ok=True)
        report = predict_images(model, images, folder, boxes=source.box_files or None, device=device, amp=amp)
        failed = (f"{case} was not predicted: {reason}" for case, reason in report.failed.items())
        return (*report.notices, *failed)

    skipped = {**source.skipped, **prepared.skipped}
    lost = (f"{plural(len(skipped), 'case')} left out, see skipped.csv: {_example(skipped)}",) if skipped else ()
    return Study(
        prepared=prepared,
        split=split,
        plan=plan,
        attributes={part: plan.apply(cohort) for part, cohort in cohorts.items()},
        test=cohorts["test"],
        config=config,
        protocol=settled.protocol,
        preprocessing=preprocessing,
        predict=predict,
        skipped=skipped,
        notices=tuple(
            dict.fromkeys(
                (
                    *source.notices,
                    *label_notices(config, labelled, settled.protocol),
                    *picture_notices(labelled, settled.protocol),
                    *settled_notices,
                    f"trained, predicted and audited: label {preprocessing.regions.describe()}",
                    *prepared.notices,
                    *lost,
                    split.origin,
                )
            )
        ),
    )


def _own_spacing(source: TrainingSource) -> Spacing | None:
    """1 mm; None, which keeps voxels as they are, where no image says how large they are."""
    return (1.0, 1.0, 1.0) if any(has_size(case.images[0]) is not False for case in source.cases) else None


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


def _split(source: TrainingSource, usable: list[str], config: AuditConfig, *, earlier: Path | None) -> Split:
    if earlier is not None and earlier.is_file():
        split = load_split(earlier)
        split.check_cases(usable)
        return split
    cohort = source.cohort(usable)
    column = config.subject_column
    return split_cases(
        _fit(cohort, config).apply(cohort),
        seed=config.seed,
        subjects={case.id: case.metadata.get(column) for case in cohort} if column else None,
        given=source.given_split or None,
        train_only=[case.id for case in cohort if not case.metadata],
    )


def _example(reasons: Mapping[str, str]) -> str:
    case, reason = next(iter(reasons.items()))
    return f"{case}: {reason}"
