"""Checkpoints and the tables beside them: written whole or not at all, and never run as code when read.

A checkpoint is a dict of tensors, numbers, texts, lists and dicts: `format`, `epoch` (finished epochs), `network`
(state dict), `description` (how to rebuild network and preprocessing), `scores` (validation scores of that network)
and, in `checkpoint_last.pt`, `training` (what resuming needs).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segfair.errors import InputError
from segfair.files.cells import defuse

__all__ = ["FORMAT", "append_rows", "load_checkpoint", "save_checkpoint", "trim_rows"]

FORMAT = 1


def save_checkpoint(path: str | Path, checkpoint: Mapping[str, Any]) -> None:
    """Writes a checkpoint under a temporary name and moves it: whoever looks finds the old one or the new one."""
    import torch

    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as stream:
        torch.save({"format": FORMAT, **checkpoint}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def load_checkpoint(path: str | Path, *, device: str = "cpu") -> dict[str, Any]:
    """Reads a checkpoint with `weights_only=True`: a file from elsewhere cannot run code.

    Raises:
        InputError: No such file, not a checkpoint of segfair, or one of another format.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise InputError(f"checkpoint {path}: no such file; a training writes checkpoint_best.pt")
    try:
        checkpoint = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        # torch.load raises pickle, zip, runtime and OS errors for damaged or foreign files.
        raise InputError(f"checkpoint {path}: cannot be read ({type(error).__name__}); is it complete?") from error
    if not isinstance(checkpoint, dict) or "network" not in checkpoint:
        raise InputError(f"checkpoint {path}: not written by segfair (it has no entry `network`)")
    if checkpoint.get("format") != FORMAT:
        raise InputError(
            f"checkpoint {path}: format is {checkpoint.get('format')!r}, this version reads format {FORMAT}"
        )
    return checkpoint


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Appends rows to a CSV file, with a header if it is new; None is an empty cell, numbers keep every digit.

    Text that a spreadsheet would run as a formula is defused, as in every table.
    """
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8", errors="backslashreplace") as stream:
        writer = csv.DictWriter(stream, columns)
        if new:
            writer.writeheader()
        writer.writerows({name: _inert(cell) for name, cell in row.items()} for row in rows)


def _inert(cell: object) -> object:
    return defuse(cell) if isinstance(cell, str) else cell


def trim_rows(path: Path, *, last_epoch: int) -> None:
    """Drops the rows of epochs after `last_epoch` and a last row cut short: a resumed training writes them anew."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    header, body = rows[0] if rows else [], rows[1:]
    if "epoch" not in header:
        path.unlink()
        return
    column = header.index("epoch")
    kept = [row for row in body if len(row) == len(header) and int(row[column]) <= last_epoch]
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *kept])
    temporary.replace(path)
