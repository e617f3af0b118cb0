"""Folders and a table -> `Cohort`: which cases count, which prediction and which row is whose. Reads no voxel.

Every decision that could surprise somebody becomes a notice; every case that leaves has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, PairingError, some
from segfair.files.folders import unread_masks
from segfair.files.images.masks import MASK_SUFFIXES
from segfair.files.layouts import MaskFolder, look_swapped, pair_masks
from segfair.files.spellings import AS_TEXT, Spellings
from segfair.intake.case_ids import IdMatch, Matches, find_id_column, match_ids
from segfair.intake.case_rows import MetadataRows, attach_metadata, choose_cases, with_folds
from segfair.intake.dicom.cases import with_dicom
from segfair.intake.dicom.objects import pair_folders
from segfair.intake.mask_values import survey
from segfair.intake.score_tables import load_score_cohort
from segfair.intake.sources import find_sources
from segfair.remote import local_copy, shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "IdMatch",
    "Matches",
    "find_id_column",
    "load_cohort",
    "load_score_cohort",
    "match_ids",
    "pairing_notices",
    "penalised_notice",
]

MissingRule = Literal["worst", "drop", "error"]

# Above this share of missing predictions, cases were more likely never predicted than failed.
_MOST_MISSING = 0.2


def load_cohort(
    predictions: str | PathLike[str] | pd.DataFrame,
    labels: str | PathLike[str] | None = None,
    metadata: str | PathLike[str] | pd.DataFrame | None = None,
    *,
    id_column: str | None = None,
    sheet: str | None = None,
    cases: str | None = None,
    where: str | None = None,
    missing_prediction: MissingRule | None = None,
    subject_column: str | None = None,
    dicom_series: str | PathLike[str] | None = None,
    dicom_attributes: str | None = None,
    probabilities: str | PathLike[str] | None = None,
) -> Cohort:
    """Gathers the cases of an audit from their folders and their table, or from one table of paths.

    Args:
        predictions: Folder of predicted masks, in any layout that `segfair.files.layouts` knows, or a path with `{id}`
            (`segfair.files.finding.patterns`). Alone, a table of paths: a file or a data frame.
        labels: The same of reference masks; their names are the case ids.
        metadata: Table of patient attributes, one row a case; None: without.
        id_column: Metadata column of case ids; None: the one that holds most of them.
        sheet: Sheet of an XLSX file; None: the one that holds most of the case ids.
        cases: Only these cases count: a file of ids, or `splits_final.json:FOLD`.
        where: Only cases whose metadata fulfil this count; see `segfair.intake.where`.
        missing_prediction: "worst": a case without a prediction stays and will be penalised; "drop": it is
            excluded; "error": it is an error. None: "worst", unless more than a fifth of the cases have none.
        subject_column: Metadata column that tells which cases are of one patient; it stays in the metadata.
        dicom_series: Folder of the image series that DICOM masks were drawn on, where they do not lie beside them.
        dicom_attributes: Attributes read from DICOM headers as metadata; see `segfair.files.dicom.attributes`.
        probabilities: Folder of the probabilities behind the masks, as maps or as nnU-Net's `.npz`; None: without, or
            as a table of paths has them.

    Returns:
        The cohort in id order. The folds of nnU-Net results become the column `fold`. A case without a row is
        excluded; labels that do not count are not in it at all.

    Raises:
        InputError: A folder or file that is missing or unusable.
        PairingError: No prediction belongs to a label, or too many labels have none.
        MetadataError: The table is unusable, or belongs to other cases.
        ConfigError: A condition that cannot be read, or that no case fulfils.
    """
    source = find_sources(predictions, labels, metadata, sheet=sheet, probabilities=probabilities)
    label_masks, prediction_masks = source.labels, source.predictions
    label_folder, prediction_folder = source.label_place, source.prediction_place
    case_ids = sorted(label_masks.files)
    prediction_ids = list(prediction_masks.files)
    # Within a table, a row is a case, however its id is spelt.
    in_question = prediction_ids if label_masks.kind != "table" else sorted({*prediction_ids} & {*case_ids})
    found = pair_folders(label_masks, prediction_masks, in_question)
    pairs = found.partner
    swapped = look_swapped(label_masks, prediction_masks)
    if not pairs:
        raise _no_pair(case_ids, prediction_ids, label_folder, prediction_folder, swapped)
    if source.table is not None:
        known = id_column or source.id_column
        rows = attach_metadata(source.table, case_ids, id_column=known, subject_column=subject_column)
    elif id_column or subject_column or where:
        raise ConfigError("an id column, a subject column and --where need a metadata table")
    else:
        rows = MetadataRows("", "", (), {}, {})
    rows = with_folds(rows, case_ids, _folds(prediction_masks, pairs, case_ids))
    chosen, choice = choose_cases(case_ids, rows, cases=cases, where=where, what="labels")

    # What has no row leaves the audit for that reason, whatever else is amiss with it.
    counted = [case for case in chosen if case not in rows.absent]
    without = [case for case in counted if case not in pairs]
    _check_missing(without, counted, missing_prediction, prediction_folder, len(prediction_ids))
    excluded = {case: reason for case, reason in rows.absent.items() if case in set(chosen)}
    if missing_prediction == "drop":
        excluded |= dict.fromkeys(without, "dropped: no prediction")
    extra = sorted(set(prediction_ids) - set(pairs.values()))
    _check_unread(label_masks, extra, "label", label_folder)
    _check_unread(prediction_masks, [case for case in case_ids if case not in pairs], "prediction", prediction_folder)
    notices = (
        f"labels: {len(case_ids)} masks in {label_folder} ({label_masks.layout})",
        *label_masks.notices,
        f"predictions: {len(prediction_ids)} masks in {prediction_folder} ({prediction_masks.layout})",
        *prediction_masks.notices,
        *_structure_notices(label_masks, prediction_masks),
        *source.notices,
        *pairing_notices(found),
        *([swapped] if swapped else []),
        *rows.notices,
        *choice,
        *_missing_notices(without, rows, excluded, extra, dropped=missing_prediction == "drop"),
    )
    structures = _structures(label_masks, prediction_masks)
    ignored = [masks.ignore_label for masks in (label_masks, prediction_masks) if masks.ignore_label is not None]
    prediction_of = {case: prediction_masks.files[partner] for case, partner in pairs.items()}
    cohort = Cohort(
        tuple(
            Case(
                case,
                label_masks.files[case],
                prediction_of.get(case),
                rows.of(case),
                structures=structures,
                probabilities=source.probabilities.get(case),
            )
            for case in chosen
            if case not in excluded
        ),
        columns=rows.columns,
        id_column=rows.id_column,
        excluded=dict(sorted(excluded.items())),
        notices=tuple(dict.fromkeys(map(shown, notices))),
        label_names=_names_of(label_masks, structures) or label_masks.label_names or prediction_masks.label_names,
        ignore_label=ignored[0] if ignored else None,
        inputs=source.inputs,
        subject_column=rows.subject_column,
        joined=rows.joined,
        missing=rows.missing,
        raters=source.raters,
        images=source.images,
    )
    cohort = with_dicom(
        cohort,
        (label_masks.index, prediction_masks.index),
        series=None if dicom_series is None else local_copy(Path(dicom_series)),
        attributes=dicom_attributes,
    )
    return survey(cohort)


def _structures(labels: MaskFolder, predictions: MaskFolder) -> tuple[str, ...]:
    """The structures of a study in the order of their values: those of the labels, then what is predicted alone.

    Raises:
        PairingError: One side has one file a structure, and the other label maps.
    """
    if bool(labels.structures) != bool(predictions.structures):
        whole, apart = ("labels", "predictions") if predictions.structures else ("predictions", "labels")
        raise PairingError(
            f"{apart} are one file a structure and {whole} label maps, whose values nobody names; save both alike"
        )
    return tuple(dict.fromkeys((*labels.structures, *predictions.structures)))


def _names_of(labels: MaskFolder, structures: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """The structures of the labels as regions."""
    return {name: (value,) for value, name in enumerate(structures, start=1) if name in labels.structures}


def _structure_notices(labels: MaskFolder, predictions: MaskFolder) -> list[str]:
    """Which structures only one side has."""
    alone = [name for name in predictions.structures if name not in labels.structures]
    lacking = [name for name in labels.structures if name not in predictions.structures]
    return [
        *([f"structures of predictions that no label has, passed over: {len(alone)} ({some(alone)})"] if alone else []),
        *([f"structures of labels that no prediction has: {len(lacking)} ({some(lacking)})"] if lacking else []),
    ]


def _missing_notices(
    without: Sequence[str], rows: MetadataRows, excluded: Mapping[str, str], extra: Sequence[str], *, dropped: bool
) -> list[str]:
    """What became of cases without a prediction or a row, and of predictions without a label."""
    found = []
    if without and dropped:
        found.append(f"cases without a prediction, dropped: {len(without)} ({some(without)})")
    elif without:
        found.append(penalised_notice(without))
    gone = [case for case in excluded if case in rows.absent]
    if gone:
        found.append(f"cases without a row in {rows.name}, excluded: {len(gone)} ({some(gone)})")
    if extra:
        found.append(f"predictions without a label, passed over: {len(extra)} ({some(extra)})")
    return found


def _no_pair(
    case_ids: Sequence[str], prediction_ids: Sequence[str], labels: Path, predictions: Path, swapped: str | None
) -> PairingError:
    return PairingError(
        f"none of the {len(prediction_ids)} predictions in {predictions} belongs to a label in {labels};"
        f" predictions are {some(prediction_ids)}, labels are {some(case_ids)}; their names have to be equal"
        + (f". {swapped}" if swapped else "")
    )


def pairing_notices(pairs: Spellings) -> list[str]:
    """What to say of predictions whose names are not those of the labels."""
    notices = []
    for way in dict.fromkeys(way for way in pairs.how.values() if way != AS_TEXT):
        spelt = [f"{case} = {pairs.partner[case]}" for case, how in pairs.how.items() if how == way]
        notices.append(f"predictions paired with labels {way}: {len(spelt):,} ({some(spelt)})")
    if pairs.ambiguous:
        spelt = [f"{case} ({', '.join(names)})" for case, names in pairs.ambiguous.items()]
        notices.append(f"predictions that could be of several labels, not paired: {len(spelt):,} ({some(spelt)})")
    return notices


def penalised_notice(cases: Sequence[str]) -> str:
    """That cases without a prediction have the worst score; an audit leaves out those whose label proves unusable."""
    return f"cases without a prediction, given the worst score: {len(cases)} ({some(cases)})"


def _folds(predictions: MaskFolder, pairs: Mapping[str, str], case_ids: Sequence[str]) -> dict[str, str]:
    """The fold that predicted each case; a single fold stands for cases without a prediction, too."""
    names = set(predictions.fold.values())
    only = next(iter(names)) if len(names) == 1 else None
    found = {case: predictions.fold.get(pairs.get(case, ""), only) for case in case_ids}
    return {case: name for case, name in found.items() if name is not None}


def _check_unread(masks: MaskFolder, lacking: Sequence[str], role: str, folder: Path) -> None:
    """Refuses masks that are there, beside those that are read, and whose cases would go without them.

    Args:
        masks: What was read.
        lacking: Names on the other side that found no partner.
        role: What the masks are.
        folder: Where they were looked for.
    """
    if masks.kind != "flat" or not lacking or not folder.is_dir():
        return
    found = unread_masks(folder, masks.files)
    lost = [found[case] for case in pair_masks(lacking, list(found)).partner.values()]
    if lost:
        raise PairingError(
            f"{role}s {folder}: {len(lost)} {role}s are not read, such as {lost[0]}, while {len(masks.files)} are; "
            f"put all {role}s into one folder, in a format that is read ({', '.join(MASK_SUFFIXES)}), or take them away"
        )


def _check_missing(
    without: Sequence[str], counted: Sequence[str], rule: MissingRule | None, predictions: Path, n_predictions: int
) -> None:
    """Refuses cases without a prediction where that is an error, or where they are too many to be an accident."""
    counts = f"{len(without)} of {len(counted)} labels have no prediction in {predictions} ({n_predictions} masks)"
    if rule == "error" and without:
        raise PairingError(f"{counts}: {some(without, 5)}; predict them, or choose --missing-prediction worst or drop")
    if rule is None and len(without) > _MOST_MISSING * len(counted):
        raise PairingError(
            f"{counts}, such as {some(without)}. If only some cases were predicted, name them with --cases FILE"
            " (ids, one a line, or splits_final.json:FOLD) or --where EXPRESSION; if the model failed on them,"
            " choose --missing-prediction worst (they count with the worst score) or drop (they leave the audit)"
        )
