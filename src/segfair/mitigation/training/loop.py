"""Training in time order: draw, train, validate, update the strategy, save; the same loop for every strategy.

All randomness of a run is a function of its seed, the epoch, the step and the draw: which cases are drawn, how they
are augmented, what dropout does. So a training goes on bit for bit from the state of network, optimiser and
strategy alone, whatever the number of loader workers, and several processes draw what one would. The loop knows no
strategy by name and opens no image: datasets do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from segfair.errors import ConfigError, SegfairError
from segfair.fairness.challenge import ChallengeScores
from segfair.mitigation.networks.checkpoints import load_checkpoint, save_checkpoint
from segfair.mitigation.training.batches import CaseDataset, check_order, load, plan_epoch, stack
from segfair.mitigation.training.evaluation import (
    Inferer,
    ScoredCases,
    evaluate,
    memory_advice,
    total_scores,
    worst_subgroup,
)
from segfair.mitigation.training.interrupts import Interrupted, StopWish, interruptible
from segfair.mitigation.training.progress import TrainingProgress
from segfair.mitigation.training.ranks import join
from segfair.mitigation.training.state import EpochRecord, FitSettings, TrainingRun
from segfair.mitigation.training.strategies.strategy import EpochScores, Strategy, TrainingContext
from segfair.mitigation.weighting.weights import mine_validation
from segfair.protocol.rules import Protocol as ScoringProtocol
from segfair.subgroups.lattice import Membership

__all__ = [
    "EpochRecord",
    "FitResult",
    "FitSettings",
    "TrainingError",
    "evaluate",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
    "train_epoch",
]


class TrainingError(SegfairError):
    """A training that cannot go on."""


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """What a training left; the network holds the weights that are kept.

    Attributes:
        history: One record an epoch.
        best_epoch: Epoch of `checkpoint_best.pt`.
        validation: Validation scores of the kept network; None without validation cases.
        training: Scores of the training cases without augmentation by the best network; None where no
            `plain_training` was given.
        remarks: What the strategy has to say of the training, in words.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    validation: ScoredCases | None
    training: ScoredCases | None
    remarks: tuple[str, ...] = ()


def fit(
    network: nn.Module,
    strategy: Strategy,
    context: TrainingContext,
    *,
    training: CaseDataset,
    validation: CaseDataset | None,
    settings: FitSettings,
    inferer: Inferer,
    protocol: ScoringProtocol,
    out: Path,
    description: Mapping[str, Any] | None = None,
    plain_training: CaseDataset | None = None,
    resume: bool = False,
    progress: TrainingProgress | None = None,
) -> FitResult:
    """Trains a network with a strategy and keeps the weights that `settings.select` says.

    Writes the files of `state` after each epoch. Ctrl-C or SIGTERM finishes the step at hand,
    saves and raises KeyboardInterrupt; `resume` then goes on with the next step. Under torchrun every process calls
    this with the same arguments.

    Args:
        network: Ends up with the weights that are kept.
        strategy: Made for `context`; used once.
        context: Attributes of the cases, number of epochs, seed.
        training: Training cases with augmentation, in the order of `context.training`.
        validation: Whole validation volumes, in the order of `context.validation`; None where nothing is validated.
        settings: See there.
        inferer: Predicts whole volumes.
        protocol: Scores them.
        out: Folder, made if need be; an earlier training in it is replaced unless resumed.
        description: Plain dict kept in the checkpoints: how to build network and preprocessing again.
        plain_training: Training cases as whole volumes without augmentation; `FitResult.training` and strategies
            that look at training scores need them.
        resume: Go on from `checkpoint_last.pt` if there is one.
        progress: Told about steps and epochs.

    Raises:
        ConfigError: Data in another order than the attributes, `resume` with other settings, too little memory.
        TrainingError: The loss is no longer a number.
    """
    _check_data(strategy, context, training, validation, plain_training)
    if validation is None and settings.select not in ("ema", "last"):
        raise ConfigError(
            f"--select {settings.select}: chooses by validation cases, and there are none; use ema or last"
        )
    ranks = join(settings.device)
    tell = progress if progress is not None and ranks.main else TrainingProgress()
    with (
        interruptible() as stop,
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=True),
    ):
        run = TrainingRun(
            network, strategy, context, settings=settings, ranks=ranks, out=out, description=description or {}
        )
        scored = partial(
            evaluate,
            inferer=inferer,
            protocol=protocol,
            batch_size=settings.validation_batch_size,
            device=run.device,
            amp=settings.amp,
            workers=settings.workers,
            ranks=ranks,
        )
        run.begin(training, resume=resume)
        validate = Validation(validation, scored, context, protocol, settings)
        steps_per_epoch = -(-len(training) // settings.batch_size)
        tell.start(steps_per_epoch * context.epochs, steps_per_epoch * run.epoch + run.step)
        try:
            while run.epoch < context.epochs:
                loss = train_epoch(run, training, stop=stop, progress=tell)
                epoch = run.epoch + 1
                validated = validate.after(epoch, run.judged)
                # An epoch counts once it is validated: stopped here, it is validated again.
                stop.check(ranks)
                wanted = plain_training if strategy.needs_training_scores(epoch) else None
                learned = None if wanted is None else scored(run.judged, wanted).dsc
                strategy.update(validate.told(epoch, validated, learned))
                facts: dict[str, Any] = {**validate.summed_up(validated), **strategy.facts()}
                record = EpochRecord(epoch, float(run.optimizer.param_groups[0]["lr"]), loss, **facts)
                run.end_epoch(record)
                tell.epoch(record)
        except Interrupted:
            run.save_last()
            raise KeyboardInterrupt from None
        finally:
            tell.stop()
        # Process 0 writes the best checkpoint, and all of them read it.
        ranks.wait()
        best = load_checkpoint(out / "checkpoint_best.pt", device=run.device)
        network.load_state_dict(best["network"])
        result = FitResult(
            tuple(run.history),
            int(best["epoch"]),
            None if validation is None else scored(network, validation),
            None if plain_training is None else scored(network, plain_training),
            strategy.remarks(),
        )
        # Asked for while scoring: nothing is left to save, but what called this must stop as well.
        if any(ranks.gather(stop.wished)):
            raise KeyboardInterrupt
        return result


def _check_data(
    strategy: Strategy,
    context: TrainingContext,
    training: CaseDataset,
    validation: CaseDataset | None,
    plain_training: CaseDataset | None,
) -> None:
    """Weights and attributes are taken by position within a dataset: all of them must mean the same cases."""
    check_order(training, context.training.case_ids, "training")
    if validation is not None:
        check_order(validation, context.validation.case_ids, "validation")
    if plain_training is not None:
        check_order(plain_training, context.training.case_ids, "training without augmentation")
    elif any(strategy.needs_training_scores(epoch) for epoch in range(1, context.epochs + 1)):
        raise ValueError(f"fit: {type(strategy).__name__} needs plain_training")


def train_epoch(run: TrainingRun, training: CaseDataset, *, stop: StopWish, progress: TrainingProgress) -> float:
    """Trains the run's next epoch, or what an interruption has left of it.

    Returns:
        Mean per-case loss over the epoch's draws.

    Raises:
        TrainingError: A loss that is not finite.
        Interrupted: The user asked to stop; the run stands after a finished step.
    """
    run.start_epoch()
    settings, ranks = run.settings, run.ranks
    plan = plan_epoch(
        run.strategy.probabilities(),
        len(training),
        batch_size=settings.batch_size,
        seed=run.context.seed,
        epoch=run.epoch + 1,
    )
    left = plan[run.step :]
    # A process without a case in the last, small batch borrows one and lends it weight 0: all must take every step.
    own = [batch[ranks.rank :: ranks.world] or batch[:1] for batch in left]
    loaded = load(training, own, workers=settings.workers, pin_memory=run.device != "cpu")
    run.module.train()
    for batch, draws, items in zip(left, own, loaded, strict=True):
        image, label, case_ids = stack(items)
        # Patches: every draw gives the same number of items.
        batch_size = len(batch) * (len(case_ids) // len(draws))
        counts = ranks.rank < len(batch)
        run.seed_step()
        run.set_learning_rate(len(plan))
        with memory_advice(image):
            loss, losses, dice = run.module(
                image.to(run.device), label.to(run.device), case_ids, batch_size, settings.amp
            )
            # DistributedDataParallel averages gradients; the batch's loss is the sum of the processes' parts.
            run.scaler.scale(loss * (ranks.world if counts else 0)).backward()
        measured = np.stack([losses.double().cpu().numpy(), dice.double().cpu().numpy()])
        parts = ranks.gather((case_ids, measured) if counts else ((), np.zeros((2, 0))))
        seen = [case_id for ids, _ in parts for case_id in ids]
        values, dices = np.concatenate([part for _, part in parts], axis=1)
        _check_finite(seen, values, run)
        run.scaler.unscale_(run.optimizer)
        norm = nn.utils.clip_grad_norm_(run.module.parameters(), settings.grad_clip)
        # In half precision the scaler skips such a step and goes on with a smaller scale.
        if not run.scaler.is_enabled() and not torch.isfinite(norm):
            raise TrainingError(
                f"epoch {run.epoch + 1}, step {run.step + 1}: the gradient is not a number although the loss is "
                f"(batch: {', '.join(seen)}); look for extreme values in those images, or try a smaller --lr"
            )
        run.scaler.step(run.optimizer)
        run.scaler.update()
        run.optimizer.zero_grad(set_to_none=True)
        run.strategy.observe(seen, values)
        if run.strategy.watches_dice:
            run.strategy.observe_dice(seen, dices)
        run.loss_sum += float(values.sum())
        run.loss_count += len(values)
        run.after_step()
        progress.step()
        stop.check(ranks)
    return run.loss_sum / run.loss_count


def _check_finite(case_ids: Sequence[str], losses: NDArray[np.float64], run: TrainingRun) -> None:
    bad = [case_id for case_id, finite in zip(case_ids, np.isfinite(losses), strict=True) if not finite]
    if bad:
        raise TrainingError(
            f"epoch {run.epoch + 1}, step {run.step + 1}: the loss of {', '.join(bad)} is not a number "
            f"(batch: {', '.join(case_ids)}); look for nan or extreme values in those images, or try a smaller --lr "
            "or --no-amp"
        )


class Validation:
    """The validation cases of one training: when they are scored, and what their scores mean.

    Args:
        cases: Whole volumes; None: nothing is ever validated.
        scored: (network, cases) -> their scores.
        context: Attributes of the cases, number of epochs.
        protocol: The scoring rules.
        settings: How often, and whose divergences count.
    """

    def __init__(
        self,
        cases: CaseDataset | None,
        scored: Callable[[nn.Module, CaseDataset], ScoredCases],
        context: TrainingContext,
        protocol: ScoringProtocol,
        settings: FitSettings,
    ) -> None:
        self._cases = cases
        self._scored = scored
        self._context = context
        self._protocol = protocol
        self._settings = settings
        self._membership: Membership | None = None
        if cases is not None:
            self._membership, _ = mine_validation(context.validation, min_support=context.min_support)

    def after(self, epoch: int, network: nn.Module) -> ScoredCases | None:
        """Scores of the cases after an epoch, from 1; None in an epoch that is not validated."""
        due = epoch % self._settings.validate_every == 0 or epoch == self._context.epochs
        return self._scored(network, self._cases) if due and self._cases is not None else None

    def told(self, epoch: int, scores: ScoredCases | None, training_dsc: NDArray[np.float64] | None) -> EpochScores:
        """What a strategy learns from an epoch."""
        if scores is None:
            return EpochScores(epoch, None, None, training_dsc)
        outcome = scores.dsc if self._settings.outcome == "dsc" else scores.ps
        return EpochScores(epoch, outcome, self._total(scores).ts, training_dsc)

    def summed_up(self, scores: ScoredCases | None) -> dict[str, Any]:
        """The fields of a record that validation fills."""
        if scores is None or self._membership is None:
            return {}
        total = self._total(scores)
        worst = worst_subgroup(self._membership, scores.dsc, min_cases=self._settings.min_cases)
        return {
            "dsc": float(scores.dsc.mean()),
            "normhd": float(scores.normhd.mean()),
            "ps": float(scores.ps.mean()),
            "fs": total.fs,
            "ts": total.ts,
            "worst_subgroup": worst.name if worst else None,
            "worst_n": worst.n if worst else None,
            "worst_dsc": worst.dsc if worst else None,
        }

    def _total(self, scores: ScoredCases) -> ChallengeScores:
        return total_scores(scores, self._context.validation, self._protocol, min_cases=self._settings.min_cases)
