"""Files of per-case scores: a table, nnU-Net's `summary.json` (both versions, several folds), MONAI's CSV.

Interprets no score and joins nothing: what a column measures, and whose row it is, is asked elsewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segfair.errors import MetadataError
from segfair.files.cells import compose
from segfair.files.images.masks import mask_stem
from segfair.files.tables import Table, load_table, read_json, records_table, table_from_frame
from segfair.remote import local_copy

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ScoreFile", "read_scores"]

# nnU-Net's names, of version 2 and 1 -> ours; the counts of voxels are facts, not scores.
_SCORES = {
    "Dice": "dsc",
    "IoU": "iou",
    "Jaccard": "iou",
    "Recall": "sensitivity",
    "Precision": "precision",
    "Hausdorff Distance 95": "hd95_mm",
    "Avg. Symmetric Surface Distance": "assd_mm",
}
_COUNTS = {
    "TP": "tp",
    "FP": "fp",
    "FN": "fn",
    "TN": "tn",
    "n_pred": "n_pred",
    "n_ref": "n_ref",
    "Total Positives Test": "n_pred",
    "Total Positives Reference": "n_ref",
}
# Where label and prediction are both empty these are a protocol's to say; the others stay undefined.
_OVERLAP = ("dsc", "iou")
_MONAI_CLASS = re.compile(r"class\d+")

Labels = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ScoreFile:
    """Per-case scores as a table.

    Attributes:
        table: One row a case; of a table of one's own perhaps several rows a case.
        id_column: The column of case ids; empty where it has yet to be found among the columns.
        scores: The columns that hold scores; empty where any column of numbers may.
        mean_of: Score -> the columns that it is the mean of, where the file has several labels or regions. The mean
            is None where one of its parts is.
        both_empty: Score column -> cases in which label and prediction are both empty. Their value is None: what it
            is worth is for a protocol to say.
        fold: Case id -> the fold that predicted it, where several summaries were read.
        notices: Sentences for the reader.
    """

    table: Table
    id_column: str = ""
    scores: tuple[str, ...] = ()
    mean_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    both_empty: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fold: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def read_scores(scores: str | PathLike[str] | pd.DataFrame) -> ScoreFile:
    """Reads per-case scores.

    From nnU-Net's `summary.json` come `dsc` and `iou` (and, of version 1, further metrics); with several labels these
    are means, and each label has its own `dsc_LABEL`, a region such as (1, 2, 3) being called 1+2+3. Voxel counts
    stand beside them as `tp`, `fp`, `fn`, `tn`, `n_pred` and `n_ref`. Label 0, the background, is passed over.

    Args:
        scores: A table (see `load_table`), a `summary.json`, MONAI's `METRIC_raw.csv`, or an nnU-Net results folder,
            whose folds are pooled; or a data frame.

    Raises:
        MetadataError: The file is missing, unreadable or empty, names a case twice, or is a summary without cases.
    """
    if not isinstance(scores, str | PathLike):
        return ScoreFile(table_from_frame(scores, name="the frame of scores"))
    path = local_copy(Path(scores))
    if path.is_dir():
        return _read_folds(path)
    if path.suffix.lower() == ".json" and path.is_file():
        entries = _entries(read_json(path), path)
        if entries is not None:
            return _score_file(entries, name=path.name)
    return _read_table(path)


def _read_table(path: Path) -> ScoreFile:
    table = load_table(path)
    columns = table.columns
    # MONAI's write_metrics_reports: METRIC_raw.csv with the columns filename, class0, class1, ..., mean.
    if path.stem.endswith("_raw") and columns[:1] == ("filename",) and columns[-1:] == ("mean",):
        metric = path.stem.removesuffix("_raw")
        names = {"mean": metric} | {
            column: f"{metric}_{column}" for column in columns if _MONAI_CLASS.fullmatch(column)
        }
        # The mean comes first: the classes are parts of it.
        return ScoreFile(table.reordered(("filename", "mean")).renamed(names), "filename")
    if path.stem.endswith("_summary") and columns[:1] == ("class",):
        raise MetadataError(
            f"scores {path}: is MONAI's summary, a row a class, and names no case; hand over"
            f" {path.name.replace('_summary', '_raw')} beside it"
        )
    return ScoreFile(table)


def _read_folds(folder: Path) -> ScoreFile:
    """All folds of an nnU-Net results folder: each case is scored by the fold that did not train on it."""
    found: dict[str, Path] = {}
    for fold in sorted(folder.glob("fold_*/")):
        # Version 1 calls the folder validation_raw.
        summaries = [fold / name / "summary.json" for name in ("validation", "validation_raw")]
        existing = [path for path in summaries if path.is_file()]
        if existing:
            found[fold.name.removeprefix("fold_")] = existing[0]
    if not found and (folder / "summary.json").is_file():
        return read_scores(folder / "summary.json")
    if not found:
        raise MetadataError(
            f"scores {folder}: is a folder without nnU-Net's fold_*/validation/summary.json; hand over a table"
        )
    pooled: dict[str, Labels] = {}
    fold_of: dict[str, str] = {}
    for name, path in found.items():
        entries = _entries(read_json(path), path)
        if entries is None:
            raise MetadataError(f"scores {path}: is no summary.json of nnU-Net")
        twice = sorted(pooled.keys() & entries.keys())
        if twice:
            raise MetadataError(
                f"scores {folder}: {len(twice)} cases are in two folds, such as {twice[0]} in fold_{fold_of[twice[0]]}"
                f" and fold_{name}; hand over the summary.json of one fold"
            )
        pooled |= entries
        fold_of |= dict.fromkeys(entries, name)
    file = _score_file(pooled, name=folder.name)
    notices = [f"scores: the summaries of fold {', '.join(found)} in {folder}, pooled"]
    without = [path.name for path in sorted(folder.glob("fold_*/")) if path.name.removeprefix("fold_") not in found]
    if without:
        notices.append(f"folds without a summary, whose cases have no scores: {', '.join(without)}")
    if "all" in found:
        notices.append("fold all was trained on its own validation cases: these scores are not of unseen cases")
    return ScoreFile(file.table, file.id_column, file.scores, file.mean_of, file.both_empty, fold_of, tuple(notices))


def _entries(tree: Any, path: Path) -> dict[str, Labels] | None:
    """Case -> label -> its metrics, of either version's summary; None where it is none."""
    if not isinstance(tree, dict):
        return None
    if "metric_per_case" in tree:
        listed, where = tree["metric_per_case"], "metric_per_case"
    elif isinstance(tree.get("results"), dict) and "all" in tree["results"]:
        listed, where = tree["results"]["all"], "results.all"
    else:
        return None
    if not isinstance(listed, list) or not listed:
        raise MetadataError(f"scores {path}: {where} names no case")
    by_case: dict[str, Labels] = {}
    for number, entry in enumerate(listed, start=1):
        try:
            case, by_label = _entry(entry)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MetadataError(
                f"scores {path}: entry {number} of {where} is not nnU-Net's (a reference file and metrics by label)"
            ) from error
        if case in by_case:
            raise MetadataError(f"scores {path}: case {case} is in it twice; hand over the summary of one fold")
        by_case[case] = by_label
    if not any(by_case.values()):
        raise MetadataError(f"scores {path}: {where} has no label but the background")
    return by_case


def _entry(entry: Mapping[str, Any]) -> tuple[str, Labels]:
    """One case of a summary: version 1 has `reference`, `test` and the labels side by side."""
    file = entry.get("reference_file") or entry.get("reference") or entry.get("prediction_file") or entry["test"]
    metrics = entry.get("metrics", {key: value for key, value in entry.items() if isinstance(value, dict)})
    by_label = {_label_name(key): dict(values) for key, values in metrics.items()}
    by_label.pop("0", None)
    return _case_of(file), by_label


def _score_file(by_case: Mapping[str, Labels], *, name: str) -> ScoreFile:
    labels = list(dict.fromkeys(label for by_label in by_case.values() for label in by_label))
    several = len(labels) > 1
    scores = _present(_SCORES, by_case)
    counts = _present(_COUNTS, by_case)
    records: list[dict[str, object]] = []
    both_empty: dict[str, list[str]] = {}
    for case, by_label in by_case.items():
        record: dict[str, object] = {"case": case}
        for ours, theirs in scores.items():
            parts = [_first_number(by_label.get(label, {}), theirs) for label in labels]
            known = [part for part in parts if part is not None]
            record[ours] = sum(known) / len(known) if len(known) == len(parts) else None
            if several:
                record |= {f"{ours}_{label}": part for label, part in zip(labels, parts, strict=True)}
            for label, part in zip(labels, parts, strict=True):
                if part is None and ours in _OVERLAP and _is_both_empty(by_label.get(label, {})):
                    both_empty.setdefault(f"{ours}_{label}" if several else ours, []).append(case)
        for ours, theirs in counts.items():
            for label in labels:
                value = _first_number(by_label.get(label, {}), theirs)
                record[f"{ours}_{label}" if several else ours] = value
        records.append(record)
    parts_of = {ours: tuple(f"{ours}_{label}" for label in labels) for ours in scores} if several else {}
    return ScoreFile(
        records_table(records, name=name),
        "case",
        (*scores, *(part for parts in parts_of.values() for part in parts)),
        parts_of,
        {column: tuple(cases) for column, cases in both_empty.items()},
    )


def _present(names: Mapping[str, str], by_case: Mapping[str, Labels]) -> dict[str, tuple[str, ...]]:
    """Our name -> their names for it, of what occurs at all; version 2's columns always, as they always were."""
    occurring = {key for by_label in by_case.values() for metrics in by_label.values() for key in metrics}
    found: dict[str, tuple[str, ...]] = {}
    for theirs, ours in names.items():
        always = theirs in ("Dice", "IoU", "TP", "FP", "FN", "TN", "n_pred", "n_ref")
        if always or theirs in occurring:
            found[ours] = (*found.get(ours, ()), theirs)
    return found


def _case_of(file: str) -> str:
    """The id that the label's file name spells; summaries written on Windows have backslashes."""
    name = re.split(r"[/\\]", file)[-1]
    return compose(mask_stem(name) or name)


def _label_name(key: str) -> str:
    """`1` and `(1,)` are label 1, `(1, 2, 3)` is the region 1+2+3; a name stays."""
    parts = [part.strip() for part in key.strip("()").split(",") if part.strip()]
    return "+".join(str(int(part)) if len(part) < 20 and part.isdecimal() else part for part in parts)


def _first_number(metrics: Mapping[str, Any], names: Sequence[str]) -> float | None:
    return next((number for name in names if (number := _number(metrics.get(name))) is not None), None)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _is_both_empty(metrics: Mapping[str, Any]) -> bool:
    return all(
        _first_number(metrics, [theirs for theirs, ours in _COUNTS.items() if ours == count]) == 0
        for count in ("n_ref", "n_pred")
    )
