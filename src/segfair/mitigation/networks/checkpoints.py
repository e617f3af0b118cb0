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
from typing import TYPE_CHECKING, Any

from segfair.errors import ConfigError, InputError, cut_text, in_words
from segfair.files.cells import defuse
from segfair.files.placing import placed_whole, text_file

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "FORMAT",
    "append_rows",
    "check_unfinished",
    "check_weights",
    "load_checkpoint",
    "put_weights",
    "save_checkpoint",
    "trim_rows",
]

FORMAT = 1


def save_checkpoint(path: str | Path, checkpoint: Mapping[str, Any]) -> None:
    """Writes a checkpoint aside and moves it: whoever looks finds the old one or the new one, whole.

    Raises:
        InputError: It cannot be written; the old one stays.
    """
    import torch

    path = Path(path)
    try:
        with placed_whole(path) as unfinished, unfinished.open("wb") as stream:
            torch.save({"format": FORMAT, **checkpoint}, stream)
            stream.flush()
            os.fsync(stream.fileno())
    except (OSError, RuntimeError) as error:  # torch tells of a full disk by the one or the other
        raise InputError(
            f"checkpoint {path}: cannot be written ({_why(error)}); what was saved before is there: make room, and go "
            "on with --resume"
        ) from error


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
        why = in_words(error) if isinstance(error, OSError) else "it is none, is cut off, or holds code"
        raise InputError(f"checkpoint {path}: cannot be read ({why})") from error
    if not isinstance(checkpoint, dict) or "network" not in checkpoint:
        raise InputError(f"checkpoint {path}: not written by segfair (it has no entry `network`)")
    if checkpoint.get("format") != FORMAT:
        raise InputError(
            f"checkpoint {path}: format is {checkpoint.get('format')!r}, this version reads format {FORMAT}"
        )
    return checkpoint


def _why(error: Exception) -> str:
    causes = (error, error.__context__, error.__cause__)
    told = next((cause for cause in causes if isinstance(cause, OSError)), None)
    return "no space left?" if told is None else in_words(told)


_TRAINING = ("identity", "epoch", "step", "loss_sum", "loss_count", "best", "history", "module", "optimizer")


def check_unfinished(path: Path) -> None:
    """Whether a training can go on from a checkpoint, before others train for hours.

    Raises:
        InputError: It cannot be read, or is not the last of a training.
    """
    training = load_checkpoint(path).get("training")
    if not isinstance(training, Mapping) or any(name not in training for name in _TRAINING):
        raise InputError(
            f"checkpoint {path}: does not hold a training to go on with; remove it, which trains anew, or put back the "
            "one that the training wrote"
        )


def put_weights(network: nn.Module, weights: Any) -> None:
    """Puts the weights of a checkpoint into a network of the same layers; raises as `check_weights`."""
    check_weights(network, weights)
    network.load_state_dict(dict(weights))


def check_weights(network: nn.Module, weights: Any) -> None:
    """Whether the weights of a checkpoint are those of a network, which need not have memory.

    Raises:
        ConfigError: They are none, are those of another network, or are no numbers; the first that does not fit.
    """
    import torch

    wanted = network.state_dict()
    if not isinstance(weights, Mapping):
        raise ConfigError("they are no weights by name")
    odd = next((name for name in (*wanted, *weights) if name not in wanted or name not in weights), None)
    if odd is not None:
        raise ConfigError(f"{cut_text(str(odd))} is in one of them alone")
    for name, entry in wanted.items():
        given = weights[name]
        if not isinstance(given, torch.Tensor) or given.shape != entry.shape:
            found = f"{tuple(given.shape)}" if isinstance(given, torch.Tensor) else "no tensor"
            raise ConfigError(f"{name} is {found}, and {tuple(entry.shape)} there")
        if not bool(torch.isfinite(given).all()):
            raise ConfigError(f"{name} holds values that are no numbers")


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
    with text_file(path) as stream:
        csv.writer(stream).writerows([header, *kept])
