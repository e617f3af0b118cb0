"""`segfair.audit`, `segfair.audit_scores` and `segfair.score`: one call from what people have to what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, Unpack

from segfair.api.arrays import gather, put_mask
from segfair.api.frames import split_frame
from segfair.api.messages import python_terms
from segfair.api.options import (
    AuditOptions,
    MaskOptions,
    Names,
    audit_config,
    names_of,
    selection,
    spelt_out,
    study_plan,
)
from segfair.api.results import Audit
from segfair.errors import ConfigError, InputError
from segfair.files.datalists import is_path_table
from segfair.files.finding.patterns import with_pattern
from segfair.remote import memory_folder

if TYPE_CHECKING:
    import pandas as pd

    from segfair.audit.result import AuditConfig, AuditResult
    from segfair.cases import Case, Cohort

__all__ = ["Masks", "Table", "audit", "audit_scores", "score"]

Table: TypeAlias = "str | PathLike[str] | pd.DataFrame"
"""A table of the cases: a file or a data frame."""
Masks: TypeAlias = str | PathLike[str] | Mapping[str, Any] | Sequence[Any] | Any
"""A folder; id -> array, tensor or path; or those in order. Items of a MONAI loader hold predictions and labels."""


@spelt_out(MaskOptions)
def audit(
    predictions: Masks,
    labels: Masks | None = None,
    metadata: Table | None = None,
    *,
    pattern: str | None = None,
    label_pattern: str | None = None,
    ids: Sequence[str] | None = None,
    spacing: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    probabilities: Masks | None = None,
    images: str | PathLike[str] | None = None,
    labels2: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
    reference: Literal["first", "majority", "staple"] = "first",
    reasons: bool = False,
    workers: int = 1,
    progress: bool = False,
    cache: str | PathLike[str] | None = None,
    **options: Unpack[MaskOptions],
) -> Audit:
    """Scores masks, and says for which subgroups they are worse.

    The same masks have the same audit, whether they come as files or as arrays.

    Args:
        predictions: Folder of predicted masks; or id -> mask, or masks in order, a mask being an array, a torch tensor,
            or a path, None where there is none. Items of a MONAI loader (`decollate_batch`) with "pred" and "label"
            hold the labels, too. Alone, a table of paths (a file, or a frame whose paths begin in the working
            directory) with the columns id, prediction, label, and perhaps image, label2 and probabilities; any other is
            an attribute.
            A frame of scores is handed on to `audit_scores`.
        labels: The same of the reference masks; file names, keys or `ids` are the case ids.
        metadata: Table of patient attributes. A frame with one row a mask in the same order needs no ids. Without it
            the plain values in items of a loader are the attributes.
        pattern: Where predictions lie in their folder, for example "{id}/pred_*.nii.gz".
        label_pattern: The same of labels.
        ids: Case ids of masks in order.
        spacing: Lengths of a voxel's edges in mm, for arrays also one a case; None: as files and tensors say, and in
            pixels or voxels where they do not.
        probabilities: The probabilities behind the masks, from 0 to 1, as the masks are handed in: a folder, id -> map,
            or maps in order. They add ECE, Brier score and over-confidence.
        images: Folder of images for the pictures of the worst cases; folders only.
        labels2: Folder of another rater's labels of the same cases, or several; folders only.
        reference: What is measured with where there are several raters: the labels, their majority or STAPLE.
        reasons: Whether the gap of each finding is taken apart, see `result.subgroups.reasons`; reads the masks again.
        workers: Processes that score.
        progress: Whether a bar shows how far it has come.
        cache: Folder of scores that later runs take over.
        **options: See `segfair.api.options.MaskOptions`.

    Returns:
        What was found; it shows itself in a notebook, plots, and writes the report.

    Raises:
        InputError: Masks or a table that cannot be used.
        ConfigError: Settings that cannot be meant.
        AuditError: No case can be scored.

    Examples:
        >>> import numpy as np, pandas as pd, segfair as sf
        >>> rng = np.random.default_rng(1)
        >>> labels = {f"P{number:02}": rng.random((12, 12)) < 0.4 for number in range(30)}
        >>> predictions = {case: label & (rng.random((12, 12)) < 0.9) for case, label in labels.items()}
        >>> metadata = pd.DataFrame({"case": list(labels), "site": ["A", "B", "C"] * 10})
        >>> result = sf.audit(predictions, labels, metadata, permutations=99, bootstrap=100)
        >>> result.by_group.loc["site", "n"].tolist()
        [10, 10, 10]
    """
    if labels is None and _is_frame(predictions) and not _names_masks(predictions):
        of_masks: dict[str, object] = {
            "ids": ids,
            "spacing": spacing,
            "images": images,
            "labels2": labels2,
            "cache": cache,
            "reasons": reasons or None,
            "probabilities": probabilities,
        }
        given = {name: value for name, value in of_masks.items() if value is not None}
        return _hand_on_scores(predictions, metadata, {**given, **options})
    with python_terms():
        common = spacing if not isinstance(spacing, Mapping) else None
        are_files = isinstance(predictions, str | PathLike) or _is_frame(predictions)
        predictions, labels = _with_patterns(predictions, labels, pattern, label_pattern)
        config = audit_config(options, spacing=common if are_files else None)
        _check_running(workers, spacing, are_files, reference)
        handed = {"ids": ids, "spacing": spacing, "probabilities": probabilities}
        with _cohort_of(predictions, labels, metadata, **handed, options=options) as cohort:
            result = _audit(
                cohort,
                config,
                images=images,
                labels2=_several(labels2),
                reference=reference,
                reasons=reasons,
                workers=workers,
                progress=progress,
                cache=cache,
            )
            return Audit.of(_planned(result, config, options))


def _is_frame(value: object) -> TypeGuard[pd.DataFrame]:
    return hasattr(value, "columns")


def _is_listed(predictions: Masks) -> bool:
    """Whether these are a table of paths."""
    return _is_frame(predictions) or (isinstance(predictions, str | PathLike) and is_path_table(Path(predictions)))


def _names_masks(frame: pd.DataFrame) -> bool:
    """Whether a frame is a table of paths rather than one of scores."""
    return {"prediction", "label"} <= {str(column).strip().casefold() for column in frame.columns}


def _with_patterns(
    predictions: Masks, labels: Masks | None, pattern: str | None, label_pattern: str | None
) -> tuple[Masks, Masks | None]:
    """Both places of masks with the patterns behind them.

    Raises:
        ConfigError: A pattern for what is no folder, or one that cannot be meant.
    """
    found = []
    for name, place, wanted in (("pattern", predictions, pattern), ("label_pattern", labels, label_pattern)):
        if wanted is None:
            found.append(place)
        elif isinstance(place, str | PathLike) and labels is not None:
            found.append(with_pattern(place, wanted, option=f"--{name.replace('_', '-')}"))
        else:
            raise ConfigError(f"{name}: is for folders of masks; leave it out")
    return found[0], found[1]


def _hand_on_scores(frame: pd.DataFrame, metadata: Table | None, options: dict[str, Any]) -> Audit:
    given = sorted(options.keys() - AuditOptions.__annotations__.keys() - {"outcome"})
    if given:
        raise ConfigError(f"{given[0]}: takes masks, and predictions are a frame of scores; leave it out")
    return audit_scores(frame, metadata, **options)


def _check_running(workers: int, spacing: object, are_folders: bool, reference: str) -> None:
    if reference not in ("first", "majority", "staple"):
        raise ConfigError(f'reference={reference!r}: "first", "majority" or "staple" is meant')
    if not isinstance(workers, int) or workers < 1:
        raise ConfigError(f"workers={workers!r}: a number of processes from 1 on is meant")
    if are_folders and isinstance(spacing, Mapping):
        raise ConfigError("spacing: is one for all files; the size of each case is for arrays")


@contextmanager
def _cohort_of(
    predictions: Masks,
    labels: Masks | None,
    metadata: Table | None,
    *,
    ids: Any,
    spacing: Any,
    probabilities: Any,
    options: Mapping[str, Any],
) -> Iterator[Cohort]:
    """The cases, from folders, or from files that stand for arrays while they are audited."""
    from segfair.intake.cohorts import load_cohort

    wanted = names_of(options.get("dicom_attributes"), "dicom_attributes")
    chosen = {
        **selection(options),
        "missing_prediction": options.get("missing_prediction"),
        "dicom_series": options.get("dicom_series"),
        "dicom_attributes": ",".join(wanted) or None,
    }
    are_folders = isinstance(predictions, str | PathLike) and isinstance(labels, str | PathLike)
    if are_folders or (labels is None and _is_listed(predictions)):
        if ids is not None:
            raise ConfigError("ids: file names are the ids of masks in folders; leave it out")
        # One table, or both folders: told above.
        places: Any = (predictions, labels, metadata)
        if not isinstance(probabilities, str | PathLike | None):
            raise ConfigError("probabilities: are a folder where masks are in folders; hand in its path")
        yield load_cohort(*places, **chosen, probabilities=probabilities)
        return
    if isinstance(predictions, str | PathLike) or isinstance(labels, str | PathLike):
        raise InputError("predictions and labels: one is a folder and the other is not; hand in both alike")
    if isinstance(probabilities, str | PathLike):
        raise ConfigError("probabilities: are a folder, and masks are not; hand in id -> map, or maps in order")
    masks = gather(predictions, labels, metadata, ids=ids, id_column=options.get("id_column"))
    masks = masks if probabilities is None else masks.with_probabilities(probabilities)
    with memory_folder() as folder, python_terms():  # within, arrays have the names that they were given
        files = masks.write(folder, spacing=spacing)
        table = metadata if masks.metadata is None else masks.metadata
        maps = folder / "probabilities" if masks.probabilities else None
        cohort = load_cohort(folder / "predictions", folder / "labels", table, **chosen, probabilities=maps)
        inputs = {role: path for role, path in cohort.inputs.items() if role == "metadata"}
        yield dataclasses.replace(cohort, inputs=inputs, cases=tuple(_of_files(case, files) for case in cohort))


def _of_files(case: Case, files: Mapping[Path, Path]) -> Case:
    """A case whose masks are the files that links stand for."""
    paths = {role: getattr(case, role) for role in ("label", "prediction", "probabilities")}
    return dataclasses.replace(case, **{role: path and files.get(path, path) for role, path in paths.items()})


def _audit(
    cohort: Cohort,
    config: AuditConfig,
    *,
    images: str | PathLike[str] | None,
    labels2: Sequence[Path],
    reference: Literal["first", "majority", "staple"],
    reasons: bool,
    workers: int,
    progress: bool,
    cache: str | PathLike[str] | None,
) -> AuditResult:
    from segfair.audit.raters.procedure import rating
    from segfair.gallery.worst_cases import with_gallery, with_images
    from segfair.scoring.executors import own_processes
    from segfair.scoring.score_cache import ScoreCache

    if reasons:
        from segfair.audit.reasons.procedure import n_readings, require_dsc, with_reasons

        require_dsc(config)
    cohort, found_images = with_images(cohort, images)
    kept = None if cache is None else ScoreCache(Path(cache))
    with rating(cohort, labels2, reference=reference, cache=kept) as rated:
        with own_processes(workers) as executor:
            with _bar(len(cohort), progress) as on_done:
                result, cohort = rated.run(config, executor=executor, cache=kept, on_done=on_done)
            if reasons:
                of_raters: Any = {"measured_with": rated.drawn_by, "executor": executor, "cache": kept}
                with _bar(n_readings(result), progress, "reasons") as on_done:
                    result = with_reasons(result, cohort, rated.raters, on_done=on_done, **of_raters)
        return with_gallery(result, cohort, images=found_images)


def _planned(result: AuditResult, config: AuditConfig, options: Mapping[str, Any]) -> AuditResult:
    """The audit with its plan's gates and what differs from that plan, where there was one."""
    plan = study_plan(options)
    if plan is None:
        return result
    from segfair.audit.judging.gates import check_gates
    from segfair.plan.adherence import with_plan

    verdict = dataclasses.replace(result.verdict, gates=check_gates(result, plan.gates))
    result = dataclasses.replace(result, verdict=verdict)
    return with_plan(result, plan, asked=config, gates=plan.gates, selection=selection(options))


def _several(paths: str | PathLike[str] | Sequence[str | PathLike[str]] | None) -> tuple[Path, ...]:
    """One path, several or none as several."""
    if paths is None:
        return ()
    return (Path(paths),) if isinstance(paths, str | PathLike) else tuple(map(Path, paths))


@contextmanager
def _bar(n_cases: int, progress: bool, what: str = "scoring") -> Iterator[Callable[[str], None] | None]:
    """What is told of each scored case; None where nobody asked."""
    if not progress:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task(what, total=n_cases)
        yield lambda _: bar.advance(task)


@spelt_out(AuditOptions)
def audit_scores(
    frame: Table,
    metadata: Table | None = None,
    outcome: Names = "dsc",
    *,
    lower_is_better: Names = (),
    higher_is_better: Names = (),
    **options: Unpack[AuditOptions],
) -> Audit:
    """The same audit from per-case scores that exist already.

    Args:
        frame: One row a case: a data frame, a table, nnU-Net's `summary.json` or its results folder.
        metadata: Table of patient attributes; None: the other columns of the frame. A frame without a column of ids is
            then one row a case.
        outcome: Columns to examine; the first is the primary one.
        lower_is_better: Columns of which lower values are better, where their names do not tell.
        higher_is_better: Columns of which higher values are better, where their names do not tell.
        **options: See `segfair.api.options.AuditOptions`.

    Raises:
        InputError: A table that cannot be used.
        ConfigError: Settings that cannot be meant, or a column that is not there.

    Examples:
        >>> import pandas as pd, segfair as sf
        >>> frame = pd.DataFrame({"dsc": [0.9, 0.8, 0.6, 0.7] * 8, "site": ["A", "A", "B", "B"] * 8})
        >>> result = sf.audit_scores(frame, permutations=99, bootstrap=100)
        >>> result.by_group["dsc"].round(2).to_dict()
        {('site', 'A'): 0.85, ('site', 'B'): 0.65}
    """
    from segfair.audit.procedure import run_audit
    from segfair.intake.score_tables import load_score_cohort

    with python_terms():
        config = audit_config({**options, "outcome": outcome})
        chosen = selection(options)
        lower, higher = names_of(lower_is_better, "lower_is_better"), names_of(higher_is_better, "higher_is_better")
        scores: Table = frame
        if metadata is None and _is_frame(frame):
            scores, metadata, chosen["id_column"] = split_frame(
                frame, scores=(*config.outcomes, *lower, *higher), id_column=chosen.get("id_column")
            )
        cohort, table = load_score_cohort(
            scores,
            frame if metadata is None else metadata,
            lower_is_better=lower,
            higher_is_better=higher,
            protocol=config.protocol,
            **chosen,
        )
        return Audit.of(_planned(run_audit(cohort, config, scores=table), config, options))


def score(
    prediction: Any,
    label: Any,
    spacing: Sequence[float] | None = None,
    *,
    protocol: str | PathLike[str] | Any = "default",
    metrics: Names | None = None,
    counted: int | str | Mapping[str, int | Sequence[int]] | None = None,
) -> dict[str, float | None]:
    """The scores of one prediction against its label.

    Args:
        prediction: Label map: array, torch tensor, or the path of a mask.
        label: The same of the reference.
        spacing: Lengths of a voxel's edges in mm; None: as the label says, and in pixels or voxels where it does not.
        protocol: Scoring rules, see `segfair.load_protocol`.
        metrics: Metrics to compute; None: the protocol's.
        counted: Which voxels count: 1, "any", or regions as {"tumour": (1, 2)}; None: as the protocol says.

    Returns:
        Metric -> value; None where it is undefined.

    Raises:
        InputError: Something that is no mask, or another grid.
        ConfigError: Settings that cannot be meant.

    Examples:
        >>> import numpy as np, segfair as sf
        >>> label, prediction = np.zeros((2, 8, 8), dtype=int)
        >>> label[2:6, 2:6], prediction[2:6, 3:7] = 1, 1
        >>> sf.score(prediction, label, (0.5, 0.5), metrics=["dsc", "hd95_mm"])
        {'dsc': 0.75, 'hd95_mm': 0.5}
    """
    from segfair.audit.choices.cases import settle_pictures
    from segfair.audit.choices.labels import labels_are_named, resolve_protocol
    from segfair.audit.choices.units import resolve_units
    from segfair.cases import Case, Cohort
    from segfair.scoring.cohort import score_case
    from segfair.scoring.reading import NO_PREDICTION

    with memory_folder() as folder, python_terms():
        if prediction is None:
            raise InputError(NO_PREDICTION)
        asked: MaskOptions = {"protocol": protocol, "metrics": metrics, "label": counted}
        if metrics is not None:
            asked["outcome"] = metrics
        config = audit_config(asked)
        paths = {
            role: put_mask(mask, folder / f"{role}.npz", name=role, spacing=spacing)
            for role, mask in (("label", label), ("prediction", prediction))
        }
        cohort = Cohort((Case("", paths["label"], paths["prediction"]),))
        rules = dataclasses.replace(config, protocol=resolve_protocol(config, cohort))
        rules = resolve_units(rules, cohort)
        cohort = settle_pictures(cohort, rules, labels_named=labels_are_named(config, cohort))
        found = score_case(cohort.cases[0], rules.protocol)
        if found.penalised is not None:
            raise InputError(f"prediction: {found.penalised}")
        return dict(found.values)
