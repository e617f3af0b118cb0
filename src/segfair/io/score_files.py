"""Files of per-case scores: a table with one row a case, or nnU-Net's `summary.json`. Interprets no score."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segfair.errors import MetadataError
from segfair.io.masks import mask_stem
from segfair.io.tables import Table, load_table, read_json, records_table

__all__ = ["ScoreFile", "read_scores"]

# nnU-Net's names -> ours; the counts of voxels are facts, not scores.
_SCORES = {"Dice": "dsc", "IoU": "iou"}
_COUNTS = {"TP": "tp", "FP": "fp", "FN": "fn", "TN": "tn", "n_pred": "n_pred", "n_ref": "n_ref"}


@dataclass(frozen=True, slots=True, eq=False)
class ScoreFile:
    """Per-case scores as a table.

    Attributes:
        table: One row a case.
        id_column: The column of case ids; empty where it has yet to be found among the columns.
        scores: The columns that hold scores; empty where any column of numbers may.
        mean_of: Score -> the columns that it is the mean of, where the file has several labels or regions. The mean
            is None where one of its parts is.
        both_empty: Score column -> cases in which label and prediction are both empty. Their value is None: what it
            is worth is for a protocol to say.
    """

    table: Table
    id_column: str = ""
    scores: tuple[str, ...] = ()
    mean_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    both_empty: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_scores(path: Path) -> ScoreFile:
    """Reads per-case scores.

    From nnU-Net's `summary.json` come `dsc` and `iou`; with several labels these are means, and each label has its
    own `dsc_LABEL` and `iou_LABEL`, a region such as (1, 2, 3) being called 1+2+3. Voxel counts stand beside them
    as `tp`, `fp`, `fn`, `tn`, `n_pred` and `n_ref`. Label 0, the background, is passed over.

    Args:
        path: A table (see `load_table`), or a `summary.json`.

    Raises:
        MetadataError: The file is missing, unreadable or empty, names a case twice, or is a summary without cases.
    """
    path = Path(path)
    if path.suffix.lower() == ".json" and path.is_file():
        tree = read_json(path)
        if isinstance(tree, dict) and "metric_per_case" in tree:
            return _read_summary(tree["metric_per_case"], path)
    return ScoreFile(load_table(path))


def _read_summary(entries: Any, path: Path) -> ScoreFile:
    if not isinstance(entries, list) or not entries:
        raise MetadataError(f"scores {path}: metric_per_case names no case")
    by_case: dict[str, dict[str, dict[str, Any]]] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            case = _case_of(entry)
            by_label = {_label_name(key): dict(metrics) for key, metrics in entry["metrics"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MetadataError(
                f"scores {path}: entry {number} of metric_per_case is not nnU-Net's (reference_file and metrics by"
                f" label): {type(error).__name__} {error}"
            ) from error
        if case in by_case:
            raise MetadataError(f"scores {path}: case {case} is in it twice; hand over the summary of one fold")
        by_label.pop("0", None)
        by_case[case] = by_label
    labels = list(dict.fromkeys(label for by_label in by_case.values() for label in by_label))
    if not labels:
        raise MetadataError(f"scores {path}: metric_per_case has no label but the background")

    several = len(labels) > 1
    records: list[dict[str, object]] = []
    both_empty: dict[str, list[str]] = {}
    for case, by_label in by_case.items():
        record: dict[str, object] = {"case": case}
        for theirs, ours in _SCORES.items():
            parts = [_number(by_label.get(label, {}).get(theirs)) for label in labels]
            known = [part for part in parts if part is not None]
            record[ours] = sum(known) / len(known) if len(known) == len(parts) else None
            if several:
                record |= {f"{ours}_{label}": part for label, part in zip(labels, parts, strict=True)}
            for label, part in zip(labels, parts, strict=True):
                if part is None and _is_both_empty(by_label.get(label, {})):
                    both_empty.setdefault(f"{ours}_{label}" if several else ours, []).append(case)
        for theirs, ours in _COUNTS.items():
            for label in labels:
                record[f"{ours}_{label}" if several else ours] = _number(by_label.get(label, {}).get(theirs))
        records.append(record)

    parts_of = {ours: tuple(f"{ours}_{label}" for label in labels) for ours in _SCORES.values()} if several else {}
    scores = [*_SCORES.values(), *(part for parts in parts_of.values() for part in parts)]
    return ScoreFile(
        records_table(records, name=path.name),
        "case",
        tuple(scores),
        parts_of,
        {name: tuple(cases) for name, cases in both_empty.items()},
    )


def _case_of(entry: Mapping[str, Any]) -> str:
    """The id that the label's file name spells; summaries written on Windows have backslashes."""
    file = entry.get("reference_file") or entry["prediction_file"]
    name = re.split(r"[/\\]", file)[-1]
    return mask_stem(name) or name


def _label_name(key: str) -> str:
    """`1` and `(1,)` are label 1, `(1, 2, 3)` is the region 1+2+3."""
    return "+".join(str(int(part)) for part in key.strip("()").split(",") if part.strip())


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _is_both_empty(metrics: Mapping[str, Any]) -> bool:
    return _number(metrics.get("n_ref")) == 0 and _number(metrics.get("n_pred")) == 0
