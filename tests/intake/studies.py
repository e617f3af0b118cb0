"""A study on disk: labels, predictions and a table, with what is missing as asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segfair.cases import Cohort
from segfair.intake.cohorts import load_cohort


def masks(folder: Path, ids: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for case in ids:
        (folder / f"{case}.nii.gz").touch()
    return folder


def ids_of(n: int) -> list[str]:
    return [f"P{index:03d}" for index in range(n)]


def table(path: Path, ids: Sequence[str], **columns: Sequence[object]) -> Path:
    lines = [",".join(["id", *columns])]
    lines += [",".join(map(str, row)) for row in zip(ids, *columns.values(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


class Study:
    """Twenty labels, some predictions, a table; `load` with options."""

    def __init__(self, root: Path, *, labels: int = 20, predictions: Sequence[str] | None = None) -> None:
        self.root = root
        self.ids = ids_of(labels)
        self.labels = masks(root / "labels", self.ids)
        self.predictions = masks(root / "preds", self.ids if predictions is None else predictions)
        self.table = table(
            root / "meta.csv",
            self.ids,
            age=[40 + index for index in range(labels)],
            split=["test" if index % 2 else "train" for index in range(labels)],
            patient=[f"S{index // 2}" for index in range(labels)],
        )

    def load(self, **options: object) -> Cohort:
        return load_cohort(self.predictions, self.labels, self.table, **options)  # type: ignore[arg-type]


def said(cohort: Cohort, *words: str) -> bool:
    return any(all(word in notice for word in words) for notice in cohort.notices)
