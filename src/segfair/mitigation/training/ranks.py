"""The processes of one training: alone, or one of several started by torchrun. Never starts one."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
from dataclasses import dataclass
from typing import TypeVar, cast

__all__ = ["Ranks", "join"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all of one training.

    Attributes:
        rank: From 0; process 0 writes the files.
        world: Number of processes.
        local: Number of this process on its machine, which is the number of its GPU.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def gather(self, part: T) -> list[T]:
        """Every process's part, by rank, in every process."""
        if self.world == 1:
            return [part]
        import torch.distributed

        parts: list[T | None] = [None] * self.world
        torch.distributed.all_gather_object(parts, part)
        return cast("list[T]", parts)

    def wait(self) -> None:
        """Waits until every process is here."""
        self.gather(0)


def join(device: str) -> Ranks:
    """Joins the processes that torchrun started, once; alone without torchrun.

    The group lasts until the process ends: a second training in the same processes cannot found it anew.

    Args:
        device: "cuda" communicates by NCCL, anything else by gloo.
    """
    import torch
    import torch.distributed

    if not torch.distributed.is_initialized():
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return Ranks()
        gpu = device.startswith("cuda")
        if gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # Its functions' default argument is the group there is when it is first imported, which DistributedDataParallel
        # does: imported after the group it would hold the group, and its threads, beyond the interpreter's end.
        importlib.import_module("torch.distributed.nn.functional")
        # Objects (case ids, scores) are gathered on the CPU whatever the gradients travel by.
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if gpu else "gloo")
        atexit.register(_leave)
    return Ranks(
        torch.distributed.get_rank(),
        torch.distributed.get_world_size(),
        int(os.environ.get("LOCAL_RANK", "0")),
    )


def _leave() -> None:
    """Ends the group's threads while the interpreter still runs; one that outlives it aborts the process."""
    import torch.distributed

    gc.collect()  # trainings that are over still hold the group
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
