"""The state of one training and its files: what the loop changes, and what a checkpoint must hold to go on from.

`checkpoint_last.pt` holds everything and is written after each epoch and after an interruption, `checkpoint_best.pt`
the network that is kept: of the end, or of the best validation so far. `history.csv` has one row an epoch.
`weights.csv`, where the strategy weights cases, has one row an epoch and case: the weights that the epoch has set for
the next, those of epoch 0 for the first. Never takes a step itself.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segfair.errors import ConfigError
from segfair.mitigation.networks.checkpoints import append_rows, load_checkpoint, save_checkpoint, trim_rows
from segfair.mitigation.networks.devices import half_precision
from segfair.mitigation.training.batches import CaseDataset, stack
from segfair.mitigation.training.catalogue import OptimiserName, ScheduleName, Selection
from segfair.mitigation.training.objectives import case_dice
from segfair.mitigation.training.optimisers import AveragedWeights, make_optimiser, set_rate
from segfair.mitigation.training.ranks import Ranks
from segfair.mitigation.training.strategies.strategy import Strategy, TrainingContext

__all__ = ["EpochRecord", "FitSettings", "TrainingRun"]

_FILES = ("checkpoint_last.pt", "checkpoint_best.pt", "history.csv", "weights.csv")
_WEIGHT_COLUMNS = ("epoch", "case", "weight", "subgroup")


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How to train, apart from strategy and data.

    Attributes:
        batch_size: Cases of a step, over all processes; with patches each gives several items.
        lr: The largest learning rate of each stage.
        optimiser, schedule, weight_decay: See `optimisers`.
        average: Share of a stage's steps over whose end the weights are averaged; 0: they are not. The average is what
            is validated and kept.
        select: Which weights are kept; see `SELECTIONS`.
        validate_every: Epochs between two validations; the last epoch is always validated.
        compiled: Whether the network is compiled first.
        grad_clip: Largest gradient norm.
        outcome: Whose divergences drive the strategy: "dsc", or "ps" (0.5 (DSC + 1 - NormHD)).
        device: "cpu", "cuda" or "cuda:N".
        amp: Half precision for the network (bfloat16 where the GPU has it); on a GPU only.
        workers: Loader processes.
        validation_batch_size: Whole volumes predicted together.
        min_cases: Smallest subgroup that can be the worst one, and smallest level that FS counts where the
            protocol counts levels by size.
    """

    batch_size: int = 4
    lr: float = 1e-4
    optimiser: OptimiserName = "adam"
    schedule: ScheduleName = "cosine"
    weight_decay: float = 0.0
    average: float = 0.0
    select: Selection = "ts"
    validate_every: int = 1
    compiled: bool = False
    grad_clip: float = 12.0
    outcome: Literal["dsc", "ps"] = "dsc"
    device: str = "cpu"
    amp: bool = False
    workers: int = 0
    validation_batch_size: int = 1
    min_cases: int = 5

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.validation_batch_size < 1:
            raise ConfigError(f"batch size: at least 1, got {min(self.batch_size, self.validation_batch_size)}")
        if self.select not in get_args(Selection):
            raise ConfigError(f"select {self.select!r}: expected one of {', '.join(get_args(Selection))}")
        if self.amp and not self.device.startswith("cuda"):
            raise ConfigError(f"amp: half precision needs a GPU, the device is {self.device}; use --no-amp")


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One row of `history.csv`: the epoch's training, and the validation after it, empty where there was none.

    `loss` is the mean per-case segmentation loss over the epoch's draws: the same quantity for every strategy but those
    that bring their own, focal and febs.
    """

    epoch: int
    lr: float
    loss: float
    dsc: float | None = None
    normhd: float | None = None
    ps: float | None = None
    fs: float | None = None
    ts: float | None = None
    worst_subgroup: str | None = None
    worst_n: int | None = None
    worst_dsc: float | None = None
    alpha: float | None = None
    temperature: float | None = None

    def quality(self, select: Selection) -> float | None:
        """What the kept checkpoint has most of; None where the epoch was not validated.

        TS and the worst subgroup give way to PS where no attribute, and to DSC where no subgroup, can be judged.
        """
        if select == "worst":
            return self.dsc if self.worst_dsc is None else self.worst_dsc
        if select == "ts":
            return self.ps if self.ts is None else self.ts
        return self.dsc if select == "dice" else self.ps


_HISTORY_COLUMNS = tuple(field.name for field in dataclasses.fields(EpochRecord))


class _Step(nn.Module):
    """Forward pass and objective as one module, so that DistributedDataParallel sees every parameter of both."""

    def __init__(self, network: nn.Module, strategy: Strategy) -> None:
        super().__init__()
        self.network = network
        self.objective = strategy.objective
        self.losses = strategy.losses
        self.watches_dice = strategy.watches_dice

    def forward(
        self, image: Tensor, label: Tensor, case_ids: tuple[str, ...], batch_size: int, amp: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The part of the batch's loss; (B,) losses of the cases, and their Dice if the strategy watches it."""
        with torch.autocast(image.device.type, half_precision(image.device.type), enabled=amp):
            logits = self.network(image)
        loss = self.objective(logits, label, case_ids, batch_size=batch_size)
        dice = case_dice(logits, label) if self.watches_dice else self.losses.last.new_full((len(case_ids),), torch.nan)
        return loss, self.losses.last, dice


class TrainingRun:
    """A training between two steps.

    Attributes:
        epoch: Finished and validated epochs.
        step: Finished steps of the epoch at hand.
        loss_sum, loss_count: Of the epoch at hand.
        history: One record a finished epoch.
    """

    def __init__(
        self,
        network: nn.Module,
        strategy: Strategy,
        context: TrainingContext,
        *,
        settings: FitSettings,
        ranks: Ranks,
        out: Path,
        description: Mapping[str, Any],
    ) -> None:
        self.network = network
        self.strategy = strategy
        self.context = context
        self.settings = settings
        self.ranks = ranks
        self.out = out
        self.description = dict(description)
        gpu = settings.device.startswith("cuda")
        self.device = f"cuda:{ranks.local}" if settings.device == "cuda" and ranks.world > 1 else settings.device
        scaled = settings.amp and gpu and half_precision("cuda") == torch.float16
        self.scaler = torch.amp.GradScaler("cuda", enabled=scaled)
        self.epoch = self.step = self.loss_count = 0
        self.loss_sum = 0.0
        self.history: list[EpochRecord] = []
        self._best: float | None = None

    def begin(self, training: CaseDataset, *, resume: bool) -> None:
        """Stands before the first step, or with `resume` where an earlier part of this training stopped.

        Raises:
            ConfigError: The earlier part had other settings or cases.
            InputError: Its checkpoint cannot be read.
        """
        self._prepare(training)
        if resume and (self.out / "checkpoint_last.pt").exists():
            self._restore()
        elif self.ranks.main:
            self._clear()
            self._append_weights(0)
        # Nobody trains before process 0 has cleared the folder.
        self.ranks.wait()

    def _prepare(self, training: CaseDataset) -> None:
        """Moves the network to its device, lets the strategy look at it, and builds the optimiser."""
        self.network.to(self.device)
        planar = any(parameter.dim() == 4 for parameter in self.network.parameters())
        # Volumes train up to a third faster so (UNet, batches of 4 on a processor), planar images up to half.
        layout = torch.channels_last if planar else torch.channels_last_3d
        self.network.to(memory_format=layout)  # type: ignore[call-overload]
        if self.settings.compiled:
            self.network.compile()
        example = training[(0, 0)]
        image, _, _ = stack([example] if isinstance(example, Mapping) else example[:1])
        torch.manual_seed(self.context.seed)
        self.strategy.prepare(self.network, image.to(self.device))
        step = _Step(self.network, self.strategy).to(self.device)
        self._initial = copy.deepcopy(step.state_dict()) if len(self.strategy.stages) > 1 else None
        self._bare = step
        self.module: nn.Module = DistributedDataParallel(step) if self.ranks.world > 1 else step
        self._new_optimizer()
        n_steps = -(-len(training) // self.settings.batch_size) * max(self.strategy.stages)
        share = self.settings.average
        self._average = AveragedWeights(self.network, horizon=share * n_steps) if share else None

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the average of the weights, or the weights themselves."""
        return self.network if self._average is None else self._average.network

    def after_step(self) -> None:
        """Counts a step that the optimiser has taken."""
        if self._average is not None:
            self._average.update(self.network)
        self.step += 1

    def _new_optimizer(self) -> None:
        settings = self.settings
        self.optimizer = make_optimiser(
            settings.optimiser, self._bare.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )

    # Time within the run

    def stage(self) -> tuple[int, int]:
        """First epoch (from 0) and length of the stage that the epoch at hand belongs to."""
        start = 0
        for length in self.strategy.stages:
            if self.epoch < start + length:
                return start, length
            start += length
        return start - self.strategy.stages[-1], self.strategy.stages[-1]

    def start_epoch(self) -> None:
        """At the start of a later stage the network is back at its initial weights."""
        start, _ = self.stage()
        if self.step == 0 and self.epoch == start > 0 and self._initial is not None:
            self._bare.load_state_dict(self._initial)
            self._new_optimizer()
            if self._average is not None:
                self._average.restart(self.network)

    def set_learning_rate(self, steps_per_epoch: int) -> float:
        """The schedule's value at the step at hand, put into the optimiser."""
        start, length = self.stage()
        step = (self.epoch - start) * steps_per_epoch + self.step
        return set_rate(
            self.optimizer, self.settings.schedule, lr=self.settings.lr, step=step, n_steps=length * steps_per_epoch
        )

    def seed_step(self) -> None:
        """Makes dropout and the like a function of seed, epoch, step and process."""
        words = np.random.SeedSequence([self.context.seed, self.epoch, self.step, self.ranks.rank])
        torch.manual_seed(int(words.generate_state(1, np.uint64)[0] >> np.uint64(1)))

    def end_epoch(self, record: EpochRecord) -> None:
        """Counts the epoch and writes its rows and checkpoints."""
        self.epoch, self.step, self.loss_sum, self.loss_count = record.epoch, 0, 0.0, 0
        self.history.append(record)
        better = self._is_better(record)
        if not self.ranks.main:
            return
        append_rows(self.out / "history.csv", _HISTORY_COLUMNS, [dataclasses.asdict(record)])
        self._append_weights(record.epoch)
        if better:
            save_checkpoint(self.out / "checkpoint_best.pt", self._shared(record))
        self.save_last()

    def _is_better(self, record: EpochRecord) -> bool:
        """Whether the network is the one to keep, as far as is known."""
        if self.settings.select in ("ema", "last"):
            return record.epoch == sum(self.strategy.stages)
        quality = record.quality(self.settings.select)
        # A first network that only finds the failures is not the result, however well it scores.
        last_stage = record.epoch > sum(self.strategy.stages[:-1])
        if quality is None or not last_stage or (self._best is not None and quality <= self._best):
            return False
        self._best = quality
        return True

    def _append_weights(self, epoch: int) -> None:
        weights = self.strategy.weights
        if weights is None:
            return
        rows = (
            {"epoch": epoch, "case": case_id, "weight": weight, "subgroup": setter.name if setter else None}
            for case_id, weight, setter in zip(weights.case_ids, weights.array.tolist(), weights.setters, strict=True)
        )
        append_rows(self.out / "weights.csv", _WEIGHT_COLUMNS, rows)

    # Files

    def _clear(self) -> None:
        """Removes the files of an earlier training in this folder."""
        self.out.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (self.out / name).unlink(missing_ok=True)

    def save_last(self) -> None:
        """Writes `checkpoint_last.pt`, also in the middle of an epoch."""
        if not self.ranks.main:
            return
        record = self.history[-1] if self.history else None
        training = {
            "identity": self._identity(),
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "best": self._best,
            "history": [dataclasses.asdict(entry) for entry in self.history],
            "module": self._bare.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "strategy": self.strategy.state_dict(),
            "initial": self._initial,
            "average": None if self._average is None else self._average.state_dict(),
        }
        save_checkpoint(self.out / "checkpoint_last.pt", {**self._shared(record), "training": training})

    def _shared(self, record: EpochRecord | None) -> dict[str, Any]:
        scores = {} if record is None else dataclasses.asdict(record)
        return {
            "epoch": self.epoch,
            "network": self.judged.state_dict(),
            "description": self.description,
            "scores": scores,
        }

    def _identity(self) -> dict[str, Any]:
        """What must not change between the parts of one training."""
        return {
            "strategy": type(self.strategy).__name__,
            "epochs": self.context.epochs,
            "seed": self.context.seed,
            "batch size": self.settings.batch_size,
            "learning rate": self.settings.lr,
            "optimiser": self.settings.optimiser,
            "schedule": self.settings.schedule,
            "weight decay": self.settings.weight_decay,
            "averaging": self.settings.average,
            "selection": self.settings.select,
            "gradient clipping": self.settings.grad_clip,
            "outcome": self.settings.outcome,
            "training cases": list(self.context.training.case_ids),
            "validation cases": list(self.context.validation.case_ids),
        }

    def _restore(self) -> None:
        """Takes everything from `checkpoint_last.pt`, and drops the rows of epochs that it does not count."""
        path = self.out / "checkpoint_last.pt"
        saved = load_checkpoint(path, device=self.device)["training"]
        for key, value in self._identity().items():
            # A training of an earlier version lacks the newer keys; it had their defaults.
            if key in saved["identity"] and saved["identity"][key] != value:
                was, now = (f"{len(v)} cases" if isinstance(v, list) else v for v in (saved["identity"][key], value))
                raise ConfigError(
                    f"resume: {path} was trained with {key} {was}, now it is {now}; give the same settings, "
                    "or leave out --resume to start anew"
                )
        self.epoch, self.step = saved["epoch"], saved["step"]
        self.loss_sum, self.loss_count = saved["loss_sum"], saved["loss_count"]
        self._best = saved["best"]
        self.history = [EpochRecord(**entry) for entry in saved["history"]]
        self._bare.load_state_dict(saved["module"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.strategy.load_state_dict(saved["strategy"])
        self._initial = saved["initial"]
        if self._average is not None and saved.get("average") is not None:
            self._average.load_state_dict(saved["average"])
        if self.ranks.main:
            trim_rows(self.out / "history.csv", last_epoch=self.epoch)
            trim_rows(self.out / "weights.csv", last_epoch=self.epoch)
