"""Cases of several processes come to what all cases come to, each counted once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from tests.loops.conftest import ValidationSet

from segfair.errors import ConfigError
from segfair.loops.batches import LoopCase
from segfair.loops.epoch import Epoch
from segfair.loops.schedule import Schedule
from segfair.mitigation.training.ranks import Ranks

RANK = """
import json, sys
import torch
from monai.data import DataLoader, Dataset
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged
from segfair.loops.batches import cases_of_batch
from segfair.loops.epoch import Epoch
rank, folder, items = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
load = Compose([LoadImaged(["image", "label"]), EnsureChannelFirstd(["image", "label"])])
epoch = Epoch(f"{folder}/metadata.csv", {"min_cases": 5, "attributes": ["site", "sex"]})
# The last case is padding: a sampler gives it to both.
for batch in DataLoader(Dataset([*items[rank::2], items[-1]], load), batch_size=4):
    epoch.add(cases_of_batch({"pred": batch["image"], "label": batch["label"]}))
print(json.dumps(epoch.conclude().numbers()))
torch.distributed.destroy_process_group()
"""


def test_two_processes_say_what_the_audit_says(validation: ValidationSet) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    items = json.dumps([{key: item[key] for key in ("image", "label")} for item in validation.items()])
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(validation.folder), items],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in (0, 1)
    ]
    told = [json.loads(rank.communicate(timeout=300)[0]) for rank in ranks]
    assert told == [validation.wanted()] * 2


def test_an_epoch_without_a_case_says_nothing() -> None:
    assert Epoch(None, {}).conclude().numbers() == {}
    assert str(Epoch(None, {}).conclude()) == "no case that counts"


@pytest.mark.parametrize(
    ("every", "validated", "audited"),
    [
        (1, [1, 2, 3], [1, 2, 3]),
        (5, range(1, 12), [5, 10]),
        (5, [2, 4, 6, 8, 10], [6, 10]),
        (5, [7, 8, 9, 10], [7, 10]),  # a training that is resumed
        (2, [1, 2, 3, 1, 2], [2, 2]),  # another training
    ],
)
def test_which_epochs_are_audited(every: int, validated: list[int], audited: list[int]) -> None:
    schedule = Schedule(every)
    assert [epoch for epoch in validated if schedule.is_due(epoch)] == audited


@pytest.mark.parametrize("every", [0, -1, 2.5, True, "5"])
def test_every_is_a_whole_number(every: object) -> None:
    with pytest.raises(ConfigError, match="a whole number from 1 on is meant"):
        Schedule(every)  # type: ignore[arg-type]


def test_cases_without_a_name_of_several_processes_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    label = np.zeros((1, 4, 4))
    label[0, 1:3, 1:3] = 1
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr("segfair.loops.epoch._ranks", lambda rank=rank: Ranks(rank, 1))
        epoch = Epoch(None, {})
        epoch.add([LoopCase("", label, label), LoopCase("", label, label)])
        parts.append(epoch.scores())
    assert len(parts[0] | parts[1]) == 4
