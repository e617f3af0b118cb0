"""A table of scores on disk, as somebody would write it."""

from __future__ import annotations

from pathlib import Path


def scores(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    return path


def metrics(dice: float, n_ref: int, n_pred: int) -> dict[str, float]:
    return {"Dice": dice, "IoU": dice / 2, "n_ref": n_ref, "n_pred": n_pred}
