"""Checkpoints and tables: whole or not at all, read without running code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segfair.errors import InputError
from segfair.mitigation.networks.checkpoints import load_checkpoint, save_checkpoint, trim_rows


def test_unusable_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_checkpoint(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("no checkpoint")
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "text.pt")
    torch.save({"state_dict": {}}, tmp_path / "foreign.pt")
    with pytest.raises(InputError, match="not written by segfair"):
        load_checkpoint(tmp_path / "foreign.pt")
    torch.save({"format": 99, "network": {}}, tmp_path / "newer.pt")
    with pytest.raises(InputError, match="format is 99"):
        load_checkpoint(tmp_path / "newer.pt")

    class Evil:
        def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"format": 1, "network": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_last.pt"
    save_checkpoint(path, {"network": {}, "epoch": 1})
    with pytest.raises(Exception, match=r"pickle|local"):
        save_checkpoint(path, {"network": lambda: None, "epoch": 2})
    assert load_checkpoint(path)["epoch"] == 1


def test_trim_drops_later_epochs_and_a_broken_last_row(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,dsc\r\n1,0.5\r\n2,0.6\r\n3,0.7\r\n4")
    trim_rows(path, last_epoch=2)
    assert path.read_bytes() == b"epoch,dsc\r\n1,0.5\r\n2,0.6\r\n"
    trim_rows(tmp_path / "absent.csv", last_epoch=2)
