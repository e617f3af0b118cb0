"""nnU-Net's trainer with other draws of training cases. The only module that imports nnU-Net."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from segfair.errors import ConfigError, InputError
from segfair.mitigation.nnunet.feedback import training_attributes, write_weights
from segfair.mitigation.nnunet.patches import patch_dice
from segfair.mitigation.nnunet.probabilities import SharedProbabilities, weights_of
from segfair.mitigation.nnunet.settings import DrawSettings
from segfair.mitigation.weighting.feedback import BatchFeedback
from segfair.mitigation.weighting.one_shot import read_weights
from segfair.mitigation.weighting.reweighter import ADAPTIVE, WeightRule

__all__ = ["nnUNetTrainerSegfair"]

_STATE = "segfair"
"""The key of a checkpoint that is not nnU-Net's."""
_NUMBERS: list[Any] = [
    np.dtype,
    *(type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8", "?")),
    np.float64(0).__reduce__()[0],
]
"""What NumPy's numbers are made by; nnU-Net logs them."""


class nnUNetTrainerSegfair(nnUNetTrainer):  # noqa: N801 (nnU-Net finds a trainer by its name)
    """Draws the training cases by weight: see `DrawSettings` for which, and where they come from.

    Validation cases are drawn as ever. Settings and tables are read when the training begins, so that
    nnU-Net's other uses of a trainer (`--val`, prediction) need none of them.

    Attributes:
        rule: From running Dice to weights.
        probabilities: What the loader of the training cases draws by.
        feedback: Where the weights follow the running Dice; None where they are given.
    """

    rule: WeightRule = ADAPTIVE
    probabilities: SharedProbabilities
    feedback: BatchFeedback | None = None
    _training_data: Any = None
    _resumed_from: str | None = None

    def get_tr_and_val_datasets(self) -> tuple[Any, Any]:
        """nnU-Net's data sets; from now on it is known who is drawn how."""
        training, validation = super().get_tr_and_val_datasets()
        settings = DrawSettings.from_environment(os.environ)
        if settings.weights is not None:
            weights = weights_of(training.identifiers, read_weights(settings.weights))
        else:
            self.feedback = self._begin_feedback(settings, training.identifiers)
            weights = self.feedback.weights.array
        self._training_data, self.probabilities = training, SharedProbabilities(weights)
        self._tell_weights()
        return training, validation

    def get_dataloaders(self) -> tuple[Any, Any]:
        """nnU-Net's loaders; that of the training cases draws by weight."""
        weighted: list[Any] = []

        def changed(build: Callable[..., Any]) -> Callable[..., Any]:
            def build_loader(data: Any, *args: Any, **settings: Any) -> Any:
                if data is not self._training_data:
                    return build(data, *args, **settings)
                weighted.append(build(data, *args, **settings | {"sampling_probabilities": self.probabilities}))
                return weighted[-1]

            return build_loader

        # They are built and their processes started in one go, so they are met where nnU-Net looks up their class.
        with _exchanged(sys.modules[nnUNetTrainer.__module__], "nnUNetDataLoader", changed):
            loaders = super().get_dataloaders()
        if len(weighted) != 1:
            raise ConfigError("this version of nnU-Net builds its loaders elsewhere: no case would be drawn by weight")
        return cast("tuple[Any, Any]", loaders)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step; what went into its loss tells the Dice of each case of the batch."""
        if self.feedback is None:
            return cast("dict[str, Any]", super().train_step(batch))
        with _overheard(self.loss) as heard:
            outcome = cast("dict[str, Any]", super().train_step(batch))
        logits, target = heard[-1]
        manager = self.label_manager
        dice = patch_dice(logits, target, regions=manager.has_regions, ignore_label=manager.ignore_label)
        self.feedback.observe(batch["keys"], dice)
        return outcome

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """nnU-Net's end of an epoch, and the weights of the next one."""
        super().on_train_epoch_end(train_outputs)
        if self.feedback is not None:
            self.probabilities.change(self.feedback.end_epoch().array)
            write_weights(self.feedback, Path(self.output_folder) / "case_weights.csv")
            self._tell_weights()

    def save_checkpoint(self, filename: str) -> None:
        """nnU-Net's checkpoint, with the running Dice under a key of its own."""
        super().save_checkpoint(filename)
        if self.feedback is not None and not self.disable_checkpointing:
            # nnU-Net's method leaves no room in between. Prediction passes over keys that it does not know.
            checkpoint = _read(filename)
            torch.save({**checkpoint, _STATE: self.feedback.state_dict()}, filename)

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """nnU-Net's; the running Dice is fetched when a training goes on.

        nnU-Net would run what a checkpoint holds. It is read here before, without running anything, and one that holds
        more than tensors and plain values is refused.

        Raises:
            InputError: It does, or cannot be read.
        """
        _read(filename_or_checkpoint)
        super().load_checkpoint(filename_or_checkpoint)
        self._resumed_from = filename_or_checkpoint

    def _begin_feedback(self, settings: DrawSettings, case_ids: list[str]) -> BatchFeedback:
        if self.is_ddp:
            raise ConfigError(
                "SEGFAIR_METADATA: each process of several GPUs sees the Dice of its own batches only; train on one "
                "GPU (-num_gpus 1), or by SEGFAIR_WEIGHTS=weights.csv"
            )
        feedback = BatchFeedback(training_attributes(settings, case_ids), rule=self.rule)
        if self._resumed_from is not None:
            feedback.load_state_dict(_saved_state(self._resumed_from))
        return feedback

    def _tell_weights(self) -> None:
        relative = np.asarray(self.probabilities) * len(self.probabilities)
        self.print_to_log_file(
            f"segfair: {len(relative)} training cases, drawn by weights from {relative.min():.2f} to "
            f"{relative.max():.2f} (mean 1)"
        )


def _read(path: str) -> dict[str, Any]:
    """A checkpoint of nnU-Net, which holds numbers of NumPy beside tensors and plain values; nothing of it is run."""
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            return cast("dict[str, Any]", torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise
    except Exception as error:
        # torch.load raises pickle, zip, runtime and OS errors for damaged or foreign files.
        raise InputError(
            f"checkpoint {path}: cannot be read without running what it holds ({type(error).__name__}); go on from one "
            "that nnU-Net wrote for this trainer"
        ) from error


def _saved_state(path: str) -> Mapping[str, Any]:
    checkpoint = _read(path)
    if _STATE not in checkpoint:
        raise ConfigError(f"resume: {path} holds no running Dice; go on with SEGFAIR_WEIGHTS, as the training began")
    return cast("Mapping[str, Any]", checkpoint[_STATE])


@contextmanager
def _overheard(loss: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Within it the finest output and target of each call of a loss are listed."""
    heard: list[tuple[Tensor, Tensor]] = []

    def listen(_loss: nn.Module, inputs: tuple[Any, Any], _value: Tensor) -> None:
        logits, target = (part[0] if isinstance(part, list | tuple) else part for part in inputs)
        heard.append((logits.detach(), target))

    handle = loss.register_forward_hook(listen)
    try:
        yield heard
    finally:
        handle.remove()


@contextmanager
def _exchanged(module: Any, name: str, change: Callable[[Any], Any]) -> Iterator[None]:
    """Within it a name of a module means something else."""
    kept = getattr(module, name)
    setattr(module, name, change(kept))
    try:
        yield
    finally:
        setattr(module, name, kept)
