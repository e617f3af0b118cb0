"""Checkpoints and tables: whole or not at all, read without running code."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segfair.errors import ConfigError, InputError
from segfair.mitigation.networks.checkpoints import (
    append_rows,
    check_unfinished,
    check_weights,
    load_checkpoint,
    put_weights,
    save_checkpoint,
    trim_rows,
)


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


def test_a_name_in_a_table_of_a_training_is_no_formula(tmp_path):
    rows = [{"epoch": 1, "case": "=1+1", "weight": -0.5}, {"epoch": 1, "case": "P1", "weight": 1.5}]
    append_rows(tmp_path / "weights.csv", ("epoch", "case", "weight"), rows)
    assert (tmp_path / "weights.csv").read_text() == "epoch,case,weight\n1,'=1+1,-0.5\n1,P1,1.5\n"
    trim_rows(tmp_path / "weights.csv", last_epoch=1)
    assert "1,'=1+1,-0.5" in (tmp_path / "weights.csv").read_text(), "written again as it was"


def test_its_names_come_back(tmp_path):
    from segfair.mitigation.experiment.summary import trained_weights

    rows = [{"epoch": 0, "case": case, "weight": weight} for case, weight in (("=1+1", 0.5), ("P1", 1.5))]
    append_rows(tmp_path / "weights.csv", ("epoch", "case", "weight"), rows)
    assert trained_weights(tmp_path, ["=1+1", "P1"], best_epoch=1).tolist() == [[0.5, 1.5]]


def test_weights_are_held_against_the_network_before_they_are_put_there() -> None:
    network = torch.nn.Linear(2, 1)
    good = {name: torch.ones_like(value) for name, value in network.state_dict().items()}
    for weights, told in (
        ([1.0], "they are no weights by name"),
        ({"weight": good["weight"]}, "bias is in one of them alone"),
        ({**good, "more": good["bias"]}, "more is in one of them alone"),
        ({**good, "bias": "1"}, r"bias is no tensor, and \(1,\) there"),
        ({**good, "bias": torch.ones(2)}, r"bias is \(2,\), and \(1,\) there"),
        ({**good, "bias": torch.tensor([float("nan")])}, "bias holds values that are no numbers"),
    ):
        with pytest.raises(ConfigError, match=told):
            put_weights(network, weights)
    with torch.device("meta"):
        check_weights(torch.nn.Linear(2, 1), good)
    put_weights(network, good)
    assert network.weight.tolist() == [[1.0, 1.0]]


def test_a_checkpoint_that_no_training_wrote_is_none_to_go_on_from(tmp_path: Path) -> None:
    for training in (None, {}, {"identity": {}}, [1]):
        save_checkpoint(tmp_path / "c.pt", {"network": {}, "training": training})
        with pytest.raises(InputError, match=r"c\.pt: does not hold a training to go on with"):
            check_unfinished(tmp_path / "c.pt")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path / "c.pt", {"network": {}, "epoch": 1})
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *how, **more: real(Path("/dev/full"), *how, **more))
    with pytest.raises(InputError, match=r"c\.pt: cannot be written \(.*space.*\).*--resume"):
        save_checkpoint(tmp_path / "c.pt", {"network": {"w": torch.ones(100_000)}, "epoch": 2})
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "c.pt")["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]
